package storetest

import (
	"context"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/tidewaiter/tidewaiter/internal/store"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

func pkg(name string) *tidewaiter.Package {
	return &tidewaiter.Package{
		Distribution: tidewaiter.Distribution{Family: "debian", Release: "12"}, Ecosystem: tidewaiter.EcosystemDeb, Name: name,
		Epoch: 1, Version: "2.3", Release: "4", Arch: "amd64", Licenses: []string{"MIT"}, PURL: "pkg:deb/debian/" + name,
	}
}

func (w *world) intern(packages ...*tidewaiter.Package) {
	w.Helper()
	w.update(func(ctx context.Context, tx *store.Tx) error { return tx.InternPackages(ctx, packages) })
}

func testPackages(t *testing.T, db *store.DB) {
	w := &world{T: t, db: db}
	a, b, twin := pkg("a"), pkg("b"), pkg("a")
	twin.Licenses = []string{"other"}
	w.intern(a, b, twin)
	if a.ID == 0 || a.ID != twin.ID || a.ID == b.ID {
		t.Fatalf("ids: %d %d %d", a.ID, twin.ID, b.ID)
	}
	if a.ID > b.ID {
		a, b = b, a // numbers are given in the order of keys
	}
	again := pkg(b.Name)
	w.intern(again)
	same(t, "id of the second time", again.ID, b.ID)
	same(t, "packages", must(db.Packages(t.Context(), []int64{b.ID, a.ID, 999, b.ID}))(t), []*tidewaiter.Package{a, b})
	same(t, "unmatched", must(db.UnmatchedPackages(t.Context(), []int64{a.ID, b.ID}, advisories))(t), []int64{a.ID, b.ID})
	w.update(func(ctx context.Context, tx *store.Tx) error {
		return tx.SaveFindings(ctx, advisories, map[int64][]tidewaiter.Finding{a.ID: nil}, nil, start)
	})
	same(t, "unmatched", must(db.UnmatchedPackages(t.Context(), []int64{a.ID, b.ID}, advisories))(t), []int64{b.ID})
	same(t, "stale", must(db.StalePackages(t.Context(), advisories, 0, 10))(t), []store.StalePackage{{Package: b}})
}

// testPackagesAtOnce has many intern overlapping packages in different orders at the same time.
func testPackagesAtOnce(t *testing.T, db *store.DB) {
	w := &world{T: t, db: db}
	const n = 60
	var wg sync.WaitGroup
	ids := make([][]int64, 8)
	for i := range ids {
		wg.Go(func() {
			var list []*tidewaiter.Package
			for j := range n {
				list = append(list, pkg(number((j*7+i*13)%n)))
			}
			if err := w.try(func(ctx context.Context, tx *store.Tx) error { return tx.InternPackages(ctx, list) }); err != nil {
				t.Error(err)
				return
			}
			slices.SortFunc(list, func(a, b *tidewaiter.Package) int {
				if a.Name < b.Name {
					return -1
				}
				return 1
			})
			for _, p := range list {
				ids[i] = append(ids[i], p.ID)
			}
		})
	}
	wg.Wait()
	for i := range ids {
		same(t, "ids", ids[i], ids[0])
	}
	same(t, "stored", must(db.Stats(t.Context()))(t).Packages, n)
}

func finding(name string, severity tidewaiter.Severity) tidewaiter.Finding {
	return tidewaiter.Finding{
		Vulnerability: name, Severity: severity, Source: "debian", Status: "fixed", FixedIn: "2.4", Advisories: []string{"DSA-1", "DSA-2"}, URL: "https://x",
	}
}

func testFindings(t *testing.T, db *store.DB) {
	w := &world{T: t, db: db}
	a, b := pkg("a"), pkg("b")
	w.intern(a, b)
	save := func(version string, at time.Duration, vulnerabilities map[string]*tidewaiter.Vulnerability, findings map[int64][]tidewaiter.Finding) {
		w.update(func(ctx context.Context, tx *store.Tx) error {
			return tx.SaveFindings(ctx, version, findings, vulnerabilities, start.Add(at))
		})
	}
	known := map[string]*tidewaiter.Vulnerability{
		"CVE-1": {ID: "CVE-1", Title: "one", Severity: tidewaiter.SeverityHigh, Score: 7.5, Published: start, References: []string{"r"}},
	}
	high, low := finding("CVE-1", tidewaiter.SeverityHigh), finding("CVE-2", tidewaiter.SeverityLow)
	save("v1", 0, known, map[int64][]tidewaiter.Finding{a.ID: {high, low, high}, b.ID: {low}})

	at := func(f tidewaiter.Finding, id int64) tidewaiter.Finding { f.PackageID = id; return f }
	same(t, "findings", must(db.Findings(t.Context(), []int64{a.ID, b.ID, 999}))(t), map[int64][]tidewaiter.Finding{
		a.ID: {at(high, a.ID), at(low, a.ID)}, b.ID: {at(low, b.ID)},
	})
	same(t, "vulnerabilities", must(db.Vulnerabilities(t.Context(), []string{"CVE-1", "CVE-2", "CVE-3"}))(t), map[string]*tidewaiter.Vulnerability{
		"CVE-1": known["CVE-1"], "CVE-2": {ID: "CVE-2"}, // another package may rate it otherwise
	})

	// Later advisories: one finding stays, one is worse, one is new; b has none any more.
	worse := finding("CVE-2", tidewaiter.SeverityCritical)
	known["CVE-2"] = &tidewaiter.Vulnerability{ID: "CVE-2", Title: "two", Severity: tidewaiter.SeverityCritical}
	save("v2", time.Hour, known, map[int64][]tidewaiter.Finding{a.ID: {high, worse, finding("CVE-3", 0)}, b.ID: {}})
	same(t, "findings", must(db.Findings(t.Context(), []int64{a.ID, b.ID}))(t), map[int64][]tidewaiter.Finding{
		a.ID: {at(high, a.ID), at(worse, a.ID), at(finding("CVE-3", 0), a.ID)},
	})
	same(t, "dated findings", must(db.DatedFindings(t.Context(), []int64{a.ID}))(t), map[int64][]store.DatedFinding{a.ID: {
		{Finding: at(high, a.ID), FoundAt: start}, {Finding: at(worse, a.ID), FoundAt: start},
		{Finding: at(finding("CVE-3", 0), a.ID), FoundAt: start.Add(time.Hour)},
	}})
	same(t, "what is known of CVE-2", must(db.Vulnerabilities(t.Context(), []string{"CVE-2"}))(t)["CVE-2"], known["CVE-2"])
	// A finding without its vulnerability does not forget what is known.
	save("v3", 2*time.Hour, nil, map[int64][]tidewaiter.Finding{a.ID: {high, worse}})
	same(t, "what is known of CVE-2", must(db.Vulnerabilities(t.Context(), []string{"CVE-2"}))(t)["CVE-2"], known["CVE-2"])
	same(t, "unmatched", must(db.UnmatchedPackages(t.Context(), []int64{a.ID, b.ID}, "v3"))(t), []int64{b.ID})
}
