package queue_test

import (
	"bufio"
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/tidewaiter/tidewaiter/internal/queue"
	"github.com/tidewaiter/tidewaiter/internal/store"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// childURL is the environment variable that makes the test binary a worker process on the database it names.
const childURL = "TIDEWAITER_QUEUE_TEST_CHILD"

// quick is the time of silence after which the tests take a process for dead.
const quick = 1500 * time.Millisecond

func quickly(c *queue.Config) { c.RescueAfter = quick }

// childGone is the environment variable that has the child, and the tests beside it, go by locks: it holds the time after which a
// process without one is dead. Heartbeats are no sign then.
const childGone = "TIDEWAITER_QUEUE_TEST_GONE"

// never is a RescueAfter that leaves all to locks.
const never = 24 * time.Hour

// child works on jobs until it is killed. A "block" job says that it began and when it was cancelled, a "die" job takes
// the process with it.
func child(url string) {
	ctx := context.Background()
	must := func(err error) {
		if err != nil {
			fmt.Println("error", err)
			os.Exit(1)
		}
	}
	db, err := store.Open(ctx, store.Config{URL: url})
	must(err)
	cfg := queue.Config{DB: db, WorkerID: "test", Workers: each(4), RescueAfter: quick, Log: slog.New(slog.DiscardHandler)}
	gone := os.Getenv(childGone)
	if gone != "" {
		cfg.RescueAfter = never
	}
	q, err := queue.New(ctx, cfg)
	must(err)
	if gone != "" {
		after, err := time.ParseDuration(gone)
		must(err)
		queue.SetGoneAfter(q, after)
	}
	q.Handle("block", func(ctx context.Context, run tidewaiter.JobRun) error {
		fmt.Println("began")
		<-ctx.Done()
		fmt.Println("ended", context.Cause(ctx))
		return ctx.Err()
	})
	q.Handle("die", func(context.Context, tidewaiter.JobRun) error {
		os.Exit(3)
		return nil
	})
	q.HandleFailure("die", func(_ context.Context, run tidewaiter.JobRun, err error) error {
		fmt.Println("failed", err)
		return nil
	})
	fmt.Println("starts") // a deadly job may leave no time for it later
	must(q.Start(ctx))
	select {}
}

// process is a running child.
type process struct {
	cmd   *exec.Cmd
	lines chan string // what it says; closed when it ended
}

func spawn(t *testing.T, url string, env ...string) *process {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(append(os.Environ(), childURL+"="+url), env...)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	p := &process{cmd: cmd, lines: make(chan string, 1000)}
	go func() {
		defer close(p.lines)
		for s := bufio.NewScanner(out); s.Scan(); {
			p.lines <- s.Text()
		}
	}()
	t.Cleanup(func() { p.kill() })
	if line := next(t, p.lines); line != "starts" {
		t.Fatal(line)
	}
	return p
}

// kill sends SIGKILL and waits for the end.
func (p *process) kill() {
	_ = p.cmd.Process.Kill()
	_ = p.cmd.Wait()
}
