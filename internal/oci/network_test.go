package oci_test

import (
	"context"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tidewaiter/tidewaiter/internal/oci"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// network is an http.RoundTripper with a handler for each host[:port], so that tests use the names that matter and
// nothing leaves the process. It remembers every request.
type network struct {
	hosts map[string]http.Handler

	mu   sync.Mutex
	seen []*http.Request
}

func (n *network) RoundTrip(req *http.Request) (*http.Response, error) {
	if err := req.Context().Err(); err != nil {
		return nil, err
	}
	n.mu.Lock()
	n.seen = append(n.seen, req.Clone(context.Background()))
	n.mu.Unlock()
	h, ok := n.hosts[req.URL.Host]
	if !ok {
		return nil, fmt.Errorf("no such host in the test: %s", req.URL.Host)
	}
	in := req.Clone(req.Context())
	if in.Body == nil {
		in.Body = http.NoBody
	}
	in.RequestURI = req.URL.RequestURI()
	w := httptest.NewRecorder()
	h.ServeHTTP(w, in)
	resp := w.Result()
	resp.Request = req
	if req.Method == http.MethodHead {
		resp.Body = http.NoBody
	}
	return resp, nil
}

// requests lists "METHOD url" of what was sent to a host; "" is every host.
func (n *network) requests(host string) []string {
	n.mu.Lock()
	defer n.mu.Unlock()
	var out []string
	for _, r := range n.seen {
		if host == "" || r.URL.Host == host {
			out = append(out, r.Method+" "+r.URL.String())
		}
	}
	return out
}

// credentials lists the Authorization headers a host was sent.
func (n *network) credentials(host string) []string {
	n.mu.Lock()
	defer n.mu.Unlock()
	var out []string
	for _, r := range n.seen {
		if a := r.Header.Get("Authorization"); a != "" && r.URL.Host == host {
			out = append(out, a)
		}
	}
	return out
}

func (n *network) client() *oci.Client {
	return oci.New(oci.Options{Transport: n, Backoff: time.Nanosecond, Budget: oci.NewBudget(oci.Limits{PerSecond: -1}, nil)})
}

func (n *network) registry(t *testing.T, e oci.Endpoint) *oci.Registry {
	t.Helper()
	return open(t, n.client(), e)
}

func open(t *testing.T, c *oci.Client, e oci.Endpoint) *oci.Registry {
	t.Helper()
	r, err := c.Registry(e)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// local is a client for servers of the test on this machine.
func local(t *testing.T) *oci.Client {
	t.Helper()
	c := oci.New(oci.Options{AllowLoopback: true, Backoff: time.Nanosecond, Timeout: 20 * time.Second})
	t.Cleanup(c.Close)
	return c
}

func certOf(s *httptest.Server) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw}))
}

func text(status int, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}
}

func wantKind(t *testing.T, err error, kind tidewaiter.ErrorKind, words ...string) {
	t.Helper()
	if got := tidewaiter.KindOf(err); got != kind {
		t.Fatalf("kind %q, want %q: %v", got, kind, err)
	}
	for _, w := range words {
		if !strings.Contains(err.Error(), w) {
			t.Errorf("error %q does not say %q", err, w)
		}
	}
}

func quiet() *log.Logger { return log.New(io.Discard, "", 0) }

func encodeDER(s *httptest.Server) string {
	return base64.StdEncoding.EncodeToString(s.TLS.Certificates[0].Certificate[0])
}
