package queue

import (
	"context"
	"time"

	"github.com/tidewaiter/tidewaiter/internal/store"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// period is a job that comes back.
type period struct {
	name  string
	every time.Duration
	job   tidewaiter.Job
	last  int64 // the last period known to be taken, by whomever
}

// periodKey begins the unique keys of jobs that come periodically.
const periodKey = "period:"

// Periodic has a job inserted once in each period, however many processes there are, the first one soon after the first
// start. Which periods were served is kept in the database: a restart neither repeats nor forgets one, and of periods
// that passed while nothing ran one job comes of all. Periods are counted from 1970, so "24h" begins at midnight UTC.
// Unless the job has a UniqueKey of its own, it is left out while the one before has not ended. It must be called before
// Start; every is at least a second, or it panics.
func (q *Queue) Periodic(name string, every time.Duration, job tidewaiter.Job) {
	if every < time.Second {
		panic("queue: the period of " + name + " is shorter than a second")
	}
	if job.UniqueKey == "" {
		job.UniqueKey = periodKey + name
	}
	q.periods = append(q.periods, &period{name: name, every: every, job: job, last: -1})
}

// periodsEvery is how exactly periods begin.
const periodsEvery = time.Second

func (q *Queue) watchPeriods(ctx context.Context) {
	if len(q.periods) == 0 {
		return
	}
	tick := time.NewTicker(periodsEvery)
	defer tick.Stop()
	for {
		for _, p := range q.periods {
			if err := q.serve(ctx, p); err != nil {
				q.complain(ctx, "insert the job of "+p.name, err)
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// serve inserts the job of the present period unless that was done, here or elsewhere.
func (q *Queue) serve(ctx context.Context, p *period) error {
	now := q.now().UnixMicro() / p.every.Microseconds()
	if now <= p.last {
		return nil
	}
	err := q.cfg.DB.Update(ctx, func(tx *store.Tx) error {
		taken, err := q.exec(ctx, tx, `insert into job_periods (name, period) values ($1, $2)
			on conflict (name) do update set period = excluded.period where job_periods.period < excluded.period`, p.name, now)
		if err != nil || taken == 0 {
			return err
		}
		return q.Enqueue(ctx, tx, p.job)
	})
	if err == nil {
		p.last = now
	}
	return err
}
