package prisma_test

import (
	"encoding/json"
	"net/http"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
)

// TestAgainstTheVendorsOpenAPI validates answers with the vendor's own document. That is not part of the project: it runs
// when TIDEWAITER_PRISMA_OPENAPI names the file (of version 32.07).
func TestAgainstTheVendorsOpenAPI(t *testing.T) {
	file := os.Getenv("TIDEWAITER_PRISMA_OPENAPI")
	if file == "" {
		t.Log("TIDEWAITER_PRISMA_OPENAPI is not set: nothing was compared with the vendor's document")
		return
	}
	doc := vendorDocument(t, file)
	c := filled(t)
	for path := range answers {
		bare, _, _ := strings.Cut(path, "?")
		for _, id := range []string{"robot", "blue"} {
			bare = strings.Replace(bare, "/"+id+"/", "/{id}/", 1)
		}
		item := doc.Paths.Value("/api/v32.07" + bare)
		if item == nil || item.Get == nil {
			t.Logf("%s is not in the document", path)
			continue
		}
		a := c.call("GET", "/api/v32.07"+path, "")
		schema := item.Get.Responses.Status(http.StatusOK).Value.Content["application/json"].Schema.Value
		var v any
		c.must(json.Unmarshal([]byte(a.body), &v))
		if err := schema.VisitJSON(v, openapi3.MultiErrors()); err != nil {
			t.Errorf("%s: %.3000s", path, err)
		}
	}
}

// vendorDocument loads the document with its known mistakes mended: enumerations nested one level too deep, null where a
// server written in Go sends it for an empty list, and risk factors, whose values are empty objects on the wire.
func vendorDocument(t *testing.T, file string) *openapi3.T {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	b = regexp.MustCompile(`"enum":\s*\[\s*\[([^\]]*)\]\s*\]`).ReplaceAll(b, []byte(`"enum":["",$1]`))
	doc, err := openapi3.NewLoader().LoadFromData(b)
	if err != nil {
		t.Fatal(err)
	}
	for name, s := range doc.Components.Schemas {
		s.Value.Nullable = true
		if name == "vulnerability.RiskFactors" {
			s.Value.AdditionalProperties = openapi3.AdditionalProperties{}
		}
		for _, p := range s.Value.Properties {
			p.Value.Nullable = true
		}
	}
	return doc
}
