package cli_test

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/tidewaiter/tidewaiter/client"
	"github.com/tidewaiter/tidewaiter/internal/cli"
)

// TestWebhookCommands goes through a webhook's life on the command line, against a server of its own.
func TestWebhookCommands(t *testing.T) {
	runServer(t)
	var status atomic.Int64
	var asked atomic.Value
	status.Store(http.StatusOK)
	receiver := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked.Store(r.URL.Path)
		w.WriteHeader(int(status.Load()))
	}))
	defer receiver.Close()
	run := func(want int, stdin string, args ...string) string {
		t.Helper()
		var out, errs bytes.Buffer
		if code := cli.Main(append([]string{"webhook"}, args...), strings.NewReader(stdin), &out, &errs); code != want {
			t.Fatalf("webhook %v ended with %d, want %d: %s%s", args, code, want, &out, &errs)
		}
		return out.String()
	}
	read := func(v any, args ...string) {
		t.Helper()
		if err := json.Unmarshal([]byte(run(0, "", append(args, "--output", "json")...)), v); err != nil {
			t.Fatal(err)
		}
	}

	if out := run(0, receiver.URL+"/s3cr3tp4th\n", "add", "siem", "-", "--format", "json", "--topics", "scan.finished,finding.new", "--severity", "high",
		"--header", "X-Team=blue"); !strings.Contains(out, "whsec_") || strings.Contains(out, "s3cr3tp4th") {
		t.Errorf("added: %s", out)
	}
	run(64, "", "add", "other", "ftp://example.com")
	run(1, "", "show", "nobody")
	if out := run(0, "", "list"); !strings.Contains(out, "siem") || !strings.Contains(out, receiver.URL) || strings.Contains(out, "whsec_") {
		t.Errorf("list: %s", out)
	}
	var w client.Webhook
	read(&w, "show", "siem")
	if w.Filter.MinSeverity != "high" || len(w.Topics) != 2 || len(w.Headers) != 1 {
		t.Errorf("show: %+v", w)
	}
	run(64, "", "edit", "siem")
	run(64, "", "edit", "siem", "--format", "telegram")
	run(64, "", "edit", "siem", "--url", "-")
	run(1, "", "edit", "nobody", "--name", "x")
	run(0, "", "edit", "siem", "--name", "soc", "--topics", "verdict.changed", "--fixable", "--repositories", "shop/*,team/*", "--per-hour", "20")
	var edited client.Webhook
	read(&edited, "show", "soc")
	if edited.ID != w.ID || edited.Name != "soc" || len(edited.Topics) != 1 || !edited.Filter.OnlyFixable || len(edited.Filter.Repositories) != 2 ||
		edited.PerHour != 20 || edited.Filter.MinSeverity != "high" || edited.Format != "json" || len(edited.Headers) != 1 || !edited.Signed || edited.Address != w.Address {
		t.Errorf("edited: %+v", edited)
	}
	run(0, receiver.URL+"/0therp4th\n", "edit", "soc", "--name", "siem", "--url", "-", "--no-fixable", "--severity", "low", "--clear", "repositories,headers", "--topics", "scan.finished,finding.new")
	edited = client.Webhook{}
	read(&edited, "show", "siem")
	if edited.Filter.OnlyFixable || edited.Filter.MinSeverity != "low" || len(edited.Filter.Repositories) != 0 || len(edited.Headers) != 0 || edited.PerHour != 20 {
		t.Errorf("edited again: %+v", edited)
	}
	run(0, "", "off", "siem")
	if out := run(0, "", "show", w.ID); !strings.Contains(out, "off") {
		t.Errorf("show: %s", out)
	}
	run(0, "", "test", "siem")
	if asked.Load() != "/0therp4th" {
		t.Errorf("the test was sent to %v", asked.Load())
	}
	status.Store(http.StatusBadGateway)
	run(1, "", "test", "siem")
	var dead []client.WebhookDelivery
	read(&dead, "deliveries", "siem", "--state", "dead")
	if len(dead) != 1 || dead[0].Status != http.StatusBadGateway {
		t.Errorf("dead: %+v", dead)
	}
	if out := run(0, "", "replay", "siem"); !strings.Contains(out, "sent again") {
		t.Errorf("replay: %s", out)
	}
	run(0, "", "on", "siem")
	if out := run(0, "", "rotate", "siem", "--overlap", "1h"); !strings.Contains(out, "whsec_") {
		t.Errorf("rotate: %s", out)
	}
	run(0, "", "remove", "siem")
	if out := run(0, "", "list"); strings.Contains(out, "siem") {
		t.Errorf("list: %s", out)
	}
}
