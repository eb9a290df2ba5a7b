package cli

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/crypto/bcrypt"

	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// registryProcess is a distribution registry on a loopback port.
type registryProcess struct {
	url, host string
	stop      func()
}

// startRegistry starts a registry that lets one user in and waits until it answers.
func startRegistry(ctx context.Context, binary, dir, user, password string) (*registryProcess, error) {
	path, err := exec.LookPath(binary)
	if err != nil {
		return nil, tidewaiter.Errorf(tidewaiter.ErrNotFound, "the registry program is missing: %w", err).
			WithFix("run `make demo`, which builds it, or name one with --registry-binary")
	}
	address, err := freePort(ctx)
	if err != nil {
		return nil, err
	}
	hash, err := bcrypt.GenerateFromPassword([]byte(password), bcrypt.MinCost)
	if err != nil {
		return nil, err
	}
	home := filepath.Join(dir, "registry")
	if err := os.MkdirAll(home, 0o700); err != nil {
		return nil, err
	}
	users, config := filepath.Join(home, "htpasswd"), filepath.Join(home, "config.yml")
	if err := os.WriteFile(users, []byte(user+":"+string(hash)+"\n"), 0o600); err != nil {
		return nil, err
	}
	text := fmt.Sprintf("version: 0.1\nlog: {level: error}\nstorage: {filesystem: {rootdirectory: %q}}\nhttp: {addr: %q}\n"+
		"auth: {htpasswd: {realm: demo, path: %q}}\n", filepath.Join(home, "storage"), address, users)
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		return nil, err
	}
	var log bytes.Buffer
	running, cancel := context.WithCancel(context.WithoutCancel(ctx))
	cmd := exec.CommandContext(running, path, "serve", config) //nolint:gosec // the program the user named
	cmd.Stdout, cmd.Stderr = &log, &log
	// Variables that begin with REGISTRY_ would override the settings above.
	cmd.Env = slices.DeleteFunc(os.Environ(), func(v string) bool { return strings.HasPrefix(v, "REGISTRY_") })
	if err := cmd.Start(); err != nil {
		cancel()
		return nil, fmt.Errorf("start the registry: %w", err)
	}
	exited := make(chan struct{})
	go func() {
		_ = cmd.Wait() // killed at the end; what it had to say is in its log
		close(exited)
	}()
	p := &registryProcess{url: "http://" + address, host: address, stop: func() { cancel(); <-exited }}
	if err := p.wait(ctx, exited); err != nil {
		p.stop()
		return nil, fmt.Errorf("%w\n%s", err, log.String())
	}
	return p, nil
}

// freePort returns a loopback address nobody listens on.
func freePort(ctx context.Context) (string, error) {
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer l.Close()
	return l.Addr().String(), nil
}

func (p *registryProcess) wait(ctx context.Context, exited <-chan struct{}) error {
	deadline := time.After(20 * time.Second)
	for {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, p.url+"/v2/", nil)
		if err != nil {
			return err
		}
		if res, err := http.DefaultClient.Do(req); err == nil {
			res.Body.Close()
			return nil
		}
		select {
		case <-exited:
			return fmt.Errorf("the registry ended at once")
		case <-deadline:
			return fmt.Errorf("the registry does not answer after 20 seconds")
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(50 * time.Millisecond):
		}
	}
}
