package prisma

import (
	"errors"
	"net/http"
	"strconv"

	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// statusOf is the one table from kinds of errors to status codes. What is not listed is 500.
var statusOf = map[tidewaiter.ErrorKind]int{
	tidewaiter.ErrInvalid:      http.StatusBadRequest,
	tidewaiter.ErrNotFound:     http.StatusNotFound,
	tidewaiter.ErrConflict:     http.StatusConflict,
	tidewaiter.ErrUnauthorized: http.StatusUnauthorized,
	tidewaiter.ErrForbidden:    http.StatusForbidden,
	tidewaiter.ErrLimit:        http.StatusTooManyRequests,
	tidewaiter.ErrTooLarge:     http.StatusRequestEntityTooLarge,
	tidewaiter.ErrUnsupported:  http.StatusBadRequest,
	tidewaiter.ErrTransient:    http.StatusServiceUnavailable,
	tidewaiter.ErrCanceled:     http.StatusServiceUnavailable,
}

// fail answers with an error. What a caller can act on is said in full; anything else only goes to the log.
func (s *server) fail(w http.ResponseWriter, r *http.Request, err error) {
	e, ok := errors.AsType[*tidewaiter.Error](err)
	status := 0
	if ok {
		status = statusOf[e.Kind]
	}
	if status == 0 {
		path := r.URL.Path
		if r.PathValue("suffix") != "" {
			path = r.Pattern // the end of this one is a secret
		}
		s.log.ErrorContext(r.Context(), "prisma: request went wrong", "method", r.Method, "path", path, "error", err)
		writeError(w, http.StatusInternalServerError, "internal error")
		return
	}
	if e.RetryAfter > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(int(e.RetryAfter.Seconds()+0.999)))
	}
	text := e.Error()
	if e.Field != "" {
		text = e.Field + ": " + text
	}
	writeError(w, status, text)
}

// errorBody is Prisma's error. The vendor's Terraform provider shows err, and breaks when there is none.
type errorBody struct {
	Err string `json:"err"`
}

func writeError(w http.ResponseWriter, status int, text string) {
	writeJSON(w, status, errorBody{Err: text})
}

// plain makes an error whose text is the vendor's own: no field in front, no fix behind.
func plain(kind tidewaiter.ErrorKind, text string) *tidewaiter.Error {
	return &tidewaiter.Error{Kind: kind, Msg: text}
}

func notPartOf(path string) error {
	return plain(tidewaiter.ErrNotFound, path[:min(len(path), 200)]+" is not part of registry scanning")
}
