package queue

import (
	"context"
	"time"

	"github.com/tidewaiter/tidewaiter/internal/store"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

const (
	advanceTimeout = time.Second // bounds advance, which the end of a job waits for
	advanceTries   = 10          // how many jobs that are no longer parked it looks past
)

// advance has the next parked job of a registry run now that another of its jobs has ended.
func (q *Queue) advance(ctx context.Context, ended tidewaiter.JobRun) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), advanceTimeout)
	defer cancel()
	for range advanceTries {
		p, ok := q.running.parked(ended.RegistryID)
		if !ok || q.bringForward(ctx, p) {
			return
		}
	}
}

// advanceDue does the same where there is room and no job that could end: the one before could not be brought forward.
func (q *Queue) advanceDue(ctx context.Context) {
	for _, p := range q.running.due() {
		q.bringForward(ctx, p)
	}
}

// bringForward makes a parked job run at once. It reports false when the job is not there any more. One that River has
// still to put down as waiting, which it does many at a time, stays parked.
func (q *Queue) bringForward(ctx context.Context, p place) bool {
	gone := false
	err := q.cfg.DB.Update(ctx, func(tx *store.Tx) error {
		gone = false
		changed, err := q.exec(ctx, tx, q.dialect(
			`update river_job set state = 'available', scheduled_at = strftime('%Y-%m-%d %H:%M:%f', 'now')`,
			`update river_job set state = 'available', scheduled_at = now()`)+` where id = $1 and state in ('available', 'scheduled')`, p.id)
		if err != nil {
			return err
		}
		if changed > 0 {
			return q.wakeLane(ctx, tx, p.lane)
		}
		running, err := q.ids(ctx, tx, `select id from river_job where id = $1 and state = 'running'`, p.id)
		if err == nil && len(running) > 0 {
			q.running.putBack(p)
		}
		gone = len(running) == 0
		return err
	})
	if err != nil {
		q.running.putBack(p)
		q.log.Debug("a parked job was not brought forward", "job", p.id, "error", err)
	}
	return err != nil || !gone
}
