package storetest

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/tidewaiter/tidewaiter/internal/store"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// matched stores the findings of one package under a version of the advisories.
func (w *world) matched(version string, p *tidewaiter.Package, findings ...tidewaiter.Finding) {
	w.Helper()
	w.update(func(ctx context.Context, tx *store.Tx) error {
		return tx.SaveFindings(ctx, version, map[int64][]tidewaiter.Finding{p.ID: findings}, nil, start)
	})
}

// judgedBy judges an image that holds packages by the findings of now.
func (w *world) judgedBy(imageID int64, j tidewaiter.Judgement, packages ...*tidewaiter.Package) {
	w.Helper()
	content := &tidewaiter.Content{}
	for _, p := range packages {
		content.Installed = append(content.Installed, tidewaiter.Installed{Package: p})
	}
	generation := must(w.db.FindingsGeneration(w.Context()))(w)
	w.update(func(ctx context.Context, tx *store.Tx) error {
		_, err := tx.SaveJudgement(ctx, store.SaveJudgement{ImageID: imageID, Content: content, Judgement: &j, Findings: generation, Now: start})
		return err
	})
}

// changed returns what changed for an image, the latest first, without ids.
func (w *world) changed(imageID int64) []tidewaiter.ImageChange {
	w.Helper()
	list, next, err := w.db.ChangesOfImage(w.Context(), imageID, store.Page{})
	if err != nil || next != "" {
		w.Fatal(next, err)
	}
	return list
}

func state(f tidewaiter.Finding) *tidewaiter.FindingState {
	return &tidewaiter.FindingState{Severity: f.Severity, FixedIn: f.FixedIn, Status: f.Status}
}

func changedOf(p *tidewaiter.Package, vulnerability string, before, after *tidewaiter.FindingState) tidewaiter.FindingChange {
	return tidewaiter.FindingChange{Vulnerability: vulnerability, Ecosystem: p.Ecosystem, Package: p.Name, Version: p.FullVersion(), Before: before, After: after}
}

func testImageChanges(t *testing.T, db *store.DB) {
	w := newWorld(t, db)
	a, b := pkg("a"), pkg("b")
	w.intern(a, b)
	low, high := finding("CVE-1", tidewaiter.SeverityLow), finding("CVE-2", tidewaiter.SeverityHigh)
	w.matched("v1", a, low, high)
	w.matched("v1", b)
	img := image("i", "l")
	w.index(w.tag("one"), img.Digest, img)
	w.layerDone("l")

	j := judgement()
	j.Advisories, j.Vulnerabilities = "v1", tidewaiter.Counts{Low: 1, High: 1}
	w.judgedBy(img.ID, j, a, b)
	first := tidewaiter.ImageChange{ImageID: img.ID, Digest: img.Digest, At: start, Cause: tidewaiter.ChangeFirst, After: tidewaiter.StandingOf(&j)}
	w.sameChanges("the first judgement", img.ID, first)
	w.judgedBy(img.ID, j, a, b)
	w.sameChanges("the same again", img.ID, first)

	// Two generations before the image is judged again: one finding worse, then mended; one gone, one new. Of b, the first.
	worse, mended, fresh := low, low, finding("CVE-3", tidewaiter.SeverityCritical)
	worse.Severity = tidewaiter.SeverityCritical
	mended.Severity, mended.FixedIn = tidewaiter.SeverityMedium, "3"
	w.matched("v2", a, worse, high)
	w.matched("v3", a, mended)
	w.matched("v3", b, fresh)
	next := j
	next.Advisories, next.Vulnerabilities, next.Verdict.Effect = "v3", tidewaiter.Counts{Medium: 1, Critical: 1}, tidewaiter.EffectBlock
	w.judgedBy(img.ID, next, a, b)
	second := tidewaiter.ImageChange{ImageID: img.ID, Digest: img.Digest, At: start, Cause: tidewaiter.ChangeAdvisories,
		Before: tidewaiter.StandingOf(&j), After: tidewaiter.StandingOf(&next), Counts: tidewaiter.ChangeCounts{New: 1, Gone: 1, Severity: 1},
		Findings: []tidewaiter.FindingChange{changedOf(b, "CVE-3", nil, state(fresh)), changedOf(a, "CVE-2", state(high), nil),
			changedOf(a, "CVE-1", state(low), state(mended))}}
	w.sameChanges("later advisories", img.ID, second, first)

	// Another analyzer finds that b is not there, and numbers a anew with the same findings.
	again := pkg("a")
	again.Maintainer = "somebody"
	w.intern(again)
	w.matched("v3", again, mended)
	third := next
	third.Analyzer, third.Vulnerabilities = "analyzer-2", tidewaiter.Counts{Medium: 1}
	w.judgedBy(img.ID, third, again)
	w.sameChanges("another analyzer", img.ID, tidewaiter.ImageChange{ImageID: img.ID, Digest: img.Digest, At: start, Cause: tidewaiter.ChangeContent,
		Before: tidewaiter.StandingOf(&next), After: tidewaiter.StandingOf(&third), Counts: tidewaiter.ChangeCounts{Gone: 1},
		Findings: []tidewaiter.FindingChange{changedOf(b, "CVE-3", state(fresh), nil)}}, second, first)

	// A judgement by older findings does not replace one by newer.
	err := w.try(func(ctx context.Context, tx *store.Tx) error {
		_, err := tx.SaveJudgement(ctx, store.SaveJudgement{ImageID: img.ID, Judgement: &j, Findings: 1, Now: start})
		return err
	})
	kind(t, err, tidewaiter.ErrTransient)
}

func (w *world) sameChanges(what string, imageID int64, want ...tidewaiter.ImageChange) {
	w.Helper()
	if d := cmp.Diff(want, w.changed(imageID), cmpopts.IgnoreFields(tidewaiter.ImageChange{}, "ID"), cmpopts.EquateEmpty()); d != "" {
		w.Errorf("changes after %s differ (-want +got):\n%s", what, d)
	}
}

func testChangesInBulk(t *testing.T, db *store.DB) {
	w := newWorld(t, db)
	var ids []int64
	for _, name := range []string{"one", "two", "three"} {
		img := image(name, "l")
		w.judged(name, img, judgement())
		ids = append(ids, img.ID)
	}
	began := must(db.LastImageChange(t.Context()))(t)
	images := must(db.JudgedImages(t.Context(), 0, 10))(t)
	change := func(i int) (*tidewaiter.Judgement, *tidewaiter.ImageChange) {
		j := *images[i].Judgement
		j.Verdict.Effect, j.JudgedAt, j.Advisories = tidewaiter.EffectBlock, start.Add(time.Hour), "v2"
		return &j, tidewaiter.NewImageChange(ids[i], tidewaiter.ChangeAdvisories, images[i].Judgement, &j, nil)
	}
	j0, c0 := change(0)
	j1, c1 := change(1)
	list := []store.Rejudged{{ImageID: ids[0], JudgedAt: start, Judgement: j0, Change: c0},
		{ImageID: ids[1], JudgedAt: start.Add(-time.Hour), Judgement: j1, Change: c1}, {ImageID: ids[2], JudgedAt: start}}
	for range 2 { // the second time nothing is as it was read
		w.update(func(ctx context.Context, tx *store.Tx) error {
			return tx.SaveRejudged(ctx, "v2", 7, list, start.Add(time.Hour))
		})
	}
	news := must(db.ImageChanges(t.Context(), began, 10))(t)
	if len(news) != 1 || news[0].ImageID != ids[0] || news[0].Before.Effect != tidewaiter.EffectIgnore || news[0].After.Effect != tidewaiter.EffectBlock {
		t.Fatalf("after new advisories: %+v", news)
	}
	v := *images[1].Judgement
	v.Verdict.Effect = tidewaiter.EffectAlert
	verdicts := []store.NewVerdict{{ImageID: ids[1], Judgement: &v, Change: tidewaiter.NewImageChange(ids[1], tidewaiter.ChangePolicy, images[1].Judgement, &v, nil)}}
	for i, want := range []int{1, 0} {
		w.update(func(ctx context.Context, tx *store.Tx) error {
			n, err := tx.SaveVerdicts(ctx, verdicts, start)
			same(t, "verdicts stored the "+[]string{"first", "second"}[i]+" time", n, want)
			return err
		})
	}
	news = must(db.ImageChanges(t.Context(), news[0].ID, 10))(t)
	if len(news) != 1 || news[0].ImageID != ids[1] || news[0].Cause != tidewaiter.ChangePolicy {
		t.Fatalf("after another policy: %+v", news)
	}

	// Pages of an image, the latest first, and of the fleet, the oldest first.
	page, next, err := db.ChangesOfImage(t.Context(), ids[0], store.Page{Limit: 1})
	if err != nil || next == "" || len(page) != 1 || page[0].Cause != tidewaiter.ChangeAdvisories {
		t.Fatalf("first page: %+v %q %v", page, next, err)
	}
	page, next, err = db.ChangesOfImage(t.Context(), ids[0], store.Page{Limit: 1, After: next})
	if err != nil || next != "" || len(page) != 1 || page[0].Cause != tidewaiter.ChangeFirst {
		t.Fatalf("second page: %+v %q %v", page, next, err)
	}
	seen := 0
	for after := int64(0); ; {
		part := must(db.ImageChanges(t.Context(), after, 2))(t)
		if len(part) == 0 {
			break
		}
		seen += len(part)
		after = part[len(part)-1].ID
	}
	same(t, "changes of the fleet", seen, 5)

	// Retention: three first judgements and one verdict are of the start.
	w.update(func(ctx context.Context, tx *store.Tx) error {
		n, err := tx.PurgeImageChanges(ctx, start.Add(time.Minute), 10)
		same(t, "purged", n, 4)
		return err
	})
	same(t, "changes left", len(must(db.ImageChanges(t.Context(), 0, 10))(t)), 1)
}

// testChangesAtOnce has many writers store changes while one reads them as an outbox: each is read once, none is passed by.
func testChangesAtOnce(t *testing.T, db *store.DB) {
	w := newWorld(t, db)
	const writers, rounds = 6, 15
	var images []*tidewaiter.Image
	for i := range writers {
		img := image(number(i), "l")
		w.judged(number(i), img, judgement())
		images = append(images, img)
	}
	after := must(db.LastImageChange(t.Context()))(t)
	var wg sync.WaitGroup
	for i := range writers {
		wg.Go(func() {
			for n := range rounds {
				j := judgement()
				j.Fixable = n + 1
				err := w.try(func(ctx context.Context, tx *store.Tx) error {
					_, err := tx.SaveJudgement(ctx, store.SaveJudgement{ImageID: images[i].ID, Judgement: &j, Now: start})
					return err
				})
				if err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	done := make(chan struct{})
	go func() { wg.Wait(); close(done) }()
	next := map[int64]int{}
	for over := false; ; {
		select {
		case <-done:
			over = true
		default:
		}
		list, err := db.ImageChanges(t.Context(), after, 7)
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range list {
			if c.ID <= after || c.After.Fixable != next[c.ImageID]+1 {
				t.Fatalf("change %d of image %d says %d, after %d and %d", c.ID, c.ImageID, c.After.Fixable, after, next[c.ImageID])
			}
			after, next[c.ImageID] = c.ID, c.After.Fixable
		}
		if over && len(list) == 0 {
			break
		}
	}
	for _, img := range images {
		same(t, "the last change seen", next[img.ID], rounds)
	}
}

func testFindingChanges(t *testing.T, db *store.DB) {
	w := newWorld(t, db)
	a, b := pkg("a"), pkg("b")
	w.intern(a, b)
	low := finding("CVE-1", tidewaiter.SeverityLow)
	w.matched("v1", a, low)
	w.matched("v1", b, low)
	same(t, "generation after the first match", must(db.FindingsGeneration(t.Context()))(t), 1)
	w.matched("v2", a, low)
	same(t, "generation after the same again", must(db.FindingsGeneration(t.Context()))(t), 1)

	// What is known of a vulnerability weighs in every package that has it, whoever brought it.
	details := map[string]*tidewaiter.Vulnerability{"CVE-1": {ID: "CVE-1", Severity: tidewaiter.SeverityLow, Score: 3}}
	save := func() {
		w.update(func(ctx context.Context, tx *store.Tx) error {
			return tx.SaveFindings(ctx, "v3", map[int64][]tidewaiter.Finding{a.ID: {low}}, details, start)
		})
	}
	save()
	same(t, "a score", must(db.FindingChanges(t.Context(), []int64{a.ID, b.ID}, 1, 9))(t), map[int64][]store.PackageChange{
		a.ID: {{PackageID: a.ID, Generation: 2}}, b.ID: {{PackageID: b.ID, Generation: 2}}})
	details["CVE-1"].Title, details["CVE-1"].Modified = "another title", start
	save()
	same(t, "generation after another title", must(db.FindingsGeneration(t.Context()))(t), 2)
	w.matched("v4", a)
	same(t, "gone", must(db.FindingChanges(t.Context(), []int64{a.ID, b.ID}, 2, 9))(t), map[int64][]store.PackageChange{
		a.ID: {{PackageID: a.ID, Generation: 3, Findings: []store.ChangedFinding{{Vulnerability: "CVE-1", Before: state(low)}}}}})

	// What every judged image has seen is not kept.
	img := image("i", "l")
	w.index(w.tag("one"), img.Digest, img)
	w.layerDone("l")
	purge := func(want int) {
		t.Helper()
		w.update(func(ctx context.Context, tx *store.Tx) error {
			n, err := tx.PurgeFindingChanges(ctx, 10)
			same(t, "purged", n, want)
			return err
		})
	}
	w.judgedBy(img.ID, judgement(), a, b)
	w.matched("v5", b)
	purge(3)
	purge(0)
	same(t, "left", len(must(db.FindingChanges(t.Context(), []int64{b.ID}, 0, 9))(t)), 1)
}
