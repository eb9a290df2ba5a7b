package storetest

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"testing"
	"time"

	"github.com/tidewaiter/tidewaiter/internal/store"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

func scores(list ...tidewaiter.EPSSScore) iter.Seq2[tidewaiter.EPSSScore, error] {
	return func(yield func(tidewaiter.EPSSScore, error) bool) {
		for _, s := range list {
			if !yield(s, nil) {
				return
			}
		}
	}
}

func epssFeed(version string) tidewaiter.Feed {
	return tidewaiter.Feed{Kind: tidewaiter.FeedEPSS, Version: version, Date: start, Release: "v1"}
}

func testEPSS(t *testing.T, db *store.DB) {
	one := tidewaiter.EPSSScore{Name: "CVE-1", Score: 0.94358, Percentile: 0.99958}
	same(t, "threats without feeds", must(db.Threats(t.Context(), []string{"CVE-1"}))(t), nil)
	if changed := must(db.LoadEPSS(t.Context(), epssFeed("a"), scores(one, tidewaiter.EPSSScore{Name: "CVE-2", Score: 0.1, Percentile: 0.2}), start))(t); !changed {
		t.Error("the first feed changed nothing")
	}
	want := map[string]tidewaiter.Threat{"CVE-1": {EPSS: &tidewaiter.EPSS{Score: 0.94358, Percentile: 0.99958, Date: start}}}
	same(t, "threats", must(db.Threats(t.Context(), []string{"CVE-1", "CVE-3"}))(t), want)
	if must(db.LoadEPSS(t.Context(), epssFeed("a"), nil, start))(t) {
		t.Error("the same feed again was written")
	}

	// A feed that breaks off changes nothing, and leaves nothing behind.
	broken := errors.New("broken")
	_, err := db.LoadEPSS(t.Context(), epssFeed("b"), func(yield func(tidewaiter.EPSSScore, error) bool) {
		for i := range 12_000 {
			if !yield(tidewaiter.EPSSScore{Name: fmt.Sprintf("CVE-%d", i)}, nil) {
				return
			}
		}
		yield(tidewaiter.EPSSScore{}, broken)
	}, start.Add(time.Hour))
	if !errors.Is(err, broken) {
		t.Errorf("a broken feed: %v", err)
	}
	same(t, "threats after a broken feed", must(db.Threats(t.Context(), []string{"CVE-1"}))(t), want)
	same(t, "rows after a broken feed", epssRows(t, db), 2)

	// What the next feed does not know is gone.
	many := make([]tidewaiter.EPSSScore, 11_000)
	for i := range many {
		many[i] = tidewaiter.EPSSScore{Name: fmt.Sprintf("CVE-%d", 10+i), Score: float64(i) / 11_000}
	}
	must(db.LoadEPSS(t.Context(), epssFeed("c"), scores(many...), start.Add(2*time.Hour)))(t)
	same(t, "threats", must(db.Threats(t.Context(), []string{"CVE-1", "CVE-10"}))(t), map[string]tidewaiter.Threat{"CVE-10": {EPSS: &tidewaiter.EPSS{Date: start}}})
	same(t, "rows", epssRows(t, db), 11_000)
	same(t, "entries", must(db.Feeds(t.Context()))(t)[tidewaiter.FeedEPSS].Entries, 11_000)
}

func epssRows(t *testing.T, db *store.DB) (n int) {
	t.Helper()
	if err := db.Writer().QueryRowContext(t.Context(), "select count(*) from epss").Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

func testKEV(t *testing.T, db *store.DB) {
	w := &world{T: t, db: db}
	save := func(version string, catalog map[string]tidewaiter.KEV) (changed bool) {
		w.update(func(ctx context.Context, tx *store.Tx) (err error) {
			changed, err = tx.SaveKEV(ctx, tidewaiter.Feed{Kind: tidewaiter.FeedKEV, Version: version, Date: start}, catalog, start)
			return err
		})
		return changed
	}
	listed := tidewaiter.KEV{Added: start, Due: start.Add(time.Hour), Ransomware: true}
	for i, c := range []struct {
		catalog map[string]tidewaiter.KEV
		changed bool
	}{
		{map[string]tidewaiter.KEV{"CVE-1": listed, "CVE-2": {Added: start}}, true},
		{map[string]tidewaiter.KEV{"CVE-1": listed, "CVE-2": {Added: start}}, false},
		{map[string]tidewaiter.KEV{"CVE-1": listed, "CVE-2": {Added: start, Ransomware: true}}, false}, // listed as before
		{map[string]tidewaiter.KEV{"CVE-1": listed}, true},
		{map[string]tidewaiter.KEV{"CVE-3": listed}, true},
	} {
		if changed := save(number(i), c.catalog); changed != c.changed {
			t.Errorf("%d: changed %t", i, changed)
		}
		got := must(db.Threats(t.Context(), []string{"CVE-1", "CVE-2", "CVE-3"}))(t)
		if len(got) != len(c.catalog) {
			t.Errorf("%d: %v", i, got)
		}
		for name, k := range c.catalog {
			same(t, name, *got[name].KEV, k)
		}
	}
	same(t, "feed", must(db.Feeds(t.Context()))(t)[tidewaiter.FeedKEV], tidewaiter.Feed{Kind: tidewaiter.FeedKEV, Version: number(4), Date: start, Entries: 1})
}

// holding judges an image that holds some packages.
func (w *world) holding(name string, packages ...*tidewaiter.Package) *tidewaiter.Image {
	w.Helper()
	img := image(name, "l")
	w.judged(name, img, judgement())
	content := &tidewaiter.Content{}
	for _, p := range packages {
		content.Installed = append(content.Installed, tidewaiter.Installed{Package: p})
	}
	w.update(func(ctx context.Context, tx *store.Tx) error {
		j := judgement()
		_, err := tx.SaveJudgement(ctx, store.SaveJudgement{ImageID: img.ID, Judgement: &j, Now: start, Content: content})
		return err
	})
	return img
}

func testFleetVulnerabilities(t *testing.T, db *store.DB) {
	w := newWorld(t, db)
	a, b, unused := pkg("a"), pkg("b"), pkg("unused")
	w.intern(a, b, unused)
	high, low := finding("CVE-2020-1", tidewaiter.SeverityHigh), finding("CVE-2021-2", tidewaiter.SeverityLow)
	worse := finding("CVE-2021-2", tidewaiter.SeverityMedium)
	low.FixedIn, worse.FixedIn = "", ""
	critical := finding("GHSA-3", tidewaiter.SeverityCritical)
	known := map[string]*tidewaiter.Vulnerability{
		"CVE-2020-1": {ID: "CVE-2020-1", Score: 7.5, Published: start}, "CVE-2021-2": {ID: "CVE-2021-2", Score: 9.8, Published: start.Add(time.Hour)},
		"GHSA-3": {ID: "GHSA-3", Score: 9.7, Published: start.Add(-time.Hour)},
	}
	w.update(func(ctx context.Context, tx *store.Tx) error {
		return tx.SaveFindings(ctx, advisories, map[int64][]tidewaiter.Finding{a.ID: {high, low}, b.ID: {worse, critical}, unused.ID: {finding("CVE-2022-4", 0)}}, known, start)
	})
	first := w.holding("first", a)
	w.holding("second", a, b)
	w.holding("third", a)
	count := func() { w.must(db.CountVulnerabilities(t.Context())) }
	count()
	must(db.LoadEPSS(t.Context(), epssFeed("a"), scores(tidewaiter.EPSSScore{Name: "CVE-2020-1", Score: 0.2}, tidewaiter.EPSSScore{Name: "CVE-2021-2", Score: 0.3},
		tidewaiter.EPSSScore{Name: "CVE-1999-9", Score: 1}), start))(t)
	w.update(func(ctx context.Context, tx *store.Tx) error {
		_, err := tx.SaveKEV(ctx, tidewaiter.Feed{Kind: tidewaiter.FeedKEV}, map[string]tidewaiter.KEV{"CVE-2020-1": {Added: start}}, start)
		return err
	})
	for _, c := range []struct {
		filter store.VulnerabilityFilter
		want   []string
	}{
		{store.VulnerabilityFilter{}, []string{"GHSA-3", "CVE-2020-1", "CVE-2021-2"}},
		{store.VulnerabilityFilter{Asc: true}, []string{"CVE-2021-2", "CVE-2020-1", "GHSA-3"}},
		{store.VulnerabilityFilter{Sort: store.VulnerabilitiesByEPSS}, []string{"CVE-2021-2", "CVE-2020-1", "GHSA-3"}},
		{store.VulnerabilityFilter{Sort: store.VulnerabilitiesByEPSS, Asc: true}, []string{"CVE-2020-1", "CVE-2021-2", "GHSA-3"}},
		{store.VulnerabilityFilter{Sort: store.VulnerabilitiesByScore}, []string{"CVE-2021-2", "GHSA-3", "CVE-2020-1"}},
		{store.VulnerabilityFilter{Sort: store.VulnerabilitiesByPublished}, []string{"CVE-2021-2", "CVE-2020-1", "GHSA-3"}},
		{store.VulnerabilityFilter{Sort: store.VulnerabilitiesByImages, Search: "cve-202"}, []string{"CVE-2021-2", "CVE-2020-1"}},
		{store.VulnerabilityFilter{MinSeverity: tidewaiter.SeverityHigh}, []string{"GHSA-3", "CVE-2020-1"}},
		{store.VulnerabilityFilter{MinEPSS: 0.2}, []string{"CVE-2020-1", "CVE-2021-2"}},
		{store.VulnerabilityFilter{MinEPSS: 0.200001, Sort: store.VulnerabilitiesByEPSS}, []string{"CVE-2021-2"}},
		{store.VulnerabilityFilter{KEV: true}, []string{"CVE-2020-1"}},
		{store.VulnerabilityFilter{Fixable: true}, []string{"GHSA-3", "CVE-2020-1"}},
		{store.VulnerabilityFilter{Search: "CVE_2"}, nil},
	} {
		// In one page, page by page, and by offset.
		for _, limit := range []int{10, 1} {
			var got, skipped []string
			f := c.filter
			f.Limit = limit
			for {
				list, next, err := db.FleetVulnerabilities(t.Context(), f)
				if err != nil {
					t.Fatal(err)
				}
				for _, v := range list {
					got = append(got, v.Name)
				}
				if f.After = next; next == "" {
					break
				}
			}
			for f.Offset = 0; f.Offset < len(got); f.Offset += limit {
				list, _, err := db.FleetVulnerabilities(t.Context(), f)
				if err != nil {
					t.Fatal(err)
				}
				for _, v := range list {
					skipped = append(skipped, v.Name)
				}
			}
			if c.filter.Sort != store.VulnerabilitiesByImages || limit == 10 {
				if c.filter.MinEPSS == 0.2 {
					slices.Sort(got)
					slices.Sort(skipped)
				}
				same(t, fmt.Sprintf("%+v", f), got, c.want)
				same(t, fmt.Sprintf("by offset: %+v", f), skipped, c.want)
			}
		}
		same(t, "count", must(db.CountFleetVulnerabilities(t.Context(), c.filter))(t), len(c.want))
	}
	_, _, err := db.FleetVulnerabilities(t.Context(), store.VulnerabilityFilter{Sort: "name"})
	kind(t, err, tidewaiter.ErrInvalid)

	got := must(db.FleetVulnerability(t.Context(), "CVE-2021-2"))(t)
	same(t, "vulnerability", *got, store.FleetVulnerability{Name: "CVE-2021-2", Severity: tidewaiter.SeverityMedium, Score: 9.8, Published: start.Add(time.Hour),
		Images: 3, Packages: 2, Threat: tidewaiter.Threat{EPSS: &tidewaiter.EPSS{Score: 0.3, Date: start}}})
	_, err = db.FleetVulnerability(t.Context(), "CVE-2022-4") // in no image
	kind(t, err, tidewaiter.ErrNotFound)

	// An image that goes is counted no more, and what nobody has is no more in the list.
	before := must(db.TotalsMark(t.Context()))(t)
	w.update(func(ctx context.Context, tx *store.Tx) error {
		_, err := tx.TagGone(ctx, "reg", host+"/team/app:second", start)
		return err
	})
	if must(db.TotalsMark(t.Context()))(t) == before {
		t.Error("nobody would count again")
	}
	count()
	list, _, err := db.FleetVulnerabilities(t.Context(), store.VulnerabilityFilter{})
	w.must(err)
	if len(list) != 2 || list[0].Name != "CVE-2020-1" || list[0].Images != 2 || list[1].Images != 2 || list[1].Severity != tidewaiter.SeverityLow {
		// The severity is that of the packages images hold.
		t.Errorf("%+v", list)
	}
	names, total, err := db.Impacted(t.Context(), "CVE-2020-1", 0, 1)
	w.must(err)
	same(t, "names", names, []store.ImpactedName{{ImageID: first.ID, Reference: host + "/team/app:first"}})
	same(t, "how many", total, 2)
	same(t, "counts", must(db.VulnerabilityCounts(t.Context(), []string{"b"}))(t), []store.VulnerabilityCount{})
	same(t, "counts", must(db.VulnerabilityCounts(t.Context(), nil))(t)[0], store.VulnerabilityCount{Name: "CVE-2020-1", Severity: tidewaiter.SeverityHigh, Score: 7.5, Images: 2})
}

func (w *world) must(err error) {
	w.Helper()
	if err != nil {
		w.Fatal(err)
	}
}

// testHistory: what is over goes, but for what somebody may still ask about.
func testHistory(t *testing.T, db *store.DB) {
	w := newWorld(t, db)
	at := func(days int) time.Time { return start.AddDate(0, 0, days) }
	var list []*tidewaiter.Scan
	for i, state := range []tidewaiter.ScanState{tidewaiter.ScanFailed, tidewaiter.ScanCompleted, tidewaiter.ScanCompleted, tidewaiter.ScanCompleted, tidewaiter.ScanFailed} {
		s := scan(number(i), "reg", state)
		s.CreatedAt, s.EndedAt = at(-400+i), at(-400+i)
		list = append(list, s)
	}
	planned := scan("planned", "reg", tidewaiter.ScanCompleted)
	planned.CreatedAt, planned.EndedAt = at(-500), at(-500)
	running := scan("running", "reg", tidewaiter.ScanListing)
	running.CreatedAt = at(-600)
	w.update(func(ctx context.Context, tx *store.Tx) error {
		return errors.Join(tx.InsertScans(ctx, append(list, planned, running)),
			tx.PutPlan(ctx, &tidewaiter.Plan{ID: "plan", RegistryID: "reg", LastScanID: "planned", CreatedAt: start, UpdatedAt: start}),
			tx.Audit(ctx, store.AuditEntry{At: at(-400), Action: "old"}), tx.Audit(ctx, store.AuditEntry{At: at(-1), Action: "new"}))
	})
	tag := w.tag("moves")
	for i, digest := range []string{"sha256:1", "sha256:2", "sha256:3"} {
		w.update(func(ctx context.Context, tx *store.Tx) error {
			in := indexTag(tag, digest)
			in.Now = at(-401 + 200*i)
			_, err := tx.IndexTag(ctx, in)
			return err
		})
	}
	purge := func(before time.Time) (sum store.Purged) {
		for {
			p := must(db.PurgeHistory(t.Context(), before, 1))(t)
			if !p.Any() {
				return sum
			}
			sum.Add(p)
		}
	}
	same(t, "purged too early", purge(at(-700)), store.Purged{})
	same(t, "purged", purge(at(-100)), store.Purged{Scans: 3, Moves: 1, Audit: 1})
	left := must(db.ScansByID(t.Context(), []string{number(0), number(1), number(2), number(3), number(4), "planned", "running", "scan"}))(t)
	for _, id := range []string{number(3), number(4), "planned", "running", "scan"} {
		if left[id] == nil {
			t.Errorf("scan %s is gone", id)
		}
	}
	same(t, "scans left", len(left), 5)
}
