package oci

import (
	"cmp"
	"context"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
	"golang.org/x/time/rate"
)

const (
	maxLanes  = 4096             // (host, credential) pairs remembered
	placeWait = 2 * time.Minute  // longest wait for another request to finish
	maxPause  = 24 * time.Hour   // longest pause believed
	firstHold = time.Second      // pause after a 429 that names none, doubled with each further one …
	maxHold   = 60 * time.Second // … up to here
)

// Limits bound what is sent to one host with one credential. Zero values mean the defaults.
type Limits struct {
	Concurrent int     // requests under way at once, bodies included; default 8
	PerSecond  float64 // requests per second; default 50, negative is unlimited
	Burst      int     // default 50
}

// Budget shares out requests by (host, credential) for the whole process, and with Share for several. It learns from what registries answer: after a
// 429 or a 503 that says when to come back, nobody sends to that host with that credential before that time. It is safe
// for concurrent use.
type Budget struct {
	limits Limits
	now    func() time.Time
	shared Shared // nil keeps to this process

	mu    sync.Mutex
	lanes map[laneKey]*lane
}

type laneKey struct{ host, credential string }

// lane is the state of one (host, credential). places has its own lock; the rest is under Budget.mu.
type lane struct {
	places  chan struct{}
	rate    *rate.Limiter
	until   time.Time // nobody sends before
	refused int       // 429s since the last success
	using   int       // requests waiting or under way
	limit   int64     // as the registry last said; -1 unknown
	left    int64     // likewise
}

// NewBudget makes a Budget; now may be nil.
func NewBudget(l Limits, now func() time.Time) *Budget {
	if now == nil {
		now = time.Now
	}
	l.Concurrent = max(cmp.Or(l.Concurrent, 8), 1)
	l.PerSecond = cmp.Or(l.PerSecond, 50)
	l.Burst = max(cmp.Or(l.Burst, 50), 1)
	return &Budget{limits: l, now: now, lanes: map[laneKey]*lane{}}
}

// LaneStatus is what is known of one (host, credential).
type LaneStatus struct {
	Host        string    `json:"host"`
	Credential  string    `json:"credential,omitempty"` // Endpoint.CredentialKey
	Active      int       `json:"active"`               // requests waiting or under way
	Limit       int64     `json:"limit"`                // the registry's own account; -1 when it gave none
	Remaining   int64     `json:"remaining"`            // likewise
	PausedUntil time.Time `json:"pausedUntil,omitzero"` // zero when not paused
}

// Status lists every lane, sorted by host and credential.
func (b *Budget) Status() []LaneStatus {
	b.mu.Lock()
	defer b.mu.Unlock()
	out := make([]LaneStatus, 0, len(b.lanes))
	for k, l := range b.lanes {
		s := LaneStatus{Host: k.host, Credential: k.credential, Active: l.using, Limit: l.limit, Remaining: l.left}
		if l.until.After(b.now()) {
			s.PausedUntil = l.until
		}
		out = append(out, s)
	}
	slices.SortFunc(out, func(a, b LaneStatus) int {
		return cmp.Or(strings.Compare(a.Host, b.Host), strings.Compare(a.Credential, b.Credential))
	})
	return out
}

// waited says what a request waited for before it was sent, and how long.
type waited struct {
	time time.Duration
	on   []string
}

func (w *waited) add(d time.Duration, on string) {
	if d <= 0 {
		return
	}
	w.time += d
	if !slices.Contains(w.on, on) {
		w.on = append(w.on, on)
	}
}

// acquire waits for a place, for pauses and for the rate, the latter two for no longer than patience: beyond that it
// returns an ErrLimit with RetryAfter. The caller calls release exactly once, when the body is closed.
func (b *Budget) acquire(ctx context.Context, key laneKey, patience time.Duration) (release func(), w waited, err error) {
	l := b.enter(key)
	leave := func() {
		b.mu.Lock()
		l.using--
		b.mu.Unlock()
	}
	start := b.now()
	if err := takePlace(ctx, l.places, key.host); err != nil {
		leave()
		return nil, w, err
	}
	w.add(b.now().Sub(start), "a free place")
	free := func() { // not the result itself: that would come to call itself
		<-l.places
		leave()
	}
	for {
		delay, on, ready := b.turn(l)
		if ready && b.shared == nil {
			return free, w, nil
		}
		if ready {
			start := b.now()
			give, err := b.share(ctx, key, l)
			w.add(b.now().Sub(start), "a place that is shared with other processes")
			if err != nil {
				free()
				return nil, w, err
			}
			if give != nil {
				return func() { give(); free() }, w, nil
			}
			continue // there is a pause now
		}
		if delay > patience {
			free()
			return nil, w, pausedError(key.host, delay)
		}
		if err := sleep(ctx, delay); err != nil {
			free()
			return nil, w, err
		}
		patience -= delay
		w.add(delay, on)
	}
}

// turn says whether the lane may send now, else how long to wait and for what.
func (b *Budget) turn(l *lane) (delay time.Duration, on string, ready bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := b.now()
	if d := l.until.Sub(now); d > 0 {
		return d, "a pause the registry asked for", false
	}
	r := l.rate.ReserveN(now, 1)
	if d := r.DelayFrom(now); d > 0 {
		r.CancelAt(now)
		return d, "the request rate", false
	}
	return 0, "", true
}

func takePlace(ctx context.Context, places chan struct{}, host string) error {
	select {
	case places <- struct{}{}:
		return nil
	default:
	}
	t := time.NewTimer(placeWait)
	defer t.Stop()
	select {
	case places <- struct{}{}:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-t.C:
		return noPlace(host)
	}
}

func noPlace(host string) error {
	e := tidewaiter.Errorf(tidewaiter.ErrLimit, "all places for requests to %s were taken for %s", host, placeWait)
	e.RetryAfter = 30 * time.Second
	return e
}

func pausedError(host string, d time.Duration) error {
	e := tidewaiter.Errorf(tidewaiter.ErrLimit, "%s asked for a pause of %s", host, d.Round(time.Second))
	e.RetryAfter = d
	return e
}

// enter returns the lane of key and counts the caller in.
func (b *Budget) enter(key laneKey) *lane {
	b.mu.Lock()
	defer b.mu.Unlock()
	l, ok := b.lanes[key]
	if !ok {
		if len(b.lanes) >= maxLanes {
			b.forget()
		}
		limit := rate.Limit(b.limits.PerSecond)
		if b.limits.PerSecond < 0 {
			limit = rate.Inf
		}
		l = &lane{places: make(chan struct{}, b.limits.Concurrent), rate: rate.NewLimiter(limit, b.limits.Burst), limit: -1, left: -1}
		b.lanes[key] = l
	}
	l.using++
	return l
}

// forget drops lanes nobody uses and nothing is remembered of.
func (b *Budget) forget() {
	now := b.now()
	for k, l := range b.lanes {
		if l.using == 0 && !l.until.After(now) {
			delete(b.lanes, k)
		}
	}
}

// learn returns the pause an answer asks for, 0 for none.
func (b *Budget) learn(key laneKey, status int, h http.Header) time.Duration {
	now := b.now()
	r := rateHeaders(h, now)
	after, named := retryAfter(h, now)
	b.mu.Lock()
	defer b.mu.Unlock()
	l, ok := b.lanes[key]
	if !ok {
		return 0
	}
	if r.limit >= 0 {
		l.limit = r.limit
	}
	if r.left >= 0 {
		l.left = r.left
	}
	var d time.Duration
	switch {
	case status == http.StatusTooManyRequests:
		l.refused++
		if d = after; !named {
			d = max(r.wait(l.limit), min(firstHold<<min(l.refused-1, 10), maxHold))
		}
	case status == http.StatusServiceUnavailable && named:
		d = after
	case status < 400:
		l.refused = 0
		if r.left == 0 {
			d = r.reset
		}
	}
	if d > 0 {
		l.pause(now, d)
	}
	return d
}

// pause never shortens a pause: the longest one asked for holds.
func (l *lane) pause(now time.Time, d time.Duration) {
	if until := now.Add(min(d, maxPause)); until.After(l.until) {
		l.until = until
	}
}

// sleep waits for d or until ctx ends.
func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
