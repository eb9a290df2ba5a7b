package storetest

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tidewaiter/tidewaiter/internal/store"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

func testScans(t *testing.T, db *store.DB) {
	w := newWorld(t, db)
	full := &tidewaiter.Scan{
		ID: "full", RegistryID: "reg", State: tidewaiter.ScanListing, Lane: tidewaiter.LaneInteractive, OnDemand: true, Force: true,
		Scope: tidewaiter.Scope{Newest: 3}, Target: &tidewaiter.Target{Repository: "a", Tag: "b"}, Repositories: 1, RepositoriesListed: 2,
		TagsSeen: 3, TagsSelected: 4, ImagesTotal: 5, ImagesDone: 6, ImagesFailed: 7,
		Errors: []tidewaiter.ScanError{{Kind: tidewaiter.ErrAuth, Text: "no", At: start}}, CreatedAt: start.Add(time.Second),
		StartedAt: start.Add(2 * time.Second), ListedAt: start.Add(3 * time.Second), UpdatedAt: start.Add(4 * time.Second),
	}
	w.update(func(ctx context.Context, tx *store.Tx) error { return tx.InsertScans(ctx, []*tidewaiter.Scan{full}) })
	same(t, "scan", w.scan("full"), full)
	kind(t, w.try(func(ctx context.Context, tx *store.Tx) error {
		return tx.InsertScans(ctx, []*tidewaiter.Scan{scan("orphan", "nobody", tidewaiter.ScanQueued)})
	}), tidewaiter.ErrConflict)

	for name, c := range map[string]struct {
		filter store.ScanFilter
		want   []string
	}{
		"all, newest first": {store.ScanFilter{}, []string{"full", "scan"}},
		"registry":          {store.ScanFilter{RegistryIDs: []string{"nobody"}}, nil},
		"state":             {store.ScanFilter{States: []tidewaiter.ScanState{tidewaiter.ScanListing}}, []string{"full"}},
		"unfinished":        {store.ScanFilter{Unfinished: true, RegistryIDs: []string{"reg"}}, []string{"full", "scan"}},
	} {
		list, _, err := db.Scans(t.Context(), c.filter)
		if err != nil {
			t.Fatal(err)
		}
		var ids []string
		for _, s := range list {
			ids = append(ids, s.ID)
		}
		same(t, name, ids, c.want)
		same(t, name+" counted", must(db.CountScans(t.Context(), c.filter))(t), len(c.want))
	}
	w.update(func(ctx context.Context, tx *store.Tx) error { return tx.SaveCheckpoint(ctx, "full", `{"page":2}`) })
	same(t, "checkpoint", must(db.Checkpoint(t.Context(), "full"))(t), `{"page":2}`)
	_, err := db.Checkpoint(t.Context(), "nobody")
	kind(t, err, tidewaiter.ErrNotFound)

	same(t, "unfinished without target", must(db.UnfinishedScan(t.Context(), "reg"))(t).ID, "scan")
	same(t, "busy registries", must(db.UnfinishedScans(t.Context()))(t), map[string]bool{"reg": true})

	full.ImagesTotal, full.Errors, full.State, full.TagsSeen = 500, nil, tidewaiter.ScanScanning, 30
	w.update(func(ctx context.Context, tx *store.Tx) error {
		if err := tx.UpdateScan(ctx, full); err != nil {
			return err
		}
		return tx.AddScanCounts(ctx, "full", store.ScanCounts{ImagesDone: 1, TagsSeen: 2})
	})
	got := w.scan("full")
	if got.ImagesTotal != 5 || got.ImagesDone != 7 || got.TagsSeen != 32 || len(got.Errors) != 1 || got.State != tidewaiter.ScanScanning {
		t.Errorf("updated scan: %+v", got)
	}
}

func testLatestScans(t *testing.T, db *store.DB) {
	w := newWorld(t, db)
	at := func(id string, state tidewaiter.ScanState, minute int) *tidewaiter.Scan {
		s := scan(id, "reg", state)
		s.CreatedAt = start.Add(time.Duration(minute) * time.Minute)
		return s
	}
	w.update(func(ctx context.Context, tx *store.Tx) error {
		return tx.InsertScans(ctx, []*tidewaiter.Scan{
			at("old", tidewaiter.ScanCompleted, -9), at("last", tidewaiter.ScanFailed, -5), at("older", tidewaiter.ScanCanceled, -8),
			at("current", tidewaiter.ScanQueued, 1),
		})
	})
	got := must(db.LatestScans(t.Context(), []string{"reg", "nobody"}))(t)
	if len(got) != 1 || got["reg"].Finished.ID != "last" || got["reg"].Current.ID != "current" {
		t.Errorf("latest scans: %+v", got)
	}
}

// testScanOver makes sure that somebody who still works on a scan cannot bring it back.
func testScanOver(t *testing.T, db *store.DB) {
	w := newWorld(t, db)
	working := w.scan("scan")
	tag := w.tag("1.0")
	cancel := func(ctx context.Context, tx *store.Tx) error { return tx.CancelScan(ctx, "scan", start.Add(time.Hour)) }
	w.update(cancel)
	kind(t, w.try(func(ctx context.Context, tx *store.Tx) error { return tx.UpdateScan(ctx, working) }), tidewaiter.ErrConflict)
	working.ID = "nobody"
	kind(t, w.try(func(ctx context.Context, tx *store.Tx) error { return tx.UpdateScan(ctx, working) }), tidewaiter.ErrNotFound)
	w.update(func(ctx context.Context, tx *store.Tx) error {
		scans, err := tx.SettleTag(ctx, tag)
		if len(scans) != 0 {
			t.Errorf("a canceled scan still counts: %v", scans)
		}
		return err
	})
	w.update(func(ctx context.Context, tx *store.Tx) error {
		return tx.CancelScan(ctx, "scan", start.Add(2*time.Hour))
	})
	if s := w.scan("scan"); s.State != tidewaiter.ScanCanceled || !s.EndedAt.Equal(start.Add(time.Hour)) || s.ImagesDone != 0 {
		t.Errorf("canceled scan: %+v", s)
	}
}

func testScanErrors(t *testing.T, db *store.DB) {
	w := newWorld(t, db)
	w.update(func(ctx context.Context, tx *store.Tx) error {
		for i := range tidewaiter.MaxScanErrors + 5 {
			if err := tx.AddScanError(ctx, "scan", tidewaiter.ScanError{Kind: tidewaiter.ErrLimit, Text: number(i), At: start}); err != nil {
				return err
			}
		}
		return tx.AddScanError(ctx, "nobody", tidewaiter.ScanError{})
	})
	list := w.scan("scan").Errors
	if len(list) != tidewaiter.MaxScanErrors || list[0].Text != number(tidewaiter.MaxScanErrors+4) {
		t.Errorf("%d errors, the first is %v", len(list), list[0])
	}
}

func testFinish(t *testing.T, db *store.DB) {
	w := newWorld(t, db)
	finish := func(id string) (done bool) {
		w.update(func(ctx context.Context, tx *store.Tx) (err error) {
			done, err = tx.FinishScanIfDone(ctx, id, start.Add(time.Hour))
			return err
		})
		return done
	}
	tag := w.tag("1.0")
	if finish("scan") || finish("nobody") {
		t.Error("a scan with an outstanding tag is done")
	}
	w.update(func(ctx context.Context, tx *store.Tx) error { _, err := tx.SettleTag(ctx, tag); return err })
	if !finish("scan") || finish("scan") {
		t.Error("a scan is to be finished once")
	}
	if s := w.scan("scan"); s.State != tidewaiter.ScanCompleted || s.ImagesDone != 1 || !s.EndedAt.Equal(start.Add(time.Hour)) {
		t.Errorf("finished scan: %+v", s)
	}
	failed, empty, nothing, listing := scan("failed", "reg", tidewaiter.ScanScanning), scan("empty", "reg", tidewaiter.ScanScanning),
		scan("nothing", "reg", tidewaiter.ScanScanning), scan("listing", "reg", tidewaiter.ScanListing)
	failed.Error = "the registry refused"
	nothing.Repositories, nothing.Errors = 3, []tidewaiter.ScanError{{Text: "no"}}
	w.update(func(ctx context.Context, tx *store.Tx) error {
		return tx.InsertScans(ctx, []*tidewaiter.Scan{failed, empty, nothing, listing})
	})
	for id, want := range map[string]tidewaiter.ScanState{
		"failed": tidewaiter.ScanFailed, "empty": tidewaiter.ScanCompleted, "nothing": tidewaiter.ScanFailed, "listing": tidewaiter.ScanListing,
	} {
		finish(id)
		if got := w.scan(id).State; got != want {
			t.Errorf("scan %s is %s, want %s", id, got, want)
		}
	}
}

// testFinishOnce settles all tags of a scan at the same time. Whatever the order, one of the callers ends the scan.
func testFinishOnce(t *testing.T, db *store.DB) {
	w := newWorld(t, db)
	const n = 24
	var tags []int64
	for i := range n {
		tags = append(tags, w.tag(number(i)))
	}
	var finished atomic.Int32
	var wg sync.WaitGroup
	for _, id := range tags {
		for range 2 { // every job may run twice
			wg.Go(func() {
				var done bool
				err := w.try(func(ctx context.Context, tx *store.Tx) error {
					done = false
					scans, err := tx.SettleTag(ctx, id)
					for _, s := range scans {
						if done, err = tx.FinishScanIfDone(ctx, s, start); err != nil {
							return err
						}
					}
					return err
				})
				if err != nil {
					t.Error(err)
				} else if done {
					finished.Add(1)
				}
			})
		}
	}
	wg.Wait()
	if s := w.scan("scan"); finished.Load() != 1 || s.State != tidewaiter.ScanCompleted || s.ImagesDone != n {
		t.Errorf("finished %d times: %+v", finished.Load(), s)
	}
}
