package app_test

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tidewaiter/tidewaiter/internal/app"
	"github.com/tidewaiter/tidewaiter/internal/control"
	"github.com/tidewaiter/tidewaiter/internal/testkit"
)

// TestNoEventIsLostWhenTheServerIsKilled has many senders, each of which sends an event until it is told that it was taken,
// and kills the server among them.
func TestNoEventIsLostWhenTheServerIsKilled(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, database string) {
		const senders, each = 16, 60
		registry := testkit.Registry(t, testkit.Options{})
		push(t, registry.URL, "team/app", someImage("left-pad"), "v1")
		c := childSettings{Data: t.TempDir(), Database: database, Workers: 2, Advisories: []string{registry.Host + "/none:1"}}
		s := start(t, app.Config{Data: c.Data, Database: c.Database, Advisories: c.Advisories})
		r := s.declareQuietly(t, registry.URL)
		path := strings.TrimPrefix(s.address(t, r, control.EventProofChange{}), s.URL())
		s.stop()

		p := spawn(t, c)
		var url atomic.Pointer[string]
		url.Store(&p.url)
		var taken atomic.Int64
		var group sync.WaitGroup
		for sender := range senders {
			group.Go(func() {
				for i := range each {
					body := strings.Replace(envelope("push", registry.Host, "team/app", "v1", ""), `"e-1"`, fmt.Sprintf(`"e-%d-%d"`, sender, i), 1)
					for deadline := time.Now().Add(patience); !sent(*url.Load()+path, body); time.Sleep(5 * time.Millisecond) {
						if time.Now().After(deadline) {
							t.Errorf("event %d of sender %d is not taken", i, sender)
							return
						}
					}
					taken.Add(1)
				}
			})
		}
		eventually(t, "half of the events are taken", func() bool { return taken.Load() >= senders*each/2 })
		p.kill()
		p = spawn(t, c)
		url.Store(&p.url)
		group.Wait()
		p.terminate(t)

		s = reopen(t, c)
		s.noneNew(t)
		times := map[string]int{}
		for _, e := range s.events(t) {
			times[e.DeliveryID]++
		}
		for sender := range senders {
			for i := range each {
				if n := times[fmt.Sprintf("e-%d-%d", sender, i)]; n != 1 {
					t.Errorf("event %d of sender %d is there %d times", i, sender, n)
				}
			}
		}
		s.finished(t)
		if scans := s.scans(t); len(scans) != 1 {
			t.Errorf("%d scans, want 1", len(scans))
		}
	})
}

// sent delivers an event and reports whether it was taken.
func sent(address, body string) bool {
	res, err := http.Post(address, "application/vnd.docker.distribution.events.v2+json", strings.NewReader(body))
	if err != nil {
		return false
	}
	defer res.Body.Close()
	_, _ = io.Copy(io.Discard, res.Body)
	return res.StatusCode == http.StatusOK
}
