package queue_test

import (
	"context"
	"testing"

	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// TestSameWorkMayBeQueuedWhileItRuns asks for work again while an attempt at it runs: it has to run once more, since the
// attempt may have read what has changed since.
func TestSameWorkMayBeQueuedWhileItRuns(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, url string) {
		db := open(t, url)
		q := newQueue(t, db)
		j := tidewaiter.Job{Kind: "judge", Lane: tidewaiter.LaneFresh, UniqueKey: "image"}
		entered, goOn := make(chan struct{}, 2), make(chan struct{})
		q.Handle("judge", func(context.Context, tidewaiter.JobRun) error {
			entered <- struct{}{}
			<-goOn
			return nil
		})
		enqueue(t, db, q, j)
		start(t, q)
		next(t, entered)
		enqueue(t, db, q, j)
		enqueue(t, db, q, j) // the one before waits already
		close(goOn)
		next(t, entered)
		eventually(t, "both ran", func() bool { return count(t, db, "state = 'completed'") == 2 })
		if n := count(t, db, "true"); n != 2 {
			t.Errorf("%d jobs, want 2", n)
		}
	})
}
