package app_test

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/tidewaiter/tidewaiter/internal/app"
	"github.com/tidewaiter/tidewaiter/internal/control"
	"github.com/tidewaiter/tidewaiter/internal/secret"
)

// TestEventsAreCounted sends one event of each fate, at both kinds of address, and reads the metric.
func TestEventsAreCounted(t *testing.T) {
	onBoth(t, func(t *testing.T, database string) {
		s := start(t, app.Config{Database: database, Advisories: []string{"127.0.0.1:1/none:1"}})
		r := s.declareQuietly(t, "http://127.0.0.1:1")
		own, shared := s.address(t, r, control.EventProofChange{}), s.webhook(t)
		gitHub := fmt.Sprintf(gitHubPush, strings.Repeat("ab", 32))
		header := map[string]string{"X-GitHub-Event": "package", "X-GitHub-Delivery": "d-1"}
		sent := 0
		send := func(want int, address, body string, header map[string]string) {
			t.Helper()
			sent++
			if status, answer := deliver(t, http.MethodPost, address, body, header); status != want {
				t.Errorf("%d %s, want %d", status, answer, want)
			}
		}
		send(200, own, gitHub, header)
		send(200, own, gitHub, header)
		send(200, own, `{"s3nder":"world"}`, nil)
		send(200, own, `{"s3nder"`, nil)
		send(413, own, strings.Repeat(" ", control.MaxDelivery+1), nil)
		send(415, own, gitHub, map[string]string{"Content-Encoding": "gzip"})
		send(404, own+"x", gitHub, header)
		send(404, shared+"x", gitHub, header)
		send(413, shared, strings.Repeat(" ", control.MaxDelivery+1), nil)
		send(200, shared, envelope("push", "nobody.example", "team/app", "v1", "sha256:"+strings.Repeat("ab", 32)), nil)
		send(200, shared, envelope("push", "nobody.example", strings.Repeat("team/", 60), "v1", ""), nil)
		hush := secret.New("hush hush hush")
		s.address(t, r, control.EventProofChange{Secret: &hush})
		send(403, own, gitHub, header)

		for labels, want := range map[string]float64{
			`reason="",result="stored",sender="github"`:              1,
			`reason="",result="duplicate",sender="github"`:           1,
			`reason="proof",result="refused",sender="github"`:        1,
			`reason="",result="stored",sender="distribution"`:        1,
			`reason="",result="unused",sender="distribution"`:        1,
			`reason="unsupported",result="refused",sender="unknown"`: 2,
			`reason="malformed",result="refused",sender="unknown"`:   1,
			`reason="too_large",result="refused",sender="unknown"`:   2,
			`reason="address",result="refused",sender="unknown"`:     2,
			`reason="unavailable",result="failed",sender="unknown"`:  0,
		} {
			if got := s.metric(t, "tidewaiter_events_received_total{"+labels+"}"); got != want {
				t.Errorf("%s: %v, want %v", labels, got, want)
			}
		}
		if all := s.metric(t, "tidewaiter_events_received_total"); all != float64(sent) {
			t.Errorf("%v counted, %d sent", all, sent)
		}
		res, err := http.Get(s.URL() + "/metrics")
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		if text, err := io.ReadAll(res.Body); err != nil || strings.Contains(string(text), "s3nder") {
			t.Errorf("a label is taken from what was sent: %v", err)
		}
	})
}
