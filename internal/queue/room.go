package queue

import (
	"context"
	"time"

	"github.com/tidewaiter/tidewaiter/internal/store"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// roomTimeout bounds makeRoom, which the end of a job waits for.
const roomTimeout = time.Second

// makeRoom says that a job is over and another of its registry may begin, in whichever process. River writes down that jobs
// have ended many at a time, a quarter of a second later, which is long for a registry that allows one job at a time. When
// this goes wrong, that is how long it takes.
func (q *Queue) makeRoom(ctx context.Context, ended tidewaiter.JobRun, n notes) {
	if !n.pulls() || !q.admission.limited() {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), roomTimeout)
	defer cancel()
	err := q.cfg.DB.Update(ctx, func(tx *store.Tx) error {
		changed, err := q.exec(ctx, tx, `update river_job set metadata = `+q.dialect(`jsonb_set(metadata, '$.left', 1)`,
			`metadata || '{"left": 1}'`)+` where id = $1 and state = 'running'`, ended.ID)
		if err != nil || changed == 0 {
			return err
		}
		return q.wakeLane(ctx, tx, ended.Lane)
	})
	if err != nil {
		q.log.Debug("the room a job left was not announced", "job", ended.ID, "error", err)
	}
}
