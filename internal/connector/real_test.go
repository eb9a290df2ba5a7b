package connector_test

import (
	"fmt"
	"testing"

	"github.com/tidewaiter/tidewaiter/internal/connector/connectortest"
	"github.com/tidewaiter/tidewaiter/internal/samples"
	"github.com/tidewaiter/tidewaiter/internal/secret"
	"github.com/tidewaiter/tidewaiter/internal/testkit"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// logins are the ways a distribution registry is set up with.
func logins() map[string]testkit.Options {
	return map[string]testkit.Options{
		"password, pages": {Username: "u", Password: "pw-1234", CatalogMax: 5},
		"password, TLS":   {Username: "u", Password: "pw-1234", TLS: testkit.TLSTrusted},
		"tokens":          {Username: "u", Password: "pw-1234", TokenAuth: true},
		"tokens, TLS":     {Username: "u", Password: "pw-1234", TokenAuth: true, TLS: testkit.TLSTrusted, CatalogMax: 5},
	}
}

// TestDistribution tries the oci kind on a real registry with passwords and with tokens, in pages, and over TLS.
func TestDistribution(t *testing.T) {
	for name, o := range logins() {
		t.Run(name, func(t *testing.T) { onDistribution(t, o) })
	}
}

// TestOldDistribution does the same with the generation before, where it is installed. It knows no largest page, and wants
// the keys of tokens in a form of its own.
func TestOldDistribution(t *testing.T) {
	program := testkit.OldRegistry(t)
	for name, o := range logins() {
		if o.TokenAuth {
			continue
		}
		o.Program, o.CatalogMax = program, 0
		t.Run(name, func(t *testing.T) { onDistribution(t, o) })
	}
}

func onDistribution(t *testing.T, o testkit.Options) {
	server := testkit.Registry(t, o)
	image := samples.NewImage().Step("base", samples.File("etc/os-release", "ID=debian\n")).Step("app", samples.File("app/name", "app")).MustBuild()
	pusher, err := samples.NewPusher(server.URL, samples.Options{Username: "u", Password: "pw-1234", Transport: server.Client().Transport})
	if err != nil {
		t.Fatal(err)
	}
	s := &connectortest.Subject{
		Registry:   &tidewaiter.Registry{Kind: tidewaiter.KindOCI, URL: server.URL, TLS: tidewaiter.TLS{CACert: string(server.CA)}},
		Credential: &tidewaiter.Credential{ID: "c", Kind: tidewaiter.CredentialBasic, Username: "u"},
		Secret:     secret.New("pw-1234"), Wrong: secret.New("no"),
		Tags:   func(string) int { return 2 },
		Digest: func(string, string) string { return image.Digest },
	}
	for i := range 12 {
		repository := fmt.Sprintf("team/app%02d", i)
		s.Repositories = append(s.Repositories, repository)
		if err := pusher.Push(t.Context(), repository, image, "v1", "latest"); err != nil {
			t.Fatal(err)
		}
	}
	pages, _ := s.Lists(t)
	if want := 1; o.CatalogMax > 0 && pages == want {
		t.Errorf("%d pages of 12 repositories where a page has at most %d", pages, o.CatalogMax)
	}
	s.Pulls(t)
	s.Concurrently(t)
	s.RefusesWrongSecrets(t)
}
