package queue_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/tidewaiter/tidewaiter/internal/queue"
	"github.com/tidewaiter/tidewaiter/internal/store"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

func inserter(c *queue.Config) { c.Workers = nil }

func TestEnqueueBelongsToTheTransaction(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, url string) {
		db := open(t, url)
		q := newQueue(t, db, inserter)
		undo := errors.New("undo")
		if err := db.Update(t.Context(), func(tx *store.Tx) error {
			if err := q.Enqueue(t.Context(), tx, job("scan", tidewaiter.LaneFresh, 1)); err != nil {
				return err
			}
			return undo
		}); !errors.Is(err, undo) {
			t.Fatal(err)
		}
		if n := count(t, db, "true"); n != 0 {
			t.Fatalf("%d jobs after a rollback", n)
		}
		enqueue(t, db, q, job("scan", tidewaiter.LaneFresh, 1))
		enqueue(t, db, q)
		if n := count(t, db, "state = 'available' and queue = 'fresh' and kind = 'scan' and max_attempts = 5"); n != 1 {
			t.Fatalf("%d jobs after a commit", n)
		}
	})
}

func TestEnqueueDropsRepetitions(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, url string) {
		db := open(t, url)
		q := newQueue(t, db, inserter)
		unique := func(kind tidewaiter.JobKind, lane tidewaiter.Lane, key string) tidewaiter.Job {
			return tidewaiter.Job{Kind: kind, Lane: lane, UniqueKey: key}
		}
		batch := []tidewaiter.Job{
			unique("scan", tidewaiter.LaneFresh, "b"), unique("scan", tidewaiter.LaneFresh, "a"), unique("scan", tidewaiter.LaneFresh, "b"),
			unique("scan", tidewaiter.LaneInteractive, "a"), unique("layer", tidewaiter.LaneFresh, "a"),
			unique("scan", tidewaiter.LaneFresh, ""), unique("scan", tidewaiter.LaneFresh, ""),
		}
		enqueue(t, db, q, batch...)
		if n := count(t, db, "true"); n != 6 {
			t.Fatalf("%d jobs, want 4 unique ones and 2 others", n)
		}
		enqueue(t, db, q, batch[:5]...)
		if n := count(t, db, "true"); n != 6 {
			t.Fatalf("%d jobs after the unique ones came again", n)
		}
	})
}

func TestUniqueWhileUnderWay(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, url string) {
		db := open(t, url)
		q := newQueue(t, db, inserter)
		for state, again := range map[string]int{
			"available": 1, "running": 1, "retryable": 1, "scheduled": 1, "pending": 1, "completed": 2, "cancelled": 2, "discarded": 2,
		} {
			j := tidewaiter.Job{Kind: "scan", Lane: tidewaiter.LaneFresh, UniqueKey: state}
			enqueue(t, db, q, j)
			set := "state = '" + state + "'"
			if again == 2 {
				set += ", finalized_at = current_timestamp"
			}
			if _, err := db.Writer().ExecContext(t.Context(), "update river_job set "+set+" where metadata ->> 'key' = '"+state+"'"); err != nil {
				t.Fatal(err)
			}
			enqueue(t, db, q, j)
			if n := count(t, db, "metadata ->> 'key' = '"+state+"'"); n != again {
				t.Errorf("%s: %d jobs, want %d", state, n, again)
			}
		}
	})
}

func TestEnqueueRefuses(t *testing.T) {
	db := open(t, t.TempDir()+"/test.db")
	q := newQueue(t, db, inserter)
	good := job("scan", tidewaiter.LaneFresh, nil)
	for name, change := range map[string]func(*tidewaiter.Job){
		"no kind":         func(j *tidewaiter.Job) { j.Kind = "" },
		"strange kind":    func(j *tidewaiter.Job) { j.Kind = "a b" },
		"long kind":       func(j *tidewaiter.Job) { j.Kind = tidewaiter.JobKind(strings.Repeat("a", 128)) },
		"no lane":         func(j *tidewaiter.Job) { j.Lane = "" },
		"other lane":      func(j *tidewaiter.Job) { j.Lane = "default" },
		"attempts":        func(j *tidewaiter.Job) { j.MaxAttempts = -1 },
		"timeout":         func(j *tidewaiter.Job) { j.Timeout = -time.Second },
		"no JSON":         func(j *tidewaiter.Job) { j.Args = func() {} },
		"long":            func(j *tidewaiter.Job) { j.Args = strings.Repeat("x", 1<<18) },
		"NUL in args":     func(j *tidewaiter.Job) { j.Args = "a\x00b" },
		"NUL in key":      func(j *tidewaiter.Job) { j.UniqueKey = "\x00" },
		"NUL in registry": func(j *tidewaiter.Job) { j.RegistryID = "\x00" },
	} {
		bad := good
		change(&bad)
		err := db.Update(t.Context(), func(tx *store.Tx) error { return q.Enqueue(t.Context(), tx, good, bad) })
		if tidewaiter.KindOf(err) != tidewaiter.ErrInvalid {
			t.Errorf("%s: got %v", name, err)
		}
	}
	if n := count(t, db, "true"); n != 0 {
		t.Errorf("%d jobs were inserted", n)
	}
}

func TestRunAt(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, url string) {
		db := open(t, url)
		q := newQueue(t, db, inserter)
		later, past := job("scan", tidewaiter.LaneFresh, nil), job("scan", tidewaiter.LaneFresh, nil)
		later.RunAt, past.RunAt = time.Now().Add(time.Hour), time.Now().Add(-time.Hour)
		enqueue(t, db, q, later, past)
		stats, err := q.Stats(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if s := stats[tidewaiter.LaneFresh]; s.Waiting != 1 || s.Later != 1 || s.Running != 0 || time.Since(s.Oldest) > patience {
			t.Errorf("got %+v", s)
		}
		if len(stats) != len(tidewaiter.Lanes()) {
			t.Errorf("%d lanes", len(stats))
		}
	})
}

func TestConcurrentEnqueuesOfTheSameKeys(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, url string) {
		db := open(t, url)
		q := newQueue(t, db, inserter)
		done := make(chan error)
		for worker := range 4 {
			go func() {
				jobs := numbered(500, func(i int) tidewaiter.Job {
					return tidewaiter.Job{Kind: "layer", Lane: tidewaiter.LaneFresh, UniqueKey: key((i*(worker*2+1) + worker*100) % 500)}
				})
				done <- db.Update(t.Context(), func(tx *store.Tx) error { return q.Enqueue(t.Context(), tx, jobs...) })
			}()
		}
		for range 4 {
			if err := next(t, done); err != nil {
				t.Error(err)
			}
		}
		if all, distinct := count(t, db, "true"), count(t, db, "id in (select min(id) from river_job group by metadata ->> 'key')"); all != distinct {
			t.Errorf("%d jobs, %d keys", all, distinct)
		}
	})
}

func BenchmarkEnqueue20000(b *testing.B) {
	db, err := store.Open(b.Context(), store.Config{URL: b.TempDir() + "/test.db"})
	if err != nil {
		b.Fatal(err)
	}
	defer db.Close()
	q, err := queue.New(b.Context(), queue.Config{DB: db})
	if err != nil {
		b.Fatal(err)
	}
	n := 0
	for b.Loop() {
		n++
		jobs := numbered(20000, func(i int) tidewaiter.Job {
			return tidewaiter.Job{Kind: "layer", Lane: tidewaiter.LaneFresh, UniqueKey: key(n*20000 + i), RegistryID: "r", Args: map[string]any{"layer": i, "text": "some arguments"}}
		})
		if err := db.Update(b.Context(), func(tx *store.Tx) error { return q.Enqueue(b.Context(), tx, jobs...) }); err != nil {
			b.Fatal(err)
		}
	}
}
