package app_test

import (
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	api "github.com/tidewaiter/tidewaiter/client"
	"github.com/tidewaiter/tidewaiter/internal/app"
	"github.com/tidewaiter/tidewaiter/internal/control"
	"github.com/tidewaiter/tidewaiter/internal/samples"
	"github.com/tidewaiter/tidewaiter/internal/secret"
	"github.com/tidewaiter/tidewaiter/internal/testkit"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// withCredential stores a user name and a password and has a registry declared with them.
func (s *server) withCredential(t *testing.T, r *testkit.Server) func(*tidewaiter.Registry) {
	t.Helper()
	c, password := &tidewaiter.Credential{ID: "puller", Name: "puller", Kind: tidewaiter.CredentialBasic, Username: r.Username}, secret.New(r.Password)
	if err := s.control.PutCredential(t.Context(), c, &password); err != nil {
		t.Fatal(err)
	}
	return func(registry *tidewaiter.Registry) { registry.CredentialID = c.ID }
}

// opinions waits until every image that is shown has an opinion that fits, and returns them by repository:tag.
func (s *server) opinions(t *testing.T, what string, fits func(tidewaiter.Opinion) bool) map[string]tidewaiter.Opinion {
	t.Helper()
	out := map[string]tidewaiter.Opinion{}
	last := func() string { return fmt.Sprintf("%+v", out) }
	eventually(t, what, func() bool {
		rows := s.results(t)
		for name, row := range rows {
			list, err := s.control.OpinionsOf(t.Context(), row.Image.ID)
			if err != nil {
				t.Fatal(err)
			}
			if len(list) != 1 {
				return false
			}
			if out[name] = list[0]; !fits(list[0]) {
				return false
			}
		}
		return len(rows) > 0
	}, last)
	return out
}

// TestSecondOpinion has one server ask another one about the images of a registry that wants a login: with the same advisories the two agree
// about everything, with other ones they do not, and the verdicts stay as they were.
func TestSecondOpinion(t *testing.T) {
	t.Parallel()
	if !apart(t) {
		return
	}
	onBoth(t, func(t *testing.T, database string) {
		registry := testkit.Registry(t, testkit.Options{Username: "puller", Password: "pa55word", TokenAuth: true})
		if err := samples.Push(t.Context(), registry.URL, samples.Options{Username: "puller", Password: "pa55word"}); err != nil {
			t.Fatal(err)
		}
		pushed := len(registry.Token.Scopes())
		same, newer := sampleRegistry(t), testkit.Registry(t, testkit.Options{})
		if err := samples.Push(t.Context(), newer.URL, samples.Options{Advisories: samples.AdvisoryOptions{Edition: samples.SecondEdition, UpdatedAt: time.Now()}}); err != nil {
			t.Fatal(err)
		}
		s := start(t, app.Config{Database: database, Advisories: advisoriesIn(same), OpinionEvery: time.Second}).withAdvisories(t)
		twin := start(t, app.Config{Advisories: advisoriesIn(same)}).withAdvisories(t)
		other := spawn(t, childSettings{Data: t.TempDir(), Workers: crashWorkers, Advisories: advisoriesIn(newer)}) // a process has one database open
		const key = "a key of the other scanner"
		if err := twin.control.SetHarborKey(t.Context(), secret.New(key)); err != nil {
			t.Fatal(err)
		}
		declared := s.declare(t, registry.URL, s.withCredential(t, registry))
		s.finished(t)
		before := s.results(t)

		draft := api.ScannerDraft{Name: "twin", URL: asHarbor(t, twin).base, Registries: []string{declared.ID}, Parallel: 8}
		if _, err := s.api(t).AddScanner(t.Context(), draft); err == nil || !strings.Contains(err.Error(), "unchecked") {
			t.Errorf("without the key: %v", err)
		}
		draft.Login, draft.Secret = "apikey", key
		scanner, err := s.api(t).AddScanner(t.Context(), draft)
		if err != nil {
			t.Fatal(err)
		}
		if a := scanner.About; a.Name != "Tidewaiter" || len(a.Reports) == 0 || !a.SBOM || a.WantsLogin != "Basic" || a.DatabaseAt.IsZero() || scanner.Address != twin.URL() {
			t.Errorf("%+v", scanner)
		}
		done := func(o tidewaiter.Opinion) bool { return o.State == tidewaiter.OpinionDone && !o.Report.ReadAt.IsZero() }
		found := 0
		for name := range s.opinions(t, "the twin has said everything", done) {
			d, err := s.api(t).OpinionDifference(t.Context(), before[name].Image.Digest, "twin", true)
			if err != nil {
				t.Fatal(err)
			}
			found += d.Both
			if len(d.OnlyOurs)+len(d.OnlyTheirs)+len(d.Differing) != 0 || len(d.BothFindings) != d.Both {
				t.Errorf("%s: the same advisories say otherwise: %+v", name, d)
			}
		}
		if found == 0 {
			t.Error("nothing was found that two could agree about")
		}
		if scopes := registry.Token.Scopes()[pushed:]; slices.ContainsFunc(scopes, func(scope string) bool { return strings.Contains(scope, "push") }) {
			t.Errorf("asked for leave to push: %v", scopes)
		}

		if err := s.api(t).RemoveScanner(t.Context(), scanner.ID); err != nil {
			t.Fatal(err)
		}
		for _, row := range before {
			if list, err := s.api(t).Opinions(t.Context(), row.Image.Digest); err != nil || len(list) != 0 {
				t.Errorf("what a scanner said that is gone: %+v %v", list, err)
			}
		}
		at, err := other.client(t).HarborScanner(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		draft = api.ScannerDraft{Name: "other", URL: other.url + at.Path, AllRegistries: true, Parallel: 8, Disabled: true}
		if scanner, err = s.api(t).AddScanner(t.Context(), draft); err != nil {
			t.Fatal(err)
		}
		eventually(t, "the other has advisories", func() bool {
			now, err := s.api(t).ValidateScanner(t.Context(), scanner.ID)
			return err == nil && !now.About.DatabaseAt.IsZero()
		})
		draft.Disabled = false
		if _, err = s.api(t).ChangeScanner(t.Context(), scanner.ID, draft); err != nil {
			t.Fatal(err)
		}
		alone, agreed := 0, 0
		for name := range s.opinions(t, "the other has said everything", done) {
			d, err := s.api(t).OpinionDifference(t.Context(), before[name].Image.Digest, scanner.ID, false)
			if err != nil {
				t.Fatal(err)
			}
			alone, agreed = alone+len(d.OnlyOurs)+len(d.OnlyTheirs), agreed+d.Both
			details, err := s.api(t).Opinion(t.Context(), before[name].Image.Digest, "other")
			if err != nil || len(details.Findings) != details.Report.Findings {
				t.Errorf("%+v %v", details, err)
			}
		}
		if alone == 0 || agreed == 0 {
			t.Errorf("%d are found by one, %d by both: the second edition is meant to differ in some", alone, agreed)
		}
		for name, row := range s.results(t) {
			if row.Image.Judgement.Verdict.Effect != before[name].Image.Judgement.Verdict.Effect || !row.Image.Judgement.JudgedAt.Equal(before[name].Image.Judgement.JudgedAt) {
				t.Errorf("%s was judged again", name)
			}
		}
		if err := s.control.DeleteRegistries(t.Context(), declared.ID); err != nil {
			t.Fatal(err)
		}
		left, err := s.api(t).Scanner(t.Context(), scanner.ID)
		if err != nil || left.Opinions["done"]+left.Opinions["asking"]+left.Opinions["waiting"] != 0 {
			t.Errorf("%+v %v", left, err)
		}
	})
}

// TestScannerAwayDelaysNothing declares a scanner that is not there: scans and verdicts are as they would be, and its failure is shown. Once
// it is there it is asked.
func TestScannerAwayDelaysNothing(t *testing.T) {
	t.Parallel()
	if !apart(t) {
		return
	}
	onBoth(t, func(t *testing.T, database string) {
		registry := sampleRegistry(t)
		twin := start(t, app.Config{Advisories: advisoriesIn(registry)}).withAdvisories(t)
		base := asHarbor(t, twin).base
		up := &atomic.Bool{}
		gate := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if !up.Load() {
				panic(http.ErrAbortHandler)
			}
			req, err := http.NewRequestWithContext(r.Context(), r.Method, base+r.URL.Path, r.Body)
			if err != nil {
				panic(err)
			}
			req.Header = r.Header
			res, err := http.DefaultTransport.RoundTrip(req)
			if err != nil {
				panic(http.ErrAbortHandler)
			}
			defer res.Body.Close()
			maps.Copy(w.Header(), res.Header)
			w.WriteHeader(res.StatusCode)
			_, _ = io.Copy(w, res.Body) // the server under test may have gone
		}))
		t.Cleanup(gate.Close)
		s := start(t, app.Config{Database: database, Advisories: advisoriesIn(registry), OpinionEvery: time.Second}).withAdvisories(t)
		if _, err := s.control.AddScanner(t.Context(), control.ScannerDraft{Name: "away", URL: secret.New(gate.URL), AllRegistries: true}); tidewaiter.KindOf(err) != tidewaiter.ErrInvalid {
			t.Fatalf("a scanner that does not answer: %v", err)
		}
		scanner, err := s.control.AddScanner(t.Context(), control.ScannerDraft{Name: "away", URL: secret.New(gate.URL), AllRegistries: true, Unchecked: true, Parallel: 8})
		if err != nil {
			t.Fatal(err)
		}
		declared := s.declare(t, registry.URL, func(r *tidewaiter.Registry) { r.Scope.Select = []tidewaiter.Selector{{Repository: "shop/*"}} })
		if scan := s.finished(t)[declared.ID]; scan.State != tidewaiter.ScanCompleted || scan.ImagesFailed != 0 {
			t.Errorf("%+v", scan)
		}
		failed := func() (n int) {
			counts, err := s.control.OpinionCounts(t.Context(), scanner.ID)
			if err != nil {
				t.Fatal(err)
			}
			return counts[tidewaiter.OpinionFailed]
		}
		eventually(t, "the failure is shown", func() bool { return failed() > 0 })
		for name, row := range s.results(t) {
			if row.Image.Judgement == nil {
				t.Errorf("%s is not judged", name)
			}
		}
		up.Store(true)
		changed := control.ScannerDraft{Name: "back", AllRegistries: true, Parallel: 8}
		if _, err := s.control.ChangeScanner(t.Context(), scanner.ID, changed); err != nil { // somebody mended it: nothing waits any longer
			t.Fatal(err)
		}
		s.opinions(t, "the scanner has said everything", func(o tidewaiter.Opinion) bool { return o.State == tidewaiter.OpinionDone && o.Error == "" })
	})
}

// TestKilledServerKeepsTheScan kills a server while a scanner is at work: the scan is not asked for again, and its report is read by the
// next process.
func TestKilledServerKeepsTheScan(t *testing.T) {
	onBoth(t, func(t *testing.T, database string) {
		registry := sampleRegistry(t)
		var posts, looks atomic.Int64
		ready := &atomic.Bool{}
		mux := http.NewServeMux()
		mux.HandleFunc("GET /api/v1/metadata", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", harborMetadata)
			_, _ = w.Write([]byte(`{"scanner":{"name":"Slow"},"capabilities":[{"consumes_mime_types":[],"produces_mime_types":["` + harborOldReport + `"]}]}`))
		})
		mux.HandleFunc("POST /api/v1/scan", func(w http.ResponseWriter, _ *http.Request) {
			posts.Add(1)
			w.Header().Set("Content-Type", harborResponse)
			w.WriteHeader(http.StatusAccepted)
			_, _ = w.Write([]byte(`{"id":"only"}`))
		})
		mux.HandleFunc("GET /api/v1/scan/only/report", func(w http.ResponseWriter, _ *http.Request) {
			looks.Add(1)
			if !ready.Load() {
				w.Header().Set("Refresh-After", "1")
				w.WriteHeader(http.StatusFound)
				return
			}
			w.Header().Set("Content-Type", harborOldReport)
			_, _ = w.Write([]byte(`{"scanner":{"name":"Slow"},"vulnerabilities":[{"id":"CVE-2024-1","package":"x","version":"1","severity":"High"}]}`))
		})
		slow := httptest.NewServer(mux)
		t.Cleanup(slow.Close)

		c := childSettings{Data: t.TempDir(), Database: database, Workers: crashWorkers, Advisories: advisoriesIn(registry)}
		p := spawn(t, c)
		p.write(t, "PUT", "/api/v1/settings/registry", map[string]any{"specifications": []map[string]any{{"version": "2", "registry": registry.URL, "repository": "shop/api"}}})
		p.scanned(t)
		if _, err := p.client(t).AddScanner(t.Context(), api.ScannerDraft{Name: "slow", URL: slow.URL, AllRegistries: true, Parallel: 1}); err != nil {
			t.Fatal(err)
		}
		eventually(t, "the scanner is at work", func() bool { return posts.Load() == 1 && looks.Load() > 0 })
		p.kill()
		before := looks.Load()
		p = spawn(t, c)
		eventually(t, "the next process looks for the report", func() bool { return looks.Load() > before })
		if n := posts.Load(); n != 1 {
			t.Errorf("the scan was asked for %d times", n)
		}
		ready.Store(true)
		eventually(t, "the report is read", func() bool {
			list, err := p.client(t).Scanners(t.Context())
			if err != nil || len(list) != 1 {
				t.Fatal(list, err)
			}
			x, err := p.client(t).Scanner(t.Context(), list[0].ID)
			return err == nil && x.Opinions["done"] > 0
		})
		p.terminate(t)
	})
}

// client speaks to a server in a process of its own.
func (c vendor) client(t *testing.T) *api.Client {
	t.Helper()
	out, err := api.New(c.url, api.Basic("admin", adminPassword))
	if err != nil {
		t.Fatal(err)
	}
	return out
}
