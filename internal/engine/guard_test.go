package engine_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tidewaiter/tidewaiter/internal/engine"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

func TestGuard(t *testing.T) {
	broken := errors.New("broken")
	e := newEngine(t, engine.Options{})
	for _, tt := range []struct {
		name  string
		parse func(context.Context) error
		want  tidewaiter.ErrorKind
		is    error
	}{
		{"parsed", func(context.Context) error { return nil }, "", nil},
		{"failed", func(context.Context) error { return broken }, tidewaiter.ErrBug, broken},
		{"panicked", func(context.Context) error { panic("index out of range") }, tidewaiter.ErrMalformed, nil},
		{"nil dereferenced", func(context.Context) error { var p *int; *p = 1; return nil }, tidewaiter.ErrMalformed, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			released := 0
			done, err := e.Guard(t.Context(), time.Minute, tt.parse, func() { released++ })
			if !done || released != 1 || tidewaiter.KindOf(err) != tt.want || tt.is != nil && !errors.Is(err, tt.is) {
				t.Errorf("done %v, released %d times, %v", done, released, err)
			}
		})
	}
}

// A parser that outlives its time costs its file. What it reads is given back when it ends. So many of them at a time, and
// no more are begun.
func TestGuardTime(t *testing.T) {
	e := newEngine(t, engine.Options{})
	synctest.Test(t, func(t *testing.T) {
		end, released := make(chan struct{}), make(chan struct{}, engine.MaxStuck)
		for range engine.MaxStuck {
			done, err := e.Guard(t.Context(), 30*time.Second, func(context.Context) error { <-end; return nil }, func() { released <- struct{}{} })
			if done || tidewaiter.KindOf(err) != tidewaiter.ErrTooLarge {
				t.Fatalf("done %v, %v", done, err)
			}
		}
		if len(released) > 0 {
			t.Error("released what is still being read")
		}
		begun, released2 := false, false
		parse, release := func(context.Context) error { begun = true; return nil }, func() { released2 = true }
		if done, err := e.Guard(t.Context(), time.Second, parse, release); !done || begun || !released2 || tidewaiter.KindOf(err) != tidewaiter.ErrTooLarge {
			t.Errorf("begun %v, released %v, %v", begun, released2, err)
		}
		close(end)
		synctest.Wait()
		if len(released) != engine.MaxStuck {
			t.Errorf("%d released", len(released))
		}
		if _, err := e.Guard(t.Context(), time.Second, parse, release); err != nil || !begun {
			t.Errorf("begun %v, %v", begun, err)
		}
	})
}

func TestGuardCanceled(t *testing.T) {
	e := newEngine(t, engine.Options{})
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Second, cancel)
		end := make(chan struct{})
		defer close(end)
		done, err := e.Guard(ctx, time.Minute, func(context.Context) error { <-end; return nil }, func() {})
		if done || tidewaiter.KindOf(err) != tidewaiter.ErrCanceled {
			t.Errorf("done %v, %v", done, err)
		}
	})
}
