package store

import (
	"context"
	"database/sql"
	"log/slog"
	"time"

	"github.com/uptrace/bun"
)

// Recording makes the reads of a database keep their statements, for tests that look at their plans.
func Recording(db *DB) *[]string {
	rec := &recorder{IConn: db.conn}
	db.conn = rec
	return &rec.queries
}

type recorder struct {
	bun.IConn
	queries []string
}

func (r *recorder) QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error) {
	r.queries = append(r.queries, query)
	return r.IConn.QueryContext(ctx, query, args...)
}

// MigrateTo makes the tables of an older version in an empty PostgreSQL database.
func MigrateTo(ctx context.Context, url string, version int64) error {
	db := &DB{log: slog.New(slog.DiscardHandler), now: time.Now}
	if err := db.openPostgres(ctx, url); err != nil {
		return err
	}
	defer func() { _ = db.Close() }()
	return db.migrateTo(ctx, version)
}

// Migrate is what Open does to the tables.
func Migrate(ctx context.Context, db *DB) error { return db.migrate(ctx) }
