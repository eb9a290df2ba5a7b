package app

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/tidewaiter/tidewaiter/internal/httpd"
	"github.com/tidewaiter/tidewaiter/internal/secret"
	"github.com/tidewaiter/tidewaiter/internal/store"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// validateWorker reports the first setting with which a process cannot only work as an ErrInvalid.
func (c Config) validateWorker() error {
	if !c.WorkerOnly {
		return nil
	}
	if !strings.HasPrefix(c.Database, "postgres://") && !strings.HasPrefix(c.Database, "postgresql://") {
		return tidewaiter.Invalid("database", "a worker shares a PostgreSQL database with its servers; SQLite serves a single process, which works on its jobs itself").
			WithFix("give --database postgres://user:password@host:5432/name, or run `tidewaiter serve` alone")
	}
	if c.WorkerKey.IsZero() {
		return tidewaiter.Invalid("worker-key", "a worker needs a key to open pull credentials").
			WithFix("have the server print it with `tidewaiter worker-key` and give it as TIDEWAITER_WORKER_KEY or with --worker-key-file")
	}
	return nil
}

// claimData takes a folder for what can be fetched again: the one that was asked for, which no other process may use, or the
// first free one in the user's cache.
func (a *App) claimData() error {
	if !a.cfg.WorkerOnly {
		return os.MkdirAll(a.cfg.Data, 0o700)
	}
	if a.cfg.Data != "" {
		unlock, ok, err := lockFolder(a.cfg.Data)
		if err == nil && !ok {
			err = tidewaiter.Invalid("data", "another process uses the folder %s", a.cfg.Data).WithFix("give each worker a folder of its own")
		}
		if err == nil {
			a.onClose(unlock)
		}
		return err
	}
	base, err := os.UserCacheDir()
	if err != nil { // there is no home
		base = filepath.Join(os.TempDir(), fmt.Sprint("tidewaiter-", os.Getuid()))
	}
	for i := range maxWorkersHere {
		dir := filepath.Join(base, "tidewaiter", fmt.Sprint("worker-", i))
		unlock, ok, err := lockFolder(dir)
		if err != nil {
			return err
		}
		if ok {
			a.onClose(unlock)
			a.cfg.Data = dir
			return nil
		}
	}
	return tidewaiter.Errorf(tidewaiter.ErrLimit, "there are %d workers on this machine already", maxWorkersHere).WithFix("give --data a folder")
}

// maxWorkersHere bounds the search for a free folder.
const maxWorkersHere = 1000

// lockFolder makes a folder and locks it for this process; ok is false when another has it. The lock ends with the process.
func lockFolder(dir string) (unlock func() error, ok bool, err error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, false, err
	}
	f, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_RDWR|os.O_CREATE, 0o600) // of the data folder
	if err != nil {
		return nil, false, err
	}
	if locked, err := lockFile(f); err != nil || !locked {
		_ = f.Close() // nothing was written
		return nil, false, err
	}
	return f.Close, true, nil
}

// hostName is what the process's machine is called.
func hostName() string {
	host, err := os.Hostname()
	if err != nil {
		return "worker"
	}
	return host
}

// labels are those that were given and the machine's name.
func (a *App) labels() []string {
	return append(slices.Clone(a.cfg.Labels), tidewaiter.LabelHost+"="+a.host)
}

// fits reports whether this process may work on registries that ask for these labels. Those that ask for collections get a
// worker whose machine one of the collections has among its hosts; a collection that is not declared names no machine, and
// so every one, as clients name collections of other consoles.
func (a *App) fits(ctx context.Context, wanted []string) (bool, error) {
	hosts, err := collectionHosts(ctx, a.store, wanted)
	return err == nil && tidewaiter.LabelsFit(a.labels(), hosts), err
}

// reaches reports whether this process may ask a registry now. One that is gone may be asked, and says so.
func (a *App) reaches(ctx context.Context, registryID string) (bool, error) {
	r, err := a.store.Registry(ctx, registryID)
	if tidewaiter.KindOf(err) == tidewaiter.ErrNotFound {
		return true, nil
	}
	if err != nil || !r.PausedAt.IsZero() {
		return false, err
	}
	return a.fits(ctx, r.Labels)
}

func collectionHosts(ctx context.Context, db *store.DB, wanted []string) ([]string, error) {
	if !slices.ContainsFunc(wanted, isCollection) {
		return wanted, nil
	}
	known, err := db.Collections(ctx)
	if err != nil {
		return nil, err
	}
	return tidewaiter.ResolveCollections(wanted, known), nil
}

func isCollection(label string) bool { return strings.HasPrefix(label, tidewaiter.LabelCollection+"=") }

// openMonitor serves what watches a worker, when that was asked for.
func (a *App) openMonitor(metrics *prometheus.Registry) (err error) {
	if a.cfg.Listen == "" {
		return nil
	}
	a.handler = httpd.Handler(httpd.Config{Metrics: promhttp.HandlerFor(metrics, promhttp.HandlerOpts{}), Ready: a.store.Ping, Log: a.cfg.Log})
	if a.listener, err = httpd.Listen(a.cfg.Listen, nil); err != nil {
		return fmt.Errorf("listen on %s: %w", a.cfg.Listen, err)
	}
	a.onClose(func() error {
		_ = a.listener.Close() // closed already when it was served
		return nil
	})
	return nil
}

// onDead frees the layers that a dead process had under way and its places for requests, so that nobody waits for them to run
// out.
func onDead(ctx context.Context, tx *store.Tx, owner string, jobs []int64) error {
	owners := make([]string, len(jobs))
	for i, id := range jobs {
		owners[i] = fmt.Sprintf("%s/%d", owner, id)
	}
	if err := tx.ReleaseLeases(ctx, owners); err != nil {
		return err
	}
	return tx.FreePlaces(ctx, owner)
}

// openWorkerKey reads the key a worker was given.
func (c Config) openWorkerKey() (*secret.Keyring, error) {
	return secret.ParseWorkerKey(c.WorkerKey.Reveal())
}
