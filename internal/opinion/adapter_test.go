package opinion_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tidewaiter/tidewaiter/internal/oci"
	"github.com/tidewaiter/tidewaiter/internal/opinion"
	"github.com/tidewaiter/tidewaiter/internal/secret"
	"github.com/tidewaiter/tidewaiter/internal/store"
	"github.com/tidewaiter/tidewaiter/internal/testkit"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

var start = time.Date(2026, 11, 3, 12, 0, 0, 0, time.UTC)

const (
	metadataType = "application/vnd.scanner.adapter.metadata+json; version=1.0"
	reportType   = "application/vnd.security.vulnerability.report; version=1.1"
	manifestType = "application/vnd.oci.image.manifest.v1+json"
	lent         = "Bearer l3nt-t0ken-of-a-registry"
	apiKey       = "k3y-of-the-scanner"
	digest       = "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

	metadata = `{"scanner":{"name":"Other","vendor":"Somebody","version":"2.1"},"capabilities":[{"type":"vulnerability",` +
		`"consumes_mime_types":["` + manifestType + `"],"produces_mime_types":["` + reportType + `"]}],` +
		`"properties":{"harbor.scanner-adapter/vulnerability-database-updated-at":"2026-11-01T06:00:00Z","n":7}}`
	report = `{"generated_at":"2026-11-03T12:01:00Z","artifact":{"repository":"team/app","digest":"` + digest + `"},"scanner":{"name":"Other","version":"2.1"},` +
		`"severity":"High","vulnerabilities":[{"id":"CVE-2024-1000","package":"openssl","version":"3.0.1","fix_version":"3.0.2","severity":"High",` +
		`"links":["https://nvd.nist.gov/vuln/detail/CVE-2024-1000"],"preferred_cvss":{"score_v3":7.5}}]}`
)

// adapter is a scanner of our own making, over real HTTP. Each of its answers can be changed.
type adapter struct {
	*httptest.Server

	mu       sync.Mutex
	metadata http.HandlerFunc
	scan     http.HandlerFunc
	report   http.HandlerFunc
	asked    []string // method and path of each request
	bodies   []string // of requests for a scan
	keys     []string // what it was logged in to with
}

func newAdapter(t *testing.T) *adapter {
	t.Helper()
	a := &adapter{metadata: answers(http.StatusOK, metadataType, metadata), report: answers(http.StatusOK, reportType, report),
		scan: answers(http.StatusAccepted, "application/vnd.scanner.adapter.scan.response+json; version=1.0", `{"id":"scan/1 ?"}`)}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /api/v1/metadata", func(w http.ResponseWriter, r *http.Request) { a.current(r, &a.metadata)(w, r) })
	mux.HandleFunc("POST /api/v1/scan", func(w http.ResponseWriter, r *http.Request) { a.current(r, &a.scan)(w, r) })
	mux.HandleFunc("GET /api/v1/scan/{id}/report", func(w http.ResponseWriter, r *http.Request) { a.current(r, &a.report)(w, r) })
	a.Server = httptest.NewServer(mux)
	t.Cleanup(a.Close)
	return a
}

func (a *adapter) current(r *http.Request, which *http.HandlerFunc) http.HandlerFunc {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.asked = append(a.asked, r.Method+" "+r.URL.EscapedPath())
	a.keys = append(a.keys, r.Header.Get("X-Scanneradapter-Api-Key"))
	if r.Method == http.MethodPost {
		body, _ := io.ReadAll(r.Body) // what is missing fails the test that looks for it
		a.bodies = append(a.bodies, string(body))
	}
	return *which
}

func (a *adapter) set(which *http.HandlerFunc, h http.HandlerFunc) {
	a.mu.Lock()
	defer a.mu.Unlock()
	*which = h
}

// count returns how many requests of a method there were.
func (a *adapter) count(method string) int {
	a.mu.Lock()
	defer a.mu.Unlock()
	n := 0
	for _, asked := range a.asked {
		if strings.HasPrefix(asked, method) {
			n++
		}
	}
	return n
}

func answers(status int, contentType, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", contentType)
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body) // who asked may have gone
	}
}

func redirects(location, refreshAfter string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Location", location)
		if refreshAfter != "" {
			w.Header().Set("Refresh-After", refreshAfter)
		}
		w.WriteHeader(http.StatusFound)
	}
}

type jobs struct{ made []tidewaiter.Job }

func (j *jobs) Enqueue(_ context.Context, _ *store.Tx, jobs ...tidewaiter.Job) error {
	j.made = append(j.made, jobs...)
	return nil
}

// lab is a database with judged images in a registry, and a scanner that is asked about them.
type lab struct {
	*testing.T
	*adapter
	db      *store.DB
	jobs    *jobs
	now     time.Time
	asker   *opinion.Asker
	scanner *tidewaiter.Scanner
	images  []int64
	lending error
	log     *strings.Builder
	jobID   int64
}

func newLab(t *testing.T, database string) *lab {
	t.Helper()
	l := &lab{T: t, adapter: newAdapter(t), jobs: &jobs{}, now: start.Add(time.Hour), log: &strings.Builder{}}
	var err error
	if l.db, err = store.Open(t.Context(), store.Config{URL: database}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.db.Close() })
	keyring, err := secret.Open(filepath.Join(t.TempDir(), "master.key"))
	if err != nil {
		t.Fatal(err)
	}
	outbound := oci.NewOutbound(oci.OutboundOptions{AllowLoopback: true, Proxy: func(*http.Request) (*url.URL, error) { return nil, nil }})
	t.Cleanup(outbound.Close)
	l.asker = opinion.New(opinion.Config{Store: l.db, Jobs: l.jobs, Keyring: keyring, Outbound: outbound, UserAgent: "test", Now: func() time.Time { return l.now },
		Log: slog.New(slog.NewTextHandler(l.log, nil)),
		Lend: func(_ context.Context, _, repository string, _ tidewaiter.ScannerLend) (opinion.Loan, error) {
			return opinion.Loan{URL: "https://registry.example.com", Repository: repository, Authorization: secret.New(lent)}, l.lending
		}})
	l.scanner = &tidewaiter.Scanner{ID: "other", Name: "Other", Login: tidewaiter.LoginAPIKey, AllRegistries: true, Parallel: 2, CreatedAt: start, UpdatedAt: start}
	if err := l.scanner.Validate(); err != nil {
		t.Fatal(err)
	}
	secrets := opinion.Secrets{URL: secret.New(l.URL), Secret: secret.New(apiKey)}
	if l.scanner.Sealed, err = secrets.Seal(keyring, "other"); err != nil {
		t.Fatal(err)
	}
	l.update(func(tx *store.Tx) error {
		r := &tidewaiter.Registry{ID: "r", Kind: tidewaiter.KindOCI, URL: "https://registry.example.com", Origin: tidewaiter.OriginNative, CreatedAt: start, UpdatedAt: start}
		if err := tx.InsertRegistries(l.Context(), []*tidewaiter.Registry{r}); err != nil {
			return err
		}
		return tx.PutScanner(l.Context(), l.scanner)
	})
	l.push("v1", digest)
	return l
}

func (l *lab) update(f func(tx *store.Tx) error) {
	l.Helper()
	if err := l.db.Update(l.Context(), f); err != nil {
		l.Fatal(err)
	}
}

// push has a tag show a judged image.
func (l *lab) push(tag, digest string) {
	l.Helper()
	img := &tidewaiter.Image{Digest: digest, ConfigDigest: "sha256:4567" + digest[11:], MediaType: manifestType, CreatedAt: start}
	ctx := l.Context()
	l.update(func(tx *store.Tx) error {
		scan := &tidewaiter.Scan{ID: "s-" + tag, RegistryID: "r", State: tidewaiter.ScanScanning, Lane: tidewaiter.LaneFresh, CreatedAt: start, UpdatedAt: start}
		if err := tx.InsertScans(ctx, []*tidewaiter.Scan{scan}); err != nil {
			return err
		}
		l.record(tx, scan.ID, tag, digest, img)
		_, err := tx.SaveJudgement(ctx, store.SaveJudgement{ImageID: img.ID, Content: &tidewaiter.Content{}, Now: start,
			Judgement: &tidewaiter.Judgement{Analyzer: "a", Advisories: "v1", JudgedAt: start}})
		return err
	})
	l.images = append(l.images, img.ID)
}

// record has a listing see a tag now.
func (l *lab) record(tx *store.Tx, scanID, tag, digest string, img *tidewaiter.Image) {
	l.Helper()
	ctx := l.Context()
	ids, err := tx.RecordRepositories(ctx, "r", scanID, "registry.example.com", []store.RepositoryDecision{{Name: "team/app", Decision: tidewaiter.Decision{Included: true}}})
	if err != nil {
		l.Fatal(err)
	}
	tags, err := tx.RecordTags(ctx, store.RecordTags{RegistryID: "r", ScanID: scanID, RepositoryID: ids["team/app"], Analyzer: "a", Now: l.now,
		Tags: []tidewaiter.ListedTag{{Name: tag, Digest: digest}}})
	if err != nil {
		l.Fatal(err)
	}
	if img == nil {
		return
	}
	if _, err := tx.IndexTag(ctx, store.IndexTag{TagID: tags[0].TagID, Digest: digest, Images: []*tidewaiter.Image{img}, Analyzer: "a", Now: start,
		Source: store.Source{RegistryID: "r", Repository: "team/app"}}); err != nil {
		l.Fatal(err)
	}
}

// sweep returns the jobs a sweep made.
func (l *lab) sweep() []tidewaiter.Job {
	l.Helper()
	l.jobs.made = nil
	if err := l.asker.Sweep(l.Context(), tidewaiter.JobRun{}); err != nil {
		l.Fatal(err)
	}
	return l.jobs.made
}

// step does one step about an image, as a job of its own, and returns the jobs it made.
func (l *lab) step(image int64) []tidewaiter.Job {
	l.Helper()
	l.jobID++
	return l.stepAs(image, l.jobID)
}

func (l *lab) stepAs(image, jobID int64) []tidewaiter.Job {
	l.Helper()
	l.jobs.made = nil
	if err := l.run(l.Context(), image, jobID); err != nil {
		l.Fatal(err)
	}
	return l.jobs.made
}

func (l *lab) run(ctx context.Context, image, jobID int64) error {
	l.Helper()
	args, err := json.Marshal(opinion.Args{ImageID: image, ScannerID: "other"})
	if err != nil {
		l.Fatal(err)
	}
	return l.asker.Step(ctx, tidewaiter.JobRun{ID: jobID, Args: args, Attempt: 1, MaxAttempts: 1})
}

// opinion returns the opinion on an image; its state is "" when there is none.
func (l *lab) opinion(image int64) tidewaiter.Opinion {
	l.Helper()
	list, err := l.db.OpinionsOf(l.Context(), image)
	if err != nil || len(list) > 1 {
		l.Fatal(list, err)
	}
	if len(list) == 0 {
		return tidewaiter.Opinion{}
	}
	return list[0]
}

// had goes on with an image until its opinion is done or failed, passing the time that has to pass.
func (l *lab) had(image int64) tidewaiter.Opinion {
	l.Helper()
	for range 2000 {
		o := l.opinion(image)
		if o.State == tidewaiter.OpinionDone || o.State == tidewaiter.OpinionFailed {
			return o
		}
		if o.NextAt.After(l.now) {
			l.now = o.NextAt
		}
		l.step(image)
	}
	l.Fatalf("it never ends: %+v", l.opinion(image))
	return tidewaiter.Opinion{}
}

func onBoth(t *testing.T, f func(t *testing.T, l *lab)) {
	t.Run("sqlite", func(t *testing.T) { f(t, newLab(t, filepath.Join(t.TempDir(), "test.db"))) })
	t.Run("postgres", func(t *testing.T) { f(t, newLab(t, testkit.Postgres(t))) })
}

func digestOf(n int) string { return fmt.Sprintf("sha256:%064x", n) }
