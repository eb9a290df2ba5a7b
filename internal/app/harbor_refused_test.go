package app_test

import (
	"encoding/base64"
	"net/http"
	"strings"
	"testing"

	"github.com/tidewaiter/tidewaiter/internal/app"
)

// TestHarborIsRefused sends what the specification does not allow.
func TestHarborIsRefused(t *testing.T) {
	t.Parallel()
	s := start(t, app.Config{Advisories: []string{"127.0.0.1:1/none:1"}})
	h := asHarbor(t, s)
	digest := "sha256:" + strings.Repeat("a", 64)
	good := request("https://harbor.example.com", robotPassword, "library/app", "v1", digest, ociManifest, wantVulnerabilities)
	encoded := base64.StdEncoding.EncodeToString([]byte(robotName + ":" + robotPassword))
	for name, c := range map[string]struct {
		contentType, body string
		status            int
	}{
		"plain JSON":         {"application/json", good, http.StatusUnsupportedMediaType},
		"no type":            {"", good, http.StatusUnsupportedMediaType},
		"another version":    {strings.Replace(harborRequest, "1.0", "2.0", 1), good, http.StatusUnsupportedMediaType},
		"no JSON":            {harborRequest, good[:40], http.StatusBadRequest},
		"too large":          {harborRequest, good + strings.Repeat(" ", 64<<10), http.StatusRequestEntityTooLarge},
		"deeply nested":      {harborRequest, strings.Repeat("[", 30_000), http.StatusBadRequest},
		"an index":           {harborRequest, strings.ReplaceAll(good, ociManifest, "application/vnd.oci.image.index.v1+json"), http.StatusUnprocessableEntity},
		"no digest":          {harborRequest, strings.ReplaceAll(good, digest, "v1"), http.StatusUnprocessableEntity},
		"no repository":      {harborRequest, strings.ReplaceAll(good, "library/app", "../../x"), http.StatusUnprocessableEntity},
		"no registry":        {harborRequest, strings.ReplaceAll(good, "https://harbor.example.com", ""), http.StatusUnprocessableEntity},
		"user in the URL":    {harborRequest, strings.ReplaceAll(good, "https://", "https://u:p@"), http.StatusUnprocessableEntity},
		"file URL":           {harborRequest, strings.ReplaceAll(good, "https://", "file://"), http.StatusUnprocessableEntity},
		"another scheme":     {harborRequest, strings.ReplaceAll(good, "Basic ", "Digest "), http.StatusUnprocessableEntity},
		"unknown capability": {harborRequest, strings.ReplaceAll(good, `"type":"vulnerability"`, `"type":"malware"`), http.StatusUnprocessableEntity},
		"unknown report":     {harborRequest, strings.ReplaceAll(good, "version=1.1", "version=9"), http.StatusUnprocessableEntity},
	} {
		message := h.do("POST", "/api/v1/scan", "", c.contentType, c.body).refused(t, c.status)
		if strings.Contains(message, robotPassword) || strings.Contains(message, encoded) {
			t.Errorf("%s: the answer quotes the login: %s", name, message)
		}
	}
	h.do("GET", "/api/v1/scan/00000000-0000-0000-0000-000000000000/report", harborVulnerabilities, "", "").refused(t, http.StatusNotFound)
	h.do("GET", "/api/v1/metadata", "text/html", "", "").refused(t, http.StatusNotAcceptable)
	h.do("GET", "/api/v1/scans", "", "", "").refused(t, http.StatusNotFound)
	id := h.scan(good)
	h.do("GET", "/api/v1/scan/"+id+"/report", "text/html", "", "").refused(t, http.StatusNotAcceptable)
	h.do("GET", "/api/v1/scan/"+id+"/report?sbom_media_type=text%2Fplain", harborSBOM, "", "").refused(t, http.StatusBadRequest)
	h.base = h.base[:len(h.base)-2] + "x="
	h.do("GET", "/api/v1/metadata", harborMetadata, "", "").refused(t, http.StatusNotFound)
	h.do("POST", "/api/v1/scan", "", harborRequest, good).refused(t, http.StatusNotFound)
}
