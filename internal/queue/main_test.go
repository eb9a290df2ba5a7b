package queue_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/tidewaiter/tidewaiter/internal/queue"
	"github.com/tidewaiter/tidewaiter/internal/store"
	"github.com/tidewaiter/tidewaiter/internal/testkit"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// patience is how long a test waits for what must happen; it is no measure of how fast it should.
const patience = 3 * time.Minute

func TestMain(m *testing.M) {
	if url := os.Getenv(childURL); url != "" {
		child(url)
		return
	}
	testkit.AtOnce(4)
	os.Exit(m.Run())
}

// onBoth runs a test on an empty SQLite and an empty PostgreSQL database.
func onBoth(t *testing.T, test func(t *testing.T, url string)) {
	t.Run("sqlite", func(t *testing.T) {
		t.Parallel()
		test(t, filepath.Join(t.TempDir(), "test.db"))
	})
	t.Run("postgres", func(t *testing.T) {
		t.Parallel()
		test(t, testkit.Postgres(t))
	})
}

func open(t *testing.T, url string) *store.DB {
	t.Helper()
	db, err := store.Open(t.Context(), store.Config{URL: url})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	return db
}

// one is a worker for each lane.
func one() map[tidewaiter.Lane]int { return each(1) }

func each(n int) map[tidewaiter.Lane]int {
	workers := map[tidewaiter.Lane]int{}
	for _, lane := range tidewaiter.Lanes() {
		workers[lane] = n
	}
	return workers
}

func newQueue(t *testing.T, db *store.DB, change ...func(*queue.Config)) *queue.Queue {
	t.Helper()
	cfg := queue.Config{DB: db, WorkerID: "test", Workers: one(), Log: slog.New(slog.NewTextHandler(t.Output(), nil))}
	for _, c := range change {
		c(&cfg)
	}
	q, err := queue.New(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	return q
}

// start begins to work. What it returns stops that, as the end of the test does.
func start(t *testing.T, q *queue.Queue) (stop func()) {
	t.Helper()
	if err := q.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	stop = sync.OnceFunc(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := q.Stop(ctx); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(stop)
	return stop
}

func enqueue(t *testing.T, db *store.DB, q *queue.Queue, jobs ...tidewaiter.Job) {
	t.Helper()
	if err := db.Update(t.Context(), func(tx *store.Tx) error { return q.Enqueue(t.Context(), tx, jobs...) }); err != nil {
		t.Fatal(err)
	}
}

func job(kind tidewaiter.JobKind, lane tidewaiter.Lane, args any) tidewaiter.Job {
	return tidewaiter.Job{Kind: kind, Lane: lane, Args: args}
}

// next waits for a value.
func next[T any](t *testing.T, ch <-chan T) T {
	t.Helper()
	select {
	case v := <-ch:
		return v
	case <-time.After(patience):
		t.Fatal("waited in vain")
		panic("unreachable")
	}
}

// eventually waits until a condition holds.
func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		if holds() {
			return
		}
	}
	t.Fatalf("waited in vain until %s", what)
}

func count(t *testing.T, db *store.DB, where string) (n int) {
	t.Helper()
	if err := db.Writer().QueryRowContext(t.Context(), "select count(*) from river_job where "+where).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

func text(t *testing.T, run tidewaiter.JobRun) (s string) {
	if err := json.Unmarshal(run.Args, &s); err != nil {
		t.Error(err)
	}
	return s
}

func numbered(n int, make func(i int) tidewaiter.Job) []tidewaiter.Job {
	jobs := []tidewaiter.Job{}
	for i := range n {
		jobs = append(jobs, make(i))
	}
	return jobs
}

// many is n jobs, or fewer under the race detector, which makes each of them slow.
func many(n int) int {
	if testkit.UnderRace {
		return n / 20
	}
	return n
}

func key(i int) string { return fmt.Sprintf("key-%d", i) }
