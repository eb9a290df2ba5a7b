package qualys_test

import (
	"bytes"
	"encoding/json"
	"mime/multipart"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// The samples of the vendor's documents, one test each, named after the document's heading.

const (
	sampleAWS = `{"aws": {"accountId":"383031258652", "arn":"arn:aws:iam::383031258652:role/testabcd", "region":"us-east-2", "accountType":"Global"},
		"credentialType":"AWS", "registryName":"AWSregistry", "registryType":"AWS", "registryUri":"https://383031258652.dkr.ecr.us-east-2.amazonaws.com"}`
	sampleGCAR = `{"gcarRequest":{"connectorId":"1131360358474747331","projectId":"qualys-cs","registry":"cstest"},"credentialType":"GCP",
		"registryName":"GOOGLE_ARTIFACT_REGISTRY","registryType":"GOOGLE_ARTIFACT_REGISTRY","registryUri":"https://us-central1-docker.pkg.dev","registryUuid": null}`
	sampleGCARv11 = `{"gcarRequest":{"connectorId":"1131360358474747331","projectId":"qualys-cs","registry":"cstest"},"credentialType":"GCP",
		"registryType":"GOOGLE_ARTIFACT_REGISTRY","registryUri":"https://us-central1-docker.pkg.dev","registryUuid": null}`
)

func account(clientID, projectID string) string {
	return `{"type":"service_account","project_id":"` + projectID + `","client_id":"` + clientID +
		`","client_email":"sa@` + projectID + `.iam.gserviceaccount.com","private_key":"-----BEGIN PRIVATE KEY-----\nc2VjcmV0\n-----END PRIVATE KEY-----\n"}`
}

// gcpConnector creates a connector as a form.
func (c *console) gcpConnector(path, name, file string) answer {
	c.Helper()
	var body bytes.Buffer
	form := multipart.NewWriter(&body)
	part, err := form.CreateFormFile("serviceAccountJson", "sa.json")
	c.must(err)
	_, err = part.Write([]byte(file))
	c.must(err)
	c.must(form.Close())
	return c.call("POST", path+"?"+url.Values{"name": {name}, "description": {"This is a new connector for GCR"}}.Encode(), body.String(),
		header("Content-Type", form.FormDataContentType()))
}

func TestSample_CreateRegistry_AWS(t *testing.T) {
	c := start(t)
	id := c.create(sampleAWS)
	if len(id) != 36 {
		t.Errorf("uuid %q", id)
	}
	r, err := c.control.Registry(t.Context(), id)
	c.must(err)
	cred, err := c.control.Credential(t.Context(), r.CredentialID)
	c.must(err)
	if r.Kind != tidewaiter.KindECR || cred.Kind != tidewaiter.CredentialAWS || cred.Settings["roleArn"] != "arn:aws:iam::383031258652:role/testabcd" || r.Settings["region"] != "us-east-2" {
		t.Errorf("%+v %+v", r, cred)
	}
	listed := get[struct{ Data []map[string]any }](c, "/registry").Data[0]
	if listed["awsAccountId"] != "383031258652" || listed["awsRegion"] != "us-east-2" || listed["providerType"] != "AWS" {
		t.Errorf("%v", listed)
	}
}

func TestSample_CreateRegistry_GCAR(t *testing.T) {
	c := start(t)
	if a := c.gcpConnector("/registry/gcp/connector", "ccc", account("1131360358474747331", "qualys-cs")); a.status != 200 {
		t.Fatalf("%+v", a)
	}
	id := c.create(sampleGCAR)
	r, err := c.control.Registry(t.Context(), id)
	c.must(err)
	if r.Kind != tidewaiter.KindGAR || r.CredentialID != "1131360358474747331" || r.Scope.Select[0].Repository != "qualys-cs/cstest/*" {
		t.Errorf("%+v", r)
	}
	c.must(c.control.DeleteRegistries(t.Context(), id))
	if _, err := c.control.Credential(t.Context(), "1131360358474747331"); err != nil {
		t.Errorf("a connector outlives its registries: %v", err)
	}
}

func TestSample_ValidateRegistryParameters(t *testing.T) {
	c := start(t)
	c.prober.answers("", "")
	if a := c.call("POST", "/registry/validate", sampleAWS); a.status != 200 || a.body != "true" {
		t.Errorf("%+v", a)
	}
	if c.prober.registry.Kind != tidewaiter.KindECR || c.prober.login.Settings["roleArn"] == "" {
		t.Errorf("the registry was not asked: %+v", c.prober)
	}
	if _, err := c.control.Credential(t.Context(), "arn:aws:iam::383031258652:role/testabcd"); tidewaiter.KindOf(err) != tidewaiter.ErrNotFound {
		t.Errorf("a validation stores nothing: %v", err)
	}
	c.prober.answers(tidewaiter.ErrInvalid, "a credential of kind aws cannot log in to a registry of kind ecr")
	if a := want[map[string]any](c, 400, "POST", "/registry/validate", sampleAWS); a["message"] != "a credential of kind aws cannot log in to a registry of kind ecr" {
		t.Errorf("what cannot be done yet is said: %v", a)
	}
}

func TestSample_FetchAListOfACRConnectors(t *testing.T) {
	c := start(t)
	if a := c.call("GET", "/csapi/v1.1/registry/acr/connectors", ""); a.status != 200 || a.body != "[]" {
		t.Errorf("%+v", a)
	}
	first, second := c.acr("New ACR connector"), c.acr("New ACR connector 2")
	var ids []string
	for _, l := range want[[]map[string]string](c, 200, "GET", "/csapi/v1.1/registry/acr/connectors", "") {
		if l["description"] != "This is a new connector for ACR" || strings.Contains(l["name"], "Q]_") {
			t.Errorf("%v", l)
		}
		ids = append(ids, l["acrConnectorId"])
	}
	if diff := cmp.Diff([]string{first["acrConnectorId"], second["acrConnectorId"]}, ids); diff != "" {
		t.Error(diff)
	}
}

// acr creates a connector as the document does.
func (c *console) acr(name string) map[string]string {
	c.Helper()
	body := `{"applicationId":"66f9c9bf-9b04-4631-bb64-d0abfa44e6f6","clientSecret":"Q]_RHUUGbgtCgQd8DWS8U6UJl8sTqK]=","description":"This is a new connector for ACR","name":"` + name + `"}`
	return want[map[string]string](c, 200, "POST", "/csapi/v1.1/registry/acr/connector", body)
}

func TestSample_CreateANewACRConnector(t *testing.T) {
	c := start(t)
	made := c.acr("New ACR connector 4")
	if made["name"] != "New ACR connector 4" || made["description"] != "This is a new connector for ACR" || len(made["acrConnectorId"]) != 36 {
		t.Errorf("%v", made)
	}
	cred, err := c.control.Credential(t.Context(), made["acrConnectorId"])
	c.must(err)
	plain, err := c.keyring.Open(cred.Sealed, cred.ID)
	c.must(err)
	if plain.Reveal() != "Q]_RHUUGbgtCgQd8DWS8U6UJl8sTqK]=" {
		t.Errorf("%q", plain.Reveal())
	}
}

func TestSample_FetchACRConnectorDetails(t *testing.T) {
	c := start(t)
	made := c.acr("New ACR connector 4")
	if diff := cmp.Diff(made, want[map[string]string](c, 200, "GET", "/csapi/v1.1/registry/acr/connector/"+made["acrConnectorId"], "")); diff != "" {
		t.Error(diff)
	}
	want[map[string]any](c, 404, "GET", "/csapi/v1.1/registry/acr/connector/66f9c9bf-9b04-4631-bb64-d0abfa44e6f6", "")
}

// bothSpellings runs the samples of GCR connectors, whose paths one document spells in two ways.
func bothSpellings(t *testing.T, run func(c *console, connector string)) {
	for _, spelling := range []string{"gcp", "gcr"} {
		t.Run(spelling, func(t *testing.T) { run(start(t), "/csapi/v1.1/registry/"+spelling+"/connector") })
	}
}

var sampleGCR = map[string]string{"name": "New GCR connector", "description": "This is a new connector for GCR",
	"gcpConnectorId": "104702225660035614490", "gcpProjectId": "my-second-project-239110"}

func TestSample_FetchAListOfGCRConnectors(t *testing.T) {
	bothSpellings(t, func(c *console, connector string) {
		c.gcpConnector(connector, "New GCR connector", account("104702225660035614490", "my-second-project-239110"))
		c.gcpConnector(connector, "New GCR connector 2", account("107686475468845834251", "my-second-project-239110"))
		second := map[string]string{"name": "New GCR connector 2", "description": "This is a new connector for GCR",
			"gcpConnectorId": "107686475468845834251", "gcpProjectId": "my-second-project-239110"}
		if diff := cmp.Diff([]map[string]string{sampleGCR, second}, want[[]map[string]string](c, 200, "GET", connector+"s", "")); diff != "" {
			c.Error(diff)
		}
	})
}

func TestSample_FetchGCRConnectorDetails(t *testing.T) {
	bothSpellings(t, func(c *console, connector string) {
		c.gcpConnector(connector, "New GCR connector", account("104702225660035614490", "my-second-project-239110"))
		if diff := cmp.Diff(sampleGCR, want[map[string]string](c, 200, "GET", connector+"/104702225660035614490", "")); diff != "" {
			c.Error(diff)
		}
	})
}

func TestSample_CreateANewGCRConnector(t *testing.T) {
	bothSpellings(t, func(c *console, connector string) {
		a := c.gcpConnector(connector, "New GCR connector", account("104702225660035614490", "my-second-project-239110"))
		var made map[string]string
		if a.status != 200 || json.Unmarshal([]byte(a.body), &made) != nil || !cmp.Equal(made, sampleGCR) {
			c.Errorf("%+v", a)
		}
		// As printed, the sample sends no file.
		without := want[map[string]any](c, 400, "POST", connector+"?name=New%20GCR%20connector", "", header("Content-Type", "multipart/form-data"))
		if without["message"] != "the form cannot be read" {
			c.Errorf("%v", without)
		}
	})
}

func TestSample_CreateRegistryWithACRConnector(t *testing.T) {
	c := start(t)
	connector := c.acr("New ACR connector")["acrConnectorId"]
	body := `{"acrRequest":{"connectorId":"` + connector + `"},"credentialType":"Azure","registryType":"Azure","registryUri":"https://cmsreadonly.azurecr.io","registryUuid":null}`
	id := want[map[string]string](c, 200, "POST", "/csapi/v1.1/registry", body)["registryUuid"]
	got := get[map[string]any](c, "/registry/"+id)
	if acr := got["acr"].(map[string]any); acr["acrConnectorId"] != connector || got["registryName"] != "cmsreadonly.azurecr.io" || got["providerType"] != nil {
		t.Errorf("%v", got)
	}
	// The document's own connector is unknown here.
	a := want[map[string]any](c, 400, "POST", "/csapi/v1.1/registry", strings.ReplaceAll(strings.ReplaceAll(body, connector, "b360d1a8-c4c3-43ab-8e5b-7f6b61982896"), "cmsreadonly", "other"))
	if !strings.Contains(a["message"].(string), "there is no connector b360d1a8") {
		t.Errorf("%v", a)
	}
}

// TestSample_InputFormatOfSwagger sends the block of all parameters: what is not for the type is ignored.
func TestSample_InputFormatOfSwagger(t *testing.T) {
	c := start(t)
	body := `{"acrRequest":{"connectorId":"string"},"aws":{"accountId":"string","arn":"string","region":"string"},
		"credential":{"password":"string","username":"string"},"credentialType":"None","dockerHubOrgName":"",
		"gcpRequest":{"connectorId":"string","location":"string","projectId":"string"},"registryType":"V2_PRIVATE",
		"registryUri":"https://swagger.example.com","registryUuid":""}`
	id := want[map[string]string](c, 200, "POST", "/csapi/v1.1/registry", body)["registryUuid"]
	if got := get[map[string]any](c, "/registry/"+id); got["aws"] != nil || got["credential"].(map[string]any)["username"] != nil {
		t.Errorf("%v", got)
	}
}

func TestSample_CreateUpdateGoogleArtifactRegistry(t *testing.T) {
	c := start(t)
	c.gcpConnector("/registry/gcp/connector", "ccc", account("1131360358474747331", "qualys-cs"))
	id := want[map[string]string](c, 200, "POST", "/csapi/v1.1/registry", sampleGCARv11)["registryUuid"]
	// "You can create, update": the same again with the uuid.
	changed := strings.NewReplacer("null", `"`+id+`"`, "cstest", "other").Replace(sampleGCARv11)
	if got := want[map[string]string](c, 200, "POST", "/csapi/v1.1/registry", changed)["registryUuid"]; got != id {
		t.Errorf("%s, want %s", got, id)
	}
	if gcar := get[map[string]any](c, "/registry/"+id)["gcar"].(map[string]any); gcar["gcpRegistry"] != "other" {
		t.Errorf("%v", gcar)
	}
}

func TestSample_ValidateGoogleArtifactRegistry(t *testing.T) {
	c := start(t)
	c.prober.answers("", "")
	c.gcpConnector("/registry/gcp/connector", "ccc", account("1131360358474747331", "qualys-cs"))
	id := want[map[string]string](c, 200, "POST", "/csapi/v1.1/registry", sampleGCARv11)["registryUuid"]
	a := c.call("POST", "/csapi/v1.1/registry/validate", strings.Replace(sampleGCARv11, "null", `"`+id+`"`, 1))
	if a.status != 200 || a.body != "true" || !strings.Contains(c.prober.secret, "PRIVATE KEY") {
		t.Errorf("%+v", a)
	}
	want[map[string]any](c, 400, "POST", "/csapi/v1.1/registry/validate", sampleGCARv11) // it exists already
}

func TestSample_FetchDetailsForGoogleArtifactRegistry(t *testing.T) {
	c := start(t)
	c.gcpConnector("/registry/gcp/connector", "ccc", account("1131360358474747331", "qualys-cs"))
	id := want[map[string]string](c, 200, "POST", "/csapi/v1.1/registry", sampleGCARv11)["registryUuid"]
	got := want[map[string]any](c, 200, "GET", "/csapi/v1.1/registry/"+id, "", header("Accept", "application/json"))
	expected := map[string]any{
		"registryUuid": id, "registryUri": "https://us-central1-docker.pkg.dev", "registryType": "GOOGLE_ARTIFACT_REGISTRY", "repoCount": 0.0,
		"totalImages": 0.0, "totalScannedImages": 0.0, "totalVulnerableImages": 0.0, "created": "1795176000000", "updated": "1795176000000",
		"lastScanned": nil, "dockerHubOrg": nil, "providerType": nil, "aws": nil, "credential": map[string]any{"username": nil}, "connectors": nil,
		"gcar": map[string]any{"name": "ccc", "description": "This is a new connector for GCR", "gcpConnectorId": "1131360358474747331",
			"gcpProjectId": "qualys-cs", "gcpRegistry": "cstest"},
		"gcp": nil, "acr": nil,
		"scheduleStatusList": map[string]any{"Queued": 1.0}, // ours: the scan that creation starts
		"registryName":       "us-central1-docker.pkg.dev",  // ours: the sample has none
	}
	if diff := cmp.Diff(expected, got); diff != "" {
		t.Error(diff)
	}
}

// TestSample_Authentication sends what the documents' headers hold.
func TestSample_Authentication(t *testing.T) {
	c := start(t)
	if a := c.call("GET", "/csapi/v1.1/registry", "", header("Authorization", "Basic VVNFUk5BTUU6UEFTU1dPUkQ=")); a.status != http.StatusUnauthorized {
		t.Errorf("USERNAME:PASSWORD is nobody: %+v", a)
	}
	if a := c.call("GET", "/csapi/v1.3/registry", "", header("Authorization", "Bearer <token>")); a.status != http.StatusUnauthorized {
		t.Errorf("%+v", a)
	}
}
