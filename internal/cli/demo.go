package cli

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/tidewaiter/tidewaiter/internal/app"
	"github.com/tidewaiter/tidewaiter/internal/samples"
	"github.com/tidewaiter/tidewaiter/internal/secret"
)

type demoCommand struct {
	RegistryBinary string        `help:"The registry program to start (distribution)." default:"registry" placeholder:"FILE"`
	Listen         string        `help:"Address to serve on." default:"127.0.0.1:8080" placeholder:"HOST:PORT"`
	Data           string        `help:"Folder to use; a temporary one that is removed at the end when empty." type:"path" placeholder:"DIR"`
	Once           bool          `help:"End when every image is judged: 0 when all went well, 1 when not."`
	Timeout        time.Duration `help:"How long the images may take." default:"150s"`
}

// Help tells what the demo shows.
func (demoCommand) Help() string {
	return `Starts a registry with sample images and a small advisory database, starts the server on SQLite, declares the registry over the
Prisma API and over the Qualys API, shows the scan and ends with a table of what was found. Nothing leaves this machine.
It stays up until Ctrl-C, so that you can look around.`
}

// The demo's own logins. They guard nothing but the demo.
const (
	demoRegistryUser = "reader"
	demoRegistryPass = "harbour-pilot"
	demoPassword     = "tidewaiter-demo"
)

// Run runs the demo.
func (c demoCommand) Run(ctx context.Context, s streams, log *slog.Logger) (err error) {
	dir := c.Data
	if dir == "" {
		if dir, err = os.MkdirTemp("", "tidewaiter-demo-"); err != nil {
			return err
		}
		defer os.RemoveAll(dir)
	}
	say := func(format string, args ...any) { sayf(s.out, format+"\n", args...) }

	say("1. A registry on this machine, with a login.")
	registry, err := startRegistry(ctx, c.RegistryBinary, dir, demoRegistryUser, demoRegistryPass)
	if err != nil {
		return err
	}
	defer registry.stop()

	say("2. Sample images and an advisory database, pushed to %s:", registry.url)
	if err := pushSamples(ctx, s, registry.url); err != nil {
		return err
	}

	say("\n3. The server, on SQLite.")
	if c.Once && c.Listen == "127.0.0.1:8080" {
		c.Listen = "127.0.0.1:0" // nobody comes by: any free port will do
	}
	server, err := app.New(ctx, app.Config{
		Listen: c.Listen, Data: dir, AllowLoopback: true, AdminPassword: secret.New(demoPassword), Version: version,
		Advisories:          []string{registry.host + "/" + samples.AdvisoriesRepository + ":" + samples.AdvisoriesTag},
		PlainHTTPAdvisories: true, AdvisoryLogin: app.Login{Username: demoRegistryUser, Password: secret.New(demoRegistryPass)},
		Log: quiet(ctx, log),
	})
	if err != nil {
		return err
	}
	running, stop := context.WithCancel(ctx)
	group, gctx := errgroup.WithContext(running)
	group.Go(func() error { return server.Run(gctx) })
	defer func() {
		stop()
		if e := group.Wait(); err == nil {
			err = e
		}
	}()
	tour := demoTour{out: s.out, url: server.URL(), control: server.Control(), registry: registry.url, timeout: c.Timeout}
	if err := tour.run(gctx); err != nil {
		return err
	}
	if c.Once {
		return nil
	}
	tour.invite()
	<-gctx.Done()
	if errors.Is(ctx.Err(), context.Canceled) {
		say("\nBye.")
	}
	return nil
}

func pushSamples(ctx context.Context, s streams, url string) error {
	return samples.Push(ctx, url, samples.Options{
		Username: demoRegistryUser, Password: demoRegistryPass,
		Progress: func(step samples.Step) {
			sayf(s.out, "   %2d/%d %-28s %s\n", step.Done, step.Total, step.Name, step.About)
		},
	})
}

// quiet keeps the demo's own lines readable: warnings and worse only, unless somebody asked for more.
func quiet(ctx context.Context, log *slog.Logger) *slog.Logger {
	if log.Enabled(ctx, slog.LevelDebug) {
		return log
	}
	return slog.New(levelHandler{log.Handler()})
}

type levelHandler struct{ slog.Handler }

// Enabled lets errors through.
func (h levelHandler) Enabled(_ context.Context, l slog.Level) bool { return l >= slog.LevelError }
