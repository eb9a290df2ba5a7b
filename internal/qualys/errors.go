package qualys

import (
	"errors"
	"net/http"
	"strconv"
	"strings"

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

// errorBody is Qualys' ResponseError.
type errorBody struct {
	ErrorCode string `json:"errorCode"` // "400 BAD REQUEST"
	Message   string `json:"message"`
	Timestamp int64  `json:"timestamp"` // milliseconds since 1970
}

// fail answers with an error. What a caller can act on is said in full; anything else only goes to the log.
func (s *server) fail(w http.ResponseWriter, r *http.Request, err error) {
	e, ok := errors.AsType[*tidewaiter.Error](err)
	status := 0
	if ok {
		status = statusOf[e.Kind]
	}
	if status == 0 {
		s.log.ErrorContext(r.Context(), "qualys: request went wrong", "method", r.Method, "path", r.URL.Path, "error", err)
		s.writeError(w, http.StatusInternalServerError, "internal error")
		return
	}
	if e.RetryAfter > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(int(e.RetryAfter.Seconds()+0.999)))
	}
	if status == http.StatusUnauthorized {
		w.Header().Set("WWW-Authenticate", `Bearer, Basic realm="Tidewaiter"`)
	}
	s.writeError(w, status, messageOf(e))
}

// messageOf puts the field in front. Qualys: clients print the first 100 to 200 characters, so the reason comes first and
// the remedy last.
func messageOf(e *tidewaiter.Error) string {
	text := e.Error()
	if e.Field != "" && !strings.HasPrefix(text, e.Field) {
		text = e.Field + ": " + text
	}
	return text
}

func (s *server) writeError(w http.ResponseWriter, status int, text string) {
	writeJSON(w, status, errorBody{ErrorCode: errorCode(status), Message: text, Timestamp: s.now().UnixMilli()})
}

// errorCode spells a status as the vendor does: the number and the reason in capitals.
func errorCode(status int) string {
	reason := strings.ToUpper(http.StatusText(status))
	if status == http.StatusTooManyRequests {
		reason = "TOO_MANY_REQUESTS"
	}
	return strconv.Itoa(status) + " " + reason
}

// permissionNames are the vendor's names of permissions. Qualys: CS.IMAGE.VIEW; the others are ours by analogy.
var permissionNames = map[tidewaiter.Permission]string{
	tidewaiter.MayReadImages:       "CS.IMAGE.VIEW",
	tidewaiter.MayWriteImages:      "CS.IMAGE.DELETE",
	tidewaiter.MayReadRegistries:   "CS.REGISTRY.VIEW",
	tidewaiter.MayWriteRegistries:  "CS.REGISTRY.UPDATE",
	tidewaiter.MayScan:             "CS.REGISTRY.SCAN",
	tidewaiter.MayReadCredentials:  "CS.CONNECTOR.VIEW",
	tidewaiter.MayWriteCredentials: "CS.CONNECTOR.CREATE",
}

// forbidden words a missing permission. Qualys: the sentence is the vendor's.
func forbidden(user string, may tidewaiter.Permission) error {
	return &tidewaiter.Error{Kind: tidewaiter.ErrForbidden, Msg: "The " + user + " user does not have the " + permissionNames[may] +
		" permission to perform this operation. Ensure that required permissions are assigned to the user"}
}

func notPartOf(path string) error {
	return &tidewaiter.Error{Kind: tidewaiter.ErrNotFound, Msg: cut(path, 200) + " is not part of the registry API"}
}

// cut shortens what somebody sent before it is shown back.
func cut(s string, n int) string {
	if len(s) <= n {
		return s
	}
	return strings.ToValidUTF8(s[:n], "") + "…"
}
