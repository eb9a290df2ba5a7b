package emulator

import (
	"fmt"
	"maps"
	"net/http"
	"regexp"
	"strings"
	"sync"
	"time"
)

// Request is one request the emulator has seen.
type Request struct {
	Method   string
	Path     string // with the query
	Host     string
	Endpoint string // what was asked, without names: "GET /v2/{name}/tags/list"
	Scheme   string // of the Authorization header: "Bearer"; never what follows it
	Status   int    // of the answer; 0 where the connection was cut before it
	At       time.Time
}

// maxRemembered bounds the requests kept one by one; the oldest go first. Counts go on.
const maxRemembered = 20_000

// recorder counts.
type recorder struct {
	mu          sync.Mutex
	requests    []*Request
	counts      map[string]int
	total       int
	current     int
	most        int
	pausedUntil time.Time
	duringPause int
}

func (c *recorder) begin(r *http.Request, now time.Time) *Request {
	scheme, _, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	seen := &Request{Method: r.Method, Path: r.URL.RequestURI(), Host: r.Host, Scheme: scheme, At: now}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.total++
	c.current++
	c.most = max(c.most, c.current)
	if now.Before(c.pausedUntil) {
		c.duringPause++
	}
	if len(c.requests) >= maxRemembered {
		c.requests = append([]*Request(nil), c.requests[maxRemembered/2:]...)
	}
	c.requests = append(c.requests, seen)
	return seen
}

func (c *recorder) end(seen *Request, status int, pattern string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.current--
	seen.Status = status
	if seen.Endpoint == "" {
		if seen.Endpoint = pattern; pattern == "" {
			seen.Endpoint = "other"
		}
	}
	if c.counts == nil {
		c.counts = map[string]int{}
	}
	c.counts[seen.Endpoint]++
}

// pause notes that clients were told to stay away until a moment.
func (c *recorder) pause(until time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if until.After(c.pausedUntil) {
		c.pausedUntil = until
	}
}

type requestKey struct{}

// label names what a request asks for where its path does not.
func label(r *http.Request, e *Emulator, endpoint string) {
	if seen, ok := r.Context().Value(requestKey{}).(*Request); ok {
		e.record.mu.Lock()
		defer e.record.mu.Unlock()
		seen.Endpoint = endpoint
	}
}

// Count is how many requests there were so far, on both addresses, refused ones included.
func (e *Emulator) Count() int {
	e.record.mu.Lock()
	defer e.record.mu.Unlock()
	return e.record.total
}

// Counts is how many requests each endpoint has answered so far.
func (e *Emulator) Counts() map[string]int {
	e.record.mu.Lock()
	defer e.record.mu.Unlock()
	return maps.Clone(e.record.counts)
}

// MaxConcurrent is the most requests there were at once.
func (e *Emulator) MaxConcurrent() int {
	e.record.mu.Lock()
	defer e.record.mu.Unlock()
	return e.record.most
}

// DuringPause is how many requests came before the time that an answer had told clients to wait for. Requests that were
// under way when that answer was given are not among them.
func (e *Emulator) DuringPause() int {
	e.record.mu.Lock()
	defer e.record.mu.Unlock()
	return e.record.duringPause
}

// Requests returns the requests among the last 20,000 whose "METHOD path?query" match a regular expression, in order.
func (e *Emulator) Requests(pattern string) ([]Request, error) {
	match, err := regexp.Compile(pattern)
	if err != nil {
		return nil, fmt.Errorf("pattern of requests: %w", err)
	}
	e.record.mu.Lock()
	defer e.record.mu.Unlock()
	var list []Request
	for _, r := range e.record.requests {
		if match.MatchString(r.Method + " " + r.Path) {
			list = append(list, *r)
		}
	}
	return list, nil
}

// Forget sets all counts back, and ends a pause.
func (e *Emulator) Forget() {
	c := &e.record
	c.mu.Lock()
	defer c.mu.Unlock()
	c.requests, c.counts, c.total, c.most = nil, nil, 0, c.current
	c.pausedUntil, c.duringPause = time.Time{}, 0
}
