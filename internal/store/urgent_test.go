package store_test

import (
	"path/filepath"
	"runtime"
	"slices"
	"sync"
	"testing"

	"github.com/tidewaiter/tidewaiter/internal/store"
)

// TestUrgentUpdatesGoFirst has an urgent update wait with many others for one that is at work: at most the one that already asked
// for the connection is before it.
func TestUrgentUpdatesGoFirst(t *testing.T) {
	t.Parallel()
	db, err := store.Open(t.Context(), store.Config{URL: filepath.Join(t.TempDir(), "test.db")})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	began, release := make(chan struct{}), make(chan struct{})
	var all sync.WaitGroup
	update := func(urgent bool, do func()) {
		all.Go(func() {
			ctx := t.Context()
			if urgent {
				ctx = store.Urgent(ctx)
			}
			if err := db.Update(ctx, func(*store.Tx) error { do(); return nil }); err != nil {
				t.Error(err)
			}
		})
	}
	// An urgent one holds the connection, so that another can ask for it.
	update(true, func() { close(began); <-release })
	<-began
	before := db.Writer().Stats().WaitCount
	var order []string
	for range 20 {
		update(false, func() { order = append(order, "other") })
	}
	asked(t, db, before+1) // by one of them
	update(true, func() { order = append(order, "urgent") })
	asked(t, db, before+2)
	close(release)
	all.Wait()
	if at := slices.Index(order, "urgent"); len(order) != 21 || at > 1 {
		t.Errorf("the urgent update was number %d of %d", at+1, len(order))
	}
}

// asked waits until the connection was asked for so often while it was taken.
func asked(t *testing.T, db *store.DB, times int64) {
	t.Helper()
	for db.Writer().Stats().WaitCount < times {
		if err := t.Context().Err(); err != nil {
			t.Fatal(err)
		}
		runtime.Gosched()
	}
}
