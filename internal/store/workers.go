package store

import (
	"context"
	"time"

	"github.com/uptrace/bun"
)

// Worker is a process that takes jobs.
type Worker struct {
	ID          string
	HeartbeatAt time.Time
	Labels      []string // which registries it can reach
	Version     string
	StartedAt   time.Time
}

type workerRow struct {
	bun.BaseModel `bun:"table:workers,alias:w"`

	ID          string `bun:",pk"`
	HeartbeatAt int64
	Labels      string
	Version     string
	StartedAt   int64
}

// Heartbeat stores that a worker is alive.
func (tx *Tx) Heartbeat(ctx context.Context, w Worker) error {
	labels, err := jsonText(w.Labels)
	if err != nil {
		return err
	}
	row := workerRow{
		ID: text(w.ID), HeartbeatAt: micros(w.HeartbeatAt), Labels: labels, Version: text(w.Version), StartedAt: micros(w.StartedAt),
	}
	_, err = tx.insert(&row).On("conflict (id) do update").Set("heartbeat_at = excluded.heartbeat_at").Set("labels = excluded.labels").
		Set("version = excluded.version").Set("started_at = excluded.started_at").Exec(ctx)
	return fail(err, "store the heartbeat of worker %s", w.ID)
}

// Workers returns all workers by id, however long ago their last heartbeat was.
func (r *Reader) Workers(ctx context.Context) ([]Worker, error) {
	var found []workerRow
	if err := r.selectFrom(&found).OrderExpr("w.id").Scan(ctx); err != nil {
		return nil, fail(err, "list workers")
	}
	out := make([]Worker, len(found))
	for i, row := range found {
		out[i] = Worker{ID: row.ID, HeartbeatAt: timeOf(row.HeartbeatAt), Version: row.Version, StartedAt: timeOf(row.StartedAt)}
		if err := fromText(row.Labels, &out[i].Labels); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// ForgetWorkers removes the workers whose last heartbeat was before a time, and returns how many there were.
func (tx *Tx) ForgetWorkers(ctx context.Context, before time.Time) (int, error) {
	n, err := tx.exec(ctx, "delete from workers where heartbeat_at < ?", micros(before))
	return int(n), fail(err, "forget workers")
}
