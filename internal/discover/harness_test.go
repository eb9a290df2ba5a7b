package discover_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/tidewaiter/tidewaiter/emulator"
	"github.com/tidewaiter/tidewaiter/internal/connector/connectortest"
	"github.com/tidewaiter/tidewaiter/internal/control"
	"github.com/tidewaiter/tidewaiter/internal/discover"
	"github.com/tidewaiter/tidewaiter/internal/store"
	"github.com/tidewaiter/tidewaiter/internal/testkit"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// onBoth runs a test on SQLite and on PostgreSQL.
func onBoth(t *testing.T, f func(t *testing.T, database string)) {
	t.Run("sqlite", func(t *testing.T) { f(t, filepath.Join(t.TempDir(), "test.db")) })
	t.Run("postgres", func(t *testing.T) { f(t, testkit.Postgres(t)) })
}

// jobs notes what would be queued: nobody works on it here.
type jobs struct {
	mu   sync.Mutex
	made []tidewaiter.Job
}

func (j *jobs) Enqueue(_ context.Context, _ *store.Tx, jobs ...tidewaiter.Job) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.made = append(j.made, jobs...)
	return nil
}

func (j *jobs) CancelRegistry(context.Context, string) error { return nil }

// lab is a database, a declared registry in the emulator, and a clock that stands still.
type lab struct {
	t        *testing.T
	e        *connectortest.Emulated
	db       *store.DB
	control  *control.Control
	jobs     *jobs
	registry *tidewaiter.Registry
	now      time.Time
}

func newLab(t *testing.T, database string, kind tidewaiter.RegistryKind, o emulator.Options, change ...func(*tidewaiter.Registry)) *lab {
	t.Helper()
	l := &lab{t: t, e: connectortest.Emulate(t, kind, o), jobs: &jobs{}, now: time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)}
	clock := func() time.Time { return l.now }
	var err error
	if l.db, err = store.Open(t.Context(), store.Config{URL: database, Now: clock}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.db.Close() })
	n := 0
	l.control = control.New(control.Config{
		Store: l.db, Jobs: l.jobs, Now: clock, Log: slog.New(slog.DiscardHandler),
		Advisories: func() control.AdvisoryState { return control.AdvisoryState{} },
		NewID:      func() string { n++; return fmt.Sprintf("id-%d", n) },
	})
	r := *l.e.Registry
	r.Origin = tidewaiter.OriginNative
	for _, f := range change {
		f(&r)
	}
	if l.registry, err = l.control.AddRegistry(t.Context(), &r, false); err != nil {
		t.Fatal(err)
	}
	return l
}

// list runs the listing of a scan to its end, and takes the scan away. It returns how many requests it took.
func (l *lab) list(req control.ScanRequest) int {
	l.t.Helper()
	if why := l.run(req); why != "" {
		l.t.Fatalf("the listing failed: %s", why)
	}
	return l.e.Emulator.Count()
}

// listBroken runs a listing that has to fail.
func (l *lab) listBroken() {
	l.t.Helper()
	if why := l.run(control.ScanRequest{}); why == "" {
		l.t.Fatal("the listing went well")
	}
}

// run returns why the listing failed.
func (l *lab) run(req control.ScanRequest) (why string) {
	l.t.Helper()
	l.e.Emulator.Forget()
	scan, err := l.control.StartScan(l.t.Context(), l.registry.ID, req)
	if err != nil {
		l.t.Fatal(err)
	}
	source := l.e.Open(l.t)
	d := discover.New(discover.Config{
		Store: l.db, Jobs: l.jobs, Analyzer: "a", Parallel: 4, Now: func() time.Time { return l.now },
		Log: slog.New(slog.DiscardHandler), Open: func(context.Context, string) (discover.Source, error) { return source, nil },
		TagJob: func(_ *tidewaiter.Scan, _ string, t store.RecordedTag) tidewaiter.Job {
			return tidewaiter.Job{Kind: "tag", Args: t}
		},
	})
	args, err := json.Marshal(control.ScanArgs{ScanID: scan.ID})
	if err != nil {
		l.t.Fatal(err)
	}
	if err := d.Work(l.t.Context(), tidewaiter.JobRun{Args: args, Attempt: 1, MaxAttempts: 1}); err != nil {
		l.t.Fatal(err)
	}
	if scan, err = l.db.Scan(l.t.Context(), scan.ID); err != nil {
		l.t.Fatal(err)
	}
	if err := l.control.StopScans(l.t.Context(), l.registry.ID); err != nil {
		l.t.Fatal(err)
	}
	return scan.Error
}

// requests is how many of the last listing's requests match.
func (l *lab) requests(pattern string) int {
	l.t.Helper()
	made, err := l.e.Emulator.Requests(pattern)
	if err != nil {
		l.t.Fatal(err)
	}
	return len(made)
}

func (l *lab) tag(repository, name string) *tidewaiter.Tag {
	l.t.Helper()
	tag, err := l.db.TagByReference(l.t.Context(), l.registry.Host()+"/"+repository+":"+name)
	if err != nil {
		l.t.Fatal(err)
	}
	return tag
}
