package queue

import (
	"context"
	"fmt"

	"github.com/riverqueue/river/riverdriver/riverpgxv5"
	"github.com/riverqueue/river/riverdriver/riversqlite"
	"github.com/riverqueue/river/rivermigrate"

	"github.com/tidewaiter/tidewaiter/internal/store"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// migrationLock is the key of the advisory lock that lets one process at a time change the job tables in PostgreSQL.
const migrationLock = 0x7469646577617465

// migrateTries is how often a migration is tried in SQLite, which has no lock to wait for: the process that lost the
// race finds the tables there the next time.
const migrateTries = 3

// migrate brings River's tables, and the queue's own one, up to date.
func (q *Queue) migrate(ctx context.Context) (err error) {
	if q.sqlite {
		for range migrateTries {
			m, err := rivermigrate.New(riversqlite.New(q.cfg.DB.Writer()), &rivermigrate.Config{Logger: riverLog(q.log, q.now)})
			if err != nil {
				return err
			}
			if _, err = m.Migrate(ctx, rivermigrate.DirectionUp, nil); err == nil {
				return q.ownTables(ctx)
			}
		}
		return err
	}
	return q.migratePostgres(ctx)
}

func (q *Queue) migratePostgres(ctx context.Context) error {
	conn, err := q.cfg.DB.Pool().Acquire(ctx)
	if err != nil {
		return unavailable("connect", err)
	}
	defer conn.Release()
	if _, err := conn.Exec(ctx, "select pg_advisory_lock($1)", int64(migrationLock)); err != nil {
		return unavailable("lock the job tables", err)
	}
	defer func() {
		// The lock belongs to the connection: one that cannot be unlocked must not go back to the pool.
		if _, err := conn.Exec(context.WithoutCancel(ctx), "select pg_advisory_unlock($1)", int64(migrationLock)); err != nil {
			_ = conn.Conn().Close(context.WithoutCancel(ctx))
		}
	}()
	m, err := rivermigrate.New(riverpgxv5.New(q.cfg.DB.Pool()), &rivermigrate.Config{Logger: riverLog(q.log, q.now)})
	if err != nil {
		return err
	}
	if _, err := m.Migrate(ctx, rivermigrate.DirectionUp, nil); err != nil {
		return err
	}
	return q.ownTables(ctx)
}

// ownTables makes the table of periods, the index claims go by, and River's rows for the lanes so that a lane can be paused before anybody
// works on it.
func (q *Queue) ownTables(ctx context.Context) error {
	return q.cfg.DB.Update(ctx, func(tx *store.Tx) error {
		if _, err := q.exec(ctx, tx, `create table if not exists job_periods (name text primary key, period bigint not null)`); err != nil {
			return err
		}
		if _, err := q.exec(ctx, tx, q.dialect(turnIndexSQLite, turnIndexPostgres)); err != nil {
			return fmt.Errorf("prepare the index of turns: %w", err)
		}
		for _, lane := range tidewaiter.Lanes() {
			if _, err := q.exec(ctx, tx, `insert into river_queue (name, created_at, updated_at) values ($1, current_timestamp, current_timestamp)
				on conflict (name) do nothing`, string(lane)); err != nil {
				return fmt.Errorf("prepare lane %s: %w", lane, err)
			}
		}
		return nil
	})
}
