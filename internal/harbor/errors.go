package harbor

import (
	"encoding/json"
	"errors"
	"net/http"
	"strconv"

	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// statusError is an error with a status of its own.
type statusError struct {
	status int
	text   string
}

func (e *statusError) Error() string { return e.text }

// statusOf is the one table from kinds of errors to status codes. What is not listed is 500.
// Pluggable scanner specification: 400 for JSON that cannot be read, 422 for a field that is wrong or missing.
var statusOf = map[tidewaiter.ErrorKind]int{
	tidewaiter.ErrInvalid:   http.StatusUnprocessableEntity,
	tidewaiter.ErrNotFound:  http.StatusNotFound,
	tidewaiter.ErrLimit:     http.StatusTooManyRequests,
	tidewaiter.ErrTransient: http.StatusServiceUnavailable,
	tidewaiter.ErrCanceled:  http.StatusServiceUnavailable,
}

// fail answers with an error. What Harbor's users can act on is said in full; anything else only goes to the log.
func (s *server) fail(w http.ResponseWriter, r *http.Request, err error) {
	if e, ok := errors.AsType[*statusError](err); ok {
		writeError(w, e.status, e.text)
		return
	}
	e, ok := errors.AsType[*tidewaiter.Error](err)
	status := 0
	if ok {
		status = statusOf[e.Kind]
	}
	if status == 0 {
		s.log.ErrorContext(r.Context(), "harbor: request went wrong", "method", r.Method, "id", r.PathValue("id"), "error", err)
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

type errorBody struct {
	Error errorMessage `json:"error"`
}

type errorMessage struct {
	Message string `json:"message"`
}

func writeError(w http.ResponseWriter, status int, text string) {
	writeJSON(w, status, typeError, errorBody{errorMessage{text}})
}

// writeJSON answers with a document of a media type.
func writeJSON(w http.ResponseWriter, status int, mediaType string, v any) {
	body, err := json.Marshal(v)
	if err != nil {
		// What is written here always can be: a value that cannot is a mistake of this package.
		status, mediaType, body = http.StatusInternalServerError, typeError, []byte(`{"error":{"message":"internal error"}}`)
	}
	w.Header().Set("Content-Type", mediaType)
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(status)
	_, _ = w.Write(body)
}
