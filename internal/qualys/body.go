package qualys

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/http"

	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// maxBody is the largest body that is read, in bytes.
const maxBody = 1 << 20

// readBody reads a request's body, whatever its Content-Type says. Qualys: documented samples misspell the header.
func readBody(w http.ResponseWriter, r *http.Request) ([]byte, error) {
	b, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return nil, tidewaiter.Errorf(tidewaiter.ErrTooLarge, "the body is larger than %d MiB", maxBody>>20)
	}
	if err != nil {
		return nil, tidewaiter.Errorf(tidewaiter.ErrInvalid, "the body was cut short")
	}
	return bytes.TrimSpace(b), nil
}

// decode reads JSON leniently: unknown names are ignored, null counts as missing. An error names the field that has the
// wrong type and never shows what was sent, for bodies hold secrets.
func decode(b []byte, v any) error {
	if len(b) == 0 {
		return tidewaiter.Errorf(tidewaiter.ErrInvalid, "the body is empty").WithFix("send a JSON object")
	}
	err := json.Unmarshal(b, v)
	if err == nil {
		return nil
	}
	if e, ok := errors.AsType[*tidewaiter.Error](err); ok {
		return e
	}
	if e, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		if e.Field == "" {
			return tidewaiter.Errorf(tidewaiter.ErrInvalid, "the body is a JSON %s, not what is expected here", e.Value)
		}
		return tidewaiter.Invalid(e.Field, "a JSON %s does not belong here", e.Value).WithFix("see the type in the documentation")
	}
	return tidewaiter.Errorf(tidewaiter.ErrInvalid, "the body is not valid JSON")
}
