package control_test

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/tidewaiter/tidewaiter/internal/control"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// TestVulnerabilitiesAreCountedWhenItIsTime: in the background when something has changed and counting has not taken too large a
// part of the time; for whoever looks only where it is quick.
func TestVulnerabilitiesAreCountedWhenItIsTime(t *testing.T) {
	h := open(t)
	ctx := t.Context()
	countedAt := func() (at struct {
		Mark string
		At   time.Time
		Took time.Duration
	}) {
		value, err := h.store.Setting(ctx, "totals.counted")
		if err == nil {
			err = json.Unmarshal([]byte(value), &at)
		}
		if err != nil && tidewaiter.KindOf(err) != tidewaiter.ErrNotFound {
			t.Fatal(err)
		}
		return at
	}
	look := func() time.Time {
		_, _, at, err := h.FleetVulnerabilities(ctx, control.VulnerabilityFilter{})
		if err != nil {
			t.Fatal(err)
		}
		return at
	}
	work := func() time.Time {
		if err := h.WorkTotals(ctx, tidewaiter.JobRun{}); err != nil {
			t.Fatal(err)
		}
		return countedAt().At
	}
	first := h.now
	if !look().Equal(first) {
		t.Error("nobody had counted, and nobody did")
	}
	h.now = h.now.Add(10 * time.Minute)
	if !look().Equal(first) || !work().Equal(first) {
		t.Error("counted again though nothing had changed")
	}
	change := func(mark string, took time.Duration) {
		value := fmt.Sprintf(`{"mark":%q,"at":%q,"took":%d}`, mark, h.now.Format(time.RFC3339), took)
		if err := h.PutSetting(ctx, "totals.counted", value); err != nil {
			t.Fatal(err)
		}
	}
	change("another", time.Millisecond)
	h.now = h.now.Add(time.Minute)
	if !look().Equal(h.now) {
		t.Error("not counted for who looks, though it is quick")
	}
	change("another", time.Minute)
	slow := h.now
	h.now = h.now.Add(10 * time.Minute)
	if !look().Equal(slow) || !work().Equal(slow) {
		t.Error("counted though it takes a minute and ten have passed")
	}
	h.now = h.now.Add(11 * time.Minute)
	if !look().Equal(slow) {
		t.Error("who looks has to wait a minute")
	}
	if !work().Equal(h.now) {
		t.Error("not counted though twenty-one minutes have passed")
	}
	mark := countedAt().Mark
	h.now = h.now.Add(2 * time.Hour)
	if !work().Equal(h.now) || countedAt().Mark != mark {
		t.Error("not counted for hours")
	}
	change("damaged", time.Second)
	if err := h.PutSetting(ctx, "totals.counted", "{"); err != nil {
		t.Fatal(err)
	}
	if !look().Equal(h.now) {
		t.Error("a damaged note is in the way")
	}
}
