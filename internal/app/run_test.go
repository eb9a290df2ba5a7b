package app_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/tidewaiter/tidewaiter/internal/app"
	"github.com/tidewaiter/tidewaiter/internal/control"
	"github.com/tidewaiter/tidewaiter/internal/samples"
	"github.com/tidewaiter/tidewaiter/internal/secret"
	"github.com/tidewaiter/tidewaiter/internal/testkit"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

const adminPassword = "correct horse battery staple"

// patience bounds every wait of these tests. Nothing here takes as long unless it hangs; under the race detector, which slows
// SQLite down more than anything, nothing takes three times as long.
var patience = func() time.Duration {
	if testkit.UnderRace {
		return 6 * time.Minute
	}
	return 2 * time.Minute
}()

// onBoth runs a test on SQLite and on PostgreSQL: at once, or one after the other in a process of its own.
func onBoth(t *testing.T, f func(t *testing.T, database string)) {
	t.Run("sqlite", func(t *testing.T) {
		beside(t)
		f(t, "")
	})
	t.Run("postgres", func(t *testing.T) {
		beside(t)
		f(t, testkit.Postgres(t))
	})
}

// server is a running app.
type server struct {
	*app.App
	control *control.Control
	stop    func()
}

// start runs an app until the test ends. Without Advisories it gets the sample advisories from a registry of their own.
func start(t *testing.T, cfg app.Config) *server {
	t.Helper()
	cfg.Listen = "127.0.0.1:0"
	cfg.AllowLoopback, cfg.PlainHTTPAdvisories = true, true
	cfg.AdminPassword = secret.New(adminPassword)
	if cfg.Data == "" {
		cfg.Data = t.TempDir()
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelWarn}))
	}
	a, err := app.New(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- a.Run(ctx) }()
	stopped := false
	s := &server{App: a, control: a.Control(), stop: func() {
		if stopped {
			return
		}
		stopped = true
		cancel()
		if err := <-done; err != nil {
			t.Errorf("the server ended with: %v", err)
		}
	}}
	t.Cleanup(s.stop)
	return s
}

// eventually waits until f says that it is so.
func eventually(t *testing.T, what string, f func() bool, state ...func() string) {
	t.Helper()
	for deadline := time.Now().Add(patience); !f(); {
		if time.Now().After(deadline) {
			for _, f := range state {
				t.Log(f())
			}
			t.Fatalf("not so after %s: %s", patience, what)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// withAdvisories waits for the advisories.
func (s *server) withAdvisories(t *testing.T) *server {
	t.Helper()
	needsApart(t)
	eventually(t, "advisories in use", func() bool { return s.control.Advisories().Current != nil })
	return s
}

// finished waits until no scan is on its way and returns the newest scan of each registry.
func (s *server) finished(t *testing.T) map[string]*tidewaiter.Scan {
	t.Helper()
	var newest map[string]*tidewaiter.Scan
	describe := func() string {
		out := "newest scans:"
		for _, scan := range newest {
			out += fmt.Sprintf("\n%+v", scan)
		}
		return out
	}
	eventually(t, "all scans over", func() bool {
		scans, _, err := s.control.Scans(t.Context(), control.ScanFilter{Page: control.Page{Limit: 1000}})
		if err != nil {
			t.Fatal(err)
		}
		newest = map[string]*tidewaiter.Scan{}
		for _, scan := range scans {
			if newest[scan.RegistryID] == nil {
				newest[scan.RegistryID] = scan
			}
			if !scan.State.Done() {
				return false
			}
		}
		return len(scans) > 0
	}, describe)
	return newest
}

// results returns every row, by repository:tag.
func (s *server) results(t *testing.T) map[string]control.Row {
	t.Helper()
	rows, _, err := s.control.Results(t.Context(), control.ResultFilter{Page: control.Page{Limit: 10_000}})
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]control.Row{}
	for _, r := range rows {
		name := r.Tag.Repository.Name + ":" + r.Tag.Name
		if _, twice := out[name]; twice {
			t.Errorf("%s is shown twice", name)
		}
		out[name] = r
	}
	return out
}

// metric reads a counter or gauge from /metrics, summed over its labels.
func (s *server) metric(t *testing.T, name string) float64 {
	t.Helper()
	res, err := http.Get(s.URL() + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	sum := 0.0
	for lines := bufio.NewScanner(res.Body); lines.Scan(); {
		rest, ok := strings.CutPrefix(lines.Text(), name)
		if !ok || rest == "" || rest[0] != ' ' && rest[0] != '{' {
			continue
		}
		v, err := strconv.ParseFloat(rest[strings.LastIndexByte(rest, ' ')+1:], 64)
		if err != nil {
			t.Fatal(err)
		}
		sum += v
	}
	return sum
}

// sampleRegistry is a registry that holds the samples and their advisories.
func sampleRegistry(t *testing.T) *testkit.Server {
	t.Helper()
	r := testkit.Registry(t, testkit.Options{})
	if err := samples.Push(t.Context(), r.URL, samples.Options{}); err != nil {
		t.Fatal(err)
	}
	return r
}

func advisoriesIn(r *testkit.Server) []string {
	return []string{r.Host + "/" + samples.AdvisoriesRepository + ":" + samples.AdvisoriesTag}
}

// declare adds a native registry and has it scanned.
func (s *server) declare(t *testing.T, url string, change ...func(*tidewaiter.Registry)) *tidewaiter.Registry {
	t.Helper()
	draft := &tidewaiter.Registry{Kind: tidewaiter.KindOCI, URL: url, Origin: tidewaiter.OriginNative,
		Scope: tidewaiter.Scope{ExcludeRepositories: []string{"tidewaiter/*"}}}
	for _, f := range change {
		f(draft)
	}
	r, err := s.control.AddRegistry(t.Context(), draft, true)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func (s *server) rescan(t *testing.T, r *tidewaiter.Registry) *tidewaiter.Scan {
	t.Helper()
	if _, err := s.control.StartScan(t.Context(), r.ID, control.ScanRequest{Lane: tidewaiter.LaneFresh, OnDemand: true}); err != nil {
		t.Fatal(err)
	}
	return s.finished(t)[r.ID]
}

// push sends an image of our own making to a registry.
func push(t *testing.T, url, repository string, m *samples.Manifest, tags ...string) {
	t.Helper()
	p, err := samples.NewPusher(url, samples.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Push(t.Context(), repository, m, tags...); err != nil {
		t.Fatal(err)
	}
}

// readAll reads a small body.
func readAll(t *testing.T, r io.Reader) string {
	t.Helper()
	b, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// dataFile is a file of the server's data folder.
func dataFile(t *testing.T, dir, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(dir, name))
	if err != nil {
		t.Fatal(err)
	}
	return b
}
