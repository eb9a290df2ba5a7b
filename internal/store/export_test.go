package store

import (
	"context"
	"database/sql"

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
