package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/tidewaiter/tidewaiter/internal/store"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// inventory is a fleet to put into a database: applications of many tags each. Every application is stored the usual way, once;
// its other tags are images with the same packages and layers of their own, copied inside the database. What it would take days to
// bring about takes minutes, and every row is as large as it would be.
type inventory struct {
	registries, applications, images int
	packages, findings               int // of an image, on average
	vulnerabilities                  int // distinct ones
}

// Of an image's twenty layers sixteen are those of a base, which others are built on, and four its own: the fleet has a fifth of
// the layers its images name.
const (
	baseStacks = 50
	baseLayers = 16
	ownLayers  = 4
)

// vulnerabilityName is the i-th of the fleet, the commonest first.
func vulnerabilityName(i int) string { return fmt.Sprintf("CVE-%d-%d", 2015+i%11, 10_000+i) }

type filler struct {
	inventory
	*rand.Rand
	db       *store.DB
	now      time.Time
	packages []*tidewaiter.Package
	stacks   [][]*tidewaiter.Package
	weight   map[int64][]tidewaiter.Finding
}

// fill puts the inventory into an empty database.
func (inv inventory) fill(ctx context.Context, db *store.DB) error {
	f := &filler{inventory: inv, Rand: rand.New(rand.NewPCG(11, 11)), db: db, now: time.Now().Add(-time.Hour)} //nolint:gosec // the same each time is the point
	for _, step := range []func(context.Context) error{f.declare, f.intern, f.find, f.store, f.copyTags, f.threats} {
		if err := step(ctx); err != nil {
			return err
		}
	}
	if db.Dialect() == store.Postgres {
		_, err := db.Writer().ExecContext(ctx, "vacuum analyze") // which PostgreSQL does by itself, a while later
		return err
	}
	return db.Upkeep(ctx)
}

func registryHost(i int) string { return fmt.Sprintf("r%05d.example.com", i) }

func registryID(i int) string { return fmt.Sprintf("00000000-0000-4000-9000-%012d", i) }

func (f *filler) declare(ctx context.Context) error {
	list := make([]*tidewaiter.Registry, f.registries)
	scans := make([]*tidewaiter.Scan, 0, 3*f.registries)
	for i := range list {
		list[i] = &tidewaiter.Registry{ID: registryID(i), Name: fmt.Sprintf("fleet-%05d", i), Kind: tidewaiter.KindOCI, URL: "https://" + registryHost(i),
			Origin: tidewaiter.OriginQualys, Position: i, CreatedAt: f.now, UpdatedAt: f.now}
		for k := range 3 {
			at := f.now.Add(-time.Duration(k) * 24 * time.Hour)
			scans = append(scans, &tidewaiter.Scan{ID: fmt.Sprintf("scan-%d-%d", i, k), RegistryID: list[i].ID, State: tidewaiter.ScanCompleted, Lane: tidewaiter.LaneFresh,
				Complete: true, CreatedAt: at, StartedAt: at, ListedAt: at, EndedAt: at, UpdatedAt: at})
		}
	}
	return f.db.Update(ctx, func(tx *store.Tx) error {
		return errors.Join(tx.InsertRegistries(ctx, list), tx.InsertScans(ctx, scans))
	})
}

// intern stores the distinct packages: each base has its own, and applications take theirs out of one pool.
func (f *filler) intern(ctx context.Context) error {
	const alone = 3 // packages an application has on its own, on average, for one it shares
	own := f.inventory.packages / 4
	for s := range baseStacks {
		var stack []*tidewaiter.Package
		for i := range f.inventory.packages - own {
			p := debian(fmt.Sprintf("lib%d", i))
			p.Version = fmt.Sprintf("1.%d.%d", s, i%7)
			stack = append(stack, &p)
		}
		f.stacks, f.packages = append(f.stacks, stack), append(f.packages, stack...)
	}
	for i := range f.applications * own / alone {
		f.packages = append(f.packages, &tidewaiter.Package{Ecosystem: tidewaiter.EcosystemNPM, Type: "node-pkg", Name: fmt.Sprintf("module-%d", i/3), Version: fmt.Sprintf("%d.4.1", i%3)})
	}
	return f.inParts(ctx, f.packages, func(tx *store.Tx, part []*tidewaiter.Package) error { return tx.InternPackages(ctx, part) })
}

func (f *filler) inParts(ctx context.Context, list []*tidewaiter.Package, do func(*store.Tx, []*tidewaiter.Package) error) error {
	for from := 0; from < len(list); from += 2000 {
		part := list[from:min(from+2000, len(list))]
		if err := f.db.Update(ctx, func(tx *store.Tx) error { return do(tx, part) }); err != nil {
			return err
		}
	}
	return nil
}

// find gives packages findings, so that an image has as many as it should. Some vulnerabilities are in nearly every image, most
// in a few: the chance falls with the number.
func (f *filler) find(ctx context.Context) error {
	f.weight = map[int64][]tidewaiter.Finding{}
	perPackage := float64(f.findings) / float64(f.inventory.packages)
	chance := min(0.3, perPackage) // most packages have none
	words := strings.Repeat("a flaw in the handling of input lets an attacker read beyond the end of a buffer; ", 6)
	return f.inParts(ctx, f.packages, func(tx *store.Tx, part []*tidewaiter.Package) error {
		findings, known := map[int64][]tidewaiter.Finding{}, map[string]*tidewaiter.Vulnerability{}
		for _, p := range part {
			findings[p.ID] = nil
			if f.Float64() > chance {
				continue
			}
			seen := map[int]bool{}
			for range int(perPackage/chance + f.Float64()) {
				x := f.Float64()
				n := int(x * x * float64(f.vulnerabilities))
				if seen[n] {
					continue
				}
				seen[n] = true
				name := vulnerabilityName(n)
				severity := tidewaiter.Severity(1 + n*7919%5)
				v := tidewaiter.Finding{Vulnerability: name, Severity: severity, Source: "nvd", Status: "affected", URL: "https://nvd.example.com/" + name}
				if n%3 > 0 {
					v.Status, v.FixedIn = "fixed", p.Version+".1"
				}
				findings[p.ID] = append(findings[p.ID], v)
				known[name] = &tidewaiter.Vulnerability{ID: name, Title: "flaw " + name, Description: name + ": " + words, Severity: severity,
					Score: float64(n*31%100) / 10, Vector: "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H", CWEs: []string{"CWE-125"},
					References: []string{"https://nvd.example.com/" + name, "https://lists.example.com/" + name}, Published: f.now.Add(-time.Duration(n) * time.Hour)}
			}
			f.weight[p.ID] = findings[p.ID]
		}
		return tx.SaveFindings(ctx, "bench", findings, known, f.now)
	})
}

// threats loads feeds as large as the real ones.
func (f *filler) threats(ctx context.Context) error {
	_, err := f.db.LoadEPSS(ctx, tidewaiter.Feed{Kind: tidewaiter.FeedEPSS, Version: "bench", Date: f.now}, func(yield func(tidewaiter.EPSSScore, error) bool) {
		for i := range 300_000 {
			score := f.Float64()
			if !yield(tidewaiter.EPSSScore{Name: vulnerabilityName(i), Score: score * score * score, Percentile: score}, nil) {
				return
			}
		}
	}, f.now)
	if err != nil {
		return err
	}
	catalog := map[string]tidewaiter.KEV{}
	for i := range 1400 {
		catalog[vulnerabilityName(i*50)] = tidewaiter.KEV{Added: f.now, Ransomware: i%5 == 0}
	}
	return f.db.Update(ctx, func(tx *store.Tx) error {
		_, err := tx.SaveKEV(ctx, tidewaiter.Feed{Kind: tidewaiter.FeedKEV, Version: "bench", Date: f.now}, catalog, f.now)
		return err
	})
}
