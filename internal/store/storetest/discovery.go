package storetest

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/tidewaiter/tidewaiter/internal/store"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

func testRepositories(t *testing.T, db *store.DB) {
	w := newWorld(t, db)
	var ids map[string]int64
	record := func(ctx context.Context, tx *store.Tx) (err error) {
		ids, err = tx.RecordRepositories(ctx, "reg", "scan", host, []store.RepositoryDecision{
			{Name: "b", Decision: tidewaiter.Decision{Included: true, Reason: tidewaiter.ReasonSelected}},
			{Name: "out", Decision: tidewaiter.Decision{Reason: tidewaiter.ReasonRepositoryExcluded, Detail: "o*"}},
			{Name: "b", Decision: tidewaiter.Decision{Included: true, Reason: tidewaiter.ReasonSelected}},
		})
		return err
	}
	w.update(record)
	first := ids
	w.update(record)
	same(t, "ids of the second time", ids, first)
	same(t, "pending", must(db.PendingRepositories(t.Context(), "reg", "scan"))(t), []tidewaiter.Repository{
		{ID: ids["b"], Host: host, Name: "b"}, {ID: w.repo, Host: host, Name: "team/app"},
	})
	excluded := []store.ExcludedTag{
		{Name: "z", Decision: tidewaiter.Decision{Reason: tidewaiter.ReasonTagPattern, Detail: "v*"}},
		{Name: "a", Decision: tidewaiter.Decision{Reason: tidewaiter.ReasonTooOld}},
	}
	w.update(func(ctx context.Context, tx *store.Tx) error {
		return tx.RecordRepositoryListed(ctx, "reg", "scan", ids["b"], 9, 7, excluded, start)
	})
	same(t, "excluded", must(db.Excluded(t.Context(), "reg", "b"))(t), excluded)
	_, err := db.Excluded(t.Context(), "reg", "nobody")
	kind(t, err, tidewaiter.ErrNotFound)
	kind(t, w.try(func(ctx context.Context, tx *store.Tx) error {
		return tx.RecordRepositoryListed(ctx, "reg", "scan", 999, 0, 0, nil, start)
	}), tidewaiter.ErrNotFound)

	j := judgement()
	j.Vulnerabilities.Critical = 1
	w.judged("1.0", image("one", "l1"), j)
	w.judged("1.1", image("two", "l1"), judgement())
	w.tag("waiting")
	list, next, err := db.RegistryRepositories(t.Context(), "reg", store.RepositoryFilter{Page: store.Page{Limit: 2}})
	if err != nil || len(list) != 2 || next == "" {
		t.Fatalf("%d repositories, next %q, %v", len(list), next, err)
	}
	same(t, "listed repository", list[0], store.RegistryRepository{
		Repository: tidewaiter.Repository{ID: ids["b"], Host: host, Name: "b"}, TagsSeen: 9, TagsSelected: 7, ListedAt: start,
		Decision: tidewaiter.Decision{Included: true, Reason: tidewaiter.ReasonSelected},
	})
	list, next, err = db.RegistryRepositories(t.Context(), "reg", store.RepositoryFilter{Page: store.Page{Limit: 2, After: next}})
	if err != nil || len(list) != 1 || next != "" {
		t.Fatalf("%d repositories, next %q, %v", len(list), next, err)
	}
	if r := list[0]; r.Tags != 3 || r.Images != 2 || r.Scanned != 2 || r.Vulnerable != 1 {
		t.Errorf("counts: %+v", r)
	}
	no := false
	for name, f := range map[string]store.RepositoryFilter{"search": {Search: "OU"}, "excluded": {Included: &no}} {
		if got, _, err := db.RegistryRepositories(t.Context(), "reg", f); err != nil || len(got) != 1 || got[0].Name != "out" {
			t.Errorf("%s finds %v, %v", name, got, err)
		}
	}
	same(t, "count", must(db.CountRegistryRepositories(t.Context(), "reg", store.RepositoryFilter{}))(t), 3)
	same(t, "totals", must(db.RegistryTotals(t.Context(), []string{"reg"}))(t)["reg"],
		store.Totals{Repositories: 2, Images: 2, Scanned: 2, Vulnerable: 1})
}

func testTags(t *testing.T, db *store.DB) {
	w := newWorld(t, db)
	listed := []tidewaiter.ListedTag{
		{Name: "b", Digest: "sha256:1", UpdatedAt: start.Add(-time.Hour)}, {Name: "a"}, {Name: "b", Digest: "sha256:2"},
	}
	got := w.tags("reg", "scan", listed...)
	if len(got) != 2 || got["b"].Digest != "sha256:2" || got["a"].Digest != "" || got["a"].Known || got["a"].Moved || got["a"].Again {
		t.Fatalf("recorded: %+v", got)
	}
	again := w.tags("reg", "scan", listed...)
	if again["b"].TagID != got["b"].TagID || again["b"].Moved || !again["b"].Again {
		t.Errorf("recorded again: %+v", again)
	}
	// A listing without digests takes nothing away.
	if plain := w.tags("reg", "later", tidewaiter.ListedTag{Name: "b"}); plain["b"].Digest != "sha256:2" || plain["b"].Again || plain["b"].Known {
		t.Errorf("recorded without digest: %+v", plain)
	}
	tag := must(db.TagByReference(t.Context(), host+"/team/app:b"))(t)
	if tag.ID != got["b"].TagID || tag.Reference() != host+"/team/app:b" || !tag.FirstSeen.Equal(start) {
		t.Errorf("tag: %+v", tag)
	}
	_, err := db.TagByReference(t.Context(), "nobody")
	kind(t, err, tidewaiter.ErrNotFound)
	kind(t, w.try(func(ctx context.Context, tx *store.Tx) error {
		_, err := tx.RecordTags(ctx, store.RecordTags{RegistryID: "reg", RepositoryID: 999, Tags: listed})
		return err
	}), tidewaiter.ErrNotFound)
}

func testTagMoves(t *testing.T, db *store.DB) {
	w := newWorld(t, db)
	for i, digest := range []string{"d1", "d2", "d2", "", "d3"} {
		w.update(func(ctx context.Context, tx *store.Tx) error {
			got, err := tx.RecordTags(ctx, store.RecordTags{
				RegistryID: "reg", ScanID: "scan", RepositoryID: w.repo, Now: start.Add(time.Duration(i) * time.Hour),
				Tags: []tidewaiter.ListedTag{{Name: "latest", Digest: digest}},
			})
			if moved := i == 1 || i == 4; err == nil && got[0].Moved != moved {
				t.Errorf("listing %d: %+v", i, got[0])
			}
			return err
		})
	}
	tag := must(db.TagByReference(t.Context(), host+"/team/app:latest"))(t)
	w.index(tag.ID, "d4") // the registry was faster than the listing
	at := func(h int) time.Time { return start.Add(time.Duration(h) * time.Hour) }
	got := must(db.TagHistory(t.Context(), tag.ID))(t)
	same(t, "history", got[:2], []tidewaiter.TagMove{{Digest: "d1", From: at(0), To: at(1)}, {Digest: "d2", From: at(1), To: at(4)}})
	if len(got) != 4 || got[2].Digest != "d3" || got[3].Digest != "d4" || !got[3].To.IsZero() {
		t.Errorf("history: %+v", got)
	}
}

func testTagsKnown(t *testing.T, db *store.DB) {
	w := newWorld(t, db)
	img := image("one", "l1")
	id := w.judged("1.0", img, judgement())
	known := func(analyzer, digest string) bool {
		var got []store.RecordedTag
		w.update(func(ctx context.Context, tx *store.Tx) (err error) {
			got, err = tx.RecordTags(ctx, store.RecordTags{RegistryID: "reg", ScanID: "scan", RepositoryID: w.repo, Now: start,
				Tags: []tidewaiter.ListedTag{{Name: "1.0", Digest: digest}}, Analyzer: analyzer})
			return err
		})
		return got[0].Known
	}
	w.update(func(ctx context.Context, tx *store.Tx) error {
		_, err := tx.TagFailed(ctx, id, tidewaiter.ErrTransient, "a hiccup", start)
		return err
	})
	if known(analyzer, "") {
		t.Error("a tag without a digest is known")
	}
	if must(db.Tag(t.Context(), id))(t).Error == "" {
		t.Error("the error is gone too early")
	}
	if !known(analyzer, img.Digest) || !known("", img.Digest) {
		t.Error("a judged tag is not known")
	}
	if must(db.Tag(t.Context(), id))(t).Error != "" {
		t.Error("a known tag keeps its error")
	}
	if known("analyzer-2", img.Digest) {
		t.Error("a tag judged by another analyzer is known")
	}
	if known(analyzer, "sha256:other") {
		t.Error("a tag that moved is known")
	}
}

func testConclude(t *testing.T, db *store.DB) {
	w := newWorld(t, db)
	first := w.tags("reg", "scan", tidewaiter.ListedTag{Name: "stays"}, tidewaiter.ListedTag{Name: "goes"})
	w.repository("reg", "scan", "old")
	w.update(func(ctx context.Context, tx *store.Tx) error {
		return tx.InsertScans(ctx, []*tidewaiter.Scan{scan("next", "reg", tidewaiter.ScanListing)})
	})
	w.repository("reg", "next", "team/app")
	w.tags("reg", "next", tidewaiter.ListedTag{Name: "stays"})
	w.update(func(ctx context.Context, tx *store.Tx) error {
		return tx.RecordRepositoryListed(ctx, "reg", "next", w.repo, 1, 1, nil, start)
	})
	conclude := func() (gone int) {
		w.update(func(ctx context.Context, tx *store.Tx) (err error) {
			gone, err = tx.ConcludeListing(ctx, "reg", "next", start.Add(time.Hour))
			return err
		})
		return gone
	}
	if n := conclude(); n != 1 {
		t.Errorf("%d tags are gone", n)
	}
	if n := conclude(); n != 0 {
		t.Errorf("%d tags are gone the second time", n)
	}
	if got := must(db.Tag(t.Context(), first["goes"].TagID))(t); !got.GoneAt.Equal(start.Add(time.Hour)) {
		t.Errorf("tag: %+v", got)
	}
	list, _, err := db.RegistryRepositories(t.Context(), "reg", store.RepositoryFilter{})
	if err != nil || len(list) != 1 || list[0].Tags != 1 {
		t.Errorf("repositories: %+v, %v", list, err)
	}
	w.tags("reg", "scan", tidewaiter.ListedTag{Name: "goes"})
	if got := must(db.Tag(t.Context(), first["goes"].TagID))(t); !got.GoneAt.IsZero() {
		t.Error("a tag that is back is still gone")
	}
}

// testConcludeShared has two registries of one host drop the same tags at the same time: each tag is gone once, and none
// is overlooked.
func testConcludeShared(t *testing.T, db *store.DB) {
	w := newWorld(t, db)
	w.update(func(ctx context.Context, tx *store.Tx) error {
		if err := tx.InsertRegistries(ctx, []*tidewaiter.Registry{registry("second")}); err != nil {
			return err
		}
		return tx.InsertScans(ctx, []*tidewaiter.Scan{scan("a", "reg", tidewaiter.ScanListing), scan("b", "second", tidewaiter.ScanListing)})
	})
	for round := range 10 {
		var listed []tidewaiter.ListedTag
		for i := range 50 {
			listed = append(listed, tidewaiter.ListedTag{Name: number(100*round + i)})
		}
		w.tags("reg", "scan", listed...)
		w.tags("second", "scan", listed...)
		var gone [2]int
		var wg sync.WaitGroup
		for i, s := range []struct{ registry, scan string }{{"reg", "a"}, {"second", "b"}} {
			wg.Go(func() {
				if err := w.try(func(ctx context.Context, tx *store.Tx) (err error) {
					gone[i], err = tx.ConcludeListing(ctx, s.registry, s.scan, start)
					return err
				}); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if gone[0]+gone[1] != len(listed) {
			t.Fatalf("%d and %d tags are gone, of %d", gone[0], gone[1], len(listed))
		}
	}
}

// testConcludeRefuses makes sure that a listing that was cut off cannot take anything away.
func testConcludeRefuses(t *testing.T, db *store.DB) {
	w := newWorld(t, db)
	tag := w.tags("reg", "scan", tidewaiter.ListedTag{Name: "1.0"})["1.0"]
	target := scan("target", "reg", tidewaiter.ScanListing)
	target.Target = &tidewaiter.Target{Repository: "team/app"}
	w.update(func(ctx context.Context, tx *store.Tx) error {
		return tx.InsertScans(ctx, []*tidewaiter.Scan{scan("partial", "reg", tidewaiter.ScanListing), target})
	})
	w.repository("reg", "partial", "team/app") // found, but not listed to the end
	for scanID, want := range map[string]tidewaiter.ErrorKind{
		"partial": tidewaiter.ErrConflict, "target": tidewaiter.ErrConflict, "nobody": tidewaiter.ErrNotFound,
	} {
		kind(t, w.try(func(ctx context.Context, tx *store.Tx) error {
			_, err := tx.ConcludeListing(ctx, "reg", scanID, start)
			return err
		}), want)
	}
	if got := must(db.Tag(t.Context(), tag.TagID))(t); !got.GoneAt.IsZero() {
		t.Error("a partial listing took a tag away")
	}
}

// testHostileText stores what a registry should never send.
func testHostileText(t *testing.T, db *store.DB) {
	w := newWorld(t, db)
	const bad = "a\x00b\xffc'?\\ \"$1"
	got := w.tags("reg", "scan", tidewaiter.ListedTag{Name: bad, Digest: bad})
	img := image(bad, bad)
	img.Platform.OS, img.Config.User = bad, bad
	for _, r := range got {
		w.open("scan", r.TagID)
		w.index(r.TagID, bad, img)
		w.update(func(ctx context.Context, tx *store.Tx) error {
			_, err := tx.LayerFailed(ctx, bad, analyzer, "", tidewaiter.ErrMalformed, bad, start)
			return err
		})
	}
	w.update(func(ctx context.Context, tx *store.Tx) error {
		return tx.InternPackages(ctx, []*tidewaiter.Package{{Name: bad, Version: bad, Ecosystem: "x"}})
	})
	list, _, err := db.Results(t.Context(), store.ResultFilter{Search: bad, Tags: nil, Failed: true})
	if err != nil || len(list) != 1 || list[0].Tag.Name != "ab\uFFFDc'?\\ \"$1" {
		t.Errorf("%+v, %v", list, err)
	}
	if _, err := db.Registry(t.Context(), bad); tidewaiter.KindOf(err) != tidewaiter.ErrNotFound {
		t.Error(err)
	}
}
