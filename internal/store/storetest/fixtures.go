package storetest

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/tidewaiter/tidewaiter/internal/store"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

const (
	analyzer   = "analyzer-1"
	advisories = "advisories-1"
	host       = "registry.example.com"
)

var start = time.Date(2026, 11, 3, 12, 0, 0, 123456000, time.UTC)

// world is a database with a registry, a scan of it past its listing, and a repository, all of which tests use.
type world struct {
	*testing.T
	db   *store.DB
	repo int64
}

func newWorld(t *testing.T, db *store.DB) *world {
	t.Helper()
	w := &world{T: t, db: db}
	w.update(func(ctx context.Context, tx *store.Tx) error {
		if err := tx.InsertRegistries(ctx, []*tidewaiter.Registry{registry("reg")}); err != nil {
			return err
		}
		return tx.InsertScans(ctx, []*tidewaiter.Scan{scan("scan", "reg", tidewaiter.ScanScanning)})
	})
	w.repo = w.repository("reg", "scan", "team/app")
	return w
}

func (w *world) update(fn func(context.Context, *store.Tx) error) {
	w.Helper()
	if err := w.try(fn); err != nil {
		w.Fatal(err)
	}
}

func (w *world) try(fn func(context.Context, *store.Tx) error) error {
	return w.db.Update(w.Context(), func(tx *store.Tx) error { return fn(w.Context(), tx) })
}

func (w *world) repository(registryID, scanID, name string) (id int64) {
	w.Helper()
	w.update(func(ctx context.Context, tx *store.Tx) error {
		ids, err := tx.RecordRepositories(ctx, registryID, scanID, host, []store.RepositoryDecision{
			{Name: name, Decision: tidewaiter.Decision{Included: true, Reason: tidewaiter.ReasonSelected}},
		})
		id = ids[name]
		return err
	})
	return id
}

// tags records tags, "name" or with a digest "name=digest", and returns what became of them by name.
func (w *world) tags(registryID, scanID string, listed ...tidewaiter.ListedTag) map[string]store.RecordedTag {
	w.Helper()
	out := map[string]store.RecordedTag{}
	w.update(func(ctx context.Context, tx *store.Tx) error {
		recorded, err := tx.RecordTags(ctx, store.RecordTags{
			RegistryID: registryID, ScanID: scanID, RepositoryID: w.repo, Tags: listed, Analyzer: analyzer, Now: start,
		})
		for _, r := range recorded {
			out[r.Name] = r
		}
		return err
	})
	return out
}

// tag records one tag, makes it outstanding in the scan, and returns its id.
func (w *world) tag(name string) int64 {
	w.Helper()
	id := w.tags("reg", "scan", tidewaiter.ListedTag{Name: name})[name].TagID
	w.open("scan", id)
	return id
}

func (w *world) open(scanID string, tags ...int64) {
	w.Helper()
	w.update(func(ctx context.Context, tx *store.Tx) error {
		if err := tx.OpenScanTags(ctx, scanID, tags); err != nil {
			return err
		}
		return tx.AddScanCounts(ctx, scanID, store.ScanCounts{ImagesTotal: len(tags)})
	})
}

func (w *world) index(tagID int64, digest string, images ...*tidewaiter.Image) (out store.IndexOutcome) {
	w.Helper()
	w.update(func(ctx context.Context, tx *store.Tx) (err error) {
		out, err = tx.IndexTag(ctx, indexTag(tagID, digest, images...))
		return err
	})
	return out
}

func indexTag(tagID int64, digest string, images ...*tidewaiter.Image) store.IndexTag {
	return store.IndexTag{
		TagID: tagID, Digest: digest, Images: images, Source: store.Source{RegistryID: "reg", Repository: "team/app"},
		Analyzer: analyzer, Now: start,
	}
}

func (w *world) layerDone(diffID string) (ready []int64) {
	w.Helper()
	w.update(func(ctx context.Context, tx *store.Tx) (err error) {
		ready, err = tx.LayerDone(ctx, diffID, analyzer, &tidewaiter.Analysis{DiffID: diffID, Analyzer: analyzer, Files: 3}, start)
		return err
	})
	return ready
}

func (w *world) judge(imageID int64, j tidewaiter.Judgement) (scans []string) {
	w.Helper()
	w.update(func(ctx context.Context, tx *store.Tx) (err error) {
		scans, err = tx.SaveJudgement(ctx, store.SaveJudgement{ImageID: imageID, Content: &tidewaiter.Content{}, Judgement: &j, Now: start})
		return err
	})
	return scans
}

// judged records a tag that points to an image, and brings it all the way to a judgement.
func (w *world) judged(name string, img *tidewaiter.Image, j tidewaiter.Judgement) (tagID int64) {
	w.Helper()
	tagID = w.tag(name)
	out := w.index(tagID, img.Digest, img)
	for _, l := range out.MissingLayers {
		w.layerDone(l.DiffID)
	}
	w.judge(img.ID, j)
	return tagID
}

func (w *world) scan(id string) *tidewaiter.Scan {
	w.Helper()
	s, err := w.db.Scan(w.Context(), id)
	if err != nil {
		w.Fatal(err)
	}
	return s
}

func registry(id string) *tidewaiter.Registry {
	return &tidewaiter.Registry{
		ID: id, Name: "name of " + id, Kind: tidewaiter.KindOCI, URL: "https://" + host, Origin: tidewaiter.OriginNative,
		CreatedAt: start, UpdatedAt: start,
	}
}

func scan(id, registryID string, state tidewaiter.ScanState) *tidewaiter.Scan {
	return &tidewaiter.Scan{
		ID: id, RegistryID: registryID, State: state, Lane: tidewaiter.LaneFresh, CreatedAt: start, UpdatedAt: start,
	}
}

func image(name string, layers ...string) *tidewaiter.Image {
	img := &tidewaiter.Image{
		Digest: "sha256:" + name, ConfigDigest: "sha256:config-" + name, MediaType: "application/vnd.oci.image.manifest.v1+json",
		Platform: tidewaiter.Platform{OS: "linux", Architecture: "amd64"}, Size: 12345, CreatedAt: start.Add(-time.Hour),
		Config: tidewaiter.ImageConfig{User: "app", Env: []string{"A=b"}},
	}
	for _, l := range layers {
		img.Layers = append(img.Layers, tidewaiter.LayerRef{Digest: "sha256:blob-" + l, DiffID: l, MediaType: "layer", Size: 7})
	}
	return img
}

func judgement() tidewaiter.Judgement {
	return tidewaiter.Judgement{
		Advisories: advisories, Analyzer: analyzer, JudgedAt: start, Verdict: tidewaiter.Verdict{Effect: tidewaiter.EffectIgnore},
	}
}

func same[T any](t testing.TB, what string, got, want T) {
	t.Helper()
	if d := cmp.Diff(want, got, cmpopts.EquateEmpty()); d != "" {
		t.Errorf("%s differs (-want +got):\n%s", what, d)
	}
}

func kind(t testing.TB, err error, want tidewaiter.ErrorKind) {
	t.Helper()
	if got := tidewaiter.KindOf(err); got != want {
		t.Errorf("error is of kind %q, want %q: %v", got, want, err)
	}
}

func must[T any](v T, err error) func(testing.TB) T {
	return func(t testing.TB) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func number(n int) string { return fmt.Sprintf("%05d", n) }
