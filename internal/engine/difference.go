package engine

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"

	bolt "go.etcd.io/bbolt"

	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// Difference is which packages two advisory databases may answer differently for. It errs on the safe side: it goes by names
// alone, whatever the distribution, release or language, so that a package it does not touch has the same answer under both.
type Difference struct {
	everything      bool // more differs than can be told one by one
	redHat          bool // what the repositories of Red Hat are numbered by, on which every advisory of theirs depends
	names           map[string]struct{}
	vulnerabilities map[string]struct{}
}

// What a Difference names at most. Where more differs, everything does.
const (
	maxChangedNames           = 200_000
	maxChangedVulnerabilities = 500_000
)

// The buckets of a database that hold something else than packages.
const (
	dataSourceBucket = "data-source" // by bucket: whose advisories those are, on which severities depend
	redHatCPEBucket  = "Red Hat CPE"
)

// builderBuckets are left over from building a database and read by nobody.
var builderBuckets = []string{"advisory-detail", "vulnerability-detail", "vulnerability-id"}

// DatabaseDifference compares the databases in two directories. It reads both once, side by side, and takes little memory.
// Errors: ErrNotFound and ErrMalformed as for Open, ErrCanceled when ctx ends.
func DatabaseDifference(ctx context.Context, before, after string) (d *Difference, err error) {
	var open [2]*bolt.DB
	for i, dir := range []string{before, after} {
		path := filepath.Join(dir, databaseFile)
		if err := probeDatabase(path); err != nil {
			return nil, fmt.Errorf("compare advisories: %w", err)
		}
		if open[i], err = bolt.Open(path, 0o400, readOnly()); err != nil {
			return nil, tidewaiter.Errorf(tidewaiter.ErrMalformed, "compare advisories: %w", err)
		}
		defer func() { _ = open[i].Close() }() // nothing was written
	}
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if r := recover(); r != nil {
			d, err = nil, tidewaiter.Errorf(tidewaiter.ErrMalformed, "compare advisories: %v", r)
		}
	}()
	c := &comparison{ctx: ctx, d: &Difference{names: map[string]struct{}{}, vulnerabilities: map[string]struct{}{}}}
	err = open[0].View(func(old *bolt.Tx) error {
		return open[1].View(func(now *bolt.Tx) error { return c.databases(old, now) })
	})
	if err == nil && ctx.Err() != nil {
		err = tidewaiter.Errorf(tidewaiter.ErrCanceled, "compare advisories: %w", ctx.Err())
	}
	if err != nil {
		return nil, err
	}
	if len(c.d.names) > maxChangedNames || len(c.d.vulnerabilities) > maxChangedVulnerabilities {
		c.d.everything = true
	}
	if c.d.everything {
		c.d.names, c.d.vulnerabilities = nil, nil
	}
	return c.d, nil
}

// Touches reports whether a package's findings may differ. One whose vulnerabilities are described differently may, too: see
// Vulnerabilities.
func (d *Difference) Touches(p *tidewaiter.Package) bool {
	if d.everything || d.redHat && p.Ecosystem == tidewaiter.EcosystemRPM {
		return true
	}
	_, touched := d.names[comparedName(p.Name)]
	if !touched && p.Source != "" {
		_, touched = d.names[comparedName(p.Source)]
	}
	return touched
}

// Everything reports whether every package is touched.
func (d *Difference) Everything() bool { return d.everything }

// Vulnerabilities returns the ids of those that are described differently, sorted: severities come from there.
func (d *Difference) Vulnerabilities() []string { return slices.Sorted(maps.Keys(d.vulnerabilities)) }

// Names returns the names of packages whose advisories differ, sorted, in the form they are compared in.
func (d *Difference) Names() []string { return slices.Sorted(maps.Keys(d.names)) }

// Add takes in what another difference touches: of three databases, from the first to the second and on to the third.
func (d *Difference) Add(o *Difference) {
	if d.everything = d.everything || o.everything; d.everything {
		d.names, d.vulnerabilities = nil, nil
		return
	}
	d.redHat = d.redHat || o.redHat
	maps.Copy(d.names, o.names)
	maps.Copy(d.vulnerabilities, o.vulnerabilities)
}

type storedDifference struct {
	Everything      bool     `json:"everything,omitempty"`
	RedHat          bool     `json:"redHat,omitempty"`
	Names           []string `json:"names,omitempty"`
	Vulnerabilities []string `json:"vulnerabilities,omitempty"`
}

// MarshalJSON writes the difference so that it can be kept.
func (d *Difference) MarshalJSON() ([]byte, error) {
	return json.Marshal(storedDifference{d.everything, d.redHat, d.Names(), d.Vulnerabilities()})
}

// UnmarshalJSON reads what MarshalJSON wrote.
func (d *Difference) UnmarshalJSON(b []byte) error {
	var s storedDifference
	if err := json.Unmarshal(b, &s); err != nil {
		return err
	}
	d.everything, d.redHat = s.Everything, s.RedHat
	d.names, d.vulnerabilities = make(map[string]struct{}, len(s.Names)), make(map[string]struct{}, len(s.Vulnerabilities))
	for _, n := range s.Names {
		d.names[n] = struct{}{}
	}
	for _, v := range s.Vulnerabilities {
		d.vulnerabilities[v] = struct{}{}
	}
	return nil
}

// comparedName makes names equal that any ecosystem's rules make equal. Trivy: trivy-db NormalizePkgName.
func comparedName(name string) string {
	name = strings.ReplaceAll(strings.ToLower(name), "_", "-")
	return strings.TrimSuffix(strings.TrimPrefix(name, "https://"), ".git")
}

// comparison walks two databases side by side; both are sorted.
type comparison struct {
	ctx     context.Context
	d       *Difference
	sources []string // buckets whose data source differs
}

func (c *comparison) databases(old, now *bolt.Tx) error {
	c.pairs(old.Cursor(), now.Cursor(), func(name, _, _ []byte) {
		a, b := old.Bucket(name), now.Bucket(name)
		switch key := string(name); {
		case slices.Contains(builderBuckets, key):
		case key == vulnerabilityBucket:
			c.values(a, b, func(id string) { c.d.vulnerabilities[id] = struct{}{} })
		case key == dataSourceBucket:
			c.values(a, b, func(bucket string) { c.sources = append(c.sources, bucket) })
		case key == redHatCPEBucket:
			c.d.redHat = c.d.redHat || c.differ(a, b)
		default:
			c.packages(a, b, false)
		}
	})
	for _, bucket := range c.sources {
		c.packages(old.Bucket([]byte(bucket)), now.Bucket([]byte(bucket)), true)
	}
	return nil
}

// packages takes down the packages of a bucket whose advisories differ, or all of them.
func (c *comparison) packages(a, b *bolt.Bucket, all bool) {
	c.pairs(cursorOf(a), cursorOf(b), func(name, x, y []byte) {
		if x != nil || y != nil {
			c.d.everything = c.d.everything || !bytes.Equal(x, y) // not laid out as we know it
			return
		}
		if all || c.differ(bucketIn(a, name), bucketIn(b, name)) {
			c.name(string(name))
		}
	})
}

// name takes down a package. Those of a module's stream are written nodejs:12::npm.
func (c *comparison) name(name string) {
	c.d.names[comparedName(name)] = struct{}{}
	if i := strings.LastIndex(name, "::"); i >= 0 {
		c.d.names[comparedName(name[i+2:])] = struct{}{}
	}
}

// values calls fn with every key of which the two buckets hold different values.
func (c *comparison) values(a, b *bolt.Bucket, fn func(key string)) {
	c.pairs(cursorOf(a), cursorOf(b), func(key, x, y []byte) {
		switch {
		case x == nil && bucketIn(a, key) != nil, y == nil && bucketIn(b, key) != nil:
			c.d.everything = true // not laid out as we know it
		case !bytes.Equal(x, y) || (x == nil) != (y == nil):
			fn(string(key))
		}
	})
}

// differ reports whether two buckets differ in anything. A missing one differs from an empty one.
func (c *comparison) differ(a, b *bolt.Bucket) bool {
	if (a == nil) != (b == nil) {
		return true
	}
	differ := false
	c.pairs(cursorOf(a), cursorOf(b), func(key, x, y []byte) {
		switch {
		case differ:
		case x == nil && y == nil:
			differ = c.differ(bucketIn(a, key), bucketIn(b, key))
		default:
			differ = x == nil || y == nil || !bytes.Equal(x, y)
		}
	})
	return differ
}

// pairs calls fn with every key that either side has, in order, and the values; nil stands for a bucket, and for nothing.
func (c *comparison) pairs(a, b *bolt.Cursor, fn func(key, x, y []byte)) {
	var ka, va, kb, vb []byte
	if a != nil {
		ka, va = a.First()
	}
	if b != nil {
		kb, vb = b.First()
	}
	for n := 0; ka != nil || kb != nil; n++ {
		if n%1024 == 0 && c.ctx.Err() != nil || c.d.everything {
			return
		}
		order := bytes.Compare(ka, kb)
		switch {
		case kb == nil || ka != nil && order < 0:
			fn(ka, va, nil)
			ka, va = a.Next()
		case ka == nil || order > 0:
			fn(kb, nil, vb)
			kb, vb = b.Next()
		default:
			fn(ka, va, vb)
			ka, va = a.Next()
			kb, vb = b.Next()
		}
	}
}

func cursorOf(b *bolt.Bucket) *bolt.Cursor {
	if b == nil {
		return nil
	}
	return b.Cursor()
}

func bucketIn(b *bolt.Bucket, name []byte) *bolt.Bucket {
	if b == nil {
		return nil
	}
	return b.Bucket(name)
}
