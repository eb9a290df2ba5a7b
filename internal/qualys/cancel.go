package qualys

import (
	"net/http"
	"slices"
	"strings"

	"github.com/tidewaiter/tidewaiter/internal/qualys/qql"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// cancelable are the states a scan can be cancelled in. Qualys: Created, Queued, Paused, Running and their baseline forms; of
// these ours has two.
var cancelable = []string{"Queued", "Running"}

// cancelSchedule cancels one scan.
func (s *server) cancelSchedule(w http.ResponseWriter, r *http.Request) error {
	id := r.PathValue("scheduleId")
	scan, err := s.control.Scan(r.Context(), id)
	if tidewaiter.KindOf(err) == tidewaiter.ErrNotFound || err == nil && scan.RegistryID != r.PathValue("registryId") {
		return tidewaiter.Errorf(tidewaiter.ErrNotFound, "schedule %s was not found", cut(id, 80))
	}
	if err != nil {
		return err
	}
	if status := scheduleStatus[scan.State]; !slices.Contains(cancelable, status) {
		return tidewaiter.Errorf(tidewaiter.ErrConflict, "the schedule is %s and cannot be cancelled", status)
	}
	if err := s.control.StopScan(r.Context(), id); err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, scheduleID{id, id})
	return nil
}

// cancellation answers a bulk cancellation. Qualys: the capital C is theirs.
type cancellation struct {
	CancelJobID string `json:"CancelJobId"`
}

// cancelSchedules cancels several scans, named by scheduleIds or chosen by a filter. Qualys: with both, only scheduleIds
// count; those that are over are passed over. Ours: neither is an error, not "all"; and the job is over with the answer.
func (s *server) cancelSchedules(w http.ResponseWriter, r *http.Request) error {
	values := r.URL.Query()
	ids := values["scheduleIds"]
	filter := decodeAgain(values.Get("filter"))
	if len(ids) == 0 && strings.TrimSpace(filter) == "" {
		return tidewaiter.Invalid("scheduleIds", "no id and no filter is given").WithFix("filter=scheduleUuid:* means all")
	}
	e := qql.Expr(qql.And{})
	if len(ids) == 0 {
		var err error
		if e, err = qql.Parse(filter); err != nil {
			return err
		}
	}
	reg, err := s.find(r.Context(), r.PathValue("registryId"))
	if err != nil {
		return err
	}
	found, err := s.schedules(r.Context(), reg.ID, e)
	if err != nil {
		return err
	}
	for _, sch := range found {
		if !slices.Contains(cancelable, sch.Status) || len(ids) > 0 && !slices.Contains(ids, sch.ScheduleUUID) {
			continue
		}
		if err := s.control.StopScan(r.Context(), sch.ScheduleUUID); err != nil {
			return err
		}
	}
	writeJSON(w, http.StatusOK, cancellation{s.newID()})
	return nil
}
