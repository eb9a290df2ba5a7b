package qualys_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tidewaiter/tidewaiter/internal/qualys"
)

var update = flag.Bool("update", false, "write testdata/*.json anew")

// golden compares an answer with a file.
func golden(t *testing.T, name string, a answer) {
	t.Helper()
	var got bytes.Buffer
	if err := json.Indent(&got, []byte(a.body), "", "  "); err != nil {
		t.Fatalf("%s: %v in %s", name, err, a.body)
	}
	got.WriteByte('\n')
	path := filepath.Join("testdata", name+".json")
	if *update {
		if err := os.WriteFile(path, got.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got.String()); diff != "" {
		t.Errorf("%s, status %d (-want +got):\n%s", name, a.status, diff)
	}
}

const automatic = `{"name":"nightly","onDemand":false,"filters":[{"days":null,"repoTags":[{"repo":"team/app","tag":"1.2,1.3"},{"repo":"team/api","tag":null}]}],
	"schedule":"19:30","scheduleScanIntervalInDays":7,"weekDay":"MONDAY","forceScan":true}`

// TestGolden holds the answer of every endpoint, byte for byte but for white space.
func TestGolden(t *testing.T) {
	c := start(t, func(cfg *qualys.Config) { cfg.AWSAccount = "999988887777" })
	c.must(c.control.PutSetting(t.Context(), "qualys.external-id", "fixed"))
	c.prober.answers("", "")
	id := c.create(private("r1", "https://r.example.com", "robot", "p"))
	c.seed("team/app:v1", "team/app:v2", "team/web:v1")
	c.endScan(id, "")
	c.gcpConnector("/registry/gcp/connector", "ccc", account("1131360358474747331", "qualys-cs"))
	acr := c.acr("New ACR connector")["acrConnectorId"]
	ecr, gar := c.create(sampleAWS), c.create(sampleGCAR)
	azure := c.create(`{"registryName":"acr","registryType":"Azure","registryUri":"https://x.azurecr.io","acrRequest":{"connectorId":"` + acr + `"}}`)
	gcp := c.create(`{"registryName":"gcr","registryType":"GCP","registryUri":"https://gcr.io","gcpRequest":{"connectorId":"1131360358474747331","location":"us","projectId":"proj"}}`)
	for _, g := range goldens(id, ecr, azure, gcp, gar, "00000000-0000-4000-8000-000000000014") {
		t.Run(g.name, func(t *testing.T) { golden(t, g.name, c.call(g.method, g.path, g.body)) })
	}
}

// exchange is one request whose answer is a golden file.
type exchange struct{ name, method, path, body string }

// goldens are the requests of the golden files, in their order.
func goldens(id, ecr, azure, gcp, gar, plan string) []exchange {
	image := "/images/" + hexOf(2000)
	return []exchange{
		{"registry_list", "GET", "/registry", ""},
		{"registry_details", "GET", "/registry/" + id, ""},
		{"registry_details_aws", "GET", "/registry/" + ecr, ""},
		{"registry_details_azure", "GET", "/registry/" + azure, ""},
		{"registry_details_gcp", "GET", "/registry/" + gcp, ""},
		{"registry_details_gar", "GET", "/registry/" + gar, ""},
		{"registry_repository", "GET", "/registry/" + id + "/repository", ""},
		{"registry_schedule", "GET", "/registry/" + id + "/schedule", ""},
		{"registry_validate", "POST", "/registry/validate", private("x", "https://x.example.com", "u", "p")},
		{"registry_validate_exists", "POST", "/registry/validate", private("r1", "https://x.example.com", "u", "p")},
		{"registry_create", "POST", "/registry", private("x", "https://x.example.com", "u", "p")},
		{"registry_create_exists", "POST", "/registry", private("x", "https://x.example.com", "u", "p")},
		{"registry_update", "PUT", "/registry/" + id, private("r2", "https://r.example.com", "u", "p")},
		{"schedule_create", "POST", "/registry/" + id + "/schedule", `{"filters":[{"repoTags":[{"repo":"a"}]}]}`},
		{"schedule_create_automatic", "POST", "/registry/" + id + "/schedule", automatic},
		{"schedule_list", "GET", "/registry/" + id + "/schedule?filter=onDemand:false", ""},
		{"schedule_update", "PUT", "/registry/" + id + "/schedule/" + plan, `{"forceScan":false}`},
		{"schedule_cancel_one", "POST", "/registry/" + id + "/schedule/" + plan + "/cancel", ""},
		{"schedule_delete_one", "DELETE", "/registry/" + id + "/schedule/" + plan, ""},
		{"schedule_delete", "DELETE", "/registry/" + id + "/schedule/bulk?filter=status:Finished", ""},
		{"schedule_cancel", "POST", "/registry/" + id + "/schedule/cancel?filter=status:Queued", ""},
		{"registry_delete", "DELETE", "/registry/" + gar, ""},
		{"registry_not_found", "GET", "/registry/none", ""},
		{"aws_base", "GET", "/registry/aws-base", ""},
		{"aws_connectors", "GET", "/registry/aws/connectors", ""},
		{"acr_connectors", "GET", "/registry/acr/connectors", ""},
		{"gcp_connectors", "GET", "/registry/gcp/connectors", ""},
		{"images", "GET", "/images?pageSize=1", ""},
		{"images_list", "GET", "/images/list?limit=1", ""},
		{"image", "GET", image, ""},
		{"image_scan_details", "GET", "/images/list?limit=1&scanDetails=secrets,compliance,malware", ""},
		{"image_vuln", "GET", image + "/vuln", ""},
		{"image_vuln_count", "GET", image + "/vuln/count", ""},
		{"image_software", "GET", image + "/software", ""},
		{"image_association", "GET", image + "/association", ""},
		{"image_associated_registries", "GET", image + "/associatedRegistries", ""},
		{"image_compliance", "GET", image + "/compliance", ""},
		{"image_exceptions", "GET", image + "/exceptions", ""},
		{"image_invalid_sha", "GET", "/images/nginx:latest", ""},
	}
}
