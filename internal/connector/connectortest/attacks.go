package connectortest

import (
	"bytes"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/tidewaiter/tidewaiter/internal/connector"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

const otherPort = "another port"

// KeepsCredentials holds that no other host gets a credential, whatever the registry names as next page, token server, place
// of a blob or new place: another name, another port, a private address, or itself without TLS. A listing whose next pages are
// said to be elsewhere is complete all the same.
func (s *Emulated) KeepsCredentials(t *testing.T) {
	t.Helper()
	for name, elsewhere := range map[string]string{
		"another host": "https://attacker.example.com", otherPort: "https://127.0.0.1:1", "a private address": "https://10.1.2.3",
		"a metadata service": "http://169.254.169.254", "plain HTTP": "http://" + s.Emulator.Host(),
	} {
		a := &attacker{url: elsewhere}
		network := a.between(s.network(t, nil))
		t.Run(name, func(t *testing.T) {
			s.followsNoLinks(t, s.OpenWith(t, s.Client(t, s.elsewhere(network, a, false)), s.Secret))

			if name != otherPort { // where people run the token server of their registry, so that it is trusted with its logins
				source := s.OpenWith(t, s.Client(t, s.elsewhere(network, a, true)), s.Secret)
				_, _, _ = source.Manifest(t.Context(), s.Repositories[0], "latest") // may work, where no token server is needed
				_, _, _ = source.Repositories(t.Context(), "")
			}

			s.followsNoRedirects(t, s.OpenWith(t, s.Client(t, redirecting(network, a, isQuestion)), s.Secret))
			s.fetchesBlobs(t, s.OpenWith(t, s.Client(t, redirecting(network, a, isBlob)), s.Secret), a)
		})
		if seen := a.credentials(); len(seen) > 0 {
			t.Errorf("at %s the attacker got %q", name, seen)
		}
	}
}

func (s *Emulated) followsNoLinks(t *testing.T, source *connector.Source) {
	t.Helper()
	total := 0
	for cursor := ""; ; {
		names, next, err := source.Repositories(t.Context(), cursor)
		if err != nil {
			t.Fatal(err)
		}
		if total += len(names); next == "" {
			break
		}
		cursor = next
	}
	if total != len(s.Repositories) {
		t.Errorf("%d repositories, want %d", total, len(s.Repositories))
	}
	readTags(t, func() *connector.Source { return source }, s.Repositories[0])
}

func (s *Emulated) followsNoRedirects(t *testing.T, source *connector.Source) {
	t.Helper()
	_, _, err := source.Repositories(t.Context(), "")
	if err == nil {
		t.Error("a listing that leads elsewhere is no error")
	}
	_, _, err = source.Manifest(t.Context(), s.Repositories[0], "latest")
	if err == nil || tidewaiter.KindOf(err) == tidewaiter.ErrBug {
		t.Errorf("a manifest elsewhere: %v", err)
	}
}

// fetchesBlobs asks for a configuration that the registry says is at the attacker's, which is how registries on object
// storage give out blobs.
func (s *Emulated) fetchesBlobs(t *testing.T, source *connector.Source, a *attacker) {
	t.Helper()
	m, _, err := source.Manifest(t.Context(), s.Repositories[0], "latest")
	if err != nil {
		t.Fatal(err)
	}
	if len(m.Manifests) > 0 {
		if m, _, err = source.Manifest(t.Context(), s.Repositories[0], m.Manifests[0].Digest); err != nil {
			t.Fatal(err)
		}
	}
	if _, _, err = source.Config(t.Context(), s.Repositories[0], m.Config); err == nil || tidewaiter.KindOf(err) == tidewaiter.ErrBug {
		t.Errorf("a blob at %s: %v", a.url, err)
	}
}

// elsewhere makes everything the registry says point to the attacker: links to next pages, or token servers.
func (s *Emulated) elsewhere(next http.RoundTripper, a *attacker, realms bool) http.RoundTripper {
	return roundTrip(func(r *http.Request) (*http.Response, error) {
		resp, err := next.RoundTrip(r)
		if err != nil || strings.Contains(r.URL.Path, ".well-known") {
			return resp, err
		}
		move := func(text string) string {
			return strings.ReplaceAll(strings.ReplaceAll(text, s.Emulator.URL, a.url), s.Emulator.API, a.url)
		}
		if realms {
			for i, v := range resp.Header["Www-Authenticate"] {
				resp.Header["Www-Authenticate"][i] = move(v)
			}
			return resp, nil
		}
		for i, v := range resp.Header["Link"] {
			if strings.HasPrefix(v, "</") {
				v = "<" + s.Emulator.URL + v[1:]
			}
			resp.Header["Link"][i] = move(v)
		}
		if strings.Contains(resp.Header.Get("Content-Type"), "json") && !strings.Contains(resp.Header.Get("Content-Type"), "manifest") && r.Method != http.MethodHead {
			body, err := io.ReadAll(resp.Body)
			resp.Body.Close()
			if err != nil {
				return nil, err
			}
			body = []byte(move(string(body)))
			resp.Body, resp.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
		}
		return resp, nil
	})
}

// isQuestion reports whether a request is none about logging in.
func isQuestion(r *http.Request) bool {
	for _, login := range []string{"token", "login", "exchange", "auth", "discovery", ".well-known"} {
		if strings.Contains(strings.ToLower(r.URL.Path), login) {
			return false
		}
	}
	return r.URL.Path != "/v2/" && !strings.HasSuffix(r.Header.Get("X-Amz-Target"), "GetAuthorizationToken")
}

func isBlob(r *http.Request) bool { return strings.Contains(r.URL.Path, "/blobs/") }

// redirecting answers some requests with a redirect to the attacker.
func redirecting(next http.RoundTripper, a *attacker, some func(*http.Request) bool) http.RoundTripper {
	return roundTrip(func(r *http.Request) (*http.Response, error) {
		if !some(r) || a.is(r) {
			return next.RoundTrip(r)
		}
		return &http.Response{
			StatusCode: http.StatusTemporaryRedirect, Header: http.Header{"Location": {a.url + r.URL.RequestURI()}},
			Body: http.NoBody, Request: r, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		}, nil
	})
}
