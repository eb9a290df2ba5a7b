package queue

import (
	"context"
	"time"

	"github.com/riverqueue/river"

	"github.com/tidewaiter/tidewaiter/internal/store"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

const (
	endsBuffer = 1000                  // ends of jobs not looked at yet; more are dropped, and the next poll finds the room they left
	endsEvery  = 20 * time.Millisecond // between two messages that there is room
)

func endsConfig() *river.SubscribeConfig {
	return &river.SubscribeConfig{ChanSize: endsBuffer, Kinds: []river.EventKind{
		river.EventKindJobCompleted, river.EventKindJobFailed, river.EventKindJobCancelled, river.EventKindJobSnoozed,
	}}
}

// watchEnds wakes the lanes of jobs that have ended and left room under their registry's limit. A worker that came free
// elsewhere may be looking for work already, and have found none because of the limit.
func (q *Queue) watchEnds(ctx context.Context, ends <-chan *river.Event) {
	left := map[tidewaiter.Lane]bool{}
	var due <-chan time.Time // while lanes are left to wake
	for {
		select {
		case <-ctx.Done():
			return
		case e, ok := <-ends:
			if !ok {
				return
			}
			if q.admission.limited() && notesOf(e.Job).pulls() {
				left[tidewaiter.Lane(e.Job.Queue)] = true
				if due == nil {
					due = time.After(endsEvery)
				}
			}
		case <-due:
			if err := q.wakeAll(ctx, left); err != nil {
				q.complain(ctx, "wake lanes that have room", err)
			}
			clear(left)
			due = nil
		}
	}
}

func (q *Queue) wakeAll(ctx context.Context, lanes map[tidewaiter.Lane]bool) error {
	return q.cfg.DB.Update(ctx, func(tx *store.Tx) error {
		for lane := range lanes {
			if err := q.wakeLane(ctx, tx, lane); err != nil {
				return err
			}
		}
		return nil
	})
}
