package storetest

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/tidewaiter/tidewaiter/internal/store"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// testPlatforms has a tag with two images show both or none.
func testPlatforms(t *testing.T, db *store.DB) {
	w := newWorld(t, db)
	amd, arm := image("amd", "a"), image("arm", "b")
	tag := w.tag("1")
	w.index(tag, "sha256:index", amd, arm)
	w.layerDone("a")
	w.layerDone("b")
	same(t, "scans after the first", w.judge(amd.ID, judgement()), nil)
	same(t, "results after the first", must(db.CountResults(t.Context(), store.ResultFilter{}))(t), 0)
	same(t, "scans after the second", w.judge(arm.ID, judgement()), []string{"scan"})
	same(t, "results after the second", must(db.CountResults(t.Context(), store.ResultFilter{}))(t), 2)
	// A registry that wants only one of them, or none there is, takes nothing away from those that want the other.
	w.index(tag, "sha256:index", amd)
	same(t, "results after another's choice", must(db.CountResults(t.Context(), store.ResultFilter{}))(t), 2)
	none := tidewaiter.Decision{Reason: tidewaiter.ReasonPlatform}
	w.update(func(ctx context.Context, tx *store.Tx) error {
		_, err := tx.TagNotScanned(ctx, tag, "sha256:index", none, start)
		return err
	})
	same(t, "results after none for a platform", must(db.CountResults(t.Context(), store.ResultFilter{}))(t), 2)
	w.update(func(ctx context.Context, tx *store.Tx) error {
		_, err := tx.TagNotScanned(ctx, tag, "sha256:moved", none, start)
		return err
	})
	same(t, "results after the tag moved", must(db.CountResults(t.Context(), store.ResultFilter{}))(t), 0)
}

func testSettling(t *testing.T, db *store.DB) {
	w := newWorld(t, db)
	w.update(func(ctx context.Context, tx *store.Tx) error {
		return tx.InsertScans(ctx, []*tidewaiter.Scan{scan("second", "reg", tidewaiter.ScanScanning)})
	})
	img := image("one", "a")
	tag, failing := w.tag("1"), w.tag("2")
	w.open("second", tag)
	w.index(tag, img.Digest, img)
	w.layerDone("a")
	same(t, "scans", w.judge(img.ID, judgement()), []string{"scan", "second"})
	same(t, "scans again", w.judge(img.ID, judgement()), nil)
	for range 2 {
		w.update(func(ctx context.Context, tx *store.Tx) error {
			_, err := tx.TagFailed(ctx, failing, tidewaiter.ErrGone, "no such manifest", start)
			return err
		})
	}
	if s := w.scan("scan"); s.ImagesDone != 1 || s.ImagesFailed != 1 || s.ImagesTotal != 2 {
		t.Errorf("scan: %+v", s)
	}
	if s := w.scan("second"); s.ImagesDone != 1 || s.ImagesFailed != 0 {
		t.Errorf("second scan: %+v", s)
	}
	kind(t, w.try(func(ctx context.Context, tx *store.Tx) error {
		j := judgement()
		_, err := tx.SaveJudgement(ctx, store.SaveJudgement{ImageID: 999, Judgement: &j, Now: start})
		return err
	}), tidewaiter.ErrNotFound)
	kind(t, w.try(func(ctx context.Context, tx *store.Tx) error {
		j := judgement()
		missing := &tidewaiter.Content{Installed: []tidewaiter.Installed{{Package: &tidewaiter.Package{ID: 999}}}}
		_, err := tx.SaveJudgement(ctx, store.SaveJudgement{ImageID: img.ID, Content: missing, Judgement: &j, Now: start})
		return err
	}), tidewaiter.ErrTransient)
}

// testSettlingAtOnce judges the images of one tag at the same time, again and again: one of the judgements settles it.
func testSettlingAtOnce(t *testing.T, db *store.DB) {
	w := newWorld(t, db)
	for round := range 12 {
		name := number(round)
		images := []*tidewaiter.Image{image(name+"a", "l"), image(name+"b", "l"), image(name+"c", "l")}
		tag := w.tag(name)
		w.index(tag, "sha256:index"+name, images...)
		w.layerDone("l")
		var wg sync.WaitGroup
		for _, img := range images {
			wg.Go(func() {
				j := judgement()
				if err := w.try(func(ctx context.Context, tx *store.Tx) error {
					_, err := tx.SaveJudgement(ctx, store.SaveJudgement{ImageID: img.ID, Judgement: &j, Now: start})
					return err
				}); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if got := w.scan("scan").ImagesDone; got != round+1 {
			t.Fatalf("%d tags counted after %d", got, round+1)
		}
	}
}

// testPreviousResult moves a tag to an image that fails, and then to one that works.
func testPreviousResult(t *testing.T, db *store.DB) {
	w := newWorld(t, db)
	old := image("old", "a")
	tag := w.judged("latest", old, judgement())
	w.open("scan", tag)
	broken := image("broken", "bad")
	w.tags("reg", "scan", tidewaiter.ListedTag{Name: "latest", Digest: broken.Digest})
	w.index(tag, broken.Digest, broken)
	shown := func() store.Row {
		t.Helper()
		list, _, err := db.Results(t.Context(), store.ResultFilter{})
		if err != nil || len(list) != 1 {
			t.Fatalf("%d results, %v", len(list), err)
		}
		return list[0]
	}
	if row := shown(); row.Image.Digest != old.Digest || row.Tag.Digest != broken.Digest {
		t.Errorf("while waiting: %+v", row)
	}
	w.update(func(ctx context.Context, tx *store.Tx) error {
		_, err := tx.LayerFailed(ctx, "bad", analyzer, "", tidewaiter.ErrTooLarge, "too large", start)
		return err
	})
	if row := shown(); row.Image.Digest != old.Digest || row.Tag.Error != "too large" {
		t.Errorf("after the failure: %+v", row)
	}
	good := image("good", "a")
	w.index(tag, good.Digest, good)
	w.judge(good.ID, judgement())
	if row := shown(); row.Image.Digest != good.Digest || row.Tag.Error != "" {
		t.Errorf("after the success: %+v", row)
	}
	// A judged image whose next attempt fails keeps its judgement.
	w.update(func(ctx context.Context, tx *store.Tx) error {
		_, err := tx.ImageFailed(ctx, good.ID, tidewaiter.ErrBug, "oops", start.Add(time.Hour))
		return err
	})
	row := shown()
	if row.Image.State != tidewaiter.ImageJudged || row.Image.Judgement == nil || row.Image.Error != "oops" || row.Tag.Error != "oops" {
		t.Errorf("after the second failure: %+v %+v", row.Image, row.Tag)
	}
}
