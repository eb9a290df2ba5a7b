package oci

import (
	"context"
	"errors"
	"math/rand/v2"
	"net/http"
	"time"
)

// Shared keeps budgets together with other processes. It is safe for concurrent use.
type Shared interface {
	// Take takes one of so many places for a host and credential, that all processes have together. Without give none is to
	// be had now: because of a pause that lasts for as long as paused, or else because all are taken.
	Take(ctx context.Context, host, credential string, places int) (give func(), paused time.Duration, err error)
	// Pause lets nobody ask a host with a credential for some time; a longer pause stays.
	Pause(ctx context.Context, host, credential string, d time.Duration) error
}

// Share has the places and pauses shared with other processes from now on; call it before the Budget is used. The rate stays
// that of each process. Where the other side of s cannot be reached, nothing is sent.
func (b *Budget) Share(s Shared) { b.shared = s }

// share takes a place among all processes. give is nil when there is a pause instead, which the lane knows of then.
func (b *Budget) share(ctx context.Context, key laneKey, l *lane) (give func(), err error) {
	ctx, cancel := context.WithTimeoutCause(ctx, placeWait, errNoPlace)
	defer cancel()
	for wait := sharedPoll; ; wait = min(wait*2, maxSharedPoll) {
		give, paused, err := b.shared.Take(ctx, key.host, key.credential, b.limits.Concurrent)
		switch {
		case errors.Is(context.Cause(ctx), errNoPlace):
			if give != nil {
				give()
			}
			return nil, noPlace(key.host)
		case err != nil:
			return nil, err
		case give != nil && b.paused(l):
			give() // somebody here was told to wait in the meantime
			return nil, nil
		case give != nil:
			return give, nil
		case paused > 0:
			b.mu.Lock()
			l.pause(b.now(), paused)
			b.mu.Unlock()
			return nil, nil
		}
		if err := sleep(ctx, wait/2+rand.N(wait)); err != nil && !errors.Is(err, errNoPlace) { //nolint:gosec // spreads the asking, hides nothing
			return nil, err
		}
	}
}

// Asking for a shared place again: after this, and twice as long each time up to the most.
const (
	sharedPoll    = 10 * time.Millisecond
	maxSharedPoll = 200 * time.Millisecond
)

var errNoPlace = errors.New("no place came free")

func (b *Budget) paused(l *lane) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return l.until.After(b.now())
}

// observe learns from an answer, and tells other processes of a pause.
func (b *Budget) observe(ctx context.Context, key laneKey, status int, h http.Header) error {
	d := b.learn(key, status, h)
	if d <= 0 || b.shared == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), tellTime)
	defer cancel()
	return b.shared.Pause(ctx, key.host, key.credential, d)
}

// tellTime bounds telling other processes of a pause.
const tellTime = 5 * time.Second
