package tidewaiter

import (
	"strconv"
	"time"
)

// Schedule says when a registry is scanned by itself. The zero Schedule means on demand only.
type Schedule struct {
	Every   time.Duration `json:"every,omitempty"`   // between the starts of two scans; at least an hour
	Weekday *time.Weekday `json:"weekday,omitempty"` // with a weekly interval
	At      string        `json:"at,omitempty"`      // "15:04" in UTC, with an interval of whole days
}

// Validate reports the first thing wrong with the schedule as an ErrInvalid.
func (s Schedule) Validate() error {
	switch {
	case s.Every < 0 || s.Every > 0 && s.Every < time.Hour:
		return Invalid("schedule.every", "the interval must be at least one hour").WithFix("0 means on demand only")
	case s.Weekday != nil && s.Every != 7*24*time.Hour:
		return Invalid("schedule.weekday", "a weekday goes with an interval of 7 days")
	case s.At != "" && s.Every%(24*time.Hour) != 0:
		return Invalid("schedule.at", "a time of day goes with an interval of whole days")
	}
	if s.At != "" {
		if _, err := time.Parse("15:04", s.At); err != nil {
			return Invalid("schedule.at", "%q is not a time of day", s.At).WithFix("write it as HH:MM in UTC")
		}
	}
	return nil
}

// Next returns the first time after last at which a scan is due; the zero time when the schedule is on demand only.
func (s Schedule) Next(last time.Time) time.Time {
	if s.Every == 0 {
		return time.Time{}
	}
	last = last.UTC()
	if s.At == "" {
		return last.Add(s.Every)
	}
	at, err := time.Parse("15:04", s.At)
	if err != nil {
		return time.Time{}
	}
	day := func(t time.Time) time.Time {
		return time.Date(t.Year(), t.Month(), t.Day(), at.Hour(), at.Minute(), 0, 0, time.UTC)
	}
	if s.Weekday != nil {
		next := day(last)
		for !next.After(last) || next.Weekday() != *s.Weekday {
			next = day(next.AddDate(0, 0, 1))
		}
		return next
	}
	next := day(last)
	if next.After(last) && s.Every == 24*time.Hour {
		return next
	}
	return day(last.AddDate(0, 0, int(s.Every/(24*time.Hour))))
}

func plural(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return strconv.Itoa(n) + " " + noun + "s"
}
