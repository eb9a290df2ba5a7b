package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
)

// rematch looks at how fast images that are stored are matched against new advisories.
func rematch(ctx context.Context, l *lab) (table, error) {
	t := table{
		title: "Matching stored images again",
		about: fmt.Sprintf("One core. Images of about %d packages and up to %d findings on a Debian base that all share; a new version of the "+
			"advisories, in which every %dth was not before. Nothing is pulled.", imagePackages, imageFindings, thinEvery),
		columns: []string{"how", "advisories", "images", "packages each", "findings each", "images/s", "target"},
	}
	databases := []string{l.advisories}
	if large := os.Getenv("TIDEWAITER_BENCH_ADVISORIES"); large != "" {
		databases = append(databases, large)
	} else {
		t.notef("Only with the samples' few advisories; TIDEWAITER_BENCH_ADVISORIES names no database of real size.")
	}
	for _, advisories := range databases {
		if err := l.rematchWith(ctx, &t, advisories); err != nil {
			return t, err
		}
	}
	t.notef("Image by image and Trivy's are the same %d images, by the same advisories. Trivy holds what it has analysed in memory; its rate is by "+
		"processor time, as it uses all cores.", aloneImages)
	t.notef("From the store means as the server's job does it: each distinct package looked up once, then the images in bulk; content, policy and verdict included, " +
		"differences written.")
	return t, nil
}

// rematchWith adds the rows for one database of advisories.
func (l *lab) rematchWith(ctx context.Context, t *table, advisories string) error {
	info, err := os.Stat(filepath.Join(advisories, "trivy.db")) //nolint:gosec // the path is whoever measures' own
	if err != nil {
		return err
	}
	name, images := megabytes(info.Size())+" MB", "10000"
	if advisories == l.advisories {
		name, images = "samples", "2000"
	}
	dir, err := os.MkdirTemp(l.dir, "rematch-")
	if err != nil {
		return err
	}
	var r rematched
	if err := l.run(ctx, &r, l.self, childFlag, "rematch", "-advisories", advisories, "-dir", dir, "-images", images); err != nil {
		return err
	}
	theirs, err := l.theirs(ctx, advisories, "-again", filepath.Join(dir, aloneFile))
	if err != nil {
		return err
	}
	packages, findings := fmt.Sprintf("%.0f", r.Packages), fmt.Sprintf("%.0f", r.Findings)
	t.add("in memory, each distinct package once", name, count(r.MemoryImages), packages, findings, count(int(r.Memory)), atLeast(r.Memory, 10_000))
	t.add("in memory, image by image", name, count(aloneImages), packages, findings, count(int(r.Alone)), "")
	t.add("whole Trivy, which has analysed them before", name, count(theirs.Images), fmt.Sprintf("%.0f", float64(theirs.Packages)/float64(theirs.Images)),
		fmt.Sprintf("%.0f", float64(theirs.Findings)/float64(theirs.Images)), count(int(float64(theirs.Images)/theirs.CPUSeconds)), "")
	agree := "as many as Tidewaiter"
	if theirs.Findings != r.AloneFindings {
		agree = "**Tidewaiter " + count(r.AloneFindings) + "**"
	}
	t.notef("%s: Trivy finds %s vulnerabilities in those %d images, %s.", name, count(theirs.Findings), theirs.Images, agree)
	t.add("from the store", name, count(r.StoreImages), packages, findings, count(int(r.Store)), atLeast(r.Store, 2_000))
	t.notef("%s: %s distinct packages in the fleet; %s packages have advisories. The second version brought the stored images %s findings "+
		"more. At that rate 100,000 images take %s s of one core from the store (target: 60). The process, which made the fleets as well, took %s MiB "+
		"at its peak (%s).", name, count(r.Distinct), count(r.Candidates),
		count(r.StoreGained), count(int(100_000/r.Store)), mebibytes(r.Peak), against(float64(r.Peak>>20), 400, " MiB"))
	t.notef("%s: a day on which the advisories of %s packages change (every %dth, none of the base all images share): %s.", name,
		count(r.Daily.Packages), dailyEvery, r.Daily.row(r.StoreImages))
	return nil
}
