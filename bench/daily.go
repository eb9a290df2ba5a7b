package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	bolt "go.etcd.io/bbolt"

	"github.com/tidewaiter/tidewaiter/internal/engine"
	"github.com/tidewaiter/tidewaiter/internal/scan"
	"github.com/tidewaiter/tidewaiter/internal/store"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// dailyEvery says that of one package in so many the advisories change in a day.
const dailyEvery = 200

// daily is what a usual day's change of the advisories takes.
type daily struct {
	Packages int     // of the database, whose advisories were changed
	Compare  float64 // seconds to compare the two databases
	Rejudge  float64 // seconds from then until every image is judged or marked
	Judged   int     // images judged; the others were marked
	Changed  int     // images of which something changed
	Missed   int     // images of which doing everything afterwards changes something still
	Full     float64 // seconds that takes
}

// edit copies a database and changes one advisory of every dailyEvery'th package, but of none that is spared.
func edit(from, to string, spared map[string]bool) (changed int, err error) {
	if err := copyDatabase(from, to); err != nil {
		return 0, err
	}
	db, err := bolt.Open(filepath.Join(to, "trivy.db"), 0o600, &bolt.Options{NoSync: true})
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	seen := 0
	return changed, db.Update(func(tx *bolt.Tx) error {
		return tx.ForEach(func(_ []byte, source *bolt.Bucket) error {
			return source.ForEachBucket(func(name []byte) error {
				if seen++; seen%dailyEvery != 0 || spared[string(name)] {
					return nil
				}
				changed++
				advisories := source.Bucket(name)
				id, value := advisories.Cursor().First()
				if id == nil || value == nil {
					return nil
				}
				// One advisory goes, and comes back under another name.
				renamed, kept := append([]byte("TIDE-"), id...), append([]byte(nil), value...)
				return errors.Join(advisories.Delete(append([]byte(nil), id...)), advisories.Put(renamed, kept))
			})
		})
	})
}

// day lets a day pass over a stored fleet that is judged by the database in a directory, and then does everything again to
// see whether something was missed.
func (out *rematched) day(ctx context.Context, db *store.DB, p *scan.Pipeline, m *engine.Matcher, f *fleet, before, dir, version string) (err error) {
	spared := map[string]bool{}
	for _, b := range f.base {
		spared[b.Name] = true
	}
	after := filepath.Join(dir, "tomorrow")
	d := &out.Daily
	if d.Packages, err = edit(before, after, spared); err != nil {
		return err
	}
	began := time.Now()
	difference, err := engine.DatabaseDifference(ctx, before, after)
	if err != nil {
		return err
	}
	d.Compare = time.Since(began).Seconds()
	if err := db.Update(ctx, func(tx *store.Tx) error {
		return scan.SaveDifference(ctx, tx, version, "tomorrow", difference, time.Now())
	}); err != nil {
		return err
	}
	if err := m.Open(after, tidewaiter.Advisories{Version: "tomorrow"}); err != nil {
		return err
	}
	last, err := db.LastImageChange(ctx)
	if err != nil {
		return err
	}
	judged := out.counter()
	began = time.Now()
	if err := work(ctx, p, scan.JobRejudge, scan.NewRejudgeJob("tomorrow").Args); err != nil {
		return err
	}
	d.Rejudge, d.Judged = time.Since(began).Seconds(), out.counter()-judged
	if last, d.Changed, err = changesAfter(ctx, db, last); err != nil {
		return err
	}
	began = time.Now()
	if err := work(ctx, p, scan.JobRejudge, scan.NewForcedRejudgeJob("tomorrow").Args); err != nil {
		return err
	}
	d.Full = time.Since(began).Seconds()
	_, d.Missed, err = changesAfter(ctx, db, last)
	return err
}

func changesAfter(ctx context.Context, db *store.DB, after int64) (last int64, n int, err error) {
	for {
		list, err := db.ImageChanges(ctx, after, store.MaxLimit)
		if err != nil || len(list) == 0 {
			return after, n, err
		}
		after, n = list[len(list)-1].ID, n+len(list)
	}
}

// row describes the day.
func (d *daily) row(images int) string {
	equal := "nothing was missed"
	if d.Missed > 0 {
		equal = fmt.Sprintf("**%d images were missed**", d.Missed)
	}
	return fmt.Sprintf("the databases compared in %.2f s; %s of %s images judged, the others marked, in %.2f s; %s changed. Looking up and judging everything "+
		"afterwards took %.2f s and %s", d.Compare, count(d.Judged), count(images), d.Rejudge, count(d.Changed), d.Full, equal)
}
