package control_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/tidewaiter/tidewaiter/internal/control"
)

// TestDeliveriesAreStoredTogether holds the first transaction until all others wait: they share the next ones. One that
// cannot be stored fails alone, and a sender that goes away takes nobody with it.
func TestDeliveriesAreStoredTogether(t *testing.T) {
	const others = 450
	errBad := errors.New("bad")
	began, goOn := make(chan struct{}), make(chan struct{})
	var mu sync.Mutex
	var batches [][]string
	b := control.NewBatch(func(ctx context.Context, bodies []string) error {
		if bodies[0] == "first" {
			close(began)
			<-goOn
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if slices.Contains(bodies, "bad") {
			return errBad
		}
		mu.Lock()
		defer mu.Unlock()
		batches = append(batches, bodies)
		return nil
	})
	var group sync.WaitGroup
	group.Go(func() {
		if err := b.Put(t.Context(), "first"); err != nil {
			t.Error(err)
		}
	})
	<-began
	gone, leave := context.WithCancel(t.Context())
	leave()
	for i := range others {
		group.Go(func() {
			body, ctx, want := fmt.Sprint("body ", i), gone, error(nil)
			if i == 100 {
				body, want = "bad", errBad
			}
			if err := b.Put(ctx, body); !errors.Is(err, want) || want == nil && err != nil {
				t.Errorf("%s: %v", body, err)
			}
		})
	}
	group.Go(func() {
		if err := b.Put(t.Context(), strings.Repeat("x", 5<<20)); err != nil {
			t.Error(err)
		}
	})
	for b.Gathered() < others+1 {
		runtime.Gosched()
	}
	close(goOn)
	group.Wait()
	stored, together := map[string]int{}, 0
	for _, batch := range batches {
		bytes := 0
		for _, body := range batch {
			stored[body]++
			bytes += len(body)
		}
		if len(batch) > 200 || bytes > 4<<20 && len(batch) > 1 {
			t.Errorf("a batch of %d deliveries and %d bytes", len(batch), bytes)
		}
		if len(batch) > 1 {
			together++
		}
	}
	for body, n := range stored {
		if n != 1 {
			t.Errorf("%.20s is stored %d times", body, n)
		}
	}
	if len(stored) != others+1 || together == 0 {
		t.Errorf("%d stored, %d batches of more than one", len(stored), together)
	}
}
