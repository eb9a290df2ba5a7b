package auth

import (
	"container/list"
	"fmt"
	"net/netip"
	"sync"
	"time"

	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

const (
	freeFailures = 5                // this many are nobody's fault
	firstWait    = time.Second      // after one more; doubled with each further one
	longestWait  = 5 * time.Minute  // never more, so that nobody can be locked out for long by a stranger
	forgetAfter  = 15 * time.Minute // without a failure
	maxThrottled = 10_000           // names and addresses remembered
)

// throttle makes those who fail wait: a name, whoever tries it, and an address, whatever it tries. It remembers a bounded
// number of either, the most recent ones.
type throttle struct {
	mu      sync.Mutex
	max     int
	entries map[digest]*list.Element
	recent  *list.List // of *failures, the most recent first
}

type failures struct {
	key   digest
	count int
	last  time.Time
}

func newThrottle(max int) *throttle {
	return &throttle{max: max, entries: make(map[digest]*list.Element), recent: list.New()}
}

// check fails with ErrLimit when one of the keys has to wait.
func (t *throttle) check(keys []digest, now time.Time) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	var wait time.Duration
	for _, k := range keys {
		if e := t.entries[k]; e != nil {
			wait = max(wait, failuresOf(e).wait(now))
		}
	}
	if wait <= 0 {
		return nil
	}
	seconds := int((wait + time.Second - 1) / time.Second)
	return &tidewaiter.Error{Kind: tidewaiter.ErrLimit, RetryAfter: wait,
		Msg: fmt.Sprintf("too many failed logins; try again in %d s", seconds)}
}

// fail counts a failure of each key.
func (t *throttle) fail(keys []digest, now time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, k := range keys {
		e := t.entries[k]
		if e == nil {
			if len(t.entries) >= t.max {
				oldest := t.recent.Back()
				t.recent.Remove(oldest)
				delete(t.entries, failuresOf(oldest).key)
			}
			e = t.recent.PushFront(&failures{key: k})
			t.entries[k] = e
		}
		t.recent.MoveToFront(e)
		f := failuresOf(e)
		if now.Sub(f.last) > forgetAfter {
			f.count = 0
		}
		f.count++
		f.last = now
	}
}

func failuresOf(e *list.Element) *failures {
	return e.Value.(*failures) //nolint:forcetypeassert // the list holds nothing else
}

// wait returns how long the next attempt has to wait.
func (f *failures) wait(now time.Time) time.Duration {
	over := f.count - freeFailures
	if over < 0 || now.Sub(f.last) > forgetAfter {
		return 0
	}
	d := longestWait
	if over < 9 { // 2^9 s is more
		d = min(firstWait<<over, longestWait)
	}
	return max(0, f.last.Add(d).Sub(now))
}

// forgive forgets the failures of a key.
func (t *throttle) forgive(k digest) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if e := t.entries[k]; e != nil {
		t.recent.Remove(e)
		delete(t.entries, k)
	}
}

// network returns what an address is throttled by: itself, or its /64 for IPv6, where one host has them all.
func network(remote string) string {
	host := remote
	if ap, err := netip.ParseAddrPort(remote); err == nil {
		host = ap.Addr().String()
	}
	addr, err := netip.ParseAddr(host)
	if err != nil {
		return remote
	}
	addr = addr.Unmap().WithZone("")
	if addr.Is6() {
		if p, err := addr.Prefix(64); err == nil {
			return p.String()
		}
	}
	return addr.String()
}
