package qualys

import (
	"cmp"
	"context"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/tidewaiter/tidewaiter/internal/control"
	"github.com/tidewaiter/tidewaiter/internal/qualys/qql"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// scheduleID answers with both names clients look for.
type scheduleID struct {
	ScheduleUUID string `json:"scheduleUuid"`
	ScheduleID   string `json:"scheduleId"`
}

// postSchedule scans a registry now, or makes it be scanned by itself. Ours: a scan without filters and name that is asked for
// while one is under way is that one.
func (s *server) postSchedule(w http.ResponseWriter, r *http.Request) error {
	body, err := readBody(w, r)
	if err != nil {
		return err
	}
	q, err := parseSchedule(body)
	if err != nil {
		return err
	}
	scope, err := q.scope()
	if err != nil {
		return err
	}
	reg, err := s.find(r.Context(), r.PathValue("registryId"))
	if err != nil {
		return err
	}
	id, err := s.schedule(r.Context(), reg, q, scope)
	if err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, scheduleID{id, id})
	return nil
}

// schedule carries out a request for a registry and returns the id of the schedule.
func (s *server) schedule(ctx context.Context, reg *tidewaiter.Registry, q *scheduleRequest, scope *tidewaiter.Scope) (string, error) {
	if q.automatic() {
		times, err := q.times(tidewaiter.Schedule{})
		if err != nil {
			return "", err
		}
		p, err := s.control.CreatePlan(ctx, &tidewaiter.Plan{RegistryID: reg.ID, Name: q.name(), Schedule: times, Scope: *scope, Force: q.force()})
		if err != nil {
			return "", err
		}
		return p.ID, nil
	}
	req := control.ScanRequest{Lane: tidewaiter.LaneInteractive, OnDemand: true, Force: q.force(), Name: q.name()}
	if len(scope.Select) > 0 || scope.MaxAgeDays > 0 {
		narrowed := reg.Scope.Narrow(*scope)
		req.Scope = &narrowed
	}
	scan, err := s.control.StartScan(ctx, reg.ID, req)
	if err != nil {
		return "", err
	}
	return scan.ID, nil
}

// putSchedule changes an automatic schedule.
func (s *server) putSchedule(w http.ResponseWriter, r *http.Request) error {
	body, err := readBody(w, r)
	if err != nil {
		return err
	}
	q, err := parseSchedule(body)
	if err != nil {
		return err
	}
	found, err := s.findSchedule(r)
	if err != nil {
		return err
	}
	if found.plan == nil {
		return tidewaiter.Errorf(tidewaiter.ErrConflict, "the schedule is on demand and cannot be updated").WithFix("create another one")
	}
	if err := s.control.UpdatePlan(r.Context(), found.plan.ID, q.change); err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, scheduleID{found.id(), found.id()})
	return nil
}

// findSchedule returns the schedule a path names.
func (s *server) findSchedule(r *http.Request) (*scheduled, error) {
	ctx, registry, id := r.Context(), r.PathValue("registryId"), r.PathValue("scheduleId")
	missing := tidewaiter.Errorf(tidewaiter.ErrNotFound, "schedule %s was not found", cut(id, 80))
	p, err := s.control.Plan(ctx, id)
	if err == nil && p.RegistryID == registry {
		found, err := s.withScans(ctx, []*tidewaiter.Plan{p})
		if err != nil {
			return nil, err
		}
		return &found[0], nil
	}
	if err != nil && tidewaiter.KindOf(err) != tidewaiter.ErrNotFound {
		return nil, err
	}
	scans, _, err := s.control.Scans(ctx, control.ScanFilter{IDs: []string{id}, RegistryIDs: []string{registry}, Shown: true})
	if err != nil {
		return nil, err
	}
	if len(scans) == 0 {
		return nil, missing
	}
	return &scheduled{scan: scans[0]}, nil
}

// withScans returns plans with the last scan of each.
func (s *server) withScans(ctx context.Context, plans []*tidewaiter.Plan) ([]scheduled, error) {
	var ids []string
	for _, p := range plans {
		if p.LastScanID != "" {
			ids = append(ids, p.LastScanID)
		}
	}
	scans, err := s.control.ScansByID(ctx, ids)
	out := make([]scheduled, len(plans))
	for i, p := range plans {
		out[i] = scheduled{plan: p, scan: scans[p.LastScanID]}
	}
	return out, err
}

// shownSchedule is a schedule with how it is shown, which is what filters ask about.
type shownSchedule struct {
	*scheduled
	schedule
}

// scheduleTokens are the tokens of schedule filters.
var scheduleTokens = []qql.Field[shownSchedule]{
	{Name: "scheduleUuid", ID: true, Texts: func(s shownSchedule) []string { return []string{s.ScheduleUUID} }},
	{Name: "name", Texts: func(s shownSchedule) []string { return []string{s.Name} }},
	{Name: "status", ID: true, Texts: func(s shownSchedule) []string { return []string{s.Status} }},
	{Name: "onDemand", ID: true, Texts: func(s shownSchedule) []string { return truth(s.OnDemand) }},
	{Name: "forceScan", ID: true, Texts: func(s shownSchedule) []string { return truth(s.ForceScan) }},
	{Name: "created", Times: func(s shownSchedule) time.Time { return s.Created.Time }},
	{Name: "updated", Times: func(s shownSchedule) time.Time { return s.Updated.Time }},
}

func truth(b bool) []string {
	if b {
		return []string{"true"}
	}
	return []string{"false"}
}

// maxSchedules bounds how many scans of a registry are looked at for its schedules, newest first.
const maxSchedules = 20_000

// schedules lists the schedules of a registry a filter lets through, newest first.
func (s *server) schedules(ctx context.Context, registryID string, e qql.Expr) ([]shownSchedule, error) {
	holds, err := qql.Compile(e, scheduleTokens, s.now())
	if err != nil {
		return nil, err
	}
	plans, err := s.control.Plans(ctx, registryID)
	if err != nil {
		return nil, err
	}
	all, err := s.withScans(ctx, plans)
	if err != nil {
		return nil, err
	}
	scans, _, err := s.control.Scans(ctx, control.ScanFilter{RegistryIDs: []string{registryID}, Shown: true, Page: control.Page{Limit: maxSchedules}})
	if err != nil {
		return nil, err
	}
	for _, scan := range scans {
		all = append(all, scheduled{scan: scan})
	}
	var out []shownSchedule
	for i := range all {
		if shown := (shownSchedule{&all[i], all[i].view()}); holds(shown) {
			out = append(out, shown)
		}
	}
	slices.SortStableFunc(out, func(a, b shownSchedule) int { return b.Created.Compare(a.Created.Time) })
	return out, nil
}

// getSchedules lists the schedules of a registry.
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
	if err := sortSchedules(found, q); err != nil {
		return err
	}
	page := pageOf(found, q)
	data := make([]schedule, len(page))
	for i := range page {
		data[i] = page[i].schedule
	}
	writeList(w, q.filtered, data, len(found))
	return nil
}

// sortSchedules puts schedules into the order asked for.
func sortSchedules(list []shownSchedule, q query) error {
	var order func(a, b shownSchedule) int
	switch strings.ToLower(q.sort) {
	case "":
		return nil
	case "created":
		order = func(a, b shownSchedule) int { return a.Created.Compare(b.Created.Time) }
	case "updated":
		order = func(a, b shownSchedule) int { return a.Updated.Compare(b.Updated.Time) }
	case "name":
		order = func(a, b shownSchedule) int { return strings.Compare(a.Name, b.Name) }
	case "status":
		order = func(a, b shownSchedule) int { return strings.Compare(a.Status, b.Status) }
	default:
		return unsortable(q.sort, "created, updated, name, status")
	}
	slices.SortStableFunc(list, func(a, b shownSchedule) int {
		c := cmp.Or(order(a, b), strings.Compare(a.ScheduleUUID, b.ScheduleUUID))
		if q.desc {
			return -c
		}
		return c
	})
	return nil
}
