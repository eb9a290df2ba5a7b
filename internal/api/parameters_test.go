package api_test

import (
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"
)

// TestUnknownParametersAreRefused: what is misspelt has no effect, and whoever asked is told, with what there is.
func TestUnknownParametersAreRefused(t *testing.T) {
	s := start(t, filepath.Join(t.TempDir(), "test.db"))
	for _, c := range []struct {
		method, path string
		status       int
		field, fix   string
	}{
		{"GET", "/verdict?image=x&wiat=30s", 422, "query.wiat", "known are image, maxAge, platform, wait"},
		{"GET", "/verdict?wiat=30s", 422, "query.wiat", "wait"}, // before what is missing
		{"GET", "/images?Limit=5&repo=x", 422, "query.Limit", "after, host, limit"},
		{"GET", "/status?verbose", 422, "query.verbose", "none is known here"},
		{"POST", "/advisories/rejudge?force=true", 422, "query.force", "none"},
		{"GET", "/images?limit=%zz", 400, "", "encode"},
	} {
		status, header, body := s.call(c.method, c.path, "")
		var p struct {
			Type, Detail, Fix string
			Errors            []struct{ Location string }
		}
		if err := json.Unmarshal([]byte(body), &p); err != nil || status != c.status || header.Get("Content-Type") != "application/problem+json" {
			t.Fatalf("%s %s: %d %v %s", c.method, c.path, status, err, body)
		}
		if !strings.Contains(p.Fix, c.fix) || c.field != "" && (len(p.Errors) != 1 || p.Errors[0].Location != c.field || !strings.Contains(p.Detail, c.field)) {
			t.Errorf("%s %s: %s", c.method, c.path, body)
		}
	}
	for _, path := range []string{"/images?limit=5&oldest=true&after=", "/status", "/kinds", "/vulnerabilities?kev=true&least=true"} {
		if status, _, body := s.call("GET", path, ""); status == 422 {
			t.Errorf("%s: %s", path, body)
		}
	}
}
