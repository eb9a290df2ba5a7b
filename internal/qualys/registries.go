package qualys

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"slices"

	"github.com/tidewaiter/tidewaiter/internal/control"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// registryID answers who created or changed a registry.
type registryID struct {
	RegistryUUID string `json:"registryUuid"`
}

// postRegistry creates a registry. Qualys: registryUuid is empty or null then; ours: the one of a registry that exists
// updates it, as one of the documents says of POST. Ours: what is created is scanned once, so that there are results
// without a schedule.
func (s *server) postRegistry(w http.ResponseWriter, r *http.Request) error {
	body, err := readBody(w, r)
	if err != nil {
		return err
	}
	q, err := parseRequest(body, isV11(r), false)
	if err != nil {
		return err
	}
	if q.RegistryUUID != "" {
		return s.update(w, r, q, q.RegistryUUID)
	}
	if q.RegistryName == "" {
		if q.RegistryName, err = s.freeName(r.Context(), q.RegistryURI); err != nil {
			return err
		}
	}
	d, err := s.draftOf(r.Context(), q, nil)
	if err != nil {
		return err
	}
	stored, err := s.declare(r.Context(), d)
	if err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, registryID{stored.ID})
	return nil
}

// putRegistry changes a registry. What the body leaves out of name and login stays.
func (s *server) putRegistry(w http.ResponseWriter, r *http.Request) error {
	body, err := readBody(w, r)
	if err != nil {
		return err
	}
	q, err := parseRequest(body, isV11(r), true)
	if err != nil {
		return err
	}
	return s.update(w, r, q, r.PathValue("registryId"))
}

// update carries out a change of a registry.
func (s *server) update(w http.ResponseWriter, r *http.Request, q *registryRequest, id string) error {
	old, err := s.own(r.Context(), id)
	if err != nil {
		return err
	}
	d, err := s.draftOf(r.Context(), q, old)
	if err != nil {
		return err
	}
	if _, err := s.declare(r.Context(), d); err != nil {
		return err
	}
	if old.CredentialID == old.ID && d.registry.CredentialID != old.ID {
		if err := s.forgetLogin(r.Context(), old.ID); err != nil {
			return err
		}
	}
	writeJSON(w, http.StatusOK, registryID{id})
	return nil
}

// declare stores a draft, its new connector first.
func (s *server) declare(ctx context.Context, d *draft) (*tidewaiter.Registry, error) {
	if d.newConnector {
		if err := s.control.PutCredential(ctx, d.connector, nil); err != nil {
			return nil, err
		}
	}
	declaration := d.declaration()
	declaration.Scan = d.registry.ID == ""
	return s.control.Declare(ctx, declaration)
}

// own returns a registry that was declared here. Errors: ErrNotFound; ErrConflict for one that was declared elsewhere and
// would be put back from there.
func (s *server) own(ctx context.Context, id string) (*tidewaiter.Registry, error) {
	r, err := s.find(ctx, id)
	if err == nil && r.Origin != tidewaiter.OriginQualys {
		return nil, tidewaiter.Errorf(tidewaiter.ErrConflict, "the registry was declared over the %s API", r.Origin).
			WithFix("change it there")
	}
	return r, err
}

// find returns any registry.
func (s *server) find(ctx context.Context, id string) (*tidewaiter.Registry, error) {
	r, err := s.control.Registry(ctx, id)
	if tidewaiter.KindOf(err) == tidewaiter.ErrNotFound {
		return nil, tidewaiter.Errorf(tidewaiter.ErrNotFound, "registry %s was not found", cut(id, 80))
	}
	return r, err
}

var notInName = regexp.MustCompile(`[^A-Za-z0-9._-]+`)

// freeName makes a name for a registry that comes without one: its host, with a number behind it where that is taken. Ours:
// v1.1 knows no names.
func (s *server) freeName(ctx context.Context, uri string) (string, error) {
	host := notInName.ReplaceAllString(tidewaiter.HostOf(uri), "-")
	host = host[:min(len(host), maxNameLength-6)]
	for n := 1; n < 10_000; n++ {
		name := host
		if n > 1 {
			name = fmt.Sprintf("%s-%d", host, n)
		}
		taken, err := s.control.CountRegistries(ctx, control.RegistryFilter{Origin: tidewaiter.OriginQualys, Name: name})
		if err != nil || taken == 0 {
			return name, err
		}
	}
	return "", tidewaiter.Errorf(tidewaiter.ErrConflict, "no name is free for this host").WithFix("give the registry a name")
}

// deletion answers a deletion. Qualys: it is a job. Ours: the job is over when the answer comes.
type deletion struct {
	DeletionJobID string `json:"deletionJobId"`
}

func (s *server) deleteRegistry(w http.ResponseWriter, r *http.Request) error {
	return s.delete(w, r, []string{r.PathValue("registryId")})
}

// deleteRegistries removes several. Qualys: v1.1 sends an array of ids, v1.3 an object or query parameters; here each may
// send any. Clients generated from the vendor's specification cannot send ids at all: that is an error, never "all".
func (s *server) deleteRegistries(w http.ResponseWriter, r *http.Request) error {
	body, err := readBody(w, r)
	if err != nil {
		return err
	}
	ids, err := idsOf(r, body, "registryIds")
	if err != nil {
		return err
	}
	return s.delete(w, r, ids)
}

// maxDeleted is how many registries one request may delete.
const maxDeleted = 1000

// idsOf reads ids from the query, an object or an array.
func idsOf(r *http.Request, body []byte, name string) ([]string, error) {
	ids := slices.Clone(r.URL.Query()[name])
	switch {
	case len(body) == 0:
	case body[0] == '[':
		var more []string
		if err := decode(body, &more); err != nil {
			return nil, err
		}
		ids = append(ids, more...)
	default:
		var more map[string]any
		if err := decode(body, &more); err != nil {
			return nil, err
		}
		list, ok := more[name].([]any)
		if !ok && more[name] != nil {
			return nil, tidewaiter.Invalid(name, "it is not a list")
		}
		for _, id := range list {
			text, ok := id.(string)
			if !ok {
				return nil, tidewaiter.Invalid(name, "an id is not a text")
			}
			ids = append(ids, text)
		}
	}
	ids = slices.DeleteFunc(ids, func(id string) bool { return id == "" })
	slices.Sort(ids)
	ids = slices.Compact(ids)
	if len(ids) == 0 {
		return nil, tidewaiter.Invalid(name, "no id is given").WithFix("name what is to be deleted")
	}
	if len(ids) > maxDeleted {
		return nil, tidewaiter.Invalid(name, "%d ids are more than the limit of %d", len(ids), maxDeleted)
	}
	return ids, nil
}

// delete removes registries, all or none. Qualys: one whose scan is running cannot be deleted.
func (s *server) delete(w http.ResponseWriter, r *http.Request, ids []string) error {
	ctx := r.Context()
	for _, id := range ids {
		if _, err := s.own(ctx, id); err != nil {
			return err
		}
	}
	scans, err := s.control.LatestScans(ctx, ids)
	if err != nil {
		return err
	}
	for _, id := range ids {
		if current := scans[id].Current; current != nil && current.State != tidewaiter.ScanQueued {
			return tidewaiter.Errorf(tidewaiter.ErrConflict, "registry %s is being scanned", id).WithFix("cancel the scan first, or wait")
		}
	}
	if err := s.control.DeleteRegistries(ctx, ids...); err != nil {
		return err
	}
	for _, id := range ids {
		if err := s.forgetLogin(ctx, id); err != nil {
			return err
		}
	}
	writeJSON(w, http.StatusOK, deletion{s.newID()})
	return nil
}

// forgetLogin removes the login of a registry's own, if it has one.
func (s *server) forgetLogin(ctx context.Context, id string) error {
	err := s.control.DeleteCredential(ctx, id)
	if e, ok := errors.AsType[*tidewaiter.Error](err); ok && e.Kind == tidewaiter.ErrNotFound {
		return nil
	}
	return err
}
