package app_test

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/tidewaiter/tidewaiter/internal/control"
	"github.com/tidewaiter/tidewaiter/internal/testkit"
)

// TestManyLargeEventsStayInMemory sends 200 deliveries of the largest size at once, to a server in a process of its own, and
// looks at how large it became. All are stored, or refused for now with a word about when to come again.
func TestManyLargeEventsStayInMemory(t *testing.T) {
	if testkit.UnderRace {
		t.Skip("the race detector takes memory of its own")
	}
	for name, database := range map[string]string{"sqlite": "", "postgres": testkit.Postgres(t)} {
		t.Run(name, func(t *testing.T) {
			c := childSettings{Data: t.TempDir(), Database: database, Workers: 2, Advisories: []string{"127.0.0.1:1/none:1"}}
			p := spawn(t, c)
			var settings struct {
				Suffix string `json:"webhookUrlSuffix"`
			}
			p.read(t, "/api/v1/settings/registry", &settings)
			address := p.url + "/api/v1/registry/webhook/" + settings.Suffix
			before := peakMemory(t, p.cmd.Process.Pid)
			const senders = 200
			var stored, later atomic.Int64
			var group sync.WaitGroup
			for i := range senders {
				group.Go(func() {
					status, answer := deliver(t, http.MethodPost, address, largeDelivery(i), nil)
					switch status {
					case http.StatusOK:
						stored.Add(1)
					case http.StatusServiceUnavailable:
						later.Add(1)
					default:
						t.Errorf("%d %s", status, answer)
					}
				})
			}
			group.Wait()
			peak := peakMemory(t, p.cmd.Process.Pid)
			t.Logf("%d stored, %d to come again; %d MiB before, at most %d MiB", stored.Load(), later.Load(), before>>20, peak>>20)
			if peak > memoryLimit {
				t.Errorf("the server took %d MiB, more than %d", peak>>20, memoryLimit>>20)
			}
			if stored.Load() < senders/2 {
				t.Errorf("%d of %d were stored", stored.Load(), senders)
			}
			p.terminate(t)
		})
	}
}

// largeDelivery is an envelope of nearly the largest size: as many events as one may hold, with fields that are not read.
func largeDelivery(n int) string {
	const most = 500
	events := make([]string, most)
	one := envelope("push", "nobody.example", "team/app", "v1", "sha256:"+strings.Repeat("ab", 32))
	one = strings.TrimSuffix(strings.TrimPrefix(one, `{"events":[`), `]}`)
	fill := strings.Repeat("x", (control.MaxDelivery-64)/most-len(one)-40)
	for i := range events {
		events[i] = strings.Replace(one, `"id":"e-1"`, fmt.Sprintf(`"id":"e-%d-%d","fill":%q`, n, i, fill), 1)
	}
	return `{"events":[` + strings.Join(events, ",") + `]}`
}
