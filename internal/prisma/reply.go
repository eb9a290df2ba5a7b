package prisma

import (
	"encoding/json"
	"fmt"
	"iter"
	"net/http"
	"strconv"
)

// writeJSON answers with one value. Encoding happens before the first byte is sent. Prisma's consoles escape <, > and &
// in strings, as encoding/json does by default.
func writeJSON(w http.ResponseWriter, status int, v any) {
	b, err := json.Marshal(v)
	if err != nil {
		panic(fmt.Sprintf("answer cannot be encoded: %v", err)) // plain data: only a programming error gets here
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Length", strconv.Itoa(len(b)))
	w.WriteHeader(status)
	_, _ = w.Write(b)
}

// writeList answers with an array, element by element, so that the memory it takes is that of one element. An empty list
// is null. An error before the first element is returned; one after it cuts the connection, because a shorter list would
// look complete.
func writeList[T any](w http.ResponseWriter, items iter.Seq2[T, error]) error {
	open := "["
	for item, err := range items {
		if err == nil {
			var b []byte
			if b, err = json.Marshal(item); err == nil {
				if open == "[" {
					w.Header().Set("Content-Type", "application/json")
				}
				if _, err := w.Write(append([]byte(open), b...)); err != nil {
					return nil // the client is gone
				}
				open = ","
				continue
			}
		}
		if open == "[" {
			return err
		}
		panic(http.ErrAbortHandler)
	}
	if open == "[" {
		writeJSON(w, http.StatusOK, nil)
		return nil
	}
	_, _ = w.Write([]byte("]"))
	return nil
}

// each turns a list into what writeList takes.
func each[T any](items []T) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		for _, item := range items {
			if !yield(item, nil) {
				return
			}
		}
	}
}

// totalCount says how long a paged list is as a whole. Prisma: Total-Count, on paged lists only; on anything else it makes
// clients page where there are no pages.
func totalCount(w http.ResponseWriter, n int) { w.Header().Set("Total-Count", strconv.Itoa(n)) }
