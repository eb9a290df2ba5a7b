package report_test

import (
	"bytes"
	"errors"
	"flag"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tidewaiter/tidewaiter/internal/report"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

var update = flag.Bool("update", false, "write the golden files anew")

type writer func(io.Writer, *tidewaiter.Result, report.Options) error

// writers are all writers by the name of their golden file.
var writers = map[string]writer{
	"report.json": report.JSON, "report.sarif.json": report.SARIF, "report.cdx.json": report.CycloneDX,
	"report.cdx.xml": report.CycloneDXXML, "report.spdx.json": report.SPDX, "report.csv": report.CSV,
	"report.txt": report.Table, "report.narrow.txt": narrow, "report.color.txt": colored,
}

func narrow(w io.Writer, r *tidewaiter.Result, o report.Options) error {
	o.Width = 90
	return report.Table(w, r, o)
}

func colored(w io.Writer, r *tidewaiter.Result, o report.Options) error {
	o.Width, o.Color = 140, true
	return report.Table(w, r, o)
}

func options() report.Options {
	return report.Options{Reference: "registry.example.com:5000/team/app:1.0", Version: "1.2.3",
		Now: time.Date(2026, 3, 1, 9, 30, 0, 0, time.UTC), Namespace: "https://tidewaiter.example.com/spdx"}
}

// evil tries everything text can do to its reader.
const evil = "=cmd|'/c calc'!A1\x1b[2J\x07\u202e\r\n<script>&\"\xff"

func result() *tidewaiter.Result {
	day := func(n int) time.Time { return time.Date(2026, 2, n, 0, 0, 0, 0, time.UTC) }
	debian := tidewaiter.Distribution{Family: "debian", Release: "12.5"}
	openssl := &tidewaiter.Package{ID: 1, Distribution: debian, Ecosystem: tidewaiter.EcosystemDeb, Type: "dpkg", Name: "libssl3",
		Version: "3.0.11", Release: "1~deb12u2", Arch: "amd64", Source: "openssl", SourceVer: "3.0.11", SourceRel: "1~deb12u2",
		Maintainer: "Debian OpenSSL Team", Licenses: []string{"Apache-2.0", "Some custom licence"},
		PURL: "pkg:deb/debian/libssl3@3.0.11-1~deb12u2?arch=amd64&distro=debian-12.5"}
	express := &tidewaiter.Package{ID: 2, Ecosystem: tidewaiter.EcosystemNPM, Type: "node-pkg", Name: "express", Version: "4.17.1",
		Licenses: []string{"mit or apache-2.0"}, PURL: "pkg:npm/express@4.17.1"}
	strange := &tidewaiter.Package{ID: 3, Ecosystem: tidewaiter.EcosystemPyPI, Type: "python-pkg", Name: evil, Version: "-1", Licenses: []string{evil, ""}}
	clean := &tidewaiter.Package{ID: 4, Distribution: debian, Ecosystem: tidewaiter.EcosystemDeb, Name: "zlib1g", Epoch: 1, Version: "1.2.13"}
	layers := []tidewaiter.LayerRef{
		{Digest: "sha256:1111111111111111111111111111111111111111111111111111111111111111", DiffID: "sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", Size: 29_150_000, CreatedBy: "ADD file in /"},
		{Digest: "sha256:2222222222222222222222222222222222222222222222222222222222222222", DiffID: "sha256:bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb", Size: 1_200_000, CreatedBy: "COPY . /app"},
	}
	repository := tidewaiter.Repository{Host: "registry.example.com:5000", Name: "team/app"}
	return &tidewaiter.Result{
		Image: &tidewaiter.Image{
			Digest:       "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
			ConfigDigest: "sha256:fedcba9876543210fedcba9876543210fedcba9876543210fedcba9876543210",
			MediaType:    "application/vnd.oci.image.manifest.v1+json", Platform: tidewaiter.Platform{OS: "linux", Architecture: "amd64"},
			Size: 30_350_000, CreatedAt: day(1), Layers: layers, State: tidewaiter.ImageJudged,
			Config: tidewaiter.ImageConfig{Env: []string{"TOKEN=hunter2"}, ExposedPorts: []string{"8080/tcp"}, Labels: map[string]string{"b": "2", "a": "1"}},
			Judgement: &tidewaiter.Judgement{
				Advisories: "sha256:adv", Analyzer: "3", JudgedAt: day(28), Distribution: &tidewaiter.Distribution{Family: "debian", Release: "12.5", PrettyName: "Debian GNU/Linux 12 (bookworm)"},
				RiskFactors: []tidewaiter.RiskFactor{tidewaiter.RiskCritical, tidewaiter.RiskRoot}, Incomplete: true,
				Verdict: tidewaiter.Verdict{Effect: tidewaiter.EffectBlock, Rules: []string{"Production"}, Alerts: 4, Blocks: 1, Reasons: []tidewaiter.VerdictReason{
					{Effect: tidewaiter.EffectBlock, Rule: "Production", Vulnerability: "CVE-2026-1000", Package: "libssl3 3.0.11-1~deb12u2", Severity: tidewaiter.SeverityCritical, Why: "severity is critical or above"},
					{Effect: tidewaiter.EffectAlert, Rule: "Production", Check: 41, Severity: tidewaiter.SeverityHigh, Why: "the image runs as root"},
					{Effect: tidewaiter.EffectAlert, Rule: "Production", License: "GPL-3.0-only", Package: "x 1", Severity: tidewaiter.SeverityLow, Why: "severity is low or above"},
				}},
			},
		},
		Tags: []tidewaiter.Tag{{Repository: repository, Name: "latest"}, {Repository: repository, Name: "1.0"}},
		Content: &tidewaiter.Content{
			Installed: []tidewaiter.Installed{{Package: strange, Layer: 7, Path: "/app/" + evil}, {Package: express, Layer: 1, Path: "/app/b/package.json"},
				{Package: express, Layer: 1, Path: "/app/a/package.json"}, {Package: clean}, {Package: openssl}, {}},
			Secrets: []tidewaiter.Secret{{Rule: "aws-access-key-id", Category: "AWS", Title: "AWS Access Key ID", Severity: tidewaiter.SeverityCritical,
				Path: "/app/.env", StartLine: 3, EndLine: 3, Match: "AWS_KEY=********************", Layer: 1}},
			Notices: []tidewaiter.Notice{{Kind: tidewaiter.ErrTooLarge, Path: "/app/big.jar", Text: "larger than 100 MB; not looked into"}},
		},
		Findings: map[int64][]tidewaiter.Finding{
			1: {{PackageID: 1, Vulnerability: "CVE-2026-1001", Severity: tidewaiter.SeverityLow, Source: "debian", Status: "will_not_fix", URL: "https://security.example.org/CVE-2026-1001"},
				{PackageID: 1, Vulnerability: "CVE-2026-1000", Severity: tidewaiter.SeverityCritical, Source: "debian", Status: "fixed", FixedIn: "3.0.11-1~deb12u3", URL: "https://security.example.org/CVE-2026-1000"}},
			2: {{PackageID: 2, Vulnerability: "GHSA-xxxx-yyyy-zzzz", Severity: tidewaiter.SeverityMedium, Source: "ghsa", Status: "fixed", FixedIn: "4.19.2", URL: "javascript:alert(1)"}},
			3: {{PackageID: 3, Vulnerability: "CVE-2020-9999", Severity: tidewaiter.SeverityNegligible, Status: "affected"}},
		},
		Vulnerabilities: map[string]*tidewaiter.Vulnerability{
			"CVE-2026-1000": {ID: "CVE-2026-1000", Title: "openssl: out-of-bounds write when parsing a certificate", Description: "A long\ndescription.", Severity: tidewaiter.SeverityCritical,
				Score: 9.8, Vector: "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H", ScoreV2: 7.5, VectorV2: "AV:N/AC:L/Au:N/C:P/I:P/A:P", CWEs: []string{"CWE-787", "NVD-CWE-noinfo"},
				References: []string{"https://www.openssl.example/a", "ftp://x", "https://www.openssl.example/a"}, Published: day(2), Modified: day(3)},
			"CVE-2020-9999": {ID: "CVE-2020-9999", Title: "@SUM(1+1) " + evil, Description: evil, Severity: tidewaiter.SeverityNegligible},
		},
		FirstFound: map[tidewaiter.FindingKey]time.Time{{PackageID: 1, Vulnerability: "CVE-2026-1000"}: day(4)},
		Checks: []tidewaiter.Check{{ID: 425, Title: "Private keys stored in image", Severity: tidewaiter.SeverityHigh, Passed: true},
			{ID: 406, Title: "Add HEALTHCHECK instruction to the container image", Severity: tidewaiter.SeverityMedium},
			{ID: 41, Title: "Image should be created with a non-root user", Severity: tidewaiter.SeverityHigh, Cause: "the image runs as root"}},
	}
}

func write(t *testing.T, f writer, r *tidewaiter.Result, o report.Options) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := f(&b, r, o); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestGolden(t *testing.T) {
	for name, f := range writers {
		t.Run(name, func(t *testing.T) {
			got := write(t, f, result(), options())
			path := filepath.Join("testdata", name)
			if *update {
				if err := os.WriteFile(path, got, 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), string(got)); diff != "" {
				t.Error(diff)
			}
			if again := write(t, f, result(), options()); !bytes.Equal(got, again) {
				t.Error("the same result gives another report")
			}
		})
	}
}

func TestNoSecretsOfTheEnvironment(t *testing.T) {
	for name, f := range writers {
		if bytes.Contains(write(t, f, result(), options()), []byte("hunter2")) {
			t.Errorf("%s shows the environment", name)
		}
	}
}

func TestEmptyResult(t *testing.T) {
	for name, f := range writers {
		t.Run(name, func(t *testing.T) {
			for _, r := range []*tidewaiter.Result{{}, {Image: &tidewaiter.Image{}}, {Image: &tidewaiter.Image{}, Content: &tidewaiter.Content{}}} {
				if got := write(t, f, r, report.Options{Now: options().Now}); len(got) == 0 {
					t.Error("nothing was written")
				}
			}
		})
	}
}

type broken struct{}

var errBroken = errors.New("broken pipe")

func (broken) Write([]byte) (int, error) { return 0, errBroken }

func TestWriteErrors(t *testing.T) {
	for name, f := range writers {
		if err := f(broken{}, result(), options()); !errors.Is(err, errBroken) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
