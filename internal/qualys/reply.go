package qualys

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"time"
)

// writeJSON answers with one value. Encoding happens before the first byte is sent.
func writeJSON(w http.ResponseWriter, status int, v any) {
	b, err := json.Marshal(v)
	if err != nil {
		panic(fmt.Sprintf("answer cannot be encoded: %v", err)) // plain data: only a programming error gets here
	}
	w.Header().Set("Content-Type", "application/json;charset=UTF-8")
	w.Header().Set("Content-Length", strconv.Itoa(len(b)))
	w.WriteHeader(status)
	_, _ = w.Write(b)
}

// list is how lists are answered.
type list[T any] struct {
	Data  []T `json:"data"`
	Count int `json:"count"` // of all pages together
}

// writeList answers with a page. Qualys: nothing found is 204 without a body; unfiltered and empty is an empty list (ours:
// clients accept both, and this one tells "you have none" from "none like that").
func writeList[T any](w http.ResponseWriter, filtered bool, data []T, count int) {
	if count == 0 && filtered {
		w.WriteHeader(http.StatusNoContent)
		return
	}
	if data == nil {
		data = []T{}
	}
	writeJSON(w, http.StatusOK, list[T]{Data: data, Count: count})
}

// millis is a time as the vendor writes it: milliseconds since 1970 in a string, null when there is none.
type millis struct{ time.Time }

// MarshalJSON implements json.Marshaler.
func (m millis) MarshalJSON() ([]byte, error) {
	if m.IsZero() {
		return []byte("null"), nil
	}
	return []byte(`"` + strconv.FormatInt(m.UnixMilli(), 10) + `"`), nil
}

// orNull returns nil for an empty text, which the vendor shows as null.
func orNull(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}
