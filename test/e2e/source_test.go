//go:build e2e

package e2e_test

import (
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/tidewaiter/tidewaiter/internal/samples"
	"github.com/tidewaiter/tidewaiter/internal/testkit"
)

// TestSourceCommands runs the curl commands of "Update Registry Settings" as they are printed there, with values in place of
// what is in angle brackets and the address of a registry of ours in place of the cloud's.
func TestSourceCommands(t *testing.T) {
	registry := testkit.Registry(t, testkit.Options{})
	if err := samples.Push(t.Context(), registry.URL, samples.Options{}); err != nil {
		t.Fatal(err)
	}
	for _, database := range []string{"sqlite", "postgres"} {
		t.Run(database, func(t *testing.T) {
			dsn := ""
			if database == "postgres" {
				dsn = testkit.Postgres(t)
			}
			url := serve(t, registry, dsn)
			values := strings.NewReplacer("https://<CONSOLE>/api/v<VERSION>", url+"/api/v32.07", "<USER>", "'admin:"+password+"'",
				"<CREDENTIAL_ID1>", "one", "<CREDENTIAL_ID2>", "two",
				`"version": "aws"`, `"version": "2"`, "<ACCOUNT_ID>.dkr.ecr.<REGION>.amazonaws.com", registry.URL)
			shell := func(script string) string {
				t.Helper()
				out, err := exec.CommandContext(t.Context(), "bash", "-euo", "pipefail", "-c", values.Replace(script)).CombinedOutput()
				if err != nil {
					t.Fatalf("%v: %s", err, out)
				}
				return string(out)
			}
			const quiet = "curl -sS --fail-with-body -u <USER> "
			for _, id := range []string{"one", "two"} {
				shell(quiet + `https://<CONSOLE>/api/v<VERSION>/credentials -d '{"_id":"` + id + `","type":"basic","accountID":"","secret":{"plain":""}}'`)
			}
			// "No response will be returned upon successful execution."
			if out := shell(`curl -sS 'https://<CONSOLE>/api/v<VERSION>/settings/registry' \
				-k \
				-X PUT \
				-u <USER> \
				-H 'Content-Type: application/json' \
				-d \
				'{
				"specifications": [
				{
				"version": "2",
				"registry": "",
				"repository": "library/ubuntu",
				"tag": "18.04",
				"os": "linux",
				"cap": 5,
				"credentialID": "<CREDENTIAL_ID1>",
				"scanners": 2,
				"collections": ["All"]
				},
				{
				"version": "aws",
				"registry": "<ACCOUNT_ID>.dkr.ecr.<REGION>.amazonaws.com",
				"os": "linux",
				"credentialID": "<CREDENTIAL_ID2>",
				"scanners": 2,
				"cap": 5,
				"collections": ["All"]
				}
				]
				}'`); out != "" {
				t.Errorf("the command printed %s", out)
			}
			const results = quiet + `'https://<CONSOLE>/api/v<VERSION>/registry?compact=true' | jq -r '.[]?._id'`
			for deadline := time.Now().Add(time.Minute); !strings.Contains(shell(results), "ops/leaky:1.0"); time.Sleep(200 * time.Millisecond) {
				if time.Now().After(deadline) {
					t.Fatalf("after a minute the results are: %s", shell(results))
				}
			}
			if out := shell(`curl -sS -k \
				-u <USER> \
				-H 'Content-Type: application/json' \
				-X PUT \
				-d '{"specifications":[]}' \
				https://<CONSOLE>/api/v<VERSION>/settings/registry`); out != "" {
				t.Errorf("the command printed %s", out)
			}
			if out := shell(quiet + `https://<CONSOLE>/api/v<VERSION>/settings/registry | jq '.specifications | length'`); out != "0\n" {
				t.Errorf("left: %s", out)
			}
		})
	}
}
