package queue_test

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/tidewaiter/tidewaiter/internal/queue"
	"github.com/tidewaiter/tidewaiter/internal/store"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

func TestWork(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, url string) {
		db := open(t, url)
		q := newQueue(t, db)
		runs := make(chan tidewaiter.JobRun, 10)
		q.Handle("tag", func(ctx context.Context, run tidewaiter.JobRun) error {
			if end, ok := ctx.Deadline(); !ok || time.Until(end) > time.Minute {
				t.Errorf("deadline %v, %v", end, ok)
			}
			runs <- run
			return nil
		})
		start(t, q)
		enqueue(t, db, q, tidewaiter.Job{
			Kind: "tag", Lane: tidewaiter.LaneEvent, Args: map[string]string{"tag": "latest"}, RegistryID: "r1", MaxAttempts: 3, Timeout: time.Minute,
		})
		run := next(t, runs)
		if !strings.Contains(string(run.Args), "latest") || run.ID == 0 || time.Since(run.CreatedAt).Abs() > patience {
			t.Errorf("got %+v", run)
		}
		run.ID, run.Args, run.CreatedAt = 0, nil, time.Time{}
		if diff := cmp.Diff(tidewaiter.JobRun{Kind: "tag", Lane: tidewaiter.LaneEvent, Attempt: 1, MaxAttempts: 3, RegistryID: "r1", Turn: "r1"}, run); diff != "" {
			t.Error(diff)
		}
		eventually(t, "the job is completed", func() bool { return count(t, db, "state = 'completed'") == 1 })
	})
}

func transient(after time.Duration) error {
	return &tidewaiter.Error{Kind: tidewaiter.ErrTransient, Msg: "not now", RetryAfter: after}
}

// TestErrors runs one job of each sort and looks at how often it ran, with which attempt, and where it ended.
func TestErrors(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, url string) {
		db := open(t, url)
		q := newQueue(t, db, func(c *queue.Config) { c.Workers = each(10); c.Log = slog.New(slog.DiscardHandler) })
		cases := map[string]struct {
			max      int
			do       func(n int32) error
			runs     int32
			attempts string // of the last run
			state    string
			told     tidewaiter.ErrorKind
		}{
			"ok":      {5, func(int32) error { return nil }, 1, "1", "completed", ""},
			"retried": {5, func(n int32) error { return [...]error{transient(0), nil}[n-1] }, 2, "2", "completed", ""},
			"used-up": {2, func(int32) error { return transient(0) }, 2, "2", "cancelled", tidewaiter.ErrTransient},
			"asked-to-wait": {1, func(n int32) error {
				return [...]error{transient(time.Millisecond), transient(time.Millisecond), nil}[n-1]
			}, 3, "1", "completed", ""},
			"snoozed":           {1, func(n int32) error { return [...]error{queue.Snooze(0), queue.Snooze(time.Millisecond), nil}[n-1] }, 3, "1", "completed", ""},
			"malformed":         {5, func(int32) error { return tidewaiter.Errorf(tidewaiter.ErrMalformed, "broken") }, 1, "1", "cancelled", tidewaiter.ErrMalformed},
			"no-kind":           {5, func(int32) error { return errors.New("?") }, 1, "1", "cancelled", tidewaiter.ErrBug},
			"panic":             {5, func(int32) error { panic("ouch") }, 1, "1", "cancelled", tidewaiter.ErrBug},
			"stopped-by-itself": {5, func(int32) error { return tidewaiter.Errorf(tidewaiter.ErrCanceled, "enough") }, 1, "1", "cancelled", ""},
		}
		runs, last := map[string]*atomic.Int32{}, sync.Map{}
		told := sync.Map{}
		for name := range cases {
			runs[name] = new(atomic.Int32)
		}
		q.Handle("test", func(_ context.Context, run tidewaiter.JobRun) error {
			name := text(t, run)
			last.Store(name, run.Attempt)
			return cases[name].do(runs[name].Add(1))
		})
		q.HandleFailure("test", func(ctx context.Context, run tidewaiter.JobRun, err error) error {
			told.Store(text(t, run), tidewaiter.KindOf(err))
			return ctx.Err()
		})
		for name, c := range cases {
			enqueue(t, db, q, tidewaiter.Job{Kind: "test", Lane: tidewaiter.LaneFresh, Args: name, UniqueKey: name, MaxAttempts: c.max})
		}
		start(t, q)
		eventually(t, "all jobs ended", func() bool { return count(t, db, "finalized_at is not null") == len(cases) })
		for name, c := range cases {
			attempt, _ := last.Load(name)
			kind, _ := told.LoadOrStore(name, tidewaiter.ErrorKind(""))
			state := ""
			if err := db.Writer().QueryRow("select state from river_job where metadata ->> 'key' = '" + name + "'").Scan(&state); err != nil {
				t.Fatal(err)
			}
			if runs[name].Load() != c.runs || attempt != int(c.attempts[0]-'0') || state != c.state || kind != c.told {
				t.Errorf("%s: %d runs, last attempt %v, state %s, told %q", name, runs[name].Load(), attempt, state, kind)
			}
		}
		kept := "array_to_string(errors, '') like '%ouch%'"
		if db.Dialect() == store.SQLite {
			kept = "json(errors) like '%ouch%'"
		}
		if count(t, db, kept) != 1 {
			t.Error("the panic is not kept with the job")
		}
	})
}

func TestFailureIsToldAgain(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, url string) {
		db := open(t, url)
		q := newQueue(t, db, func(c *queue.Config) { c.Log = slog.New(slog.DiscardHandler) })
		q.Handle("test", func(context.Context, tidewaiter.JobRun) error { return errors.New("broken") })
		told := make(chan int, 10)
		q.HandleFailure("test", func(_ context.Context, run tidewaiter.JobRun, _ error) error {
			told <- run.Attempt
			return transient(0)
		})
		start(t, q)
		enqueue(t, db, q, job("test", tidewaiter.LaneSystem, nil))
		next(t, told)
		eventually(t, "the job waits", func() bool {
			return count(t, db, "state = 'scheduled' and attempt = 0 and metadata ->> 'limited_since' is not null") == 1
		})
	})
}

func TestTimeout(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, url string) {
		db := open(t, url)
		q := newQueue(t, db, func(c *queue.Config) { c.Log = slog.New(slog.DiscardHandler) })
		q.Handle("test", func(ctx context.Context, _ tidewaiter.JobRun) error {
			<-ctx.Done()
			return tidewaiter.Errorf(tidewaiter.ErrBug, "odd: %w", ctx.Err())
		})
		told := make(chan error, 1)
		q.HandleFailure("test", func(_ context.Context, _ tidewaiter.JobRun, err error) error { told <- err; return nil })
		start(t, q)
		enqueue(t, db, q, tidewaiter.Job{Kind: "test", Lane: tidewaiter.LaneFresh, Timeout: time.Millisecond, MaxAttempts: 2})
		if err := next(t, told); tidewaiter.KindOf(err) != tidewaiter.ErrTransient || !strings.Contains(err.Error(), "too long") {
			t.Errorf("got %v", err)
		}
	})
}

func TestLanesDoNotWaitForEachOther(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, url string) {
		db := open(t, url)
		q := newQueue(t, db)
		rescanning, hold := make(chan int, 10), make(chan struct{})
		q.Handle("rescan", func(ctx context.Context, _ tidewaiter.JobRun) error {
			rescanning <- 1
			<-hold
			return nil
		})
		answered := make(chan int, 10)
		q.Handle("ask", func(context.Context, tidewaiter.JobRun) error { answered <- 1; return nil })
		enqueue(t, db, q, numbered(many(100_000), func(i int) tidewaiter.Job { return job("rescan", tidewaiter.LaneRescan, i) })...)
		start(t, q)
		t.Cleanup(func() { close(hold) }) // before the queue is stopped
		next(t, rescanning)
		enqueue(t, db, q, job("ask", tidewaiter.LaneInteractive, nil))
		next(t, answered)
		if n := len(rescanning); n != 0 {
			t.Errorf("%d more rescans began meanwhile", n)
		}
		stats, err := q.Stats(t.Context())
		if err != nil || stats[tidewaiter.LaneRescan].Waiting != many(100_000)-1 || stats[tidewaiter.LaneRescan].Running != 1 {
			t.Errorf("got %+v, %v", stats, err)
		}
	})
}

func TestMetrics(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, url string) {
		db := open(t, url)
		reg := prometheus.NewRegistry()
		q := newQueue(t, db, func(c *queue.Config) { c.Registry = reg })
		q.Handle("test", func(context.Context, tidewaiter.JobRun) error { return nil })
		start(t, q)
		enqueue(t, db, q, job("test", tidewaiter.LaneFresh, nil))
		eventually(t, "the job is completed", func() bool { return count(t, db, "state = 'completed'") == 1 })
		families, err := reg.Gather()
		if err != nil {
			t.Fatal(err)
		}
		got := map[string]int{}
		for _, f := range families {
			got[f.GetName()] = len(f.GetMetric())
		}
		want := map[string]int{"tidewaiter_job_attempts_total": 1, "tidewaiter_job_seconds": 1, "tidewaiter_jobs": 15, "tidewaiter_job_wait_seconds": 5}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
	})
}
