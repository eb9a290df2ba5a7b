package engine_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	bolt "go.etcd.io/bbolt"

	"github.com/tidewaiter/tidewaiter/internal/engine"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// BenchmarkMatch matches one package of every name the database in TIDEWAITER_BENCH_ADVISORIES has advisories for: more
// than a fleet would hold, where most packages have none. It reports packages and findings a second on one goroutine.
func BenchmarkMatch(b *testing.B) {
	pkgs, m := benchmarkPackages(b), openBenchmark(b)
	var matched, found int
	start := time.Now()
	for b.Loop() {
		ms, err := m.Match(b.Context(), pkgs)
		if err != nil {
			b.Fatal(err)
		}
		matched += len(pkgs)
		for _, f := range ms.Findings {
			found += len(f)
		}
	}
	seconds := time.Since(start).Seconds()
	b.ReportMetric(float64(matched)/seconds, "packages/s")
	b.ReportMetric(float64(found)/seconds, "findings/s")
	b.ReportMetric(float64(len(pkgs)), "packages")
}

func BenchmarkDescribe(b *testing.B) {
	m := openBenchmark(b)
	ms, err := m.Match(b.Context(), benchmarkPackages(b))
	if err != nil {
		b.Fatal(err)
	}
	var ids []string
	for _, findings := range ms.Findings {
		for _, f := range findings {
			if len(ids) < 500 {
				ids = append(ids, f.Vulnerability)
			}
		}
	}
	for b.Loop() {
		if _, err := m.Describe(b.Context(), ids); err != nil {
			b.Fatal(err)
		}
	}
}

func benchmarkDir(b *testing.B) string {
	dir := os.Getenv("TIDEWAITER_BENCH_ADVISORIES")
	if dir == "" {
		b.Skip("TIDEWAITER_BENCH_ADVISORIES names no directory with an advisory database")
	}
	return dir
}

func openBenchmark(b *testing.B) *engine.Matcher {
	m := engine.NewMatcher()
	if err := m.Open(benchmarkDir(b), tidewaiter.Advisories{Version: "benchmark"}); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = m.Close() })
	return m
}

// benchmarkPackages reads the names out of the database's buckets: "debian 12", "npm::…", "go::…" and so on.
func benchmarkPackages(b *testing.B) []*tidewaiter.Package {
	db, err := bolt.Open(filepath.Join(benchmarkDir(b), "trivy.db"), 0o400, &bolt.Options{ReadOnly: true})
	if err != nil {
		b.Fatal(err)
	}
	defer db.Close()
	languages := map[string]tidewaiter.Ecosystem{
		"npm": tidewaiter.EcosystemNPM, "pip": tidewaiter.EcosystemPyPI, "go": tidewaiter.EcosystemGo,
		"rubygems": tidewaiter.EcosystemGem, "composer": tidewaiter.EcosystemComposer, "maven": tidewaiter.EcosystemMaven,
	}
	var pkgs []*tidewaiter.Package
	err = db.View(func(tx *bolt.Tx) error {
		return tx.ForEach(func(bucket []byte, root *bolt.Bucket) error {
			family, release, debian := strings.Cut(string(bucket), " ")
			language, _, _ := strings.Cut(string(bucket), "::")
			return root.ForEachBucket(func(name []byte) error {
				switch {
				case debian && family == "debian":
					pkgs = append(pkgs, &tidewaiter.Package{
						Ecosystem: tidewaiter.EcosystemDeb, Name: string(name), Version: "2.1", Release: "3+deb12u1",
						Distribution: tidewaiter.Distribution{Family: family, Release: release},
					})
				case languages[language] != "":
					pkgs = append(pkgs, &tidewaiter.Package{Ecosystem: languages[language], Name: string(name), Version: "2.1.0"})
				}
				return nil
			})
		})
	})
	if err != nil {
		b.Fatal(err)
	}
	return pkgs
}
