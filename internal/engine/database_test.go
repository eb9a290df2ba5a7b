package engine_test

import (
	"bytes"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"testing"

	dbtypes "github.com/aquasecurity/trivy-db/pkg/types"
	trivylog "github.com/aquasecurity/trivy/pkg/log"

	"github.com/tidewaiter/tidewaiter/internal/engine"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// versionedDatabase says that lodash 1 is fixed in the version it is itself named after.
func versionedDatabase(t *testing.T, version string) string {
	return writeDatabase(t, advisoryDB{advisories: map[[3]string]any{
		{npmBucket, "lodash", "CVE-2024-0001"}: &dbtypes.Advisory{VulnerableVersions: []string{"<" + version}, PatchedVersions: []string{version}},
	}})
}

func TestOpenSwapsUnderRunningMatches(t *testing.T) {
	var dirs []string
	for i := range 4 {
		dirs = append(dirs, versionedDatabase(t, fmt.Sprintf("%d.0.0", i+2)))
	}
	m := openMatcher(t, dirs[0], "2.0.0")
	pkgs := []*tidewaiter.Package{library("npm", "", "lodash", "1.0.0"), library("npm", "", "lodash", "1.0.1")}
	var wg sync.WaitGroup
	stop := make(chan struct{})
	for range 4 {
		wg.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				ms, err := m.Match(t.Context(), pkgs)
				if err != nil {
					t.Error(err)
					return
				}
				for i, f := range ms.Findings {
					if len(f) != 1 || f[0].FixedIn != ms.Advisories.Version {
						t.Errorf("package %d under %s: %v %v", i, ms.Advisories.Version, f, ms.Unmatched)
						return
					}
				}
				if _, err := m.Describe(t.Context(), []string{"CVE-2024-0001"}); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	for i := range 40 {
		n := i % len(dirs)
		if err := m.Open(dirs[n], tidewaiter.Advisories{Version: fmt.Sprintf("%d.0.0", n+2)}); err != nil {
			t.Error(err)
			break
		}
	}
	close(stop)
	wg.Wait()
}

func TestOpenKeepsTheOldWhenTheNewIsBad(t *testing.T) {
	good := writeDatabase(t, sampleDatabase())
	raw, err := os.ReadFile(filepath.Join(good, "trivy.db"))
	if err != nil {
		t.Fatal(err)
	}
	flipped := bytes.Clone(raw)
	for i := range 8192 { // both meta pages
		flipped[i] ^= 0xff
	}
	cases := map[string]struct {
		content []byte
		kind    tidewaiter.ErrorKind
	}{
		"missing":          {nil, tidewaiter.ErrNotFound},
		"empty":            {[]byte{}, tidewaiter.ErrMalformed},
		"not a database":   {bytes.Repeat([]byte("no database "), 4096), tidewaiter.ErrMalformed},
		"damaged":          {flipped, tidewaiter.ErrMalformed},
		"cut in half":      {raw[:len(raw)/2], tidewaiter.ErrMalformed},
		"only its head":    {raw[:8192], tidewaiter.ErrMalformed},
		"less than a page": {raw[:100], tidewaiter.ErrMalformed},
	}
	m := openMatcher(t, good, "v1")
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			if c.content != nil {
				if err := os.WriteFile(filepath.Join(dir, "trivy.db"), c.content, 0o600); err != nil {
					t.Fatal(err)
				}
			}
			err := m.Open(dir, tidewaiter.Advisories{Version: "v2"})
			if tidewaiter.KindOf(err) != c.kind {
				t.Errorf("open: %v, want %s", err, c.kind)
			}
			if a, ok := m.Advisories(); !ok || a.Version != "v1" {
				t.Errorf("advisories: %v %v, want v1", a, ok)
			}
			ms, err := m.Match(t.Context(), []*tidewaiter.Package{library("npm", "", "lodash", "4.17.20")})
			if err != nil || len(ms.Findings[0]) != 1 {
				t.Errorf("match: %v %v", ms, err)
			}
			if _, err := os.Stat(filepath.Join(dir, "trivy.db")); c.content != nil && err != nil {
				t.Errorf("the bad file is gone: %v", err)
			}
		})
	}
}

// TestMatchReportsDamage: a file torn while it is open (which nobody should do) is an error, not the end of the process.
func TestMatchReportsDamage(t *testing.T) {
	dir := writeDatabase(t, sampleDatabase())
	m := openMatcher(t, dir, "v1")
	if err := os.Truncate(filepath.Join(dir, "trivy.db"), 0); err != nil {
		t.Fatal(err)
	}
	ms, err := m.Match(t.Context(), []*tidewaiter.Package{library("npm", "", "lodash", "4.17.20")})
	if err != nil {
		t.Fatal(err)
	}
	if len(ms.Unmatched) != 1 || ms.Findings[0] != nil {
		t.Errorf("match: %v", ms)
	}
	if _, err := m.Describe(t.Context(), []string{"CVE-2024-0001"}); tidewaiter.KindOf(err) != tidewaiter.ErrMalformed {
		t.Errorf("describe: %v, want malformed", err)
	}
	if err := m.Open(versionedDatabase(t, "2.0.0"), tidewaiter.Advisories{Version: "2.0.0"}); err != nil {
		t.Fatal(err)
	}
	if ms, err := m.Match(t.Context(), []*tidewaiter.Package{library("npm", "", "lodash", "1.0.0")}); err != nil || len(ms.Findings[0]) != 1 {
		t.Errorf("match after a new database: %v %v", ms, err)
	}
}

func TestQuietTrivy(t *testing.T) {
	before := slog.Default()
	defer slog.SetDefault(before)
	var out bytes.Buffer
	slog.SetDefault(slog.New(engine.QuietTrivy(slog.NewTextHandler(&out, &slog.HandlerOptions{Level: slog.LevelDebug}))))
	m := openMatcher(t, writeDatabase(t, sampleDatabase()), "v1")
	trivylog.Warnf("from Trivy")
	if _, err := m.Match(t.Context(), []*tidewaiter.Package{debian("libssl3", "openssl", "3.0.11", "1"), library("conda", "conda-pkg", "x", "1")}); err != nil {
		t.Fatal(err)
	}
	if out.Len() > 0 {
		t.Errorf("Trivy was heard: %s", out.String())
	}
	slog.With("a", 1).WithGroup("g").Info("ours")
	if !bytes.Contains(out.Bytes(), []byte("ours")) {
		t.Error("our own message was lost")
	}
}
