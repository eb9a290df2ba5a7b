package storetest

import (
	"context"
	"testing"
	"time"

	"github.com/tidewaiter/tidewaiter/internal/store"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// testLayerFailureOfOne has a layer fail in one of two registries whose images wait for it.
func testLayerFailureOfOne(t *testing.T, db *store.DB) {
	w := newWorld(t, db)
	w.update(func(ctx context.Context, tx *store.Tx) error {
		return tx.InsertRegistries(ctx, []*tidewaiter.Registry{registry("mirror")})
	})
	here, there := image("here", "shared"), image("there", "shared", "own")
	w.index(w.tag("1"), here.Digest, here)
	tag := w.tag("2")
	w.update(func(ctx context.Context, tx *store.Tx) error {
		in := indexTag(tag, there.Digest, there)
		in.Source.RegistryID = "mirror"
		_, err := tx.IndexTag(ctx, in)
		return err
	})
	fail := func(registryID string) {
		w.update(func(ctx context.Context, tx *store.Tx) error {
			_, err := tx.LayerFailed(ctx, "shared", analyzer, registryID, tidewaiter.ErrDenied, "not for you", start)
			return err
		})
	}
	state := func(digest string) tidewaiter.ImageState { return must(db.ImageByDigest(t.Context(), digest))(t).State }
	fail("reg")
	same(t, "the image that is there", state(here.Digest), tidewaiter.ImageFailed)
	same(t, "the image elsewhere", state(there.Digest), tidewaiter.ImageWaiting)
	same(t, "layer", must(db.LayerState(t.Context(), "shared", analyzer))(t), store.LayerPending)
	same(t, "places", len(must(db.LayerSources(t.Context(), "shared", analyzer))(t)), 1)
	fail("mirror")
	same(t, "the image elsewhere", state(there.Digest), tidewaiter.ImageFailed)
	same(t, "layer", must(db.LayerState(t.Context(), "shared", analyzer))(t), store.LayerFailed)
}

func testLeasesOfTheDead(t *testing.T, db *store.DB) {
	w := newWorld(t, db)
	img := image("one", "a", "b")
	w.index(w.tag("1"), img.Digest, img)
	lease := func(diffID, owner string) (got store.Lease) {
		w.update(func(ctx context.Context, tx *store.Tx) (err error) {
			got, err = tx.LeaseLayer(ctx, diffID, analyzer, owner, start.Add(time.Minute), start)
			return err
		})
		return got
	}
	lease("a", "dead/1")
	lease("b", "alive/2")
	w.update(func(ctx context.Context, tx *store.Tx) error {
		return tx.ReleaseLeases(ctx, []string{"dead/1", "dead/3", ""})
	})
	same(t, "the dead one's", lease("a", "other/4"), store.LeaseGranted)
	same(t, "the living one's", lease("b", "other/5"), store.LeaseTaken)
}

func testFleetAdvisories(t *testing.T, db *store.DB) {
	w := &world{T: t, db: db}
	if got := must(db.FleetAdvisories(t.Context()))(t); got != nil {
		t.Errorf("got %+v before anybody had any", got)
	}
	adv := tidewaiter.Advisories{Version: "sha256:1", UpdatedAt: start}
	w.update(func(ctx context.Context, tx *store.Tx) error {
		for _, read := range []func(context.Context) (*tidewaiter.Advisories, error){tx.HoldFleetAdvisories, tx.LockFleetAdvisories} {
			if got, err := read(ctx); err != nil || got != nil {
				t.Errorf("got %+v, %v", got, err)
			}
		}
		return tx.PutFleetAdvisories(ctx, adv, start)
	})
	w.update(func(ctx context.Context, tx *store.Tx) error {
		got, err := tx.HoldFleetAdvisories(ctx)
		same(t, "advisories", got, &adv)
		return err
	})
}

func testRegistryState(t *testing.T, db *store.DB) {
	w := &world{T: t, db: db}
	free, bound, again := registry("free"), registry("bound"), registry("again")
	bound.Labels, again.Labels = []string{"zone=dmz", "arch=arm64"}, []string{"arch=arm64", "zone=dmz", "zone=dmz"}
	w.update(func(ctx context.Context, tx *store.Tx) error {
		return tx.InsertRegistries(ctx, []*tidewaiter.Registry{free, bound, again})
	})
	same(t, "sets", must(db.WantedLabels(t.Context()))(t), [][]string{{"arch=arm64", "zone=dmz"}})
	same(t, "limits", must(db.AnyParallel(t.Context()))(t), registry("free").Parallel > 0)
	pause := func(since time.Time) (n int) {
		w.update(func(ctx context.Context, tx *store.Tx) (err error) {
			n, err = tx.PauseRegistries(ctx, []string{"free", "nobody"}, since)
			return err
		})
		return n
	}
	same(t, "paused", pause(start), 1)
	same(t, "paused again", pause(start.Add(time.Hour)), 0)
	free.Name = "renamed"
	w.update(func(ctx context.Context, tx *store.Tx) error {
		return tx.UpdateRegistries(ctx, []*tidewaiter.Registry{free})
	})
	got := must(db.Registry(t.Context(), "free"))(t)
	if !got.PausedAt.Equal(start) || got.Name != "renamed" {
		t.Errorf("after an update: %+v", got)
	}
	same(t, "resumed", pause(time.Time{}), 1)
}
