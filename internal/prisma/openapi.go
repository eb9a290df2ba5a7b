package prisma

import (
	_ "embed"
	"net/http"
	"strconv"
)

// openAPI describes what is served here, in OpenAPI 3.0. It is kept by hand beside the route table; tests hold it to the
// table, to the vendor's types and to what is answered.
//
//go:embed openapi.json
var openAPI []byte

// getOpenAPI answers with the description of this API. Ours: the vendor publishes its own apart from the console.
func (s *server) getOpenAPI(w http.ResponseWriter, _ *http.Request) error {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Length", strconv.Itoa(len(openAPI)))
	_, _ = w.Write(openAPI) // who asked may have gone
	return nil
}
