package engine_test

import (
	"path/filepath"
	"testing"
	"time"

	tdb "github.com/aquasecurity/trivy-db/pkg/db"
	dbtypes "github.com/aquasecurity/trivy-db/pkg/types"
	redhatoval "github.com/aquasecurity/trivy-db/pkg/vulnsrc/redhat-oval"
	bolt "go.etcd.io/bbolt"

	"github.com/tidewaiter/tidewaiter/internal/engine"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// advisoryDB collects what goes into a small database of the form Trivy reads.
type advisoryDB struct {
	advisories      map[[3]string]any // by bucket, package and vulnerability (Red Hat: errata)
	sources         map[string]dbtypes.DataSource
	vulnerabilities map[string]dbtypes.Vulnerability
	repositories    map[string][]int // Red Hat: numbers of the products in a repository
}

// writeDatabase writes the database and returns its directory. It touches no global, so another may be open meanwhile.
func writeDatabase(t testing.TB, content advisoryDB) string {
	t.Helper()
	dir := t.TempDir()
	db, err := bolt.Open(filepath.Join(dir, "trivy.db"), 0o600, &bolt.Options{NoSync: true})
	if err != nil {
		t.Fatal(err)
	}
	var dbc tdb.Config
	err = db.Update(func(tx *bolt.Tx) error {
		if _, err := tx.CreateBucketIfNotExists([]byte("vulnerability")); err != nil {
			return err
		}
		for k, advisory := range content.advisories {
			if err := dbc.PutAdvisory(tx, []string{k[0], k[1]}, k[2], advisory); err != nil {
				return err
			}
		}
		for bucket, source := range content.sources {
			if err := dbc.PutDataSource(tx, bucket, source); err != nil {
				return err
			}
		}
		for id, v := range content.vulnerabilities {
			if err := dbc.PutVulnerability(tx, id, v); err != nil {
				return err
			}
		}
		for repository, cpes := range content.repositories {
			if err := dbc.PutRedHatRepositories(tx, repository, cpes); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	return dir
}

func openMatcher(t testing.TB, dir, version string) *engine.Matcher {
	t.Helper()
	m := engine.NewMatcher()
	if err := m.Open(dir, tidewaiter.Advisories{Version: version}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := m.Close(); err != nil {
			t.Error(err)
		}
	})
	return m
}

const (
	npmBucket      = "npm::GitHub Security Advisory npm"
	pipBucket      = "pip::GitHub Security Advisory pip"
	goBucket       = "go::The Go Vulnerability Database"
	mavenBucket    = "maven::GitHub Security Advisory Maven"
	gemBucket      = "rubygems::Ruby Advisory Database"
	composerBucket = "composer::PHP Security Advisories Database"
	cargoBucket    = "cargo::GitHub Security Advisory Rust"
	nugetBucket    = "nuget::GitHub Security Advisory NuGet"
)

// sampleDatabase has a few advisories of every sort.
func sampleDatabase() advisoryDB {
	published := time.Date(2024, 1, 2, 3, 4, 5, 0, time.UTC)
	below := func(v string) *dbtypes.Advisory {
		return &dbtypes.Advisory{VulnerableVersions: []string{"<" + v}, PatchedVersions: []string{v}}
	}
	ghsa := dbtypes.DataSource{ID: "ghsa", Name: "GitHub Security Advisory"}
	return advisoryDB{
		advisories: map[[3]string]any{
			{"debian 12", "openssl", "CVE-2024-0001"}:   &dbtypes.Advisory{FixedVersion: "3.0.15-1~deb12u1", VendorIDs: []string{"DSA-5764-1"}},
			{"debian 12", "openssl", "CVE-2024-0002"}:   &dbtypes.Advisory{Status: dbtypes.StatusWillNotFix, Severity: dbtypes.SeverityLow},
			{"debian 12", "openssl", "CVE-2024-0003"}:   &dbtypes.Advisory{FixedVersion: "1.0.0-1"},
			{"alpine 3.20", "busybox", "CVE-2024-0001"}: &dbtypes.Advisory{FixedVersion: "1.36.1-r30"},
			{"alpine edge", "busybox", "CVE-2024-0004"}: &dbtypes.Advisory{FixedVersion: "1.37.0-r1"},
			{"Red Hat", "openssl", "RHSA-2024:0001"}: &redhatoval.Advisory{Entries: []redhatoval.Entry{{
				FixedVersion: "1:3.0.7-27.el9", AffectedCPEIndices: []int{1}, Arches: []string{"x86_64"},
				Cves: []redhatoval.CveEntry{{ID: "CVE-2024-0001", Severity: dbtypes.SeverityMedium}},
			}}},
			{"Red Hat", "openssl", "RHSA-2024:0002"}: &redhatoval.Advisory{Entries: []redhatoval.Entry{{
				FixedVersion: "1:3.0.7-27.el9", AffectedCPEIndices: []int{1},
				Cves: []redhatoval.CveEntry{{ID: "CVE-2024-0001", Severity: dbtypes.SeverityHigh}},
			}}},
			{"Red Hat", "openssl", "CVE-2024-0002"}: &redhatoval.Advisory{Entries: []redhatoval.Entry{{
				AffectedCPEIndices: []int{2}, Status: dbtypes.StatusEndOfLife,
				Cves: []redhatoval.CveEntry{{Severity: dbtypes.SeverityLow}},
			}}},
			{"Red Hat", "nodejs:18::npm", "RHSA-2024:0003"}: &redhatoval.Advisory{Entries: []redhatoval.Entry{{
				FixedVersion: "1:9.8.1-1.module+el9", AffectedCPEIndices: []int{1},
				Cves: []redhatoval.CveEntry{{ID: "CVE-2024-0003", Severity: dbtypes.SeverityHigh}},
			}}},
			{"rocky 9", "openssl", "CVE-2024-0001"}: &dbtypes.Advisories{Entries: []dbtypes.Advisory{
				{FixedVersion: "1:3.0.7-27.el9", Arches: []string{"x86_64"}, VendorIDs: []string{"RLSA-2024:1"}},
				{FixedVersion: "1:3.0.7-28.el9", Arches: []string{"x86_64"}, VendorIDs: []string{"RLSA-2024:2"}},
				{FixedVersion: "1:3.0.7-99.el9", Arches: []string{"aarch64"}, VendorIDs: []string{"RLSA-2024:3"}},
			}},
			{npmBucket, "lodash", "CVE-2024-0001"}:                                below("4.17.21"),
			{pipBucket, "django", "CVE-2024-0001"}:                                below("4.2.14"),
			{goBucket, "golang.org/x/net", "CVE-2024-0001"}:                       below("0.23.0"),
			{goBucket, "stdlib", "CVE-2024-0002"}:                                 &dbtypes.Advisory{VulnerableVersions: []string{"<1.21.8", ">=1.22.0-0, <1.22.1"}, PatchedVersions: []string{"1.21.8", "1.22.1"}},
			{mavenBucket, "org.apache.logging.log4j:log4j-core", "CVE-2021-0001"}: below("2.15.0"),
			{gemBucket, "rack", "CVE-2024-0001"}:                                  &dbtypes.Advisory{PatchedVersions: []string{"~> 2.2.9", ">= 3.0.10"}, UnaffectedVersions: []string{"< 2.0"}},
			{composerBucket, "symfony/http-kernel", "CVE-2024-0001"}:              below("5.4.20"),
			{cargoBucket, "hyper", "RUSTSEC-2023-0034"}:                           below("0.14.26"),
			{nugetBucket, "newtonsoft.json", "GHSA-5crp-9r3c-p9vr"}:               below("13.0.1"),
		},
		sources: map[string]dbtypes.DataSource{
			"debian 12": {ID: "debian"}, "alpine 3.20": {ID: "alpine"}, "alpine edge": {ID: "alpine"}, "rocky 9": {ID: "rocky"},
			npmBucket: ghsa, pipBucket: ghsa, mavenBucket: ghsa, cargoBucket: ghsa, nugetBucket: ghsa,
			goBucket: {ID: "govulndb"}, gemBucket: {ID: "ruby-advisory-db"}, composerBucket: {ID: "php-security-advisories"},
		},
		vulnerabilities: map[string]dbtypes.Vulnerability{
			"CVE-2024-0001": {
				Title: "first", Description: "the first one", Severity: "HIGH", CweIDs: []string{"CWE-787"},
				VendorSeverity: dbtypes.VendorSeverity{"nvd": dbtypes.SeverityHigh, "debian": dbtypes.SeverityMedium, "ghsa": dbtypes.SeverityCritical},
				CVSS: dbtypes.VendorCVSS{
					"redhat": {V3Score: 9.9, V3Vector: "CVSS:3.1/redhat"},
					"ghsa":   {V40Score: 8.8, V40Vector: "CVSS:4.0/ghsa"},
					"nvd":    {V2Score: 6.4, V2Vector: "AV:N", V3Score: 7.5, V3Vector: "CVSS:3.1/nvd"},
				},
				References: []string{"https://example.com/1"}, PublishedDate: &published,
			},
			"CVE-2024-0002":       {Title: "second", CVSS: dbtypes.VendorCVSS{"aqua": {V40Score: 5.5, V40Vector: "CVSS:4.0/aqua"}}},
			"CVE-2024-0003":       {VendorSeverity: dbtypes.VendorSeverity{"nvd": dbtypes.SeverityMedium}},
			"CVE-2021-0001":       {VendorSeverity: dbtypes.VendorSeverity{"ghsa": dbtypes.SeverityCritical}},
			"RUSTSEC-2023-0034":   {VendorSeverity: dbtypes.VendorSeverity{"nvd": dbtypes.SeverityLow}},
			"GHSA-5crp-9r3c-p9vr": {VendorSeverity: dbtypes.VendorSeverity{"ghsa": dbtypes.SeverityHigh}},
		},
		repositories: map[string][]int{
			"rhel-9-for-x86_64-baseos-rpms": {1}, "rhel-9-for-x86_64-appstream-rpms": {1}, "rhel-9-eus": {2},
		},
	}
}

func debian(name, source, version, release string) *tidewaiter.Package {
	return &tidewaiter.Package{
		Distribution: tidewaiter.Distribution{Family: "debian", Release: "12.5"}, Ecosystem: tidewaiter.EcosystemDeb,
		Name: name, Version: version, Release: release, Source: source, Arch: "amd64",
	}
}

func redHat(family, name string, epoch int, version, release string) *tidewaiter.Package {
	return &tidewaiter.Package{
		Distribution: tidewaiter.Distribution{Family: family, Release: "9.4"}, Ecosystem: tidewaiter.EcosystemRPM,
		Name: name, Epoch: epoch, Version: version, Release: release, Arch: "x86_64",
	}
}

func library(e tidewaiter.Ecosystem, kind, name, version string) *tidewaiter.Package {
	return &tidewaiter.Package{Ecosystem: e, Type: kind, Name: name, Version: version}
}
