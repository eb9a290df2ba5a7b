package api_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/alexedwards/argon2id"
	"github.com/google/uuid"

	"github.com/tidewaiter/tidewaiter/client"
	"github.com/tidewaiter/tidewaiter/internal/api"
	"github.com/tidewaiter/tidewaiter/internal/auth"
	"github.com/tidewaiter/tidewaiter/internal/control"
	"github.com/tidewaiter/tidewaiter/internal/oci"
	"github.com/tidewaiter/tidewaiter/internal/secret"
	"github.com/tidewaiter/tidewaiter/internal/store"
	"github.com/tidewaiter/tidewaiter/internal/testkit"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

const password = "correct horse battery"

// server is the API over a real store, with a user of each role, and a queue that only takes notes.
type server struct {
	*testing.T
	url     string
	store   *store.DB
	control *control.Control
	jobs    *jobs
	log     *slog.Logger
}

// onBoth runs a test over SQLite and over PostgreSQL.
func onBoth(t *testing.T, f func(t *testing.T, s *server)) {
	t.Run("sqlite", func(t *testing.T) { f(t, start(t, filepath.Join(t.TempDir(), "test.db"))) })
	t.Run("postgres", func(t *testing.T) { f(t, start(t, testkit.Postgres(t))) })
}

func start(t *testing.T, database string) *server {
	t.Helper()
	log := slog.New(slog.DiscardHandler)
	s := &server{T: t, jobs: &jobs{}, log: log}
	var err error
	s.store, err = store.Open(t.Context(), store.Config{URL: database, Log: log, Now: time.Now})
	s.must(err)
	t.Cleanup(func() { _ = s.store.Close() })
	keys, err := secret.Open(filepath.Join(t.TempDir(), "key"))
	s.must(err)
	s.control = control.New(control.Config{Store: s.store, Jobs: s.jobs, Lanes: newLanes(), Keyring: keys, Prober: prober{}, Webhooks: withWebhooks(s, keys), Scanners: withScanners(s, keys), Now: time.Now,
		NewID: uuid.NewString, Log: log, RejudgeJob: func(version string, force bool) tidewaiter.Job {
			return tidewaiter.Job{Kind: "rejudge", UniqueKey: fmt.Sprintf("%s/%t", version, force)}
		}, Advisories: func() control.AdvisoryState {
			return control.AdvisoryState{Current: &tidewaiter.Advisories{Version: "v1"}}
		}})
	service, err := auth.New(auth.Config{Users: store.UserAccounts{DB: s.store}, Keys: keys,
		Params: &argon2id.Params{Memory: 64, Iterations: 1, Parallelism: 1, SaltLength: 16, KeyLength: 16}})
	s.must(err)
	for _, role := range []tidewaiter.Role{tidewaiter.RoleAdmin, tidewaiter.RoleOperator, tidewaiter.RoleAuditor, tidewaiter.RoleCI} {
		s.must(service.CreateUser(t.Context(), string(role), role, password))
	}
	web := httptest.NewServer(api.New(api.Config{Control: s.control, Auth: service, Log: log, Now: time.Now, Version: "1.2.3"}))
	t.Cleanup(web.Close)
	s.url = web.URL
	return s
}

func (s *server) must(err error) {
	s.Helper()
	if err != nil {
		s.Fatal(err)
	}
}

// as returns a client logged in as the user of a role.
func (s *server) as(role tidewaiter.Role) *client.Client {
	s.Helper()
	c, err := client.New(s.url, client.Basic(string(role), password))
	s.must(err)
	return c
}

// call sends a request as it is and returns status, header and body.
func (s *server) call(method, path, body string, change ...func(*http.Request)) (int, http.Header, string) {
	s.Helper()
	r, err := http.NewRequestWithContext(s.Context(), method, s.url+api.Prefix+path, strings.NewReader(body))
	s.must(err)
	r.SetBasicAuth(string(tidewaiter.RoleAdmin), password)
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	for _, f := range change {
		f(r)
	}
	answer, err := http.DefaultClient.Do(r)
	s.must(err)
	defer answer.Body.Close()
	b, err := io.ReadAll(answer.Body)
	s.must(err)
	return answer.StatusCode, answer.Header, string(b)
}

// wantProblem fails unless err is the server's, with this status and kind.
func (s *server) wantProblem(err error, status int, kind tidewaiter.ErrorKind) *client.Error {
	s.Helper()
	e, ok := errors.AsType[*client.Error](err)
	if !ok || e.Status != status || e.Type != "urn:tidewaiter:"+string(kind) {
		s.Fatalf("got %+v (%v), want a problem with status %d and kind %s", e, err, status, kind)
	}
	return e
}

type jobs struct{ list []tidewaiter.Job }

func (j *jobs) Enqueue(_ context.Context, _ *store.Tx, list ...tidewaiter.Job) error {
	j.list = append(j.list, list...)
	return nil
}

func (*jobs) CancelRegistry(context.Context, string) error { return nil }

type prober struct{}

func (prober) Probe(context.Context, *tidewaiter.Registry, *tidewaiter.Credential, secret.Value) []oci.Step {
	return nil
}

func TestStatusSaysWhatRuns(t *testing.T) {
	onBoth(t, func(t *testing.T, s *server) {
		got, err := s.as(tidewaiter.RoleAuditor).Status(t.Context())
		s.must(err)
		if got.Version != "1.2.3" || got.Advisories.Version != "v1" {
			t.Errorf("got %+v", got)
		}
	})
}

func TestWhoMayNotIsKeptOut(t *testing.T) {
	s := start(t, filepath.Join(t.TempDir(), "test.db"))
	if _, err := s.as(tidewaiter.RoleCI).Status(t.Context()); err == nil {
		t.Error("a pipeline reads the settings")
	} else {
		s.wantProblem(err, 403, tidewaiter.ErrForbidden)
	}
	stranger, err := client.New(s.url)
	s.must(err)
	_, err = stranger.Status(t.Context())
	if e := s.wantProblem(err, 401, tidewaiter.ErrUnauthorized); e.Fix == "" {
		t.Error("the refusal does not say how to log in")
	}
	_, header, _ := s.call("GET", "/status", "", func(r *http.Request) { r.Header.Del("Authorization") })
	if !strings.HasPrefix(header.Get("WWW-Authenticate"), "Basic ") || header.Get("Content-Type") != "application/problem+json" {
		t.Errorf("header %v", header)
	}
}

func TestUnknownPathsAndMethods(t *testing.T) {
	s := start(t, filepath.Join(t.TempDir(), "test.db"))
	for _, c := range []struct {
		method, path string
		status       int
		says         string
	}{
		{"GET", "/nothing", 404, "/tidewaiter/v1/nothing"},
		{"PATCH", "/status", 405, "use GET"},
		{"GET", "/images?limit=0", 422, "query.limit"},
		{"GET", "/images?limit=many", 422, "query.limit"},
		{"GET", "/images?state=lost", 422, "query.state"},
		{"GET", "/images?after=nonsense", 422, "after"},
		{"GET", "/images/sha256:unknown", 404, "no image sha256:unknown"},
	} {
		status, header, body := s.call(c.method, c.path, "")
		if status != c.status || header.Get("Content-Type") != "application/problem+json" || !strings.Contains(body, c.says) {
			t.Errorf("%s %s: %d %s %s", c.method, c.path, status, header.Get("Content-Type"), body)
		}
	}
}

// TestDocument reads the document the API describes itself with: every operation says who may, what it is for, and has an
// id of its own; nothing in it leads to another server.
func TestDocument(t *testing.T) {
	s := start(t, filepath.Join(t.TempDir(), "test.db"))
	status, _, body := s.call("GET", "/openapi.json", "")
	if status != 200 {
		t.Fatalf("%d %s", status, body)
	}
	var doc struct {
		OpenAPI string
		Paths   map[string]map[string]struct {
			OperationID string
			Summary     string
			Tags        []string
		}
	}
	s.must(json.Unmarshal([]byte(body), &doc))
	if !strings.HasPrefix(doc.OpenAPI, "3.1") || len(doc.Paths) == 0 {
		t.Fatalf("version %q with %d paths", doc.OpenAPI, len(doc.Paths))
	}
	var ids []string
	for path, methods := range doc.Paths {
		for method, o := range methods {
			if o.OperationID == "" || !strings.HasSuffix(o.Summary, ".") || len(o.Tags) != 1 || !strings.HasPrefix(path, api.Prefix+"/") {
				t.Errorf("%s %s is not described well: %+v", method, path, o)
			}
			if slices.Contains(ids, o.OperationID) {
				t.Errorf("%s stands for two operations", o.OperationID)
			}
			ids = append(ids, o.OperationID)
		}
	}
}
