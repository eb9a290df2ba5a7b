package testkit

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
)

// registryModule is built when there is no registry program yet.
const registryModule = "github.com/distribution/distribution/v3/cmd/registry@v3.1.2"

// registryBinary finds the registry program, building it at first use.
func registryBinary(ctx context.Context) (string, error) {
	if path := os.Getenv("TIDEWAITER_TEST_REGISTRY"); path != "" {
		return path, nil
	}
	root, err := moduleRoot()
	if err != nil {
		return "", err
	}
	bin := filepath.Join(root, "bin")
	path := filepath.Join(bin, "registry")
	if _, err := os.Stat(path); err == nil {
		return path, nil
	}
	if err := os.MkdirAll(bin, 0o750); err != nil {
		return "", fmt.Errorf("build registry: %w", err)
	}
	unlock, err := lock(filepath.Join(bin, ".registry.lock"))
	if err != nil {
		return "", fmt.Errorf("build registry: %w", err)
	}
	defer unlock()
	if _, err := os.Stat(path); err == nil {
		return path, nil // another test process has built it meanwhile
	}
	cmd := exec.CommandContext(ctx, "go", "install", registryModule)
	cmd.Dir = os.TempDir() // outside of this module, whose versions must not matter
	cmd.Env = append(os.Environ(), "GOBIN="+bin, "GOFLAGS=", "GOEXPERIMENT=", "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build registry with go install %s: %w\n%s", registryModule, err, out)
	}
	return path, nil
}

// OldRegistry returns Debian's docker-registry, a distribution registry of the generation before: what
// TIDEWAITER_TEST_DOCKER_REGISTRY names, or docker-registry on the PATH. Where there is none the test is skipped.
func OldRegistry(t testing.TB) string {
	t.Helper()
	if path := os.Getenv("TIDEWAITER_TEST_DOCKER_REGISTRY"); path != "" {
		return path
	}
	path, err := exec.LookPath("docker-registry")
	if err != nil {
		t.Skip("docker-registry is not on PATH: install Debian's package to try the generation of registries before")
	}
	return path
}

// moduleRoot is the directory of this module's go.mod, looked for upwards from the package under test.
func moduleRoot() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", fmt.Errorf("find module: %w", err)
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir, nil
		}
		up := filepath.Dir(dir)
		if up == dir {
			return "", errors.New("find module: no go.mod in any directory above")
		}
		dir = up
	}
}

// lock holds a lock file against other processes until unlock is called.
func lock(path string) (unlock func(), err error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return func() { _ = f.Close() }, nil // closing gives the lock back
}
