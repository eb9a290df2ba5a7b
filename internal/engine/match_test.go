package engine_test

import (
	"context"
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/tidewaiter/tidewaiter/internal/engine"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

const nvdPage = "https://avd.aquasec.com/nvd/"

type matchCase struct {
	name string
	pkg  *tidewaiter.Package
	want []tidewaiter.Finding
}

func with(p *tidewaiter.Package, change func(*tidewaiter.Package)) *tidewaiter.Package {
	change(p)
	return p
}

func matchCases() []matchCase {
	high, critical, medium, low := tidewaiter.SeverityHigh, tidewaiter.SeverityCritical, tidewaiter.SeverityMedium, tidewaiter.SeverityLow
	alpine := &tidewaiter.Package{
		Distribution: tidewaiter.Distribution{Family: "alpine", Release: "3.20.1"}, Ecosystem: tidewaiter.EcosystemAPK,
		Name: "ssl_client", Version: "1.36.1-r29", Source: "busybox",
	}
	edge := *alpine
	edge.Repository = "edge"
	first := func(s tidewaiter.Severity, source, fix string) []tidewaiter.Finding {
		return []tidewaiter.Finding{{Vulnerability: "CVE-2024-0001", Severity: s, Source: source, Status: "fixed", FixedIn: fix, URL: nvdPage + "cve-2024-0001"}}
	}
	rhel := first(high, "redhat", "1:3.0.7-27.el9")
	rhel[0].Advisories = []string{"RHSA-2024:0001"}
	rhel[0].Severity = medium
	rocky := first(high, "nvd", "1:3.0.7-28.el9")
	return []matchCase{
		{"debian: fixed, will not fix, already fixed", debian("libssl3", "openssl", "3.0.11", "1~deb12u2"), []tidewaiter.Finding{
			{Vulnerability: "CVE-2024-0001", Severity: medium, Source: "debian", Status: "fixed", FixedIn: "3.0.15-1~deb12u1", Advisories: []string{"DSA-5764-1"}, URL: nvdPage + "cve-2024-0001"},
			{Vulnerability: "CVE-2024-0002", Severity: low, Source: "debian", Status: "will_not_fix", URL: nvdPage + "cve-2024-0002"},
		}},
		{"debian: a package is its own source", debian("openssl", "", "3.0.15", "1~deb12u1"), []tidewaiter.Finding{
			{Vulnerability: "CVE-2024-0002", Severity: low, Source: "debian", Status: "will_not_fix", URL: nvdPage + "cve-2024-0002"},
		}},
		{"debian: third-party packages are not Debian's", with(debian("libssl3", "openssl", "3.0.11", "1"), func(p *tidewaiter.Package) { p.Repository = "third-party" }), nil},
		{"debian: another release", with(debian("libssl3", "openssl", "3.0.11", "1"), func(p *tidewaiter.Package) { p.Distribution.Release = "13.1" }), nil},
		{"alpine", alpine, first(high, "nvd", "1.36.1-r30")},
		{"alpine edge", &edge, []tidewaiter.Finding{{Vulnerability: "CVE-2024-0004", Status: "fixed", FixedIn: "1.37.0-r1"}}},
		{"red hat: of two errata the first", redHat("redhat", "openssl", 1, "3.0.7", "24.el9"), rhel},
		{"red hat: mended", redHat("redhat", "openssl", 1, "3.0.7", "27.el9"), nil},
		{"red hat: content sets", with(redHat("redhat", "openssl", 1, "3.0.7", "27.el9"), func(p *tidewaiter.Package) {
			p.Distribution.ContentSets = []string{"no-such-rpms", "rhel-9-eus__9"}
		}), []tidewaiter.Finding{{Vulnerability: "CVE-2024-0002", Severity: low, Source: "redhat", Status: "end_of_life", URL: nvdPage + "cve-2024-0002"}}},
		{"red hat: module", with(redHat("redhat", "npm", 1, "8.0.0", "1.module+el9"), func(p *tidewaiter.Package) {
			p.Modularity = "nodejs:18:9020020230327152102:rhel9"
		}), []tidewaiter.Finding{{Vulnerability: "CVE-2024-0003", Severity: high, Source: "redhat", Status: "fixed", FixedIn: "1:9.8.1-1.module+el9", Advisories: []string{"RHSA-2024:0003"}, URL: nvdPage + "cve-2024-0003"}}},
		{"red hat: same name outside the module", redHat("redhat", "npm", 1, "8.0.0", "1.el9"), nil},
		{"rocky: the architecture's advisories, once", redHat("rocky", "openssl", 1, "3.0.7", "24.el9"), rocky},
		{"npm", library(tidewaiter.EcosystemNPM, "node-pkg", "lodash", "4.17.20"), first(critical, "ghsa", "4.17.21")},
		{"npm: mended", library(tidewaiter.EcosystemNPM, "node-pkg", "lodash", "4.17.21"), nil},
		{"npm: kind not known", library(tidewaiter.EcosystemNPM, "", "lodash", "4.17.20"), first(critical, "ghsa", "4.17.21")},
		{"pypi: the name in any spelling", library(tidewaiter.EcosystemPyPI, "python-pkg", "Django", "4.2"), first(critical, "ghsa", "4.2.14")},
		{"go module", library(tidewaiter.EcosystemGo, "gobinary", "golang.org/x/net", "v0.22.0"), first(high, "nvd", "0.23.0")},
		{"go standard library", library(tidewaiter.EcosystemGo, "gobinary", "stdlib", "1.22.0"), []tidewaiter.Finding{
			{Vulnerability: "CVE-2024-0002", Status: "fixed", FixedIn: "1.21.8, 1.22.1", URL: nvdPage + "cve-2024-0002"},
		}},
		{"maven", library(tidewaiter.EcosystemMaven, "jar", "org.apache.logging.log4j:log4j-core", "2.14.1"), []tidewaiter.Finding{
			{Vulnerability: "CVE-2021-0001", Severity: critical, Source: "ghsa", Status: "fixed", FixedIn: "2.15.0", URL: nvdPage + "cve-2021-0001"},
		}},
		{"rubygems", library(tidewaiter.EcosystemGem, "gemspec", "rack", "2.2.8"), first(high, "nvd", "~> 2.2.9, >= 3.0.10")},
		{"rubygems: never affected", library(tidewaiter.EcosystemGem, "gemspec", "rack", "1.6.0"), nil},
		{"composer", library(tidewaiter.EcosystemComposer, "composer-vendor", "symfony/http-kernel", "5.4.19"), first(high, "nvd", "5.4.20")},
		{"cargo", library(tidewaiter.EcosystemCargo, "rustbinary", "hyper", "0.14.25"), []tidewaiter.Finding{
			{Vulnerability: "RUSTSEC-2023-0034", Severity: low, Source: "nvd", Status: "fixed", FixedIn: "0.14.26", URL: "https://osv.dev/vulnerability/RUSTSEC-2023-0034"},
		}},
		{"nuget", library(tidewaiter.EcosystemNuGet, "dotnet-core", "Newtonsoft.Json", "12.0.3"), []tidewaiter.Finding{
			{Vulnerability: "GHSA-5crp-9r3c-p9vr", Severity: high, Source: "ghsa", Status: "fixed", FixedIn: "13.0.1", URL: "https://github.com/advisories/GHSA-5crp-9r3c-p9vr"},
		}},
	}
}

func TestMatch(t *testing.T) {
	m := openMatcher(t, writeDatabase(t, sampleDatabase()), "v1")
	for i, c := range matchCases() {
		t.Run(c.name, func(t *testing.T) {
			c.pkg.ID = int64(i + 1)
			for j := range c.want {
				c.want[j].PackageID = c.pkg.ID
			}
			ms, err := m.Match(t.Context(), []*tidewaiter.Package{c.pkg})
			if err != nil {
				t.Fatal(err)
			}
			if len(ms.Unmatched) > 0 {
				t.Errorf("unmatched: %v", ms.Unmatched)
			}
			if ms.Advisories.Version != "v1" {
				t.Errorf("advisories %q, want v1", ms.Advisories.Version)
			}
			if diff := cmp.Diff([][]tidewaiter.Finding{c.want}, ms.Findings); diff != "" {
				t.Errorf("findings (-want +got):\n%s", diff)
			}
		})
	}
}

// TestMatchIsPure: whatever is asked together, in whatever order and however often, a package's findings are its own.
func TestMatchIsPure(t *testing.T) {
	m := openMatcher(t, writeDatabase(t, sampleDatabase()), "v1")
	var all []*tidewaiter.Package
	for i, c := range matchCases() {
		c.pkg.ID = int64(i)
		all = append(all, c.pkg)
	}
	// These change how Trivy looks at every package beside them.
	all = append(all, debian("seal-curl", "", "1.0", "1"), debian("curl", "", "7.88", "10+deb12u5.root.io.1"), library("npm", "no-such-kind", "x", "1"))
	alone := make([][]tidewaiter.Finding, len(all))
	for i, p := range all {
		ms, err := m.Match(t.Context(), []*tidewaiter.Package{p})
		if err != nil {
			t.Fatal(err)
		}
		alone[i] = ms.Findings[0]
	}
	rapid.Check(t, func(t *rapid.T) {
		picks := rapid.SliceOfN(rapid.IntRange(0, len(all)-1), 0, 40).Draw(t, "picks")
		cut := rapid.IntRange(0, len(picks)).Draw(t, "cut")
		var got, want [][]tidewaiter.Finding
		for _, part := range [][]int{picks[:cut], picks[cut:]} {
			var pkgs []*tidewaiter.Package
			for _, i := range part {
				pkgs = append(pkgs, all[i])
				want = append(want, alone[i])
			}
			ms, err := m.Match(context.Background(), pkgs)
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, ms.Findings...)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatalf("(-alone +together):\n%s", diff)
		}
	})
}

func TestMatchTellsWhatItCannotSay(t *testing.T) {
	m := openMatcher(t, writeDatabase(t, sampleDatabase()), "v1")
	lost := redHat("redhat", "openssl", 1, "3.0.7", "1.el9")
	lost.Distribution.ContentSets = []string{"somebody-elses-rpms"}
	pkgs := []*tidewaiter.Package{
		library(tidewaiter.EcosystemNPM, "node-pkg", "lodash", "4.17.20"),
		{Ecosystem: tidewaiter.EcosystemDeb, Name: "x", Version: "1", Distribution: tidewaiter.Distribution{Family: "slackware", Release: "15"}},
		library(tidewaiter.EcosystemConda, "conda-pkg", "numpy", "1"),
		library(tidewaiter.EcosystemNPM, "node-pkg", "lodash", ""),
		lost,
		{Ecosystem: tidewaiter.EcosystemRPM, Name: "x", Version: "1", Distribution: tidewaiter.Distribution{Family: "amazon"}}, // Trivy panics
		nil,
	}
	ms, err := m.Match(t.Context(), pkgs)
	if err != nil {
		t.Fatal(err)
	}
	if len(ms.Findings) != len(pkgs) || len(ms.Findings[0]) != 1 {
		t.Errorf("the good package's findings are lost: %v", ms.Findings)
	}
	got := map[int]tidewaiter.ErrorKind{}
	for i, err := range ms.Unmatched {
		got[i] = tidewaiter.KindOf(err)
	}
	want := map[int]tidewaiter.ErrorKind{
		1: tidewaiter.ErrUnsupported, 2: tidewaiter.ErrUnsupported, 3: tidewaiter.ErrUnsupported, 4: tidewaiter.ErrUnsupported,
		5: tidewaiter.ErrBug, 6: tidewaiter.ErrBug,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("unmatched (-want +got):\n%s", diff)
	}
}

func TestMatchEndOfLife(t *testing.T) {
	m := openMatcher(t, writeDatabase(t, sampleDatabase()), "v1")
	old, patched := debian("a", "", "1", "1"), debian("seal-a", "", "1", "1")
	old.Distribution.Release, patched.Distribution.Release = "9.13", "9.13"
	ms, err := m.Match(t.Context(), []*tidewaiter.Package{patched, old, debian("a", "", "1", "1"), library("npm", "", "a", "1")})
	if err != nil {
		t.Fatal(err)
	}
	want := map[engine.Release]bool{{Family: "debian", Version: "9.13"}: true, {Family: "debian", Version: "12.5"}: false}
	if diff := cmp.Diff(want, ms.EndOfLife); diff != "" {
		t.Errorf("end of life (-want +got):\n%s", diff)
	}
}

func TestMatchBeforeAndAfterAdvisories(t *testing.T) {
	m := engine.NewMatcher()
	check := func(when string) {
		t.Helper()
		if _, err := m.Match(t.Context(), nil); tidewaiter.KindOf(err) != tidewaiter.ErrNotFound {
			t.Errorf("match %s: %v, want not found", when, err)
		}
		if _, err := m.Describe(t.Context(), []string{"CVE-2024-0001"}); tidewaiter.KindOf(err) != tidewaiter.ErrNotFound {
			t.Errorf("describe %s: %v, want not found", when, err)
		}
		if a, ok := m.Advisories(); ok || a.Version != "" {
			t.Errorf("advisories %s: %v %v", when, a, ok)
		}
	}
	check("before the first database")
	if err := m.Open(writeDatabase(t, sampleDatabase()), tidewaiter.Advisories{Version: "v1"}); err != nil {
		t.Fatal(err)
	}
	if a, ok := m.Advisories(); !ok || a.Version != "v1" {
		t.Errorf("advisories: %v %v", a, ok)
	}
	for range 2 {
		if err := m.Close(); err != nil {
			t.Error(err)
		}
	}
	check("after closing")
}

func TestMatchStopsWhenAsked(t *testing.T) {
	m := openMatcher(t, writeDatabase(t, sampleDatabase()), "v1")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := m.Match(ctx, []*tidewaiter.Package{library("npm", "", "lodash", "1")})
	if tidewaiter.KindOf(err) != tidewaiter.ErrCanceled || !errors.Is(err, context.Canceled) {
		t.Errorf("match: %v, want canceled", err)
	}
	if _, err := m.Describe(ctx, []string{"CVE-2024-0001"}); tidewaiter.KindOf(err) != tidewaiter.ErrCanceled {
		t.Errorf("describe: %v, want canceled", err)
	}
}
