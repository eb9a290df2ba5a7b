//go:build e2e

// Package e2e_test runs the built program against real parts, as its users do: `make e2e`.
package e2e_test

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/tidewaiter/tidewaiter/internal/samples"
	"github.com/tidewaiter/tidewaiter/internal/testkit"
)

const password = "correct horse battery staple"

// root is the top of the repository.
func root(t *testing.T) string {
	t.Helper()
	dir, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// serve starts the built program on a database, with advisories from a registry, and returns its address. It ends in good
// order with the test.
func serve(t *testing.T, registry *testkit.Server, database string, flags ...string) string {
	t.Helper()
	address := freeAddress(t)
	args := append([]string{"serve", "--listen", address, "--data", t.TempDir(), "--allow-loopback-registries",
		"--advisories", registry.Host + "/" + samples.AdvisoriesRepository + ":" + samples.AdvisoriesTag, "--advisories-plain-http"}, flags...)
	if database != "" {
		args = append(args, "--database", database)
	}
	cmd := exec.CommandContext(context.Background(), filepath.Join(root(t), "bin", "tidewaiter"), args...)
	cmd.Env = append(os.Environ(), "TIDEWAITER_ADMIN_PASSWORD="+password)
	cmd.Stdout, cmd.Stderr = t.Output(), t.Output()
	if err := cmd.Start(); err != nil {
		t.Fatalf("%v: run `make build` first", err)
	}
	t.Cleanup(func() {
		if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
			t.Error(err)
		}
		if err := cmd.Wait(); err != nil {
			t.Errorf("the server did not end in good order: %v", err)
		}
	})
	url := "http://" + address
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		res, err := http.Get(url + "/readyz")
		if err == nil {
			res.Body.Close()
			if res.StatusCode == http.StatusOK {
				return url
			}
		}
		if time.Now().After(deadline) {
			t.Fatalf("the server is not ready after 30 seconds: %v", err)
		}
	}
}

func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// TestExamples runs every script below examples/ against a server and a registry with a login, on both databases. What a
// script prints must name the sample with the most to find.
func TestExamples(t *testing.T) {
	for _, tool := range []string{"bash", "curl", "jq"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Fatalf("%s is missing: install it to run the examples", tool)
		}
	}
	scripts, err := filepath.Glob(filepath.Join(root(t), "examples", "*", "*.sh"))
	if err != nil || len(scripts) == 0 {
		t.Fatalf("no examples found: %v", err)
	}
	registry := testkit.Registry(t, testkit.Options{Username: "reader", Password: "harbour"})
	err = samples.Push(t.Context(), registry.URL, samples.Options{Username: "reader", Password: "harbour"})
	if err != nil {
		t.Fatal(err)
	}
	open := testkit.Registry(t, testkit.Options{}) // the advisories
	if err := samples.Push(t.Context(), open.URL, samples.Options{}); err != nil {
		t.Fatal(err)
	}
	for _, database := range []string{"sqlite", "postgres"} {
		for _, script := range scripts {
			name := filepath.Base(filepath.Dir(script)) + "/" + filepath.Base(script)
			t.Run(database+"/"+name, func(t *testing.T) {
				dsn := ""
				if database == "postgres" {
					dsn = testkit.Postgres(t)
				}
				out := run(t, script, "TIDEWAITER_URL="+serve(t, open, dsn), "TIDEWAITER_USER=admin", "TIDEWAITER_PASSWORD="+password,
					"REGISTRY_URL="+registry.URL, "REGISTRY_USER=reader", "REGISTRY_PASSWORD=harbour")
				if !strings.Contains(out, "ops/leaky:1.0") {
					t.Errorf("the output does not name ops/leaky:1.0:\n%s", out)
				}
			})
		}
	}
}

func run(t *testing.T, script string, env ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "bash", script)
	cmd.Env = append(os.Environ(), env...)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Run(); err != nil {
		t.Fatalf("%s: %v\n%s", filepath.Base(script), err, &out)
	}
	return fmt.Sprint(&out)
}
