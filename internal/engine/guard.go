package engine

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"strings"
	"time"

	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// maxStuck is how many parsers may outlive their time before no more are started.
const maxStuck = 8

// guard runs parse in a goroutine of its own and returns its error, its panic as an ErrMalformed, or ErrTooLarge when it
// takes longer than limit. A parser cannot be killed: one that outlives its time goes on with what it was given until it
// notices its context, so the caller must not use that again when done is false. release is called when parse has ended,
// or is not begun.
func (e *Engine) guard(ctx context.Context, limit time.Duration, parse func(context.Context) error, release func()) (done bool, err error) {
	if e.stuck.Load() >= maxStuck {
		release()
		return true, tidewaiter.Errorf(tidewaiter.ErrTooLarge, "not parsed: %d earlier files are still being parsed", maxStuck)
	}
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	result := make(chan error, 1)
	go func() { result <- recovered(func() error { return parse(ctx) }) }()
	select {
	case err := <-result:
		release()
		return true, err
	case <-ctx.Done():
		e.stuck.Add(1)
		go func() {
			<-result //nolint:errcheck // nobody waits for it any more
			release()
			e.stuck.Add(-1)
		}()
		if errors.Is(ctx.Err(), context.DeadlineExceeded) {
			return false, tidewaiter.Errorf(tidewaiter.ErrTooLarge, "parsing took longer than %s", limit)
		}
		return false, tidewaiter.Errorf(tidewaiter.ErrCanceled, "%w", context.Cause(ctx))
	}
}

// recovered calls f and returns its panic as an error. A fault of memory-mapped or transpiled code counts as one.
func recovered(f func() error) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if r := recover(); r != nil {
			err = tidewaiter.Errorf(tidewaiter.ErrMalformed, "its parser gave up: %s", clip(fmt.Sprint(r), 200))
		}
	}()
	return f()
}

// clip shortens a text to at most n bytes.
func clip(s string, n int) string {
	if len(s) <= n {
		return s
	}
	return strings.ToValidUTF8(s[:n], "") + "…"
}
