package engine_test

import (
	"cmp"
	"fmt"
	"slices"
	"testing"

	"github.com/aquasecurity/trivy-db/pkg/types"
	redhatoval "github.com/aquasecurity/trivy-db/pkg/vulnsrc/redhat-oval"
	"github.com/aquasecurity/trivy/pkg/detector/ospkg/redhat"
	ftypes "github.com/aquasecurity/trivy/pkg/fanal/types"
	"pgregory.net/rapid"

	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// TestRedHatAgreesWithTrivy: where no two advisories fix the same vulnerability in the same version, our driver finds
// what Trivy's own does, whatever the content sets, architecture, module and version.
func TestRedHatAgreesWithTrivy(t *testing.T) {
	content := advisoryDB{
		advisories:   map[[3]string]any{},
		repositories: map[string][]int{"rhel-9-for-x86_64-baseos-rpms": {0, 1}, "rhel-9-for-x86_64-appstream-rpms": {2}, "extra-rpms": {3}, "extra-rpms__9_DOT_2": {4}},
	}
	names := []string{"openssl", "npm", "nodejs:18::npm"}
	for i := range 60 {
		entry := redhatoval.Entry{
			FixedVersion: fmt.Sprintf("1:1.%d-%d.el9", i%7, i), AffectedCPEIndices: []int{i % 5},
			Cves: []redhatoval.CveEntry{{ID: fmt.Sprintf("CVE-2024-%04d", i%11), Severity: types.Severity(i % 5)}},
		}
		id := fmt.Sprintf("RHSA-2024:%04d", i)
		switch i % 4 {
		case 0:
			entry.Arches = []string{"x86_64", "s390x"}
		case 1: // nobody has mended it
			id, entry.FixedVersion, entry.Status = fmt.Sprintf("CVE-2023-%04d", i), "", types.Status(i%8)
		}
		content.advisories[[3]string{"Red Hat", names[i%3], id}] = &redhatoval.Advisory{Entries: []redhatoval.Entry{entry}}
	}
	m := openMatcher(t, writeDatabase(t, content), "v1")
	trivy := redhat.NewScanner()
	rapid.Check(t, func(t *rapid.T) {
		p := redHat("redhat", rapid.SampledFrom([]string{"openssl", "npm", "none"}).Draw(t, "name"), rapid.IntRange(0, 1).Draw(t, "epoch"),
			fmt.Sprintf("1.%d", rapid.IntRange(0, 8).Draw(t, "version")), fmt.Sprintf("%d.el9", rapid.IntRange(0, 60).Draw(t, "release")))
		p.Arch = rapid.SampledFrom([]string{"x86_64", "aarch64", "noarch"}).Draw(t, "arch")
		p.Modularity = rapid.SampledFrom([]string{"", "nodejs:18:902:rhel9", "nodejs:18"}).Draw(t, "module")
		p.Distribution.ContentSets = rapid.SliceOfN(rapid.SampledFrom([]string{"extra-rpms", "extra-rpms__9", "extra-rpms__9_DOT_2", "unknown-rpms"}), 0, 3).Draw(t, "sets")

		same := ftypes.Package{Name: p.Name, Epoch: p.Epoch, Version: p.Version, Release: p.Release, Arch: p.Arch, Modularitylabel: p.Modularity}
		if len(p.Distribution.ContentSets) > 0 {
			same.BuildInfo = &ftypes.BuildInfo{ContentSets: p.Distribution.ContentSets}
		}
		want, trivyErr := trivy.Detect(t.Context(), p.Distribution.Release, nil, []ftypes.Package{same})
		got, err := m.Match(t.Context(), []*tidewaiter.Package{p})
		if err != nil || (trivyErr != nil) != (len(got.Unmatched) > 0) {
			t.Fatalf("match: %v, unmatched %v; Trivy: %v", err, got.Unmatched, trivyErr)
		}
		line := func(id, fix string, severity tidewaiter.Severity, advisories []string) string {
			return fmt.Sprint(id, " ", fix, " ", severity, " ", advisories)
		}
		var ours, theirs []string
		for _, f := range got.Findings[0] {
			ours = append(ours, line(f.Vulnerability, f.FixedIn, f.Severity, f.Advisories))
		}
		for _, v := range want {
			severity, _ := tidewaiter.ParseSeverity(v.Severity)
			theirs = append(theirs, line(v.VulnerabilityID, v.FixedVersion, severity, v.VendorIDs))
		}
		slices.SortFunc(theirs, cmp.Compare[string])
		if !slices.Equal(ours, theirs) {
			t.Fatalf("ours\n%q\nTrivy's\n%q", ours, theirs)
		}
	})
}
