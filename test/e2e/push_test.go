//go:build e2e

package e2e_test

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/tidewaiter/tidewaiter/client"
	"github.com/tidewaiter/tidewaiter/internal/samples"
	"github.com/tidewaiter/tidewaiter/internal/testkit"
)

// TestPushIsJudged has a real registry tell the built program of a push: the image is judged although nothing ever lists
// the registry.
func TestPushIsJudged(t *testing.T) {
	advisories := testkit.Registry(t, testkit.Options{})
	if err := samples.Push(t.Context(), advisories.URL, samples.Options{}); err != nil {
		t.Fatal(err)
	}
	for _, database := range []string{"sqlite", "postgres"} {
		t.Run(database, func(t *testing.T) {
			dsn := ""
			if database == "postgres" {
				dsn = testkit.Postgres(t)
			}
			url := serve(t, advisories, dsn)
			var settings struct {
				Suffix string `json:"webhookUrlSuffix"`
			}
			ask(t, "GET", url+"/api/v1/settings/registry", nil, &settings)
			registry := testkit.Registry(t, testkit.Options{Notify: url + "/api/v1/registry/webhook/" + settings.Suffix})
			ask(t, "PUT", url+"/api/v1/settings/registry?scanLater=true", map[string]any{"specifications": []map[string]any{
				{"version": "2", "registry": registry.URL, "os": "linux"}}}, nil)
			pusher, err := samples.NewPusher(registry.URL, samples.Options{})
			if err != nil {
				t.Fatal(err)
			}
			image := samples.NewImage().Step("app", samples.File("app/package.json", `{"name":"left-pad","version":"1.0.0"}`)).MustBuild()
			if err := pusher.Push(t.Context(), "team/app", image, "v1"); err != nil {
				t.Fatal(err)
			}
			c, err := client.New(url, client.Basic("admin", password))
			if err != nil {
				t.Fatal(err)
			}
			for deadline := time.Now().Add(time.Minute); ; time.Sleep(100 * time.Millisecond) {
				page, err := c.Images(t.Context(), client.ImageQuery{Repository: "team/app", Tag: "v1", State: "judged"})
				if err != nil {
					t.Fatal(err)
				}
				if len(page.Items) == 1 && page.Items[0].Digest == image.Digest {
					break
				}
				if time.Now().After(deadline) {
					events, err := c.Events(t.Context(), client.EventQuery{})
					t.Fatalf("not judged after a minute: %+v, %v", events, err)
				}
			}
			events, err := c.Events(t.Context(), client.EventQuery{State: "done", Sender: "distribution"})
			if err != nil || len(events.Items) != 1 || !strings.Contains(events.Items[0].Reason, "was started") {
				t.Errorf("no event started the scan: %+v, %v", events, err)
			}
		})
	}
}

// ask calls one of the vendors' APIs as the administrator.
func ask(t *testing.T, method, url string, in, out any) {
	t.Helper()
	var sent bytes.Buffer
	if in != nil {
		if err := json.NewEncoder(&sent).Encode(in); err != nil {
			t.Fatal(err)
		}
	}
	req, err := http.NewRequestWithContext(t.Context(), method, url, &sent)
	if err != nil {
		t.Fatal(err)
	}
	req.SetBasicAuth("admin", password)
	req.Header.Set("Content-Type", "application/json")
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err == nil && res.StatusCode == http.StatusOK && out != nil {
		err = json.Unmarshal(body, out)
	}
	if err != nil || res.StatusCode != http.StatusOK {
		t.Fatalf("%s %s: %d %s, %v", method, url, res.StatusCode, body, err)
	}
}
