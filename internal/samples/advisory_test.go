package samples_test

import (
	"context"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/aquasecurity/trivy-db/pkg/db"
	"github.com/aquasecurity/trivy-db/pkg/metadata"
	dbtypes "github.com/aquasecurity/trivy-db/pkg/types"
	"github.com/aquasecurity/trivy/pkg/detector/library"
	"github.com/aquasecurity/trivy/pkg/detector/ospkg/alpine"
	"github.com/aquasecurity/trivy/pkg/detector/ospkg/debian"
	"github.com/aquasecurity/trivy/pkg/detector/ospkg/rocky"
	ftypes "github.com/aquasecurity/trivy/pkg/fanal/types"
	"github.com/aquasecurity/trivy/pkg/types"
	"github.com/google/go-cmp/cmp"
	gocvss31 "github.com/pandatix/go-cvss/31"
	bolt "go.etcd.io/bbolt"

	"github.com/tidewaiter/tidewaiter/internal/samples"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// open makes an edition and opens it the way a scanner does.
func open(t *testing.T, o samples.AdvisoryOptions) string {
	t.Helper()
	dir := t.TempDir()
	if err := samples.WriteAdvisories(dir, o); err != nil {
		t.Fatal(err)
	}
	if err := db.Init(dir, db.WithBoltOptions(&bolt.Options{ReadOnly: true})); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	return dir
}

func TestAdvisoriesReadBack(t *testing.T) {
	at := time.Date(2026, 5, 4, 3, 2, 1, 0, time.UTC)
	dir := open(t, samples.AdvisoryOptions{UpdatedAt: at})

	got, err := db.Config{}.GetAdvisories("npm::", "lodash")
	if err != nil {
		t.Fatal(err)
	}
	slices.SortFunc(got, func(a, b dbtypes.Advisory) int { return strings.Compare(a.VulnerabilityID, b.VulnerabilityID) })
	source := &dbtypes.DataSource{
		ID: "ghsa", Name: "GitHub Security Advisory npm", URL: "https://github.com/advisories?query=type%3Areviewed+ecosystem%3Anpm",
	}
	want := []dbtypes.Advisory{
		{VulnerabilityID: "CVE-2020-28500", VendorIDs: []string{"GHSA-29mw-wpgm-hmr9"}, DataSource: source,
			VulnerableVersions: []string{">=4.0.0, <4.17.21"}, PatchedVersions: []string{"4.17.21"}},
		{VulnerabilityID: "CVE-2021-23337", VendorIDs: []string{"GHSA-35jh-r3h4-6jhm"}, DataSource: source,
			VulnerableVersions: []string{"<4.17.21"}, PatchedVersions: []string{"4.17.21"}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}

	zlib, err := db.Config{}.GetAdvisories("debian 12", "zlib")
	if err != nil || len(zlib) != 1 || zlib[0].Status != dbtypes.StatusWillNotFix || zlib[0].FixedVersion != "" {
		t.Errorf("zlib: %+v, %v", zlib, err)
	}
	v, err := db.Config{}.GetVulnerability("CVE-2021-44228")
	if err != nil || v.Severity != "CRITICAL" || v.VendorSeverity["nvd"] != dbtypes.SeverityCritical ||
		v.CVSS["nvd"].V3Score != 10 || len(v.CweIDs) != 4 || v.PublishedDate == nil || v.PublishedDate.Year() != 2021 {
		t.Errorf("%+v, %v", v, err)
	}
	meta, err := metadata.NewClient(dir).Get()
	if err != nil || meta.Version != db.SchemaVersion || !meta.UpdatedAt.Equal(at) || !meta.NextUpdate.Equal(at.Add(24*time.Hour)) {
		t.Errorf("%+v, %v", meta, err)
	}
}

func TestMakingAdvisoriesLeavesAnOpenDatabaseAlone(t *testing.T) {
	open(t, samples.AdvisoryOptions{})
	before := db.Config{}.Connection()
	if _, err := samples.PackAdvisories(samples.AdvisoryOptions{Edition: samples.SecondEdition}); err != nil {
		t.Fatal(err)
	}
	if before != (db.Config{}).Connection() {
		t.Fatal("another database is open")
	}
	if got, err := (db.Config{}).GetAdvisories("alpine 3.19", "musl"); err != nil || got != nil {
		t.Errorf("the second edition shows through: %v, %v", got, err)
	}
}

func TestAdvisoryArtifactIsTheSameEachTime(t *testing.T) {
	a, err := samples.PackAdvisories(samples.AdvisoryOptions{})
	if err != nil {
		t.Fatal(err)
	}
	b, err := samples.PackAdvisories(samples.AdvisoryOptions{})
	if err != nil {
		t.Fatal(err)
	}
	c, err := samples.PackAdvisories(samples.AdvisoryOptions{Edition: samples.SecondEdition})
	if err != nil {
		t.Fatal(err)
	}
	if a.Digest != b.Digest || a.Digest == c.Digest {
		t.Errorf("first %s, again %s, second edition %s", a.Digest, b.Digest, c.Digest)
	}
	if got := a.Blobs[1].MediaType; got != "application/vnd.aquasec.trivy.db.layer.v1.tar+gzip" {
		t.Errorf("layer of type %s", got)
	}
}

func TestScoresFollowFromTheirVectors(t *testing.T) {
	dir := t.TempDir()
	if err := samples.WriteAdvisories(dir, samples.AdvisoryOptions{Edition: samples.SecondEdition}); err != nil {
		t.Fatal(err)
	}
	if err := db.Init(dir); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	var ids []string
	err := db.Config{}.Connection().View(func(tx *bolt.Tx) error {
		return tx.Bucket([]byte("vulnerability")).ForEach(func(k, _ []byte) error {
			ids = append(ids, string(k))
			return nil
		})
	})
	if err != nil || len(ids) < 100 {
		t.Fatalf("%d vulnerabilities, %v", len(ids), err)
	}
	for _, id := range ids {
		v, err := db.Config{}.GetVulnerability(id)
		if err != nil {
			t.Fatal(err)
		}
		vector, err := gocvss31.ParseVector(v.CVSS["nvd"].V3Vector)
		if err != nil {
			t.Errorf("%s: %v", id, err)
		} else if vector.BaseScore() != v.CVSS["nvd"].V3Score {
			t.Errorf("%s: %v scores %v", id, v.CVSS["nvd"], vector.BaseScore())
		}
	}
}

// TestExpectedFindings matches the packages the samples are said to hold with detectors that are not ours.
func TestExpectedFindings(t *testing.T) {
	open(t, samples.AdvisoryOptions{})
	for _, s := range catalogue(t) {
		if s.Expect.Kind == tidewaiter.ManifestArtifact {
			continue
		}
		t.Run(s.Repository+"/"+s.Tags[0], func(t *testing.T) {
			found := detect(t, s)
			if len(found) != s.Expect.Findings {
				t.Errorf("%d findings, not %d", len(found), s.Expect.Findings)
			}
			for _, f := range s.Expect.Notable {
				if !found[f] {
					t.Errorf("%v is not found", f)
				}
			}
			for _, f := range s.Expect.Absent {
				if found[f] {
					t.Errorf("%v is found", f)
				}
			}
		})
	}
}

func TestSecondEditionChangesSomeFindings(t *testing.T) {
	list := catalogue(t)
	alpineSample := samples.Find(list, "library/alpine", "3.19")
	open(t, samples.AdvisoryOptions{})
	before := detect(t, *alpineSample)
	_ = db.Close()
	open(t, samples.AdvisoryOptions{Edition: samples.SecondEdition})
	after := detect(t, *alpineSample)
	maps.DeleteFunc(after, func(f samples.Finding, _ bool) bool { return before[f] })
	if !after[samples.Finding{Package: "musl", Vulnerability: "CVE-2025-26519"}] || len(after) != 2 {
		t.Errorf("new findings: %v", after)
	}
}

// detect returns the findings of a sample's packages under the advisories that are open.
func detect(t *testing.T, s samples.Sample) map[samples.Finding]bool {
	t.Helper()
	found := map[samples.Finding]bool{}
	add := func(list []types.DetectedVulnerability, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		for _, v := range list {
			found[samples.Finding{Package: v.PkgName, Vulnerability: v.VulnerabilityID}] = true
		}
	}
	family, release, _ := strings.Cut(s.Expect.Distribution, " ")
	var system []ftypes.Package
	for _, p := range s.Expect.Packages {
		switch p.Ecosystem {
		case tidewaiter.EcosystemDeb, tidewaiter.EcosystemAPK:
			name, version := sourceOf(t, s, p)
			system = append(system, ftypes.Package{Name: p.Name, Version: p.Version, SrcName: name, SrcVersion: version})
		case tidewaiter.EcosystemRPM:
			system = append(system, rpmPackage(t, p))
		default:
			kind := map[tidewaiter.Ecosystem]ftypes.LangType{
				tidewaiter.EcosystemNPM: ftypes.NodePkg, tidewaiter.EcosystemPyPI: ftypes.PythonPkg,
				tidewaiter.EcosystemMaven: ftypes.Jar, tidewaiter.EcosystemGo: ftypes.GoBinary,
			}[p.Ecosystem]
			driver, ok := library.NewDriver(kind)
			if !ok {
				t.Fatalf("no detector for %s", p.Ecosystem)
			}
			add(driver.DetectVulnerabilities("", p.Name, p.Version))
		}
	}
	detector := map[string]func(context.Context, string, *ftypes.Repository, []ftypes.Package) ([]types.DetectedVulnerability, error){
		"debian": debian.NewScanner().Detect, "alpine": alpine.NewScanner().Detect, "rocky": rocky.NewScanner().Detect,
	}[family]
	add(detector(t.Context(), release, nil, system))
	return found
}

// sourceOf looks into the package database in the image for the source of a package.
func sourceOf(t *testing.T, s samples.Sample, p samples.Package) (name, version string) {
	t.Helper()
	m := s.Manifest
	if len(m.Images) > 0 {
		m = m.Images[0]
	}
	if p.Ecosystem == tidewaiter.EcosystemAPK {
		origin := regexp.MustCompile(`(?s)P:` + regexp.QuoteMeta(p.Name) + `\nV:.*?\no:(\S+)`)
		return string(origin.FindSubmatch(file(t, m, "lib/apk/db/installed"))[1]), p.Version
	}
	status := "var/lib/dpkg/status"
	if strings.HasPrefix(s.Repository, "shop/api") || s.Repository == "ops/hardened" {
		status = "var/lib/dpkg/status.d/" + p.Name
	}
	stanza := regexp.MustCompile(`(?s)Package: ` + regexp.QuoteMeta(p.Name) + `\n.*?\nVersion: [^\n]*`).Find(file(t, m, status))
	source := regexp.MustCompile(`\nSource: (\S+)(?: \((\S+)\))?`).FindSubmatch(stanza)
	switch {
	case source == nil:
		return p.Name, p.Version
	case len(source[2]) == 0:
		return string(source[1]), p.Version
	}
	return string(source[1]), string(source[2])
}

func rpmPackage(t *testing.T, p samples.Package) ftypes.Package {
	t.Helper()
	out := ftypes.Package{Name: p.Name, Version: p.Version, Arch: "x86_64"}
	if epoch, rest, ok := strings.Cut(p.Version, ":"); ok {
		n, err := strconv.Atoi(epoch)
		if err != nil {
			t.Fatal(err)
		}
		out.Epoch, out.Version = n, rest
	}
	out.Version, out.Release, _ = strings.Cut(out.Version, "-")
	if p.Name == "nodejs" {
		out.Modularitylabel = "nodejs:18:9030020231201152000:rhel9"
	}
	return out
}

func TestWriteAdvisoriesNeedsADirectory(t *testing.T) {
	if err := samples.WriteAdvisories(filepath.Join(t.TempDir(), "none"), samples.AdvisoryOptions{}); err == nil {
		t.Error("no error")
	}
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "trivy.db"), []byte("old"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := samples.WriteAdvisories(dir, samples.AdvisoryOptions{}); err != nil {
		t.Errorf("an old file stands in the way: %v", err)
	}
}
