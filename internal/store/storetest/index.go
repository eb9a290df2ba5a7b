package storetest

import (
	"context"
	"testing"
	"time"

	"github.com/tidewaiter/tidewaiter/internal/store"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

func testManifests(t *testing.T, db *store.DB) {
	w := &world{T: t, db: db}
	m := &tidewaiter.Manifest{
		Kind: tidewaiter.ManifestIndex, Digest: "sha256:m", MediaType: "index", Size: 9,
		Manifests: []tidewaiter.Descriptor{{Digest: "sha256:n", Size: 3, Platform: &tidewaiter.Platform{OS: "linux"}}},
	}
	for range 2 {
		w.update(func(ctx context.Context, tx *store.Tx) error { return tx.PutManifest(ctx, m) })
	}
	same(t, "manifest", must(db.Manifest(t.Context(), "sha256:m"))(t), m)
	_, err := db.Manifest(t.Context(), "sha256:other")
	kind(t, err, tidewaiter.ErrNotFound)
}

func testIndex(t *testing.T, db *store.DB) {
	w := newWorld(t, db)
	one, two := image("one", "base", "a", "base"), image("two", "base", "b")
	first := w.index(w.tag("1"), one.Digest, one)
	if got := diffIDs(first.MissingLayers); len(got) != 2 || got[0] != "base" || got[1] != "a" || first.Done || len(first.JudgeImages) != 0 {
		t.Fatalf("first image: %+v", first)
	}
	second := w.index(w.tag("2"), two.Digest, two)
	if got := diffIDs(second.MissingLayers); len(got) != 2 {
		t.Fatalf("second image: %+v", second)
	}
	sources := must(db.LayerSources(t.Context(), "base", analyzer))(t)
	same(t, "sources", sources, []store.LayerSource{{
		RegistryID: "reg", Repository: "team/app", Descriptor: tidewaiter.Descriptor{MediaType: "layer", Digest: "sha256:blob-base", Size: 7},
	}})
	if ready := w.layerDone("base"); len(ready) != 0 {
		t.Errorf("ready too early: %v", ready)
	}
	same(t, "images ready with a", w.layerDone("a"), []int64{one.ID})
	if ready := w.layerDone("a"); len(ready) != 0 {
		t.Errorf("ready twice: %v", ready)
	}
	same(t, "images ready with b", w.layerDone("b"), []int64{two.ID})
	same(t, "sources afterwards", must(db.LayerSources(t.Context(), "base", analyzer))(t), []store.LayerSource{})

	// A third image made of known layers has nothing to wait for.
	three := image("three", "a", "b")
	third := w.index(w.tag("3"), three.Digest, three)
	same(t, "third image", third, store.IndexOutcome{JudgeImages: []int64{three.ID}, ImageIDs: []int64{three.ID}})
	same(t, "scans settled", w.judge(three.ID, judgement()), []string{"scan"})
	// Under another name it is known altogether.
	fourth := w.index(w.tag("4"), three.Digest, three)
	if !fourth.Done || len(fourth.Scans) != 1 || len(fourth.JudgeImages)+len(fourth.MissingLayers) != 0 {
		t.Errorf("known image: %+v", fourth)
	}
	// Another version of the analyzer begins again and is not confused by the first one's layers.
	in := indexTag(w.tag("5"), one.Digest, one)
	in.Analyzer = "analyzer-2"
	w.update(func(ctx context.Context, tx *store.Tx) error {
		out, err := tx.IndexTag(ctx, in)
		if len(out.MissingLayers) != 2 || out.Done {
			t.Errorf("another analyzer: %+v", out)
		}
		return err
	})
	if ready := w.layerDone("base"); len(ready) != 0 {
		t.Errorf("ready by another analyzer: %v", ready)
	}
	stored := must(db.ImageByDigest(t.Context(), one.Digest))(t)
	same(t, "image", stored, func() *tidewaiter.Image {
		img := image("one", "base", "a", "base")
		img.ID, img.State, img.FirstSeen = one.ID, tidewaiter.ImageWaiting, start
		return img
	}())
	same(t, "names", must(db.ImageNames(t.Context(), three.ID))(t), []string{host + "/team/app:3", host + "/team/app:4"})
}

func diffIDs(layers []tidewaiter.LayerRef) (out []string) {
	for _, l := range layers {
		out = append(out, l.DiffID)
	}
	return out
}

// testIndexAgain indexes twice at every point of an image's way, as a job that runs twice does.
func testIndexAgain(t *testing.T, db *store.DB) {
	w := newWorld(t, db)
	img := image("one", "a", "b")
	tag := w.tag("1")
	w.index(tag, img.Digest, img)
	if out := w.index(tag, img.Digest, img); len(out.MissingLayers) != 2 {
		t.Errorf("indexed twice: %+v", out)
	}
	w.layerDone("a")
	if out := w.index(tag, img.Digest, img); len(out.MissingLayers) != 1 {
		t.Errorf("indexed again: %+v", out)
	}
	same(t, "ready", w.layerDone("b"), []int64{img.ID})
	if out := w.index(tag, img.Digest, img); len(out.JudgeImages) != 1 || out.Done {
		t.Errorf("indexed before the judgement: %+v", out)
	}
	w.judge(img.ID, judgement())
	if out := w.index(tag, img.Digest, img); !out.Done || len(out.Scans) != 0 {
		t.Errorf("indexed after the judgement: %+v", out)
	}
	forced := indexTag(tag, img.Digest, img)
	forced.Force = true
	w.open("scan", tag)
	w.update(func(ctx context.Context, tx *store.Tx) error {
		out, err := tx.IndexTag(ctx, forced)
		if out.Done || len(out.JudgeImages) != 1 {
			t.Errorf("indexed by force: %+v", out)
		}
		return err
	})
	same(t, "scans settled by force", w.judge(img.ID, judgement()), []string{"scan"})
	kind(t, w.try(func(ctx context.Context, tx *store.Tx) error {
		_, err := tx.IndexTag(ctx, indexTag(999, "d", img))
		return err
	}), tidewaiter.ErrNotFound)
	var created bool
	w.update(func(ctx context.Context, tx *store.Tx) (err error) {
		_, created, err = tx.UpsertImage(ctx, img)
		return err
	})
	if created {
		t.Error("a known image was created")
	}
}

func testNotScanned(t *testing.T, db *store.DB) {
	w := newWorld(t, db)
	tag := w.judged("chart", image("one", "a"), judgement())
	w.open("scan", tag)
	skip := func(reason tidewaiter.Reason) (scans []string) {
		w.update(func(ctx context.Context, tx *store.Tx) (err error) {
			scans, err = tx.TagNotScanned(ctx, tag, "sha256:chart", tidewaiter.Decision{Reason: reason, Detail: "helm"}, start)
			return err
		})
		return scans
	}
	same(t, "scans settled", skip(tidewaiter.ReasonPlatform), []string{"scan"})
	listed := tidewaiter.ListedTag{Name: "chart", Digest: "sha256:chart"}
	if w.tags("reg", "scan", listed)["chart"].Known {
		t.Error("another scope may want another platform")
	}
	same(t, "scans settled again", skip(tidewaiter.ReasonNotAnImage), nil)
	if !w.tags("reg", "scan", listed)["chart"].Known {
		t.Error("what is no image is not known")
	}
	same(t, "excluded", must(db.Excluded(t.Context(), "reg", "team/app"))(t), []store.ExcludedTag{
		{Name: "chart", Decision: tidewaiter.Decision{Reason: tidewaiter.ReasonNotAnImage, Detail: "helm"}},
	})
	if n := must(db.CountResults(t.Context(), store.ResultFilter{}))(t); n != 0 {
		t.Errorf("%d results of what is no image", n)
	}
	img := image("two", "a")
	w.index(tag, "sha256:two", img)
	if got := must(db.Excluded(t.Context(), "reg", "team/app"))(t); len(got) != 0 {
		t.Errorf("excluded though it is an image now: %v", got)
	}
}

func testLayerFailure(t *testing.T, db *store.DB) {
	w := newWorld(t, db)
	img, other := image("one", "a", "b"), image("two", "b")
	tag := w.tag("1")
	w.index(tag, img.Digest, img)
	w.index(w.tag("2"), other.Digest, other)
	fail := func() (scans []string) {
		w.update(func(ctx context.Context, tx *store.Tx) (err error) {
			scans, err = tx.LayerFailed(ctx, "b", analyzer, "", tidewaiter.ErrMalformed, "not a tar", start)
			return err
		})
		return scans
	}
	same(t, "scans", fail(), []string{"scan"})
	same(t, "scans the second time", fail(), nil)
	if s := w.scan("scan"); s.ImagesFailed != 2 || s.ImagesDone != 0 {
		t.Errorf("scan: %+v", s)
	}
	if ready := w.layerDone("a"); len(ready) != 0 {
		t.Errorf("an image whose layer failed is ready: %v", ready)
	}
	got := must(db.ImageByDigest(t.Context(), img.Digest))(t)
	if got.State != tidewaiter.ImageFailed || got.ErrorKind != tidewaiter.ErrMalformed || got.Error != "not a tar" {
		t.Errorf("image: %+v", got)
	}
	if got := must(db.Tag(t.Context(), tag))(t); got.Error != "not a tar" || !got.ErrorAt.Equal(start) {
		t.Errorf("tag: %+v", got)
	}
	// The next scan tries again.
	if out := w.index(tag, img.Digest, img); len(out.MissingLayers) != 1 || out.MissingLayers[0].DiffID != "b" {
		t.Fatalf("index after the failure: %+v", out)
	}
	same(t, "state", must(db.LayerState(t.Context(), "b", analyzer))(t), store.LayerPending)
	same(t, "ready", w.layerDone("b"), []int64{img.ID})
	w.judge(img.ID, judgement())
	if got := must(db.Tag(t.Context(), tag))(t); got.Error != "" {
		t.Errorf("tag after all: %+v", got)
	}
	fail() // a worker that comes late
	same(t, "state", must(db.LayerState(t.Context(), "b", analyzer))(t), store.LayerDone)
}

func testLayerLeases(t *testing.T, db *store.DB) {
	w := newWorld(t, db)
	img := image("one", "a")
	w.index(w.tag("1"), img.Digest, img)
	lease := func(diffID, owner string, at time.Duration) (got store.Lease) {
		w.update(func(ctx context.Context, tx *store.Tx) (err error) {
			got, err = tx.LeaseLayer(ctx, diffID, analyzer, owner, start.Add(at+time.Minute), start.Add(at))
			return err
		})
		return got
	}
	for _, step := range []struct {
		diffID, owner string
		at            time.Duration
		want          store.Lease
	}{
		{"a", "one", 0, store.LeaseGranted},
		{"a", "two", 30 * time.Second, store.LeaseTaken},
		{"a", "one", 30 * time.Second, store.LeaseGranted},
		{"a", "two", 80 * time.Second, store.LeaseTaken},
		{"a", "two", 90 * time.Second, store.LeaseGranted},
		{"nobody", "two", 0, store.LeaseDone},
	} {
		if got := lease(step.diffID, step.owner, step.at); got != step.want {
			t.Errorf("%+v: %s", step, got)
		}
	}
	release := func(owner string) {
		w.update(func(ctx context.Context, tx *store.Tx) error { return tx.ReleaseLayer(ctx, "a", analyzer, owner) })
	}
	release("one") // not his any more
	same(t, "lease", lease("a", "three", 90*time.Second), store.LeaseTaken)
	release("two")
	same(t, "lease", lease("a", "three", 90*time.Second), store.LeaseGranted)
	w.layerDone("a")
	same(t, "lease", lease("a", "four", time.Hour), store.LeaseDone)
}

func testAnalyses(t *testing.T, db *store.DB) {
	w := newWorld(t, db)
	a := &tidewaiter.Analysis{
		DiffID: "a", Analyzer: analyzer, Distribution: &tidewaiter.Distribution{Family: "debian", Release: "12.5"},
		Inventories: []tidewaiter.Inventory{{Path: "var/lib/dpkg/status", Type: "dpkg", Packages: []tidewaiter.Package{{Name: "bash", Version: "5"}}}},
		Whiteouts:   []string{"x"}, Files: 4, Bytes: 5,
	}
	w.update(func(ctx context.Context, tx *store.Tx) error {
		_, err := tx.LayerDone(ctx, "a", analyzer, a, start)
		return err
	})
	w.layerDone("b")
	got := must(db.Analyses(t.Context(), []string{"b", "a", "b"}, analyzer))(t)
	if len(got) != 3 || got[0].DiffID != "b" || got[2] != got[0] {
		t.Fatalf("analyses: %+v", got)
	}
	same(t, "analysis", got[1], a)
	for _, ids := range [][]string{{"a", "c"}, {"c"}} {
		_, err := db.Analyses(t.Context(), ids, analyzer)
		kind(t, err, tidewaiter.ErrNotFound)
	}
	_, err := db.Analyses(t.Context(), []string{"a"}, "analyzer-2")
	kind(t, err, tidewaiter.ErrNotFound)
}
