package connector_test

import (
	"context"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tidewaiter/tidewaiter/emulator"
	"github.com/tidewaiter/tidewaiter/internal/connector"
	"github.com/tidewaiter/tidewaiter/internal/connector/connectortest"
	"github.com/tidewaiter/tidewaiter/internal/oci"
	"github.com/tidewaiter/tidewaiter/internal/secret"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

func TestCapabilities(t *testing.T) {
	seen := map[tidewaiter.RegistryKind]bool{}
	for _, c := range connector.Kinds() {
		if seen[c.Kind] || c.Title == "" || len(c.Credentials) == 0 {
			t.Errorf("%+v", c)
		}
		seen[c.Kind] = true
		if pattern, err := regexp.Compile(c.URLPattern); err != nil || !pattern.MatchString(c.URLExample) {
			t.Errorf("%s: the example %s does not match %s, %v", c.Kind, c.URLExample, c.URLPattern, err)
		}
		if _, err := tidewaiter.ParseRegistryURL(c.URLExample); err != nil {
			t.Errorf("%s: %v", c.Kind, err)
		}
		if c.Tags == connector.ListingDistribution && (c.DigestInListing || c.TimeInListing != "") {
			t.Errorf("%s promises what the distribution API does not tell", c.Kind)
		}
	}
	if len(seen) != 15 {
		t.Errorf("%d kinds", len(seen))
	}
	if _, ok := connector.CapabilitiesOf("none"); ok {
		t.Error("there is no such kind")
	}
}

// TestREADME holds that every kind and every setting is in the README.
func TestREADME(t *testing.T) {
	raw, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range connector.Kinds() {
		if !strings.Contains(string(raw), "| `"+string(c.Kind)+"` | "+string(c.Repositories)+" | "+string(c.Tags)+" |") {
			t.Errorf("no row of %s", c.Kind)
		}
		for _, f := range c.Settings {
			if !strings.Contains(string(raw), "`"+f.Key+"`") {
				t.Errorf("no %s of %s", f.Key, c.Kind)
			}
		}
	}
}

// TestVendorCredentialsStayAtHome holds that a cloud's credential is used for the cloud's own registries only.
func TestVendorCredentialsStayAtHome(t *testing.T) {
	c := connector.New(oci.New(oci.Options{}), nil, nil)
	azure := map[string]string{"tenantId": "t", "clientId": "c"}
	oracle := map[string]string{"tenancyId": "ocid1.tenancy.oc1..a", "fingerprint": strings.Repeat("ab:", 15) + "ab"}
	for _, x := range []struct {
		kind       tidewaiter.RegistryKind
		credential tidewaiter.CredentialKind
		url        string
		settings   map[string]string
		want       tidewaiter.ErrorKind
	}{
		{tidewaiter.KindECR, tidewaiter.CredentialAWS, "https://123456789012.dkr.ecr.us-gov-west-1.amazonaws.com", nil, ""},
		{tidewaiter.KindECR, tidewaiter.CredentialAWS, "https://123456789012.dkr.ecr.cn-north-1.amazonaws.com.cn", nil, ""},
		{tidewaiter.KindECR, tidewaiter.CredentialAWS, "https://123456789012.dkr.ecr-fips.us-east-1.amazonaws.com", nil, ""},
		{tidewaiter.KindECR, tidewaiter.CredentialAWS, "https://public.ecr.aws", nil, ""},
		{tidewaiter.KindECR, tidewaiter.CredentialAWS, "https://123456789012.dkr.ecr.us-east-1.amazonaws.com.example.com", nil, tidewaiter.ErrInvalid},
		{tidewaiter.KindECR, tidewaiter.CredentialAWS, "http://123456789012.dkr.ecr.us-east-1.amazonaws.com", nil, tidewaiter.ErrInvalid},
		{tidewaiter.KindACR, tidewaiter.CredentialAzure, "https://x.azurecr.io", azure, ""},
		{tidewaiter.KindACR, tidewaiter.CredentialAzure, "https://x.azurecr.us", azure, ""},
		{tidewaiter.KindACR, tidewaiter.CredentialAzure, "https://azurecr.io.example.com", azure, tidewaiter.ErrInvalid},
		{tidewaiter.KindGAR, tidewaiter.CredentialToken, "https://europe-docker.pkg.dev", nil, ""},
		{tidewaiter.KindGAR, tidewaiter.CredentialToken, "https://gcr.io/project", nil, ""},
		{tidewaiter.KindGAR, tidewaiter.CredentialToken, "https://pkg.dev.example.com", nil, tidewaiter.ErrInvalid},
		{tidewaiter.KindIBM, tidewaiter.CredentialIBM, "https://de.icr.io", nil, ""},
		{tidewaiter.KindIBM, tidewaiter.CredentialIBM, "https://icr.io.example.com", nil, tidewaiter.ErrInvalid},
		{tidewaiter.KindOCIR, tidewaiter.CredentialOCI, "https://ocir.example.com", oracle, tidewaiter.ErrInvalid},
		{tidewaiter.KindGHCR, tidewaiter.CredentialToken, "https://ghcr.io", nil, ""},
		{tidewaiter.KindGHCR, tidewaiter.CredentialToken, "https://ghcr.example.com", nil, tidewaiter.ErrInvalid},
		{tidewaiter.KindHarbor, tidewaiter.CredentialAWS, "https://harbor.example.com", nil, tidewaiter.ErrInvalid},
		{"none", tidewaiter.CredentialBasic, "https://example.com", nil, tidewaiter.ErrUnsupported},
	} {
		_, err := c.Connect(&tidewaiter.Registry{Kind: x.kind, URL: x.url},
			&tidewaiter.Credential{ID: "c", Kind: x.credential, Username: "user", Settings: x.settings}, secret.New("s3cr3t"), nil)
		if tidewaiter.KindOf(err) != x.want {
			t.Errorf("%s at %s: %v, want %q", x.kind, x.url, err, x.want)
		}
	}
}

func TestCursorsOfOthersAreRefused(t *testing.T) {
	for _, c := range connector.Kinds() {
		s := connectortest.Emulate(t, c.Kind, emulator.Options{Repositories: 2, Tags: 3})
		for _, cursor := range []string{"x", "1.2", "0.0.x", "-1.0.x", "1.zz.x", "1.0."} {
			_, _, err := s.Open(t).Repositories(t.Context(), cursor)
			if tidewaiter.KindOf(err) != tidewaiter.ErrInvalid {
				t.Errorf("%s: cursor %q: %v", c.Kind, cursor, err)
			}
		}
	}
}

func TestProbe(t *testing.T) {
	for _, c := range connector.Kinds() {
		s := connectortest.Emulate(t, c.Kind, emulator.Options{Repositories: 2, Tags: 3, Artifacts: -1, Indexes: -1})
		probe := func(plain secret.Value) []oci.Step {
			return connector.NewWithOptions(s.Client(t, nil), nil, nil, s.Options).Probe(t.Context(), s.Registry, s.Credential, plain)
		}
		good := probe(s.Secret)
		if last := good[len(good)-1]; !last.OK || last.Name != "pull" {
			t.Errorf("%s: %+v", c.Kind, good)
		}
		bad := probe(s.Wrong)
		if last := bad[len(bad)-1]; last.OK || last.Kind != tidewaiter.ErrAuth && last.Kind != tidewaiter.ErrDenied {
			t.Errorf("%s with a wrong secret: %+v", c.Kind, bad)
		}
		if last := bad[len(bad)-1]; strings.Contains(last.Error+last.Detail+last.Fix, s.Wrong.Reveal()) {
			t.Errorf("%s: the probe shows the secret", c.Kind)
		}
	}
}

// store keeps one registry and its credential.
type store struct {
	registry   *tidewaiter.Registry
	credential *tidewaiter.Credential
}

func (s store) Registry(context.Context, string) (*tidewaiter.Registry, error) {
	return s.registry, nil
}

func (s store) Credential(context.Context, string) (*tidewaiter.Credential, error) {
	return s.credential, nil
}

func TestOpenKeepsUntilChanged(t *testing.T) {
	keyring, err := secret.Open(t.TempDir() + "/key")
	if err != nil {
		t.Fatal(err)
	}
	sealed, err := keyring.Seal([]byte("pw"), "c")
	if err != nil {
		t.Fatal(err)
	}
	at := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	s := store{
		&tidewaiter.Registry{ID: "r", Kind: tidewaiter.KindOCI, URL: "https://example.com", CredentialID: "c", UpdatedAt: at},
		&tidewaiter.Credential{ID: "c", Kind: tidewaiter.CredentialBasic, Username: "u", Sealed: sealed, UpdatedAt: at},
	}
	c := connector.New(oci.New(oci.Options{}), s, keyring)
	open := func() *connector.Source {
		t.Helper()
		source, err := c.Open(t.Context(), "r")
		if err != nil {
			t.Fatal(err)
		}
		return source
	}
	first := open()
	if open() != first {
		t.Error("opened twice")
	}
	s.credential.UpdatedAt = at.Add(time.Second)
	second := open()
	if second == first {
		t.Error("a changed credential is not used")
	}
	s.registry.UpdatedAt = at.Add(time.Second)
	if open() == second {
		t.Error("a changed registry is not used")
	}
}

// TestNothingIsAskedBeforeItIsNeeded holds that connecting alone makes no request.
func TestNothingIsAskedBeforeItIsNeeded(t *testing.T) {
	kinds := connector.Kinds()
	slices.Reverse(kinds)
	for _, c := range kinds {
		s := connectortest.Emulate(t, c.Kind, emulator.Options{Repositories: 1, Tags: 1})
		s.Open(t)
		if n := s.Emulator.Count(); n != 0 {
			t.Errorf("%s: %d requests to connect", c.Kind, n)
		}
	}
}
