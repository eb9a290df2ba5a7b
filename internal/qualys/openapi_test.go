package qualys_test

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
	"github.com/getkin/kin-openapi/routers/legacy"
	"github.com/google/go-cmp/cmp"

	"github.com/tidewaiter/tidewaiter/internal/qualys"
)

// document is the API's own OpenAPI document and what finds a request in it.
var document = sync.OnceValues(func() (*openapi3.T, routers.Router) {
	b, err := os.ReadFile("openapi.json")
	if err != nil {
		panic(err)
	}
	doc, err := openapi3.NewLoader().LoadFromData(b)
	if err != nil {
		panic(err)
	}
	router, err := legacy.NewRouter(doc)
	if err != nil {
		panic(err)
	}
	return doc, router
})

// conforms checks an exchange against the document: every answer, and the requests that were accepted. What is not part of the
// API is passed over.
func (c *console) conforms(req *http.Request, body string, a answer) {
	c.Helper()
	_, router := document()
	asked := req.Clone(c.Context())
	asked.URL.Scheme, asked.URL.Host, asked.Host = "", "", ""
	asked.URL.Path = strings.TrimRight(asked.URL.Path, "/")
	asked.Body = io.NopCloser(strings.NewReader(body))
	route, params, err := router.FindRoute(asked)
	if err != nil {
		return
	}
	if asked.Header.Get("Content-Type") == "" {
		asked.Header.Set("Content-Type", "application/json")
	}
	in := &openapi3filter.RequestValidationInput{Request: asked, PathParams: params, Route: route,
		Options: &openapi3filter.Options{AuthenticationFunc: openapi3filter.NoopAuthenticationFunc, MultiError: true, IncludeResponseStatus: true}}
	if a.status < 300 && body != "" && !strings.Contains(req.URL.RawQuery, "%25") {
		if err := openapi3filter.ValidateRequest(c.Context(), in); err != nil {
			c.Errorf("%s %s: the request is not as documented: %.1000s", req.Method, req.URL.Path, err)
		}
	}
	out := &openapi3filter.ResponseValidationInput{RequestValidationInput: in, Status: a.status, Header: a.header, Options: in.Options,
		Body: io.NopCloser(strings.NewReader(a.body))}
	if a.status == http.StatusNoContent || a.body == "" {
		out.Options = &openapi3filter.Options{ExcludeResponseBody: true, IncludeResponseStatus: true}
	}
	if err := openapi3filter.ValidateResponse(c.Context(), out); err != nil {
		c.Errorf("%s %s: the answer is not as documented: %.2000s", req.Method, req.URL.Path, err)
	}
}

// TestSpecification holds the document against the table of routes, and what is served against the file.
func TestSpecification(t *testing.T) {
	doc, _ := document()
	if err := doc.Validate(t.Context()); err != nil {
		t.Fatal(err)
	}
	var documented []string
	for path, item := range doc.Paths.Map() {
		for method := range item.Operations() {
			documented = append(documented, method+" "+path)
		}
	}
	routes := append(qualys.Routes(), "GET /openapi.json")
	slices.Sort(documented)
	slices.Sort(routes)
	if diff := cmp.Diff(routes, documented); diff != "" {
		t.Errorf("routes (-) and documented operations (+) differ:\n%s", diff)
	}
	c := start(t)
	file, err := os.ReadFile("openapi.json")
	c.must(err)
	for _, version := range []string{"v1.1", "v1.2", "v1.3"} {
		if a := c.call("GET", "/csapi/"+version+"/openapi.json", "", func(r *http.Request) { r.Header.Del("Authorization") }); a.status != 200 || a.body != string(file) {
			t.Errorf("%s: %d, %d bytes", version, a.status, len(a.body))
		}
	}
}

// vendorsMistakes are where the vendor's document contradicts the samples of the vendor's other documents, or what clients
// need: the golden files of these are not held against it.
var vendorsMistakes = map[string]string{
	"aws_connectors": "an array in every sample and client, an object in the document", "acr_connectors": "as above", "gcp_connectors": "as above",
	"image_vuln": "details is a list in every client, one object in the document", "image_associated_registries": "a list of lists",
	"registry_create": "a bare text, an object in every sample", "images": "size is a number in what clients read", "image_software": "customerSeverity is a number to clients",
	"registry_validate": "the sample shows a JSON true", "registry_update": "a bare text", "registry_delete": "a bare text", "schedule_create": "a bare text, but clients read scheduleId from it",
	"schedule_create_automatic": "as above", "schedule_update": "as above", "schedule_cancel_one": "as above", "schedule_delete_one": "as above",
}

// TestAgainstTheVendorsOpenAPI validates the golden answers with the vendor's own document. That is not part of the project: it
// runs when TIDEWAITER_QUALYS_OPENAPI names the file (of version 1.3).
func TestAgainstTheVendorsOpenAPI(t *testing.T) {
	file := os.Getenv("TIDEWAITER_QUALYS_OPENAPI")
	if file == "" {
		t.Log("TIDEWAITER_QUALYS_OPENAPI is not set: nothing was compared with the vendor's document")
		return
	}
	doc := vendorDocument(t, file)
	ours, _ := document()
	for _, g := range goldens("id", "ecr", "azure", "gcp", "gar", "plan") {
		path, operation := find(doc, ours, g.method, g.path)
		if operation == nil {
			t.Logf("%s: %s %s is not in the document", g.name, g.method, g.path)
			continue
		}
		if why := vendorsMistakes[g.name]; why != "" {
			t.Logf("%s: passed over, %s", g.name, why)
			continue
		}
		ok := operation.Responses.Status(http.StatusOK)
		b, err := os.ReadFile(filepath.Join("testdata", g.name+".json"))
		if err != nil {
			t.Fatal(err)
		}
		var v any
		if err := json.Unmarshal(b, &v); err != nil {
			t.Fatal(err)
		}
		if _, failed := v.(map[string]any); failed && bytes.Contains(b, []byte(`"errorCode": "4`)) {
			ok = operation.Responses.Status(http.StatusNotFound)
		}
		if err := ok.Value.Content["application/json"].Schema.Value.VisitJSON(v, openapi3.MultiErrors()); err != nil {
			t.Errorf("%s (%s): %.2000s", g.name, path, err)
		}
	}
}

// find returns the operation of the vendor's document a golden request is for.
func find(doc, ours *openapi3.T, method, path string) (string, *openapi3.Operation) {
	path, _, _ = strings.Cut(path, "?")
	router, err := legacy.NewRouter(ours)
	if err != nil {
		return "", nil
	}
	req, err := http.NewRequest(method, "/csapi/v1.3"+path, http.NoBody)
	if err != nil {
		return "", nil
	}
	route, _, err := router.FindRoute(req)
	if err != nil {
		return "", nil
	}
	item := doc.Paths.Value(route.Path)
	if item == nil {
		return route.Path, nil
	}
	return route.Path, item.GetOperation(method)
}

// vendorDocument loads the document with the one mistake mended that is everywhere: what is absent is null on the wire.
func vendorDocument(t *testing.T, file string) *openapi3.T {
	t.Helper()
	doc, err := openapi3.NewLoader().LoadFromFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range doc.Components.Schemas {
		s.Value.Nullable = true
		for _, p := range s.Value.Properties {
			p.Value.Nullable = true
		}
	}
	return doc
}
