package prisma_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/alexedwards/argon2id"

	"github.com/tidewaiter/tidewaiter/internal/auth"
	"github.com/tidewaiter/tidewaiter/internal/control"
	"github.com/tidewaiter/tidewaiter/internal/oci"
	"github.com/tidewaiter/tidewaiter/internal/prisma"
	"github.com/tidewaiter/tidewaiter/internal/secret"
	"github.com/tidewaiter/tidewaiter/internal/store"
	"github.com/tidewaiter/tidewaiter/internal/testkit"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// console is the API over a real store, with users, and a queue that only takes notes.
type console struct {
	*testing.T
	url     string
	store   *store.DB
	control *control.Control
	keyring *secret.Keyring
	jobs    *jobs
	clock   *clock
	log     *bytes.Buffer
}

const password = "correct horse battery"

func start(t *testing.T) *console {
	t.Helper()
	return startOn(t, filepath.Join(t.TempDir(), "test.db"))
}

// startOn starts a console over a database.
func startOn(t *testing.T, database string) *console {
	t.Helper()
	dir := t.TempDir()
	c := &console{T: t, jobs: &jobs{}, clock: &clock{now: time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)}, log: &bytes.Buffer{}}
	log := slog.New(slog.NewTextHandler(c.log, nil))
	var err error
	c.store, err = store.Open(t.Context(), store.Config{URL: database, Log: log, Now: c.clock.Now})
	c.must(err)
	t.Cleanup(func() { _ = c.store.Close() })
	c.keyring, err = secret.Open(filepath.Join(dir, "key"))
	c.must(err)
	var ids atomic.Int64
	c.control = control.New(control.Config{
		Store: c.store, Jobs: c.jobs, Keyring: c.keyring, Prober: prober{}, Now: c.clock.Now, Log: log,
		Advisories: func() control.AdvisoryState {
			return control.AdvisoryState{Current: &tidewaiter.Advisories{Version: "v1", UpdatedAt: c.clock.Now()}}
		},
		NewID: func() string { return fmt.Sprintf("00000000-0000-4000-8000-%012d", ids.Add(1)) },
	})
	service, err := auth.New(auth.Config{Users: store.UserAccounts{DB: c.store}, Keys: c.keyring, Now: c.clock.Now,
		Params: &argon2id.Params{Memory: 64, Iterations: 1, Parallelism: 1, SaltLength: 16, KeyLength: 16}})
	c.must(err)
	for name, role := range map[string]tidewaiter.Role{"admin": tidewaiter.RoleAdmin, "auditor": tidewaiter.RoleAuditor, "ci": tidewaiter.RoleCI} {
		c.must(service.CreateUser(t.Context(), name, role, password))
	}
	server := httptest.NewServer(prisma.New(prisma.Config{Control: c.control, Auth: service, Log: log, Now: c.clock.Now, Version: "1.2.3"}))
	t.Cleanup(server.Close)
	c.url = server.URL
	return c
}

// onBoth runs a test on a filled console over SQLite and over PostgreSQL.
func onBoth(t *testing.T, f func(t *testing.T, c *console)) {
	t.Run("sqlite", func(t *testing.T) { f(t, filled(t)) })
	t.Run("postgres", func(t *testing.T) { f(t, fill(startOn(t, testkit.Postgres(t)))) })
}

func (c *console) must(err error) {
	c.Helper()
	if err != nil {
		c.Fatal(err)
	}
}

// answer is a response read to its end.
type answer struct {
	status int
	header http.Header
	body   string
}

// call asks as admin; a path without /api/ gets version 1.
func (c *console) call(method, path, body string, change ...func(*http.Request)) answer {
	c.Helper()
	if !strings.HasPrefix(path, "/api/") {
		path = "/api/v1" + path
	}
	req, err := http.NewRequestWithContext(c.Context(), method, c.url+path, strings.NewReader(body))
	c.must(err)
	req.SetBasicAuth("admin", password)
	for _, f := range change {
		f(req)
	}
	res, err := http.DefaultClient.Do(req)
	c.must(err)
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	c.must(err)
	return answer{status: res.StatusCode, header: res.Header, body: string(b)}
}

// ok calls and wants 200 with an empty body, as every write answers.
func (c *console) ok(method, path, body string) {
	c.Helper()
	if a := c.call(method, path, body); a.status != http.StatusOK || a.body != "" {
		c.Fatalf("%s %s: %d %q, want 200 and nothing", method, path, a.status, a.body)
	}
}

// get reads JSON.
func get[T any](c *console, path string) T {
	c.Helper()
	a := c.call("GET", path, "")
	if a.status != http.StatusOK {
		c.Fatalf("GET %s: %d %s\n%s", path, a.status, a.body, c.log)
	}
	var v T
	if err := json.Unmarshal([]byte(a.body), &v); err != nil {
		c.Fatalf("GET %s: %v in %s", path, err, a.body)
	}
	return v
}

// specs reads the declared specifications.
func (c *console) specs() []map[string]any {
	c.Helper()
	return get[struct{ Specifications []map[string]any }](c, "/settings/registry").Specifications
}

func asUser(name string) func(*http.Request) {
	return func(r *http.Request) { r.SetBasicAuth(name, password) }
}

func header(name, value string) func(*http.Request) {
	return func(r *http.Request) { r.Header.Set(name, value) }
}

// clock is a time that moves when told to.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) forward(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// jobs takes notes of what would be done.
type jobs struct {
	mu       sync.Mutex
	queued   []tidewaiter.Job
	canceled []string
}

func (j *jobs) Enqueue(_ context.Context, _ *store.Tx, list ...tidewaiter.Job) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.queued = append(j.queued, list...)
	return nil
}

func (j *jobs) CancelRegistry(_ context.Context, id string) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.canceled = append(j.canceled, id)
	return nil
}

// take returns the jobs queued since it was last called.
func (j *jobs) take() []tidewaiter.Job {
	j.mu.Lock()
	defer j.mu.Unlock()
	out := j.queued
	j.queued = nil
	return out
}

// prober is asked nothing by this API.
type prober struct{}

func (prober) Probe(context.Context, *tidewaiter.Registry, *tidewaiter.Credential, secret.Value) []oci.Step {
	return nil
}
