package storetest

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/tidewaiter/tidewaiter/internal/store"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

func plan(id string, next time.Time) *tidewaiter.Plan {
	return &tidewaiter.Plan{
		ID: id, RegistryID: "reg", Name: "name of " + id, Schedule: tidewaiter.Schedule{Every: 24 * time.Hour, At: "10:00"},
		From: start, NextAt: next, CreatedAt: start, UpdatedAt: start,
	}
}

func (w *world) put(plans ...*tidewaiter.Plan) {
	w.Helper()
	w.update(func(ctx context.Context, tx *store.Tx) error {
		for _, p := range plans {
			if err := tx.PutPlan(ctx, p); err != nil {
				return err
			}
		}
		return nil
	})
}

func testPlans(t *testing.T, db *store.DB) {
	w := newWorld(t, db)
	sunday := time.Sunday
	full := plan("full", start.Add(time.Hour))
	full.Schedule = tidewaiter.Schedule{Every: 7 * 24 * time.Hour, Weekday: &sunday, At: "23:59"}
	full.Scope = tidewaiter.Scope{Select: []tidewaiter.Selector{{Repository: "a", Tags: []string{"1"}}}, MaxAgeDays: 7}
	full.Force, full.Canceled, full.LastStartedAt, full.LastScanID = true, true, start.Add(-time.Hour), "scan"
	full.CreatedAt = start.Add(time.Second)
	w.put(full, plan("due", start), plan("later", start.Add(time.Minute)))
	same(t, "plan", must(db.Plan(t.Context(), "full"))(t), full)
	list := must(db.Plans(t.Context(), "reg"))(t)
	same(t, "newest first", planIDs(list), []string{"full", "later", "due"})
	same(t, "plans of nobody", len(must(db.Plans(t.Context(), "nobody"))(t)), 0)

	orphan := plan("orphan", start)
	orphan.RegistryID = "nobody"
	kind(t, w.try(func(ctx context.Context, tx *store.Tx) error { return tx.PutPlan(ctx, orphan) }), tidewaiter.ErrConflict)
	_, err := db.Plan(t.Context(), "nobody")
	kind(t, err, tidewaiter.ErrNotFound)
	w.update(func(ctx context.Context, tx *store.Tx) error { return tx.DeletePlan(ctx, "later") })
	kind(t, w.try(func(ctx context.Context, tx *store.Tx) error { return tx.DeletePlan(ctx, "later") }), tidewaiter.ErrNotFound)
	w.update(func(ctx context.Context, tx *store.Tx) error { return tx.DeleteRegistries(ctx, []string{"reg"}) })
	same(t, "plans of a registry that is gone", len(must(db.Plans(t.Context(), "reg"))(t)), 0)
}

func planIDs(plans []*tidewaiter.Plan) []string {
	ids := make([]string, len(plans))
	for i, p := range plans {
		ids[i] = p.ID
	}
	return ids
}

func testDuePlans(t *testing.T, db *store.DB) {
	w := newWorld(t, db)
	busy, over, canceled := plan("busy", start), plan("over", start), plan("canceled", start)
	busy.LastScanID, over.LastScanID, canceled.Canceled = "scan", "ended", true
	ended := scan("ended", "reg", tidewaiter.ScanFailed)
	w.update(func(ctx context.Context, tx *store.Tx) error { return tx.InsertScans(ctx, []*tidewaiter.Scan{ended}) })
	w.put(plan("due", start.Add(-time.Hour)), plan("later", start.Add(time.Second)), busy, over, canceled)
	w.update(func(ctx context.Context, tx *store.Tx) error {
		due, err := tx.DuePlans(ctx, start)
		same(t, "due", planIDs(due), []string{"due", "over"})
		return err
	})
}

func testScheduleCounts(t *testing.T, db *store.DB) {
	w := newWorld(t, db)
	planned, partial, single, hidden := scan("planned", "reg", tidewaiter.ScanCompleted), scan("partial", "reg", tidewaiter.ScanScanning),
		scan("single", "reg", tidewaiter.ScanCompleted), scan("hidden", "reg", tidewaiter.ScanCompleted)
	planned.ScheduleID, partial.Partial, partial.Name, single.Target = "plan", true, "half", &tidewaiter.Target{Repository: "a"}
	p, fresh := plan("plan", start), plan("fresh", start)
	p.LastScanID, fresh.Canceled = "planned", true
	w.put(p, fresh)
	w.update(func(ctx context.Context, tx *store.Tx) error {
		if err := tx.InsertScans(ctx, []*tidewaiter.Scan{planned, partial, single, hidden}); err != nil {
			return err
		}
		return tx.HideScan(ctx, "hidden")
	})
	got := must(db.ScheduleCounts(t.Context(), []string{"reg", "nobody"}))(t)
	slices.SortFunc(got["reg"], func(a, b store.ScheduleCount) int {
		if a.Planned != b.Planned {
			return map[bool]int{true: 1, false: -1}[a.Planned]
		}
		return map[bool]int{true: 1, false: -1}[a.Canceled]
	})
	same(t, "counts", got, map[string][]store.ScheduleCount{"reg": {
		{State: tidewaiter.ScanScanning, N: 2}, {Planned: true, State: tidewaiter.ScanCompleted, N: 1}, {Planned: true, Canceled: true, N: 1},
	}})
	shown, _, err := db.Scans(t.Context(), store.ScanFilter{RegistryIDs: []string{"reg"}, Shown: true})
	if err != nil || len(shown) != 2 {
		t.Errorf("%d scans are shown, %v", len(shown), err)
	}
	same(t, "by id", must(db.ScansByID(t.Context(), []string{"partial", "nobody"}))(t), map[string]*tidewaiter.Scan{"partial": partial})
	if busy := must(db.UnfinishedScan(t.Context(), "reg"))(t); busy.ID != "scan" {
		t.Errorf("a scan of a part counts as one of all: %s", busy.ID)
	}
	kind(t, w.try(func(ctx context.Context, tx *store.Tx) error {
		_, err := tx.ConcludeListing(ctx, "reg", "partial", start)
		return err
	}), tidewaiter.ErrConflict)
}

// testConcludeBeside makes sure that what a scan of a part marks while another looks at everything is not taken to be gone.
func testConcludeBeside(t *testing.T, db *store.DB) {
	w := newWorld(t, db)
	w.tags("reg", "scan", tidewaiter.ListedTag{Name: "both"}, tidewaiter.ListedTag{Name: "gone"})
	full, part := scan("full", "reg", tidewaiter.ScanListing), scan("part", "reg", tidewaiter.ScanListing)
	part.Partial, full.StartedAt = true, start
	w.update(func(ctx context.Context, tx *store.Tx) error {
		if err := tx.CancelScan(ctx, "scan", start.Add(-time.Minute)); err != nil {
			return err
		}
		return tx.InsertScans(ctx, []*tidewaiter.Scan{full, part})
	})
	w.repository("reg", "full", "team/app")
	w.tags("reg", "full", tidewaiter.ListedTag{Name: "both"})
	listed := func(scanID string) {
		w.update(func(ctx context.Context, tx *store.Tx) error {
			return tx.RecordRepositoryListed(ctx, "reg", scanID, w.repo, 1, 1, nil, start)
		})
	}
	listed("full")
	w.tags("reg", "part", tidewaiter.ListedTag{Name: "both"}, tidewaiter.ListedTag{Name: "new"})
	gone := 0
	w.update(func(ctx context.Context, tx *store.Tx) (err error) {
		gone, err = tx.ConcludeListing(ctx, "reg", "full", start)
		return err
	})
	same(t, "gone", gone, 1)

	// Where it takes a whole repository over, nothing is concluded about that.
	again := scan("again", "reg", tidewaiter.ScanListing)
	again.StartedAt = start
	w.update(func(ctx context.Context, tx *store.Tx) error { return tx.InsertScans(ctx, []*tidewaiter.Scan{again}) })
	w.repository("reg", "part", "team/app")
	w.update(func(ctx context.Context, tx *store.Tx) (err error) {
		gone, err = tx.ConcludeListing(ctx, "reg", "again", start)
		return err
	})
	same(t, "gone beside a scan of a part", gone, 0)
}
