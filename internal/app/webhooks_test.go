package app_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/tidewaiter/tidewaiter/client"
	"github.com/tidewaiter/tidewaiter/internal/app"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// TestScanEndsInAWebhook has a real registry scanned, and what was found arrive at a receiver that was asked for through the
// API: the scan, the new image's findings and its verdict, and that a registry that does not answer fails.
func TestScanEndsInAWebhook(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, database string) {
		if !apart(t) {
			return
		}
		type got struct {
			header http.Header
			event  struct {
				ID, Type string
				Data     struct {
					Title string
					tidewaiter.MessageData
				}
			}
		}
		var mu sync.Mutex
		all := map[string]got{} // by id: what came twice is one
		receiver := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			body, _ := io.ReadAll(r.Body)
			one := got{header: r.Header}
			if err := json.Unmarshal(body, &one.event); err != nil {
				t.Errorf("%v in %s", err, body)
			}
			mu.Lock()
			defer mu.Unlock()
			all[one.event.ID] = one
		}))
		defer receiver.Close()
		registry := sampleRegistry(t)
		s := start(t, app.Config{Database: database, Advisories: advisoriesIn(registry)}).withAdvisories(t)
		c, err := client.New(s.URL(), client.Basic("admin", adminPassword))
		if err != nil {
			t.Fatal(err)
		}
		w, err := c.AddWebhook(t.Context(), client.WebhookDraft{Name: "all", URL: receiver.URL, Format: "cloudevents",
			Topics: []string{"scan.finished", "finding.new", "verdict.changed", "registry.failing"}, Filter: client.WebhookFilter{NewImages: true}})
		if err != nil {
			t.Fatal(err)
		}
		find := func(kind, subject string) (found []got) {
			mu.Lock()
			defer mu.Unlock()
			for _, one := range all {
				if one.event.Type == "io.github.tidewaiter."+kind && strings.Contains(one.event.Data.Title, subject) {
					found = append(found, one)
				}
			}
			return found
		}
		s.declare(t, registry.URL)
		s.finished(t)
		eventually(t, "the scan is told", func() bool { return len(find("scan.finished", registry.Host)) == 1 })
		scan := find("scan.finished", registry.Host)[0]
		results := s.results(t)
		if d := scan.event.Data.Scan; d.State != tidewaiter.ScanCompleted || d.ImagesDone == 0 || scan.header.Get("X-Tidewaiter-Delivery") != scan.event.ID {
			t.Errorf("scan %+v", d)
		}
		vulnerable := map[string]tidewaiter.Counts{} // by digest
		for _, row := range results {
			if j := row.Image.Judgement; j != nil && j.Vulnerabilities.Total() > 0 {
				vulnerable[row.Image.Digest] = j.Vulnerabilities
			}
		}
		if len(vulnerable) == 0 {
			t.Fatal("no sample has findings")
		}
		eventually(t, "each vulnerable image is told once", func() bool { return len(find("finding.new", "")) >= len(vulnerable) })
		for _, one := range find("finding.new", "") {
			d := one.event.Data
			if want, ok := vulnerable[d.Image.Digest]; !ok || d.Findings.Counts != want || d.Findings.Total != want.Total() || d.Cause != "first" {
				t.Errorf("%s: told of %+v, want %+v", d.Title, d.Findings.Counts, want)
			}
			delete(vulnerable, d.Image.Digest)
		}
		if len(vulnerable) != 0 {
			t.Errorf("not told of %v", vulnerable)
		}

		closed := httptest.NewServer(nil)
		closed.Close()
		s.declare(t, closed.URL)
		eventually(t, "the registry that does not answer is told", func() bool { return len(find("registry.failing", closed.URL)) == 1 })
		eventually(t, "nothing is left to tell", func() bool {
			whole, err := c.Webhook(t.Context(), w.ID)
			if err != nil {
				t.Fatal(err)
			}
			return whole.Deliveries["waiting"]+whole.Deliveries["sending"] == 0 && whole.Deliveries["dead"] == 0
		})
		if n := s.metric(t, "tidewaiter_webhook_attempts_total"); n < 4 {
			t.Errorf("%v attempts are counted", n)
		}
	})
}
