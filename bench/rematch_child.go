package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"runtime"
	"time"

	"github.com/tidewaiter/tidewaiter/bench/cost"
	"github.com/tidewaiter/tidewaiter/bench/fleetfile"
	"github.com/tidewaiter/tidewaiter/internal/engine"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// rematched is what the child measures: images a second, in the ways to match a fleet again.
type rematched struct {
	Candidates, Distinct     int // packages: in the database, in the fleet
	Packages, Findings       float64
	Memory, Alone            float64 // images/s with each distinct package matched once; image by image
	MemoryImages             int
	AloneFindings            int
	Peak                     int64 // bytes; of the whole process, in which the fleets are made as well
	Store                    float64
	StoreImages, StoreGained int // images judged again; findings they have more of
	Daily                    daily
	counter                  func() int // images judged so far
}

// The sizes of the fleets.
const (
	memoryImages = 20_000
	aloneImages  = 200
)

// aloneFile is where the child leaves the images it matched one by one.
const aloneFile = "alone.json"

// rematchChild matches fleets on one core: in memory, then from the store.
func rematchChild(ctx context.Context, args []string) (err error) {
	flags := flag.NewFlagSet("rematch", flag.ContinueOnError)
	advisories := flags.String("advisories", "", "directory with trivy.db")
	dir := flags.String("dir", "", "folder to work in")
	images := flags.Int("images", 0, "how many images to store")
	if err := flags.Parse(args); err != nil {
		return err
	}
	runtime.GOMAXPROCS(1)
	before := filepath.Join(*dir, "before")
	if err := thin(*advisories, before); err != nil {
		return err
	}
	matcher := engine.NewMatcher()
	if err := matcher.Open(*advisories, tidewaiter.Advisories{Version: "after"}); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, matcher.Close()) }()
	list, err := candidates(*advisories)
	if err != nil {
		return err
	}
	weight, err := findingsOf(ctx, matcher, list)
	if err != nil {
		return err
	}
	f := newFleet(list, weight)
	out := rematched{Candidates: len(list)}
	if err := out.inMemory(ctx, f, matcher, filepath.Join(*dir, aloneFile)); err != nil {
		return err
	}
	if err := out.fromStore(ctx, f, matcher, *dir, before, *advisories, *images); err != nil {
		return err
	}
	if out.Peak, err = cost.Peak(os.Getpid()); err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(out)
}

func findingsOf(ctx context.Context, m *engine.Matcher, list []*tidewaiter.Package) (map[*tidewaiter.Package]int, error) {
	answer, err := m.Match(ctx, list)
	if err != nil {
		return nil, err
	}
	weight := make(map[*tidewaiter.Package]int, len(list))
	for i, p := range list {
		weight[p] = len(answer.Findings[i])
	}
	return weight, nil
}

// inMemory matches a fleet whose package lists are held as numbers, and writes the images it matches one by one to a file.
func (out *rematched) inMemory(ctx context.Context, f *fleet, m *engine.Matcher, file string) error {
	number := map[*tidewaiter.Package]int32{}
	var distinct []*tidewaiter.Package
	images := make([][]int32, memoryImages)
	var packages int
	alone := fleetfile.Fleet{Base: f.base}
	for i := range images {
		own := f.image()
		if i < aloneImages {
			alone.Images = append(alone.Images, own)
		}
		for _, list := range [][]*tidewaiter.Package{f.base, own} {
			for _, p := range list {
				if _, known := number[p]; !known {
					number[p] = int32(len(distinct))
					distinct = append(distinct, p)
				}
				images[i] = append(images[i], number[p])
			}
		}
		packages += len(images[i])
	}

	began := time.Now()
	answer, err := m.Match(ctx, distinct)
	if err != nil {
		return err
	}
	var total int
	for _, image := range images {
		var counts tidewaiter.Counts
		for _, n := range image {
			for _, finding := range answer.Findings[n] {
				counts.Add(finding.Severity)
			}
		}
		total += counts.Total()
	}
	out.Memory = memoryImages / time.Since(began).Seconds()
	out.MemoryImages, out.Distinct = memoryImages, len(distinct)
	out.Packages, out.Findings = float64(packages)/memoryImages, float64(total)/memoryImages

	began = time.Now()
	for _, image := range images[:aloneImages] {
		list := make([]*tidewaiter.Package, len(image))
		for i, n := range image {
			list[i] = distinct[n]
		}
		answer, err := m.Match(ctx, list)
		if err != nil {
			return err
		}
		for _, found := range answer.Findings {
			out.AloneFindings += len(found)
		}
	}
	out.Alone = aloneImages / time.Since(began).Seconds()
	return fleetfile.Write(file, &alone)
}
