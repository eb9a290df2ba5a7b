package storetest

import (
	"context"
	"testing"
	"time"

	"github.com/tidewaiter/tidewaiter/internal/store"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

func testStanding(t *testing.T, db *store.DB) {
	w := newWorld(t, db)
	name := host + "/team/app:v1"
	_, err := db.TagStanding(t.Context(), name)
	kind(t, err, tidewaiter.ErrNotFound)
	_, err = db.DigestStanding(t.Context(), "sha256:nobody")
	kind(t, err, tidewaiter.ErrNotFound)

	tag := w.tag("v1")
	amd, arm := image("amd"), image("arm")
	w.index(tag, "sha256:index", amd, arm)
	w.update(func(ctx context.Context, tx *store.Tx) error {
		return tx.PutManifest(ctx, &tidewaiter.Manifest{Kind: tidewaiter.ManifestIndex, Digest: "sha256:index",
			Manifests: []tidewaiter.Descriptor{{Digest: amd.Digest}, {Digest: arm.Digest}, {Digest: "sha256:elsewhere"}}})
	})
	s := must(db.TagStanding(t.Context(), name))(t)
	if len(s.Images) != 2 || s.Images[0].Shown || s.Images[0].Judgement != nil || s.Tag.Digest != "sha256:index" {
		t.Fatalf("before it is judged: %+v of %+v", s.Images, s.Tag)
	}
	w.judge(amd.ID, judgement())
	w.judge(arm.ID, judgement())
	s = must(db.TagStanding(t.Context(), name))(t)
	if len(s.Images) != 2 || !s.Images[0].Shown || s.Images[1].Digest != "sha256:index" || s.Images[1].Judgement.Verdict.Effect != tidewaiter.EffectIgnore {
		t.Fatalf("judged: %+v", s.Images)
	}
	for digest, want := range map[string]int{"sha256:index": 2, amd.Digest: 1} {
		s := must(db.DigestStanding(t.Context(), digest))(t)
		if len(s.Images) != want || s.Images[0].Image.Digest != amd.Digest || s.Tag != nil {
			t.Errorf("%s: %+v", digest, s.Images)
		}
	}

	// The tag moves: what it showed it goes on showing.
	w.index(tag, "sha256:next", image("next", "layer"))
	s = must(db.TagStanding(t.Context(), name))(t)
	shown := 0
	for _, img := range s.Images {
		if img.Shown {
			shown++
			same(t, "shown since", img.Digest, "sha256:index")
		}
	}
	if len(s.Images) != 3 || shown != 2 || s.Tag.Digest != "sha256:next" || s.Skipped != nil {
		t.Errorf("moved: %+v of %+v", s.Images, s.Tag)
	}
	w.update(func(ctx context.Context, tx *store.Tx) error {
		_, err := tx.TagNotScanned(ctx, tag, "sha256:chart", tidewaiter.Decision{Reason: tidewaiter.ReasonNotAnImage}, start)
		return err
	})
	s = must(db.TagStanding(t.Context(), name))(t)
	if s.Skipped == nil || s.Skipped.Reason != tidewaiter.ReasonNotAnImage || len(s.Images) != 0 {
		t.Errorf("an artifact: %+v", s)
	}
}

func testAwaitScan(t *testing.T, db *store.DB) {
	w := newWorld(t, db)
	_, err := db.AwaitScan(t.Context(), "nobody")
	kind(t, err, tidewaiter.ErrNotFound)

	target := tidewaiter.Target{Repository: "team/app", Tag: "v1"}
	insert := func(id string) {
		s := scan(id, "reg", tidewaiter.ScanScanning)
		s.Target, s.Lane = &target, tidewaiter.LaneInteractive
		w.update(func(ctx context.Context, tx *store.Tx) error { return tx.InsertScans(ctx, []*tidewaiter.Scan{s}) })
	}
	if s := must(db.UnfinishedTarget(t.Context(), "reg", target, tidewaiter.LaneInteractive))(t); s != nil {
		t.Errorf("a scan nobody started: %+v", s)
	}
	insert("one")
	if s := must(db.UnfinishedTarget(t.Context(), "reg", target, tidewaiter.LaneInteractive))(t); s == nil || s.ID != "one" {
		t.Errorf("the scan on its way: %+v", s)
	}
	for _, lane := range []tidewaiter.Lane{tidewaiter.LaneEvent, tidewaiter.LaneInteractive} {
		other := target
		if other.Tag = "v1"; lane == tidewaiter.LaneInteractive {
			other.Tag = "v2"
		}
		if s := must(db.UnfinishedTarget(t.Context(), "reg", other, lane))(t); s != nil {
			t.Errorf("another target or lane: %+v", s)
		}
	}

	gaveUp, giveUp := context.WithCancel(t.Context())
	giveUp()
	if s, err := db.AwaitScan(gaveUp, "one"); err == nil && s.State.Done() {
		t.Errorf("given up: %+v", s)
	}

	insert("two")
	ends := map[string]func(context.Context, *store.Tx) error{
		"one": func(ctx context.Context, tx *store.Tx) error {
			_, err := tx.FinishScanIfDone(ctx, "one", start)
			return err
		},
		"two": func(ctx context.Context, tx *store.Tx) error { return tx.CancelScan(ctx, "two", start) },
	}
	for id, end := range ends {
		ended := make(chan *tidewaiter.Scan, 3)
		for range cap(ended) {
			go func() {
				s, err := db.AwaitScan(t.Context(), id)
				if err != nil {
					t.Error(err)
				}
				ended <- s
			}()
		}
		w.update(end)
		for range cap(ended) {
			select {
			case s := <-ended:
				if s == nil || !s.State.Done() {
					t.Errorf("%s has not ended: %+v", id, s)
				}
			case <-time.After(time.Minute):
				t.Fatalf("nobody heard that %s ended", id)
			}
		}
	}
}
