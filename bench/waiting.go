package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"slices"
	"time"

	"github.com/tidewaiter/tidewaiter/internal/queue"
	"github.com/tidewaiter/tidewaiter/internal/store"
	"github.com/tidewaiter/tidewaiter/internal/testkit"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

const (
	waitingJobs  = 100_000
	waitingAsked = 100                     // interactive jobs, one after the other
	waitingPause = 20 * time.Millisecond   // between them
	waitingTakes = 25 * time.Millisecond   // how long a job that waits takes
	waitingBound = 1000 * time.Millisecond // the target
)

// interactiveStart measures how long a job that somebody waits for takes to begin while very many others wait.
func interactiveStart(ctx context.Context, l *lab) (t table, err error) {
	t = table{
		title: "An interactive scan while others wait",
		about: fmt.Sprintf("One process with the workers of two cores. %s jobs of one registry wait in the lane rescan, each of which takes %d ms; "+
			"all of that lane's workers are busy. Then %d interactive jobs are asked for, one after the other: from the commit that stores the "+
			"job to its first line.", count(waitingJobs), waitingTakes.Milliseconds(), waitingAsked),
		columns: []string{"database", "jobs waiting", "stored in s", "median ms", "p95 ms", "longest ms", "rescans done meanwhile", "target"},
	}
	address, drop, err := testkit.PostgresDatabase(ctx)
	if err != nil {
		return t, err
	}
	defer func() { err = errors.Join(err, drop()) }()
	for _, url := range []string{filepath.Join(l.dir, "waiting.db"), address} {
		if err := waitingOn(ctx, &t, url); err != nil {
			return t, err
		}
	}
	return t, nil
}

func waitingOn(ctx context.Context, t *table, url string) (err error) {
	db, err := store.Open(ctx, store.Config{URL: url})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	q, err := queue.New(ctx, queue.Config{DB: db, WorkerID: "bench", Log: slog.New(slog.DiscardHandler), Workers: map[tidewaiter.Lane]int{
		tidewaiter.LaneInteractive: 2, tidewaiter.LaneEvent: 2, tidewaiter.LaneFresh: 4, tidewaiter.LaneRescan: 2, tidewaiter.LaneSystem: 2}})
	if err != nil {
		return err
	}
	rescans := make(chan struct{}, waitingJobs)
	began := make(chan time.Time, 1)
	q.Handle("rescan", func(ctx context.Context, _ tidewaiter.JobRun) error {
		rescans <- struct{}{}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(waitingTakes):
			return nil
		}
	})
	q.Handle("ask", func(context.Context, tidewaiter.JobRun) error { began <- time.Now(); return nil })
	stored, err := storeWaiting(ctx, db, q)
	if err != nil {
		return err
	}
	if err := q.Start(ctx); err != nil {
		return err
	}
	defer func() {
		stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
		defer cancel()
		err = errors.Join(err, q.Stop(stop))
	}()
	<-rescans
	var took []float64
	for range waitingAsked {
		ms, err := ask(ctx, db, q, began)
		if err != nil {
			return err
		}
		took = append(took, ms)
		time.Sleep(waitingPause)
	}
	slices.Sort(took)
	longest := took[len(took)-1]
	t.add(string(db.Dialect()), count(waitingJobs), seconds(stored), fmt.Sprintf("%.1f", took[len(took)/2]), fmt.Sprintf("%.1f", took[len(took)*95/100]),
		fmt.Sprintf("%.1f", longest), count(len(rescans)+1), against(longest, float64(waitingBound.Milliseconds()), " ms"))
	return nil
}

// storeWaiting stores the jobs that wait and returns how many seconds that took.
func storeWaiting(ctx context.Context, db *store.DB, q *queue.Queue) (float64, error) {
	began := time.Now()
	err := db.Update(ctx, func(tx *store.Tx) error {
		r := &tidewaiter.Registry{ID: "busy", Kind: tidewaiter.KindOCI, URL: "https://busy.example", Origin: tidewaiter.OriginNative}
		if err := tx.InsertRegistries(ctx, []*tidewaiter.Registry{r}); err != nil {
			return err
		}
		jobs := make([]tidewaiter.Job, waitingJobs)
		for i := range jobs {
			jobs[i] = tidewaiter.Job{Kind: "rescan", Lane: tidewaiter.LaneRescan, RegistryID: "busy", Reach: tidewaiter.ReachPull, Args: i,
				UniqueKey: fmt.Sprint(i)}
		}
		return q.Enqueue(ctx, tx, jobs...)
	})
	return time.Since(began).Seconds(), err
}

// ask stores an interactive job and returns how many milliseconds later it began.
func ask(ctx context.Context, db *store.DB, q *queue.Queue, began <-chan time.Time) (float64, error) {
	var committed time.Time
	err := db.Update(ctx, func(tx *store.Tx) error {
		return q.Enqueue(ctx, tx, tidewaiter.Job{Kind: "ask", Lane: tidewaiter.LaneInteractive, RegistryID: "busy", Reach: tidewaiter.ReachList})
	})
	if err != nil {
		return 0, err
	}
	committed = time.Now()
	select {
	case at := <-began:
		return max(0, float64(at.Sub(committed).Microseconds())/1000), nil
	case <-time.After(time.Minute):
		return 0, errors.New("an interactive job did not begin within a minute")
	}
}
