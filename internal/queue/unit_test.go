package queue_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/tidewaiter/tidewaiter/internal/queue"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

func TestConclude(t *testing.T) {
	now := time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)
	live := context.Background()
	stopped, stop := context.WithCancel(live)
	stop()
	canceled, cancel := context.WithCancelCause(live)
	cancel(queue.ErrJobCanceled)
	late, end := context.WithDeadline(live, time.Unix(0, 0))
	defer end()
	wrapped := fmt.Errorf("list tags: %w", transient(time.Minute))
	refused := &tidewaiter.Error{Kind: tidewaiter.ErrAuth, Msg: "x", RetryAfter: 5 * time.Second}
	for name, c := range map[string]struct {
		ctx       context.Context
		last      bool
		since     time.Time
		replacing time.Time // since when a credential is waited for
		err       error
		want      queue.Ending
	}{
		"done":                   {ctx: live, want: queue.Ending{Outcome: "done"}},
		"done when stopped":      {ctx: stopped, want: queue.Ending{Outcome: "done"}},
		"done when canceled":     {ctx: canceled, want: queue.Ending{Outcome: "done"}},
		"stopped":                {ctx: stopped, last: true, err: errors.New("?"), want: queue.Ending{Outcome: "interrupted", Kind: tidewaiter.ErrBug}},
		"canceled":               {ctx: canceled, err: transient(0), want: queue.Ending{Outcome: "canceled", Kind: tidewaiter.ErrCanceled}},
		"too late":               {ctx: late, err: errors.New("?"), want: queue.Ending{Outcome: "retried", Kind: tidewaiter.ErrTransient}},
		"too late, last":         {ctx: late, last: true, err: errors.New("?"), want: queue.Ending{Outcome: "failed", Kind: tidewaiter.ErrTransient}},
		"deadline of its own":    {ctx: live, err: context.DeadlineExceeded, want: queue.Ending{Outcome: "retried", Kind: tidewaiter.ErrTransient}},
		"transient":              {ctx: live, err: transient(0), want: queue.Ending{Outcome: "retried", Kind: tidewaiter.ErrTransient}},
		"transient, last":        {ctx: live, last: true, err: transient(0), want: queue.Ending{Outcome: "failed", Kind: tidewaiter.ErrTransient}},
		"malformed":              {ctx: live, err: tidewaiter.Errorf(tidewaiter.ErrMalformed, "x"), want: queue.Ending{Outcome: "failed", Kind: tidewaiter.ErrMalformed}},
		"without kind":           {ctx: live, err: errors.New("?"), want: queue.Ending{Outcome: "failed", Kind: tidewaiter.ErrBug}},
		"asked to wait":          {ctx: live, last: true, err: wrapped, want: queue.Ending{Outcome: "snoozed", Wait: time.Minute, Since: now, Kind: tidewaiter.ErrTransient}},
		"asked to wait for days": {ctx: live, err: transient(99 * time.Hour), want: queue.Ending{Outcome: "snoozed", Wait: time.Hour, Since: now, Kind: tidewaiter.ErrTransient}},
		"waiting for 23 hours": {ctx: live, since: now.Add(-23 * time.Hour), err: wrapped,
			want: queue.Ending{Outcome: "snoozed", Wait: time.Minute, Since: now.Add(-23 * time.Hour), Kind: tidewaiter.ErrTransient}},
		"waiting for a day": {ctx: live, since: now.Add(-24 * time.Hour), err: wrapped, want: queue.Ending{Outcome: "failed", Kind: tidewaiter.ErrTransient}},
		"refused for good":  {ctx: live, err: tidewaiter.Errorf(tidewaiter.ErrAuth, "x"), want: queue.Ending{Outcome: "failed", Kind: tidewaiter.ErrAuth}},
		"credential being replaced": {ctx: live, last: true, err: fmt.Errorf("x: %w", refused),
			want: queue.Ending{Outcome: "snoozed", Wait: 5 * time.Second, Refused: now, Kind: tidewaiter.ErrAuth}},
		"being replaced for nine minutes": {ctx: live, replacing: now.Add(-9 * time.Minute), err: refused,
			want: queue.Ending{Outcome: "snoozed", Wait: 5 * time.Second, Refused: now.Add(-9 * time.Minute), Kind: tidewaiter.ErrAuth}},
		"being replaced for ten minutes": {ctx: live, replacing: now.Add(-10 * time.Minute), err: refused, want: queue.Ending{Outcome: "failed", Kind: tidewaiter.ErrAuth}},
		"snooze":                         {ctx: live, last: true, err: fmt.Errorf("x: %w", queue.Snooze(time.Second)), want: queue.Ending{Outcome: "snoozed", Wait: time.Second}},
		"snooze for weeks":               {ctx: live, err: queue.Snooze(1e6 * time.Hour), want: queue.Ending{Outcome: "snoozed", Wait: 24 * time.Hour}},
		"snooze backwards":               {ctx: live, err: queue.Snooze(-1), want: queue.Ending{Outcome: "snoozed"}},
		"gave up by itself":              {ctx: live, err: tidewaiter.Errorf(tidewaiter.ErrCanceled, "x"), want: queue.Ending{Outcome: "canceled", Kind: tidewaiter.ErrCanceled}},
	} {
		run := tidewaiter.JobRun{Attempt: 1, MaxAttempts: 2}
		if c.last {
			run.Attempt = 2
		}
		unix := func(at time.Time) int64 {
			if at.IsZero() {
				return 0
			}
			return at.Unix()
		}
		got := queue.Conclude(c.ctx, run, unix(c.since), unix(c.replacing), c.err, now)
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

func TestRetryDelay(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		attempt, chance := rapid.IntRange(-1, 1000).Draw(t, "attempt"), rapid.Float64Range(0, 0.999).Draw(t, "chance")
		d := queue.RetryDelay(attempt, chance)
		if d < time.Second || d > 5*time.Minute {
			t.Fatalf("%s", d)
		}
		if next := queue.RetryDelay(attempt+1, chance); next < d {
			t.Fatalf("%s, then %s", d, next)
		}
		if c := queue.CrashDelay(attempt, chance); c < 0 || c > 30*time.Second {
			t.Fatalf("after a crash %s", c)
		}
	})
	if a, b := queue.RetryDelay(2, 0.1), queue.RetryDelay(2, 0.9); a == b {
		t.Error("nothing is left to chance")
	}
}

func TestPulse(t *testing.T) {
	beat := func(n int) map[string]time.Time {
		// The clock of "far" is years ahead; "dead" stopped at once; "absent" is in no table.
		return map[string]time.Time{"far": time.Unix(9e9+int64(n), 0), "dead": time.Unix(1, 0), "absent": {}}
	}
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	p := queue.NewPulse(15 * time.Second)
	for n := range 3 {
		if dead := p.Observe(beat(n), now.Add(time.Duration(n)*5*time.Second)); len(dead) != 0 {
			t.Fatalf("after %d rounds: %v", n, dead)
		}
	}
	want := map[string]bool{"dead": true, "absent": true}
	if diff := cmp.Diff(want, p.Observe(beat(3), now.Add(15*time.Second))); diff != "" {
		t.Error(diff)
	}
	if dead := p.Observe(beat(3), now.Add(time.Hour)); len(dead) != 0 {
		t.Errorf("after a gap: %v", dead)
	}
	if lost := p.Lost([]int64{1, 2}, func(id int64) bool { return id == 2 }, now); len(lost) != 0 {
		t.Errorf("at first sight %v are lost", lost)
	}
	if lost := p.Lost([]int64{1, 2, 3}, func(id int64) bool { return id == 2 }, now.Add(15*time.Second)); !slices.Equal(lost, []int64{1}) {
		t.Errorf("%v are lost, want 1", lost)
	}
}

func TestValidKind(t *testing.T) {
	for kind, want := range map[tidewaiter.JobKind]bool{
		"scan": true, "a1": true, "re-judge_2.x": true, "": false, "a": false, "1a": false, "a b": false, "ä1": false, "-a": false,
		tidewaiter.JobKind(strings.Repeat("a", 127)): true,
	} {
		if got := queue.ValidKind(kind); got != want {
			t.Errorf("%q: %v", kind, got)
		}
	}
}

func TestRiverLogIsQuiet(t *testing.T) {
	var out bytes.Buffer
	now := time.Unix(0, 0)
	log := queue.RiverLog(slog.New(slog.NewTextHandler(&out, nil)), func() time.Time { return now })
	log.Info("info")
	log.Warn("one")
	log.With("a", 1).WithGroup("g").Warn("one")
	log.Error("two")
	now = now.Add(10 * time.Second)
	log.Warn("one")
	if n := strings.Count(out.String(), "\n"); n != 3 || strings.Contains(out.String(), "info") {
		t.Errorf("got %s", out.String())
	}
}
