package store

import (
	"context"
	"database/sql"
	"errors"
	"log/slog"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/uptrace/bun"

	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// Dialect names the database in use.
type Dialect string

// The dialects.
const (
	SQLite   Dialect = "sqlite"
	Postgres Dialect = "postgres"
)

// Config says where the database is.
type Config struct {
	URL string           // postgres://…, sqlite:path, or the path of a SQLite file, which is made when it is missing
	Log *slog.Logger     // nil discards
	Now func() time.Time // nil is time.Now
}

// DB is an open database.
type DB struct {
	*Reader
	dialect Dialect
	log     *slog.Logger
	now     func() time.Time
	writer  *sql.DB
	bun     *bun.DB // over writer
	readers *sql.DB // SQLite's read pool; the writer's pool on PostgreSQL
	pool    *pgxpool.Pool
	endings *endings
	turn    chan struct{} // SQLite: held by the one update that is not urgent and asks for the writer
}

// Open connects to the database and brings its tables up to date, one process at a time. A database that does not
// answer is ErrTransient, a URL that cannot be read ErrInvalid on field "database".
func Open(ctx context.Context, cfg Config) (*DB, error) {
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	db := &DB{log: cfg.Log, now: cfg.Now, turn: make(chan struct{}, 1)}
	var err error
	switch {
	case strings.HasPrefix(cfg.URL, "postgres://"), strings.HasPrefix(cfg.URL, "postgresql://"):
		err = db.openPostgres(ctx, cfg.URL)
	case cfg.URL == "" || strings.Contains(cfg.URL, "://"):
		err = tidewaiter.Invalid("database", "the address is not one of a supported database").
			WithFix("write it as postgres://user@host/name or as the path of a file")
	default:
		err = db.openSQLite(strings.TrimPrefix(cfg.URL, "sqlite:"))
	}
	if err == nil {
		err = db.migrate(ctx)
	}
	if err != nil {
		return nil, errors.Join(fail(err, "open the database"), db.Close())
	}
	return db, nil
}

// Close ends all connections. What is under way fails with ErrTransient.
func (db *DB) Close() error {
	var errs []error
	if db.endings != nil {
		db.endings.close()
	}
	if db.readers != nil && db.readers != db.writer {
		errs = append(errs, db.readers.Close())
	}
	if db.writer != nil {
		errs = append(errs, db.writer.Close())
	}
	if db.pool != nil {
		db.pool.Close()
	}
	return errors.Join(errs...)
}

// Ping reports whether the database answers.
func (db *DB) Ping(ctx context.Context) error {
	_, err := db.readers.ExecContext(ctx, "select 1")
	return fail(err, "ping the database")
}

// Dialect says which database this is.
func (db *DB) Dialect() Dialect { return db.dialect }

// Writer returns the connection all writes go through: the only one on SQLite, a view of the pool on PostgreSQL. It is
// there for package queue.
func (db *DB) Writer() *sql.DB { return db.writer }

// Pool returns PostgreSQL's pool, nil on SQLite. It is there for package queue.
func (db *DB) Pool() *pgxpool.Pool { return db.pool }

// Size returns how many bytes the database takes, indexes included.
func (db *DB) Size(ctx context.Context) (bytes int64, err error) {
	query := "select page_count * page_size from pragma_page_count(), pragma_page_size()"
	if db.dialect == Postgres {
		query = "select pg_database_size(current_database())"
	}
	err = db.readers.QueryRowContext(ctx, query).Scan(&bytes)
	return bytes, fail(err, "measure the database")
}
