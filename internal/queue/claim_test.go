package queue_test

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tidewaiter/tidewaiter/internal/queue"
	"github.com/tidewaiter/tidewaiter/internal/store"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// registry stores one that jobs can be about.
func registry(t *testing.T, db *store.DB, id string, change ...func(*tidewaiter.Registry)) {
	t.Helper()
	r := &tidewaiter.Registry{ID: id, Kind: tidewaiter.KindOCI, URL: "https://" + id + ".example", Origin: tidewaiter.OriginNative}
	for _, c := range change {
		c(r)
	}
	if err := db.Update(t.Context(), func(tx *store.Tx) error {
		return tx.InsertRegistries(t.Context(), []*tidewaiter.Registry{r})
	}); err != nil {
		t.Fatal(err)
	}
}

func pull(registry string, args any) tidewaiter.Job {
	return tidewaiter.Job{Kind: "layer", Lane: tidewaiter.LaneFresh, Turn: registry, Reach: tidewaiter.ReachPull, Args: args}
}

// TestRegistriesTakeTurns has two registries with few jobs come after one with very many. One worker does the job of each
// in turn.
func TestRegistriesTakeTurns(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, url string) {
		db := open(t, url)
		for _, id := range []string{"a", "b", "c"} {
			registry(t, db, id)
		}
		q := newQueue(t, db)
		turns := make(chan string, 100_000)
		hold := make(chan struct{})
		q.Handle("layer", func(_ context.Context, run tidewaiter.JobRun) error { turns <- run.Turn; <-hold; return nil })
		enqueue(t, db, q, numbered(many(20_000), func(i int) tidewaiter.Job { return pull("b", i) })...)
		enqueue(t, db, q, pull("c", 0), pull("c", 1), pull("a", 0), pull("a", 1))
		enqueue(t, db, q, job("layer", tidewaiter.LaneFresh, "of no registry"))
		start(t, q)
		t.Cleanup(func() { close(hold) }) // before the queue is stopped
		var order string
		for range 9 {
			order += next(t, turns) + " "
			hold <- struct{}{}
		}
		// Jobs of no registry have a turn of their own, which is the first.
		if order != " a b c a b c b b " {
			t.Errorf("order %q", order)
		}
	})
}

// TestLimitHoldsOverProcesses has several queues, as processes would, take jobs of one registry that allows two at once.
// Those of another, and interactive ones, are not held up.
func TestLimitHoldsOverProcesses(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, url string) {
		db := open(t, url)
		registry(t, db, "narrow", func(r *tidewaiter.Registry) { r.Parallel = 2 })
		registry(t, db, "wide")
		var now, most, wide atomic.Int32
		asked, hold := make(chan int, 10), make(chan struct{})
		queues := 3
		if db.Dialect() == store.SQLite {
			queues = 1
		}
		var first *queue.Queue
		for range queues {
			q := newQueue(t, db, func(c *queue.Config) { c.Workers = each(8) })
			q.Handle("layer", func(_ context.Context, run tidewaiter.JobRun) error {
				if run.Turn == "wide" {
					wide.Add(1)
					return nil
				}
				n := now.Add(1)
				defer now.Add(-1)
				for m := most.Load(); n > m && !most.CompareAndSwap(m, n); m = most.Load() {
				}
				<-hold
				return nil
			})
			q.Handle("ask", func(context.Context, tidewaiter.JobRun) error { asked <- 1; return nil })
			if first == nil {
				first = q
			}
			start(t, q)
		}
		enqueue(t, db, first, numbered(30, func(i int) tidewaiter.Job { return pull("narrow", i) })...)
		enqueue(t, db, first, numbered(30, func(i int) tidewaiter.Job { return pull("wide", i) })...)
		eventually(t, "the wide registry is done and two of the narrow one run", func() bool { return wide.Load() == 30 && now.Load() == 2 })
		enqueue(t, db, first, tidewaiter.Job{Kind: "ask", Lane: tidewaiter.LaneInteractive, Turn: "narrow", Reach: tidewaiter.ReachPull})
		next(t, asked)
		close(hold)
		eventually(t, "all are done", func() bool { return count(t, db, "state = 'completed'") == 61 })
		if n := most.Load(); n != 2 {
			t.Errorf("%d at once", n)
		}
	})
}

// TestLabels has a registry ask for workers in a zone. Its jobs wait for one; what only works on stored things does not.
func TestLabels(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, url string) {
		db := open(t, url)
		registry(t, db, "far", func(r *tidewaiter.Registry) { r.Labels = []string{"zone=dmz|edge-*", "arch=amd64"} })
		registry(t, db, "near")
		near, stored := make(chan string, 10), make(chan string, 10)
		handle := func(q *queue.Queue, layers chan string) {
			q.Handle("layer", func(_ context.Context, run tidewaiter.JobRun) error { layers <- run.Turn; return nil })
			q.Handle("judge", func(_ context.Context, run tidewaiter.JobRun) error { stored <- run.Turn; return nil })
		}
		one := newQueue(t, db, func(c *queue.Config) { c.Labels = []string{"zone=dmz"} })
		handle(one, near)
		stop := start(t, one)
		enqueue(t, db, one, pull("far", 0), pull("near", 0), tidewaiter.Job{Kind: "judge", Lane: tidewaiter.LaneFresh, Turn: "far"})
		if turn := next(t, near); turn != "near" {
			t.Errorf("it got a job of %s", turn)
		}
		next(t, stored)
		if db.Dialect() == store.SQLite {
			stop()
		}
		far := make(chan string, 10)
		two := newQueue(t, db, func(c *queue.Config) { c.Labels = []string{"arch=amd64", "zone=edge-7"} })
		handle(two, far)
		start(t, two)
		if turn := next(t, far); turn != "far" {
			t.Errorf("it got a job of %s", turn)
		}
		if len(near) > 0 {
			t.Error("the other one got it too")
		}
	})
}

// TestPausedRegistryWaits pauses a registry while its jobs wait and go on. Others are not held up; after a restart it is
// still paused.
func TestPausedRegistryWaits(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, url string) {
		db := open(t, url)
		registry(t, db, "a")
		registry(t, db, "b")
		pause := func(since time.Time) {
			t.Helper()
			if err := db.Update(t.Context(), func(tx *store.Tx) error {
				_, err := tx.PauseRegistries(t.Context(), []string{"a"}, since)
				return err
			}); err != nil {
				t.Fatal(err)
			}
		}
		began, hold := make(chan string, 100), make(chan struct{}, 100)
		handle := func(q *queue.Queue) {
			q.Handle("layer", func(_ context.Context, run tidewaiter.JobRun) error { began <- run.Turn; <-hold; return nil })
		}
		q := newQueue(t, db)
		handle(q)
		stop := start(t, q)
		enqueue(t, db, q, pull("a", 0), pull("a", 1), pull("a", 2))
		next(t, began)
		pause(time.Now())
		enqueue(t, db, q, pull("b", 0))
		hold <- struct{}{}
		if turn := next(t, began); turn != "b" {
			t.Errorf("a job of %s began", turn)
		}
		hold <- struct{}{}
		stop()
		q = newQueue(t, db)
		handle(q)
		start(t, q)
		enqueue(t, db, q, pull("b", 1))
		hold <- struct{}{}
		if turn := next(t, began); turn != "b" {
			t.Errorf("a job of %s began", turn)
		}
		pause(time.Time{})
		for range 2 {
			hold <- struct{}{}
			if turn := next(t, began); turn != "a" {
				t.Errorf("a job of %s began", turn)
			}
		}
	})
}

// TestUnknownAndHeldKinds leaves jobs alone that a newer server has queued, or that this process cannot do for now, and does
// what comes behind them.
func TestUnknownAndHeldKinds(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, url string) {
		db := open(t, url)
		var ready atomic.Bool
		q := newQueue(t, db, func(c *queue.Config) {
			c.Hold = func() []tidewaiter.JobKind {
				if ready.Load() {
					return nil
				}
				return []tidewaiter.JobKind{"judge"}
			}
		})
		ran := make(chan tidewaiter.JobKind, 10)
		for _, kind := range []tidewaiter.JobKind{"judge", "tag"} {
			q.Handle(kind, func(_ context.Context, run tidewaiter.JobRun) error { ran <- run.Kind; return nil })
		}
		enqueue(t, db, q, job("from-the-future", tidewaiter.LaneFresh, 0))
		enqueue(t, db, q, job("judge", tidewaiter.LaneFresh, 0))
		enqueue(t, db, q, job("tag", tidewaiter.LaneFresh, 0))
		start(t, q)
		if kind := next(t, ran); kind != "tag" {
			t.Errorf("ran %s", kind)
		}
		ready.Store(true)
		if kind := next(t, ran); kind != "judge" {
			t.Errorf("ran %s", kind)
		}
		if n := count(t, db, "kind = 'from-the-future' and state = 'available' and attempt = 0"); n != 1 {
			t.Error("the job of a kind nobody knows was touched")
		}
	})
}

// TestManyClaimersTakeEachJobOnce has several queues work on the jobs of many registries, some of which have limits. Each
// job runs once.
func TestManyClaimersTakeEachJobOnce(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, url string) {
		db := open(t, url)
		var jobs []tidewaiter.Job
		for r := range 7 {
			id := fmt.Sprint("r", r)
			registry(t, db, id, func(g *tidewaiter.Registry) { g.Parallel = r % 3 })
			jobs = append(jobs, numbered(60, func(i int) tidewaiter.Job { return pull(id, r*100+i) })...)
		}
		var mu sync.Mutex
		runs := map[string]int{}
		queues := 4
		if db.Dialect() == store.SQLite {
			queues = 1
		}
		for i := range queues {
			q := newQueue(t, db, func(c *queue.Config) { c.Workers = each(3) })
			q.Handle("layer", func(_ context.Context, run tidewaiter.JobRun) error {
				mu.Lock()
				defer mu.Unlock()
				runs[string(run.Args)]++
				return nil
			})
			start(t, q)
			if i == 0 {
				enqueue(t, db, q, jobs...)
			}
		}
		eventually(t, "all are done", func() bool { return count(t, db, "state = 'completed'") == len(jobs) })
		mu.Lock()
		defer mu.Unlock()
		for args, n := range runs {
			if n != 1 {
				t.Errorf("job %s ran %d times", args, n)
			}
		}
		if len(runs) != len(jobs) {
			t.Errorf("%d jobs ran, want %d", len(runs), len(jobs))
		}
	})
}
