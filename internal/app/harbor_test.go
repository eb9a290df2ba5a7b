package app_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"slices"
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
