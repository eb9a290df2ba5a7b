package qualys

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"regexp"

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
	ids, _, err := selection(r, body, "registryIds")
	if err != nil {
		return err
	}
	if len(ids) == 0 {
		return tidewaiter.Invalid("registryIds", "no id is given").WithFix("name what is to be deleted")
	}
	return s.delete(w, r, ids)
}

// delete removes registries, all or none. Qualys: one whose scan is running cannot be deleted.
func (s *server) delete(w http.ResponseWriter, r *http.Request, ids []string) error {
	ctx := r.Context()
	for _, id := range ids {
		if _, err := s.own(ctx, id); err != nil {
			return err
		}
	}
	running, _, err := s.control.Scans(ctx, control.ScanFilter{RegistryIDs: ids, States: runningStates, Page: control.Page{Limit: 1}})
	if err != nil {
		return err
	}
	if len(running) > 0 {
		return tidewaiter.Errorf(tidewaiter.ErrConflict, "registry %s is being scanned", running[0].RegistryID).WithFix("cancel the scan first, or wait")
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
