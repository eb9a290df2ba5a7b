package connectortest

import (
	"bytes"
	"crypto/tls"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/tidewaiter/tidewaiter/internal/connector"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// KeepsCredentials holds that no other host gets a credential, whatever the registry names as next page, token server or
// new place, and that a listing whose next pages are said to be elsewhere is complete all the same.
func (s *Emulated) KeepsCredentials(t *testing.T) {
	t.Helper()
	a := newAttacker(t)
	network := s.network(t, &tls.Config{InsecureSkipVerify: true}) // the attacker is to be reachable
	t.Run("next pages", func(t *testing.T) {
		source := s.OpenWith(t, s.Client(t, s.elsewhere(network, a, false)), s.Secret)
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
	})
	t.Run("token servers", func(t *testing.T) {
		source := s.OpenWith(t, s.Client(t, s.elsewhere(network, a, true)), s.Secret)
		_, _, _ = source.Manifest(t.Context(), s.Repositories[0], "latest") // may work, where no token server is needed
		_, _, _ = source.Repositories(t.Context(), "")
	})
	t.Run("redirects", func(t *testing.T) {
		source := s.OpenWith(t, s.Client(t, redirecting(network, a)), s.Secret)
		_, _, err := source.Repositories(t.Context(), "")
		if err == nil {
			t.Error("a listing that leads elsewhere is no error")
		}
		_, _, err = source.Manifest(t.Context(), s.Repositories[0], "latest")
		if err == nil || tidewaiter.KindOf(err) == tidewaiter.ErrBug {
			t.Errorf("a manifest elsewhere: %v", err)
		}
	})
	if seen := a.credentials(); len(seen) > 0 {
		t.Errorf("the attacker got %q", seen)
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

// redirecting answers every question that is not about logging in with a redirect to the attacker.
func redirecting(next http.RoundTripper, a *attacker) http.RoundTripper {
	return roundTrip(func(r *http.Request) (*http.Response, error) {
		for _, login := range []string{"token", "login", "exchange", "auth", "discovery", ".well-known"} {
			if strings.Contains(strings.ToLower(r.URL.Path), login) {
				return next.RoundTrip(r)
			}
		}
		if strings.HasPrefix(r.URL.Host, "localhost") || r.URL.Path == "/v2/" || strings.HasSuffix(r.Header.Get("X-Amz-Target"), "GetAuthorizationToken") {
			return next.RoundTrip(r)
		}
		return &http.Response{
			StatusCode: http.StatusTemporaryRedirect, Header: http.Header{"Location": {a.url + r.URL.RequestURI()}},
			Body: http.NoBody, Request: r, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		}, nil
	})
}
