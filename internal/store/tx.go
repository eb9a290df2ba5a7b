package store

import (
	"context"
	"database/sql"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/uptrace/bun"

	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// Tx is one write transaction. It is used by one goroutine at a time and only inside the function given to Update.
type Tx struct {
	*Reader
	sqlTx *sql.Tx
	pgxTx pgx.Tx
	ended []string // scans that have ended, to be told of after the commit; on SQLite
}

// SQL returns the transaction on SQLite, nil on PostgreSQL. It is there for package queue.
func (tx *Tx) SQL() *sql.Tx { return tx.sqlTx }

// Pgx returns the transaction on PostgreSQL, nil on SQLite. It is there for package queue.
func (tx *Tx) Pgx() pgx.Tx { return tx.pgxTx }

// How often Update runs a transaction that lost a deadlock or a race, and how long it waits between two attempts at most.
const (
	updateAttempts = 8
	updateBackoff  = 200 * time.Millisecond
)

// Update runs fn in one write transaction, at read committed. It commits when fn returns nil and rolls back otherwise.
// A transaction that lost a deadlock or a race is run again, so fn must set what it hands out anew each time and have no
// effect beyond the transaction. Inside fn, read through tx: a read through DB sees the state before the transaction and
// takes another connection. An Update inside fn would wait for fn to end, for ever on SQLite.
func (db *DB) Update(ctx context.Context, fn func(*Tx) error) error {
	run := db.updateSQLite
	if db.dialect == Postgres {
		run = db.updatePostgres
	}
	var err error
	for attempt := range updateAttempts {
		if err = run(ctx, fn); err == nil || !retryable(err) {
			break
		}
		db.log.Debug("transaction runs again", "attempt", attempt+1, "error", err)
		wait := min(updateBackoff, 5*time.Millisecond<<attempt)
		select {
		case <-ctx.Done():
			return fail(ctx.Err(), "write to the database")
		case <-time.After(wait/2 + rand.N(wait)): //nolint:gosec // spreads retries, hides nothing
		}
	}
	if err == nil {
		return nil
	}
	if ctx.Err() != nil && tidewaiter.KindOf(fail(err, "")) == tidewaiter.ErrTransient {
		// A connection that is given up in the middle of a statement looks like one that was cut.
		return fail(ctx.Err(), "write to the database")
	}
	if kind, _ := classify(err); kind != "" {
		return fail(err, "write to the database")
	}
	return err
}

type urgency struct{}

// Urgent has the updates under a context go before all others that wait. It is for what somebody waits for who cannot wait long,
// and has an effect on SQLite alone, where all writes share a connection.
func Urgent(ctx context.Context) context.Context { return context.WithValue(ctx, urgency{}, true) }

func (db *DB) updateSQLite(ctx context.Context, fn func(*Tx) error) error {
	// The connection is given out in the order it was asked for. Only one update that is not urgent asks at a time.
	if ctx.Value(urgency{}) == nil {
		select {
		case db.turn <- struct{}{}:
			defer func() { <-db.turn }()
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	sqlTx, err := db.writer.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer func() { _ = sqlTx.Rollback() }() // after a commit it does nothing
	tx := &Tx{Reader: db.with(sqlTx), sqlTx: sqlTx}
	if err := fn(tx); err != nil {
		return err
	}
	if err := sqlTx.Commit(); err != nil {
		return err
	}
	if len(tx.ended) > 0 {
		db.endings.tell(tx.ended...)
	}
	return nil
}

// updatePostgres begins the transaction on the driver's own connection, because package queue needs a pgx.Tx, and runs
// everything else through database/sql on that same connection. The transaction is ended inside conn.Raw: when a
// statement fails because its context is over, database/sql gives the connection back at once, and the pool is closing it
// while we get here. Raw then refuses.
func (db *DB) updatePostgres(ctx context.Context, fn func(*Tx) error) error {
	conn, err := db.writer.Conn(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	var pgxTx pgx.Tx
	if err := conn.Raw(func(driverConn any) error {
		c, ok := driverConn.(*stdlib.Conn)
		if !ok {
			return fmt.Errorf("unexpected connection of type %T", driverConn)
		}
		var err error
		pgxTx, err = c.Conn().Begin(ctx)
		return err
	}); err != nil {
		return err
	}
	defer func() {
		// The caller's context may be over; the connection is worth saving all the same.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
		defer cancel()
		_ = conn.Raw(func(any) error { return pgxTx.Rollback(ctx) }) // after a commit it does nothing
	}()
	if err := fn(&Tx{Reader: db.with(oneTrip{conn}), pgxTx: pgxTx}); err != nil {
		return err
	}
	return conn.Raw(func(any) error { return pgxTx.Commit(ctx) })
}

func (db *DB) with(conn bun.IConn) *Reader {
	r := *db.Reader
	r.conn = conn
	return &r
}
