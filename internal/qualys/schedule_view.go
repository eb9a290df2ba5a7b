package qualys

import (
	"strings"
	"time"

	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// scheduled is what Qualys calls a schedule: a plan with its last scan, or a scan that no plan started. Ours: every scan of a
// registry is shown as one, whoever asked for it, but for those of single images.
type scheduled struct {
	plan *tidewaiter.Plan // nil for a scan of its own
	scan *tidewaiter.Scan // nil for a plan that was not due yet
}

func (s *scheduled) id() string {
	if s.plan != nil {
		return s.plan.ID
	}
	return s.scan.ID
}

func (s *scheduled) status() string {
	switch {
	case s.plan == nil:
		return scanStatuses[s.scan.State]
	case s.scan == nil:
		return planStatus(s.plan.Canceled, "")
	}
	return planStatus(s.plan.Canceled, s.scan.State)
}

// schedule is Qualys' Schedule.
type schedule struct {
	ScheduleUUID          string           `json:"scheduleUuid"`
	Name                  string           `json:"name"`
	Status                string           `json:"status"`
	OnDemand              bool             `json:"onDemand"`
	Schedule              *string          `json:"schedule"`                   // HH:MM in UTC; null when on demand
	IntervalInDays        *int             `json:"scheduleScanIntervalInDays"` // null when on demand
	WeekDay               *string          `json:"weekDay"`
	ForceScan             bool             `json:"forceScan"`
	Filters               []scheduleFilter `json:"filters"`
	Errors                []scheduleError  `json:"errors"` // of the last scan
	Created               millis           `json:"created"`
	Updated               millis           `json:"updated"`
	NextScan              millis           `json:"nextScanDate"` // ours
	JobStart              millis           `json:"jobStartDate"`
	JobCompletion         millis           `json:"jobCompletionDate"`
	JobListingStart       millis           `json:"jobListingStartDate"`
	JobListingCompletion  millis           `json:"jobListingCompletionDate"`
	JobScanningStart      millis           `json:"jobScanningStartDate"`
	JobScanningCompletion millis           `json:"jobScanningCompletionDate"`
}

type scheduleFilter struct {
	Days     *int      `json:"days"`
	RepoTags []repoTag `json:"repoTags"`
}

type repoTag struct {
	Repo string  `json:"repo"`
	Tag  *string `json:"tag"`
}

type scheduleError struct {
	ErrorCode     string            `json:"errorCode"`
	ErrorMessage  string            `json:"errorMessage"`
	ContextParams map[string]string `json:"contextParams"`
}

// view shows a schedule.
func (s *scheduled) view() schedule {
	out := schedule{ScheduleUUID: s.id(), Status: s.status(), OnDemand: s.plan == nil, Errors: []scheduleError{}}
	if s.scan != nil {
		out.showScan(s.scan)
	}
	if p := s.plan; p != nil {
		days := int(p.Schedule.Every / (24 * time.Hour))
		out.Name, out.ForceScan, out.Filters = p.Name, p.Force, filtersOf(&p.Scope)
		out.Schedule, out.IntervalInDays = &p.Schedule.At, &days
		if p.Schedule.Weekday != nil {
			out.WeekDay = orNull(strings.ToUpper(p.Schedule.Weekday.String()))
		}
		out.Created = millis{p.CreatedAt}
		if out.Updated.Before(p.UpdatedAt) {
			out.Updated = millis{p.UpdatedAt}
		}
		if !p.Canceled {
			out.NextScan = millis{p.NextAt}
		}
	}
	return out
}

// showScan fills in what a scan tells. Its listing is the first phase, its images are the second.
func (out *schedule) showScan(s *tidewaiter.Scan) {
	out.Name, out.ForceScan, out.Filters = s.Name, s.Force, filtersOf(&s.Scope)
	if out.Name == "" {
		out.Name = "Scan of " + s.CreatedAt.UTC().Format("2006-01-02 15:04:05")
	}
	out.Created, out.Updated, out.JobStart, out.JobCompletion = millis{s.CreatedAt}, millis{s.UpdatedAt}, millis{s.StartedAt}, millis{s.EndedAt}
	out.JobListingStart, out.JobListingCompletion, out.JobScanningStart = millis{s.StartedAt}, millis{s.ListedAt}, millis{s.ListedAt}
	if !s.ListedAt.IsZero() {
		out.JobScanningCompletion = millis{s.EndedAt}
	}
	if s.Error != "" {
		out.Errors = append(out.Errors, scheduleError{"scan_failed", s.Error, map[string]string{}})
	}
	for _, e := range s.Errors {
		params := map[string]string{}
		if e.Repository != "" {
			params["repository"] = e.Repository
		}
		if e.Tag != "" {
			params["tag"] = e.Tag
		}
		out.Errors = append(out.Errors, scheduleError{string(e.Kind), e.Text, params})
	}
}

// filtersOf shows which repositories and tags are looked at.
func filtersOf(s *tidewaiter.Scope) []scheduleFilter {
	f := scheduleFilter{RepoTags: []repoTag{}}
	if s.MaxAgeDays > 0 {
		f.Days = &s.MaxAgeDays
	}
	for _, sel := range s.Select {
		f.RepoTags = append(f.RepoTags, repoTag{sel.Repository, orNull(strings.Join(sel.Tags, ","))})
	}
	if f.Days == nil && len(f.RepoTags) == 0 {
		return []scheduleFilter{}
	}
	return []scheduleFilter{f}
}
