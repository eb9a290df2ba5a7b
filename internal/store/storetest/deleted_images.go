package storetest

import (
	"context"
	"testing"

	"github.com/tidewaiter/tidewaiter/internal/store"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// testDeletedImages makes sure that a deleted image is gone from every list, and that the next scan of its tag finds work to do.
func testDeletedImages(t *testing.T, db *store.DB) {
	w := newWorld(t, db)
	one, two, other := image("one", "l"), image("two", "l"), image("other", "m")
	w.judged("a", one, judgement())
	w.judged("b", two, judgement())
	w.index(w.tag("a2"), one.Digest, one)
	waiting := image("waiting", "not yet")
	w.index(w.tag("c"), waiting.Digest, waiting)
	both := w.tag("both") // one of two platforms is deleted
	out := w.index(both, "sha256:index", one, other)
	for _, l := range out.MissingLayers {
		w.layerDone(l.DiffID)
	}
	w.judge(other.ID, judgement())

	remove := func(ids ...int64) (n int, err error) {
		err = w.try(func(ctx context.Context, tx *store.Tx) error { n, err = tx.DeleteImages(ctx, ids); return err })
		return n, err
	}
	_, err := remove(one.ID, waiting.ID)
	kind(t, err, tidewaiter.ErrConflict)
	same(t, "after a refusal", must(db.CountImages(t.Context(), store.ImageFilter{}))(t), 4)
	same(t, "removed", must(remove(one.ID, 4711))(t), 1)
	same(t, "again", must(remove(one.ID))(t), 0)
	same(t, "left", must(db.CountImages(t.Context(), store.ImageFilter{}))(t), 3)
	_, err = db.ImageByDigest(t.Context(), one.Digest)
	kind(t, err, tidewaiter.ErrNotFound)

	known := w.tags("reg", "scan", tidewaiter.ListedTag{Name: "a", Digest: one.Digest}, tidewaiter.ListedTag{Name: "a2", Digest: one.Digest},
		tidewaiter.ListedTag{Name: "b", Digest: two.Digest}, tidewaiter.ListedTag{Name: "both", Digest: "sha256:index"})
	for name, want := range map[string]bool{"a": false, "a2": false, "b": true, "both": false} {
		same(t, name+" is known", known[name].Known, want)
	}
	again := image("one", "l")
	if out := w.index(known["a"].TagID, again.Digest, again); len(out.MissingLayers) != 0 || again.ID == 0 {
		t.Errorf("its layers were analysed before: %+v", out)
	}
}
