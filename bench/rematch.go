package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// rematch looks at how fast images that are stored are matched against new advisories.
func rematch(ctx context.Context, l *lab) (table, error) {
	t := table{
		title: "Matching stored images again",
		about: fmt.Sprintf("One core. Images of about %d packages and up to %d findings on a Debian base that all share; a new version of the "+
			"advisories, in which every %dth was not before. Nothing is pulled.", imagePackages, imageFindings, thinEvery),
		columns: []string{"how", "images", "packages each", "findings each", "images/s", "target"},
	}
	advisories := os.Getenv("TIDEWAITER_BENCH_ADVISORIES")
	if advisories == "" {
		advisories = l.advisories
		t.note("The advisories are the samples' few: with them a fleet has fewer distinct packages and findings than a real one.")
	} else if info, err := os.Stat(filepath.Join(advisories, "trivy.db")); err != nil {
		return t, err
	} else {
		t.note("The advisories are a database of %s MB, built %s.", megabytes(info.Size()), info.ModTime().UTC().Format(time.DateOnly))
	}
	dir, err := os.MkdirTemp(l.dir, "rematch-")
	if err != nil {
		return t, err
	}
	var r rematched
	if err := l.run(ctx, &r, l.self, childFlag, "rematch", "-advisories", advisories, "-dir", dir); err != nil {
		return t, err
	}
	packages, findings := fmt.Sprintf("%.0f", r.Packages), fmt.Sprintf("%.0f", r.Findings)
	t.add("in memory, each distinct package matched once", count(r.MemoryImages), packages, findings, count(int(r.Memory)), atLeast(r.Memory, 10_000))
	t.add("in memory, image by image", count(aloneImages), packages, findings, count(int(r.Alone)), "")
	t.add("from the store, with content, checks, policy and verdict, differences written", count(r.StoreImages), packages, findings,
		count(int(r.Store)), atLeast(r.Store, 2_000))
	t.note("%s distinct packages in the fleet, of %s the advisories know. The second version brought the stored images %s findings more.",
		count(r.Distinct), count(r.Candidates), count(r.StoreGained))
	t.note("Of 100,000 images, at the rate from the store: %s s of one core.", count(int(100_000/r.Store)))
	return t, nil
}
