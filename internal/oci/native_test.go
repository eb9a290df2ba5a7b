package oci_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tidewaiter/tidewaiter/internal/oci"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

type wrapped func(*http.Request) (*http.Response, error)

func (w wrapped) RoundTrip(r *http.Request) (*http.Response, error) { return w(r) }

func TestHTTPStaysWithinItsOrigin(t *testing.T) {
	other := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("the other origin was asked") }))
	defer other.Close()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("User-Agent") != "test" {
			t.Errorf("asked by %q", r.Header.Get("User-Agent"))
		}
		http.Redirect(w, r, other.URL, http.StatusTemporaryRedirect)
	}))
	defer server.Close()
	client, err := oci.New(oci.Options{AllowLoopback: true, UserAgent: "test"}).HTTP(oci.Endpoint{})
	if err != nil {
		t.Fatal(err)
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	err = oci.Refused(resp, "ask", false, time.Now())
	wantKind(t, err, tidewaiter.ErrUnsupported, "redirects")
}

func TestHTTPIsGuarded(t *testing.T) {
	client, err := oci.New(oci.Options{}).HTTP(oci.Endpoint{})
	if err != nil {
		t.Fatal(err)
	}
	for _, address := range []string{"http://169.254.169.254/", "http://127.0.0.1:1/"} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, address, nil)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := client.Do(req)
		if err == nil {
			resp.Body.Close()
		}
		wantKind(t, oci.NetError(err, "host"), tidewaiter.ErrDenied)
	}
}

// TestWrapTranslatesLimits holds that an answer a wrapper turns into a 429 pauses everybody.
func TestWrapTranslatesLimits(t *testing.T) {
	var asked atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		asked.Add(1)
		w.Header().Set("Retry-After", "600")
		w.WriteHeader(http.StatusForbidden)
	}))
	defer server.Close()
	client, err := oci.New(oci.Options{AllowLoopback: true}).HTTP(oci.Endpoint{Wrap: func(next http.RoundTripper) http.RoundTripper {
		return wrapped(func(r *http.Request) (*http.Response, error) {
			resp, err := next.RoundTrip(r)
			if err == nil {
				resp.StatusCode = http.StatusTooManyRequests
			}
			return resp, err
		})
	}})
	if err != nil {
		t.Fatal(err)
	}
	for i := range 3 {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL, nil)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := client.Do(req)
		if i == 0 {
			if err != nil {
				t.Fatal(err)
			}
			err = oci.Refused(resp, "ask", false, time.Now())
		}
		wantKind(t, oci.NetError(err, "host"), tidewaiter.ErrLimit)
	}
	if asked.Load() != 1 {
		t.Errorf("asked %d times", asked.Load())
	}
}

func TestRefusedHidesSecrets(t *testing.T) {
	answer := httptest.NewRecorder()
	answer.WriteHeader(http.StatusUnauthorized)
	_, _ = answer.WriteString(`{"message":"the key s3cr3t-key is wrong"}`)
	resp := answer.Result()
	resp.Request = httptest.NewRequest(http.MethodGet, "https://example.com/x", nil)
	err := oci.Refused(resp, "ask", false, time.Now(), "s3cr3t-key")
	if wantKind(t, err, tidewaiter.ErrAuth); strings.Contains(err.Error(), "s3cr3t") {
		t.Error(err)
	}
}

// TestRefusedCredentialIsAskedForAgain holds that a function that keeps a credential hears of its refusal.
func TestRefusedCredentialIsAskedForAgain(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, p, _ := r.BasicAuth(); p != "new" {
			w.Header().Set("WWW-Authenticate", `Basic realm="x"`)
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		_, _ = w.Write([]byte(`{"name":"app","tags":["v1"]}`))
	}))
	defer server.Close()
	current := "old"
	r, err := oci.New(oci.Options{AllowLoopback: true}).Registry(oci.Endpoint{
		URL: server.URL, Refused: func() { current = "new" },
		Auth: func(context.Context, string) (oci.Credential, error) {
			return oci.Credential{Username: "u", Password: current}, nil
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	if tags, _, err := r.Tags(t.Context(), "app", ""); err != nil || len(tags) != 1 {
		t.Errorf("%v %v", tags, err)
	}
	_, body, err := r.Get(t.Context(), "/acr/v1/x", "", "", "x")
	if err != nil || !strings.Contains(string(body), "v1") {
		t.Errorf("%s %v", body, err)
	}
	if _, _, err := r.Get(t.Context(), "@evil.example/x", "", "", "x"); tidewaiter.KindOf(err) != tidewaiter.ErrInvalid {
		t.Errorf("a path that changes the host: %v", err)
	}
}
