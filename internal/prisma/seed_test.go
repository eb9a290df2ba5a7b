package prisma_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"math/big"
	"strings"
	"testing"
	"time"

	"github.com/tidewaiter/tidewaiter/internal/control"
	"github.com/tidewaiter/tidewaiter/internal/store"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// testCA makes a certificate somebody could trust.
func testCA(t *testing.T) string {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	ca := &x509.Certificate{SerialNumber: big.NewInt(1), IsCA: true, BasicConstraintsValid: true}
	der, err := x509.CreateCertificate(rand.Reader, ca, ca, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
}

// endScan ends the scan of a registry: with an error as failed, without as completed.
func (c *console) endScan(registryID, failure string) {
	c.Helper()
	scans, _, err := c.control.Scans(c.Context(), control.ScanFilter{RegistryIDs: []string{registryID}, Unfinished: true})
	c.must(err)
	c.must(c.store.Update(c.Context(), func(tx *store.Tx) error {
		for _, s := range scans {
			s.State, s.Error, s.EndedAt, s.UpdatedAt = tidewaiter.ScanCompleted, failure, c.clock.Now(), c.clock.Now()
			if failure != "" {
				s.State = tidewaiter.ScanFailed
			}
			if err := tx.UpdateScan(c.Context(), s); err != nil {
				return err
			}
		}
		return nil
	}))
}

func digestOf(n int) string { return fmt.Sprintf("sha256:%064x", n) }

const analyzer = "test"

// seed stores judged images under repository:tag names of the first declared registry, as a scan would. The n-th image has
// n%3 vulnerable packages on top of a fixed set.
func (c *console) seed(names ...string) {
	c.Helper()
	rs, _, err := c.control.Registries(c.Context(), control.RegistryFilter{Origin: tidewaiter.OriginPrisma})
	c.must(err)
	for i, name := range names {
		repository, tag, _ := strings.Cut(name, ":")
		c.must(c.store.Update(c.Context(), func(tx *store.Tx) error { return c.seedImage(tx, rs[0], i, repository, tag) }))
	}
}

// baseImage is the number of the image the others are built on: their lowest layer alone.
const baseImage = 50

func (c *console) seedBase(name string) {
	c.Helper()
	rs, _, err := c.control.Registries(c.Context(), control.RegistryFilter{Origin: tidewaiter.OriginPrisma})
	c.must(err)
	repository, tag, _ := strings.Cut(name, ":")
	c.must(c.store.Update(c.Context(), func(tx *store.Tx) error { return c.seedImage(tx, rs[0], baseImage, repository, tag) }))
}

func (c *console) seedImage(tx *store.Tx, r *tidewaiter.Registry, n int, repository, tag string) error {
	ctx, now := c.Context(), c.clock.Now()
	tagID, err := c.seedTag(tx, r, repository, tag, digestOf(1000+n))
	if err != nil {
		return err
	}
	image := seededImage(n)
	if _, err := tx.IndexTag(ctx, store.IndexTag{TagID: tagID, Digest: image.Digest, Images: []*tidewaiter.Image{image},
		Source: store.Source{RegistryID: r.ID, Repository: repository}, Analyzer: analyzer, Now: now}); err != nil {
		return err
	}
	for _, l := range image.Layers {
		if _, err := tx.LayerDone(ctx, l.DiffID, analyzer, &tidewaiter.Analysis{DiffID: l.DiffID, Analyzer: analyzer}, now); err != nil {
			return err
		}
	}
	content := seededContent()
	all := content.Installed
	packages := make([]*tidewaiter.Package, len(content.Installed))
	for i := range content.Installed {
		packages[i] = content.Installed[i].Package
	}
	if err := tx.InternPackages(ctx, packages); err != nil {
		return err
	}
	findings, counts := seededFindings(packages, n)
	if n == baseImage {
		content.Installed, content.Secrets, counts = all[:2], nil, tidewaiter.Counts{Critical: 1, Negligible: 1}
	}
	if err := tx.SaveFindings(ctx, "v1", findings, seededVulnerabilities(), now); err != nil {
		return err
	}
	checks := []tidewaiter.Check{
		{ID: 41, Benchmark: "CIS_Docker_v1.5.0", Section: "4.1", Title: "Image should be created with a non-root user", Severity: tidewaiter.SeverityHigh},
		{ID: 425, Title: "Private keys stored in image", Severity: tidewaiter.SeverityHigh, Cause: "Found: /root/.ssh/id_rsa"},
		{ID: 406, Benchmark: "CIS_Docker_v1.5.0", Section: "4.6", Title: "Add HEALTHCHECK instruction to the container image", Severity: tidewaiter.SeverityMedium, Passed: true},
	}
	_, err = tx.SaveJudgement(ctx, store.SaveJudgement{ImageID: image.ID, Content: content, Checks: checks, Now: now, Judgement: &tidewaiter.Judgement{
		Advisories: "v1", Analyzer: analyzer, JudgedAt: now, Distribution: content.Distribution, Packages: len(packages),
		Vulnerabilities: counts, Checks: tidewaiter.Counts{High: 2}, Secrets: 1,
		RiskFactors: []tidewaiter.RiskFactor{tidewaiter.RiskHigh, tidewaiter.RiskHasFix, tidewaiter.RiskRoot},
	}})
	return err
}

func (c *console) seedTag(tx *store.Tx, r *tidewaiter.Registry, repository, tag, digest string) (int64, error) {
	ctx, now := c.Context(), c.clock.Now()
	in := tidewaiter.Decision{Included: true, Reason: tidewaiter.ReasonSelected}
	ids, err := tx.RecordRepositories(ctx, r.ID, "", r.Host(), []store.RepositoryDecision{{Name: repository, Decision: in}})
	if err != nil {
		return 0, err
	}
	tags, err := tx.RecordTags(ctx, store.RecordTags{RegistryID: r.ID, RepositoryID: ids[repository], Analyzer: analyzer, Now: now,
		Tags: []tidewaiter.ListedTag{{Name: tag, Digest: digest, UpdatedAt: now.Add(-time.Hour)}}})
	if err != nil {
		return 0, err
	}
	return tags[0].TagID, nil
}

func seededImage(n int) *tidewaiter.Image {
	created := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	image := &tidewaiter.Image{
		Digest: digestOf(1000 + n), ConfigDigest: digestOf(2000 + n), MediaType: "application/vnd.oci.image.manifest.v1+json",
		Platform: tidewaiter.Platform{OS: "linux", Architecture: "amd64"}, Size: 1234, CreatedAt: created,
		Layers: []tidewaiter.LayerRef{
			{Digest: digestOf(1), DiffID: digestOf(11), Size: 1000, CreatedAt: created},
			{Digest: digestOf(2), DiffID: digestOf(12), Size: 234, CreatedAt: created.Add(time.Minute)},
		},
		Config: tidewaiter.ImageConfig{
			Env: []string{"PATH=/bin"}, Entrypoint: []string{"/app"}, Cmd: []string{"serve"}, WorkingDir: "/srv",
			Labels: map[string]string{"team": "blue"}, Healthcheck: []string{"CMD", "true"},
			History: []tidewaiter.HistoryEntry{
				{CreatedAt: created, CreatedBy: "ADD rootfs.tar.gz / # buildkit"},
				{CreatedAt: created, CreatedBy: "ENV PATH=/bin", EmptyLayer: true},
				{CreatedAt: created.Add(time.Minute), CreatedBy: "COPY app /app"},
			},
		},
	}
	if n == baseImage {
		image.Layers, image.Config.History = image.Layers[:1], image.Config.History[:2]
	}
	return image
}

func seededContent() *tidewaiter.Content {
	d := tidewaiter.Distribution{Family: "debian", Release: "12.5", PrettyName: "Debian GNU/Linux 12 (bookworm)"}
	id := tidewaiter.Distribution{Family: "debian", Release: "12.5"}
	return &tidewaiter.Content{
		Distribution: &d,
		Installed: []tidewaiter.Installed{
			{Layer: 0, Package: &tidewaiter.Package{Distribution: id, Ecosystem: tidewaiter.EcosystemDeb, Type: "dpkg", Name: "libssl3",
				Version: "3.0.11", Release: "1", Source: "openssl", SourceVer: "3.0.11", SourceRel: "1", Licenses: []string{"Apache-2.0"},
				PURL: "pkg:deb/debian/libssl3@3.0.11-1"}},
			{Layer: 0, Package: &tidewaiter.Package{Distribution: id, Ecosystem: tidewaiter.EcosystemDeb, Type: "dpkg", Name: "apt", Version: "2.6.1"}},
			{Layer: 1, Path: "app/package.json", Package: &tidewaiter.Package{Ecosystem: tidewaiter.EcosystemNPM, Type: "node-pkg", Name: "lodash",
				Version: "4.17.20", Licenses: []string{"MIT"}, PURL: "pkg:npm/lodash@4.17.20"}},
		},
		Secrets: []tidewaiter.Secret{{Rule: "private-key", Title: "Asymmetric Private Key", Severity: tidewaiter.SeverityHigh,
			Path: "/root/.ssh/id_rsa", StartLine: 1, EndLine: 9, Match: "-----BEGIN ***", Layer: 1}},
	}
}

// seededFindings are the same for all images, as findings belong to packages; only the counts differ, so that there is
// something to sort by.
func seededFindings(packages []*tidewaiter.Package, n int) (map[int64][]tidewaiter.Finding, tidewaiter.Counts) {
	findings := map[int64][]tidewaiter.Finding{
		packages[0].ID: {
			{Vulnerability: "CVE-2026-0001", Severity: tidewaiter.SeverityCritical, Status: "fixed", FixedIn: "3.0.12-1", URL: "https://example.com/CVE-2026-0001"},
			{Vulnerability: "CVE-2020-0002", Severity: tidewaiter.SeverityNegligible, Status: "will_not_fix"},
		},
		packages[1].ID: {},
		packages[2].ID: {{Vulnerability: "GHSA-aaaa-bbbb-cccc", Severity: tidewaiter.SeverityHigh, Status: "fixed", FixedIn: "4.17.21, 5.0.0"}},
	}
	return findings, tidewaiter.Counts{Critical: 1, High: 1 + n%3, Negligible: 1}
}

func seededVulnerabilities() map[string]*tidewaiter.Vulnerability {
	return map[string]*tidewaiter.Vulnerability{
		"CVE-2026-0001": {ID: "CVE-2026-0001", Title: "Overflow", Description: "=cmd|' /C calc'!A0 allows remote attackers to execute code.",
			Severity: tidewaiter.SeverityCritical, Score: 9.8, Vector: "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H",
			References: []string{"https://www.cisa.gov/known-exploited-vulnerabilities-catalog"}, Published: time.Date(2026, 2, 1, 0, 0, 0, 0, time.UTC)},
		"GHSA-aaaa-bbbb-cccc": {ID: "GHSA-aaaa-bbbb-cccc", Description: "Prototype pollution.", Severity: tidewaiter.SeverityHigh, ScoreV2: 7.2},
	}
}
