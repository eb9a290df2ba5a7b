package advisory

import (
	"errors"
	"time"

	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

const (
	minWait = time.Minute
	maxWait = time.Hour // between attempts that fail
	spread  = 0.1       // part of a wait that is left to chance
)

// finish notes how an attempt ended and when the next one is due.
func (k *Keeper) finish(started time.Time, err error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.state.LastAttempt, k.state.LastError = started, err
	now := k.options.Now()
	if err != nil {
		k.failures++
		k.state.Next = now.Add(k.jitter(retryWait(k.failures, err)))
		return
	}
	k.failures = 0
	k.state.Next = now.Add(k.jitter(k.nextWait(now, now)))
}

// nextWait returns how long advisories looked at last at some time are good for: until their makers promised newer ones,
// and no longer than the interval. Where the promise has been broken already, the interval counts.
func (k *Keeper) nextWait(looked, now time.Time) time.Duration {
	next := looked.Add(k.options.Interval)
	if adv := k.state.Current; adv != nil && adv.NextUpdate.After(looked) && adv.NextUpdate.Before(next) {
		next = adv.NextUpdate
	}
	return max(minWait, next.Sub(now))
}

// retryWait doubles from a minute to an hour; a registry that says how long to wait is obeyed up to a day.
func retryWait(failures int, err error) time.Duration {
	wait := min(maxWait, minWait<<min(failures-1, 6))
	if e, ok := errors.AsType[*tidewaiter.Error](err); ok && e.Kind == tidewaiter.ErrLimit {
		wait = max(wait, min(e.RetryAfter, 24*time.Hour))
	}
	return wait
}

// jitter adds up to a tenth.
func (k *Keeper) jitter(wait time.Duration) time.Duration {
	return wait + time.Duration(spread*k.options.Random()*float64(wait))
}
