package cli_test

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/tidewaiter/tidewaiter/internal/cli"
	"github.com/tidewaiter/tidewaiter/internal/samples"
	"github.com/tidewaiter/tidewaiter/internal/testkit"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// gateServer runs a whole server over a registry with the samples, which blocks what is critical. Nothing is scanned yet.
func gateServer(t *testing.T) (url, registry string) {
	t.Helper()
	r := testkit.Registry(t, testkit.Options{})
	if err := samples.Push(t.Context(), r.URL, samples.Options{}); err != nil {
		t.Fatal(err)
	}
	a := runServer(t, r.Host+"/"+samples.AdvisoriesRepository+":"+samples.AdvisoriesTag)
	err := a.Control().PutPolicy(t.Context(), &tidewaiter.Policy{Kind: tidewaiter.PolicyVulnerability, Rules: []tidewaiter.Rule{{Name: "strict",
		Collections: []string{tidewaiter.CollectionAll}, Alert: tidewaiter.Threshold{Enabled: true},
		Block: tidewaiter.Threshold{Enabled: true, Severity: tidewaiter.SeverityCritical}}}})
	if err == nil {
		_, err = a.Control().AddRegistry(t.Context(), &tidewaiter.Registry{Kind: tidewaiter.KindOCI, URL: r.URL, Origin: tidewaiter.OriginNative}, false)
	}
	if err != nil {
		t.Fatal(err)
	}
	return a.URL(), r.Host
}

func TestGate(t *testing.T) {
	url, registry := gateServer(t)
	gate := func(image string, flags ...string) (code int, out, errs string) {
		var stdout, stderr bytes.Buffer
		args := append([]string{"gate", image, "--server", url}, flags...)
		code = cli.Main(args, strings.NewReader(""), &stdout, &stderr)
		return code, stdout.String(), stderr.String()
	}
	blocked := registry + "/shop/frontend:1.4.1"
	wait := []string{"--wait", "60s"}
	for _, c := range []struct {
		name, image string
		flags       []string
		code        int
		says        []string
	}{
		{"nobody scanned it", blocked, nil, 3, []string{"STOPPED", "not_scanned", "not been seen yet"}},
		{"unknown may pass", blocked, []string{"--fail-on", "block"}, 0, []string{"PASSED", "unknown"}},
		{"not declared", "other.example/x:1", wait, 3, []string{"not_declared", "declare the registry"}},
		{"scanned for it", blocked, wait, 2, []string{"STOPPED", "block", "CVE-2021-44906", "minimist", "1.2.6", "strict", "and "}},
		{"the stored one", blocked, nil, 2, []string{"linux/amd64", "critical"}},
		{"blocking stops nobody", blocked, []string{"--fail-on", "unknown"}, 0, []string{"PASSED", "block"}},
		{"alerts stop", blocked, []string{"--fail-on", "alert"}, 2, []string{"STOPPED"}},
		{"another platform", blocked, []string{"--platform", "windows/amd64"}, 3, []string{"no_platform", "linux/amd64"}},
		{"no image name", "No Image", nil, 64, nil},
		{"no such --fail-on", blocked, []string{"--fail-on", "never"}, 64, nil},
		{"wrong password", blocked, []string{"--password", "guess"}, 77, []string{"STOPPED", "error"}},
		{"wrong password is not away", blocked, []string{"--password", "guess", "--fail-open"}, 77, nil},
		{"away", blocked, []string{"--server", "http://127.0.0.1:1"}, 1, []string{"STOPPED", "error"}},
		{"away, fail open", blocked, []string{"--server", "http://127.0.0.1:1", "--fail-open"}, 0, []string{"PASSED"}},
	} {
		code, out, errs := gate(c.image, c.flags...)
		if code != c.code {
			t.Errorf("%s: exit code %d, want %d\n%s%s", c.name, code, c.code, out, errs)
		}
		for _, text := range c.says {
			if !strings.Contains(out, text) {
				t.Errorf("%s: does not say %q\n%s", c.name, text, out)
			}
		}
	}
	code, out, _ := gate(blocked, "--output", "json")
	var answer struct {
		Passed  bool
		Outcome string
		Verdict struct {
			Platforms []struct {
				Verdict struct {
					Reasons []struct{ Vulnerability, FixedIn string }
				}
			}
		}
	}
	if err := json.Unmarshal([]byte(out), &answer); err != nil || code != 2 || answer.Passed || answer.Outcome != "block" ||
		!slices.ContainsFunc(answer.Verdict.Platforms[0].Verdict.Reasons, func(r struct{ Vulnerability, FixedIn string }) bool {
			return r.Vulnerability == "CVE-2021-44906" && r.FixedIn != ""
		}) {
		t.Errorf("%d, %v: %s", code, err, out)
	}
}
