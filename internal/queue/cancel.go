package queue

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/tidewaiter/tidewaiter/internal/store"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// Selection says which jobs are meant: those that match every part that is set. An empty one means none.
type Selection struct {
	RegistryIDs []string
	Kinds       []tidewaiter.JobKind
	Lanes       []tidewaiter.Lane
	UniqueKeys  []string
}

// Cancel removes the selected jobs that wait and cancels the contexts of those that run, in whichever process, within 2
// seconds after the transaction has committed. A job that returns an error after that ends there and is not counted as
// failed; one that returns none is done. It returns how many waiting jobs were removed and how many running ones are
// being cancelled.
func (q *Queue) Cancel(ctx context.Context, tx *store.Tx, s Selection) (removed, stopping int, err error) {
	where, args, err := q.where(s)
	if err != nil || where == "" {
		return 0, 0, err
	}
	n, err := q.exec(ctx, tx, `delete from river_job where state in ('available', 'pending', 'retryable', 'scheduled')`+where, args...)
	if err != nil {
		return 0, 0, fmt.Errorf("remove waiting jobs: %w", err)
	}
	ids, err := q.ids(ctx, tx, `select id from river_job where state = 'running'`+where+` order by id`, args...)
	if err != nil {
		return 0, 0, fmt.Errorf("find running jobs: %w", err)
	}
	for _, id := range ids {
		if err := q.client.cancel(ctx, tx, id); err != nil {
			return 0, 0, fmt.Errorf("cancel job %d: %w", id, err)
		}
	}
	return int(n), len(ids), nil
}

// CancelRegistry cancels all jobs of a registry, as Cancel does, in a transaction of its own.
func (q *Queue) CancelRegistry(ctx context.Context, registryID string) error {
	return q.cfg.DB.Update(ctx, func(tx *store.Tx) error {
		_, _, err := q.Cancel(ctx, tx, Selection{RegistryIDs: []string{registryID}})
		return err
	})
}

// where writes a selection as conditions to be added with "and"; each list is one JSON argument.
func (q *Queue) where(s Selection) (string, []any, error) {
	var sql strings.Builder
	var args []any
	for _, part := range []struct {
		column string
		values any
		size   int
	}{
		{`metadata ->> 'registry'`, s.RegistryIDs, len(s.RegistryIDs)},
		{`kind`, s.Kinds, len(s.Kinds)},
		{`queue`, s.Lanes, len(s.Lanes)},
		{`metadata ->> 'key'`, s.UniqueKeys, len(s.UniqueKeys)},
	} {
		if part.size == 0 {
			continue
		}
		doc, err := json.Marshal(part.values)
		if err != nil {
			return "", nil, err
		}
		args = append(args, string(doc))
		from := q.dialect("json_each", "jsonb_array_elements_text")
		sql.WriteString(" and " + part.column + " in (select value from " + from + "($" + strconv.Itoa(len(args)) + "))")
	}
	return sql.String(), args, nil
}

// Pause stops a lane in every process within 2 seconds: jobs that run go on, no other is begun.
func (q *Queue) Pause(ctx context.Context, lane tidewaiter.Lane) error {
	if !validLane(lane) {
		return tidewaiter.Invalid("lane", "no such lane: %q", lane)
	}
	if err := q.client.QueuePause(ctx, string(lane), nil); err != nil {
		return unavailable("pause lane "+string(lane), err)
	}
	return nil
}

// Resume undoes Pause.
func (q *Queue) Resume(ctx context.Context, lane tidewaiter.Lane) error {
	if !validLane(lane) {
		return tidewaiter.Invalid("lane", "no such lane: %q", lane)
	}
	if err := q.client.QueueResume(ctx, string(lane), nil); err != nil {
		return unavailable("resume lane "+string(lane), err)
	}
	return nil
}

// Paused returns the lanes that are paused.
func (q *Queue) Paused(ctx context.Context) (map[tidewaiter.Lane]bool, error) {
	rows, err := q.cfg.DB.Writer().QueryContext(ctx, `select name from river_queue where paused_at is not null`)
	if err != nil {
		return nil, unavailable("list paused lanes", err)
	}
	defer rows.Close()
	paused := map[tidewaiter.Lane]bool{}
	for rows.Next() {
		var lane tidewaiter.Lane
		if err := rows.Scan(&lane); err != nil {
			return nil, unavailable("list paused lanes", err)
		}
		paused[lane] = true
	}
	if err := rows.Err(); err != nil {
		return nil, unavailable("list paused lanes", err)
	}
	return paused, nil
}

// lookEvery is how often a process looks after its running jobs: for those that were cancelled, because a message of
// River's can be lost, to a job just being claimed or with the connection that listens.
const lookEvery = time.Second

func (q *Queue) watchRunning(ctx context.Context) {
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if q.running.count() == 0 {
			continue
		}
		ids, err := q.cancelled(ctx)
		if err != nil {
			q.complain(ctx, "look for cancelled jobs", err)
			continue
		}
		q.running.cancel(ids, errCanceled)
	}
}

// cancelled returns the running jobs, of any process, that are to be cancelled.
func (q *Queue) cancelled(ctx context.Context) (ids []int64, err error) {
	rows, err := q.cfg.DB.Writer().QueryContext(ctx,
		`select id from river_job where state = 'running' and metadata ->> 'cancel_attempted_at' is not null`)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var id int64
		if err := rows.Scan(&id); err != nil {
			return nil, err
		}
		ids = append(ids, id)
	}
	return ids, rows.Err()
}

// complain logs that a round of a loop went wrong. The next one may go better.
func (q *Queue) complain(ctx context.Context, doing string, err error) {
	if ctx.Err() == nil {
		q.log.Warn("job queue: "+doing, "error", err)
	}
}
