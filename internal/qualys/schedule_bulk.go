package qualys

import (
	"context"
	"net/http"
	"slices"
	"strings"

	"github.com/tidewaiter/tidewaiter/internal/qualys/qql"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// cancelSchedule cancels one schedule.
func (s *server) cancelSchedule(w http.ResponseWriter, r *http.Request) error {
	found, err := s.findSchedule(r)
	if err != nil {
		return err
	}
	if !found.cancelable() {
		return tidewaiter.Errorf(tidewaiter.ErrConflict, "the schedule is %s and cannot be cancelled", found.status())
	}
	if err := s.cancel(r.Context(), found); err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, scheduleID{found.id(), found.id()})
	return nil
}

func (s *server) cancel(ctx context.Context, found *scheduled) error {
	if found.plan != nil {
		return s.control.CancelPlan(ctx, found.plan.ID)
	}
	return s.control.StopScan(ctx, found.scan.ID)
}

// deleteSchedule removes one schedule from the list. Qualys: not while it is running. What its scans found stays.
func (s *server) deleteSchedule(w http.ResponseWriter, r *http.Request) error {
	found, err := s.findSchedule(r)
	if err != nil {
		return err
	}
	if err := s.remove(r.Context(), found); err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, scheduleID{found.id(), found.id()})
	return nil
}

func (s *server) remove(ctx context.Context, found *scheduled) error {
	if found.plan != nil {
		return s.control.DeletePlan(ctx, found.plan.ID)
	}
	return s.control.DismissScan(ctx, found.scan.ID)
}

// cancellation answers a bulk cancellation. Qualys: the capital C is theirs.
type cancellation struct {
	CancelJobID string `json:"CancelJobId"`
}

// cancelSchedules cancels several schedules. Qualys: those that are over are passed over. Ours: the job is over with the
// answer.
func (s *server) cancelSchedules(w http.ResponseWriter, r *http.Request) error {
	chosen, err := s.chosen(w, r)
	if err != nil {
		return err
	}
	for _, sch := range chosen {
		if !sch.cancelable() {
			continue
		}
		if err := passOver(s.cancel(r.Context(), sch.scheduled)); err != nil {
			return err
		}
	}
	writeJSON(w, http.StatusOK, cancellation{s.newID()})
	return nil
}

// deleteSchedules removes several schedules. Qualys: those that are queued, running or unknown are passed over, to be cancelled
// first. Ours: the job is over with the answer.
func (s *server) deleteSchedules(w http.ResponseWriter, r *http.Request) error {
	chosen, err := s.chosen(w, r)
	if err != nil {
		return err
	}
	for _, sch := range chosen {
		if sch.Status == statusQueued || sch.Status == statusRunning {
			continue
		}
		if err := passOver(s.remove(r.Context(), sch.scheduled)); err != nil {
			return err
		}
	}
	writeJSON(w, http.StatusOK, deletion{s.newID()})
	return nil
}

// passOver ignores that a schedule was removed or began to run in the meantime.
func passOver(err error) error {
	if kind := tidewaiter.KindOf(err); kind == tidewaiter.ErrNotFound || kind == tidewaiter.ErrConflict {
		return nil
	}
	return err
}

// chosen returns the schedules of a registry a request names by scheduleIds or chooses by a filter. Qualys: with both, only the
// ids count; v1.1 sends an array of ids, v1.3 query parameters. Ours: neither is an error, never "all"; ids that are not there
// are passed over.
func (s *server) chosen(w http.ResponseWriter, r *http.Request) ([]shownSchedule, error) {
	body, err := readBody(w, r)
	if err != nil {
		return nil, err
	}
	ids, filter, err := selection(r, body, "scheduleIds")
	if err != nil {
		return nil, err
	}
	if len(ids) == 0 && filter == "" {
		return nil, tidewaiter.Invalid("scheduleIds", "no id and no filter is given").WithFix("filter=scheduleUuid:* means all")
	}
	e := qql.Expr(qql.And{})
	if len(ids) == 0 {
		if e, err = qql.Parse(filter); err != nil {
			return nil, err
		}
	}
	reg, err := s.find(r.Context(), r.PathValue("registryId"))
	if err != nil {
		return nil, err
	}
	found, err := s.schedules(r.Context(), reg.ID, e)
	if err != nil || len(ids) == 0 {
		return found, err
	}
	return slices.DeleteFunc(found, func(sch shownSchedule) bool { return !slices.Contains(ids, sch.ScheduleUUID) }), nil
}

// selection reads the ids and the filter of a bulk request: from the query, from an object, or from an array of ids.
func selection(r *http.Request, body []byte, name string) (ids []string, filter string, err error) {
	values := r.URL.Query()
	filter = values.Get("filter")
	ids = slices.Clone(values[name])
	switch {
	case len(body) == 0:
	case body[0] == '[':
		var more []string
		if err := decode(body, &more); err != nil {
			return nil, "", err
		}
		ids = append(ids, more...)
	default:
		var more map[string]any
		if err := decode(body, &more); err != nil {
			return nil, "", err
		}
		listed, err := texts(name, more[name])
		if err != nil {
			return nil, "", err
		}
		ids = append(ids, listed...)
		if text, ok := more["filter"].(string); ok && filter == "" {
			filter = text
		}
	}
	ids = slices.DeleteFunc(ids, func(id string) bool { return id == "" })
	slices.Sort(ids)
	if ids = slices.Compact(ids); len(ids) > maxChosen {
		return nil, "", tidewaiter.Invalid(name, "%d ids are more than the limit of %d", len(ids), maxChosen)
	}
	return ids, strings.TrimSpace(decodeAgain(filter)), nil
}

// maxChosen is how many ids one request may name.
const maxChosen = 1000

// texts reads a list of texts.
func texts(name string, v any) ([]string, error) {
	list, ok := v.([]any)
	if !ok && v != nil {
		return nil, tidewaiter.Invalid(name, "it is not a list")
	}
	out := make([]string, len(list))
	for i, id := range list {
		if out[i], ok = id.(string); !ok {
			return nil, tidewaiter.Invalid(name, "an id is not a text")
		}
	}
	return out, nil
}
