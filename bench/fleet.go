package main

import (
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"

	bolt "go.etcd.io/bbolt"

	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// What an image of the fleet holds: as many packages and findings as measured on application images, of a Debian base that
// all share and packages that differ.
const (
	imagePackages = 280
	imageFindings = 461
	baseFindings  = 230
)

// fleet is images made of packages an advisory database has something to say about, and some it has not.
type fleet struct {
	*rand.Rand
	base   []*tidewaiter.Package
	common []*tidewaiter.Package // with findings, of which each image has some
	clean  []*tidewaiter.Package
	weight map[*tidewaiter.Package]int // findings
}

// candidates reads the names of packages out of a database: Debian 12's and those of four languages. All are of a version
// older than any fix.
func candidates(dir string) (list []*tidewaiter.Package, err error) {
	db, err := bolt.Open(filepath.Join(dir, "trivy.db"), 0o400, &bolt.Options{ReadOnly: true})
	if err != nil {
		return nil, err
	}
	defer db.Close()
	languages := map[string]tidewaiter.Package{
		"npm": {Ecosystem: tidewaiter.EcosystemNPM, Type: "node-pkg"}, "pip": {Ecosystem: tidewaiter.EcosystemPyPI, Type: "python-pkg"},
		"go": {Ecosystem: tidewaiter.EcosystemGo, Type: "gobinary"}, "rubygems": {Ecosystem: tidewaiter.EcosystemGem, Type: "gemspec"},
	}
	return list, db.View(func(tx *bolt.Tx) error {
		return tx.ForEach(func(bucket []byte, root *bolt.Bucket) error {
			language, _, _ := strings.Cut(string(bucket), "::")
			kind, known := languages[language]
			if string(bucket) == "debian 12" {
				kind, known = debian(""), true
			}
			if !known {
				return nil
			}
			return root.ForEachBucket(func(name []byte) error {
				p := kind
				p.Name, p.Version = string(name), "0.1.0"
				list = append(list, &p)
				return nil
			})
		})
	})
}

func debian(name string) tidewaiter.Package {
	return tidewaiter.Package{Ecosystem: tidewaiter.EcosystemDeb, Type: "dpkg", Name: name, Arch: "amd64", Repository: "official",
		Distribution: tidewaiter.Distribution{Family: "debian", Release: "12.5"}}
}

// newFleet chooses from packages whose findings are known. Packages with more than a tenth of an image's findings are left
// out: kernels would crowd out all others.
func newFleet(list []*tidewaiter.Package, weight map[*tidewaiter.Package]int) *fleet {
	f := &fleet{Rand: rand.New(rand.NewPCG(7, 7)), weight: weight} //nolint:gosec // the same each time is the point
	list = slices.DeleteFunc(slices.Clone(list), func(p *tidewaiter.Package) bool { return weight[p] == 0 || weight[p] > imageFindings/10 })
	f.Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
	sum := 0
	for _, p := range list {
		if p.Ecosystem == tidewaiter.EcosystemDeb && sum+weight[p] <= baseFindings {
			f.base = append(f.base, p)
			sum += weight[p]
		} else if len(f.common) < 3000 {
			f.common = append(f.common, p)
		}
	}
	for i := range 2000 {
		p := debian(fmt.Sprintf("unaffected-%d", i))
		p.Version = "1.0"
		f.clean = append(f.clean, &p)
	}
	return f
}

// image returns the packages of another image beyond the base.
func (f *fleet) image() (own []*tidewaiter.Package) {
	findings := 0
	for _, p := range f.base {
		findings += f.weight[p]
	}
	for _, i := range f.Perm(len(f.common)) {
		p := f.common[i]
		if findings+f.weight[p] > imageFindings {
			break
		}
		own = append(own, p)
		findings += f.weight[p]
	}
	for len(own)+len(f.base) < imagePackages {
		own = append(own, f.clean[f.IntN(len(f.clean))])
	}
	return own
}
