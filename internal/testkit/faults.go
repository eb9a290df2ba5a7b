package testkit

import (
	"errors"
	"io"
	"log"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"regexp"
	"strconv"
	"sync"
	"testing"
	"time"
)

// Fault says what goes wrong with some requests. What is left zero does not.
type Fault struct {
	Method string // "" for any
	Path   string // regular expression the path and query have to match; "" for any
	After  int    // matching requests that pass unharmed first
	Times  int    // matching requests harmed after that; 0 for all

	Status     int             // answer this without asking the registry
	RetryAfter string          // the Retry-After header of that answer: seconds or an HTTP date
	Header     http.Header     // more headers of that answer
	Body       string          // its body
	Delay      time.Duration   // before anything else; ends early when the client goes
	Hold       <-chan struct{} // wait for this to be closed before anything else, or for the client to go
	Cut        int64           // drop the connection after so many bytes of the registry's body; negative: before the header
	Corrupt    bool            // change the first byte of the registry's body
	Slow       time.Duration   // wait so long before each piece of the registry's body
}

// Request is one request the proxy has seen.
type Request struct {
	Method string
	Path   string // with the query
	Header http.Header
	Status int // of the answer; 0 where the connection was dropped
}

// Faults is a proxy in front of a registry that breaks what it is told to break, and remembers every request.
type Faults struct {
	URL, Host string

	mu       sync.Mutex
	rules    []*rule
	requests []*Request
}

type rule struct {
	Fault
	path *regexp.Regexp
	seen int
}

// NewFaults starts a proxy over plain HTTP in front of upstream, which it reaches by transport; nil is the default. The
// registry sees the proxy's own host name, so that the addresses it hands out lead through the proxy too.
func NewFaults(t testing.TB, upstream string, transport http.RoundTripper) *Faults {
	t.Helper()
	target, err := url.Parse(upstream)
	if err != nil {
		t.Fatalf("testkit: address of the registry: %v", err)
	}
	f := &Faults{}
	proxy := &httputil.ReverseProxy{
		Transport: transport,
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(target)
			r.Out.Host = r.In.Host
			r.Out.Header.Set("X-Forwarded-Proto", "http")
		},
		ModifyResponse: f.harm,
		ErrorHandler: func(w http.ResponseWriter, _ *http.Request, err error) {
			http.Error(w, err.Error(), http.StatusBadGateway)
		},
		FlushInterval: -1,
		ErrorLog:      log.New(io.Discard, "", 0), // a connection cut on purpose is no news
	}
	server := httptest.NewServer(f.handler(proxy))
	t.Cleanup(server.Close)
	f.URL, f.Host = server.URL, server.Listener.Addr().String()
	return f
}

// Add makes a fault happen from now on. Where several match a request, the one added first harms it.
func (f *Faults) Add(t testing.TB, fault Fault) {
	t.Helper()
	path, err := regexp.Compile(fault.Path)
	if err != nil {
		t.Fatalf("testkit: path of a fault: %v", err)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.rules = append(f.rules, &rule{Fault: fault, path: path})
}

// Clear ends all faults. The requests are kept.
func (f *Faults) Clear() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.rules = nil
}

// Requests returns the requests so far whose path and query match pattern, a regular expression, in order.
func (f *Faults) Requests(t testing.TB, method, pattern string) []Request {
	t.Helper()
	path, err := regexp.Compile(pattern)
	if err != nil {
		t.Fatalf("testkit: pattern: %v", err)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	var list []Request
	for _, r := range f.requests {
		if (method == "" || method == r.Method) && path.MatchString(r.Path) {
			list = append(list, *r)
		}
	}
	return list
}

// Forget drops the requests remembered so far.
func (f *Faults) Forget() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.requests = nil
}

// errCut ends a response in the middle.
var errCut = errors.New("connection cut")

// pick records a request and returns the fault that is to harm it, nil for none.
func (f *Faults) pick(r *http.Request) (*Request, *Fault) {
	f.mu.Lock()
	defer f.mu.Unlock()
	seen := &Request{Method: r.Method, Path: r.URL.RequestURI(), Header: r.Header.Clone()}
	f.requests = append(f.requests, seen)
	var chosen *Fault
	for _, rule := range f.rules {
		if rule.Method != "" && rule.Method != r.Method || !rule.path.MatchString(seen.Path) {
			continue
		}
		rule.seen++
		if n := rule.seen - rule.After; chosen == nil && n > 0 && (rule.Times == 0 || n <= rule.Times) {
			chosen = &rule.Fault
		}
	}
	return seen, chosen
}

type faultKey struct{}

// handler applies what happens before the registry is asked.
func (f *Faults) handler(proxy http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		seen, fault := f.pick(r)
		out := &statusWriter{ResponseWriter: w, note: func(status int) {
			f.mu.Lock()
			defer f.mu.Unlock()
			seen.Status = status
		}}
		if fault == nil {
			proxy.ServeHTTP(out, r)
			return
		}
		if !fault.wait(r) {
			return
		}
		switch {
		case fault.Status != 0:
			maps.Copy(out.Header(), fault.Header)
			if fault.RetryAfter != "" {
				out.Header().Set("Retry-After", fault.RetryAfter)
			}
			out.Header().Set("Content-Length", strconv.Itoa(len(fault.Body)))
			out.WriteHeader(fault.Status)
			_, _ = io.WriteString(out, fault.Body) // the client may have gone
		case fault.Cut < 0:
			panic(http.ErrAbortHandler)
		default:
			proxy.ServeHTTP(out, r.WithContext(withFault(r, fault))) //nolint:contextcheck // made from r's
		}
	})
}

// wait reports false when the client went meanwhile.
func (fault *Fault) wait(r *http.Request) bool {
	if fault.Hold != nil {
		select {
		case <-fault.Hold:
		case <-r.Context().Done():
			return false
		}
	}
	if fault.Delay <= 0 {
		return true
	}
	timer := time.NewTimer(fault.Delay)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-r.Context().Done():
		return false
	}
}

// statusWriter notes the status of an answer.
type statusWriter struct {
	http.ResponseWriter
	note func(int)
}

// WriteHeader notes the status and sends it.
func (w *statusWriter) WriteHeader(status int) {
	w.note(status)
	w.ResponseWriter.WriteHeader(status)
}

// Unwrap lets the proxy flush.
func (w *statusWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }
