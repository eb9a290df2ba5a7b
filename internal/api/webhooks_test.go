package api_test

import (
	"context"
	"encoding/json"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/tidewaiter/tidewaiter/client"
	"github.com/tidewaiter/tidewaiter/internal/notify"
	"github.com/tidewaiter/tidewaiter/internal/oci"
	"github.com/tidewaiter/tidewaiter/internal/secret"
	"github.com/tidewaiter/tidewaiter/internal/store"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// withWebhooks has the control send webhooks, to this machine only.
func withWebhooks(s *server, keys *secret.Keyring) *notify.Notifier {
	return notify.New(notify.Config{Store: s.store, Keyring: keys, Outbound: oci.NewOutbound(oci.OutboundOptions{AllowLoopback: true}),
		UserAgent: "tidewaiter/test", Now: time.Now, NewID: uuid.NewString, Jitter: rand.Float64, Log: s.log, Metrics: prometheus.NewRegistry()})
}

func TestWebhooks(t *testing.T) {
	onBoth(t, func(t *testing.T, s *server) {
		status := http.StatusNoContent
		receiver := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status) }))
		defer receiver.Close()
		c := s.as(tidewaiter.RoleOperator)
		ctx := t.Context()
		draft := client.WebhookDraft{Name: "siem", URL: receiver.URL + "/in/s3cr3tp4th", Format: "json", Topics: []string{"scan.finished"},
			Filter: client.WebhookFilter{MinSeverity: "high", Repositories: []string{"team/*"}}, Headers: map[string]string{"authorization": "Bearer h34d3r"}}
		added, err := c.AddWebhook(ctx, draft)
		s.must(err)
		if !strings.HasPrefix(added.Secret, "whsec_") || added.Address != receiver.URL || !added.Signed || added.Filter.MinSeverity != "high" ||
			len(added.Headers) != 1 || added.Headers[0] != "Authorization" {
			t.Errorf("added %+v", added)
		}
		got, err := s.as(tidewaiter.RoleAuditor).Webhook(ctx, added.ID)
		s.must(err)
		list, err := c.Webhooks(ctx)
		s.must(err)
		if len(list) != 1 || list[0].ID != added.ID || got.Name != "siem" {
			t.Errorf("list %+v, got %+v", list, got)
		}
		for _, path := range []string{"/webhooks", "/webhooks/" + added.ID} {
			_, _, body := s.call("GET", path, "")
			for _, hidden := range []string{"s3cr3tp4th", "h34d3r", added.Secret} {
				if strings.Contains(body, hidden) {
					t.Errorf("%s shows %s", path, hidden)
				}
			}
		}

		_, err = c.AddWebhook(ctx, draft)
		s.wantProblem(err, 409, tidewaiter.ErrConflict)
		_, err = s.as(tidewaiter.RoleAuditor).AddWebhook(ctx, draft)
		s.wantProblem(err, 403, tidewaiter.ErrForbidden)
		for _, bad := range []struct {
			field, text string
			change      func(*client.WebhookDraft)
		}{
			{"name", "", func(d *client.WebhookDraft) { d.Name = " " }},
			{"format", "xml", func(d *client.WebhookDraft) { d.Format = "xml" }},
			{"topics", "everything", func(d *client.WebhookDraft) { d.Topics = []string{"everything"} }},
			{"url", "", func(d *client.WebhookDraft) { d.URL = "ftp://example.com" }},
			{"url", "", func(d *client.WebhookDraft) { d.URL = "" }},
			{"url", "private address 10.0.0.1", func(d *client.WebhookDraft) { d.URL = "https://10.0.0.1/in" }},
			{"url", "link-local address 169.254", func(d *client.WebhookDraft) { d.URL = "http://169.254.169.254/latest" }},
			{"url", "must not hold a user", func(d *client.WebhookDraft) { d.URL = "https://user:pass@example.com" }},
			{"headers", "X-Tidewaiter-Delivery", func(d *client.WebhookDraft) { d.Headers = map[string]string{"x-tidewaiter-delivery": "1"} }},
			{"headers", "the value of X-A", func(d *client.WebhookDraft) { d.Headers = map[string]string{"x-a": "a\r\nb: c"} }},
			{"headers", "not the name of a header", func(d *client.WebhookDraft) { d.Headers = map[string]string{"a b": "c"} }},
			{"secret", "", func(d *client.WebhookDraft) { d.Secret = "short" }},
			{"perHour", "", func(d *client.WebhookDraft) { d.PerHour = -1 }},
			{"filter.minSeverity", "awful", func(d *client.WebhookDraft) { d.Filter.MinSeverity = "awful" }},
			{"filter.registries", "none", func(d *client.WebhookDraft) { d.Filter.Registries = []string{"none"} }},
			{"filter.collections", "none", func(d *client.WebhookDraft) { d.Filter.Collections = []string{"none"} }},
			{"tls.caCert", "", func(d *client.WebhookDraft) { d.TLS.CACert = "nonsense" }},
		} {
			wrong := draft
			wrong.Name = "another"
			bad.change(&wrong)
			sent, err := json.Marshal(wrong)
			s.must(err)
			status, _, answer := s.call("POST", "/webhooks", string(sent))
			if status != http.StatusUnprocessableEntity || !strings.Contains(answer, `"location":"`+bad.field+`"`) || !strings.Contains(answer, bad.text) {
				t.Errorf("%s: %d %s", bad.field, status, answer)
			}
		}

		d, err := c.TestWebhook(ctx, added.ID)
		s.must(err)
		if d.State != "done" || d.Status != http.StatusNoContent {
			t.Errorf("test %+v", d)
		}
		status = http.StatusTeapot
		dead, err := c.TestWebhook(ctx, added.ID)
		s.must(err)
		if dead.State != "dead" || dead.Status != http.StatusTeapot || !strings.Contains(dead.Error, "418") {
			t.Errorf("test %+v", dead)
		}
		page, err := c.WebhookDeliveries(ctx, added.ID, client.DeliveryQuery{State: "dead"})
		s.must(err)
		whole, err := c.WebhookDelivery(ctx, added.ID, dead.ID)
		s.must(err)
		if len(page.Items) != 1 || page.Items[0].ID != dead.ID || whole.Message == nil {
			t.Errorf("deliveries %+v, %+v", page, whole)
		}
		first, err := c.WebhookDeliveries(ctx, added.ID, client.DeliveryQuery{Limit: 1})
		s.must(err)
		second, err := c.WebhookDeliveries(ctx, added.ID, client.DeliveryQuery{Limit: 1, After: first.Next})
		s.must(err)
		if first.Items[0].ID != dead.ID || second.Items[0].ID != d.ID || second.Next != "" {
			t.Errorf("pages %+v, %+v", first, second)
		}
		s.must(c.ReplayDelivery(ctx, added.ID, d.ID))
		s.wantProblem(c.ReplayDelivery(ctx, added.ID, d.ID), 409, tidewaiter.ErrConflict)
		s.wantProblem(c.ReplayDelivery(ctx, "none", dead.ID), 404, tidewaiter.ErrNotFound)
		replayed, err := c.ReplayDead(ctx, added.ID)
		s.must(err)
		if replayed.Deliveries != 1 {
			t.Errorf("replayed %+v", replayed)
		}
		if got, err = c.Webhook(ctx, added.ID); err != nil || got.Deliveries["waiting"] != 2 {
			t.Errorf("got %+v, %v", got, err)
		}

		rotated, err := c.RotateWebhook(ctx, added.ID, client.WebhookSecret{Overlap: "1h"})
		s.must(err)
		if rotated.Secret == added.Secret || rotated.Secret == "" || rotated.PreviousUntil.IsZero() {
			t.Errorf("rotated %+v", rotated)
		}
		_, err = c.RotateWebhook(ctx, added.ID, client.WebhookSecret{Overlap: "a while"})
		s.wantProblem(err, 422, tidewaiter.ErrInvalid)

		// Without url and headers both stay; to another host the headers do not go along.
		keep := draft
		keep.URL, keep.Headers, keep.Disabled = "", nil, true
		changed, err := c.ChangeWebhook(ctx, added.ID, keep)
		s.must(err)
		if !changed.Disabled || changed.Address != receiver.URL || len(changed.Headers) != 1 || changed.Secret != "" || !changed.Signed {
			t.Errorf("changed %+v", changed)
		}
		keep.URL = "https://elsewhere.example.com/"
		_, err = c.ChangeWebhook(ctx, added.ID, keep)
		if e := s.wantProblem(err, 422, tidewaiter.ErrInvalid); !strings.Contains(e.Detail, "headers") {
			t.Errorf("moved with its headers: %+v", e)
		}
		keep.Headers = map[string]string{}
		if changed, err = c.ChangeWebhook(ctx, added.ID, keep); err != nil || len(changed.Headers) != 0 || changed.Address != "https://elsewhere.example.com" {
			t.Errorf("changed %+v, %v", changed, err)
		}
		s.must(c.RemoveWebhook(ctx, added.ID))
		_, err = c.Webhook(ctx, added.ID)
		s.wantProblem(err, 404, tidewaiter.ErrNotFound)
		if list, _, err := s.store.WebhookDeliveries(context.Background(), store.DeliveryFilter{}); err != nil || len(list) != 0 {
			t.Errorf("%d deliveries are left, %v", len(list), err)
		}
	})
}

// TestWebhookURLsStayHere makes sure that an address that cannot be is not repeated.
func TestWebhookURLsStayHere(t *testing.T) {
	s := start(t, filepath.Join(t.TempDir(), "test.db"))
	for _, url := range []string{"https://exa mple.com/s3cr3t", "gopher://example.com/s3cr3t", "https:///s3cr3t", "https://example.com/%zz/s3cr3t", "://s3cr3t"} {
		_, err := s.as(tidewaiter.RoleAdmin).AddWebhook(t.Context(), client.WebhookDraft{Name: "x", URL: url, Format: "json", Topics: []string{"scan.finished"}})
		if e := s.wantProblem(err, 422, tidewaiter.ErrInvalid); strings.Contains(e.Detail+e.Fix, "s3cr3t") {
			t.Errorf("%s: %+v", url, e)
		}
	}
}
