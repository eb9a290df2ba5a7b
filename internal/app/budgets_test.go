package app_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/tidewaiter/tidewaiter/emulator"
	"github.com/tidewaiter/tidewaiter/internal/oci"
	"github.com/tidewaiter/tidewaiter/internal/store"
	"github.com/tidewaiter/tidewaiter/internal/testkit"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// registryClient is a registry client as a process of its own has it: with its own connections to the database they share.
func registryClient(t *testing.T, database, id string, places int) *oci.Client {
	t.Helper()
	db, err := store.Open(t.Context(), store.Config{URL: database})
	if err != nil {
		t.Fatal(err)
	}
	budgets := db.Budgets(id)
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { budgets.Run(ctx) })
	budget := oci.NewBudget(oci.Limits{Concurrent: places, PerSecond: -1}, nil)
	budget.Share(budgets)
	client := oci.New(oci.Options{AllowLoopback: true, Budget: budget, Backoff: time.Millisecond})
	t.Cleanup(func() {
		client.Close()
		cancel()
		running.Wait()
		_ = db.Close()
	})
	return client
}

// TestBudgetHoldsForAllProcesses has two processes ask twenty registries on one host with one credential, as fast as they
// can, and the host refuse in the middle of it.
func TestBudgetHoldsForAllProcesses(t *testing.T) {
	t.Parallel()
	const registries, tags = 20, 6
	for _, places := range []int{1, 4} {
		t.Run(fmt.Sprint(places), func(t *testing.T) {
			t.Parallel()
			e, err := emulator.New(emulator.Options{Kind: emulator.OCI, Repositories: registries, Tags: tags, Plain: true})
			if err != nil {
				t.Fatal(err)
			}
			defer e.Close()
			database := testkit.Postgres(t)
			clients := []*oci.Client{registryClient(t, database, "one", places), registryClient(t, database, "two", places)}
			// Each request takes a while, so that there is somebody to be in the way of.
			for _, f := range []emulator.Fault{
				{Pattern: `^HEAD `, After: 40, Times: 1, Status: http.StatusTooManyRequests, Pause: emulator.PauseSeconds, Wait: 2 * time.Second},
				{Pattern: `^HEAD `, Delay: 5 * time.Millisecond},
			} {
				if err := e.Inject(f); err != nil {
					t.Fatal(err)
				}
			}
			login := e.Login()
			var asking sync.WaitGroup
			for _, client := range clients {
				for _, name := range e.Repositories() {
					r, err := client.Registry(oci.Endpoint{URL: e.URL, Auth: oci.Basic(login.Username, login.Password), CredentialKey: "shared"})
					if err != nil {
						t.Fatal(err)
					}
					asking.Go(func() {
						names, _, err := r.Tags(t.Context(), name, "")
						for _, tag := range names {
							if err == nil {
								_, err = r.Head(t.Context(), name, tag)
							}
						}
						if err != nil || len(names) != tags {
							t.Errorf("%s: %d tags, %v", name, len(names), err)
						}
					})
				}
			}
			asking.Wait()
			if n := e.MaxConcurrent(); n > places || places > 1 && n == 1 {
				t.Errorf("%d requests at once, and %d are allowed", n, places)
			}
			heads, err := e.Requests(`^HEAD `)
			if want := 2*registries*tags + 1; err != nil || len(heads) != want {
				t.Errorf("%d requests for digests, want %d: one was refused and made again", len(heads), want)
			}
			// What was under way when the refusal was given cannot be held back: all places but the one that was refused.
			if n := e.DuringPause(); n > places-1 {
				t.Errorf("%d requests came during the pause, and %d could have been under way", n, places-1)
			}
		})
	}
}

// TestPauseOutlivesItsProcess learns of a pause in one process and asks from another that comes later.
func TestPauseOutlivesItsProcess(t *testing.T) {
	t.Parallel()
	e, err := emulator.New(emulator.Options{Kind: emulator.OCI, Repositories: 1, Tags: 2, Anonymous: true})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	database := testkit.Postgres(t)
	if err := e.Inject(emulator.Fault{Times: 1, Status: http.StatusTooManyRequests, Pause: emulator.PauseUnix, Wait: time.Hour}); err != nil {
		t.Fatal(err)
	}
	ask := func(id, credential string) error {
		r, err := registryClient(t, database, id, 2).Registry(oci.Endpoint{URL: e.URL, CredentialKey: credential})
		if err != nil {
			t.Fatal(err)
		}
		_, err = r.Head(t.Context(), e.Repositories()[0], "latest")
		return err
	}
	for _, id := range []string{"one", "two"} {
		if err := ask(id, "shared"); retryAfter(err) < 50*time.Minute {
			t.Errorf("process %s: %v", id, err)
		}
	}
	if n := e.Count(); n != 1 {
		t.Errorf("%d requests, want the one that was refused", n)
	}
	if err := ask("three", "another"); err != nil {
		t.Errorf("another credential has to wait as well: %v", err)
	}
}

func retryAfter(err error) time.Duration {
	if e, ok := errors.AsType[*tidewaiter.Error](err); ok {
		return e.RetryAfter
	}
	return 0
}
