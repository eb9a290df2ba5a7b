package tidewaiter

import (
	"slices"
	"strings"
	"time"
)

// Plan has a registry scanned by itself, beside the registry's own Schedule: at its own times, and perhaps not all of it. A
// registry has any number of plans. Qualys calls it an automatic schedule.
type Plan struct {
	ID         string // UUID
	RegistryID string
	Name       string
	Schedule   Schedule // Every is whole days, At is set
	Scope      Scope    // narrows the registry's own with Select and MaxAgeDays; the zero Scope takes all of it
	Force      bool     // judge known images again too
	Canceled   bool     // starts nothing any more

	From          time.Time // since when Schedule holds; its times are counted from here
	NextAt        time.Time // when it is due next
	LastStartedAt time.Time // zero until it was due for the first time
	LastScanID    string    // what it started last; "" until then
	CreatedAt     time.Time
	UpdatedAt     time.Time
}

const day = 24 * time.Hour

// Validate reports the first thing wrong with the plan as an ErrInvalid.
func (p *Plan) Validate() error {
	if err := p.Schedule.Validate(); err != nil {
		return err
	}
	if p.Schedule.Every < day || p.Schedule.Every > 365*day || p.Schedule.Every%day != 0 {
		return Invalid("schedule.every", "the interval must be 1 to 365 whole days")
	}
	if p.Schedule.At == "" {
		return Invalid("schedule.at", "the time of day is missing").WithFix("write it as HH:MM in UTC")
	}
	return p.Scope.Validate()
}

// Due returns the first time after a given one at which the plan is due. Its times are an unbroken row: the first is the
// first time of day (on the weekday, where there is one) after From, and each is one interval after the one before, however
// late a scan was started and however many were missed. The zero time is for a plan that Validate refuses.
func (p *Plan) Due(after time.Time) time.Time {
	at, err := time.Parse("15:04", p.Schedule.At)
	if err != nil || p.Schedule.Every <= 0 {
		return time.Time{}
	}
	from := p.From.UTC()
	first := time.Date(from.Year(), from.Month(), from.Day(), at.Hour(), at.Minute(), 0, 0, time.UTC)
	for !first.After(from) || p.Schedule.Weekday != nil && first.Weekday() != *p.Schedule.Weekday {
		first = first.AddDate(0, 0, 1)
	}
	if after.Before(first) {
		return first
	}
	return first.Add((after.Sub(first)/p.Schedule.Every + 1) * p.Schedule.Every) //nolint:durationcheck // a number of intervals times the interval
}

// Narrow returns the scope restricted to what another asks for with Select and MaxAgeDays. What is excluded stays excluded. A
// repository that is asked for by a name the scope does not take is looked for below the scope's own folders: with
// "project/registry/*" in scope, "app" is "project/registry/app".
func (s *Scope) Narrow(to Scope) Scope {
	out := *s
	if len(to.Select) > 0 {
		out.Select = make([]Selector, len(to.Select))
		for i, sel := range to.Select {
			sel.Repository = s.locate(sel.Repository)
			out.Select[i] = sel
		}
	}
	if to.MaxAgeDays > 0 && (s.MaxAgeDays == 0 || to.MaxAgeDays < s.MaxAgeDays) {
		out.MaxAgeDays = to.MaxAgeDays
	}
	return out
}

func (s *Scope) locate(repository string) string {
	if len(s.Select) == 0 || slices.ContainsFunc(s.Select, func(own Selector) bool { return MatchPattern(own.Repository, repository) }) {
		return repository
	}
	for _, own := range s.Select {
		if folder, ok := strings.CutSuffix(own.Repository, "/*"); ok && !IsPattern(folder) {
			return folder + "/" + repository
		}
	}
	return repository
}
