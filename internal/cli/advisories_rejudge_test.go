package cli_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/tidewaiter/tidewaiter/client"
)

// TestAdvisoriesRejudge has a server match everything again, and waits for it or not.
func TestAdvisoriesRejudge(t *testing.T) {
	_, registry := gateServer(t)
	if code, out, said := call("gate", registry+"/shop/frontend:1.4.1", "--wait", "60s"); code != 2 {
		t.Fatalf("exit code %d: %s%s", code, out, said)
	}
	rejudge := func(want int, flags ...string) (out, said string) {
		t.Helper()
		code, out, said := call(append([]string{"advisories", "rejudge"}, flags...)...)
		if code != want {
			t.Fatalf("%v: exit code %d, want %d\n%s%s", flags, code, want, out, said)
		}
		return out, said
	}
	if out, _ := rejudge(0); !strings.Contains(out, "are judged by advisories") {
		t.Errorf("what is new: %s", out)
	}
	var r client.Rejudging
	out, _ := rejudge(0, "--force", "--no-wait", "--output", "json")
	if err := json.Unmarshal([]byte(out), &r); err != nil || !r.Forced || r.AskedAt.IsZero() || r.Images == 0 {
		t.Errorf("by force, not waiting: %s, %v", out, err)
	}
	out, _ = rejudge(0, "--force", "--output", "json")
	if err := json.Unmarshal([]byte(out), &r); err != nil || !r.Done || !r.Forced || r.ImagesLeft != 0 || r.PackagesLeft != 0 {
		t.Errorf("by force: %s, %v", out, err)
	}
	t.Setenv("TIDEWAITER_PASSWORD", "wrong")
	rejudge(77, "--force")
}
