package control_test

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tidewaiter/tidewaiter/internal/control"
	"github.com/tidewaiter/tidewaiter/internal/store"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// laneRecorder notes what would be done to lanes.
type laneRecorder struct {
	paused   map[tidewaiter.Lane]bool
	canceled []string
}

func (l *laneRecorder) States(context.Context) (map[tidewaiter.Lane]control.LaneState, error) {
	return map[tidewaiter.Lane]control.LaneState{}, nil
}

func (l *laneRecorder) Pause(_ context.Context, lane tidewaiter.Lane) error {
	l.paused[lane] = true
	return nil
}

func (l *laneRecorder) Resume(_ context.Context, lane tidewaiter.Lane) error {
	delete(l.paused, lane)
	return nil
}

func (l *laneRecorder) CancelIn(_ context.Context, lane tidewaiter.Lane, ids []string) error {
	for _, id := range ids {
		l.canceled = append(l.canceled, string(lane)+" "+id)
	}
	return nil
}

func TestPausedRegistrySaysSo(t *testing.T) {
	h := open(t)
	r := h.replace(t, false, draft("a.example", "x", 1))[0]
	for range 2 { // the second time changes nothing
		if err := h.PauseRegistry(t.Context(), r.ID); err != nil {
			t.Fatal(err)
		}
		h.now = h.now.Add(time.Hour)
	}
	since := h.now.Add(-2 * time.Hour)
	got, err := h.Registry(t.Context(), r.ID)
	if err != nil || !got.PausedAt.Equal(since) {
		t.Fatalf("paused at %v, %v", got.PausedAt, err)
	}
	// Declaring it anew leaves it paused.
	again := h.replace(t, false, draft("a.example", "x", 2))[0]
	if again.ID != r.ID || !again.PausedAt.Equal(since) {
		t.Errorf("after it was declared again: %+v", again)
	}
	holds, err := h.RegistryHolds(t.Context(), []*tidewaiter.Registry{again})
	if diff := cmp.Diff(map[string]control.RegistryHold{r.ID: {Paused: since}}, holds); diff != "" || err != nil {
		t.Errorf("%v %s", err, diff)
	}
	if err := h.ResumeRegistry(t.Context(), r.ID); err != nil {
		t.Fatal(err)
	}
	if got, err := h.Registry(t.Context(), r.ID); err != nil || !got.PausedAt.IsZero() {
		t.Errorf("%+v, %v", got, err)
	}
	for _, f := range []func(context.Context, string) error{h.PauseRegistry, h.ResumeRegistry} {
		if err := f(t.Context(), "nobody"); tidewaiter.KindOf(err) != tidewaiter.ErrNotFound {
			t.Errorf("got %v", err)
		}
	}
}

func TestRegistryWithoutWorkersSaysSo(t *testing.T) {
	h := open(t)
	bound := draft("a.example", "x", 1)
	bound.Labels = []string{"zone=dmz", "collection=edge|core"}
	r := h.replace(t, false, bound)[0]
	beat := func(id string, labels ...string) {
		t.Helper()
		if err := h.store.Update(t.Context(), func(tx *store.Tx) error {
			return tx.Heartbeat(t.Context(), store.Worker{ID: id, HeartbeatAt: h.now, Labels: labels})
		}); err != nil {
			t.Fatal(err)
		}
	}
	waits := func() []string {
		t.Helper()
		holds, err := h.RegistryHolds(t.Context(), []*tidewaiter.Registry{r})
		if err != nil {
			t.Fatal(err)
		}
		return holds[r.ID].NoWorker
	}
	beat("elsewhere", "zone=office", "host=edge-1")
	if got := waits(); !slices.Contains(got, "zone=dmz") {
		t.Errorf("waits for %v", got)
	}
	beat("there", "zone=dmz", "host=other")
	if got := waits(); got != nil { // neither collection is declared, so every machine is meant
		t.Errorf("waits for %v", got)
	}
	for _, c := range []tidewaiter.Collection{{Name: "edge", Hosts: []string{"edge-*"}}, {Name: "core", Hosts: []string{"core"}}} {
		if err := h.PutCollection(t.Context(), &c); err != nil {
			t.Fatal(err)
		}
	}
	if got := waits(); !slices.Equal(got, []string{"host=edge-*|core", "zone=dmz"}) {
		t.Errorf("waits for %v", got)
	}
	beat("right", "zone=dmz", "host=EDGE-7")
	if got := waits(); got != nil {
		t.Errorf("waits for %v", got)
	}
	h.now = h.now.Add(time.Minute)
	if got := waits(); got == nil {
		t.Error("the worker has been silent for a minute and counts as there")
	}
	bad := draft("a.example", "y", 1)
	bad.Labels = []string{"zone"}
	if _, err := h.AddRegistry(t.Context(), bad, false); tidewaiter.KindOf(err) != tidewaiter.ErrInvalid {
		t.Errorf("got %v", err)
	}
}

func TestCancelLaneEndsItsScansAlone(t *testing.T) {
	h := open(t)
	rs := h.replace(t, false, draft("a.example", "x", 1), draft("a.example", "y", 1))
	fresh, err := h.StartScan(t.Context(), rs[0].ID, control.ScanRequest{Lane: tidewaiter.LaneFresh})
	if err != nil {
		t.Fatal(err)
	}
	rescan, err := h.StartScan(t.Context(), rs[1].ID, control.ScanRequest{Lane: tidewaiter.LaneRescan})
	if err != nil {
		t.Fatal(err)
	}
	n, err := h.CancelLane(t.Context(), tidewaiter.LaneRescan)
	if err != nil || n != 1 || !slices.Equal(h.lanes.canceled, []string{"rescan " + rs[1].ID}) {
		t.Errorf("%d scans, %v, %v", n, h.lanes.canceled, err)
	}
	for id, want := range map[string]tidewaiter.ScanState{fresh.ID: tidewaiter.ScanQueued, rescan.ID: tidewaiter.ScanCanceled} {
		if s, err := h.Scan(t.Context(), id); err != nil || s.State != want {
			t.Errorf("%+v, %v, want %s", s, err, want)
		}
	}
	if _, err := h.CancelLane(t.Context(), tidewaiter.LaneSystem); tidewaiter.KindOf(err) != tidewaiter.ErrInvalid {
		t.Errorf("got %v", err)
	}
	if err := h.PauseLane(t.Context(), tidewaiter.LaneRescan); err != nil || !h.lanes.paused[tidewaiter.LaneRescan] {
		t.Errorf("%v, %v", h.lanes.paused, err)
	}
	if err := h.ResumeLane(t.Context(), tidewaiter.LaneRescan); err != nil || h.lanes.paused[tidewaiter.LaneRescan] {
		t.Errorf("%v, %v", h.lanes.paused, err)
	}
}
