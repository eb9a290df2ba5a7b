package store_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/tidewaiter/tidewaiter/internal/store"
	"github.com/tidewaiter/tidewaiter/internal/store/storetest"
	"github.com/tidewaiter/tidewaiter/internal/testkit"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

func TestMain(m *testing.M) {
	testkit.AtOnce(4)
	code := m.Run()
	if err := dropMigrated(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

// migrated is a database on PostgreSQL that was opened once. Copying it takes a fraction of what migrating each test's does.
var migrated = sync.OnceValues(func() (url string, err error) {
	ctx := context.Background()
	url, drop, err := testkit.PostgresDatabase(ctx)
	if err != nil {
		return "", err
	}
	dropMigrated = drop
	db, err := store.Open(ctx, store.Config{URL: url})
	if err != nil {
		return "", err
	}
	return url, db.Close()
})

// dropMigrated removes the database, once it is there.
var dropMigrated = func() error { return nil }

func open(t testing.TB, url string) *store.DB {
	t.Helper()
	db, err := store.Open(t.Context(), store.Config{URL: url})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() }) // a test may have closed it
	return db
}

func openSQLite(t *testing.T) *store.DB {
	return open(t, "sqlite:"+filepath.Join(t.TempDir(), "a b?c%20#d.db"))
}

func openPostgres(t *testing.T) *store.DB {
	from, err := migrated()
	if err != nil {
		t.Fatal(err)
	}
	return open(t, testkit.PostgresCopy(t, from))
}

func TestSQLite(t *testing.T) {
	t.Parallel()
	storetest.Run(t, openSQLite)
}

func TestPostgres(t *testing.T) {
	t.Parallel()
	storetest.Run(t, openPostgres)
}

func TestOpen(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "db")
	for range 2 { // the second time there is nothing to migrate
		if err := open(t, path).Close(); err != nil {
			t.Fatal(err)
		}
	}
	for url, want := range map[string]tidewaiter.ErrorKind{
		"": tidewaiter.ErrInvalid, "mysql://x": tidewaiter.ErrInvalid, ":memory:": tidewaiter.ErrInvalid, "postgres://u:secret@h:bad/": tidewaiter.ErrInvalid,
		"/nowhere/at/all/db": tidewaiter.ErrTransient, "postgres://u:secret@127.0.0.1:1/x": tidewaiter.ErrTransient,
	} {
		_, err := store.Open(t.Context(), store.Config{URL: url})
		if got := tidewaiter.KindOf(err); got != want {
			t.Errorf("open %q: kind %q, want %q: %v", url, got, want, err)
		}
	}
}
