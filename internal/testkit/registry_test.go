package testkit_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/tidewaiter/tidewaiter/internal/samples"
	"github.com/tidewaiter/tidewaiter/internal/testkit"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

func TestRegistryTakesAndGivesImages(t *testing.T) {
	tests := map[string]testkit.Options{
		"open":      {},
		"htpasswd":  {Username: "ann", Password: "secret"},
		"token":     {Username: "ann", Password: "secret", TokenAuth: true},
		"tls":       {TLS: testkit.TLSTrusted},
		"tls+token": {TLS: testkit.TLSTrusted, Username: "ann", Password: "secret", TokenAuth: true},
	}
	for label, o := range tests {
		t.Run(label, func(t *testing.T) {
			t.Parallel()
			s := testkit.Registry(t, o)
			img := samples.NewImage().Layer(samples.File("hello", "world")).MustBuild()
			if err := push(t, s, img, o.Password); err != nil {
				t.Fatal(err)
			}
			if o.Password == "" {
				ref, err := name.ParseReference(s.Host + "/some/app:1")
				if err != nil {
					t.Fatal(err)
				}
				got, err := remote.Head(ref, remote.WithTransport(s.Client().Transport))
				if err != nil || got.Digest.String() != img.Digest {
					t.Errorf("%v, %v", got, err)
				}
				return
			}
			if err := push(t, s, img, "wrong"); tidewaiter.KindOf(err) != tidewaiter.ErrAuth {
				t.Errorf("a wrong password: %v", err)
			}
			if o.TokenAuth && !strings.Contains(strings.Join(s.Token.Scopes(), " "), "repository:some/app:") {
				t.Errorf("scopes %q", s.Token.Scopes())
			}
		})
	}
}

func TestRegistryCertificates(t *testing.T) {
	tests := map[testkit.TLSMode]string{
		testkit.TLSTrusted:   "",
		testkit.TLSUnknownCA: "unknown authority",
		testkit.TLSExpired:   "expired",
		testkit.TLSOtherHost: "127.0.0.1",
	}
	for mode, want := range tests {
		t.Run(string(mode), func(t *testing.T) {
			t.Parallel()
			s := testkit.Registry(t, testkit.Options{TLS: mode})
			resp, err := s.Client().Get(s.URL + "/v2/")
			if err == nil {
				_ = resp.Body.Close()
			}
			if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
				t.Errorf("error %v, want %q", err, want)
			}
		})
	}
}

func TestRegistryDeleteCatalogAndNotify(t *testing.T) {
	events := make(chan string, 100)
	sink := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		var body struct {
			Events []struct{ Action string }
		}
		if json.NewDecoder(r.Body).Decode(&body) == nil && r.Header.Get("Authorization") == "Bearer hook" {
			for _, e := range body.Events {
				events <- e.Action
			}
		}
	}))
	t.Cleanup(sink.Close)
	s := testkit.Registry(t, testkit.Options{
		Delete: true, CatalogMax: 5, Notify: sink.URL, NotifyHeader: map[string][]string{"Authorization": {"Bearer hook"}},
	})
	ref, err := name.ParseReference(s.Host + "/some/app:1")
	if err != nil {
		t.Fatal(err)
	}
	img := randomImage(t)
	if err := remote.Write(ref, img); err != nil {
		t.Fatal(err)
	}
	for {
		select {
		case action := <-events:
			if action != "push" {
				continue
			}
		case <-t.Context().Done():
			t.Fatal("no event")
		}
		break
	}
	resp, err := http.Get(s.URL + "/v2/_catalog?n=100")
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	if resp.StatusCode != http.StatusBadRequest {
		t.Errorf("a long page of the catalog is answered with %s", resp.Status)
	}
	digest, err := img.Digest()
	if err != nil {
		t.Fatal(err)
	}
	if err := remote.Delete(ref.Context().Digest(digest.String())); err != nil {
		t.Error(err)
	}
}

func TestRegistryEnvironmentDoesNotLeakIn(t *testing.T) {
	t.Setenv("REGISTRY_HTTP_ADDR", "127.0.0.1:1")
	if s := testkit.Registry(t, testkit.Options{}); strings.HasSuffix(s.Host, ":1") {
		t.Errorf("listens on %s", s.Host)
	}
}

// push sends an image to some/app:1.
func push(t *testing.T, s *testkit.Server, m *samples.Manifest, password string) error {
	t.Helper()
	p, err := samples.NewPusher(s.URL, samples.Options{
		Username: s.Username, Password: password, Transport: s.Client().Transport,
	})
	if err != nil {
		t.Fatal(err)
	}
	return p.Push(t.Context(), "some/app", m, "1")
}

func randomImage(t *testing.T) v1.Image {
	t.Helper()
	img, err := random.Image(1<<10, 2)
	if err != nil {
		t.Fatal(err)
	}
	return img
}
