package storetest

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/tidewaiter/tidewaiter/internal/store"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

func testRematch(t *testing.T, db *store.DB) {
	w := &world{T: t, db: db}
	list := []*tidewaiter.Package{pkg("a"), pkg("b"), pkg("c")}
	w.intern(list...)
	slices.SortFunc(list, func(a, b *tidewaiter.Package) int { return int(a.ID - b.ID) })
	a, b, c := list[0], list[1], list[2]
	w.matched("v1", a, finding("CVE-1", tidewaiter.SeverityLow))
	w.matched("v2", b, finding("CVE-1", tidewaiter.SeverityLow), finding("CVE-2", tidewaiter.SeverityHigh))
	versions := must(db.MatchedVersions(t.Context(), "v3"))(t)
	slices.Sort(versions)
	same(t, "versions", versions, []string{"v1", "v2"})
	same(t, "stale", must(db.StalePackages(t.Context(), "v2", 0, 10))(t), []store.StalePackage{{Package: a, Matched: "v1"}, {Package: c}})
	same(t, "stale after a", must(db.StalePackages(t.Context(), "v2", a.ID, 10))(t), []store.StalePackage{{Package: c}})
	same(t, "with CVE-2 or an unknown one", must(db.PackagesWithVulnerabilities(t.Context(), []string{"CVE-2", "CVE-9"}))(t), map[int64]struct{}{b.ID: {}})
	same(t, "with CVE-1", len(must(db.PackagesWithVulnerabilities(t.Context(), []string{"CVE-1"}))(t)), 2)
	w.update(func(ctx context.Context, tx *store.Tx) error { return tx.MarkMatched(ctx, "v2", []int64{a.ID}) })
	same(t, "stale", must(db.StalePackages(t.Context(), "v2", 0, 10))(t), []store.StalePackage{{Package: c}})
	w.update(func(ctx context.Context, tx *store.Tx) error { return tx.ForgetMatches(ctx) })
	forgotten := must(db.StalePackages(t.Context(), "v2", 0, 10))(t)
	if len(forgotten) != 3 || forgotten[0].Matched == "" || forgotten[2].Matched != "" {
		t.Errorf("forgotten: %+v", forgotten)
	}
	// A package that was matched and forgotten keeps its findings: what changes of them is news.
	w.matched("v2", a)
	same(t, "changed", must(db.ChangedPackages(t.Context(), 1))(t), map[int64]int64{a.ID: 2})
}

func testStaleImages(t *testing.T, db *store.DB) {
	w := newWorld(t, db)
	a := pkg("a")
	w.intern(a)
	w.matched("v1", a, finding("CVE-1", tidewaiter.SeverityLow))
	var ids []int64
	for i, name := range []string{"one", "two", "three"} {
		img := image(name, "l")
		j := judgement()
		j.Advisories, j.EndOfLife, j.Distribution = "v1", i == 1, &tidewaiter.Distribution{Family: "debian", Release: name}
		w.judged(name, img, judgement())
		w.judgedBy(img.ID, j, a)
		ids = append(ids, img.ID)
	}
	// A second tag shows the second image.
	second := image("two", "l")
	w.index(w.tag("again"), second.Digest, second)
	w.judgedBy(second.ID, tidewaiter.Judgement{Advisories: "v1", Analyzer: analyzer, JudgedAt: start}, a)

	stale := must(db.StaleImages(t.Context(), "v2", 0, 10))(t)
	same(t, "stale", len(stale), 3)
	same(t, "the first", stale[0], store.StaleImage{ID: ids[0], FindingsSeen: 1, JudgedAt: start, Advisories: "v1", DistroFamily: "debian", DistroRelease: "one"})
	same(t, "after the second", len(must(db.StaleImages(t.Context(), "v2", ids[1], 10))(t)), 1)
	same(t, "the most used first, then the newest", must(db.StaleByUse(t.Context(), "v2"))(t), []int64{ids[1], ids[2], ids[0]})
	same(t, "by id", must(db.JudgedBefore(t.Context(), ids[2], 10))(t), []int64{ids[1], ids[0]})
	same(t, "from the newest", must(db.JudgedBefore(t.Context(), 0, 2))(t), []int64{ids[2], ids[1]})

	// One is marked, one was judged by newer findings meanwhile.
	w.matched("v2", a)
	w.judgedBy(ids[2], tidewaiter.Judgement{Advisories: "v3", Analyzer: analyzer, JudgedAt: start}, a)
	w.update(func(ctx context.Context, tx *store.Tx) error {
		return tx.MarkJudged(ctx, "v2", 1, []int64{ids[0], ids[2]}, start.Add(time.Hour))
	})
	images := must(db.JudgedImagesByID(t.Context(), []int64{ids[2], ids[0], 999}))(t)
	same(t, "images", len(images), 2)
	same(t, "marked", images[0].Judgement.Advisories, "v2")
	same(t, "marked when", images[0].Judgement.JudgedAt, start.Add(time.Hour))
	same(t, "left alone", images[1].Judgement.Advisories, "v3")
}

func testAdvisoryChanges(t *testing.T, db *store.DB) {
	w := &world{T: t, db: db}
	save := func(before, after string, at int) {
		w.update(func(ctx context.Context, tx *store.Tx) error {
			return tx.SaveAdvisoryChange(ctx, before, after, []byte(before+">"+after), start.Add(time.Duration(at)*time.Hour))
		})
	}
	way := func(from, to string, want ...string) {
		t.Helper()
		var got []string
		for _, doc := range must(db.AdvisoryChanges(t.Context(), from, to))(t) {
			got = append(got, string(doc))
		}
		same(t, "way from "+from+" to "+to, got, want)
	}
	way("v1", "v2")
	save("v1", "v2", 1)
	save("v2", "v3", 2)
	save("v3", "v1", 3) // back to an older database
	save("v1", "v4", 4)
	save("v3", "v4", 5)
	way("v1", "v2", "v1>v2")
	way("v1", "v3", "v1>v2", "v2>v3")
	way("v2", "v4", "v2>v3", "v3>v4")
	way("v2", "v1", "v2>v3", "v3>v1")
	way("v4", "v1")
	way("v9", "v1")
	for i := range 20 {
		save(fmt.Sprint("w", i), fmt.Sprint("w", i+1), 10+i)
	}
	way("v1", "v2") // long ago
	same(t, "steps", len(must(db.AdvisoryChanges(t.Context(), "w0", "w20"))(t)), 20)
}
