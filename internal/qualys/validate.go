package qualys

import (
	"context"
	"errors"
	"net/http"
	"regexp"
	"slices"

	"github.com/tidewaiter/tidewaiter/internal/control"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// validateRegistry answers true, or 400 with the first thing that is wrong. Qualys: whether the registry exists already,
// whether the account does, whether the credentials are right. Ours: the registry is really asked; at most 15 seconds.
func (s *server) validateRegistry(w http.ResponseWriter, r *http.Request) error {
	body, err := readBody(w, r)
	if err != nil {
		return err
	}
	q, err := parseRequest(body, isV11(r), false)
	if err != nil {
		return err
	}
	var old *tidewaiter.Registry
	if q.RegistryUUID != "" {
		if old, err = s.find(r.Context(), q.RegistryUUID); err != nil {
			return err
		}
	}
	if err := s.validate(r.Context(), q, old); err != nil {
		return asInvalid(err)
	}
	writeJSON(w, http.StatusOK, true)
	return nil
}

// validate looks at what is stored, then asks the registry.
func (s *server) validate(ctx context.Context, q *registryRequest, old *tidewaiter.Registry) error {
	d, err := s.draftFor(ctx, q, old)
	if err != nil {
		return err
	}
	if err := s.exists(ctx, d); err != nil {
		return err
	}
	var login *control.Login
	switch {
	case d.own != nil && d.secret != nil:
		login = &control.Login{Credential: d.own, Secret: *d.secret}
	case d.newConnector:
		login = &control.Login{Credential: d.connector}
	case d.registry.CredentialID == "":
		login = &control.Login{}
	}
	steps, err := s.control.Validate(ctx, d.registry, login)
	if err == nil || !slices.ContainsFunc(steps, refused) {
		return err
	}
	return worded(err, d.registry.Host())
}

// draftFor translates a request that is not going to be stored. What is stored of a registry is used for that registry only:
// with another URL its login would be given to whoever answers there.
func (s *server) draftFor(ctx context.Context, q *registryRequest, old *tidewaiter.Registry) (*draft, error) {
	if old == nil {
		return s.draftOf(ctx, q, nil)
	}
	if old.Origin != tidewaiter.OriginQualys {
		return nil, tidewaiter.Errorf(tidewaiter.ErrConflict, "the registry was declared over the %s API", old.Origin).
			WithFix("leave registryUuid empty")
	}
	return s.draftOf(ctx, q, old)
}

// exists reports that another registry has the name or looks at the same place.
func (s *server) exists(ctx context.Context, d *draft) error {
	for _, f := range []control.RegistryFilter{{Name: d.registry.Name}, {Host: d.registry.Host()}} {
		if f.Name == "" && f.Host == "" {
			continue
		}
		f.Origin, f.Limit = tidewaiter.OriginQualys, control.MaxRegistries
		others, _, err := s.control.Registries(ctx, f)
		if err != nil {
			return err
		}
		for _, other := range others {
			if err := d.clash(other); err != nil {
				return err
			}
		}
	}
	return nil
}

// refusals say in a few words what a registry's answer means, and what to do. Qualys: its clients hide messages that speak of
// secrets, so the usual ones do not.
var refusals = map[tidewaiter.ErrorKind]struct{ text, fix string }{
	tidewaiter.ErrAuth:   {"refused the login", "check the user name and what goes with it, and whether it has expired"},
	tidewaiter.ErrDenied: {"lets the user in but does not let it list or pull", "give the account read access, or name repositories in the schedule"},
}

// refused reports whether a step is one in which the registry itself says no. In the steps before, an address may be denied
// to us, which has words of its own.
func refused(s control.Step) bool {
	return !s.OK && (s.Name == "login" || s.Name == "list" || s.Name == "pull")
}

// worded puts the usual refusals of a host in those words, followed, where something is not allowed, by what it says itself
// unless that speaks of secrets.
func worded(err error, host string) error {
	words, usual := refusals[tidewaiter.KindOf(err)]
	if !usual {
		return err
	}
	text := host + " " + words.text
	if e, ok := errors.AsType[*tidewaiter.Error](err); ok && e.Kind == tidewaiter.ErrDenied && !speaksOfSecrets.MatchString(e.Msg) {
		text += ": " + e.Msg
	}
	return &tidewaiter.Error{Kind: tidewaiter.KindOf(err), Msg: text, Fix: words.fix, Err: err}
}

var speaksOfSecrets = regexp.MustCompile(`(?i)pass|secret|token|key|credential|authoriz?ation`)

// asInvalid makes a 400 of whatever a validation found, and lets errors of our own through.
func asInvalid(err error) error {
	e, ok := errors.AsType[*tidewaiter.Error](err)
	if !ok || e.Kind == tidewaiter.ErrBug || e.Kind == tidewaiter.ErrCanceled {
		return err
	}
	return &tidewaiter.Error{Kind: tidewaiter.ErrInvalid, Field: e.Field, Msg: e.Msg, Fix: e.Fix, Err: err}
}
