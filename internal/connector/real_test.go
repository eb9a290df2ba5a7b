package connector_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/tidewaiter/tidewaiter/internal/connector/connectortest"
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
	image, err := random.Image(1024, 2)
	if err != nil {
		t.Fatal(err)
	}
	digest, err := image.Digest()
	if err != nil {
		t.Fatal(err)
	}
	s := &connectortest.Subject{
		Registry:   &tidewaiter.Registry{Kind: tidewaiter.KindOCI, URL: server.URL, TLS: tidewaiter.TLS{CACert: string(server.CA)}},
		Credential: &tidewaiter.Credential{ID: "c", Kind: tidewaiter.CredentialBasic, Username: "u"},
		Secret:     secret.New("pw-1234"), Wrong: secret.New("no"),
		Tags:   func(string) int { return 2 },
		Digest: func(string, string) string { return digest.String() },
	}
	for i := range 12 {
		repository := fmt.Sprintf("team/app%02d", i)
		s.Repositories = append(s.Repositories, repository)
		for _, tag := range []string{"v1", "latest"} {
			push(t, server, repository+":"+tag, image)
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

func push(t *testing.T, server *testkit.Server, reference string, image v1.Image) {
	t.Helper()
	options := []name.Option{}
	if strings.HasPrefix(server.URL, "http:") {
		options = append(options, name.Insecure)
	}
	ref, err := name.ParseReference(server.Host+"/"+reference, options...)
	if err != nil {
		t.Fatal(err)
	}
	transport := server.Client().Transport
	if err := remote.Write(ref, image, remote.WithAuth(&authn.Basic{Username: "u", Password: "pw-1234"}), remote.WithTransport(transport)); err != nil {
		t.Fatal(err)
	}
}
