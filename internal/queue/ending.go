package queue

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/riverqueue/river/rivertype"

	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// outcome is what became of an attempt.
type outcome string

const (
	done        outcome = "done"
	snoozed     outcome = "snoozed"     // waits, the attempt does not count
	retried     outcome = "retried"     // waits, the attempt counts
	failed      outcome = "failed"      // for good
	canceled    outcome = "canceled"    // somebody asked for it
	interrupted outcome = "interrupted" // the process stops; back as if nothing had been
)

// ending is an outcome with what belongs to it.
type ending struct {
	outcome outcome
	err     error
	wait    time.Duration // of snoozed
	since   time.Time     // of snoozed: when waiting for others began; zero when the wait has no bound
	refused time.Time     // of snoozed: when waiting for a credential began
}

const (
	maxWaiting = 24 * time.Hour   // for others, over all attempts
	maxRefused = 10 * time.Minute // for a new credential, over all attempts
	maxWait    = time.Hour        // at a time, whatever the other side asked for
	maxSnooze  = 24 * time.Hour   // at a time, for Snooze
	minRetry   = time.Second      // before the second attempt
	maxRetry   = 5 * time.Minute  // before any later one
)

// snoozeError is what Snooze returns.
type snoozeError struct{ wait time.Duration }

func (e *snoozeError) Error() string { return fmt.Sprintf("run again in %s", e.wait) }

// Snooze is the error of a handler that is not done but wants to be called again after a while, at most a day, without
// that counting as an attempt. How often it does that is its own business.
func Snooze(wait time.Duration) error {
	return &snoozeError{wait: min(max(wait, 0), maxSnooze)}
}

// conclude decides what becomes of an attempt that ended with err under ctx.
func conclude(ctx context.Context, run tidewaiter.JobRun, n notes, err error, now time.Time, chance func(time.Duration) time.Duration) ending {
	if err == nil {
		return ending{outcome: done}
	}
	if wasCanceled(ctx) {
		return ending{outcome: canceled, err: errCanceled}
	}
	late := errors.Is(ctx.Err(), context.DeadlineExceeded)
	if ctx.Err() != nil && !late {
		return ending{outcome: interrupted, err: err}
	}
	if snooze, ok := errors.AsType[*snoozeError](err); ok {
		return ending{outcome: snoozed, wait: snooze.wait}
	}
	e, _ := errors.AsType[*tidewaiter.Error](err)
	kind := tidewaiter.KindOf(err)
	switch {
	case late || e == nil && errors.Is(err, context.DeadlineExceeded):
		err = tidewaiter.Errorf(tidewaiter.ErrTransient, "the job took too long: %w", err)
	case kind == tidewaiter.ErrCanceled:
		return ending{outcome: canceled, err: err}
	case kind == tidewaiter.ErrAuth && e.RetryAfter > 0:
		return waitForCredential(n, e.RetryAfter, err, now, chance)
	case !kind.Retryable():
		return ending{outcome: failed, err: err}
	case e != nil && e.RetryAfter > 0:
		return wait(n, e.RetryAfter, err, now, chance)
	}
	if run.Last() {
		return ending{outcome: failed, err: err}
	}
	return ending{outcome: retried, err: err}
}

// wait ends an attempt that the other side refused for a while.
func wait(n notes, asked time.Duration, err error, now time.Time, chance func(time.Duration) time.Duration) ending {
	since := n.limitedSince(now)
	if now.Sub(since) >= maxWaiting {
		return ending{outcome: failed, err: fmt.Errorf("waited for %s in vain: %w", maxWaiting, err)}
	}
	return ending{outcome: snoozed, err: err, wait: chance(min(asked, maxWait)), since: since}
}

// waitForCredential ends an attempt whose credential was let in before and is refused now: it may be in the middle of being
// replaced.
func waitForCredential(n notes, again time.Duration, err error, now time.Time, chance func(time.Duration) time.Duration) ending {
	since := now
	if n.Refused > 0 {
		since = time.Unix(n.Refused, 0)
	}
	if now.Sub(since) >= maxRefused {
		return ending{outcome: failed, err: fmt.Errorf("waited for %s for another credential: %w", maxRefused, err)}
	}
	return ending{outcome: snoozed, err: err, wait: chance(min(again, maxWait)), refused: since}
}

func (n notes) limitedSince(now time.Time) time.Time {
	if n.Limited == 0 {
		return now
	}
	return time.Unix(n.Limited, 0)
}

// retryPolicy says when a job is tried again.
type retryPolicy struct{}

// NextRetry returns the time after which the attempt after this one may begin: 1 second after the first, four times as
// long after each further one, 5 minutes at most, and up to half of that more or less by chance within these bounds. It
// goes by the clock River goes by.
func (retryPolicy) NextRetry(job *rivertype.JobRow) time.Time {
	return time.Now().Add(retryDelay(job.Attempt, rand.Float64())) //nolint:gosec // spreads retries, hides nothing
}

// retryDelay returns how long to wait after an attempt; chance is in [0, 1).
func retryDelay(attempt int, chance float64) time.Duration {
	delay := minRetry
	for range min(attempt-1, 10) {
		delay = min(delay*4, maxRetry)
	}
	return min(max(time.Duration(float64(delay)*(0.5+chance)), minRetry), maxRetry)
}
