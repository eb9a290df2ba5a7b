package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// registry is a running distribution registry on a loopback port that lets everybody in.
type registry struct {
	url, host string
	stop      func()
}

// startRegistry starts the program with its storage in dir and waits until it answers.
func startRegistry(ctx context.Context, program, dir string) (*registry, error) {
	address, err := freeAddress(ctx)
	if err != nil {
		return nil, err
	}
	return startRegistryAt(ctx, program, dir, address, "")
}

// startRegistryAt does so at an address, with more lines for its configuration.
func startRegistryAt(ctx context.Context, program, dir, address, more string) (*registry, error) {
	if _, err := os.Stat(program); err != nil {
		return nil, fmt.Errorf("the registry is missing, run `make bin/registry`: %w", err)
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	config := filepath.Join(dir, "config.yml")
	text := fmt.Sprintf("version: 0.1\nlog: {level: error}\nstorage: {filesystem: {rootdirectory: %q}}\nhttp: {addr: %q}\n",
		filepath.Join(dir, "storage"), address)
	if err := os.WriteFile(config, []byte(text+more), 0o600); err != nil {
		return nil, err
	}
	running, cancel := context.WithCancel(context.WithoutCancel(ctx))
	cmd := exec.CommandContext(running, program, "serve", config) //nolint:gosec // built by make
	var log bytes.Buffer
	cmd.Stdout, cmd.Stderr = &log, &log
	// Variables that begin with REGISTRY_ would override the settings above.
	cmd.Env = slices.DeleteFunc(os.Environ(), func(v string) bool { return strings.HasPrefix(v, "REGISTRY_") })
	if err := cmd.Start(); err != nil {
		cancel()
		return nil, err
	}
	ended := make(chan struct{})
	go func() { // ends with the process, which stop kills
		defer close(ended)
		_ = cmd.Wait()
	}()
	r := &registry{url: "http://" + address, host: address, stop: func() { cancel(); <-ended }}
	if err := r.wait(ctx, ended); err != nil {
		r.stop()
		return nil, fmt.Errorf("start the registry: %w\n%s", err, log.Bytes())
	}
	return r, nil
}

func (r *registry) wait(ctx context.Context, ended <-chan struct{}) error {
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, r.url+"/v2/", nil)
		if err != nil {
			return err
		}
		if res, err := http.DefaultClient.Do(req); err == nil {
			return res.Body.Close()
		}
		select {
		case <-ended:
			return errors.New("it ended at once")
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(50 * time.Millisecond):
		}
	}
	return errors.New("it does not answer")
}
