package control_test

import (
	"context"
	"fmt"
	"log/slog"
	"path/filepath"
	"testing"
	"time"

	"github.com/tidewaiter/tidewaiter/internal/control"
	"github.com/tidewaiter/tidewaiter/internal/oci"
	"github.com/tidewaiter/tidewaiter/internal/secret"
	"github.com/tidewaiter/tidewaiter/internal/store"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// recorder notes what would be queued and cancelled.
type recorder struct {
	jobs     []tidewaiter.Job
	canceled []string
}

func (r *recorder) Enqueue(_ context.Context, _ *store.Tx, jobs ...tidewaiter.Job) error {
	r.jobs = append(r.jobs, jobs...)
	return nil
}

func (r *recorder) CancelRegistry(_ context.Context, id string) error {
	r.canceled = append(r.canceled, id)
	return nil
}

// probes answers as it is told.
type probes struct {
	steps []oci.Step
	login secret.Value
}

func (p *probes) Probe(_ context.Context, _ *tidewaiter.Registry, _ *tidewaiter.Credential, s secret.Value) []oci.Step {
	p.login = s
	return p.steps
}

type house struct {
	*control.Control
	store  *store.DB
	jobs   *recorder
	lanes  *laneRecorder
	probes *probes
	now    time.Time
}

// open makes a control over a new SQLite database, with a clock that stands still until it is set.
func open(t testing.TB) *house {
	t.Helper()
	dir := t.TempDir()
	h := &house{jobs: &recorder{}, lanes: &laneRecorder{paused: map[tidewaiter.Lane]bool{}}, probes: &probes{}, now: time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)}
	clock := func() time.Time { return h.now }
	log := slog.New(slog.DiscardHandler)
	var err error
	if h.store, err = store.Open(t.Context(), store.Config{URL: filepath.Join(dir, "test.db"), Log: log, Now: clock}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { h.store.Close() })
	keyring, err := secret.Open(filepath.Join(dir, "master.key"))
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	h.Control = control.New(control.Config{
		Store: h.store, Jobs: h.jobs, Lanes: h.lanes, Keyring: keyring, Prober: h.probes, Now: clock, Log: log,
		Advisories: func() control.AdvisoryState { return control.AdvisoryState{} },
		NewID:      func() string { n++; return fmt.Sprintf("id-%d", n) },
	})
	return h
}
