package cli_test

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"github.com/tidewaiter/tidewaiter/internal/cli"
)

// TestImageCommands looks at one image under each of its names.
func TestImageCommands(t *testing.T) {
	_, registry := gateServer(t)
	name := registry + "/shop/frontend:1.4.1"
	run := func(want int, args ...string) string {
		t.Helper()
		var out, errs bytes.Buffer
		if code := cli.Main(args, strings.NewReader(""), &out, &errs); code != want {
			t.Fatalf("%v: exit code %d, want %d\n%s%s", args, code, want, &out, &errs)
		}
		return out.String() + errs.String()
	}
	if text := run(1, "image", "show", name); !strings.Contains(text, "not been seen yet") {
		t.Errorf("before it is scanned: %s", text)
	}
	run(2, "gate", name, "--wait", "60s")

	page := run(0, "image", "show", name)
	for _, part := range []string{"linux/amd64", "sha256:", "advisories", "block (", "strict", "Why this verdict", "Findings (", "EPSS", "EXPLOITED",
		"CVE-2021-44906", "1.2.6", "What changed last", "first", "seen ", "iB in "} {
		if !strings.Contains(page, part) {
			t.Errorf("the page does not say %q:\n%s", part, page)
		}
	}
	var full struct {
		Digest   string
		Findings []struct{ Vulnerability string }
		Changes  []struct{ Cause string }
		Tags     []struct{ Name string }
		Layers   []struct{ Digest string }
		Name     struct{ Name string }
	}
	if err := json.Unmarshal([]byte(run(0, "image", "show", name, "--findings=1", "-o", "json")), &full); err != nil {
		t.Fatal(err)
	}
	if len(full.Findings) < 2 || len(full.Changes) != 1 || full.Changes[0].Cause != "first" || len(full.Tags) == 0 || len(full.Layers) == 0 || full.Name.Name != name {
		t.Errorf("%+v", full)
	}
	for _, same := range []string{full.Digest, registry + "/shop/frontend@" + full.Digest} {
		if text := run(0, "image", "show", same); !strings.Contains(text, full.Digest) || !strings.Contains(text, "CVE-2021-44906") {
			t.Errorf("%s: %s", same, text)
		}
		if text := run(0, "image", "changes", same); !strings.Contains(text, "first") {
			t.Errorf("changes of %s: %s", same, text)
		}
	}
	if text := run(0, "image", "changes", name); !strings.Contains(text, "first") || !strings.Contains(text, "in all") {
		t.Errorf("changes: %s", text)
	}
	run(0, "image", "publications", name)
	if one := run(0, "image", "show", name, "--findings=1"); strings.Count(one, "\n") >= strings.Count(page, "\n") {
		t.Errorf("with one finding: %s", one)
	}
	if text := run(64, "image", "show", name, "--platform", "windows/amd64"); !strings.Contains(text, "linux/amd64") {
		t.Errorf("another platform: %s", text)
	}
	run(64, "image", "show", "No Image")
	run(1, "image", "show", "other.example/x:1")
}
