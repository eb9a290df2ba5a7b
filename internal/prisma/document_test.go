package prisma_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/google/go-cmp/cmp"

	"github.com/tidewaiter/tidewaiter/internal/prisma"
)

// servedDocument loads the OpenAPI document as a client gets it.
func servedDocument(t *testing.T, c *console) *openapi3.T {
	t.Helper()
	a := c.call("GET", "/openapi.json", "")
	if a.status != 200 || a.header.Get("Content-Type") != "application/json" {
		t.Fatalf("%d %v", a.status, a.header)
	}
	doc, err := openapi3.NewLoader().LoadFromData([]byte(a.body))
	c.must(err)
	return doc
}

func TestDocumentIsValidAndForUsersOnly(t *testing.T) {
	c := start(t)
	doc := servedDocument(t, c)
	if err := doc.Validate(t.Context()); err != nil {
		t.Error(err)
	}
	if doc.Info.Version != prisma.ConsoleVersion {
		t.Errorf("version %s, want %s", doc.Info.Version, prisma.ConsoleVersion)
	}
	want := c.call("GET", "/openapi.json", "").body
	if a := c.call("GET", "/api/v32.07/openapi.json", "", asUser("ci")); a.status != 200 || a.body != want {
		t.Errorf("another version: %d", a.status)
	}
	if a := c.call("GET", "/openapi.json", "", header("Authorization", "")); a.status != 401 {
		t.Errorf("without a login: %d", a.status)
	}
}

func TestDocumentHasTheRouteTableAndNothingElse(t *testing.T) {
	var got []string
	for path, item := range servedDocument(t, start(t)).Paths.Map() {
		for method, op := range item.Operations() {
			got = append(got, method+" "+path)
			if op.Summary == "" || op.Responses.Status(200) == nil || op.Responses.Default() == nil {
				t.Errorf("%s %s lacks a summary or a response", method, path)
			}
		}
	}
	var want []string
	for _, r := range prisma.Routes() {
		want = append(want, strings.Replace(r, "...}", "}", 1))
	}
	slices.Sort(got)
	slices.Sort(want)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("routes (-table +document):\n%s", diff)
	}
}

// looser are the types of the vendor that are wider on the wire here.
var looser = []string{
	"vuln.SecretType",           // has the names of our own rules as well
	"common.PolicyEffect",       // may be a list such as "alert, block"
	"vulnerability.RiskFactors", // the values are empty objects
}

func TestDocumentHasTheVendorsTypes(t *testing.T) {
	ty, compared := readTypes(t), 0
	for name, s := range servedDocument(t, start(t)).Components.Schemas {
		if s.Value.Description == "" {
			t.Errorf("%s is not described", name)
		}
		want, ok := ty[name]
		if !ok {
			if strings.Contains(name, ".") {
				t.Errorf("the vendor has no type %s", name)
			}
			continue // ours
		}
		fields, isStruct := strings.CutPrefix(want, "struct ")
		if !isStruct {
			if got := said(s.Value); got != withoutEmpty(want) && !slices.Contains(looser, name) {
				t.Errorf("%s is %s, want %s", name, got, want)
			}
			continue
		}
		known := strings.Split(fields, ", ")
		for field, p := range s.Value.Properties {
			compared++
			if got := field + " " + saidRef(p); !slices.Contains(known, got) && !beside[field] {
				t.Errorf("%s has %s, which the vendor's has not", name, got)
			}
		}
	}
	if compared < 300 {
		t.Errorf("only %d fields were compared", compared)
	}
}

// withoutEmpty leaves out the empty word that some of the vendor's enumerations have; all may be empty on the wire.
func withoutEmpty(is string) string {
	return strings.TrimSuffix(strings.Replace(is, "enum |", "enum ", 1), "|")
}

// saidRef words a schema as testdata/schema.txt does.
func saidRef(s *openapi3.SchemaRef) string {
	if s.Ref != "" {
		return strings.TrimPrefix(s.Ref, "#/components/schemas/")
	}
	return said(s.Value)
}

func said(s *openapi3.Schema) string {
	switch {
	case s.Type.Is("array"):
		return "[]" + saidRef(s.Items)
	case s.Type.Is("object") && s.AdditionalProperties.Schema != nil:
		return "map " + saidRef(s.AdditionalProperties.Schema)
	case len(s.Enum) > 0:
		var values []string
		for _, v := range s.Enum {
			if v != "" {
				values = append(values, v.(string))
			}
		}
		return "enum " + strings.Join(values, "|")
	case s.Format == "date-time":
		return "time"
	case len(s.Type.Slice()) == 1:
		return s.Type.Slice()[0]
	}
	return "anything"
}

func TestGoldensAreAsTheDocumentSays(t *testing.T) {
	doc := servedDocument(t, start(t))
	closeSchemas(doc)
	for name, path := range goldens {
		content := documented(doc, path).Responses.Status(200).Value.Content
		b, err := os.ReadFile(filepath.Join("testdata", name))
		if err != nil {
			t.Fatal(err)
		}
		mediaType := map[string]string{".json": "application/json", ".csv": "text/csv", ".xml": "application/xml"}[filepath.Ext(name)]
		if content[mediaType] == nil {
			t.Errorf("%s: %s has no answer in %s", name, path, mediaType)
			continue
		}
		var v any = string(b)
		if mediaType == "application/json" {
			if err := json.Unmarshal(b, &v); err != nil {
				t.Fatal(err)
			}
		}
		if err := matches(content[mediaType].Schema.Value, v); err != nil {
			t.Errorf("%s: %.2000s", name, err)
		}
	}
	spec := doc.Components.Schemas["shared.ImageTag"].Value
	for _, wrong := range []string{`{"registry":1}`, `{"colour":"red"}`, `[]`, `null`} {
		var v any
		if err := json.Unmarshal([]byte(wrong), &v); err != nil {
			t.Fatal(err)
		}
		if matches(spec, v) == nil {
			t.Errorf("the check itself lets %s pass", wrong)
		}
	}
}

func matches(s *openapi3.Schema, v any) error {
	return s.VisitJSON(v, openapi3.MultiErrors(), openapi3.VisitAsResponse(), openapi3.EnableFormatValidation())
}

// closeSchemas makes fields unknown to the document errors, except where it says that whatever was sent is shown.
func closeSchemas(doc *openapi3.T) {
	for _, s := range doc.Components.Schemas {
		if p := &s.Value.AdditionalProperties; p.Schema == nil && p.Has == nil && s.Value.Type.Is("object") {
			p.Has = new(bool)
		}
	}
}

// documented finds the GET of a path: that whose every segment is the same or a variable, the one without variables first.
func documented(doc *openapi3.T, path string) *openapi3.Operation {
	path, _, _ = strings.Cut(path, "?")
	if item := doc.Paths.Value(path); item != nil && item.Get != nil {
		return item.Get
	}
	segments := strings.Split(path, "/")
	for template, item := range doc.Paths.Map() {
		if item.Get != nil && slices.EqualFunc(strings.Split(template, "/"), segments, func(a, b string) bool {
			return a == b || strings.HasPrefix(a, "{")
		}) {
			return item.Get
		}
	}
	return &openapi3.Operation{Responses: openapi3.NewResponses()}
}
