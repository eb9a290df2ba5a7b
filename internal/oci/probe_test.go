package oci_test

import (
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/registry"
	"github.com/tidewaiter/tidewaiter/internal/oci"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

func stepNames(steps []oci.Step) (names []string) {
	for _, s := range steps {
		names = append(names, s.Name)
	}
	return names
}

func TestProbeOfAGoodRegistry(t *testing.T) {
	plain, _, _ := pushed(t)
	steps := local(t).Probe(t.Context(), oci.Endpoint{URL: plain}, "")
	if got := stepNames(steps); !slices.Equal(got, []string{"resolve", "connect", "login", "list", "pull"}) {
		t.Fatalf("%+v", steps)
	}
	for _, s := range steps {
		if !s.OK || s.Error != "" || s.Detail == "" {
			t.Errorf("%+v", s)
		}
	}
	if d := steps[4].Detail; !strings.Contains(d, "team/app:") || !strings.Contains(d, "sha256:") {
		t.Error(d)
	}
	steps = local(t).Probe(t.Context(), oci.Endpoint{URL: plain}, "team/app")
	if d := steps[3].Detail; d != "2 tags in team/app" || !steps[4].OK {
		t.Errorf("%+v", steps)
	}
}

func TestProbeStopsWhereItFails(t *testing.T) {
	secure := httptest.NewUnstartedServer(registry.New(registry.Logger(quiet())))
	secure.Config.ErrorLog = quiet()
	secure.StartTLS()
	defer secure.Close()
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed.Close()
	locked := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("WWW-Authenticate", `Basic realm="x"`)
		w.WriteHeader(http.StatusUnauthorized)
	}))
	defer locked.Close()
	hub := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/v2/_catalog" {
			w.WriteHeader(http.StatusNotFound)
		}
	}))
	defer hub.Close()
	for name, c := range map[string]struct {
		endpoint   oci.Endpoint
		repository string
		last       string
		kind       tidewaiter.ErrorKind
		words      string
	}{
		"no such name":        {oci.Endpoint{URL: "https://no-such-host.invalid"}, "", "resolve", tidewaiter.ErrUnreachable, "no-such-host.invalid"},
		"forbidden address":   {oci.Endpoint{URL: "http://169.254.169.254"}, "", "resolve", tidewaiter.ErrDenied, "not allowed"},
		"refused":             {oci.Endpoint{URL: "http://" + closed.Addr().String()}, "", "connect", tidewaiter.ErrUnreachable, "refused"},
		"unknown authority":   {oci.Endpoint{URL: secure.URL}, "", "tls", tidewaiter.ErrTLS, "unknown authority"},
		"no credential":       {oci.Endpoint{URL: locked.URL}, "", "login", tidewaiter.ErrAuth, "wants a login"},
		"wrong credential":    {oci.Endpoint{URL: locked.URL, Auth: oci.Basic("u", "x")}, "", "login", tidewaiter.ErrAuth, "refused the credential"},
		"closed catalog":      {oci.Endpoint{URL: hub.URL}, "", "list", tidewaiter.ErrUnsupported, "list of repositories"},
		"missing repository":  {oci.Endpoint{URL: secure.URL, TLS: tidewaiter.TLS{CACert: certOf(secure)}}, "team/none", "list", tidewaiter.ErrGone, "team/none"},
		"a proxy that is not": {oci.Endpoint{URL: "https://registry.example.com"}, "", "login", tidewaiter.ErrUnreachable, ""},
	} {
		t.Run(name, func(t *testing.T) {
			client := local(t)
			if strings.HasPrefix(name, "a proxy") {
				client = oci.New(oci.Options{AllowLoopback: true, Backoff: time.Nanosecond, Proxy: func(*http.Request) (*url.URL, error) {
					return &url.URL{Scheme: "http", Host: closed.Addr().String()}, nil
				}})
			}
			steps := client.Probe(t.Context(), c.endpoint, c.repository)
			last := steps[len(steps)-1]
			if last.Name != c.last || last.OK || last.Kind != c.kind || !strings.Contains(last.Error, c.words) || last.Detail != "" {
				t.Errorf("%+v", last)
			}
			for _, s := range steps[:len(steps)-1] {
				if !s.OK {
					t.Errorf("went on after %+v", s)
				}
			}
		})
	}
	steps := local(t).Probe(t.Context(), oci.Endpoint{URL: secure.URL, TLS: tidewaiter.TLS{CACert: certOf(secure)}}, "")
	if got := stepNames(steps); !slices.Equal(got, []string{"resolve", "connect", "tls", "login", "list", "pull"}) || !steps[5].OK {
		t.Errorf("an empty registry: %+v", steps)
	}
	if d := steps[2].Detail; !strings.Contains(d, "valid until 2084") || !strings.Contains(d, "TLS 1.3") {
		t.Errorf("TLS step: %s", d)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	steps = local(t).Probe(ctx, oci.Endpoint{URL: secure.URL}, "")
	if last := steps[len(steps)-1]; last.OK || last.Kind != tidewaiter.ErrCanceled {
		t.Errorf("cancelled: %+v", last)
	}
}
