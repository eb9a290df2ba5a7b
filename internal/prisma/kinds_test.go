package prisma_test

import (
	"encoding/json"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/tidewaiter/tidewaiter/internal/connector"
	"github.com/tidewaiter/tidewaiter/internal/prisma"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// TestEveryKindHasAVersion holds that each kind is shown as a registry type that means it again, at an address such a
// registry has, and that each registry type means a kind that is shown as that type or as the vendor's own name of it.
func TestEveryKindHasAVersion(t *testing.T) {
	names := map[string]string{"gar": "gcr", "gcp": "gcr"} // ours, and shown as the vendor's
	kinds := map[tidewaiter.RegistryKind]bool{}
	for _, can := range connector.Kinds() {
		kinds[can.Kind] = true
		address, err := tidewaiter.ParseRegistryURL(can.URLExample)
		if err != nil {
			t.Fatal(err)
		}
		if can.Kind == tidewaiter.KindOCIR {
			address = "https://fra.ocir.io"
		}
		version := prisma.VersionOf(can.Kind)
		if kind, err := prisma.KindOf(version, address); err != nil || kind != can.Kind {
			t.Errorf("%s is shown as %q, which means %s at %s, %v", can.Kind, version, kind, address, err)
		}
	}
	for _, version := range prisma.Versions() {
		kind, err := prisma.KindOf(version, "https://registry.example.com")
		want := version
		if names[version] != "" {
			want = names[version]
		}
		if err != nil || !kinds[kind] || prisma.VersionOf(kind) != want {
			t.Errorf("%q means %s, shown as %q, %v", version, kind, prisma.VersionOf(kind), err)
		}
	}
}

// TestEveryCredentialFormHasAType holds that whatever a kind logs in with can be sent over this API.
func TestEveryCredentialFormHasAType(t *testing.T) {
	types := prisma.CredentialTypes()
	byKind := map[tidewaiter.CredentialKind]string{}
	for name, kind := range types {
		if byKind[kind] != "" {
			t.Errorf("%s and %s mean the same", name, byKind[kind])
		}
		byKind[kind] = name
	}
	for _, can := range connector.Kinds() {
		for _, form := range can.Credentials {
			if byKind[form.Kind] == "" {
				t.Errorf("%s takes %s, which has no type", can.Kind, form.Kind)
			}
		}
	}
}

// TestCredentialsComeBackAsSent sends credentials of any type and reads them back: everything but the secret is as it was.
func TestCredentialsComeBackAsSent(t *testing.T) {
	var names []string
	for name := range prisma.CredentialTypes() {
		names = append(names, name)
	}
	slices.Sort(names)
	rapid.Check(t, func(t *rapid.T) {
		text := func(label string) string { return rapid.StringMatching(`[a-zA-Z0-9:/._-]{0,30}`).Draw(t, label) }
		kind, plain := rapid.SampledFrom(names).Draw(t, "type"), text("secret")
		sent := map[string]any{
			"_id": "a" + text("id"), "type": kind, "accountID": text("accountID"), "accountName": text("accountName"),
			"accountGUID": text("accountGUID"), "useAWSRole": rapid.Bool().Draw(t, "useAWSRole"), "roleArn": "r" + text("roleArn"),
			"azureSPInfo": map[string]any{"clientId": text("clientId"), "miType": "", "subscriptionId": text("subscriptionId"), "tenantId": text("tenantId")},
			"ociCred":     map[string]any{"fingerprint": text("fingerprint"), "tenancyId": text("tenancyId")},
			"secret":      map[string]any{"plain": plain},
		}
		b, err := json.Marshal(sent)
		if err != nil {
			t.Fatal(err)
		}
		c, revealed, err := prisma.CredentialThere(b)
		if err != nil || revealed != plain || c.Kind != prisma.CredentialTypes()[kind] {
			t.Fatalf("%+v, %q, %v", c, revealed, err)
		}
		c.Sealed = []byte("sealed")
		if b, err = prisma.CredentialBack(c); err != nil {
			t.Fatal(err)
		}
		var shown map[string]any
		if err := json.Unmarshal(b, &shown); err != nil {
			t.Fatal(err)
		}
		delete(sent, "secret")
		for name, want := range sent {
			a, _ := json.Marshal(want)        // maps and texts
			b, _ := json.Marshal(shown[name]) // likewise
			if string(a) != string(b) {
				t.Errorf("%s: sent %s, shown %s", name, a, b)
			}
		}
	})
}
