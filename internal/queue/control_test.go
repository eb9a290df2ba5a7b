package queue_test

import (
	"context"
	"log/slog"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tidewaiter/tidewaiter/internal/queue"
	"github.com/tidewaiter/tidewaiter/internal/store"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

func TestStop(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, url string) {
		db := open(t, url)
		q := newQueue(t, db, func(c *queue.Config) { c.Log = slog.New(slog.DiscardHandler) })
		began, hold := make(chan int, 10), make(chan struct{})
		q.Handle("finishes", func(context.Context, tidewaiter.JobRun) error { began <- 1; <-hold; return nil })
		q.Handle("listens", func(ctx context.Context, _ tidewaiter.JobRun) error {
			began <- 1
			<-ctx.Done()
			return tidewaiter.Errorf(tidewaiter.ErrTransient, "cut off")
		})
		never := make(chan struct{})
		t.Cleanup(func() { close(never) })
		q.Handle("deaf", func(context.Context, tidewaiter.JobRun) error { began <- 1; <-never; return nil })
		if err := q.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		enqueue(t, db, q, job("finishes", tidewaiter.LaneFresh, nil), job("listens", tidewaiter.LaneRescan, nil),
			tidewaiter.Job{Kind: "deaf", Lane: tidewaiter.LaneSystem, MaxAttempts: 1})
		for range 3 {
			next(t, began)
		}
		close(hold)
		eventually(t, "one job is completed", func() bool { return count(t, db, "kind = 'finishes' and state = 'completed'") == 1 })
		enqueue(t, db, q, job("finishes", tidewaiter.LaneInteractive, nil)) // may or may not be done
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if err := q.Stop(ctx); err == nil {
			t.Error("nothing was said about the deaf job")
		}
		for _, kind := range []string{"listens", "deaf"} {
			if n := count(t, db, "kind = '"+kind+"' and state = 'available' and attempt = 0 and metadata ->> 'crashes' is null"); n != 1 {
				t.Errorf("%s was not put back", kind)
			}
		}
		if n := count(t, db, "state = 'running'"); n != 0 {
			t.Errorf("%d jobs still run", n)
		}
	})
}

func TestStopWaits(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, url string) {
		db := open(t, url)
		q := newQueue(t, db)
		began, hold := make(chan int, 10), make(chan struct{})
		q.Handle("test", func(ctx context.Context, _ tidewaiter.JobRun) error { began <- 1; <-hold; return ctx.Err() })
		if err := q.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		enqueue(t, db, q, job("test", tidewaiter.LaneFresh, 1), job("test", tidewaiter.LaneFresh, 2))
		next(t, began)
		stopped := make(chan error, 1)
		go func() { stopped <- q.Stop(t.Context()) }()
		select {
		case <-stopped:
			t.Error("did not wait")
		case hold <- struct{}{}:
		}
		close(hold) // the second job may have begun before the stop
		if err := next(t, stopped); err != nil {
			t.Error(err)
		}
		if a, c := count(t, db, "state = 'available' and attempt = 0"), count(t, db, "state = 'completed'"); a+c != 2 || c == 0 {
			t.Errorf("%d available, %d completed", a, c)
		}
	})
}

func TestStartNeedsWorkers(t *testing.T) {
	db := open(t, t.TempDir()+"/test.db")
	q := newQueue(t, db, inserter)
	if err := q.Start(t.Context()); tidewaiter.KindOf(err) != tidewaiter.ErrInvalid {
		t.Error(err)
	}
	if err := q.Stop(t.Context()); err != nil {
		t.Error(err)
	}
	for _, workers := range []map[tidewaiter.Lane]int{{"other": 1}, {tidewaiter.LaneFresh: -1}} {
		if _, err := queue.New(t.Context(), queue.Config{DB: db, Workers: workers}); tidewaiter.KindOf(err) != tidewaiter.ErrInvalid {
			t.Errorf("%v: %v", workers, err)
		}
	}
}

func TestPause(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, url string) {
		db := open(t, url)
		boss := newQueue(t, db, inserter)
		if err := boss.Pause(t.Context(), tidewaiter.LaneRescan); err != nil {
			t.Fatal(err)
		}
		q := newQueue(t, db)
		runs := make(chan tidewaiter.Lane, 10)
		q.Handle("test", func(_ context.Context, run tidewaiter.JobRun) error { runs <- run.Lane; return nil })
		start(t, q)
		enqueue(t, db, boss, job("test", tidewaiter.LaneRescan, nil))
		for range 5 {
			enqueue(t, db, boss, job("test", tidewaiter.LaneFresh, nil))
			if lane := next(t, runs); lane != tidewaiter.LaneFresh {
				t.Fatalf("%s is not paused", lane)
			}
		}
		if err := boss.Resume(t.Context(), tidewaiter.LaneRescan); err != nil {
			t.Fatal(err)
		}
		if lane := next(t, runs); lane != tidewaiter.LaneRescan {
			t.Error(lane)
		}
		for _, f := range []func(context.Context, tidewaiter.Lane) error{boss.Pause, boss.Resume} {
			if err := f(t.Context(), "*"); tidewaiter.KindOf(err) != tidewaiter.ErrInvalid {
				t.Errorf("got %v", err)
			}
		}
	})
}

func TestCancel(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, url string) {
		db := open(t, url)
		q := newQueue(t, db, func(c *queue.Config) { c.Workers = each(3); c.Log = slog.New(slog.DiscardHandler) })
		began, ended := make(chan int, 10), make(chan string, 10)
		q.Handle("block", func(ctx context.Context, run tidewaiter.JobRun) error {
			began <- 1
			<-ctx.Done()
			ended <- run.RegistryID
			return ctx.Err()
		})
		start(t, q)
		block := func(registry, key string, at time.Time) tidewaiter.Job {
			return tidewaiter.Job{Kind: "block", Lane: tidewaiter.LaneFresh, RegistryID: registry, UniqueKey: key, RunAt: at}
		}
		later := time.Now().Add(time.Hour)
		enqueue(t, db, q, block("a", "1", time.Time{}), block("a", "2", time.Time{}), block("b", "1b", time.Time{}))
		for range 3 {
			next(t, began)
		}
		enqueue(t, db, q, block("a", "3", later), block("a", "4", time.Time{}), block("b", "5", later), block("b", "6", later))
		cancel := func(s queue.Selection) (removed, stopping int) {
			if err := db.Update(t.Context(), func(tx *store.Tx) (err error) {
				removed, stopping, err = q.Cancel(t.Context(), tx, s)
				return err
			}); err != nil {
				t.Fatal(err)
			}
			return removed, stopping
		}
		for _, none := range []queue.Selection{{}, {RegistryIDs: []string{"c"}}, {RegistryIDs: []string{"a"}, Kinds: []tidewaiter.JobKind{"other"}},
			{Lanes: []tidewaiter.Lane{tidewaiter.LaneRescan}, RegistryIDs: []string{"a"}}} {
			if r, s := cancel(none); r+s != 0 {
				t.Errorf("%+v cancelled %d and %d", none, r, s)
			}
		}
		if r, s := cancel(queue.Selection{UniqueKeys: []string{"5"}}); r != 1 || s != 0 {
			t.Errorf("by key: %d, %d", r, s)
		}
		if r, s := cancel(queue.Selection{RegistryIDs: []string{"a", "x"}, Lanes: []tidewaiter.Lane{tidewaiter.LaneFresh}, Kinds: []tidewaiter.JobKind{"block"}}); r != 2 || s != 2 {
			t.Errorf("by registry: %d, %d", r, s)
		}
		for range 2 {
			if r := next(t, ended); r != "a" {
				t.Error(r)
			}
		}
		if n := count(t, db, "metadata ->> 'registry' = 'b' and state in ('running', 'scheduled')"); n != 2 {
			t.Errorf("%d jobs of the other registry", n)
		}
		if err := q.CancelRegistry(t.Context(), "b"); err != nil {
			t.Error(err)
		}
	})
}

// TestPeriodic has two processes and a restart share one period.
func TestPeriodic(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, url string) {
		db := open(t, url)
		var day atomic.Int64
		now := func() time.Time { return time.Date(2026, 1, 1+int(day.Load()), 12, 0, 0, 0, time.UTC) }
		runs := make(chan string, 100)
		periodic := func() *queue.Queue {
			q := newQueue(t, db, func(c *queue.Config) { c.Now = now })
			q.Handle("tick", func(_ context.Context, run tidewaiter.JobRun) error { runs <- text(t, run); return nil })
			q.Periodic("daily", 24*time.Hour, job("tick", tidewaiter.LaneSystem, "daily"))
			start(t, q)
			return q
		}
		a := periodic()
		if db.Dialect() == store.Postgres {
			periodic() // SQLite has one process at a time
		}
		next(t, runs)
		if err := a.Stop(t.Context()); err != nil {
			t.Fatal(err)
		}
		periodic()
		eventually(t, "the first is done", func() bool { return count(t, db, "state = 'completed'") == 1 })
		day.Add(3)
		next(t, runs)
		eventually(t, "the second is done", func() bool { return count(t, db, "state = 'completed'") == 2 })
		// Nothing can be waited for that must not happen: both processes have looked at the period by the time they
		// have done another one.
		day.Add(1)
		next(t, runs)
		eventually(t, "the third is done", func() bool { return count(t, db, "state = 'completed'") == 3 })
		if len(runs) != 0 || count(t, db, "true") != 3 {
			t.Errorf("%d jobs", count(t, db, "true"))
		}
	})
}
