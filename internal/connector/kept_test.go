package connector_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tidewaiter/tidewaiter/internal/connector"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

func TestKeptIsFetchedOnceAndBeforeItsEnd(t *testing.T) {
	for _, c := range []struct {
		name    string
		life    time.Duration // negative: ended before it began; 0: not said
		fetches int           // in two hours, asked every ten seconds
	}{
		{"an hour", time.Hour, 3}, {"twelve hours", 12 * time.Hour, 1}, {"ended in 2015", -10 * 365 * 24 * time.Hour, 120}, {"not said", 0, 120},
	} {
		synctest.Test(t, func(t *testing.T) {
			fetches := 0
			var end time.Time
			k := connector.Keep(time.Now, func(context.Context) (string, time.Time, error) {
				fetches++
				if end = time.Now().Add(c.life); c.life == 0 {
					end = time.Time{}
				}
				return fmt.Sprint(fetches), end, nil
			})
			for range 720 {
				v, err := k.Get(t.Context())
				if err != nil || v != fmt.Sprint(fetches) {
					t.Fatalf("%s: %q, %v", c.name, v, err)
				}
				if c.life > 0 && !time.Now().Before(end) {
					t.Fatalf("%s: used after its end", c.name)
				}
				time.Sleep(10 * time.Second) // of the bubble's clock
			}
			if fetches != c.fetches {
				t.Errorf("%s: fetched %d times, want %d", c.name, fetches, c.fetches)
			}
		})
	}
}

func TestKeptIsFetchedByOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fetches := 0
		k := connector.Keep(time.Now, func(ctx context.Context) (string, time.Time, error) {
			fetches++
			time.Sleep(time.Second)
			return "v", time.Now().Add(time.Hour), ctx.Err()
		})
		impatient, cancel := context.WithCancel(t.Context())
		defer cancel()
		var group sync.WaitGroup
		for i := range 50 {
			group.Go(func() {
				ctx := t.Context()
				if i == 7 {
					ctx = impatient
					cancel()
				}
				v, err := k.Get(ctx)
				if i != 7 && (v != "v" || err != nil) {
					t.Errorf("%q, %v", v, err)
				}
			})
		}
		group.Wait()
		if fetches > 2 { // one more where the impatient came first
			t.Errorf("fetched %d times", fetches)
		}
	})
}

func TestKeptRefusals(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fetches := 0
		answer := error(tidewaiter.Errorf(tidewaiter.ErrAuth, "no"))
		k := connector.Keep(time.Now, func(context.Context) (string, time.Time, error) {
			fetches++
			return "v", time.Now().Add(time.Hour), answer
		})
		for range 20 {
			if _, err := k.Get(t.Context()); tidewaiter.KindOf(err) != tidewaiter.ErrAuth {
				t.Fatal(err)
			}
		}
		if fetches != 1 {
			t.Errorf("a wrong password was tried %d times", fetches)
		}
		time.Sleep(6 * time.Second)
		answer = errors.New("cut")
		for range 3 {
			_, _ = k.Get(t.Context())
		}
		if fetches != 4 {
			t.Errorf("a failure that may pass was kept: %d", fetches)
		}
		answer = nil
		if v, err := k.Get(t.Context()); v != "v" || err != nil {
			t.Error(v, err)
		}
		k.Drop() // too young
		_, _ = k.Get(t.Context())
		time.Sleep(11 * time.Second)
		k.Drop()
		_, _ = k.Get(t.Context())
		if fetches != 6 {
			t.Errorf("fetched %d times, want 6", fetches)
		}
	})
}
