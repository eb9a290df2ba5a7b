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

// fleets are what lists are measured on. An image of the Qualys fleet has few packages: its lists do not read them.
func fleets(small bool) []fleetLists {
	large := inventory{registries: 100, applications: 1000, images: 100_000, packages: 280, findings: 100, vulnerabilities: 20_000}
	own := inventory{registries: 100, applications: 500, images: 10_000, packages: 280, findings: 100, vulnerabilities: 20_000}
	registries := inventory{registries: 10_000, applications: 10_000, images: 100_000, packages: 8, findings: 4, vulnerabilities: 2000}
	if small {
		large.images, large.applications, own.images, own.applications = 10_000, 200, 1000, 100
		registries = inventory{registries: 1000, applications: 1000, images: 10_000, packages: 8, findings: 4, vulnerabilities: 2000}
	}
	return []fleetLists{
		{"PostgreSQL", true, large, 150, append(ourLists(), prismaLists()...)},
		{"SQLite", false, own, 150, append(ourLists(), prismaLists()...)},
		{"SQLite, many registries", false, registries, 200, qualysLists(registries)},
	}
}

// lists measures pages of large fleets over HTTP, and how much room the fleet takes.
func lists(ctx context.Context, l *lab) (table, error) {
	t := table{
		title: "Lists of large fleets",
		about: "Over HTTP, from the request to the last byte of the answer, one after the other; the first of each kind is left out, as it fills caches. " +
			"The ratio is a median to that of the first request of its database. Deep pages are those after 90 % of the list. " +
			"The fleet is put into the database in bulk: applications stored the usual way, their other tags copied.",
		columns: []string{"database", "request", "p50 ms", "p95 ms", "p99 ms", ratioColumn, "target"}, keys: 2, tolerance: 3,
	}
	for _, f := range fleets(l.small) {
		m, err := f.measure(ctx, l, requestsEach)
		if err != nil {
			return t, fmt.Errorf("%s: %w", f.name, err)
		}
		for i, took := range m.took {
			t.add(f.name, f.lists[i].name, milliseconds(took, 50), milliseconds(took, 95), milliseconds(took, 99),
				fmt.Sprintf("%.2f", percentile(took, 50)/percentile(m.took[0], 50)), against(percentile(took, 95), f.target, " ms"))
		}
		t.notef("%s: %s images in %s registries, %s findings of %s vulnerabilities, %s layers, %s packages in images; put there in %.0f s.", f.name, count(f.images),
			count(f.registries), count(m.findings), count(m.vulnerable), count(m.layers), count(m.postings), m.filled.Seconds())
		t.notef("%s: the database takes %s MB, %.1f kB an image (feeds of 300,000 scores included)%s.", f.name, megabytes(m.bytes), m.perImage(f.inventory), sizeTarget(f.inventory, m.perImage(f.inventory)))
		t.notef("%s: counting how many images have each vulnerability, which is done in the background, took %.1f s. The server took %s MiB at its peak.", f.name,
			m.counted.Seconds(), mebibytes(m.peak))
	}
	return t, nil
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
