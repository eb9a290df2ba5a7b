package tidewaiter_test

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

const day = 24 * time.Hour

func TestScheduleNext(t *testing.T) {
	monday := time.Monday
	for _, c := range []struct {
		name     string
		schedule tidewaiter.Schedule
		last     string
		want     string
	}{
		{"every six hours", tidewaiter.Schedule{Every: 6 * time.Hour}, "2026-05-01T12:00:00Z", "2026-05-01T18:00:00Z"},
		{"daily, later today", tidewaiter.Schedule{Every: day, At: "19:30"}, "2026-05-01T12:00:00Z", "2026-05-01T19:30:00Z"},
		{"daily, over for today", tidewaiter.Schedule{Every: day, At: "09:00"}, "2026-05-01T12:00:00Z", "2026-05-02T09:00:00Z"},
		{"daily, just then", tidewaiter.Schedule{Every: day, At: "12:00"}, "2026-05-01T12:00:00Z", "2026-05-02T12:00:00Z"},
		{"every three days", tidewaiter.Schedule{Every: 3 * day, At: "00:00"}, "2026-05-01T12:00:00Z", "2026-05-04T00:00:00Z"},
		{"on Mondays", tidewaiter.Schedule{Every: 7 * day, At: "02:00", Weekday: &monday}, "2026-05-01T12:00:00Z", "2026-05-04T02:00:00Z"},
	} {
		last, _ := time.Parse(time.RFC3339, c.last)
		if got := c.schedule.Next(last).Format(time.RFC3339); got != c.want {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
	}
	if !(tidewaiter.Schedule{}).Next(noon).IsZero() {
		t.Error("on demand is never due")
	}
}

func TestScheduleNextIsLater(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := tidewaiter.Schedule{Every: time.Duration(rapid.IntRange(1, 365).Draw(t, "days")) * day, At: "07:15"}
		last := time.Unix(rapid.Int64Range(0, 4e9).Draw(t, "last"), 0)
		next := s.Next(last)
		if !next.After(last) || next.Sub(last) > s.Every+day {
			t.Fatalf("%v after %v", next, last)
		}
	})
}

func TestScheduleValidate(t *testing.T) {
	monday := time.Monday
	for name, s := range map[string]tidewaiter.Schedule{
		"too often": {Every: time.Minute}, "negative": {Every: -day}, "weekday without week": {Every: day, Weekday: &monday},
		"time without days": {Every: 5 * time.Hour, At: "10:00"}, "no time": {Every: day, At: "25:00"},
	} {
		if tidewaiter.KindOf(s.Validate()) != tidewaiter.ErrInvalid {
			t.Errorf("%s was accepted", name)
		}
	}
}
