package oci_test

import (
	"fmt"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tidewaiter/tidewaiter/internal/oci"
)

// TestLimitsAreRead has each way to tell a limit be obeyed: nobody asks before the time it names.
func TestLimitsAreRead(t *testing.T) {
	unix := func(d time.Duration) string { return fmt.Sprint(time.Now().Add(d).Unix()) }
	for name, c := range map[string]struct {
		status int
		header func(h http.Header)
		wait   time.Duration
	}{
		"retry after a timestamp": {429, func(h http.Header) { h.Set("Retry-After", unix(8*time.Second)) }, 8 * time.Second},
		"window":                  {429, func(h http.Header) { h.Set("Ratelimit-Remaining", "0;w=12") }, 12 * time.Second},
		"one header":              {429, func(h http.Header) { h.Set("Ratelimit", `"default";r=0;t=9`) }, 9 * time.Second},
		"policy": {429, func(h http.Header) {
			h.Set("Ratelimit", `"default";r=0`)
			h.Set("Ratelimit-Policy", `"default";q=100;w=14`)
		}, 14 * time.Second},
		"github's 403": {403, func(h http.Header) {
			h.Set("X-Ratelimit-Remaining", "0")
			h.Set("X-Ratelimit-Reset", unix(7*time.Second))
		}, 7 * time.Second},
		"github's second limit": {403, func(h http.Header) { h.Set("Retry-After", "5") }, 5 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := &refuseFirst{n: 1, status: c.status, header: c.header}
				n := &network{hosts: map[string]http.Handler{"registry.example.com": s}}
				if _, _, err := n.registry(t, oci.Endpoint{URL: home}).Tags(t.Context(), "app", ""); err != nil {
					t.Fatal(err)
				}
				if got := s.times[len(s.times)-1].Sub(s.times[0]); len(s.times) != 2 || got != c.wait {
					t.Errorf("asked %d times, again after %s, want %s", len(s.times), got, c.wait)
				}
			})
		})
	}
}

// TestLongWindowsAreShared asks again once one request's share of Docker Hub's six hours is over, not after all of them.
func TestLongWindowsAreShared(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &refuseFirst{n: 1, status: 429, header: func(h http.Header) {
			h.Set("Ratelimit-Limit", "100;w=21600")
			h.Set("Ratelimit-Remaining", "0;w=21600")
		}}
		n := &network{hosts: map[string]http.Handler{"registry.example.com": s}}
		_, _, err := n.registry(t, oci.Endpoint{URL: home}).Tags(t.Context(), "app", "")
		wantRetryAfter(t, err, 216*time.Second)
	})
}

// TestRequestsAreCountedByWhatTheyAreFor lists a registry that wants a token.
func TestRequestsAreCountedByWhatTheyAreFor(t *testing.T) {
	trace := oci.NewTrace(1) // keeps one and counts all
	n := &network{hosts: map[string]http.Handler{"registry.example.com": text(200, `{"tags":["1"]}`)}}
	r := n.registry(t, oci.Endpoint{URL: home, Trace: trace, Auth: oci.Basic("u", "p")})
	for range 3 {
		if _, _, err := r.Tags(oci.Asking(t.Context(), oci.RequestTags), "app", ""); err != nil {
			t.Fatal(err)
		}
	}
	got := trace.Requests()
	if got[oci.RequestTags] != 3 || got[oci.RequestLogin] != 1 || len(got) != 2 {
		t.Errorf("%v", got)
	}
}
