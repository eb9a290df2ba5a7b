package connector

import (
	"context"
	"sync"
	"time"

	"github.com/tidewaiter/tidewaiter/internal/oci"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

const (
	// unknownLife is how long something is kept whose end is not known, or lies in the past: a clock that is wrong, or an
	// emulator. It costs a request a minute and no more.
	unknownLife = time.Minute
	// dropAge is how old something has to be before a refusal makes it worth getting again.
	dropAge = 10 * time.Second
	// refusedLife is how long a refusal is believed, so that many requests at once do not each try a wrong password.
	refusedLife = 5 * time.Second
)

// kept holds something that is expensive to get and expires: a token, or the credential made of one. It is fetched by one
// at a time, and again before it ends. It is safe for concurrent use.
type kept[T any] struct {
	now   func() time.Time
	fetch func(context.Context) (value T, expires time.Time, err error) // a zero time is "not said"

	fetching chan struct{} // held while fetching

	mu      sync.Mutex
	value   T
	fetched time.Time // zero when there is no value
	renew   time.Time
	refusal error // believed until renew when there is no value
}

func keep[T any](now func() time.Time, fetch func(context.Context) (T, time.Time, error)) *kept[T] {
	return &kept[T]{now: now, fetch: fetch, fetching: make(chan struct{}, 1)}
}

// get returns the value. Waiting for somebody else's fetch ends with ctx.
func (k *kept[T]) get(ctx context.Context) (T, error) {
	if v, err, ok := k.current(); ok {
		return v, err
	}
	select {
	case k.fetching <- struct{}{}:
		defer func() { <-k.fetching }()
	case <-ctx.Done():
		var none T
		return none, oci.NetError(context.Cause(ctx), "the token server")
	}
	if v, err, ok := k.current(); ok {
		return v, err
	}
	v, expires, err := k.fetch(ctx)
	now := k.now()
	k.mu.Lock()
	defer k.mu.Unlock()
	k.refusal = nil
	switch tidewaiter.KindOf(err) {
	case "":
		k.value, k.fetched, k.renew = v, now, now.Add(useFor(expires, now))
	case tidewaiter.ErrAuth, tidewaiter.ErrDenied, tidewaiter.ErrInvalid:
		k.refusal, k.fetched, k.renew = err, time.Time{}, now.Add(refusedLife)
	}
	return v, err
}

// current returns what is there while it is good.
func (k *kept[T]) current() (v T, err error, ok bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if !k.now().Before(k.renew) {
		return v, nil, false
	}
	if k.refusal != nil {
		return v, k.refusal, true
	}
	return k.value, nil, !k.fetched.IsZero()
}

// drop forgets a value that was refused, unless it is so young that another would be refused too.
func (k *kept[T]) drop() {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.refusal == nil && k.now().Sub(k.fetched) >= dropAge {
		k.fetched = time.Time{}
		k.renew = time.Time{}
	}
}

// useFor says how long something that expires is used: a twelfth of its life is kept in reserve, so that what was begun
// with it can end.
func useFor(expires, now time.Time) time.Duration {
	life := expires.Sub(now)
	if expires.IsZero() || life <= 0 {
		return unknownLife
	}
	return life - max(life/12, min(life/4, 30*time.Second))
}
