package storetest

import (
	"context"
	"testing"
	"time"

	"github.com/tidewaiter/tidewaiter/internal/store"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

func testTagChecks(t *testing.T, db *store.DB) {
	w := newWorld(t, db)
	check := func(name, digest string, at time.Time) store.TagCheck {
		return store.TagCheck{Name: name, Digest: digest, At: at}
	}
	record := func(checks ...store.TagCheck) {
		t.Helper()
		for range 2 { // any job may run twice
			w.update(func(ctx context.Context, tx *store.Tx) error { return tx.RecordTagChecks(ctx, w.repo, checks) })
		}
	}
	later := start.Add(time.Hour)
	record(check("b", "sha256:1", start), check("a", "sha256:2", start), check("a", "sha256:2", start))
	record(check("a", "sha256:3", later))
	record(check("a", "sha256:2", start)) // comes late
	want := map[string]store.TagCheck{
		"a": check("a", "sha256:3", later.Truncate(time.Microsecond).UTC()), "b": check("b", "sha256:1", start.Truncate(time.Microsecond).UTC()),
	}
	same(t, "checks", must(db.TagChecks(t.Context(), w.repo))(t), want)

	id := w.tag("a")
	if tag := must(db.Tag(t.Context(), id))(t); !tag.CheckedAt.Equal(later) {
		t.Errorf("checked at %s, want %s", tag.CheckedAt, later)
	}
	other := w.tag("c")
	if tag := must(db.Tag(t.Context(), other))(t); !tag.CheckedAt.Equal(tag.LastSeen) {
		t.Errorf("a tag whose list says it is checked at %s, want %s", tag.CheckedAt, tag.LastSeen)
	}

	w.update(func(ctx context.Context, tx *store.Tx) error {
		return tx.ForgetTagChecks(ctx, w.repo, []string{"a", "nothing"})
	})
	delete(want, "a")
	same(t, "checks", must(db.TagChecks(t.Context(), w.repo))(t), want)
	w.update(func(ctx context.Context, tx *store.Tx) error {
		_, err := tx.TagFailed(ctx, id, tidewaiter.ErrGone, "gone", start)
		return err
	})
	same(t, "failed", must(db.FailedTags(t.Context(), w.repo))(t), []string{"a"})
}

// testUncheckedTags lists a tag without asking where it points, after somebody else has learnt that it moved.
func testUncheckedTags(t *testing.T, db *store.DB) {
	w := newWorld(t, db)
	img := image("old", "layer")
	id := w.judged("v1", img, judgement())
	w.tags("reg", "scan", tidewaiter.ListedTag{Name: "v1", Digest: img.Digest})
	got := w.tags("reg", "scan", tidewaiter.ListedTag{Name: "v1", Digest: img.Digest, Unchecked: true})["v1"]
	if !got.Known || got.Moved || got.Digest != img.Digest {
		t.Errorf("nothing changed: %+v", got)
	}
	w.tags("reg", "scan", tidewaiter.ListedTag{Name: "v1", Digest: "sha256:new"})
	got = w.tags("reg", "scan", tidewaiter.ListedTag{Name: "v1", Digest: img.Digest, Unchecked: true})["v1"]
	if got.Known || got.Moved || got.Digest != "sha256:new" {
		t.Errorf("what was learnt meanwhile counts: %+v", got)
	}
	if tag := must(db.Tag(t.Context(), id))(t); tag.Digest != "sha256:new" {
		t.Errorf("the tag was put back: %+v", tag)
	}
	got = w.tags("reg", "scan", tidewaiter.ListedTag{Name: "v2", Digest: img.Digest, Unchecked: true})["v2"]
	if got.Digest != img.Digest || got.Known {
		t.Errorf("a tag that is new here: %+v", got)
	}
}

func testRegistryTags(t *testing.T, db *store.DB) {
	w := newWorld(t, db)
	for i := range 5 {
		w.tag(number(i))
	}
	var names []string
	page := store.Page{Limit: 2}
	for {
		tags, next, err := db.RegistryTags(t.Context(), "reg", "team/app", page)
		if err != nil {
			t.Fatal(err)
		}
		for _, tag := range tags {
			names = append(names, tag.Name)
		}
		if page.After = next; next == "" {
			break
		}
	}
	same(t, "tags", names, []string{number(0), number(1), number(2), number(3), number(4)})
	tags, _, err := db.RegistryTags(t.Context(), "reg", "team/other", store.Page{})
	if err != nil || len(tags) != 0 {
		t.Errorf("%v %v", tags, err)
	}
}
