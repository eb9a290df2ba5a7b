package storetest

import (
	"context"
	"testing"
	"time"

	"github.com/tidewaiter/tidewaiter/internal/store"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

func harborScan(id string) *store.HarborScan {
	return &store.HarborScan{
		ID: id, URL: "https://" + host, Repository: "team/app", Tag: "v1", Digest: "sha256:harbor", MediaType: "image",
		Sealed: []byte("sealed " + id), CreatedAt: start, ExpiresAt: start.Add(time.Hour),
	}
}

func (w *world) harborScans(ids ...string) {
	w.Helper()
	for _, id := range ids {
		w.update(func(ctx context.Context, tx *store.Tx) error { return tx.InsertHarborScan(ctx, harborScan(id), 100) })
	}
}

// harborIndexed brings an image into the inventory under a tag, as the job of a scan does.
func (w *world) harborIndexed(id, tag string, img *tidewaiter.Image) (tagID int64, out store.IndexOutcome) {
	w.Helper()
	w.update(func(ctx context.Context, tx *store.Tx) (err error) {
		tagID, err = tx.HarborTag(ctx, host, "team/harbor", tag, start)
		return err
	})
	out = w.index(tagID, img.Digest, img)
	w.update(func(ctx context.Context, tx *store.Tx) error {
		return tx.HarborIndexed(ctx, id, tagID, out.ImageIDs[0], analyzer, start)
	})
	return tagID, out
}

func (w *world) harborOutcome(id string) (store.HarborState, string) {
	w.Helper()
	state, failure, err := w.db.HarborOutcome(w.Context(), id)
	if err != nil {
		w.Fatal(err)
	}
	if failure != nil {
		return state, failure.Msg
	}
	return state, ""
}

func testHarborScans(t *testing.T, db *store.DB) {
	w := newWorld(t, db)
	_, err := db.HarborScan(t.Context(), "one")
	kind(t, err, tidewaiter.ErrNotFound)
	w.harborScans("one", "two")
	want := harborScan("one")
	want.State = store.HarborWaiting
	same(t, "new scan", must(db.HarborScan(t.Context(), "one"))(t), want)
	kind(t, w.try(func(ctx context.Context, tx *store.Tx) error { return tx.InsertHarborScan(ctx, harborScan("three"), 2) }), tidewaiter.ErrLimit)

	img := image("harbor", "base")
	if state, _ := w.harborOutcome("one"); state != store.HarborWaiting {
		t.Errorf("before it is indexed: %s", state)
	}
	tagID, out := w.harborIndexed("one", "v1", img)
	if len(out.MissingLayers) != 1 {
		t.Fatalf("missing layers: %+v", out)
	}
	if state, _ := w.harborOutcome("one"); state != store.HarborWaiting {
		t.Errorf("before it is judged: %s", state)
	}
	w.layerDone("base")
	w.judge(img.ID, judgement())
	if state, failure := w.harborOutcome("one"); state != store.HarborDone || failure != "" {
		t.Errorf("after it is judged: %s %s", state, failure)
	}
	for _, failure := range []*tidewaiter.Error{nil, tidewaiter.Errorf(tidewaiter.ErrAuth, "too late")} { // only the first counts
		w.update(func(ctx context.Context, tx *store.Tx) error {
			return tx.EndHarborScan(ctx, "one", failure, start.Add(time.Minute))
		})
	}
	want.State, want.Sealed, want.EndedAt, want.TagID, want.ImageID = store.HarborDone, nil, start.Add(time.Minute), tagID, img.ID
	same(t, "ended scan", must(db.HarborScan(t.Context(), "one"))(t), want)

	rows, _, err := db.Results(t.Context(), store.ResultFilter{Repositories: []string{"team/harbor"}})
	if err != nil || len(rows) != 1 || rows[0].Tag.Name != "v1" || rows[0].Image == nil || len(rows[0].RegistryIDs) != 0 {
		t.Errorf("results: %+v, %v", rows, err)
	}
}

func testHarborFailures(t *testing.T, db *store.DB) {
	w := newWorld(t, db)
	w.harborScans("layer", "late", "early")
	_, out := w.harborIndexed("layer", "v1", image("harbor", "broken"))
	w.update(func(ctx context.Context, tx *store.Tx) error {
		_, err := tx.LayerFailed(ctx, "broken", analyzer, "", tidewaiter.ErrDenied, "not for you", start)
		return err
	})
	if state, failure := w.harborOutcome("layer"); state != store.HarborFailed || failure != "not for you" {
		t.Errorf("image %d: %s %q", out.ImageIDs[0], state, failure)
	}
	w.update(func(ctx context.Context, tx *store.Tx) error {
		early := harborScan("fresh")
		early.ExpiresAt = start.Add(3 * time.Hour)
		return tx.InsertHarborScan(ctx, early, 100)
	})
	w.update(func(ctx context.Context, tx *store.Tx) error {
		n, err := tx.ExpireHarborScans(ctx, tidewaiter.Errorf(tidewaiter.ErrTransient, "late"), start.Add(time.Hour))
		same(t, "expired", n, 3)
		return err
	})
	late := must(db.HarborScan(t.Context(), "late"))(t)
	if late.State != store.HarborFailed || late.Sealed != nil || late.Error != "late" || late.ErrorKind != tidewaiter.ErrTransient {
		t.Errorf("late scan: %+v", late)
	}
	if fresh := must(db.HarborScan(t.Context(), "fresh"))(t); fresh.State != store.HarborWaiting || fresh.Sealed == nil {
		t.Errorf("fresh scan: %+v", fresh)
	}
}

func testHarborPurge(t *testing.T, db *store.DB) {
	w := newWorld(t, db)
	w.harborScans("old", "shared", "waiting")
	again := harborScan("again")
	again.CreatedAt = start.Add(2 * time.Hour)
	w.update(func(ctx context.Context, tx *store.Tx) error { return tx.InsertHarborScan(ctx, again, 100) })
	alone, _ := w.harborIndexed("old", "alone", image("a"))
	kept, _ := w.harborIndexed("shared", "kept", image("b"))
	w.harborIndexed("again", "kept", image("b"))
	for _, id := range []string{"old", "shared", "again"} {
		w.update(func(ctx context.Context, tx *store.Tx) error { return tx.EndHarborScan(ctx, id, nil, start) })
	}
	total := 0
	for range 4 {
		w.update(func(ctx context.Context, tx *store.Tx) error {
			n, err := tx.PurgeHarborScans(ctx, start.Add(time.Hour), start.Add(time.Hour), 1)
			total += n
			return err
		})
	}
	same(t, "removed", total, 2)
	if tag := must(db.Tag(t.Context(), alone))(t); tag.GoneAt.IsZero() {
		t.Error("a tag nobody asks for any more is still there")
	}
	if tag := must(db.Tag(t.Context(), kept))(t); !tag.GoneAt.IsZero() {
		t.Error("a tag that was asked for again is gone")
	}
	w.harborIndexed("waiting", "alone", image("a"))
	if tag := must(db.Tag(t.Context(), alone))(t); !tag.GoneAt.IsZero() {
		t.Error("a tag that is asked for again does not come back")
	}
}
