package store_test

import (
	"path/filepath"
	"testing"

	"github.com/tidewaiter/tidewaiter/internal/store"
	"github.com/tidewaiter/tidewaiter/internal/store/storetest"
	"github.com/tidewaiter/tidewaiter/internal/testkit"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

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

func openPostgres(t *testing.T) *store.DB { return open(t, testkit.Postgres(t)) }

func TestSQLite(t *testing.T) { storetest.Run(t, openSQLite) }

func TestPostgres(t *testing.T) { storetest.Run(t, openPostgres) }

func TestOpen(t *testing.T) {
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
