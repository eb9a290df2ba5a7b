package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/tidewaiter/tidewaiter/bench/cost"
	"github.com/tidewaiter/tidewaiter/internal/app"
	"github.com/tidewaiter/tidewaiter/internal/secret"
)

// adminPassword guards nothing but servers under measurement.
const adminPassword = "bench-admin-password"

// serveChild runs the whole server until its standard input ends. It prints its address when it is up and has
// advisories, and at the end what it took since then.
func serveChild(ctx context.Context, args []string) error {
	flags := flag.NewFlagSet("serve", flag.ContinueOnError)
	data := flags.String("data", "", "folder for the database")
	database := flags.String("database", "", "PostgreSQL; SQLite in the folder when empty")
	advisories := flags.String("advisories", "", "reference of the advisories; none are waited for when empty")
	listen := flags.String("listen", "127.0.0.1:0", "address to serve on")
	noSecrets := flags.Bool("no-secrets", false, "do not look for secrets")
	workers := flags.Int("workers", 0, "images and layers at once; two for each core when 0")
	worksFor := flags.String("for", "", "be a worker of the server with this folder")
	if err := flags.Parse(args); err != nil {
		return err
	}
	cfg := app.Config{
		Listen: *listen, Data: *data, Database: *database, AllowLoopback: true, PlainHTTPAdvisories: true, NoSecrets: *noSecrets, Workers: *workers,
		AdminPassword: secret.New(adminPassword), Version: "bench",
		Log: slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn})),
	}
	if *advisories != "" {
		cfg.Advisories = []string{*advisories}
	}
	if *worksFor != "" {
		if err := beWorker(&cfg, *worksFor); err != nil {
			return err
		}
	}
	server, err := app.New(ctx, cfg)
	if err != nil {
		return err
	}
	running, stop := context.WithCancel(ctx)
	defer stop()
	ended := make(chan error, 1)
	go func() { ended <- server.Run(running) }()
	for deadline := time.Now().Add(time.Minute); *advisories != "" && server.Control().Advisories().Current == nil; {
		if time.Now().After(deadline) {
			return fmt.Errorf("no advisories: %s", server.Control().Advisories().Error)
		}
		time.Sleep(50 * time.Millisecond)
	}
	meter, err := cost.Start()
	if err != nil {
		return err
	}
	out := json.NewEncoder(os.Stdout)
	if err := out.Encode(server.URL()); err != nil {
		return err
	}
	if _, err := io.Copy(io.Discard, os.Stdin); err != nil {
		return err
	}
	took, err := meter.Stop()
	if err != nil {
		return err
	}
	stop()
	return errors.Join(<-ended, out.Encode(took))
}

// beWorker makes a worker of a configuration, with the key that the server with a folder has for its workers.
func beWorker(cfg *app.Config, folder string) error {
	keyring, err := secret.Open(filepath.Join(folder, "master.key"))
	if err != nil {
		return err
	}
	cfg.WorkerOnly = true
	cfg.WorkerKey, err = keyring.WorkerKey()
	return err
}
