package qualys

import (
	"reflect"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// scheduleRequest is Qualys' ScheduleRequest. What is nil was left out.
type scheduleRequest struct {
	Name      *string `json:"name"`
	OnDemand  *bool   `json:"onDemand"` // true when left out
	ForceScan *bool   `json:"forceScan"`
	Schedule  *string `json:"schedule"` // HH:MM in UTC
	Interval  *int    `json:"scheduleScanIntervalInDays"`
	Interval2 *int    `json:"scheduleIntervalInDays"` // one document's spelling
	WeekDay   *string `json:"weekDay"`
	Filters   []struct {
		Days     *int      `json:"days"`
		RepoTags []repoTag `json:"repoTags"`
	} `json:"filters"`
}

// The limits of a schedule.
const (
	maxRepoTags     = 1000 // repositories of one scan
	maxScheduleName = 256  // bytes
)

func parseSchedule(body []byte) (*scheduleRequest, error) {
	q := &scheduleRequest{}
	if err := decode(body, q); err != nil {
		return nil, err
	}
	if q.Interval == nil {
		q.Interval = q.Interval2
	}
	if q.Name != nil && len(*q.Name) > maxScheduleName {
		return nil, tidewaiter.Invalid("name", "it is longer than %d characters", maxScheduleName)
	}
	return q, nil
}

func (q *scheduleRequest) name() string {
	if q.Name == nil {
		return ""
	}
	return *q.Name
}

func (q *scheduleRequest) force() bool { return q.ForceScan != nil && *q.ForceScan }

func (q *scheduleRequest) automatic() bool { return q.OnDemand != nil && !*q.OnDemand }

// times applies what the request says of when to scan to a schedule: the zero one of a new plan, or the one it has. Qualys: the
// interval is 1 to 365 days, and a weekday goes with 7. Ours: one day when it is left out, as in v1.1; the time of day counts
// with every interval and is midnight where only a longer interval is given.
func (q *scheduleRequest) times(s tidewaiter.Schedule) (tidewaiter.Schedule, error) {
	const day = 24 * time.Hour
	if s.Every == 0 {
		s.Every = day
	}
	if q.Interval != nil {
		if *q.Interval < 1 || *q.Interval > 365 {
			return s, tidewaiter.Invalid("scheduleScanIntervalInDays", "%d is not a number of days from 1 to 365", *q.Interval)
		}
		s.Every = time.Duration(*q.Interval) * day
	}
	if s.Every != 7*day {
		s.Weekday = nil
	}
	if q.WeekDay != nil && strings.TrimSpace(*q.WeekDay) != "" {
		weekday, err := weekdayOf(*q.WeekDay)
		if err != nil {
			return s, err
		}
		if s.Every != 7*day {
			return s, tidewaiter.Invalid("weekDay", "a weekday goes with an interval of 7 days").WithFix("send scheduleScanIntervalInDays 7, or no weekDay")
		}
		s.Weekday = &weekday
	}
	switch {
	case q.Schedule != nil && strings.TrimSpace(*q.Schedule) != "":
		at, err := time.Parse("15:04", strings.TrimSpace(*q.Schedule))
		if err != nil {
			return s, tidewaiter.Invalid("schedule", "%q is not a time of day", cut(*q.Schedule, 40)).WithFix("write it as HH:MM in UTC")
		}
		s.At = at.Format("15:04")
	case s.At == "" && s.Every == day:
		return s, tidewaiter.Invalid("schedule", "the time of day is missing").WithFix("write it as HH:MM in UTC")
	case s.At == "":
		s.At = "00:00"
	}
	return s, nil
}

func weekdayOf(text string) (time.Weekday, error) {
	for d := time.Sunday; d <= time.Saturday; d++ {
		if strings.EqualFold(strings.TrimSpace(text), d.String()) {
			return d, nil
		}
	}
	return 0, tidewaiter.Invalid("weekDay", "%q is not a day of the week", cut(text, 40)).WithFix("MONDAY to SUNDAY")
}

// change applies a request to a plan. Qualys: only automatic schedules can be changed; onDemand, repo, tag and days cannot.
// Ours: they may be sent as they are; what is left out stays.
func (q *scheduleRequest) change(p *tidewaiter.Plan) error {
	if q.OnDemand != nil && *q.OnDemand {
		return tidewaiter.Invalid("onDemand", "it cannot be changed").WithFix("create another schedule")
	}
	if len(q.Filters) > 0 {
		scope, err := q.scope()
		if err != nil {
			return err
		}
		if !reflect.DeepEqual(scope.Select, p.Scope.Select) {
			return tidewaiter.Invalid("filters.repoTags", "repositories and tags cannot be changed").WithFix("create another schedule")
		}
		if scope.MaxAgeDays != p.Scope.MaxAgeDays {
			return tidewaiter.Invalid("filters.days", "it cannot be changed").WithFix("create another schedule")
		}
	}
	if q.Name != nil {
		p.Name = *q.Name
	}
	if q.ForceScan != nil {
		p.Force = *q.ForceScan
	}
	var err error
	p.Schedule, err = q.times(p.Schedule)
	return err
}

// validDays are what a scan may be narrowed to. Qualys: 1 to 7, or 14.
func validDays(n int) bool { return n >= 1 && n <= 7 || n == 14 }

// plainName matches what a repository or a tag may be called, with stars.
var plainName = regexp.MustCompile(`^[A-Za-z0-9._/:*-]{1,512}$`)

// scope reads which repositories and tags to scan. Qualys: tag is a list with commas, null for all; clients also send ".*".
// Ours: a star in either stands for any characters.
func (q *scheduleRequest) scope() (*tidewaiter.Scope, error) {
	out := &tidewaiter.Scope{}
	for _, f := range q.Filters {
		if f.Days != nil && *f.Days != 0 {
			if !validDays(*f.Days) {
				return nil, tidewaiter.Invalid("filters.days", "%d is not among 1 to 7 and 14", *f.Days)
			}
			out.MaxAgeDays = max(out.MaxAgeDays, *f.Days)
		}
		for _, rt := range f.RepoTags {
			sel, err := selector(rt)
			if err != nil {
				return nil, err
			}
			out.Select = append(out.Select, sel)
		}
	}
	if len(out.Select) > maxRepoTags {
		return nil, tidewaiter.Invalid("filters.repoTags", "%d repositories are more than the limit of %d", len(out.Select), maxRepoTags)
	}
	return out, out.Validate()
}

func selector(rt repoTag) (tidewaiter.Selector, error) {
	sel := tidewaiter.Selector{Repository: strings.ReplaceAll(strings.TrimSpace(rt.Repo), ".*", "*")}
	if !plainName.MatchString(sel.Repository) {
		return sel, tidewaiter.Invalid("filters.repoTags.repo", "%q is not the name of a repository", cut(rt.Repo, 80))
	}
	if rt.Tag == nil {
		return sel, nil
	}
	for tag := range strings.SplitSeq(*rt.Tag, ",") {
		switch tag = strings.ReplaceAll(strings.TrimSpace(tag), ".*", "*"); {
		case tag == "":
		case !plainName.MatchString(tag) || strings.ContainsAny(tag, "/:"):
			return sel, tidewaiter.Invalid("filters.repoTags.tag", "%q is not a tag", cut(tag, 80))
		default:
			sel.Tags = append(sel.Tags, tag)
		}
	}
	if slices.Contains(sel.Tags, "*") {
		sel.Tags = nil
	}
	return sel, nil
}
