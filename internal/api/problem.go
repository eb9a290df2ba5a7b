package api

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"math"
	"net/http"
	"strconv"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// statuses says which status each kind of error has. What a registry did wrong is a 502: we are its client.
var statuses = map[tidewaiter.ErrorKind]int{
	tidewaiter.ErrInvalid:      http.StatusUnprocessableEntity,
	tidewaiter.ErrNotFound:     http.StatusNotFound,
	tidewaiter.ErrConflict:     http.StatusConflict,
	tidewaiter.ErrUnauthorized: http.StatusUnauthorized,
	tidewaiter.ErrForbidden:    http.StatusForbidden,
	tidewaiter.ErrLimit:        http.StatusTooManyRequests,
	tidewaiter.ErrTransient:    http.StatusServiceUnavailable,
	tidewaiter.ErrMalformed:    http.StatusBadRequest,
	tidewaiter.ErrTooLarge:     http.StatusRequestEntityTooLarge,
	tidewaiter.ErrUnsupported:  http.StatusUnprocessableEntity,
	tidewaiter.ErrAuth:         http.StatusBadGateway,
	tidewaiter.ErrDenied:       http.StatusBadGateway,
	tidewaiter.ErrUnreachable:  http.StatusBadGateway,
	tidewaiter.ErrTLS:          http.StatusBadGateway,
	tidewaiter.ErrGone:         http.StatusBadGateway,
	tidewaiter.ErrCanceled:     http.StatusConflict,
	tidewaiter.ErrBug:          http.StatusInternalServerError,
}

// problem is an error as the API tells it. Type is the error's kind, for programs; Fix says what to do, for people.
type problem struct {
	Type   string              `json:"type"`
	Title  string              `json:"title"`
	Status int                 `json:"status"`
	Detail string              `json:"detail"`
	Fix    string              `json:"fix,omitempty"`
	Errors []*huma.ErrorDetail `json:"errors,omitempty"` // the field that is wrong

	header http.Header
}

// Error returns the sentence.
func (p *problem) Error() string { return p.Detail }

// GetStatus returns the HTTP status.
func (p *problem) GetStatus() int { return p.Status }

// GetHeaders returns what goes with it.
func (p *problem) GetHeaders() http.Header { return p.header }

// ContentType makes it problem+json.
func (p *problem) ContentType(string) string { return "application/problem+json" }

// problem tells an error. What is our own mistake is logged, and not told to strangers.
func (s *server) problem(ctx context.Context, err error) *problem {
	if p, ok := errors.AsType[*problem](err); ok {
		return p
	}
	kind := tidewaiter.KindOf(err)
	p := &problem{Type: "urn:tidewaiter:" + string(kind), Status: statuses[kind], Detail: err.Error(), header: http.Header{}}
	e, ok := errors.AsType[*tidewaiter.Error](err)
	if ok {
		p.Fix = e.Fix
		p.Detail = strings.TrimSuffix(p.Detail, " ("+e.Fix+")")
		if e.Field != "" {
			p.Errors = []*huma.ErrorDetail{{Message: e.Msg, Location: e.Field}}
		}
		if e.RetryAfter > 0 {
			p.header.Set("Retry-After", strconv.Itoa(int(math.Ceil(e.RetryAfter.Seconds()))))
		}
	}
	if kind == tidewaiter.ErrBug {
		if errors.Is(err, context.Canceled) || ctx.Err() != nil {
			p.Status, p.Type, p.Detail = http.StatusServiceUnavailable, "urn:tidewaiter:canceled", "the request was given up"
		} else {
			s.Log.ErrorContext(ctx, "request failed", "err", err)
			p.Detail = "something went wrong here; the log of the server says what"
		}
	}
	if kind == tidewaiter.ErrUnauthorized {
		p.header.Set("WWW-Authenticate", `Basic realm="tidewaiter", charset="UTF-8"`)
	}
	p.Title = http.StatusText(p.Status)
	return p
}

// uniform gives what huma finds wrong with a request the form of our own problems.
func uniform(_ huma.Context, _ string, v any) (any, error) {
	m, ok := v.(*huma.ErrorModel)
	if !ok {
		return v, nil
	}
	kind := tidewaiter.ErrInvalid
	switch m.Status {
	case http.StatusBadRequest:
		kind = tidewaiter.ErrMalformed
	case http.StatusRequestEntityTooLarge:
		kind = tidewaiter.ErrTooLarge
	}
	p := &problem{Type: "urn:tidewaiter:" + string(kind), Title: m.Title, Status: m.Status, Detail: m.Detail, Errors: m.Errors}
	if len(m.Errors) > 0 {
		p.Detail = m.Errors[0].Location + ": " + m.Errors[0].Message
	}
	return p, nil
}

// writeProblem answers outside of an operation.
func writeProblem(w http.ResponseWriter, p *problem) {
	maps.Copy(w.Header(), p.header)
	w.Header().Set("Content-Type", p.ContentType(""))
	w.WriteHeader(p.Status)
	_ = json.NewEncoder(w).Encode(p) //nolint:errchkjson // the client has gone
}

// unknown answers whatever the API does not have: 405 for another method of a path it has, 404 otherwise.
func (s *server) unknown(mux *http.ServeMux) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		p := &problem{Type: "urn:tidewaiter:not_found", Title: "Not Found", Status: http.StatusNotFound, Detail: "there is no " + r.URL.Path,
			Fix: "see " + Prefix + "/openapi.json", header: http.Header{}}
		var allowed []string
		for _, method := range []string{"GET", "POST", "PUT", "PATCH", "DELETE"} {
			probe := *r
			probe.Method = method
			if _, pattern := mux.Handler(&probe); pattern != "/" && pattern != "" {
				allowed = append(allowed, method)
			}
		}
		if len(allowed) > 0 {
			p.Status, p.Title = http.StatusMethodNotAllowed, http.StatusText(http.StatusMethodNotAllowed)
			p.Detail, p.Fix = r.Method+" is not allowed here", "use "+strings.Join(allowed, " or ")
			p.header.Set("Allow", strings.Join(allowed, ", "))
		}
		writeProblem(w, p)
	}
}
