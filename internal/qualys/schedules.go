package qualys

import (
	"context"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/tidewaiter/tidewaiter/internal/control"
	"github.com/tidewaiter/tidewaiter/internal/qualys/qql"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// schedule is Qualys' Schedule: a scan of a registry. Ours: every scan is shown as one, whoever asked for it.
type schedule struct {
	ScheduleUUID          string           `json:"scheduleUuid"`
	Name                  string           `json:"name"`
	Status                string           `json:"status"`
	OnDemand              bool             `json:"onDemand"`
	Schedule              *string          `json:"schedule"`
	ForceScan             bool             `json:"forceScan"`
	Filters               []scheduleFilter `json:"filters"`
	Errors                []scheduleError  `json:"errors"`
	Created               millis           `json:"created"`
	Updated               millis           `json:"updated"`
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

// scheduleOf shows a scan.
func scheduleOf(s *tidewaiter.Scan) schedule {
	out := schedule{
		ScheduleUUID: s.ID, Name: "Scan of " + s.CreatedAt.UTC().Format("2006-01-02 15:04:05"), Status: scheduleStatus[s.State],
		OnDemand: s.OnDemand, ForceScan: s.Force, Filters: filtersOf(&s.Scope), Errors: []scheduleError{}, Created: millis{s.CreatedAt},
		Updated: millis{s.UpdatedAt}, JobStart: millis{s.StartedAt}, JobCompletion: millis{s.EndedAt},
		JobListingStart: millis{s.StartedAt}, JobListingCompletion: millis{s.ListedAt}, JobScanningStart: millis{s.ListedAt},
	}
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
	return out
}

// filtersOf shows which repositories and tags a scan looks at.
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

// scheduleRequest is Qualys' ScheduleRequest as far as scans on demand go.
type scheduleRequest struct {
	Name      string `json:"name"`
	OnDemand  *bool  `json:"onDemand"` // true when missing
	ForceScan bool   `json:"forceScan"`
	Filters   []struct {
		Days     *int      `json:"days"`
		RepoTags []repoTag `json:"repoTags"`
	} `json:"filters"`
}

// maxRepoTags is how many repositories one scan may name.
const maxRepoTags = 1000

// days are what a scan may be narrowed to. Qualys: 1 to 7, or 14.
func validDays(n int) bool { return n >= 1 && n <= 7 || n == 14 }

// exactly matches what a repository or a tag may be called, with stars.
var exactly = regexp.MustCompile(`^[A-Za-z0-9._/:*-]{1,512}$`)

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
	if !exactly.MatchString(sel.Repository) {
		return sel, tidewaiter.Invalid("filters.repoTags.repo", "%q is not the name of a repository", cut(rt.Repo, 80))
	}
	if rt.Tag == nil {
		return sel, nil
	}
	for tag := range strings.SplitSeq(*rt.Tag, ",") {
		switch tag = strings.ReplaceAll(strings.TrimSpace(tag), ".*", "*"); {
		case tag == "":
		case !exactly.MatchString(tag) || strings.ContainsAny(tag, "/:"):
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

// scheduleID answers with both names clients look for.
type scheduleID struct {
	ScheduleUUID string `json:"scheduleUuid"`
	ScheduleID   string `json:"scheduleId"`
}

// postSchedule scans a registry now. Ours: a scan without filters that is asked for while one is under way is that one.
func (s *server) postSchedule(w http.ResponseWriter, r *http.Request) error {
	body, err := readBody(w, r)
	if err != nil {
		return err
	}
	var q scheduleRequest
	if err := decode(body, &q); err != nil {
		return err
	}
	if q.OnDemand != nil && !*q.OnDemand {
		return tidewaiter.Invalid("onDemand", "automatic schedules are not supported over this API").
			WithFix("send onDemand true, or give the registry a schedule over the native API")
	}
	scope, err := q.scope()
	if err != nil {
		return err
	}
	reg, err := s.find(r.Context(), r.PathValue("registryId"))
	if err != nil {
		return err
	}
	req := control.ScanRequest{Lane: tidewaiter.LaneInteractive, OnDemand: true, Force: q.ForceScan}
	if len(scope.Select) > 0 || scope.MaxAgeDays > 0 {
		req.Scope = within(scope, &reg.Scope)
	}
	scan, err := s.control.StartScan(r.Context(), reg.ID, req)
	if err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, scheduleID{scan.ID, scan.ID})
	return nil
}

// within keeps what a registry leaves out left out, and its repositories where a scan names none.
func within(asked, of *tidewaiter.Scope) *tidewaiter.Scope {
	out := *of
	if len(asked.Select) > 0 {
		out.Select = asked.Select
	}
	if asked.MaxAgeDays > 0 {
		out.MaxAgeDays = asked.MaxAgeDays
	}
	return &out
}

// scheduleTokens are the tokens of schedule filters.
var scheduleTokens = []qql.Field[schedule]{
	{Name: "scheduleUuid", ID: true, Texts: func(s schedule) []string { return []string{s.ScheduleUUID} }},
	{Name: "name", Texts: func(s schedule) []string { return []string{s.Name} }},
	{Name: "status", ID: true, Texts: func(s schedule) []string { return []string{s.Status} }},
	{Name: "onDemand", ID: true, Texts: func(s schedule) []string {
		if s.OnDemand {
			return []string{"true"}
		}
		return []string{"false"}
	}},
	{Name: "created", Times: func(s schedule) time.Time { return s.Created.Time }},
	{Name: "updated", Times: func(s schedule) time.Time { return s.Updated.Time }},
}

// schedules lists a registry's scans a filter lets through, newest first; of very many the newest.
func (s *server) schedules(ctx context.Context, registryID string, e qql.Expr) ([]schedule, error) {
	holds, err := qql.Compile(e, scheduleTokens, s.now())
	if err != nil {
		return nil, err
	}
	scans, _, err := s.control.Scans(ctx, control.ScanFilter{RegistryIDs: []string{registryID}, Page: control.Page{Limit: countedScans}})
	if err != nil {
		return nil, err
	}
	var out []schedule
	for _, scan := range scans {
		if shown := scheduleOf(scan); holds(shown) {
			out = append(out, shown)
		}
	}
	return out, nil
}

// getSchedules lists the scans of a registry.
func (s *server) getSchedules(w http.ResponseWriter, r *http.Request) error {
	q, err := queryOf(r)
	if err != nil {
		return err
	}
	reg, err := s.find(r.Context(), r.PathValue("registryId"))
	if err != nil {
		return err
	}
	found, err := s.schedules(r.Context(), reg.ID, q.filter)
	if err != nil {
		return err
	}
	switch strings.ToLower(q.sort) {
	case "":
	case "created":
		if !q.desc {
			slices.Reverse(found)
		}
	default:
		return unsortable(q.sort, "created")
	}
	writeList(w, q.filtered, pageOf(found, q), len(found))
	return nil
}
