package prisma

import (
	"context"
	"errors"
	"slices"
	"sync/atomic"
	"testing"
	"time"
)

func TestAhead(t *testing.T) {
	items := []int{4, 3, 2, 1, 0, 5}
	var busy, most atomic.Int64
	slow := func(_ context.Context, n *int) (int, error) {
		if now := busy.Add(1); now > most.Load() {
			most.Store(now)
		}
		defer busy.Add(-1)
		time.Sleep(time.Duration(*n) * 5 * time.Millisecond) // the later, the sooner done
		return *n, nil
	}
	var got []int
	for n, err := range ahead(t.Context(), items, slow) {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, n)
	}
	if !slices.Equal(got, items) || most.Load() < 2 || most.Load() > readAhead+1 {
		t.Errorf("%v, at most %d at once", got, most.Load())
	}

	// Whoever stops waits for what is in work, and nothing goes on.
	for range ahead(t.Context(), items, slow) {
		break
	}
	if n := busy.Load(); n != 0 {
		t.Errorf("%d go on", n)
	}
}

func TestAheadTellsWhatWentWrong(t *testing.T) {
	bad := errors.New("bad")
	seen := 0
	for _, err := range ahead(t.Context(), []int{1, 2, 3}, func(_ context.Context, n *int) (int, error) {
		if *n == 2 {
			return 0, bad
		}
		return *n, nil
	}) {
		if seen++; (seen == 2) != errors.Is(err, bad) {
			t.Errorf("%d: %v", seen, err)
		}
		if err != nil {
			break
		}
	}
	if seen != 2 {
		t.Errorf("%d seen", seen)
	}

	// A request that ends in the middle is no shorter list.
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var last error
	for _, err := range ahead(ctx, make([]int, 100), func(context.Context, *int) (int, error) { return 0, nil }) {
		cancel()
		last = err
	}
	if !errors.Is(last, context.Canceled) {
		t.Errorf("after the end: %v", last)
	}
}
