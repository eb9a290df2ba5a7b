package prisma

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/http"

	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// The largest bodies that are read.
const (
	maxBody         = 1 << 20
	maxRegistryBody = 64 << 20 // 19,999 specifications with room for certificates
)

// readBody reads a request's body up to a limit, whatever its Content-Type says. Prisma: the vendor's own examples send
// JSON without naming it.
func readBody(w http.ResponseWriter, r *http.Request, limit int64) ([]byte, error) {
	b, err := readWhole(w, r, limit)
	return bytes.TrimSpace(b), err
}

// readWhole reads a body to the byte, as signatures need it.
func readWhole(w http.ResponseWriter, r *http.Request, limit int64) ([]byte, error) {
	b, err := io.ReadAll(http.MaxBytesReader(w, r.Body, limit))
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return nil, tidewaiter.Errorf(tidewaiter.ErrTooLarge, "the body is larger than %d MiB", limit>>20)
	}
	if err != nil {
		return nil, tidewaiter.Errorf(tidewaiter.ErrInvalid, "the body was cut short")
	}
	return b, nil
}

// decode reads JSON the way the vendor's consoles do: names in any case, unknown ones ignored.
func decode(b []byte, v any) error {
	if err := json.Unmarshal(b, v); err != nil {
		return unmarshalError(err)
	}
	return nil
}

// decodeBody reads a body of at most maxBody that must not be empty.
func decodeBody(w http.ResponseWriter, r *http.Request, v any) error {
	b, err := readBody(w, r, maxBody)
	if err != nil {
		return err
	}
	return decode(b, v)
}

// unmarshalError words an error of decoding. Prisma: "failed to unmarshal: …" with the decoder's own text.
func unmarshalError(err error) *tidewaiter.Error {
	if e, ok := errors.AsType[*tidewaiter.Error](err); ok {
		return e
	}
	return &tidewaiter.Error{Kind: tidewaiter.ErrInvalid, Msg: "failed to unmarshal: " + err.Error(), Err: err}
}

// verbatim is a JSON value that is checked against T and shown again as it was sent.
type verbatim[T any] struct {
	Value T
	raw   json.RawMessage
}

// UnmarshalJSON implements json.Unmarshaler. null is no value.
func (v *verbatim[T]) UnmarshalJSON(b []byte) error {
	*v = verbatim[T]{}
	if string(b) == "null" {
		return nil
	}
	if err := json.Unmarshal(b, &v.Value); err != nil {
		return err
	}
	var compact bytes.Buffer
	if err := json.Compact(&compact, b); err != nil {
		return err
	}
	v.raw = compact.Bytes()
	return nil
}

// MarshalJSON implements json.Marshaler.
func (v verbatim[T]) MarshalJSON() ([]byte, error) {
	if v.raw == nil {
		return []byte("null"), nil
	}
	return v.raw, nil
}

// IsZero reports whether there is no value; such a field is left out.
func (v verbatim[T]) IsZero() bool { return v.raw == nil }
