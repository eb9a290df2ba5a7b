package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/tidewaiter/tidewaiter/bench/cost"
	"github.com/tidewaiter/tidewaiter/internal/samples"
)

// peakMemory looks at how much memory the whole server takes while it scans one image.
func peakMemory(ctx context.Context, l *lab) (table, error) {
	t := table{
		title: "Peak memory of a worker",
		about: "The whole server, API and database included, with two workers a core, discovers and scans one image; secrets are looked " +
			"for. Idle is its high-water mark before that, with advisories loaded. Nobody logs in: hashing a password takes 64 MiB for a " +
			"moment, by design.",
		columns: []string{"image", "idle MiB", "peak MiB", "target", "written MB", "CPU s", "wall s"},
	}
	p, err := newPainter(ctx)
	if err != nil {
		return t, err
	}
	paints := []func() (picture, error){p.large}
	if l.full {
		paints = append(paints, p.huge)
	} else {
		t.notef("The image of 6 GB is measured with `-full` only.")
	}
	for _, paint := range paints {
		image, err := paint()
		if err != nil {
			return t, err
		}
		if _, err := l.push(ctx, image.name, image.manifest); err != nil {
			return t, err
		}
		idle, took, err := l.watch(ctx, image.name)
		if err != nil {
			return t, err
		}
		t.add(image.size(), mebibytes(idle), mebibytes(took.PeakBytes), against(float64(took.PeakBytes)/(1<<20), 128, " MiB"),
			megabytes(took.WrittenBytes), seconds(took.CPUSeconds), seconds(took.WallSeconds))
	}
	t.notef("What is written is the server's database.")
	return t, nil
}

// watch has a server scan one repository. It returns its peak before that, and what it took until the end.
func (l *lab) watch(ctx context.Context, repository string) (idle int64, took cost.Cost, err error) {
	advisories := l.registry.host + "/" + samples.AdvisoriesRepository + ":" + samples.AdvisoriesTag
	first, err := l.serve(ctx, "-advisories", advisories)
	if err != nil {
		return 0, took, err
	}
	s, err := l.again(ctx, first, "-advisories", advisories)
	if err != nil {
		return 0, took, err
	}
	idle, err = cost.Peak(s.cmd.Process.Pid)
	if err == nil {
		err = s.scanRegistry(ctx, l.registry.url, repository)
	}
	if err == nil {
		var layers float64
		if layers, err = s.metric(ctx, "tidewaiter_layers_analyzed_total"); err == nil && layers == 0 {
			err = fmt.Errorf("nothing was scanned in %s", repository)
		}
	}
	took, stopped := s.stop()
	return idle, took, errors.Join(err, stopped)
}
