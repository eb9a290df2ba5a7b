package app_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/tidewaiter/tidewaiter/internal/app"
	"github.com/tidewaiter/tidewaiter/internal/control"
	"github.com/tidewaiter/tidewaiter/internal/samples"
	"github.com/tidewaiter/tidewaiter/internal/secret"
	"github.com/tidewaiter/tidewaiter/internal/testkit"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
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

// guarded is a registry that wants the robot account, with a sample in it, and the server that is asked to scan it.
func guarded(t *testing.T, cfg app.Config) (*server, *testkit.Server, *samples.Sample) {
	t.Helper()
	advisories := testkit.Registry(t, testkit.Options{})
	db, err := samples.PackAdvisories(samples.AdvisoryOptions{})
	if err != nil {
		t.Fatal(err)
	}
	push(t, advisories.URL, samples.AdvisoriesRepository, db, samples.AdvisoriesTag)
	r := testkit.Registry(t, testkit.Options{Username: robotName, Password: robotPassword})
	catalogue, err := samples.Catalogue(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	i := slices.IndexFunc(catalogue, func(s samples.Sample) bool {
		return s.Manifest.MediaType == ociManifest && len(s.Expect.Notable) > 0 && s.Expect.Findings > 5
	})
	sample := &catalogue[i]
	pushAs(t, r, sample.Repository, sample.Manifest, sample.Tags...)
	cfg.Advisories = advisoriesIn(advisories)
	return start(t, cfg).withAdvisories(t), r, sample
}

func pushAs(t *testing.T, r *testkit.Server, repository string, m *samples.Manifest, tags ...string) {
	t.Helper()
	p, err := samples.NewPusher(r.URL, samples.Options{Username: r.Username, Password: r.Password})
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Push(t.Context(), repository, m, tags...); err != nil {
		t.Fatal(err)
	}
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

// TestHarborAsksForAScan plays the whole of a scan as Harbor does it.
func TestHarborAsksForAScan(t *testing.T) {
	t.Parallel()
	if !apart(t) {
		return
	}
	onBoth(t, func(t *testing.T, database string) {
		log, dir := &record{}, t.TempDir()
		s, r, sample := guarded(t, app.Config{Data: dir, Database: database,
			Log: slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug}))})
		h := asHarbor(t, s)
		h.checkMetadata()

		repository, digest := sample.Repository, sample.Manifest.Digest
		id := h.scan(request(r.URL, robotPassword, repository, sample.Tags[0], digest, ociManifest, wantVulnerabilities))
		var full, old harborReport
		h.report(id, "", harborVulnerabilities).wants(t, http.StatusOK, harborVulnerabilities, &full)
		checkFullReport(t, &full, sample)
		h.report(id, "", harborOldReport).wants(t, http.StatusOK, harborOldReport, &old)
		if len(old.Vulnerabilities) != len(full.Vulnerabilities) || old.Vulnerabilities[0].CVSS != nil || old.Vulnerabilities[0].FixVersion == nil {
			t.Errorf("the older report: %d findings, %+v", len(old.Vulnerabilities), old.Vulnerabilities[0])
		}

		pulled := s.metric(t, "tidewaiter_layer_bytes_pulled_total")
		id = h.scan(request(r.URL, robotPassword, repository, "", digest, ociManifest, wantSBOM))
		h.checkSBOM(id, digest, "application/spdx+json", "spdxVersion")
		h.checkSBOM(id, digest, "application/vnd.cyclonedx+json", "bomFormat")
		if again := s.metric(t, "tidewaiter_layer_bytes_pulled_total"); again != pulled || pulled == 0 {
			t.Errorf("known layers were pulled again: %v bytes, then %v", pulled, again)
		}

		for name, row := range s.results(t) {
			if row.Image == nil || row.Image.Digest != digest || row.Tag.Repository.Host != r.Host {
				t.Errorf("%s in the inventory: %+v", name, row)
			}
		}
		if rows := s.results(t); rows[repository+":"+sample.Tags[0]].Image == nil || len(rows) != 2 {
			t.Errorf("rows: %v", rows)
		}

		message := h.report(h.scan(request(r.URL, "wrong"+robotPassword, repository, sample.Tags[0], digest, ociManifest, wantVulnerabilities)),
			"", harborVulnerabilities).refused(t, http.StatusInternalServerError)
		if !strings.Contains(message, "could not be scanned") || strings.Contains(message, robotPassword) {
			t.Errorf("the error of a wrong password: %s", message)
		}
		s.stop()
		noTrace(t, dir, log.log.Bytes())
		suffix := h.base[strings.LastIndexByte(h.base, '/')+1:]
		if text := log.log.String(); strings.Contains(text, suffix) || !strings.Contains(text, "/api/v1/harbor/") {
			t.Error("the log tells the secret address, or nothing of the requests")
		}
	})
}

// record keeps what is logged.
type record struct {
	mu  sync.Mutex
	log bytes.Buffer
}

func (r *record) Write(b []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.log.Write(b)
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

// noTrace looks for the robot's password in everything the server left behind. Its ciphertext is not it.
func noTrace(t *testing.T, dir string, log []byte) {
	t.Helper()
	secrets := [][]byte{[]byte(robotPassword), []byte(base64.StdEncoding.EncodeToString([]byte(robotName + ":" + robotPassword)))}
	search := func(where string, b []byte) {
		for _, s := range secrets {
			if bytes.Contains(b, s) {
				t.Errorf("the robot's password is in %s", where)
			}
		}
	}
	search("the log", log)
	if err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() {
			var b []byte
			b, err = os.ReadFile(path)
			search(path, b)
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
}

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

// TestHarborManyScans asks for 100 scans at once while the registry gives nothing out, so that every worker is held: each
// is taken and each report said to be not ready. Then the registry goes on, and all have their report.
func TestHarborManyScans(t *testing.T) {
	t.Parallel()
	if !apart(t) {
		return
	}
	const scans = 100
	dir := t.TempDir()
	s, r, sample := guarded(t, app.Config{Data: dir})
	faults := testkit.NewFaults(t, r.URL, nil)
	hold := make(chan struct{})
	faults.Add(t, testkit.Fault{Hold: hold})
	h := asHarbor(t, s)
	body := request(faults.URL, robotPassword, sample.Repository, sample.Tags[0], sample.Manifest.Digest, ociManifest, wantVulnerabilities)
	ids := make([]string, scans)
	var all sync.WaitGroup
	for i := range scans {
		all.Go(func() {
			if m := h.do("GET", "/api/v1/metadata", harborMetadata, "", ""); m.status != http.StatusOK { // as before every scan
				t.Errorf("metadata: %d %s", m.status, m.body)
			}
			var accepted struct{ ID string }
			a := h.do("POST", "/api/v1/scan", harborResponse, harborRequest, body)
			if err := json.Unmarshal([]byte(a.body), &accepted); err != nil || a.status != http.StatusAccepted {
				t.Errorf("%d %s", a.status, a.body)
			}
			ids[i] = accepted.ID
		})
	}
	all.Wait()
	for _, id := range ids {
		if a := h.do("GET", "/api/v1/scan/"+id+"/report", harborVulnerabilities, "", ""); a.status != http.StatusFound {
			t.Fatalf("while the registry gives nothing out: %d %s", a.status, a.body)
		}
	}
	h.checkMetadata()
	noTrace(t, dir, nil) // all logins are stored now
	close(hold)
	for _, id := range ids {
		var full harborReport
		h.report(id, "", harborVulnerabilities).wants(t, http.StatusOK, harborVulnerabilities, &full)
		if len(full.Vulnerabilities) != sample.Expect.Findings {
			t.Fatalf("%d findings, want %d", len(full.Vulnerabilities), sample.Expect.Findings)
		}
		if ended, err := s.control.HarborScan(t.Context(), id); err != nil || ended.Sealed != nil || ended.State != control.HarborDone {
			t.Fatalf("an ended scan keeps its login: %+v, %v", ended, err)
		}
	}
}

// TestHarborDeclared has a declared registry show what Harbor had scanned, without pulling it again.
func TestHarborDeclared(t *testing.T) {
	t.Parallel()
	if !apart(t) {
		return
	}
	s, r, sample := guarded(t, app.Config{})
	h := asHarbor(t, s)
	id := h.scan(request(r.URL, robotPassword, sample.Repository, sample.Tags[0], sample.Manifest.Digest, ociManifest, wantVulnerabilities))
	h.report(id, "", harborVulnerabilities)
	pulled := s.metric(t, "tidewaiter_layers_analyzed_total")
	password := secret.New(robotPassword)
	cred := &tidewaiter.Credential{ID: "pull", Kind: tidewaiter.CredentialBasic, Username: robotName, Origin: tidewaiter.OriginNative}
	if err := s.control.PutCredential(t.Context(), cred, &password); err != nil {
		t.Fatal(err)
	}
	declared := s.declare(t, r.URL, func(d *tidewaiter.Registry) { d.CredentialID = "pull" })
	s.finished(t)
	row := s.results(t)[sample.Repository+":"+sample.Tags[0]]
	if row.Image == nil || !slices.Contains(row.RegistryIDs, declared.ID) {
		t.Errorf("the declared registry does not show it: %+v", row)
	}
	if again := s.metric(t, "tidewaiter_layers_analyzed_total"); again != pulled {
		t.Errorf("%v layers, then %v", pulled, again)
	}
}

// TestHarborNamesATagThatMoved scans an image whose tag leads to another by now: it is known by its digest.
func TestHarborNamesATagThatMoved(t *testing.T) {
	t.Parallel()
	if !apart(t) {
		return
	}
	s, r, sample := guarded(t, app.Config{})
	newer := samples.NewImage().Layer(samples.File("etc/newer", "yes")).MustBuild()
	pushAs(t, r, sample.Repository, newer, sample.Tags[0])
	h := asHarbor(t, s)
	for _, digest := range []string{sample.Manifest.Digest, newer.Digest} {
		id := h.scan(request(r.URL, robotPassword, sample.Repository, sample.Tags[0], digest, ociManifest))
		var full harborReport
		h.report(id, "", harborVulnerabilities).wants(t, http.StatusOK, harborVulnerabilities, &full)
	}
	rows := s.results(t)
	if row := rows[sample.Repository+":"+sample.Tags[0]]; row.Image == nil || row.Image.Digest != newer.Digest {
		t.Errorf("the tag: %+v", row)
	}
	if row := rows[sample.Repository+":"+sample.Manifest.Digest]; row.Image == nil || row.Image.Digest != sample.Manifest.Digest {
		t.Errorf("the digest: %+v", row)
	}
}

// TestHarborBeforeAdvisories reports no clean image while nothing can be known.
func TestHarborBeforeAdvisories(t *testing.T) {
	t.Parallel()
	s := start(t, app.Config{Advisories: []string{"127.0.0.1:1/none:1"}})
	r := testkit.Registry(t, testkit.Options{Username: robotName, Password: robotPassword})
	m := samples.NewImage().Layer(samples.File("etc/name", "app")).MustBuild()
	pushAs(t, r, "library/app", m, "v1")
	h := asHarbor(t, s)
	id := h.scan(request(r.URL, robotPassword, "library/app", "v1", m.Digest, m.MediaType, wantVulnerabilities))
	h.report(id, "", harborVulnerabilities).refused(t, http.StatusServiceUnavailable)
	h.checkSBOM(id, m.Digest, "application/spdx+json", "spdxVersion")
}
