package main

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/tidewaiter/tidewaiter/emulator"
	"github.com/tidewaiter/tidewaiter/internal/connector"
	"github.com/tidewaiter/tidewaiter/internal/connector/connectortest"
	"github.com/tidewaiter/tidewaiter/internal/control"
	"github.com/tidewaiter/tidewaiter/internal/discover"
	"github.com/tidewaiter/tidewaiter/internal/oci"
	"github.com/tidewaiter/tidewaiter/internal/store"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// discovery is one registry with a database it is discovered into, by the code the server does it with. What follows from
// a listing is not done: no image is pulled.
type discovery struct {
	db       *store.DB
	client   *oci.Client
	worker   *discover.Discoverer
	registry *tidewaiter.Registry
	passes   int
}

// newDiscovery declares an emulated registry in a new database in dir.
func newDiscovery(ctx context.Context, dir string, kind tidewaiter.RegistryKind, e *emulator.Emulator) (*discovery, error) {
	r, cred, plain := connectortest.Declared(kind, e)
	r.CredentialID, r.CreatedAt, r.UpdatedAt = "", time.Now(), time.Now()
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	db, err := store.Open(ctx, store.Config{URL: filepath.Join(dir, "tidewaiter.db")})
	if err != nil {
		return nil, err
	}
	d := &discovery{db: db, registry: r, client: oci.New(oci.Options{AllowLoopback: true,
		Budget: oci.NewBudget(oci.Limits{Concurrent: 16, PerSecond: -1}, nil)})} // the emulator is not to be spared
	source, err := connector.NewWithOptions(d.client, nil, nil, connector.Options{Endpoints: e.Endpoints()}).Connect(r, cred, plain, nil)
	if err != nil {
		return nil, err
	}
	d.worker = discover.New(discover.Config{
		Store: db, Jobs: nobody{}, Analyzer: "bench", Parallel: 40, Now: time.Now, Log: slog.New(slog.DiscardHandler),
		Open:   func(context.Context, string) (discover.Source, error) { return source, nil },
		TagJob: func(*tidewaiter.Scan, string, store.RecordedTag) tidewaiter.Job { return tidewaiter.Job{} },
	})
	return d, db.Update(ctx, func(tx *store.Tx) error { return tx.InsertRegistries(ctx, []*tidewaiter.Registry{r}) })
}

func (d *discovery) close() error {
	d.client.Close()
	return d.db.Close()
}

// pass lists the whole registry, which has to have so many tags.
func (d *discovery) pass(ctx context.Context, tags int) error {
	d.passes++
	s := &tidewaiter.Scan{ID: "scan-" + strconv.Itoa(d.passes), RegistryID: d.registry.ID, State: tidewaiter.ScanQueued,
		Lane: tidewaiter.LaneFresh, CreatedAt: time.Now(), UpdatedAt: time.Now()}
	if err := d.db.Update(ctx, func(tx *store.Tx) error { return tx.InsertScans(ctx, []*tidewaiter.Scan{s}) }); err != nil {
		return err
	}
	args := fmt.Appendf(nil, `{"scanID":%q}`, s.ID)
	if err := d.worker.Work(ctx, tidewaiter.JobRun{Kind: control.JobScan, Args: args, Attempt: 1, MaxAttempts: 1}); err != nil {
		return err
	}
	s, err := d.db.Scan(ctx, s.ID)
	if err != nil {
		return err
	}
	if !s.Complete || s.TagsSelected != tags {
		return fmt.Errorf("the listing found %d tags of %d: %s", s.TagsSelected, tags, s.Error)
	}
	return nil
}

// nobody does no job.
type nobody struct{}

// Enqueue forgets the jobs.
func (nobody) Enqueue(context.Context, *store.Tx, ...tidewaiter.Job) error { return nil }
