package qualys

import (
	_ "embed"
	"net/http"
	"strconv"
)

// specification is this API as an OpenAPI document. It is written by hand; the tests hold every answer against it, and it
// against the table of routes.
//
//go:embed openapi.json
var specification []byte

// getSpecification serves the document to anybody: it holds nothing of this installation.
func getSpecification(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/json;charset=UTF-8")
	w.Header().Set("Content-Length", strconv.Itoa(len(specification)))
	_, _ = w.Write(specification)
}
