//go:build e2e

package e2e_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/tidewaiter/tidewaiter/emulator"
	"github.com/tidewaiter/tidewaiter/internal/samples"
	"github.com/tidewaiter/tidewaiter/internal/testkit"
)

// documents runs the curl commands of the four documents of the Qualys API against the built program, as they are printed
// there but for quotation marks the documents lost. In place of the vendor's address, its accounts and the clouds' hosts
// stand those of this machine: emulated clouds that verify every signature.
type documents struct {
	*testing.T
	values *strings.Replacer
}

// curl runs one command and returns what it printed with the status on a line of its own.
func (d documents) curl(t *testing.T, command string) (status, body string) {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "bash", "-euo", "pipefail", "-c", d.values.Replace(command)+` -sS -w '\n%{http_code}'`).CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	at := bytes.LastIndexByte(out, '\n')
	return string(out[at+1:]), strings.TrimSpace(string(out[:at]))
}

// answers runs a command and wants a 200 whose JSON has the members given; "*" stands for any text.
func (d documents) answers(t *testing.T, command, want string) string {
	t.Helper()
	status, body := d.curl(t, command)
	var got, wanted any
	if err := json.Unmarshal([]byte(d.values.Replace(want)), &wanted); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal([]byte(body), &got); status != "200" || err != nil || !like(wanted, got) {
		t.Errorf("answered %s %s\nthe document says %s", status, body, d.values.Replace(want))
	}
	return body
}

// like reports whether got has all that want has.
func like(want, got any) bool {
	switch w := want.(type) {
	case map[string]any:
		g, ok := got.(map[string]any)
		for name, value := range w {
			if _, there := g[name]; !ok || !there || !like(value, g[name]) {
				return false
			}
		}
		return ok
	case []any:
		g, ok := got.([]any)
		if !ok || len(g) != len(w) {
			return false
		}
		for i := range w {
			if !like(w[i], g[i]) {
				return false
			}
		}
		return true
	case string:
		text, ok := got.(string)
		return ok && (w == "*" && text != "" || w == text)
	}
	return reflect.DeepEqual(want, got)
}

var uuid = regexp.MustCompile(`[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}`)

func emulate(t *testing.T, o emulator.Options) *emulator.Emulator {
	t.Helper()
	o.Repositories, o.Tags = 2, 2
	e, err := emulator.New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = e.Close() })
	return e
}

func TestQualysDocuments(t *testing.T) {
	for _, database := range []string{"sqlite", "postgres"} {
		t.Run(database, func(t *testing.T) {
			dsn := ""
			if database == "postgres" {
				dsn = testkit.Postgres(t)
			}
			newDocuments(t, dsn).run(t)
		})
	}
}

// newDocuments starts the program beside an emulated AWS and an emulated Google, with advisories from a real registry.
func newDocuments(t *testing.T, database string) documents {
	t.Helper()
	advisories := testkit.Registry(t, testkit.Options{})
	if err := samples.Push(t.Context(), advisories.URL, samples.Options{}); err != nil {
		t.Fatal(err)
	}
	const role = "arn:aws:iam::383031258652:role/testabcd"
	aws := emulate(t, emulator.Options{Kind: emulator.ECR, RequireRole: true,
		Login: emulator.Login{Account: "383031258652", Region: "us-east-2", RoleARN: role}})
	google := emulate(t, emulator.Options{Kind: emulator.GAR, Login: emulator.Login{Project: "qualys-cs"}, Namespaces: []string{"cstest"}})
	flags := []string{"--endpoint", "ecr=" + aws.Endpoints()["ecr"], "--endpoint", "sts=" + aws.Endpoints()["sts"],
		"--endpoint", "gar=" + google.Endpoints()["gar"]}
	login := aws.Login()
	t.Setenv("AWS_ACCESS_KEY_ID", login.AccessKeyID)
	t.Setenv("AWS_SECRET_ACCESS_KEY", login.SecretAccessKey)
	url := serve(t, advisories, database, flags...)

	account := filepath.Join(t.TempDir(), "account.json")
	var file map[string]any
	if err := json.Unmarshal(google.Login().ServiceAccountJSON, &file); err != nil {
		t.Fatal(err)
	}
	file["client_id"] = "1131360358474747331"
	content, err := json.Marshal(file)
	if err == nil {
		err = os.WriteFile(account, content, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	d := documents{T: t, values: strings.NewReplacer("<qualys_base_url>", url)}
	token, err := exec.CommandContext(t.Context(), "curl", "-sS", "--fail-with-body", url+"/auth", "-d", "username=admin", "--data-urlencode",
		"password="+password, "-d", "token=true").CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, token)
	}
	d.values = strings.NewReplacer("<qualys_base_url>", url, "https://qualysapi.qualys.com", url, "http://qualysapi.qualys.com", url,
		"<token>", string(token), "<accountID>", "383031258652", "VVNFUk5BTUU6UEFTU1dPUkQ=", base64.StdEncoding.EncodeToString([]byte("admin:"+password)),
		"https://383031258652.dkr.ecr.us-east-2.amazonaws.com", aws.URL, "https://us-central1-docker.pkg.dev", google.URL,
		"<ACCOUNT_FILE>", account)
	return d
}

func (d documents) run(t *testing.T) {
	t.Run("Validate Registry Parameters", d.validateRegistryParameters)
	t.Run("Create a Registry", d.createARegistry)
	t.Run("Support for ACR and GCR", d.supportForACRAndGCR)
	t.Run("Support for Google Artifact Registry", d.supportForGoogleArtifactRegistry)
}

const headers = ` --header 'Content-Type: application/json' --header 'Accept: application/json' --header 'Authorization: Basic VVNFUk5BTUU6UEFTU1dPUkQ='`

// accountForm creates the Google connector the samples refer to.
const accountForm = `curl -X POST --header 'Accept: application/json' --header 'Authorization: Basic VVNFUk5BTUU6UEFTU1dPUkQ=' \
	-F serviceAccountJson=@<ACCOUNT_FILE> 'https://qualysapi.qualys.com/csapi/v1.1/registry/gcp/connector?name=ccc'`

func (d documents) validateRegistryParameters(t *testing.T) {
	status, body := d.curl(t, `curl -X POST "<qualys_base_url>/csapi/v1.3/registry/validate" \
		-d '{"aws": {"accountId":"<accountID>", "arn":"arn:aws:iam::383031258652:role/testabcd", "region":"us-east-2", "accountType":"Global"},
		"credentialType":"AWS", "registryName":"AWSregisry", "registryType":"AWS",
		"registryUri":"https://383031258652.dkr.ecr.us-east-2.amazonaws.com"}' --header "Authorization: Bearer <token>"`)
	if status != "200" || body != "true" {
		t.Errorf("%s %s", status, body)
	}
	// The same with a role nobody may assume: the credentials are not correct.
	status, body = d.curl(t, `curl -X POST "<qualys_base_url>/csapi/v1.3/registry/validate" \
		-d '{"aws": {"accountId":"<accountID>", "arn":"arn:aws:iam::383031258652:role/other", "region":"us-east-2", "accountType":"Global"},
		"credentialType":"AWS", "registryName":"AWSregisry", "registryType":"AWS",
		"registryUri":"https://383031258652.dkr.ecr.us-east-2.amazonaws.com"}' --header "Authorization: Bearer <token>"`)
	if status != "400" || !strings.Contains(body, "sts:AssumeRole") {
		t.Errorf("%s %s", status, body)
	}
}

func (d documents) createARegistry(t *testing.T) {
	t.Run("Sample for AWS", func(t *testing.T) {
		id := d.answers(t, `curl -X POST "<qualys_base_url>/csapi/v1.3/registry" \
			-d '{"aws": {"accountId":"383031258652", "arn":"arn:aws:iam::383031258652:role/testabcd", "region":"us-east-2", "accountType":"Global"},
			"credentialType":"AWS", "registryName":"AWSregistry", "registryType":"AWS",
			"registryUri":"https://383031258652.dkr.ecr.us-east-2.amazonaws.com"}' --header "Authorization: Bearer <token>"`, `{"registryUuid":"*"}`)
		if !uuid.MatchString(id) {
			t.Errorf("no uuid: %s", id)
		}
	})
	t.Run("Sample for GCAR", func(t *testing.T) {
		d.answers(t, accountForm, `{"gcpConnectorId":"1131360358474747331"}`)
		id := d.answers(t, `curl -X POST "<qualys_base_url>/csapi/v1.3/registry" \
			-d '{"gcarRequest":{"connectorId":"1131360358474747331","projectId":"qualys-cs","registry":"cstest"},"credentialType":"GCP",
			"registryName":"GOOGLE_ARTIFACT_REGISTRY","registryType":"GOOGLE_ARTIFACT_REGISTRY",
			"registryUri":"https://us-central1-docker.pkg.dev","registryUuid": null}' --header "Authorization: Bearer <token>"`, `{"registryUuid":"*"}`)
		// It makes room for the same registry in the other document, once it is scanned.
		remove := `curl -X DELETE --header 'Authorization: Basic VVNFUk5BTUU6UEFTU1dPUkQ=' <qualys_base_url>/csapi/v1.3/registry/` + uuid.FindString(id)
		for deadline := time.Now().Add(time.Minute); ; time.Sleep(100 * time.Millisecond) {
			if status, body := d.curl(t, remove); status[0] == '2' {
				break
			} else if status != "409" || time.Now().After(deadline) {
				t.Fatalf("%s %s", status, body)
			}
		}
	})
}

func (d documents) supportForACRAndGCR(t *testing.T) {
	const v11 = `'https://qualysapi.qualys.com/csapi/v1.1/registry`
	made := d.answers(t, `curl -X POST`+headers+` -d '{
		"applicationId": "66f9c9bf-9b04-4631-bb64-d0abfa44e6f6", "clientSecret": "Q]_RHUUGbgtCgQd8DWS8U6UJl8sTqK]=",
		"description": "This is a new connector for ACR", "name": "New ACR connector 4" }' `+v11+`/acr/connector'`,
		`{"name": "New ACR connector 4", "description": "This is a new connector for ACR", "acrConnectorId": "*"}`)
	id := uuid.FindString(made)
	d.answers(t, `curl -X GET`+headers+` `+v11+`/acr/connectors'`,
		`[{"name": "New ACR connector 4", "description": "This is a new connector for ACR", "acrConnectorId": "`+id+`"}]`)
	d.answers(t, `curl -X GET`+headers+` `+v11+`/acr/connector/`+id+`'`,
		`{"name": "New ACR connector 4", "description": "This is a new connector for ACR", "acrConnectorId": "`+id+`"}`)
	d.answers(t, `curl -X POST --header 'Content-Type: application/json' --header 'Accept: text/plain' --header 'Authorization: Basic VVNFUk5BTUU6UEFTU1dPUkQ=' \
		-d '{"acrRequest":{"connectorId":"`+id+`"},"credentialType":"Azure","registryType":"Azure",
		"registryUri":"https://cmsreadonly.azurecr.io","registryUuid":null}' `+v11+`'`, `{"registryUuid":"*"}`)
	// The document spells the paths of GCR connectors in two ways.
	for _, spelling := range []string{"gcp", "gcr"} {
		d.answers(t, `curl -X GET`+headers+` `+v11+`/`+spelling+`/connectors'`,
			`[{"name": "ccc", "gcpConnectorId": "1131360358474747331", "gcpProjectId": "qualys-cs"}]`)
		d.answers(t, `curl -X GET`+headers+` `+v11+`/`+spelling+`/connector/1131360358474747331'`,
			`{"name": "ccc", "gcpConnectorId": "1131360358474747331", "gcpProjectId": "qualys-cs"}`)
	}
	// As printed, the sample sends no file. It is refused with a reason.
	if status, body := d.curl(t, `curl -X POST --header 'Content-Type: multipart/form-data' --header 'Accept: application/json' \
		--header 'Authorization: Basic VVNFUk5BTUU6UEFTU1dPUkQ=' `+v11+`/gcp/connector?name=New%20GCR%20connector'`); status != "400" || !strings.Contains(body, "message") {
		t.Errorf("%s %s", status, body)
	}
}

func (d documents) supportForGoogleArtifactRegistry(t *testing.T) {
	const request = `-d '{"gcarRequest":{"connectorId":"1131360358474747331", "projectId":"qualys-cs","registry":"cstest"}, "credentialType":"GCP",
		"registryType":"GOOGLE_ARTIFACT_REGISTRY","registryUri":"https://us-central1-docker.pkg.dev","registryUuid": <UUID>}' `
	const v11 = `'https://qualysapi.qualys.com/csapi/v1.1/registry`
	var id string
	t.Run("Create/Update Google Artifact Registry", func(t *testing.T) {
		id = uuid.FindString(d.answers(t, `curl -X POST`+headers+` `+strings.Replace(request, "<UUID>", "null", 1)+v11+`'`, `{"registryUuid":"*"}`))
	})
	t.Run("Validate Google Artifact Registry", func(t *testing.T) {
		if status, body := d.curl(t, `curl -X POST`+headers+` `+strings.Replace(request, "<UUID>", `"`+id+`"`, 1)+v11+`/validate'`); status != "200" || body != "true" {
			t.Errorf("%s %s", status, body)
		}
	})
	t.Run("Fetch details for Google Artifact Registry", func(t *testing.T) {
		d.answers(t, `curl -X GET`+headers+` `+v11+`/`+id+`'`, `{"registryUuid": "`+id+`", "registryUri": "https://us-central1-docker.pkg.dev",
			"registryType": "GOOGLE_ARTIFACT_REGISTRY", "created": "*", "updated": "*", "dockerHubOrg": null, "providerType": null, "aws": null,
			"credential": {"username": null}, "connectors": null, "gcp": null, "acr": null,
			"gcar": {"name": "ccc", "gcpConnectorId": "1131360358474747331", "gcpProjectId": "qualys-cs", "gcpRegistry": "cstest"}}`)
	})
}
