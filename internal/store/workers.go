package store

import (
	"context"
	"time"

	"github.com/uptrace/bun"

	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// Worker is a process that takes jobs.
type Worker struct {
	ID          string // of one start of one process
	Name        string // of the machine, for people
	HeartbeatAt time.Time
	Labels      []string // which registries it can reach
	Version     string
	StartedAt   time.Time
	Lanes       map[tidewaiter.Lane]int // how many jobs of each lane it runs at once
	Running     int                     // jobs, at the time of the heartbeat
	Advisories  string                  // version in use; "" for none
}

type workerRow struct {
	bun.BaseModel `bun:"table:workers,alias:w"`

	ID          string `bun:",pk"`
	HeartbeatAt int64
	Labels      string
	Version     string
	StartedAt   int64
	Name        string
	Lanes       string
	Running     int64
	Advisories  string
}

// Heartbeat stores that a worker is alive.
func (tx *Tx) Heartbeat(ctx context.Context, w Worker) error {
	labels, err := jsonText(w.Labels)
	if err != nil {
		return err
	}
	lanes, err := jsonText(w.Lanes)
	if err != nil {
		return err
	}
	row := workerRow{
		ID: text(w.ID), HeartbeatAt: micros(w.HeartbeatAt), Labels: labels, Version: text(w.Version), StartedAt: micros(w.StartedAt),
		Name: text(w.Name), Lanes: lanes, Running: int64(w.Running), Advisories: text(w.Advisories),
	}
	_, err = tx.insert(&row).On("conflict (id) do update").Set("heartbeat_at = excluded.heartbeat_at").Set("labels = excluded.labels").
		Set("version = excluded.version").Set("started_at = excluded.started_at").Set("name = excluded.name").
		Set("lanes = excluded.lanes").Set("running = excluded.running").Set("advisories = excluded.advisories").Exec(ctx)
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
		out[i] = Worker{ID: row.ID, Name: row.Name, HeartbeatAt: timeOf(row.HeartbeatAt), Version: row.Version,
			StartedAt: timeOf(row.StartedAt), Running: int(row.Running), Advisories: row.Advisories}
		if err := fromText(row.Lanes, &out[i].Lanes); err != nil {
			return nil, err
		}
		if err := fromText(row.Labels, &out[i].Labels); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// ForgetWorker removes a worker that has stopped.
func (tx *Tx) ForgetWorker(ctx context.Context, id string) error {
	_, err := tx.exec(ctx, "delete from workers where id = ?", text(id))
	return fail(err, "forget worker %s", id)
}

// ForgetWorkers removes the workers whose last heartbeat was before a time, and returns how many there were.
func (tx *Tx) ForgetWorkers(ctx context.Context, before time.Time) (int, error) {
	n, err := tx.exec(ctx, "delete from workers where heartbeat_at < ?", micros(before))
	return int(n), fail(err, "forget workers")
}
