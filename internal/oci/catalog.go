package oci

import (
	"context"
	"errors"
	"net/http"

	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// statusError keeps the status and code of a refusal beneath its meaning, for decisions inside this package.
type statusError struct {
	status int
	code   string
}

// Error implements error.
func (e *statusError) Error() string { return http.StatusText(e.status) + " " + e.code }

func statusOf(err error) (status int, code string) {
	if e, ok := errors.AsType[*statusError](err); ok {
		return e.status, e.code
	}
	return 0, ""
}

// sizeRefused reports whether a registry refused n. distribution answers 400 PAGINATION_NUMBER_INVALID to one over its
// maximum; others a 400 with other words.
func sizeRefused(err error) bool {
	status, code := statusOf(err)
	return status == http.StatusBadRequest && (code == paginationNumberInvalid || tidewaiter.KindOf(err) == tidewaiter.ErrUnsupported)
}

// notKnown reports an answer that says a query cannot be put this way: ECR Public answers 405 to a "last" it did not
// hand out.
func notKnown(err error) bool {
	switch status, _ := statusOf(err); status {
	case http.StatusBadRequest, http.StatusNotFound, http.StatusMethodNotAllowed, http.StatusNotImplemented:
		return true
	}
	return false
}

// catalogClosed says what a refused catalog means: that it is closed where the registry otherwise lets us in, else
// whatever keeps us out.
func (r *Registry) catalogClosed(ctx context.Context, err error) error {
	status, _ := statusOf(err)
	kind := tidewaiter.ErrUnsupported
	switch status {
	case http.StatusUnauthorized, http.StatusForbidden:
		kind = tidewaiter.ErrDenied
	case http.StatusNotFound, http.StatusMethodNotAllowed, http.StatusNotImplemented:
	default:
		return err
	}
	if ping := r.Ping(ctx); ping != nil {
		return ping
	}
	e := tidewaiter.Errorf(kind, "list repositories: %s does not show its list of repositories to this account (%d)", r.base.Host, status).
		WithFix("name the repositories to look at, or use an account that may list them")
	e.Err = err
	return e
}
