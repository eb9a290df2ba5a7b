package store

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"strconv"
	"strings"
	"testing/fstest"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/lock"

	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

//go:embed migrations/*.sql
var migrations embed.FS

// oldestSchema is the oldest program, by the last migration it knows, that may work on the present tables beside this one
// while servers and workers are upgraded one after the other. Raise it with a migration that older programs cannot live with.
const oldestSchema = 5

// settingOldestSchema is where oldestSchema is kept, for older programs to read.
const settingOldestSchema = "schema.oldest"

// migrate brings the tables up to date. On PostgreSQL an advisory lock keeps several starting processes apart; on SQLite
// the single write connection does within the process, and a second process waits for the file's lock. Tables that a newer
// program has changed are left alone: this one works on them if the newer one says that it can.
func (db *DB) migrate(ctx context.Context) error {
	return db.migrateTo(ctx, 0)
}

// migrateTo migrates up to a version; 0 is the newest.
func (db *DB) migrateTo(ctx context.Context, version int64) error {
	conns, closeConns := db.migrationConns()
	defer closeConns()
	provider, err := db.migrator(conns)
	if err != nil {
		return err
	}
	current, newest, err := provider.GetVersions(ctx)
	if err != nil {
		return fmt.Errorf("read the version of the tables: %w", err)
	}
	if current > newest {
		return db.livesWith(ctx, current, newest)
	}
	if version == 0 {
		version = newest
	}
	for attempt := 1; ; attempt++ {
		_, err := provider.UpTo(ctx, version)
		if err == nil {
			break
		}
		if !lockTimeout(err) || attempt == migrateAttempts || ctx.Err() != nil {
			return fmt.Errorf("migrate: %w", err)
		}
		db.log.Info("a long read is in the way of a change of the tables; trying again", "attempt", attempt)
	}
	_, err = db.writer.ExecContext(ctx, "insert into settings (key, value, updated_at) values ($1, $2, 0) on conflict (key) do update set value = excluded.value",
		settingOldestSchema, strconv.Itoa(oldestSchema))
	return err
}

const (
	// migrateLockTimeout is how long a change of a table waits for those who read it. Whoever comes after it waits behind
	// it, so it gives way and tries again.
	migrateLockTimeout = 2 * time.Second
	migrateAttempts    = 60

	// migrateLockEvery is how often a process that starts beside others asks whether it is its turn, in seconds, and
	// migrateLockTries how many times: five minutes in all.
	migrateLockEvery = 1
	migrateLockTries = 300
)

// migrationConns are connections that do not wait long for a table's lock.
func (db *DB) migrationConns() (conns *sql.DB, done func()) {
	if db.dialect == SQLite {
		return db.writer, func() {}
	}
	cfg := db.pool.Config().ConnConfig
	cfg.RuntimeParams["lock_timeout"] = strconv.FormatInt(migrateLockTimeout.Milliseconds(), 10)
	conns = stdlib.OpenDB(*cfg)
	return conns, func() { _ = conns.Close() } // what it did is committed
}

func lockTimeout(err error) bool {
	e, ok := errors.AsType[*pgconn.PgError](err)
	return ok && e.Code == "55P03"
}

func (db *DB) migrator(conns *sql.DB) (*goose.Provider, error) {
	files, err := expand(migrations, db.dialect)
	if err != nil {
		return nil, err
	}
	opts := []goose.ProviderOption{goose.WithTableName("schema_migrations"), goose.WithDisableGlobalRegistry(true)}
	dialect := goose.DialectSQLite3
	if db.dialect == Postgres {
		dialect = goose.DialectPostgres
		locker, err := lock.NewPostgresSessionLocker(lock.WithLockTimeout(migrateLockEvery, migrateLockTries))
		if err != nil {
			return nil, fmt.Errorf("prepare the migration lock: %w", err)
		}
		opts = append(opts, goose.WithSessionLocker(locker))
	}
	provider, err := goose.NewProvider(dialect, conns, files, opts...)
	if err != nil {
		return nil, fmt.Errorf("read the migrations: %w", err)
	}
	return provider, nil
}

// livesWith reports whether this program, which knows the tables up to one version, may work on those of a newer one.
func (db *DB) livesWith(ctx context.Context, current, known int64) error {
	var text string
	err := db.writer.QueryRowContext(ctx, "select value from settings where key = $1", settingOldestSchema).Scan(&text)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return fmt.Errorf("read the version of the tables: %w", err)
	}
	oldest, err := strconv.ParseInt(text, 10, 64)
	if err == nil && known >= oldest {
		db.log.Warn("a newer version of Tidewaiter has changed the tables; going on, as it says that this one can", "tables", current, "known", known)
		return nil
	}
	return tidewaiter.Errorf(tidewaiter.ErrUnsupported, "the database belongs to a newer version of Tidewaiter: its tables are of version %d, this program knows %d",
		current, known).WithFix("run the version of Tidewaiter that the servers run")
}

// expand writes what the two databases spell differently: a numbered primary key, and text compared byte by byte, as
// cursors need it and as SQLite does anyway, tables that are worth nothing after a crash, and lines for PostgreSQL alone.
func expand(from fs.FS, dialect Dialect) (fs.FS, error) {
	words := strings.NewReplacer("{{serial}}", "integer primary key autoincrement", "{{c}}", "", "{{unlogged}}", "", "{{postgres}}", "-- ")
	if dialect == Postgres {
		words = strings.NewReplacer("{{serial}}", "bigint generated by default as identity primary key", "{{c}}", `collate "C"`, "{{unlogged}}", "unlogged", "{{postgres}}", "")
	}
	out := fstest.MapFS{}
	names, err := fs.Glob(from, "migrations/*.sql")
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		b, err := fs.ReadFile(from, name)
		if err != nil {
			return nil, err
		}
		out[strings.TrimPrefix(name, "migrations/")] = &fstest.MapFile{Data: []byte(words.Replace(string(b)))}
	}
	return out, nil
}
