package queue

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/tidewaiter/tidewaiter/internal/store"
)

// heartbeat says in the workers table that this start of this process is alive.
func (q *Queue) heartbeat(ctx context.Context) error {
	w := store.Worker{
		ID: q.id, Name: q.cfg.WorkerID, HeartbeatAt: q.now(), Labels: q.cfg.Labels, Version: q.cfg.Version, StartedAt: q.started,
		Lanes: q.cfg.Workers, Running: q.running.count(),
	}
	if q.cfg.Advisories != nil {
		w.Advisories = q.cfg.Advisories()
	}
	return q.cfg.DB.Update(ctx, func(tx *store.Tx) error {
		return tx.Heartbeat(ctx, w)
	})
}

// watchWorkers sends heartbeats and takes up the jobs of processes that no longer do.
func (q *Queue) watchWorkers(ctx context.Context) {
	every := q.cfg.RescueAfter / 3
	tick := time.NewTicker(every)
	defer tick.Stop()
	pulse := newPulse(q.cfg.RescueAfter)
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		// A round that hangs must not keep this process silent for longer than a healthy one would be.
		round, cancel := context.WithTimeout(ctx, q.cfg.RescueAfter)
		if err := q.heartbeat(round); err != nil {
			q.complain(ctx, "send heartbeat", err)
		}
		if err := q.takeUp(round, pulse); err != nil {
			q.complain(ctx, "look for dead workers", err)
		}
		cancel()
	}
}

// takeUp gives the jobs of dead processes to the living, and those that this process is said to run but does not.
func (q *Queue) takeUp(ctx context.Context, pulse *pulse) error {
	claimed, err := q.claimed(ctx)
	if err != nil {
		return err
	}
	workers, err := q.cfg.DB.Workers(ctx)
	if err != nil {
		return err
	}
	if err := q.forget(ctx, workers); err != nil {
		return err
	}
	beats := map[string]time.Time{}
	for _, c := range claimed {
		beats[c.owner] = time.Time{} // unless it is in the table
	}
	for _, w := range workers {
		beats[w.ID] = w.HeartbeatAt
	}
	delete(beats, q.id)
	dead := pulse.observe(beats, q.now())
	lost := pulse.lost(claimed, q.id, q.running.has, q.now())
	if len(lost) > 0 {
		q.log.Warn("jobs were claimed but do not run; they are made available again", "jobs", len(lost))
		if err := q.release(ctx, lost); err != nil {
			return err
		}
	}
	return q.takeFrom(ctx, dead)
}

// takeFrom gives the jobs of dead processes to the living.
func (q *Queue) takeFrom(ctx context.Context, dead map[string]bool) error {
	if len(dead) == 0 {
		return nil
	}
	n, err := q.rescue(ctx, func(owner string) bool { return dead[owner] })
	if n > 0 {
		q.log.Warn("jobs of processes that died are made available again", "jobs", n)
	}
	return err
}

// keepSilent is how long a process that fell silent stays in the workers table, for people to see.
const keepSilent = time.Hour

// forget removes processes that have long been silent. That goes by the clocks of the machines, but by hours.
func (q *Queue) forget(ctx context.Context, workers []store.Worker) error {
	before := q.now().Add(-keepSilent)
	if !slices.ContainsFunc(workers, func(w store.Worker) bool { return w.HeartbeatAt.Before(before) }) {
		return nil
	}
	return q.cfg.DB.Update(ctx, func(tx *store.Tx) error {
		_, err := tx.ForgetWorkers(ctx, before)
		return err
	})
}

// claim is a running job and the process that claimed it.
type claim struct {
	id      int64
	owner   string
	crashes int
}

// claimed returns the running jobs of all processes; there are never more than workers.
func (q *Queue) claimed(ctx context.Context) (claims []claim, err error) {
	rows, err := q.cfg.DB.Writer().QueryContext(ctx, `select id, `+q.owner()+`, coalesce(metadata ->> 'crashes', '0')
		from river_job where state = 'running' order by id`)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var c claim
		if err := rows.Scan(&c.id, &c.owner, &c.crashes); err != nil {
			return nil, err
		}
		claims = append(claims, c)
	}
	return claims, rows.Err()
}

// owner is the last process that claimed a job. River keeps a list.
func (q *Queue) owner() string {
	return q.dialect(`coalesce(attempted_by ->> '$[#-1]', '')`, `coalesce(attempted_by[array_upper(attempted_by, 1)], '')`)
}

// rescue makes the running jobs of some owners available again and counts a crash for each. The attempt is given back,
// since the job may have had no part in the crash; one that has lost as many processes as it has attempts fails when it
// is claimed the next time. Jobs that were being cancelled are. It returns how many jobs it changed.
func (q *Queue) rescue(ctx context.Context, dead func(owner string) bool) (n int, err error) {
	claimed, err := q.claimed(ctx)
	if err != nil {
		return 0, err
	}
	err = q.cfg.DB.Update(ctx, func(tx *store.Tx) error {
		n = 0
		lost := map[string][]int64{}
		for _, c := range claimed {
			if !dead(c.owner) {
				continue
			}
			again := q.timestamp(q.now().Add(crashDelay(c.crashes+1, rand.Float64()))) //nolint:gosec // spreads retries, hides nothing
			changed, err := q.exec(ctx, tx, q.dialect(rescueSQLite, rescuePostgres)+q.owner()+` = $4`, c.id, again, c.crashes+1, c.owner)
			if err != nil {
				return fmt.Errorf("rescue job %d: %w", c.id, err)
			}
			if changed > 0 {
				lost[c.owner] = append(lost[c.owner], c.id)
			}
			n += int(changed)
		}
		return q.tellDead(ctx, tx, lost)
	})
	return n, err
}

// tellDead frees what else the dead held, in the order of their names.
func (q *Queue) tellDead(ctx context.Context, tx *store.Tx, lost map[string][]int64) error {
	if q.cfg.OnDead == nil {
		return nil
	}
	for _, owner := range slices.Sorted(maps.Keys(lost)) {
		if err := q.cfg.OnDead(ctx, tx, owner, lost[owner]); err != nil {
			return err
		}
	}
	return nil
}

// crashDelay spreads jobs that lost a process together, so that the one to blame meets others less each time: the first
// time they come back at once, then within 2, 4, 8 … seconds, at most half a minute. chance is in [0, 1).
func crashDelay(crashes int, chance float64) time.Duration {
	if crashes < 2 {
		return 0
	}
	return time.Duration(chance * float64(min(time.Second<<min(crashes-1, 10), 30*time.Second)))
}

// release makes jobs that this process claimed available again as if they had not been claimed.
func (q *Queue) release(ctx context.Context, ids []int64) error {
	return q.cfg.DB.Update(ctx, func(tx *store.Tx) error {
		for _, id := range ids {
			if _, err := q.exec(ctx, tx, q.dialect(rescueSQLite, rescuePostgres)+q.owner()+` = $4`,
				id, q.timestamp(q.now()), 0, q.id); err != nil {
				return fmt.Errorf("release job %d: %w", id, err)
			}
		}
		return nil
	})
}

// leave gives back what this process still holds when it stops, and takes it off the list of workers.
func (q *Queue) leave(ctx context.Context) error {
	claimed, err := q.claimed(ctx)
	if err != nil {
		return err
	}
	var mine []int64
	for _, c := range claimed {
		if c.owner == q.id {
			mine = append(mine, c.id)
		}
	}
	if len(mine) > 0 {
		q.log.Warn("jobs did not stop in time; they are made available again", "jobs", len(mine))
		if err := q.release(ctx, mine); err != nil {
			return err
		}
	}
	return q.cfg.DB.Update(ctx, func(tx *store.Tx) error { return tx.ForgetWorker(ctx, q.id) })
}

// The statements give a running job back: $1 its id, $2 when it may run, $3 its crashes (0 leaves them), $4 its owner.
const (
	rescueSQLite = `update river_job set
	state = case when metadata ->> 'cancel_attempted_at' is null then 'available' else 'cancelled' end,
	finalized_at = case when metadata ->> 'cancel_attempted_at' is null then null else strftime('%Y-%m-%d %H:%M:%f', 'now') end,
	attempt = max(attempt - 1, 0), scheduled_at = $2,
	metadata = case when $3 > 0 then jsonb_set(metadata, '$.crashes', $3) else metadata end
where id = $1 and state = 'running' and `

	rescuePostgres = `update river_job set
	state = case when metadata ->> 'cancel_attempted_at' is null then 'available' else 'cancelled' end::river_job_state,
	finalized_at = case when metadata ->> 'cancel_attempted_at' is null then null else now() end,
	attempt = greatest(attempt - 1, 0), scheduled_at = $2::text::timestamptz,
	metadata = case when $3::int > 0 then jsonb_set(metadata, '{crashes}', to_jsonb($3::int)) else metadata end
where id = $1 and state = 'running' and `
)
