package oci

import (
	"maps"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"
)

// Trace keeps the last requests made for a registry, so that a user can be shown what happened. It never holds headers,
// bodies or the values of query parameters that may be secret. It is safe for concurrent use.
type Trace struct {
	mu      sync.Mutex
	entries []*TraceEntry // a ring once it is full
	next    int
	max     int
	dropped int
	sent    map[RequestKind]int
}

// TraceEntry is one request on the wire.
type TraceEntry struct {
	At       time.Time     `json:"at"`
	Method   string        `json:"method,omitempty"` // empty for a remark
	URL      string        `json:"url,omitempty"`    // unknown query values are starred out
	Status   int           `json:"status,omitempty"` // 0 when there was no answer
	Bytes    int64         `json:"bytes"`            // of the body, as read so far
	Duration time.Duration `json:"duration"`         // from sending to the answer's headers
	Try      int           `json:"try"`              // 1 for the first
	Waited   time.Duration `json:"waited,omitempty"` // before sending
	WaitedOn string        `json:"waitedOn,omitempty"`
	Error    string        `json:"error,omitempty"` // or the text of a remark
}

// NewTrace makes a Trace that keeps the last max requests; 0 keeps 256.
func NewTrace(max int) *Trace {
	if max <= 0 {
		max = 256
	}
	return &Trace{max: max}
}

// Entries returns what is kept, oldest first.
func (t *Trace) Entries() []TraceEntry {
	if t == nil {
		return nil
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	ordered := slices.Concat(t.entries[t.next:], t.entries[:t.next])
	out := make([]TraceEntry, len(ordered))
	for i, e := range ordered {
		out[i] = *e
	}
	return out
}

// Dropped returns how many older requests are no longer kept.
func (t *Trace) Dropped() int {
	if t == nil {
		return 0
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.dropped
}

func (t *Trace) add(e TraceEntry) *TraceEntry {
	p := &e
	if t == nil {
		return p
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.entries) < t.max {
		t.entries = append(t.entries, p)
		return p
	}
	t.entries[t.next] = p
	t.next = (t.next + 1) % t.max
	t.dropped++
	return p
}

// amend changes an entry that was added, under the trace's lock.
func (t *Trace) amend(e *TraceEntry, change func(*TraceEntry)) {
	if t == nil {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	change(e)
}

// shownQuery are the parameters whose values say something and cannot be secret.
var shownQuery = map[string]bool{"n": true, "last": true, "scope": true, "service": true, "artifactType": true}

// displayURL returns a URL fit to be shown: no user, no fragment, unknown query values starred out, at most 1,024 bytes.
func displayURL(u *url.URL) string {
	var b strings.Builder
	b.WriteString(u.Scheme + "://" + u.Host + u.EscapedPath())
	sep := byte('?')
	if len(u.RawQuery) > 8192 {
		return clip(b.String(), 1024) + "?…"
	}
	q := u.Query()
	for _, key := range slices.Sorted(maps.Keys(q)) {
		for _, v := range q[key] {
			if !shownQuery[key] {
				v = "***"
			} else {
				v = url.QueryEscape(v)
			}
			b.WriteByte(sep)
			b.WriteString(url.QueryEscape(key) + "=" + v)
			sep = '&'
		}
	}
	return clip(b.String(), 1024)
}
