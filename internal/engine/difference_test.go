package engine_test

import (
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"

	dbtypes "github.com/aquasecurity/trivy-db/pkg/types"
	"github.com/google/go-cmp/cmp"

	"github.com/tidewaiter/tidewaiter/internal/engine"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

func smallDatabase() advisoryDB {
	return advisoryDB{
		advisories: map[[3]string]any{
			{"debian 12", "openssl", "CVE-1"}:                   dbtypes.Advisory{FixedVersion: "3.0"},
			{"debian 12", "zlib", "CVE-2"}:                      dbtypes.Advisory{FixedVersion: "1.2"},
			{"npm::Hub", "left-pad", "CVE-3"}:                   dbtypes.Advisory{VulnerableVersions: []string{"<1"}},
			{"alma 9", "nodejs:18::npm", "CVE-4"}:               dbtypes.Advisory{FixedVersion: "9"},
			{"Red Hat", "bash", "CVE-5"}:                        dbtypes.Advisory{FixedVersion: "5"},
			{"pip::Hub", "zope-interface", "CVE-6"}:             dbtypes.Advisory{VulnerableVersions: []string{"<1"}},
			{"swift::Hub", "github.com/apple/nio", "CVE-7"}:     dbtypes.Advisory{VulnerableVersions: []string{"<1"}},
			{"maven::Hub", "org.apache.logging:log4j", "CVE-8"}: dbtypes.Advisory{VulnerableVersions: []string{"<1"}},
		},
		sources:         map[string]dbtypes.DataSource{"debian 12": {ID: "debian"}, "npm::Hub": {ID: "ghsa"}},
		vulnerabilities: map[string]dbtypes.Vulnerability{"CVE-1": {Title: "one"}, "CVE-2": {Title: "two"}},
		repositories:    map[string][]int{"rhel-9-baseos": {1}},
	}
}

func TestDatabaseDifference(t *testing.T) {
	before := writeDatabase(t, smallDatabase())
	for name, test := range map[string]struct {
		change                 func(*advisoryDB)
		names, vulnerabilities []string
		rpm                    bool // every rpm
	}{
		"nothing":          {change: func(*advisoryDB) {}},
		"an advisory more": {change: func(d *advisoryDB) { d.advisories[[3]string{"debian 12", "zlib", "CVE-9"}] = dbtypes.Advisory{} }, names: []string{"zlib"}},
		"an advisory less, of a package with one": {change: func(d *advisoryDB) { delete(d.advisories, [3]string{"npm::Hub", "left-pad", "CVE-3"}) }, names: []string{"left-pad"}},
		"another fix, of a module": {change: func(d *advisoryDB) {
			d.advisories[[3]string{"alma 9", "nodejs:18::npm", "CVE-4"}] = dbtypes.Advisory{FixedVersion: "10"}
		}, names: []string{"nodejs:18::npm", "npm"}},
		"a new distribution": {change: func(d *advisoryDB) { d.advisories[[3]string{"debian 13", "bash", "CVE-1"}] = dbtypes.Advisory{} }, names: []string{"bash"}},
		"another text":       {change: func(d *advisoryDB) { d.vulnerabilities["CVE-2"] = dbtypes.Vulnerability{Title: "2"} }, vulnerabilities: []string{"CVE-2"}},
		"a text more and one less": {change: func(d *advisoryDB) {
			delete(d.vulnerabilities, "CVE-1")
			d.vulnerabilities["CVE-0"] = dbtypes.Vulnerability{}
		}, vulnerabilities: []string{"CVE-0", "CVE-1"}},
		"another source":             {change: func(d *advisoryDB) { d.sources["debian 12"] = dbtypes.DataSource{ID: "other"} }, names: []string{"openssl", "zlib"}},
		"a source less":              {change: func(d *advisoryDB) { delete(d.sources, "npm::Hub") }, names: []string{"left-pad"}},
		"other numbers of Red Hat's": {change: func(d *advisoryDB) { d.repositories["rhel-9-baseos"] = []int{2} }, rpm: true},
	} {
		t.Run(name, func(t *testing.T) {
			content := smallDatabase()
			test.change(&content)
			d, err := engine.DatabaseDifference(t.Context(), before, writeDatabase(t, content))
			if err != nil {
				t.Fatal(err)
			}
			written, err := json.Marshal(d)
			if err != nil {
				t.Fatal(err)
			}
			again := &engine.Difference{}
			if err := json.Unmarshal(written, again); err != nil {
				t.Fatal(err)
			}
			for _, d := range []*engine.Difference{d, again} {
				if diff := cmp.Diff([][]string{test.names, test.vulnerabilities}, [][]string{d.Names(), d.Vulnerabilities()}); diff != "" {
					t.Error(diff)
				}
				if rpm := d.Touches(&tidewaiter.Package{Ecosystem: tidewaiter.EcosystemRPM, Name: "untouched"}); rpm != test.rpm || d.Everything() {
					t.Errorf("touches every rpm: %t, everything: %t", rpm, d.Everything())
				}
			}
		})
	}
}

func TestDifferenceTouches(t *testing.T) {
	content := smallDatabase()
	for _, k := range slices.Collect(maps.Keys(content.advisories)) {
		content.advisories[[3]string{k[0], k[1], "CVE-new"}] = dbtypes.Advisory{}
	}
	d, err := engine.DatabaseDifference(t.Context(), writeDatabase(t, smallDatabase()), writeDatabase(t, content))
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range []tidewaiter.Package{
		{Ecosystem: tidewaiter.EcosystemDeb, Name: "libssl3", Source: "openssl"}, {Ecosystem: tidewaiter.EcosystemPyPI, Name: "Zope_Interface"},
		{Ecosystem: tidewaiter.EcosystemRPM, Name: "npm", Modularity: "nodejs:18:1:x"}, {Ecosystem: tidewaiter.EcosystemSwift, Name: "https://github.com/apple/nio.git"},
		{Ecosystem: tidewaiter.EcosystemNPM, Name: "Left-Pad"}, {Ecosystem: tidewaiter.EcosystemMaven, Name: "org.apache.logging:log4j"},
	} {
		if !d.Touches(&p) {
			t.Errorf("%s %s is not touched", p.Ecosystem, p.Name)
		}
	}
	if d.Touches(&tidewaiter.Package{Ecosystem: tidewaiter.EcosystemNPM, Name: "left-pad-2"}) {
		t.Error("a package nobody speaks of is touched")
	}
}

func TestDifferenceOfDamagedDatabases(t *testing.T) {
	whole := writeDatabase(t, smallDatabase())
	if _, err := engine.DatabaseDifference(t.Context(), t.TempDir(), whole); tidewaiter.KindOf(err) != tidewaiter.ErrNotFound {
		t.Errorf("no file: %v", err)
	}
	torn := writeDatabase(t, smallDatabase())
	if err := os.Truncate(filepath.Join(torn, "trivy.db"), 20_000); err != nil {
		t.Fatal(err)
	}
	if _, err := engine.DatabaseDifference(t.Context(), whole, torn); tidewaiter.KindOf(err) != tidewaiter.ErrMalformed {
		t.Errorf("a torn file: %v", err)
	}
}
