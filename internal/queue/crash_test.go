package queue_test

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/tidewaiter/tidewaiter/internal/queue"
	"github.com/tidewaiter/tidewaiter/internal/store"
	"github.com/tidewaiter/tidewaiter/internal/testkit"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// TestCrash kills a process in the middle of jobs. Another one does them, with the attempt that was lost.
func TestCrash(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, url string) {
		db := open(t, url)
		q := newQueue(t, db, quickly, func(c *queue.Config) { c.Workers = each(4) })
		runs := make(chan tidewaiter.JobRun, 10)
		q.Handle("block", func(_ context.Context, run tidewaiter.JobRun) error { runs <- run; return nil })
		if db.Dialect() == store.Postgres {
			start(t, q) // only there may it run beside the other
		}
		p := spawn(t, url)
		// Both take what they get; four have to be the child's.
		begun := 0
		for begun < 4 {
			enqueue(t, db, q, tidewaiter.Job{Kind: "block", Lane: tidewaiter.LaneFresh, MaxAttempts: 2})
			select {
			case line := <-p.lines:
				if line != "began" {
					t.Fatal(line)
				}
				begun++
			case <-runs: // this process was faster
			case <-time.After(patience):
				t.Fatal("nobody began")
			}
		}
		for len(runs) > 0 {
			<-runs
		}
		p.kill()
		if db.Dialect() == store.SQLite {
			start(t, q)
		}
		for range 4 {
			if run := next(t, runs); run.Attempt != 1 {
				t.Errorf("attempt %d", run.Attempt)
			}
		}
		eventually(t, "all jobs are completed", func() bool { return count(t, db, "state <> 'completed'") == 0 })
		if n := count(t, db, "metadata ->> 'crashes' is not null"); n != 4 {
			t.Errorf("%d crashes were noted", n)
		}
	})
}

// TestDeadlyJob has a job that kills its process each time: after as many processes as it has attempts it fails.
func TestDeadlyJob(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, url string) {
		db := open(t, url)
		q := newQueue(t, db, quickly, inserter)
		enqueue(t, db, q, tidewaiter.Job{Kind: "die", Lane: tidewaiter.LaneFresh, MaxAttempts: 2})
		died := 0
		for {
			p := spawn(t, url)
			line, alive := <-p.lines
			if alive {
				if !strings.HasPrefix(line, "failed ") || !strings.Contains(line, "ended 2 times") {
					t.Errorf("the child said %q", line)
				}
				break
			}
			if died++; died > 5 {
				t.Fatal("it goes on for ever")
			}
		}
		if died != 2 {
			t.Errorf("%d processes died", died)
		}
		eventually(t, "the job is closed", func() bool { return count(t, db, "state = 'cancelled'") == 1 })
	})
}

// TestLostClaims takes care of jobs that the database says run here and that do not.
func TestLostClaims(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, url string) {
		db := open(t, url)
		q := newQueue(t, db, quickly)
		runs := make(chan tidewaiter.JobRun, 1)
		q.Handle("test", func(_ context.Context, run tidewaiter.JobRun) error { runs <- run; return nil })
		start(t, q)
		by, args := `array['`+q.ID()+`']`, `'1'`
		if db.Dialect() == store.SQLite {
			by, args = `jsonb_array('`+q.ID()+`')`, `jsonb('1')`
		}
		if _, err := db.Writer().ExecContext(t.Context(), `insert into river_job (args, kind, queue, state, attempt, max_attempts, attempted_at, attempted_by)
			values (`+args+`, 'test', 'fresh', 'running', 3, 5, current_timestamp, `+by+`)`); err != nil {
			t.Fatal(err)
		}
		if run := next(t, runs); run.Attempt != 3 {
			t.Errorf("attempt %d", run.Attempt)
		}
		if n := count(t, db, "metadata ->> 'crashes' is not null"); n != 0 {
			t.Error("counted as a crash")
		}
	})
}

// TestCancelInAnotherProcess cancels jobs that a child runs and that wait.
func TestCancelInAnotherProcess(t *testing.T) {
	t.Parallel()
	url := testkit.Postgres(t)
	db := open(t, url)
	q := newQueue(t, db, inserter)
	p := spawn(t, url)
	block := func(registry string) tidewaiter.Job {
		return tidewaiter.Job{Kind: "block", Lane: tidewaiter.LaneRescan, RegistryID: registry}
	}
	enqueue(t, db, q, block("a"), block("a"), block("b"), block("b"))
	for range 4 {
		if line := next(t, p.lines); line != "began" {
			t.Fatal(line)
		}
	}
	enqueue(t, db, q, block("a"), block("b"))
	if err := q.CancelRegistry(t.Context(), "a"); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if line := next(t, p.lines); !strings.HasPrefix(line, "ended ") {
			// The job of registry b that waited may begin in the place of one that ended.
			if line = next(t, p.lines); !strings.HasPrefix(line, "ended ") {
				t.Fatal(line)
			}
		}
	}
	eventually(t, "the jobs are closed", func() bool { return count(t, db, "metadata ->> 'registry' = 'a' and state = 'cancelled'") == 2 })
	if a, b := count(t, db, "metadata ->> 'registry' = 'a'"), count(t, db, "metadata ->> 'registry' = 'b' and state in ('available', 'running')"); a != 2 || b != 3 {
		t.Errorf("%d jobs of a, %d of b", a, b)
	}
}

// TestCancelIsFoundWithoutMessage marks a running job as River does, but tells nobody.
func TestCancelIsFoundWithoutMessage(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, url string) {
		db := open(t, url)
		q := newQueue(t, db, func(c *queue.Config) { c.Log = slog.New(slog.DiscardHandler) })
		began, ended := make(chan int, 1), make(chan error, 1)
		q.Handle("test", func(ctx context.Context, _ tidewaiter.JobRun) error {
			began <- 1
			<-ctx.Done()
			ended <- context.Cause(ctx)
			return ctx.Err()
		})
		q.HandleFailure("test", func(context.Context, tidewaiter.JobRun, error) error { t.Error("told as failed"); return nil })
		start(t, q)
		enqueue(t, db, q, job("test", tidewaiter.LaneFresh, nil))
		next(t, began)
		mark := `metadata || '{"cancel_attempted_at": "2026-01-01T00:00:00Z"}'`
		if db.Dialect() == store.SQLite {
			mark = `jsonb_set(metadata, '$.cancel_attempted_at', '2026-01-01T00:00:00Z')`
		}
		if _, err := db.Writer().ExecContext(t.Context(), "update river_job set metadata = "+mark); err != nil {
			t.Fatal(err)
		}
		if err := next(t, ended); !errors.Is(err, queue.ErrJobCanceled) {
			t.Errorf("cause %v", err)
		}
		eventually(t, "the job is cancelled", func() bool { return count(t, db, "state = 'cancelled'") == 1 })
	})
}
