package control_test

import (
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tidewaiter/tidewaiter/internal/control"
	"github.com/tidewaiter/tidewaiter/internal/store"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

const day = 24 * time.Hour

// TestPlansRunAtTheirTimes lets eight days pass, a minute at a time, with four servers that all look for what is due and are
// opened anew every day.
func TestPlansRunAtTheirTimes(t *testing.T) {
	onBoth(t, func(t *testing.T, url string) {
		now := time.Date(2026, 5, 1, 12, 0, 30, 0, time.UTC) // a Friday
		clock := func() time.Time { return now }
		all, _ := servers(t, url, clock)
		r, err := all[0].AddRegistry(t.Context(), &tidewaiter.Registry{Kind: tidewaiter.KindOCI, URL: "https://r.example.com", Origin: tidewaiter.OriginQualys}, false)
		if err != nil {
			t.Fatal(err)
		}
		tuesday := time.Tuesday
		want := map[string][]string{
			"daily":  {"05-01 12:30", "05-02 12:30", "05-03 12:30", "05-04 12:30", "05-05 12:30", "05-06 12:30", "05-07 12:30", "05-08 12:30"},
			"third":  {"05-02 06:00", "05-05 06:00", "05-08 06:00"},
			"weekly": {"05-05 23:59"},
		}
		for name, schedule := range map[string]tidewaiter.Schedule{
			"daily": {Every: day, At: "12:30"}, "third": {Every: 3 * day, At: "06:00"}, "weekly": {Every: 7 * day, At: "23:59", Weekday: &tuesday},
		} {
			part := tidewaiter.Scope{Select: []tidewaiter.Selector{{Repository: name}}}
			if _, err := all[0].CreatePlan(t.Context(), &tidewaiter.Plan{RegistryID: r.ID, Name: name, Schedule: schedule, Scope: part}); err != nil {
				t.Fatal(err)
			}
		}
		got := map[string][]string{}
		for range 8 {
			all, _ = servers(t, url, clock)
			for _, at := range []string{"05:59", "06:00", "06:01", "12:29", "12:30", "12:31", "23:58", "23:59"} {
				h, _ := time.Parse("15:04", at)
				next := time.Date(now.Year(), now.Month(), now.Day(), h.Hour(), h.Minute(), 0, 0, time.UTC)
				if next.Before(now) {
					continue // the first day begins at noon
				}
				now = next
				together(t, all)
				for _, s := range finish(t, all[0], r.ID) {
					got[s.Name] = append(got[s.Name], s.CreatedAt.Format("01-02 15:04"))
				}
			}
			now = time.Date(now.Year(), now.Month(), now.Day()+1, 0, 0, 0, 0, time.UTC)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
	})
}

// together has all servers start what is due at the same moment.
func together(t *testing.T, all []*control.Control) {
	t.Helper()
	var wait sync.WaitGroup
	for _, c := range all {
		wait.Go(func() {
			if _, err := c.StartDue(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
	wait.Wait()
}

// finish returns the scans on their way, and ends them.
func finish(t *testing.T, c *control.Control, registryID string) []*tidewaiter.Scan {
	t.Helper()
	scans, _, err := c.Scans(t.Context(), store.ScanFilter{RegistryIDs: []string{registryID}, Unfinished: true})
	if err == nil {
		err = c.StopScans(t.Context(), registryID)
	}
	if err != nil {
		t.Fatal(err)
	}
	return scans
}

func TestPlanThatWasMissed(t *testing.T) {
	h := open(t)
	r := h.replace(t, false, draft("a.example", "x", 0))[0]
	p, err := h.CreatePlan(t.Context(), &tidewaiter.Plan{RegistryID: r.ID, Schedule: tidewaiter.Schedule{Every: 2 * day, At: "10:00"}})
	if err != nil || !p.NextAt.Equal(time.Date(2026, 5, 2, 10, 0, 0, 0, time.UTC)) {
		t.Fatalf("%+v, %v", p, err)
	}
	start := func(want int) *tidewaiter.Plan {
		t.Helper()
		if n, err := h.StartDue(t.Context()); n != want || err != nil {
			t.Fatalf("%d scans started, want %d, %v", n, want, err)
		}
		p, err := h.Plan(t.Context(), p.ID)
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	h.now = time.Date(2026, 5, 5, 3, 0, 0, 0, time.UTC) // nobody was there on the 2nd and on the 4th
	if p := start(1); !p.NextAt.Equal(time.Date(2026, 5, 6, 10, 0, 0, 0, time.UTC)) {
		t.Errorf("it does not go back to its own times: %s", p.NextAt)
	}
	start(0)
	h.now = h.now.Add(2 * day)
	start(0) // the last one is still on its way
	if err := h.StopScans(t.Context()); err != nil {
		t.Fatal(err)
	}
	start(1)
}

func TestPlanRules(t *testing.T) {
	h := open(t)
	r := h.replace(t, false, draft("a.example", "x", 0))[0]
	daily := tidewaiter.Schedule{Every: day, At: "13:00"}
	for _, bad := range []tidewaiter.Schedule{{}, {Every: time.Hour}, {Every: 366 * day, At: "10:00"}, {Every: day}, {Every: day, At: "25:00"}} {
		if _, err := h.CreatePlan(t.Context(), &tidewaiter.Plan{RegistryID: r.ID, Schedule: bad}); tidewaiter.KindOf(err) != tidewaiter.ErrInvalid {
			t.Errorf("%+v: %v", bad, err)
		}
	}
	if _, err := h.CreatePlan(t.Context(), &tidewaiter.Plan{RegistryID: "nobody", Schedule: daily}); tidewaiter.KindOf(err) != tidewaiter.ErrNotFound {
		t.Error(err)
	}
	p, err := h.CreatePlan(t.Context(), &tidewaiter.Plan{RegistryID: r.ID, Schedule: daily, Name: "nightly", Force: true})
	if err != nil {
		t.Fatal(err)
	}
	h.now = h.now.Add(2 * time.Hour)
	if n, err := h.StartDue(t.Context()); n != 1 || err != nil {
		t.Fatal(n, err)
	}
	p, _ = h.Plan(t.Context(), p.ID)
	scan, err := h.Scan(t.Context(), p.LastScanID)
	if err != nil || scan.Name != "nightly" || scan.ScheduleID != p.ID || scan.Partial || !scan.Force || scan.OnDemand || scan.Lane != tidewaiter.LaneRescan {
		t.Errorf("%+v, %v", scan, err)
	}
	scan.State = tidewaiter.ScanListing
	if err := h.store.Update(t.Context(), func(tx *store.Tx) error { return tx.UpdateScan(t.Context(), scan) }); err != nil {
		t.Fatal(err)
	}
	later := func(p *tidewaiter.Plan) error { p.Schedule.At = "18:00"; return nil }
	if err := h.UpdatePlan(t.Context(), p.ID, later); tidewaiter.KindOf(err) != tidewaiter.ErrConflict {
		t.Errorf("updated while it runs: %v", err)
	}
	if err := h.DeletePlan(t.Context(), p.ID); tidewaiter.KindOf(err) != tidewaiter.ErrConflict {
		t.Errorf("deleted while it runs: %v", err)
	}
	if err := h.DismissScan(t.Context(), scan.ID); tidewaiter.KindOf(err) != tidewaiter.ErrConflict {
		t.Errorf("dismissed while it runs: %v", err)
	}
	if err := h.CancelPlan(t.Context(), p.ID); err != nil {
		t.Fatal(err)
	}
	if scan, _ = h.Scan(t.Context(), scan.ID); scan.State != tidewaiter.ScanCanceled {
		t.Errorf("its scan goes on: %s", scan.State)
	}
	if err := h.UpdatePlan(t.Context(), p.ID, later); err != nil {
		t.Error(err)
	}
	h.now = h.now.Add(2 * day)
	if n, err := h.StartDue(t.Context()); n != 0 || err != nil {
		t.Errorf("a cancelled plan starts: %d, %v", n, err)
	}
	if err := h.DeletePlan(t.Context(), p.ID); err != nil {
		t.Error(err)
	}
	if err := h.DeletePlan(t.Context(), p.ID); tidewaiter.KindOf(err) != tidewaiter.ErrNotFound {
		t.Error(err)
	}
}

// TestNamedScanRunsBesideAnother makes sure that a scan somebody named is not taken for one under way, and leaves
// that one to decide what is gone.
func TestNamedScanRunsBesideAnother(t *testing.T) {
	h := open(t)
	r := h.replace(t, true, draft("a.example", "x", 0))[0]
	if s, err := h.StartScan(t.Context(), r.ID, control.ScanRequest{Name: "mine", Force: true}); err != nil || !s.Partial || s.Name != "mine" || !s.Force {
		t.Errorf("%+v, %v", s, err)
	}
	if err := h.StopScans(t.Context()); err != nil {
		t.Fatal(err)
	}
	if s, err := h.StartScan(t.Context(), r.ID, control.ScanRequest{Name: "mine"}); err != nil || s.Partial {
		t.Errorf("%+v, %v", s, err)
	}
}
