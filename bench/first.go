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
			"The ratio is Tidewaiter's CPU to Trivy's, the median of rounds in which both take turns.",
		columns: []string{"image", "secrets", "rounds", "Tidewaiter CPU s", "Trivy CPU s", "ratio", "target", "wall s",
			"peak MiB", "written MB", "findings"},
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
		for _, secrets := range []bool{false, true} {
			ours, theirs, err := l.duel(ctx, kind.rounds, secrets, name)
			if err != nil {
				return t, err
			}
			t.add(append([]string{image.size(), yes(secrets), count(kind.rounds)}, ours.beside(theirs, secrets)...)...)
		}
	}
	t.note("Pairs are Tidewaiter / Trivy. Wall times depend on what else the machine does, CPU less so; Trivy works on five layers at "+
		"a time, Tidewaiter here on one. Trivy looks for secrets in no layer it takes for a base image's.")
	t.note("Target for what is written: 0 bytes of temporary files, rpm databases excepted.")
	return t, nil
}

// beside are the cells that compare two scanners.
func (s scanned) beside(theirs scanned, secrets bool) []string {
	ratio, target := s.CPUSeconds/theirs.CPUSeconds, 0.75
	if secrets {
		// The target with secrets is in units of Trivy without them.
		target = 1
	}
	return []string{seconds(s.CPUSeconds), seconds(theirs.CPUSeconds), seconds(ratio), against(ratio, target),
		seconds(s.WallSeconds) + " / " + seconds(theirs.WallSeconds), mebibytes(s.PeakBytes) + " / " + mebibytes(theirs.PeakBytes),
		megabytes(s.WrittenBytes) + " / " + megabytes(theirs.WrittenBytes), count(s.Findings) + " / " + count(theirs.Findings)}
}

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
		if theirs, err = l.theirs(ctx, args...); err != nil {
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
