package store

import (
	"context"
	"database/sql"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/uptrace/bun"
	"github.com/uptrace/bun/dialect/pgdialect"

	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// postgresConns is how many connections the pool makes unless the URL says pool_max_conns.
const postgresConns = 20

func (db *DB) openPostgres(ctx context.Context, url string) error {
	cfg, err := pgxpool.ParseConfig(url)
	if err != nil {
		// The parser's own words may repeat the password.
		return tidewaiter.Invalid("database", "the address of the PostgreSQL database cannot be read").
			WithFix("write it as postgres://user:password@host:5432/name")
	}
	if !strings.Contains(url, "pool_max_conns") {
		cfg.MaxConns = postgresConns
	}
	cfg.ConnConfig.RuntimeParams["timezone"] = "UTC"
	if cfg.ConnConfig.RuntimeParams["application_name"] == "" {
		cfg.ConnConfig.RuntimeParams["application_name"] = "tidewaiter"
	}
	cfg.AfterConnect = plainPlans
	pool, err := pgxpool.NewWithConfig(ctx, cfg)
	if err != nil {
		return err
	}
	db.dialect, db.pool, db.endings = Postgres, pool, newEndings(db.listenPostgres)
	db.writer = stdlib.OpenDBFromPool(pool)
	db.readers = db.writer
	db.bun = bun.NewDB(db.writer, pgdialect.New(), bun.WithDiscardUnknownColumns())
	db.Reader = &Reader{bun: db.bun, conn: oneTrip{db.writer}, dialect: Postgres, codec: newCodec(), now: db.now}
	return nil
}

// plainPlans has a connection neither compile its statements nor share one among processes: statements take milliseconds, either
// takes tens or hundreds of them before it begins. This is not among the parameters a connection starts with, as poolers in
// between refuse those they do not know.
func plainPlans(ctx context.Context, conn *pgx.Conn) error {
	for _, set := range []string{"set jit = off", "set max_parallel_workers_per_gather = 0"} {
		if _, err := conn.Exec(ctx, set); err != nil {
			return err
		}
	}
	return nil
}

// oneTrip sends statements without preparing them first. The query builder writes values into the text, so that every
// text is new: preparing it would cost a round trip each and fill the connection's statement cache with what is never
// used again.
type oneTrip struct{ bun.IConn }

func (c oneTrip) QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error) {
	return c.IConn.QueryContext(ctx, query, withoutPrepare(args)...)
}

func (c oneTrip) ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error) {
	return c.IConn.ExecContext(ctx, query, withoutPrepare(args)...)
}

func (c oneTrip) QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row {
	return c.IConn.QueryRowContext(ctx, query, withoutPrepare(args)...)
}

func withoutPrepare(args []any) []any {
	if len(args) > 0 {
		return args
	}
	return []any{pgx.QueryExecModeExec}
}
