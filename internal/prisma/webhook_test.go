package prisma_test

import (
	"crypto/hmac"
	"crypto/sha1"
	"encoding/hex"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/tidewaiter/tidewaiter/internal/control"
	"github.com/tidewaiter/tidewaiter/internal/secret"
	"github.com/tidewaiter/tidewaiter/internal/store"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

func anonymous(r *http.Request) { r.Header.Del("Authorization") }

// hook is the path events are sent to, as the settings show it.
func (c *console) hook() string {
	c.Helper()
	return "/registry/webhook/" + get[struct{ WebhookURLSuffix string }](c, "/settings/registry").WebhookURLSuffix
}

func (c *console) events() []*control.Event {
	c.Helper()
	list, _, err := c.control.ListEvents(c.Context(), control.EventFilter{})
	c.must(err)
	return list
}

const hubPush = `{"push_data":{"tag":"v1"},"repository":{"repo_name":"team/app"}}`

func TestWebhookIsStoredBeforeTheAnswer(t *testing.T) {
	c := start(t)
	hook := c.hook()
	for _, method := range []string{"POST", "DELETE"} {
		if a := c.call(method, hook, hubPush, anonymous); a.status != 200 || a.body != "" {
			t.Errorf("%s: %d %q", method, a.status, a.body)
		}
		if a := c.call(method, hook, "", anonymous); a.status != 200 || a.body != "" {
			t.Errorf("%s without a body: %d %q", method, a.status, a.body)
		}
		for _, wrong := range []string{"webhook", "x", hook[len("/registry/webhook/"):] + "x"} {
			if a := c.call(method, "/registry/webhook/"+wrong, hubPush); a.status != 404 || a.body != "" {
				t.Errorf("%s to %s: %d %q", method, wrong, a.status, a.body)
			}
		}
	}
	events, jobs := c.events(), c.jobs.take()
	if len(events) != 2 || len(jobs) != 2 || jobs[0].UniqueKey != jobs[1].UniqueKey || jobs[0].Lane != tidewaiter.LaneEvent {
		t.Fatalf("%d events, jobs %+v", len(events), jobs)
	}
	if e := events[0]; e.State != store.EventNew || e.Host != "docker.io" || e.Repository != "team/app" || e.Tag != "v1" || e.Sender != "dockerhub" {
		t.Errorf("%+v", e)
	}
	c.clock.forward(time.Duration(control.DefaultRetention().Events)*24*time.Hour + time.Hour)
	c.must(c.control.WorkEventRetention(t.Context(), tidewaiter.JobRun{}))
	if left := c.events(); len(left) != 0 {
		t.Errorf("%d events are kept for ever", len(left))
	}
}

func TestWebhookHandshakes(t *testing.T) {
	c := start(t)
	hook := c.hook()
	a := c.call("POST", hook, `[{"eventType":"Microsoft.EventGrid.SubscriptionValidationEvent","data":{"validationCode":"c-1"}}]`, anonymous)
	if a.status != 200 || a.body != `{"validationResponse":"c-1"}` || a.header.Get("Content-Type") != "application/json" {
		t.Errorf("Event Grid: %d %q", a.status, a.body)
	}
	a = c.call("OPTIONS", hook, "", anonymous, header("WebHook-Request-Origin", "eventgrid.azure.net"))
	if a.status != 200 || a.body != "" || a.header.Get("Webhook-Allowed-Origin") != "eventgrid.azure.net" {
		t.Errorf("CloudEvents: %d %v", a.status, a.header)
	}
	if a := c.call("OPTIONS", "/registry/webhook/x", ""); a.status != 404 || a.header.Get("Webhook-Allowed-Origin") != "" {
		t.Errorf("CloudEvents elsewhere: %d", a.status)
	}
	if n := len(c.events()); n != 0 {
		t.Errorf("%d events of handshakes", n)
	}
}

func TestWebhookKeepsWhatItCannotUse(t *testing.T) {
	c := start(t)
	hook := c.hook()
	blob := `{"events":[{"action":"push","target":{"mediaType":"application/octet-stream","repository":"team/app","digest":"sha256:` + strings.Repeat("a", 64) + `"}}]}`
	for body, reason := range map[string]string{
		`{"hello":"world"}`: "no sender", "rubbish": "no JSON object", blob: "not an image",
		strings.Repeat("[", 5000): "nests deeper",
	} {
		if a := c.call("POST", hook, body, anonymous); a.status != 200 || a.body != "" {
			t.Errorf("%.20s: %d %q", body, a.status, a.body)
		}
		e := c.events()[0]
		if e.State != store.EventUnused || !strings.Contains(e.Reason, reason) {
			t.Errorf("%.20s: %+v", body, e)
		}
		whole, err := c.control.Event(t.Context(), e.ID)
		if err != nil || string(whole.Body) != body {
			t.Errorf("%.20s: a body of %d bytes is kept, %v", body, len(whole.Body), err)
		}
		if err := c.control.ReplayEvent(t.Context(), e.ID); tidewaiter.KindOf(err) != tidewaiter.ErrConflict {
			t.Errorf("replay of %.20s: %v", body, err)
		}
	}
	if a := c.call("POST", hook, `{"a":"`+strings.Repeat("x", 1<<20)+`"}`, anonymous); a.status != 413 {
		t.Errorf("a large body: %d", a.status)
	}
	if jobs := c.jobs.take(); len(jobs) != 0 {
		t.Errorf("jobs: %+v", jobs)
	}
	if strings.Contains(c.log.String(), hook[len("/registry/webhook/"):]) {
		t.Error("the secret address is in the log")
	}
}

func TestWebhookSignature(t *testing.T) {
	c := start(t)
	hook := c.hook()
	body := `{"nodeId":"n","repositoryName":"r","action":"CREATED","component":{"format":"docker","name":"team/app","version":"v1"}}` + "\n"
	mac := hmac.New(sha1.New, []byte("hush"))
	mac.Write([]byte(body))
	signature := hex.EncodeToString(mac.Sum(nil))
	c.must(c.control.SetWebhookSecret(t.Context(), secret.New("hush")))
	if stored, err := c.store.Setting(t.Context(), control.SettingWebhookSecret); err != nil || strings.Contains(stored, "hush") {
		t.Errorf("stored as %q, %v", stored, err)
	}
	a := c.call("POST", hook, body, anonymous, header("X-Nexus-Webhook-Signature", strings.Repeat("0", 40)))
	e := c.events()[0]
	if a.status != 403 || e.State != store.EventUnused || !strings.Contains(e.Reason, "signature") {
		t.Errorf("wrong signature: %d, %+v", a.status, e)
	}
	if err := c.control.ReplayEvent(t.Context(), e.ID); tidewaiter.KindOf(err) != tidewaiter.ErrConflict {
		t.Errorf("replay of a forgery: %v", err)
	}
	if jobs := c.jobs.take(); len(jobs) != 0 {
		t.Errorf("jobs: %+v", jobs)
	}
	if a := c.call("POST", hook, body, anonymous, header("X-Nexus-Webhook-Signature", signature)); a.status != 200 || len(c.jobs.take()) != 1 {
		t.Errorf("right signature: %d", a.status)
	}
	if err := c.control.ReplayEvent(t.Context(), c.events()[0].ID); err != nil || len(c.jobs.take()) != 1 {
		t.Errorf("replay: %v", err)
	}
	c.must(c.control.SetWebhookSecret(t.Context(), secret.Value{}))
	if a := c.call("POST", hook, body, anonymous); a.status != 200 || len(c.jobs.take()) != 1 {
		t.Errorf("without a secret: %d", a.status)
	}
}
