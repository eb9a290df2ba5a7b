package qualys_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/tidewaiter/tidewaiter/internal/connector"
	"github.com/tidewaiter/tidewaiter/internal/qualys"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// TestEveryTypeComesBack holds that each registry type means a kind that is shown as that type, and that what the type logs
// in with is something the kind takes.
func TestEveryTypeComesBack(t *testing.T) {
	address := map[string]string{"GCP": "https://gcr.io", "GOOGLE_ARTIFACT_REGISTRY": "https://europe-docker.pkg.dev"}
	for name, credentials := range qualys.Types() {
		r := &tidewaiter.Registry{Kind: qualys.KindOf(name), URL: "https://registry.example.com", CredentialID: "c"}
		if address[name] != "" {
			r.URL = address[name]
		}
		if name == "V2" { // public: whoever logs in has the private type
			r.CredentialID = ""
		}
		if got := qualys.TypeOf(r); got != name {
			t.Errorf("%s means %s, which is shown as %s", name, r.Kind, got)
		}
		can, ok := connector.CapabilitiesOf(r.Kind)
		if !ok {
			t.Errorf("%s means %q", name, r.Kind)
		}
		for _, credential := range credentials {
			kind, known := qualys.CredentialKinds()[credential]
			takes := kind == "" && can.Anonymous || slices.ContainsFunc(can.Credentials, func(f connector.CredentialForm) bool { return f.Kind == kind })
			if !known || !takes && kind != tidewaiter.CredentialToken { // with a user name a token is a password
				t.Errorf("%s: %s is %q, which %s does not take", name, credential, kind, can.Kind)
			}
		}
	}
}

// TestEveryKindHasAType holds that registries declared elsewhere are shown as a type that there is.
func TestEveryKindHasAType(t *testing.T) {
	for _, can := range connector.Kinds() {
		url, err := tidewaiter.ParseRegistryURL(can.URLExample)
		if err != nil {
			t.Fatal(err)
		}
		name := qualys.TypeOf(&tidewaiter.Registry{Kind: can.Kind, URL: url, CredentialID: "c"})
		if _, known := qualys.Types()[name]; !known {
			t.Errorf("%s is shown as %q", can.Kind, name)
		}
		if own := qualys.KindOf(name); own != can.Kind && name != "V2_PRIVATE" {
			t.Errorf("%s is shown as %s, which means %s", can.Kind, name, own)
		}
		if again, err := qualys.TypeNamed(strings.ToLower(name)); err != nil || again != name {
			t.Errorf("%s is read as %q, %v", name, again, err)
		}
	}
}
