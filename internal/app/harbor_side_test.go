package app_test

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/tidewaiter/tidewaiter/internal/control"
	"github.com/tidewaiter/tidewaiter/internal/samples"
)

// What Harbor writes, to the letter.
const (
	harborMetadata        = "application/vnd.scanner.adapter.metadata+json; version=1.0"
	harborRequest         = "application/vnd.scanner.adapter.scan.request+json; version=1.0"
	harborResponse        = "application/vnd.scanner.adapter.scan.response+json; version=1.0"
	harborError           = "application/vnd.scanner.adapter.error+json; version=1.0"
	harborVulnerabilities = "application/vnd.security.vulnerability.report; version=1.1"
	harborOldReport       = "application/vnd.scanner.adapter.vuln.report.harbor+json; version=1.0"
	harborSBOM            = "application/vnd.security.sbom.report+json; version=1.0"
	ociManifest           = "application/vnd.oci.image.manifest.v1+json"
	robotName             = "robot$library+scanner-8ec3b47a-fd29-11ee-9681-0242c0a87009"
	robotPassword         = "uhAvH8YDnEFgGAdMhkHsXGcRXCwJ5sEX"
)

// harborSide speaks to a scanner as Harbor does: it follows no redirects and reads what the answers' types say.
type harborSide struct {
	t    *testing.T
	base string
	http *http.Client
}

func asHarbor(t *testing.T, s *server) *harborSide {
	t.Helper()
	suffix, err := s.control.Suffix(t.Context(), control.SettingHarborSuffix)
	if err != nil {
		t.Fatal(err)
	}
	return &harborSide{t: t, base: s.URL() + "/api/v1/harbor/" + suffix, http: &http.Client{
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

type harborAnswer struct {
	status int
	header http.Header
	body   string
}

func (h *harborSide) do(method, path, accept, contentType, body string) harborAnswer {
	h.t.Helper()
	req, err := http.NewRequestWithContext(h.t.Context(), method, h.base+path, strings.NewReader(body))
	if err != nil {
		h.t.Fatal(err)
	}
	for name, value := range map[string]string{"Accept": accept, "Content-Type": contentType} {
		if value != "" {
			req.Header.Set(name, value)
		}
	}
	res, err := h.http.Do(req)
	if err != nil {
		h.t.Fatal(err)
	}
	defer res.Body.Close()
	return harborAnswer{res.StatusCode, res.Header, readAll(h.t, res.Body)}
}

// wants checks an answer and reads its body into v.
func (a harborAnswer) wants(t *testing.T, status int, contentType string, v any) {
	t.Helper()
	if got := a.header.Get("Content-Type"); a.status != status || got != contentType {
		t.Fatalf("%d %q, want %d %q: %s", a.status, got, status, contentType, a.body)
	}
	if err := json.Unmarshal([]byte(a.body), v); err != nil {
		t.Fatalf("%v in %s", err, a.body)
	}
}

// refused wants an error in the specification's form.
func (a harborAnswer) refused(t *testing.T, status int) string {
	t.Helper()
	var e struct{ Error struct{ Message string } }
	a.wants(t, status, harborError, &e)
	if e.Error.Message == "" {
		t.Errorf("an error without a message: %s", a.body)
	}
	return e.Error.Message
}

// request is what Harbor 2.15 sends, shortened by nothing.
func request(registry, password, repository, tag, digest, mime string, capabilities ...string) string {
	login := base64.StdEncoding.EncodeToString([]byte(robotName + ":" + password))
	return fmt.Sprintf(`{"registry":{"url":%q,"authorization":"Basic %s","insecure":false},"artifact":{"repository":%q,"tag":%q,`+
		`"digest":%q,"mime_type":%q,"size":865},"enabled_capabilities":[%s]}`, registry, login, repository, tag, digest, mime, strings.Join(capabilities, ","))
}

var (
	wantVulnerabilities = `{"type":"vulnerability","produces_mime_types":["` + harborVulnerabilities + `"],"parameters":null}`
	wantSBOM            = `{"type":"sbom","produces_mime_types":["` + harborSBOM + `"],"parameters":{"sbom_media_types":["application/spdx+json"]}}`
)

func (h *harborSide) scan(body string) (id string) {
	h.t.Helper()
	var accepted struct{ ID string }
	h.do("POST", "/api/v1/scan", harborResponse, harborRequest, body).wants(h.t, http.StatusAccepted, harborResponse, &accepted)
	if accepted.ID == "" {
		h.t.Fatal("a scan without an id")
	}
	return accepted.ID
}

// report asks until the report is there.
func (h *harborSide) report(id, query, accept string) (a harborAnswer) {
	h.t.Helper()
	eventually(h.t, "the report is ready", func() bool {
		a = h.do("GET", "/api/v1/scan/"+id+"/report"+query, accept, "", "")
		if a.status != http.StatusFound {
			return true
		}
		if after, err := strconv.ParseInt(a.header.Get("Refresh-After"), 10, 8); err != nil || after < 1 {
			h.t.Fatalf("Refresh-After %q: %v", a.header.Get("Refresh-After"), err)
		}
		return false
	})
	return a
}

type harborHead struct {
	GeneratedAt string `json:"generated_at"`
	Artifact    struct {
		Repository, Digest string
		MimeType           string `json:"mime_type"`
	}
	Scanner struct{ Name, Vendor, Version string }
}

type harborVulnerability struct {
	ID, Package, Version, Severity, Description string
	FixVersion                                  *string `json:"fix_version"`
	Links                                       []string
	Layer                                       *struct {
		Digest string
		DiffID string `json:"diff_id"`
	}
	CVSS *struct {
		ScoreV3  *float64 `json:"score_v3"`
		VectorV3 string   `json:"vector_v3"`
	} `json:"preferred_cvss"`
	CWEs       []string       `json:"cwe_ids"`
	Attributes map[string]any `json:"vendor_attributes"`
}

type harborReport struct {
	harborHead
	Severity        string
	Vulnerabilities []harborVulnerability
}

func (r *harborReport) has(f samples.Finding) *harborVulnerability {
	i := slices.IndexFunc(r.Vulnerabilities, func(v harborVulnerability) bool { return v.ID == f.Vulnerability && v.Package == f.Package })
	if i < 0 {
		return nil
	}
	return &r.Vulnerabilities[i]
}

func (h *harborSide) checkMetadata() {
	h.t.Helper()
	var m struct {
		Scanner      struct{ Name, Vendor, Version string }
		Capabilities []struct {
			Type       string
			Consumes   []string `json:"consumes_mime_types"`
			Produces   []string `json:"produces_mime_types"`
			Attributes struct {
				Forms []string `json:"sbom_media_types"`
			} `json:"additional_attributes"`
		}
		Properties map[string]string
	}
	h.do("GET", "/api/v1/metadata", harborMetadata, "", "").wants(h.t, http.StatusOK, harborMetadata, &m)
	if m.Scanner.Name == "" || m.Scanner.Vendor == "" || m.Scanner.Version == "" || len(m.Capabilities) != 2 {
		h.t.Fatalf("metadata: %+v", m)
	}
	v, b := m.Capabilities[0], m.Capabilities[1]
	if v.Type != "vulnerability" || !slices.Contains(v.Consumes, ociManifest) || !slices.Equal(v.Produces, []string{harborVulnerabilities, harborOldReport}) {
		h.t.Errorf("vulnerabilities: %+v", v)
	}
	if b.Type != "sbom" || !slices.Equal(b.Produces, []string{harborSBOM}) || len(b.Attributes.Forms) != 2 {
		h.t.Errorf("bills of materials: %+v", b)
	}
	if m.Properties["harbor.scanner-adapter/vulnerability-database-updated-at"] == "" || m.Properties["harbor.scanner-adapter/scanner-type"] == "" {
		h.t.Errorf("properties: %v", m.Properties)
	}
}

func checkFullReport(t *testing.T, r *harborReport, sample *samples.Sample) {
	t.Helper()
	if r.GeneratedAt == "" || r.Artifact.Digest != sample.Manifest.Digest || r.Artifact.MimeType != ociManifest || r.Scanner.Name == "" {
		t.Errorf("head: %+v", r.harborHead)
	}
	words := []string{"Unknown", "Negligible", "Low", "Medium", "High", "Critical"}
	worst := 0
	for _, v := range r.Vulnerabilities {
		rank := slices.Index(words, v.Severity)
		if rank < 0 || v.ID == "" || v.Package == "" || v.Version == "" || v.FixVersion == nil || v.Links == nil || v.CWEs == nil ||
			v.CVSS == nil || v.Attributes == nil || v.Layer == nil || v.Layer.Digest == "" || v.Layer.DiffID == "" {
			t.Errorf("not as the specification wants it: %+v", v)
		}
		worst = max(worst, rank)
	}
	if r.Severity != words[worst] {
		t.Errorf("severity %s, the worst is %s", r.Severity, words[worst])
	}
	for _, f := range sample.Expect.Notable {
		if r.has(f) == nil {
			t.Errorf("%s of %s is missing", f.Vulnerability, f.Package)
		}
	}
	if len(r.Vulnerabilities) != sample.Expect.Findings {
		t.Errorf("%d findings, want %d", len(r.Vulnerabilities), sample.Expect.Findings)
	}
}

func (h *harborSide) checkSBOM(id, digest, form, key string) {
	h.t.Helper()
	var r struct {
		harborHead
		MediaType string `json:"media_type"`
		SBOM      map[string]any
	}
	h.report(id, "?sbom_media_type="+strings.NewReplacer("/", "%2F", "+", "%2B").Replace(form), harborSBOM).
		wants(h.t, http.StatusOK, harborSBOM, &r)
	if r.MediaType != form || r.SBOM[key] == nil || r.Artifact.Digest != digest {
		h.t.Errorf("bill of materials: %s, %s, %v", r.MediaType, r.Artifact.Digest, r.SBOM[key])
	}
}
