package main

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"github.com/tidewaiter/tidewaiter/bench/cost"
)

// firstScan compares the first scan of an image with Trivy's, both pulling it from the same registry.
func firstScan(ctx context.Context, l *lab) (table, error) {
	t := table{
		title: "First scan of an image",
		about: "One process scans one image, nothing cached. Trivy is its v0.74.0 as a library, set as its `image` command is. " +
			"The ratio is Tidewaiter's CPU to Trivy's, the median of rounds in which both take turns. Half of the large image is " +
			"binaries, the rest npm packages but for 15 MB each of documents and of program text, which are looked at for secrets: as much " +
			"text as makes Trivy take a third more, as it does on usual images.",
		columns: []string{"image", "secrets", "rounds", "Tidewaiter CPU s", "Trivy CPU s", "ratio",
			"of Trivy without secrets", "target", "wall s", "peak MiB", "written MB", "findings + secrets"}, keys: 2,
	}
	p, err := newPainter(ctx)
	if err != nil {
		return t, err
	}
	for _, kind := range []struct {
		paint  func() (picture, error)
		rounds int
	}{{p.small, 5}, {p.large, 2}} {
		image, err := kind.paint()
		if err != nil {
			return t, err
		}
		name, err := l.push(ctx, image.name, image.manifest)
		if err != nil {
			return t, err
		}
		if _, _, err := l.duels(ctx, &t, image.size(), kind.rounds, name); err != nil {
			return t, err
		}
	}
	t.notef("Pairs are Tidewaiter / Trivy. Wall times depend on what else the machine does, CPU less so; Trivy works on five layers at " +
		"a time, Tidewaiter here on one.")
	t.notef("The targets are in units of Trivy's CPU without secrets.")
	t.notef("Target for what is written: 0 bytes of temporary files, rpm databases excepted.")
	return t, nil
}

// duels adds two rows: images scanned without looking for secrets, and with. It returns Trivy's CPU in both.
func (l *lab) duels(ctx context.Context, t *table, what string, rounds int, images ...string) (unit, withSecrets float64, err error) {
	for _, secrets := range []bool{false, true} {
		ours, theirs, err := l.duel(ctx, rounds, secrets, images...)
		if err != nil {
			return 0, 0, err
		}
		target := 1.0
		if !secrets {
			unit, target = theirs.CPUSeconds, 0.75
		}
		withSecrets = theirs.CPUSeconds
		t.add(what, yes(secrets), count(rounds), seconds(ours.CPUSeconds), seconds(theirs.CPUSeconds),
			seconds(ours.CPUSeconds/theirs.CPUSeconds), seconds(ours.CPUSeconds/unit), against(ours.CPUSeconds/unit, target, ""),
			seconds(ours.WallSeconds)+" / "+seconds(theirs.WallSeconds), mebibytes(ours.PeakBytes)+" / "+mebibytes(theirs.PeakBytes),
			megabytes(ours.WrittenBytes)+" / "+megabytes(theirs.WrittenBytes), ours.found()+" / "+theirs.found())
	}
	return unit, withSecrets, nil
}

func (s scanned) found() string { return count(s.Findings) + " + " + count(s.Secrets) }

// duel scans images with both scanners in turn and returns the median cost of each.
func (l *lab) duel(ctx context.Context, rounds int, secrets bool, images ...string) (ours, theirs scanned, err error) {
	args := images
	if secrets {
		args = append([]string{"-secrets"}, images...)
	}
	var a, b []scanned
	for range rounds {
		if ours, err = l.ours(ctx, args...); err != nil {
			return ours, theirs, err
		}
		if theirs, err = l.theirs(ctx, l.advisories, args...); err != nil {
			return ours, theirs, err
		}
		a, b = append(a, ours), append(b, theirs)
	}
	if ours.Findings == 0 {
		return ours, theirs, fmt.Errorf("no findings in %v", images)
	}
	ours.Cost, theirs.Cost = median(a), median(b)
	return ours, theirs, nil
}

// median takes each cost's median by itself.
func median(list []scanned) (c cost.Cost) {
	c.CPUSeconds = middle(list, func(s scanned) float64 { return s.CPUSeconds })
	c.WallSeconds = middle(list, func(s scanned) float64 { return s.WallSeconds })
	c.PeakBytes = middle(list, func(s scanned) int64 { return s.PeakBytes })
	c.WrittenBytes = middle(list, func(s scanned) int64 { return s.WrittenBytes })
	return c
}

// middle is the median, of an even number the lower one.
func middle[N cmp.Ordered](list []scanned, of func(scanned) N) N {
	var values []N
	for _, s := range list {
		values = append(values, of(s))
	}
	slices.Sort(values)
	return values[(len(values)-1)/2]
}

func yes(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}
