package store_test

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tidewaiter/tidewaiter/internal/store"
	"github.com/tidewaiter/tidewaiter/internal/testkit"
)

func TestBudgetsAreOfOneProcessOnSQLite(t *testing.T) {
	t.Parallel()
	if openSQLite(t).Budgets("a") != nil {
		t.Error("SQLite keeps budgets for several processes")
	}
}

// TestPlacesAreShared has many take places from two connections at once.
func TestPlacesAreShared(t *testing.T) {
	t.Parallel()
	url := testkit.Postgres(t)
	budgets := []*store.Budgets{open(t, url).Budgets("a"), open(t, url).Budgets("b")}
	const places = 3
	var held, most, times atomic.Int64
	var group sync.WaitGroup
	for i := range 16 {
		group.Go(func() {
			for done := 0; done < 20; {
				give, paused, err := budgets[i%2].Take(t.Context(), "host", "credential", places)
				if err != nil || paused != 0 {
					t.Errorf("paused %s, %v", paused, err)
					return
				}
				if give == nil {
					continue
				}
				for n := held.Add(1); ; {
					if old := most.Load(); n <= old || most.CompareAndSwap(old, n) {
						break
					}
				}
				times.Add(1)
				held.Add(-1)
				give()
				done++
			}
		})
	}
	group.Wait()
	if most.Load() > places || times.Load() != 16*20 {
		t.Errorf("%d places at once, %d times", most.Load(), times.Load())
	}
}

func TestPlacesRunOut(t *testing.T) {
	t.Parallel()
	url := testkit.Postgres(t)
	a, b := open(t, url).Budgets("a"), open(t, url).Budgets("b")
	take := func(of *store.Budgets, host string) func() {
		t.Helper()
		give, paused, err := of.Take(t.Context(), host, "", 2)
		if err != nil || paused != 0 {
			t.Fatalf("paused %s, %v", paused, err)
		}
		return give
	}
	first, second := take(a, "host"), take(b, "host")
	if first == nil || second == nil {
		t.Fatal("there are two places")
	}
	if take(a, "host") != nil || take(b, "host") != nil {
		t.Error("there is a third place")
	}
	if other := take(a, "other"); other == nil {
		t.Error("another host has none")
	}
	first()
	first() // gives nothing of another's
	third := take(b, "host")
	if third == nil || take(a, "host") != nil {
		t.Error("what was given back is not there once")
	}
	first()
	if take(a, "host") != nil {
		t.Error("a place was given back by somebody who had it before")
	}
}

func TestPausesAreShared(t *testing.T) {
	t.Parallel()
	url := testkit.Postgres(t)
	a, b := open(t, url).Budgets("a"), open(t, url).Budgets("b")
	for _, d := range []time.Duration{time.Minute, time.Hour, time.Second} { // the longest counts
		if err := a.Pause(t.Context(), "host", "c", d); err != nil {
			t.Fatal(err)
		}
	}
	for _, of := range []*store.Budgets{a, b} {
		give, paused, err := of.Take(t.Context(), "host", "c", 2)
		if err != nil || give != nil || paused < 59*time.Minute || paused > time.Hour {
			t.Errorf("give %v, paused %s, %v", give != nil, paused, err)
		}
	}
	if give, paused, err := b.Take(t.Context(), "host", "other", 2); give == nil || paused != 0 || err != nil {
		t.Errorf("another credential: paused %s, %v", paused, err)
	}
}

// TestDeadHoldersLosePlaces has a process take a place and never be heard of again.
func TestDeadHoldersLosePlaces(t *testing.T) {
	t.Parallel()
	url := testkit.Postgres(t)
	dead, alive := open(t, url).Budgets("dead"), open(t, url).Budgets("alive")
	for _, of := range []*store.Budgets{dead, alive} {
		if give, _, err := of.Take(t.Context(), "host", "", 2); give == nil || err != nil {
			t.Fatal(err)
		}
	}
	// Two minutes pass, and only one gives a sign of life.
	db := open(t, url)
	if _, err := db.Pool().Exec(t.Context(), "update budget_places set until = until - $1", (3 * time.Minute).Microseconds()); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() { alive.Run(ctx) })
	waitFor(t, func() bool {
		var n int
		err := db.Pool().QueryRow(t.Context(), "select count(*) from budget_places where until > extract(epoch from clock_timestamp()) * 1000000").Scan(&n)
		return err == nil && n == 1
	})
	cancel()
	running.Wait()
	other := open(t, url).Budgets("other")
	if give, _, err := other.Take(t.Context(), "host", "", 2); give == nil || err != nil {
		t.Errorf("the dead one's place is not free: %v", err)
	}
	if give, _, err := other.Take(t.Context(), "host", "", 2); give != nil || err != nil {
		t.Errorf("the living one's place was taken: %v", err)
	}
}

func waitFor(t *testing.T, f func() bool) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); !f(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("not so after a minute")
		}
	}
}

func BenchmarkTakeAndGive(b *testing.B) {
	budgets := open(b, testkit.Postgres(b)).Budgets("a")
	i := 0
	for b.Loop() {
		i++
		give, _, err := budgets.Take(b.Context(), fmt.Sprint("host", i%10), "c", 8)
		if give == nil || err != nil {
			b.Fatal(err)
		}
		give()
	}
}

// TestPlacesOfADeadProcessAreFree gives back what one process held and nothing of another, whose name begins like its own.
func TestPlacesOfADeadProcessAreFree(t *testing.T) {
	t.Parallel()
	db := open(t, testkit.Postgres(t))
	dead, other := db.Budgets("one"), db.Budgets("one-more")
	for _, b := range []*store.Budgets{dead, dead, other} {
		if give, _, err := b.Take(t.Context(), "host", "credential", 3); give == nil || err != nil {
			t.Fatalf("no place: %v", err)
		}
	}
	if err := db.Update(t.Context(), func(tx *store.Tx) error { return tx.FreePlaces(t.Context(), "one") }); err != nil {
		t.Fatal(err)
	}
	for i, free := range []bool{true, true, false} {
		if give, _, err := other.Take(t.Context(), "host", "credential", 3); (give != nil) != free || err != nil {
			t.Errorf("place %d: %t, %v", i, give != nil, err)
		}
	}
}
