package app_test

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tidewaiter/tidewaiter/internal/app"
	"github.com/tidewaiter/tidewaiter/internal/control"
	"github.com/tidewaiter/tidewaiter/internal/samples"
	"github.com/tidewaiter/tidewaiter/internal/secret"
	"github.com/tidewaiter/tidewaiter/internal/testkit"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// asError returns the error as one of ours; nil when it is none.
func asError(err error) *tidewaiter.Error {
	e, _ := errors.AsType[*tidewaiter.Error](err)
	return e
}

// onlyUpkeep are the lanes of a server that leaves all scanning to workers.
func onlyUpkeep() map[tidewaiter.Lane]int { return map[tidewaiter.Lane]int{tidewaiter.LaneSystem: 1} }

// workerKey is what workers of a server need, from the server's data folder.
func workerKey(t *testing.T, data string) secret.Value {
	t.Helper()
	keyring, err := secret.Open(filepath.Join(data, "master.key"))
	if err != nil {
		t.Fatal(err)
	}
	key, err := keyring.WorkerKey()
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// work runs a worker until the test ends, or until what it returns is called.
func work(t *testing.T, cfg app.Config) (stop func()) {
	t.Helper()
	cfg.WorkerOnly, cfg.AllowLoopback = true, true
	if cfg.Data == "" {
		cfg.Data = t.TempDir()
	}
	cfg.Log = slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelWarn}))
	a, err := app.New(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- a.Run(ctx) }()
	stopped := false
	stop = func() {
		if stopped {
			return
		}
		stopped = true
		cancel()
		if err := <-done; err != nil {
			t.Errorf("the worker ended with: %v", err)
		}
	}
	t.Cleanup(stop)
	return stop
}

// TestWorkerScansForAServer has a server that only keeps house, and a worker that was given nothing but the database and a
// key: it gets the advisories from where the server does, opens the credential of the registry, and leaves no key behind.
func TestWorkerScansForAServer(t *testing.T) {
	t.Parallel()
	if !apart(t) {
		return
	}
	database := testkit.Postgres(t)
	registry := testkit.Registry(t, testkit.Options{Username: "reader", Password: "harbour"})
	if err := samples.Push(t.Context(), registry.URL, samples.Options{Username: "reader", Password: "harbour"}); err != nil {
		t.Fatal(err)
	}
	data, cache := t.TempDir(), t.TempDir()
	s := start(t, app.Config{Database: database, Data: data, Advisories: advisoriesIn(sampleRegistry(t)), Lanes: onlyUpkeep()}).withAdvisories(t)
	cred := &tidewaiter.Credential{ID: "reader", Kind: tidewaiter.CredentialBasic, Username: "reader", Origin: tidewaiter.OriginNative}
	password := secret.New("harbour")
	if err := s.control.PutCredential(t.Context(), cred, &password); err != nil {
		t.Fatal(err)
	}
	r := s.declare(t, registry.URL, func(r *tidewaiter.Registry) { r.CredentialID = cred.ID })
	work(t, app.Config{Database: database, Data: cache, WorkerKey: workerKey(t, data), Labels: []string{"zone=dmz"}})
	if scan := s.finished(t)[r.ID]; scan.State != tidewaiter.ScanCompleted || scan.ImagesFailed != 0 || scan.ImagesDone == 0 {
		t.Errorf("scan: %+v", scan)
	}
	for name, row := range s.results(t) {
		if row.Image.Judgement == nil || row.Image.Judgement.Advisories != s.control.Advisories().Current.Version {
			t.Errorf("%s: %+v", name, row.Image.Judgement)
		}
	}
	workers, err := s.control.Workers(t.Context())
	if err != nil || !slices.ContainsFunc(workers, func(w control.Worker) bool { return slices.Contains(w.Labels, "zone=dmz") }) {
		t.Errorf("workers %+v, %v", workers, err)
	}
	key := workerKey(t, data).Reveal()
	_ = filepath.WalkDir(cache, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		if strings.HasSuffix(path, ".key") || strings.Contains(string(dataFile(t, filepath.Dir(path), filepath.Base(path))), key) {
			t.Errorf("the worker has left a key in %s", path)
		}
		return nil
	})
}

// TestRegistryWaitsForItsWorkers binds a registry to workers in a zone. Its scan waits and says so until one comes; another
// registry is scanned meanwhile.
func TestRegistryWaitsForItsWorkers(t *testing.T) {
	t.Parallel()
	if !apart(t) {
		return
	}
	database := testkit.Postgres(t)
	registry := sampleRegistry(t)
	other := testkit.Registry(t, testkit.Options{})
	push(t, other.URL, "team/app", samples.NewImage().Step("base", samples.File("etc/os-release", "ID=debian\nVERSION_ID=12\n")).MustBuild(), "1")
	data := t.TempDir()
	s := start(t, app.Config{Database: database, Data: data, Advisories: advisoriesIn(registry)}).withAdvisories(t)
	bound := s.declare(t, registry.URL, func(r *tidewaiter.Registry) { r.Labels = []string{"zone=dmz"} })
	free := s.declare(t, other.URL)
	state := func(id string) tidewaiter.ScanState {
		latest, err := s.control.LatestScans(t.Context(), []string{id})
		if err != nil {
			t.Fatal(err)
		}
		if latest[id].Current != nil {
			return latest[id].Current.State
		}
		return latest[id].Finished.State
	}
	eventually(t, "the free registry is scanned", func() bool { return state(free.ID) == tidewaiter.ScanCompleted })
	if got := state(bound.ID); got != tidewaiter.ScanQueued {
		t.Errorf("the bound registry's scan is %s", got)
	}
	holds, err := s.control.RegistryHolds(t.Context(), []*tidewaiter.Registry{bound, free})
	if err != nil || len(holds) != 1 || !strings.Contains(holds[bound.ID].Text(), "zone=dmz") {
		t.Errorf("holds %+v, %v", holds, err)
	}
	work(t, app.Config{Database: database, WorkerKey: workerKey(t, data), Labels: []string{"zone=dmz"}})
	if scan := s.finished(t)[bound.ID]; scan.State != tidewaiter.ScanCompleted || scan.ImagesDone == 0 {
		t.Errorf("scan: %+v", scan)
	}
	if holds, err := s.control.RegistryHolds(t.Context(), []*tidewaiter.Registry{bound}); err != nil || len(holds) != 0 {
		t.Errorf("holds %+v, %v", holds, err)
	}
}

// TestWorkerFollowsTheFleetsAdvisories has a worker start with advisories of its own that are older than the servers'. It
// leaves judging to others until it has the same.
func TestWorkerFollowsTheFleetsAdvisories(t *testing.T) {
	t.Parallel()
	if !apart(t) {
		return
	}
	database := testkit.Postgres(t)
	registry := sampleRegistry(t)
	data := t.TempDir()
	newer := testkit.Registry(t, testkit.Options{})
	if err := samples.Push(t.Context(), newer.URL, samples.Options{Advisories: samples.AdvisoryOptions{Edition: samples.SecondEdition, UpdatedAt: time.Now()}}); err != nil {
		t.Fatal(err)
	}
	s := start(t, app.Config{Database: database, Data: data, Advisories: advisoriesIn(newer)}).withAdvisories(t)
	version := s.control.Advisories().Current.Version
	work(t, app.Config{Database: database, WorkerKey: workerKey(t, data), Advisories: advisoriesIn(registry), PlainHTTPAdvisories: true, Workers: 8})
	eventually(t, "the worker has its own advisories", func() bool {
		workers, err := s.control.Workers(t.Context())
		return err == nil && slices.ContainsFunc(workers, func(w control.Worker) bool { return w.Advisories != "" && w.Advisories != version })
	})
	r := s.declare(t, registry.URL)
	if scan := s.finished(t)[r.ID]; scan.State != tidewaiter.ScanCompleted {
		t.Errorf("scan: %+v", scan)
	}
	for name, row := range s.results(t) {
		if got := row.Image.Judgement.Advisories; got != version {
			t.Errorf("%s was judged by %s, the fleet has %s", name, got, version)
		}
	}
}

func TestWorkerRefusesWhatCannotWork(t *testing.T) {
	t.Parallel()
	database, data := testkit.Postgres(t), t.TempDir()
	start(t, app.Config{Database: database, Data: data, Advisories: []string{"127.0.0.1:1/none:1"}}).stop()
	key := workerKey(t, data)
	for name, c := range map[string]struct {
		cfg   app.Config
		field string
		says  string
	}{
		"sqlite":    {app.Config{Database: "sqlite:x.db", WorkerKey: key}, "database", "single process"},
		"none":      {app.Config{WorkerKey: key}, "database", "PostgreSQL"},
		"no key":    {app.Config{Database: database}, "worker-key", "tidewaiter worker-key"},
		"other key": {app.Config{Database: database, WorkerKey: workerKey(t, t.TempDir())}, "worker-key", "not the key"},
		"label":     {app.Config{Database: database, WorkerKey: key, Labels: []string{"dmz"}}, "label", "key=value"},
	} {
		c.cfg.WorkerOnly, c.cfg.Data = true, t.TempDir()
		_, err := app.New(t.Context(), c.cfg)
		e := asError(err)
		if e == nil || e.Kind != tidewaiter.ErrInvalid || e.Field != c.field || !strings.Contains(err.Error()+e.Fix, c.says) {
			t.Errorf("%s: %v", name, err)
		}
	}
	dir := t.TempDir()
	work(t, app.Config{Database: database, WorkerKey: key, Data: dir})
	_, err := app.New(t.Context(), app.Config{WorkerOnly: true, Database: database, WorkerKey: key, Data: dir})
	if e := asError(err); e == nil || e.Field != "data" {
		t.Errorf("two workers in one folder: %v", err)
	}
}
