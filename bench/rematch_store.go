package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/tidewaiter/tidewaiter/bench/fleetfile"
	"github.com/tidewaiter/tidewaiter/internal/engine"
	"github.com/tidewaiter/tidewaiter/internal/policy"
	"github.com/tidewaiter/tidewaiter/internal/scan"
	"github.com/tidewaiter/tidewaiter/internal/store"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// fromStore judges stored images by one version of the advisories, image by image, then by the next with the job that new
// advisories bring.
func (out *rematched) fromStore(ctx context.Context, f *fleet, m *engine.Matcher, dir, before, after string, stored int) (err error) {
	db, err := store.Open(ctx, store.Config{URL: filepath.Join(dir, "fleet.db")})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	analyzer, err := engine.New(engine.Options{})
	if err != nil {
		return err
	}
	if err := seed(ctx, db); err != nil {
		return err
	}
	metrics := prometheus.NewRegistry()
	pipeline := scan.New(scan.Config{Store: db, Jobs: noJobs{}, Engine: analyzer, Matcher: m, Worker: "bench", Now: time.Now,
		Log: slog.New(slog.DiscardHandler), Metrics: metrics})
	out.counter = func() int { return judgedSoFar(metrics) }
	images, err := storeFleet(ctx, db, f, analyzer.Version(), stored)
	if err != nil {
		return err
	}
	var found [2]int
	for i, dir := range []string{before, after} {
		if err := m.Open(dir, tidewaiter.Advisories{Version: fmt.Sprint("version ", i)}); err != nil {
			return err
		}
		began := time.Now()
		again := scan.RejudgeArgs{Advisories: fmt.Sprint("version ", i)}
		if i == 0 {
			err = judge(ctx, pipeline, images)
		} else {
			err = work(ctx, pipeline, scan.JobRejudge, again)
		}
		if err != nil {
			return err
		}
		out.Store = float64(len(images)) / time.Since(began).Seconds() // the second time counts
		if found[i], err = findingsIn(ctx, db, images); err != nil {
			return err
		}
	}
	out.StoreImages, out.StoreGained = len(images), found[1]-found[0]
	return out.day(ctx, db, pipeline, m, f, after, dir, "version 1")
}

// judgedSoFar reads the pipeline's counter.
func judgedSoFar(metrics *prometheus.Registry) int {
	families, err := metrics.Gather()
	if err != nil {
		return 0
	}
	for _, f := range families {
		if f.GetName() == "tidewaiter_images_judged_total" {
			return int(f.GetMetric()[0].GetCounter().GetValue())
		}
	}
	return 0
}

// seed stores the policies and collections of a fresh installation.
func seed(ctx context.Context, db *store.DB) error {
	policies, collections := policy.Defaults()
	return db.Update(ctx, func(tx *store.Tx) (err error) {
		for i := range policies {
			err = errors.Join(err, tx.PutPolicy(ctx, &policies[i]))
		}
		for i := range collections {
			err = errors.Join(err, tx.PutCollection(ctx, &collections[i]))
		}
		return err
	})
}

// noJobs is a queue for jobs nobody is to do.
type noJobs struct{}

// Enqueue drops the jobs.
func (noJobs) Enqueue(context.Context, *store.Tx, ...tidewaiter.Job) error { return nil }

// storeFleet stores images of two layers, the base and one of their own, as analysed.
func storeFleet(ctx context.Context, db *store.DB, f *fleet, analyzer string, images int) (ids []int64, err error) {
	now := time.Now()
	base := analysis("base", f.base)
	base.Distribution = &tidewaiter.Distribution{Family: "debian", Release: "12.5", PrettyName: "Debian GNU/Linux 12 (bookworm)"}
	err = db.Update(ctx, func(tx *store.Tx) error {
		_, err := tx.LayerDone(ctx, base.DiffID, analyzer, base, now)
		return err
	})
	for i := 0; i < images && err == nil; i++ {
		own := analysis(fmt.Sprint("own-", i), f.image())
		img := &tidewaiter.Image{Digest: digest(fmt.Sprint("image-", i)), ConfigDigest: digest(fmt.Sprint("config-", i)),
			Platform: tidewaiter.Platform{OS: "linux", Architecture: "amd64"}, CreatedAt: now,
			Layers: []tidewaiter.LayerRef{{Digest: base.DiffID, DiffID: base.DiffID, Size: 1}, {Digest: own.DiffID, DiffID: own.DiffID, Size: 1}}}
		err = db.Update(ctx, func(tx *store.Tx) error {
			if _, err := tx.LayerDone(ctx, own.DiffID, analyzer, own, now); err != nil {
				return err
			}
			_, _, err := tx.UpsertImage(ctx, img)
			return err
		})
		ids = append(ids, img.ID)
	}
	return ids, err
}

// analysis is a layer with packages, each in a file of its own.
func analysis(name string, packages []*tidewaiter.Package) *tidewaiter.Analysis {
	a := &tidewaiter.Analysis{DiffID: digest(name), Files: int64(len(packages))}
	for _, p := range packages {
		stored := *p
		if p.Ecosystem.OS() {
			stored.Distribution = tidewaiter.Distribution{} // an image says which
		}
		a.Inventories = append(a.Inventories, tidewaiter.Inventory{Path: fleetfile.Path(p), Type: p.Type, Packages: []tidewaiter.Package{stored}})
	}
	return a
}

// judge does the job of each image that is judged for the first time.
func judge(ctx context.Context, pipeline *scan.Pipeline, images []int64) error {
	for _, id := range images {
		if err := work(ctx, pipeline, scan.JobJudge, scan.JudgeArgs{ImageID: id}); err != nil {
			return err
		}
	}
	return nil
}

// work does one job of the pipeline.
func work(ctx context.Context, pipeline *scan.Pipeline, kind tidewaiter.JobKind, arguments any) error {
	args, err := json.Marshal(arguments)
	if err != nil {
		return err
	}
	for _, stage := range pipeline.Stages() {
		if stage.Kind == kind {
			return stage.Work(ctx, tidewaiter.JobRun{Kind: kind, Attempt: 1, MaxAttempts: 1, Args: args})
		}
	}
	return fmt.Errorf("the pipeline has no job %s", kind)
}

// findingsIn counts the findings of stored images.
func findingsIn(ctx context.Context, db *store.DB, images []int64) (sum int, err error) {
	list, err := db.ImagesByID(ctx, images)
	for _, img := range list {
		if img.Judgement == nil {
			return 0, fmt.Errorf("image %d is not judged", img.ID)
		}
		sum += img.Judgement.Vulnerabilities.Total()
	}
	return sum, err
}
