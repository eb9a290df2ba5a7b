package qualys_test

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
	"testing"
	"time"

	"github.com/alexedwards/argon2id"

	"github.com/tidewaiter/tidewaiter/internal/auth"
	"github.com/tidewaiter/tidewaiter/internal/control"
	"github.com/tidewaiter/tidewaiter/internal/oci"
	"github.com/tidewaiter/tidewaiter/internal/qualys"
	"github.com/tidewaiter/tidewaiter/internal/secret"
	"github.com/tidewaiter/tidewaiter/internal/store"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// console is the API over a real store, with users, and a queue that only takes notes.
type console struct {
	testing.TB
	url     string
	store   *store.DB
	control *control.Control
	keyring *secret.Keyring
	auth    *auth.Service
	jobs    *jobs
	prober  *prober
	clock   *clock
	log     *bytes.Buffer
}

const password = "correct horse battery"

func start(t testing.TB, change ...func(*qualys.Config)) *console {
	t.Helper()
	dir := t.TempDir()
	c := &console{TB: t, jobs: &jobs{}, prober: &prober{}, clock: &clock{now: time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)}, log: &bytes.Buffer{}}
	log := slog.New(slog.NewTextHandler(c.log, nil))
	var err error
	c.store, err = store.Open(t.Context(), store.Config{URL: filepath.Join(dir, "test.db"), Log: log, Now: c.clock.Now})
	c.must(err)
	t.Cleanup(func() { _ = c.store.Close() })
	c.keyring, err = secret.Open(filepath.Join(dir, "key"))
	c.must(err)
	ids := 0
	c.control = control.New(control.Config{
		Store: c.store, Jobs: c.jobs, Keyring: c.keyring, Prober: c.prober, Now: c.clock.Now, Log: log,
		Advisories: func() control.AdvisoryState {
			return control.AdvisoryState{Current: &tidewaiter.Advisories{Version: "v1", UpdatedAt: c.clock.Now()}}
		},
		NewID: func() string { ids++; return fmt.Sprintf("00000000-0000-4000-8000-%012d", ids) },
	})
	service, err := auth.New(auth.Config{Users: &users{}, Keys: c.keyring, Now: c.clock.Now,
		Params: &argon2id.Params{Memory: 64, Iterations: 1, Parallelism: 1, SaltLength: 16, KeyLength: 16}})
	c.must(err)
	for name, role := range map[string]tidewaiter.Role{"admin": tidewaiter.RoleAdmin, "auditor": tidewaiter.RoleAuditor, "ci": tidewaiter.RoleCI} {
		c.must(service.CreateUser(t.Context(), name, role, password))
	}
	c.auth = service
	jobIDs := 0
	cfg := qualys.Config{Control: c.control, Auth: service, Log: log, Now: c.clock.Now, NewID: func() string {
		jobIDs++
		return fmt.Sprintf("11111111-0000-4000-8000-%012d", jobIDs)
	}}
	for _, f := range change {
		f(&cfg)
	}
	server := httptest.NewServer(qualys.New(cfg))
	t.Cleanup(server.Close)
	c.url = server.URL
	return c
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

// call asks as admin; a path that does not say gets version 1.3.
func (c *console) call(method, path, body string, change ...func(*http.Request)) answer {
	c.Helper()
	if !strings.HasPrefix(path, "/csapi/") && !strings.HasPrefix(path, "/auth") {
		path = "/csapi/v1.3" + path
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
	a := answer{status: res.StatusCode, header: res.Header, body: string(b)}
	if req.Header.Get("X-Unchecked") == "" {
		c.conforms(req, body, a)
	}
	return a
}

// unchecked asks for an answer without holding it against the specification, which takes time of its own.
func unchecked(r *http.Request) { r.Header.Set("X-Unchecked", "1") }

// want calls, wants a status, and reads the answer when there is one.
func want[T any](c *console, status int, method, path, body string, change ...func(*http.Request)) T {
	c.Helper()
	a := c.call(method, path, body, change...)
	if a.status != status {
		c.Fatalf("%s %s: %d %s, want %d\n%s", method, path, a.status, a.body, status, c.log)
	}
	var v T
	if a.body == "" {
		return v
	}
	if got := a.header.Get("Content-Type"); got != "application/json;charset=UTF-8" {
		c.Errorf("%s %s: content type %q", method, path, got)
	}
	if err := json.Unmarshal([]byte(a.body), &v); err != nil {
		c.Fatalf("%s %s: %v in %s", method, path, err, a.body)
	}
	return v
}

// get reads JSON.
func get[T any](c *console, path string) T {
	c.Helper()
	return want[T](c, http.StatusOK, "GET", path, "")
}

// create declares a registry and returns its uuid.
func (c *console) create(body string) string {
	c.Helper()
	return want[struct{ RegistryUUID string }](c, http.StatusOK, "POST", "/registry", body).RegistryUUID
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

// prober answers for registries, and takes notes of what it was asked with.
type prober struct {
	mu       sync.Mutex
	steps    []oci.Step
	registry *tidewaiter.Registry
	login    *tidewaiter.Credential
	secret   string
}

func (p *prober) Probe(_ context.Context, r *tidewaiter.Registry, c *tidewaiter.Credential, s secret.Value) []oci.Step {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.registry, p.login, p.secret = r, c, s.Reveal()
	return p.steps
}

// answers sets how registries answer from now on: a step that failed, or nothing but success.
func (p *prober) answers(kind tidewaiter.ErrorKind, text string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.steps = []oci.Step{{Name: "resolve", OK: true}, {Name: "login", OK: kind == "", Kind: kind, Error: text}}
}

// users keeps users in memory.
type users struct {
	mu     sync.Mutex
	byName map[string]tidewaiter.User
}

func (u *users) User(_ context.Context, name string) (*tidewaiter.User, error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	user, ok := u.byName[name]
	if !ok {
		return nil, tidewaiter.Errorf(tidewaiter.ErrNotFound, "no user %s", name)
	}
	return &user, nil
}

func (u *users) CountUsers(context.Context) (int, error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	return len(u.byName), nil
}

func (u *users) PutUser(_ context.Context, user *tidewaiter.User) error {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.byName == nil {
		u.byName = map[string]tidewaiter.User{}
	}
	u.byName[user.Name] = *user
	return nil
}

func (u *users) TouchUser(_ context.Context, name string, at time.Time) error {
	u.mu.Lock()
	defer u.mu.Unlock()
	user := u.byName[name]
	user.LastLogin = at
	u.byName[name] = user
	return nil
}
