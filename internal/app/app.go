package app

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"path/filepath"
	"slices"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"golang.org/x/sync/errgroup"

	"github.com/tidewaiter/tidewaiter/internal/admission"
	"github.com/tidewaiter/tidewaiter/internal/advisory"
	"github.com/tidewaiter/tidewaiter/internal/api"
	"github.com/tidewaiter/tidewaiter/internal/auth"
	"github.com/tidewaiter/tidewaiter/internal/connector"
	"github.com/tidewaiter/tidewaiter/internal/control"
	"github.com/tidewaiter/tidewaiter/internal/discover"
	"github.com/tidewaiter/tidewaiter/internal/engine"
	"github.com/tidewaiter/tidewaiter/internal/event"
	"github.com/tidewaiter/tidewaiter/internal/httpd"
	"github.com/tidewaiter/tidewaiter/internal/inbox"
	"github.com/tidewaiter/tidewaiter/internal/notify"
	"github.com/tidewaiter/tidewaiter/internal/oci"
	"github.com/tidewaiter/tidewaiter/internal/prisma"
	"github.com/tidewaiter/tidewaiter/internal/qualys"
	"github.com/tidewaiter/tidewaiter/internal/queue"
	"github.com/tidewaiter/tidewaiter/internal/scan"
	"github.com/tidewaiter/tidewaiter/internal/secret"
	"github.com/tidewaiter/tidewaiter/internal/store"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// App is one running process.
type App struct {
	cfg        Config
	listener   net.Listener
	handler    http.Handler
	store      *store.DB
	queue      *queue.Queue
	control    *control.Control
	notifier   *notify.Notifier
	matcher    *engine.Matcher
	advisories *advisory.Keeper
	keyring    *secret.Keyring
	host       string
	behind     atomic.Bool // the fleet has other advisories than this process
	puller     *event.Puller
	budgets    *store.Budgets // nil on SQLite
	feeds      *advisory.Feeds
	closers    []func() error
}

// New opens everything a process needs and listens, but does nothing yet. Close the App if it is never run.
func New(ctx context.Context, cfg Config) (_ *App, err error) {
	a := &App{cfg: cfg.withDefaults()}
	defer func() {
		if err != nil {
			a.Close()
		}
	}()
	if err := a.cfg.validate(); err != nil {
		return nil, err
	}
	if err := a.claimData(); err != nil {
		return nil, fmt.Errorf("data folder: %w", err)
	}
	metrics := prometheus.NewRegistry()
	metrics.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	keyring, err := a.openKeyring()
	if err != nil {
		return nil, err
	}
	a.keyring = keyring
	if err := a.openStore(ctx, metrics); err != nil {
		return nil, err
	}
	if err := errors.Join(a.checkKeys(ctx), a.agreeOnAdvisories(ctx)); err != nil {
		return nil, err
	}
	client := oci.New(oci.Options{AllowLoopback: a.cfg.AllowLoopback, UserAgent: "tidewaiter/" + a.cfg.Version, Transport: a.cfg.Transport,
		Budget: a.openBudget()})
	a.onClose(func() error { client.Close(); return nil })
	connections := connector.NewWithOptions(client, a.store, keyring, connector.Options{Endpoints: a.cfg.Endpoints})
	if err := a.openEngine(ctx, client, connections, metrics); err != nil {
		return nil, err
	}
	keys, err := a.pushKeys(client)
	if err != nil {
		return nil, err
	}
	a.control = control.New(control.Config{
		Store: a.store, Jobs: a.queue, Lanes: lanesOf{a.queue, a.store}, Keyring: keyring, Prober: connections, Advisories: a.advisoryState,
		Previewer: Previewer{connections, discover.KnownTime(a.store), a.cfg.Rotation}, VerifyPush: keys.VerifyPush, Queues: connections, Webhooks: a.openWebhooks(keyring, metrics),
		Scanners:   a.openOpinions(connections, keyring),
		RejudgeJob: rejudgeJob, Metrics: metrics, Now: time.Now, NewID: uuid.NewString, Log: a.cfg.Log,
	})
	a.openFeeds(client, metrics)
	a.openEvents(connections)
	a.openCalendar()
	a.openPublisher(connections)
	a.tidyWebhooks()
	if a.cfg.WorkerOnly {
		return a, a.openMonitor(metrics)
	}
	if err := a.control.SetRetention(ctx, a.cfg.Retention); err != nil {
		return nil, err
	}
	if err := a.openSurfaces(ctx, keyring, metrics); err != nil {
		return nil, err
	}
	return a, nil
}

func (a *App) onClose(f func() error) { a.closers = append(a.closers, f) }

func (a *App) openKeyring() (*secret.Keyring, error) {
	if a.cfg.WorkerOnly {
		return a.cfg.openWorkerKey()
	}
	if !a.cfg.MasterKey.IsZero() {
		return secret.Parse(a.cfg.MasterKey.Reveal())
	}
	return secret.Open(filepath.Join(a.cfg.Data, "master.key"))
}

func (a *App) openStore(ctx context.Context, metrics prometheus.Registerer) (err error) {
	url := a.cfg.Database
	if url == "" {
		url = filepath.Join(a.cfg.Data, "tidewaiter.db")
	}
	if a.store, err = store.Open(ctx, store.Config{URL: url, Log: a.cfg.Log, Now: time.Now}); err != nil {
		return err
	}
	a.onClose(a.store.Close)
	if !a.cfg.WorkerOnly {
		if err := a.seed(ctx); err != nil {
			return err
		}
	}
	a.host = hostName()
	a.queue, err = queue.New(ctx, queue.Config{DB: a.store, Log: a.cfg.Log, WorkerID: a.host, Version: a.cfg.Version,
		Labels: a.labels(), Fits: a.fits,
		Workers: a.cfg.lanes(), Hold: a.held, Advisories: a.advisoryVersion, OnDead: onDead, Registry: metrics})
	return err
}

// openEngine plugs discovery and pipeline into the queue.
func (a *App) openEngine(_ context.Context, client *oci.Client, connections *connector.Connector, metrics prometheus.Registerer) error {
	analyzer, err := engine.New(engine.Options{Secrets: !a.cfg.NoSecrets})
	if err != nil {
		return err
	}
	a.matcher = engine.NewMatcher()
	a.onClose(a.matcher.Close)
	pipeline := scan.New(scan.Config{
		Store: a.store, Jobs: a.queue, Engine: analyzer, Matcher: a.matcher, Worker: a.queue.ID(),
		Open:    func(ctx context.Context, id string) (scan.Source, error) { return a.source(ctx, connections, id) },
		Reaches: a.reaches,
		Now:     time.Now, Log: a.cfg.Log, Metrics: metrics,
	})
	for _, s := range pipeline.Stages() {
		a.queue.Handle(s.Kind, s.Work)
		if s.Failed != nil {
			a.queue.HandleFailure(s.Kind, s.Failed)
		}
	}
	a.handleHarbor(pipeline)
	discoverer := discover.New(discover.Config{
		Store: a.store, Jobs: a.queue, TagJob: tagJob, Analyzer: analyzer.Version(), Parallel: 40, Rotation: a.cfg.Rotation,
		Now: time.Now, Log: a.cfg.Log,
		Open: func(ctx context.Context, id string) (discover.Source, error) { return connections.OpenLive(ctx, id) },
	})
	a.queue.Handle(control.JobScan, discoverer.Work)
	a.queue.HandleFailure(control.JobScan, discoverer.Failed)
	return a.openAdvisories(client)
}

// tagJob makes the job that looks into a tag a listing found new or moved.
func tagJob(s *tidewaiter.Scan, repository string, t store.RecordedTag) tidewaiter.Job {
	return scan.NewTagJob(s.Lane, scan.TagArgs{
		ScanID: s.ID, RegistryID: s.RegistryID, TagID: t.TagID, Repository: repository, Tag: t.Name, Digest: t.Digest,
		Platforms: s.Scope.Platforms, Force: s.Force,
	})
}

// openSurfaces makes the first user and mounts the APIs.
func (a *App) openSurfaces(ctx context.Context, keyring *secret.Keyring, metrics *prometheus.Registry) error {
	gate, err := auth.New(auth.Config{Users: store.UserAccounts{DB: a.store}, Keys: keyring})
	if err != nil {
		return err
	}
	password, err := gate.Bootstrap(ctx, a.cfg.AdminUser, a.cfg.AdminPassword.Reveal())
	if err != nil {
		return err
	}
	if password != "" {
		a.cfg.Announce(a.cfg.AdminUser, password)
	}
	a.handler = httpd.Handler(httpd.Config{
		API:    api.New(api.Config{Control: a.control, Auth: gate, Log: a.cfg.Log, Now: time.Now, Version: a.cfg.Version}), //nolint:contextcheck // requests bring their own
		Prisma: prisma.New(prisma.Config{Control: a.control, Auth: gate, Log: a.cfg.Log, Now: time.Now, Version: a.cfg.Version}),
		Qualys: qualys.New(qualys.Config{Control: a.control, Auth: gate, Log: a.cfg.Log, Now: time.Now, AWSAccount: a.cfg.AWSAccount,
			Replaced: func(k tidewaiter.RegistryKind) bool { return connector.Replaced(a.cfg.Endpoints, k) }}),
		Harbor:    a.openHarbor(),
		Admission: admission.New(admission.Config{Control: a.control, Auth: gate, Log: a.cfg.Log}),
		Inbox:     inbox.New(inbox.Config{Control: a.control, Log: a.cfg.Log}),
		Metrics:   promhttp.HandlerFor(metrics, promhttp.HandlerOpts{}),
		Ready:     a.store.Ping,
		Log:       a.cfg.Log,
	})
	certificate, err := a.cfg.certificate(time.Now())
	if err != nil {
		return err
	}
	if a.listener, err = httpd.Listen(a.cfg.Listen, certificate); err != nil {
		return fmt.Errorf("listen on %s: %w", a.cfg.Listen, err)
	}
	a.onClose(func() error {
		_ = a.listener.Close() // closed already when it was served
		return nil
	})
	return nil
}

// URL is where the APIs are served; "" when nothing is.
func (a *App) URL() string {
	if a.listener == nil {
		return ""
	}
	scheme := "http"
	if a.cfg.TLSSelfSigned || a.cfg.TLSCert != "" {
		scheme = "https"
	}
	return scheme + "://" + a.listener.Addr().String()
}

// Control returns the use cases, for commands that run in the same process.
func (a *App) Control() *control.Control { return a.control }

// Run serves and works until ctx ends, then lets what is under way finish for a while. What does not finish goes on at the
// next start.
func (a *App) Run(ctx context.Context) error {
	defer a.Close()
	if err := a.queue.Start(ctx); err != nil {
		if ctx.Err() != nil {
			return nil // asked to stop before it had begun
		}
		return err
	}
	group, gctx := errgroup.WithContext(ctx)
	if a.listener != nil {
		group.Go(func() error { return httpd.Serve(gctx, a.listener, a.handler, a.cfg.Log, a.cfg.StopGrace) })
	}
	group.Go(func() error { a.advisories.Run(gctx); return nil })
	group.Go(func() error { a.followAdvisories(gctx); return nil })
	if !a.cfg.WorkerOnly { // a worker may be where the clouds' queues, and who is to be told, cannot be reached
		group.Go(func() error { a.puller.Run(gctx); return nil })
		group.Go(func() error { a.notifier.Run(gctx); return nil })
		group.Go(func() error { a.feeds.Run(gctx); return nil })
	}
	if a.budgets != nil {
		group.Go(func() error { a.budgets.Run(gctx); return nil })
	}
	group.Go(func() error {
		<-gctx.Done()
		stop, cancel := context.WithTimeout(context.WithoutCancel(gctx), a.cfg.StopGrace)
		defer cancel()
		return a.queue.Stop(stop)
	})
	err := group.Wait()
	if ctx.Err() != nil {
		a.cfg.Log.Info("stopped")
	}
	return err
}

// Close gives back what New opened. It may be called more than once.
func (a *App) Close() {
	for _, f := range slices.Backward(a.closers) {
		if err := f(); err != nil {
			a.cfg.Log.Warn("close", "err", err)
		}
	}
	a.closers = nil
}
