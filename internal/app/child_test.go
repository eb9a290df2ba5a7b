package app_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/tidewaiter/tidewaiter/internal/app"
	"github.com/tidewaiter/tidewaiter/internal/secret"
	"github.com/tidewaiter/tidewaiter/internal/testkit"
)

// childEnv is the environment variable that makes the test binary a server of the settings it holds.
const childEnv = "TIDEWAITER_APP_TEST_CHILD"

func TestMain(m *testing.M) {
	if settings := os.Getenv(childEnv); settings != "" {
		if err := serveChild(settings); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	if os.Getenv(apartEnv) != "" {
		go dieWithParent()
	}
	testkit.AtOnce(6)
	os.Exit(m.Run())
}

// childSettings is what of an app.Config a child is told.
type childSettings struct {
	Data       string
	Database   string
	Workers    int
	Advisories []string
}

// reopen starts a server in the test's own process where a child left off, and waits until it serves.
func reopen(t *testing.T, c childSettings) *server {
	t.Helper()
	s := start(t, app.Config{Data: c.Data, Database: c.Database, Advisories: c.Advisories})
	isReady(t, s.URL())
	return s
}

func isReady(t *testing.T, url string) {
	t.Helper()
	eventually(t, "the server answers", func() bool {
		res, err := http.Get(url + "/readyz")
		if err == nil {
			res.Body.Close()
		}
		return err == nil && res.StatusCode == http.StatusOK
	})
}

// serveChild runs a server until SIGTERM, as the program itself does. It says its address on standard output, and dies with the
// test's process.
func serveChild(settings string) error {
	var c childSettings
	if err := json.Unmarshal([]byte(settings), &c); err != nil {
		return err
	}
	go dieWithParent()
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	a, err := app.New(ctx, app.Config{
		Listen: "127.0.0.1:0", Data: c.Data, Database: c.Database, Workers: c.Workers, Advisories: c.Advisories,
		AllowLoopback: true, PlainHTTPAdvisories: true, AdminPassword: secret.New(adminPassword),
		Log: slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn})),
	})
	if err != nil {
		return err
	}
	fmt.Println(a.URL())
	return a.Run(ctx)
}

// dieWithParent ends this process when its standard input does, which happens however the process that started it ends.
func dieWithParent() {
	_, _ = io.Copy(io.Discard, os.Stdin)
	os.Exit(9)
}

// process is a server in a process of its own.
type process struct {
	vendor
	cmd   *exec.Cmd
	alive io.Closer
	ended chan struct{} // closed when it has
}

// spawn starts a server and waits until it is ready.
func spawn(t *testing.T, c childSettings) *process {
	t.Helper()
	settings, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), childEnv+"="+string(settings))
	cmd.Stderr = t.Output()
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	p := &process{cmd: cmd, alive: in, ended: make(chan struct{})}
	lines := make(chan string, 1)
	go func() { // ends with the process
		defer close(p.ended)
		line, _ := bufio.NewReader(out).ReadString('\n') // empty when it ended before
		lines <- strings.TrimSpace(line)
		_, _ = io.Copy(io.Discard, out)
		_ = cmd.Wait() // its state is looked at by those who want to know
	}()
	t.Cleanup(func() {
		_ = in.Close()
		p.kill()
	})
	select {
	case p.url = <-lines:
	case <-time.After(patience):
	}
	if p.url == "" {
		t.Fatal("the server did not start")
	}
	isReady(t, p.url)
	return p
}

// kill ends the process as a power cut would.
func (p *process) kill() {
	_ = p.cmd.Process.Kill() // it may have ended
	<-p.ended
}

// terminate asks the process to stop and wants it to do so in good order.
func (p *process) terminate(t *testing.T) {
	t.Helper()
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	select {
	case <-p.ended:
	case <-time.After(patience):
		t.Fatal("the server does not stop")
	}
	if code := p.cmd.ProcessState.ExitCode(); code != 0 {
		t.Errorf("the server ended with code %d", code)
	}
}

// scanned waits until no scan is on its way.
func (p *process) scanned(t *testing.T) {
	t.Helper()
	eventually(t, "the scan is over", func() bool {
		var status struct{ Completed bool }
		p.read(t, "/api/v1/statuses/registry", &status)
		return status.Completed
	})
}
