package store_test

import (
	"database/sql"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/tidewaiter/tidewaiter/internal/store"
	"github.com/tidewaiter/tidewaiter/internal/testkit"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// TestServersThatStartTogetherMigrateOnce has several servers open an empty database at the same time.
func TestServersThatStartTogetherMigrateOnce(t *testing.T) {
	t.Parallel()
	url := testkit.Postgres(t)
	var group errgroup.Group
	for range 4 {
		group.Go(func() error {
			db, err := store.Open(t.Context(), store.Config{URL: url})
			if err == nil {
				err = db.Close()
			}
			return err
		})
	}
	if err := group.Wait(); err != nil {
		t.Fatal(err)
	}
	db := open(t, url)
	var rows, distinct int
	if err := db.Writer().QueryRow("select count(*), count(distinct version_id) from schema_migrations").Scan(&rows, &distinct); err != nil {
		t.Fatal(err)
	}
	if rows != distinct || rows < 5 {
		t.Errorf("%d migrations were noted, %d different ones", rows, distinct)
	}
}

// TestMigrationGivesWayToReaders upgrades while somebody reads a table for long. Others go on reading it meanwhile, and once
// the reader is done the upgrade goes through.
func TestMigrationGivesWayToReaders(t *testing.T) {
	t.Parallel()
	url := testkit.Postgres(t)
	if err := store.MigrateTo(t.Context(), url, 5); err != nil {
		t.Fatal(err)
	}
	old := openOld(t, url)
	reader, err := old.Begin()
	if err != nil {
		t.Fatal(err)
	}
	var n int
	if err := reader.QueryRow("select count(*) from registries").Scan(&n); err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() {
		db, err := store.Open(t.Context(), store.Config{URL: url})
		if err == nil {
			err = db.Close()
		}
		done <- err
	}()
	waits := func() bool {
		var n int
		if err := old.QueryRow("select count(*) from pg_locks where not granted and mode = 'AccessExclusiveLock'").Scan(&n); err != nil {
			t.Fatal(err)
		}
		return n > 0
	}
	for deadline := time.Now().Add(time.Minute); !waits(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("the migration does not wait for the reader")
		}
	}
	if err := old.QueryRow("select count(*) from registries").Scan(&n); err != nil { // behind the migration, which gives way
		t.Fatal(err)
	}
	select {
	case err := <-done:
		t.Fatalf("the migration did not wait: %v", err)
	default:
	}
	if err := reader.Commit(); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if err := old.QueryRow("select count(labels) from registries").Scan(&n); err != nil {
		t.Error(err)
	}
}

// TestNewerTables opens tables that a newer program has made: one that says this program can live with them, one that does
// not.
func TestNewerTables(t *testing.T) {
	t.Parallel()
	for name, url := range map[string]string{"sqlite": filepath.Join(t.TempDir(), "db"), "postgres": testkit.Postgres(t)} {
		t.Run(name, func(t *testing.T) {
			db := open(t, url)
			future := func(oldest int) {
				t.Helper()
				for _, statement := range []string{
					"delete from schema_migrations where version_id = 99999",
					"insert into schema_migrations (version_id, is_applied) values (99999, true)",
					fmt.Sprintf("update settings set value = '%d' where key = 'schema.oldest'", oldest),
				} {
					if _, err := db.Writer().Exec(statement); err != nil {
						t.Fatal(err)
					}
				}
			}
			future(5)
			if err := store.Migrate(t.Context(), db); err != nil {
				t.Errorf("it can live with the tables: %v", err)
			}
			future(99998)
			err := store.Migrate(t.Context(), db)
			if tidewaiter.KindOf(err) != tidewaiter.ErrUnsupported || !strings.Contains(err.Error(), "newer version") {
				t.Errorf("it cannot: %v", err)
			}
		})
	}
}

// openOld connects without migrating, as a process that runs already is connected.
func openOld(t *testing.T, url string) *sql.DB {
	t.Helper()
	db, err := sql.Open("pgx", url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	return db
}
