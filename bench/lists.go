package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/tidewaiter/tidewaiter/internal/control"
	"github.com/tidewaiter/tidewaiter/internal/store"
	"github.com/tidewaiter/tidewaiter/internal/testkit"
)

// fleetLists is a fleet and the lists that are measured on it.
type fleetLists struct {
	name     string
	postgres bool
	inventory
	target float64 // ms
	lists  []list
}

// The fleets lists are measured on; small ones are a tenth of the size. An image of the one with many registries has few packages:
// the lists that are measured on it do not read them.

func postgresFleet(small bool) fleetLists {
	inv := inventory{registries: 100, applications: 1000, images: 100_000, packages: 280, findings: 100, vulnerabilities: 20_000}
	if small {
		inv.applications, inv.images = 200, 10_000
	}
	return fleetLists{"PostgreSQL", true, inv, 150, append(ourLists(), prismaLists()...)}
}

func sqliteFleet(small bool) fleetLists {
	inv := inventory{registries: 100, applications: 500, images: 10_000, packages: 280, findings: 100, vulnerabilities: 20_000}
	if small {
		inv.applications, inv.images = 100, 1000
	}
	return fleetLists{"SQLite", false, inv, 150, append(ourLists(), prismaLists()...)}
}

func registriesFleet(small bool) fleetLists {
	inv := inventory{registries: 10_000, applications: 10_000, images: 100_000, packages: 8, findings: 4, vulnerabilities: 2000}
	if small {
		inv.registries, inv.applications, inv.images = 1000, 1000, 10_000
	}
	return fleetLists{"SQLite", false, inv, 200, qualysLists(inv)}
}

// lists measures pages of a large fleet over HTTP, and how much room the fleet takes.
func lists(fleet func(small bool) fleetLists) func(context.Context, *lab) (table, error) {
	return func(ctx context.Context, l *lab) (table, error) {
		f := fleet(l.small)
		t := table{
			title: fmt.Sprintf("Lists of %s images in %s registries on %s", count(f.images), count(f.registries), f.name),
			about: "Over HTTP, from the request to the last byte of the answer, one after the other; the first of each kind is left out, as it fills caches. " +
				"The ratio is a median to that of the first request. Deep pages are those after 90 % of the list. " +
				"The fleet is put into the database in bulk: applications stored the usual way, their other tags copied.",
			columns: []string{"request", "p50 ms", "p95 ms", "p99 ms", ratioColumn, "target"}, tolerance: 3,
		}
		m, err := f.measure(ctx, l, requestsEach)
		if err != nil {
			return t, err
		}
		for i, took := range m.took {
			t.add(f.lists[i].name, milliseconds(took, 50), milliseconds(took, 95), milliseconds(took, 99),
				fmt.Sprintf("%.2f", percentile(took, 50)/percentile(m.took[0], 50)), against(percentile(took, 95), f.target, " ms"))
		}
		t.notef("%s findings of %s vulnerabilities, %s layers, %s packages in images; put there in %.0f s.",
			count(m.findings), count(m.vulnerable), count(m.layers), count(m.postings), m.filled.Seconds())
		t.notef("The database takes %s MB, %.1f kB an image, feeds of 300,000 scores included%s.", megabytes(m.bytes), m.perImage(f.inventory), sizeTarget(f.inventory, m.perImage(f.inventory)))
		t.notef("Counting how many images have each vulnerability, which is done in the background, took %.1f s. The server took %s MiB at its peak.", m.counted.Seconds(), mebibytes(m.peak))
		return t, nil
	}
}

// measured is what became of a fleet.
type measured struct {
	bytes, peak                            int64
	filled, counted                        time.Duration
	findings, layers, postings, vulnerable int64
	took                                   [][]time.Duration // by list, sorted
}

func (m *measured) perImage(inv inventory) float64 {
	return float64(m.bytes) / 1000 / float64(inv.images)
}

func sizeTarget(inv inventory, perImage float64) string {
	if inv.images < 100_000 || inv.packages < 100 {
		return ""
	}
	return ", target " + against(perImage, 60, " kB")
}

// measure fills a database of its own and asks a server on it for each list so many times.
func (f *fleetLists) measure(ctx context.Context, l *lab, times int) (m measured, err error) {
	data, err := os.MkdirTemp(l.dir, "data-")
	if err != nil {
		return m, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(data)) }()
	url, args := filepath.Join(data, "tidewaiter.db"), []string{}
	if f.postgres {
		dsn, drop, err := testkit.PostgresDatabase(ctx)
		if err != nil {
			return m, err
		}
		defer func() { err = errors.Join(err, drop()) }()
		url, args = dsn, []string{"-database", dsn}
	}
	if err := m.prepare(ctx, f.inventory, url); err != nil {
		return m, err
	}
	s, err := l.serveIn(ctx, data, args...)
	if err != nil {
		return m, err
	}
	defer func() {
		took, stopped := s.stop()
		m.peak, err = took.PeakBytes, errors.Join(err, stopped)
	}()
	for _, list := range f.lists {
		took, err := list.run(ctx, s, times)
		if err != nil {
			return m, fmt.Errorf("%s: %w", list.name, err)
		}
		m.took = append(m.took, took)
	}
	return m, nil
}

// prepare fills the database, and counts what is in it.
func (m *measured) prepare(ctx context.Context, inv inventory, url string) (err error) {
	db, err := store.Open(ctx, store.Config{URL: url})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	began := time.Now()
	if err := inv.fill(ctx, db); err != nil {
		return err
	}
	m.filled = time.Since(began)
	if m.bytes, err = db.Size(ctx); err != nil {
		return err
	}
	began = time.Now()
	if _, err := control.New(control.Config{Store: db, Now: time.Now}).CountVulnerabilities(ctx); err != nil {
		return err
	}
	m.counted = time.Since(began)
	return db.Writer().QueryRowContext(ctx, `select (select sum(vuln_critical + vuln_high + vuln_medium + vuln_low + vuln_negligible + vuln_unknown) from images),
		(select count(*) from layers), (select count(*) from package_images), (select count(*) from vulnerability_totals)`).Scan(&m.findings, &m.layers, &m.postings, &m.vulnerable)
}

func percentile(took []time.Duration, p int) float64 {
	return float64(took[min(len(took)*p/100, len(took)-1)].Microseconds()) / 1000
}

func milliseconds(took []time.Duration, p int) string {
	return fmt.Sprintf("%.1f", percentile(took, p))
}

// list is one kind of request. path is called for each of them.
type list struct {
	name string
	path func(ctx context.Context, s *server, i int) (string, error)
}

const requestsEach = 60

func (r list) run(ctx context.Context, s *server, times int) ([]time.Duration, error) {
	var took []time.Duration
	for i := range times + 1 {
		path, err := r.path(ctx, s, i)
		if err != nil {
			return nil, err
		}
		began := time.Now()
		if err := s.fetch(ctx, path); err != nil {
			return nil, err
		}
		if i > 0 {
			took = append(took, time.Since(began))
		}
	}
	slices.Sort(took)
	return took, nil
}
