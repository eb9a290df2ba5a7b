package app_test

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/tidewaiter/tidewaiter/emulator"
	"github.com/tidewaiter/tidewaiter/internal/app"
	"github.com/tidewaiter/tidewaiter/internal/connector"
	"github.com/tidewaiter/tidewaiter/internal/connector/connectortest"
	"github.com/tidewaiter/tidewaiter/internal/control"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// hosts are names by which the vendors' APIs know a kind of registry. The emulator goes by them.
var hosts = map[tidewaiter.RegistryKind]string{
	tidewaiter.KindDockerHub: "registry-1.docker.io", tidewaiter.KindECR: "123456789012.dkr.ecr.eu-central-1.amazonaws.com",
	tidewaiter.KindACR: "acme.azurecr.io", tidewaiter.KindGAR: "europe-docker.pkg.dev", tidewaiter.KindGHCR: "ghcr.io",
	tidewaiter.KindIBM: "de.icr.io", tidewaiter.KindOCIR: "fra.ocir.io",
}

// desk is where one registry is declared, over one API.
type desk struct {
	*server
	vendor
	e    *connectortest.Emulated
	kind tidewaiter.RegistryKind
}

// way is an API to declare a registry over. Each of its functions takes the secret to use and returns what is said against
// it, "" for nothing.
type way struct {
	name  string
	kinds func(tidewaiter.RegistryKind) bool
	// validate has the registry asked, or scanned where the API knows no validation.
	validate func(d *desk, t *testing.T, l emulator.Login) string
	declare  func(d *desk, t *testing.T, l emulator.Login)
}

func ways() []way {
	every := func(tidewaiter.RegistryKind) bool { return true }
	return []way{
		{"ours", every, (*desk).validateOurs, (*desk).declareOurs},
		{"prisma", every, (*desk).scanPrisma, (*desk).declarePrisma},
		{"qualys", func(k tidewaiter.RegistryKind) bool { return qualysTypes[k] != "" }, (*desk).validateQualys, (*desk).declareQualys},
	}
}

// TestEveryKindOverEveryAPI declares a registry of each kind over each API that knows it, at the address such a registry
// has: first with a secret that is wrong, then with the right one, and follows it to verdicts.
func TestEveryKindOverEveryAPI(t *testing.T) {
	t.Parallel()
	for _, can := range connector.Kinds() {
		for _, w := range ways() {
			if w.kinds(can.Kind) && !needsEnvironment(can.Kind, w) {
				t.Run(string(can.Kind)+" "+w.name, func(t *testing.T) {
					t.Parallel()
					declareOver(t, can.Kind, w)
				})
			}
		}
	}
}

// needsEnvironment reports whether the login is one of the installation's own, which is what the environment says.
func needsEnvironment(kind tidewaiter.RegistryKind, w way) bool {
	return kind == tidewaiter.KindECR && w.name == "qualys"
}

// TestOwnLoginOverEveryAPI is the part of TestEveryKindOverEveryAPI that changes the environment, and so has to run alone.
func TestOwnLoginOverEveryAPI(t *testing.T) {
	ran := 0
	for _, can := range connector.Kinds() {
		for _, w := range ways() {
			if w.kinds(can.Kind) && needsEnvironment(can.Kind, w) {
				t.Run(string(can.Kind)+" "+w.name, func(t *testing.T) { declareOver(t, can.Kind, w) })
				ran++
			}
		}
	}
	if ran != 1 {
		t.Errorf("%d such logins", ran)
	}
}

func declareOver(t *testing.T, kind tidewaiter.RegistryKind, w way) {
	o := emulator.Options{Repositories: 2, Tags: 3, Indexes: -1, Artifacts: -1, Name: hosts[kind]}
	if kind == tidewaiter.KindECR {
		o.Login.RoleARN = qualysRole
	}
	e := connectortest.Emulate(t, kind, o)
	d := &desk{e: e, kind: kind, server: start(t, app.Config{
		Endpoints: e.Options.Endpoints, Advisories: []string{"127.0.0.1:1/none:1"}, Transport: e.Network(t),
	})}
	d.vendor = vendor{d.URL()}

	said := w.validate(d, t, e.Other)
	if said == "" || strings.Contains(said, e.Wrong.Reveal()) || strings.Contains(said, "connect") {
		t.Errorf("with a wrong secret: %q", said)
	}
	if said := w.validate(d, t, e.Emulator.Login()); said != "" {
		t.Fatalf("with the right one: %q", said)
	}
	w.declare(d, t, e.Emulator.Login())
	registries, _, err := d.control.Registries(t.Context(), control.RegistryFilter{Page: control.Page{Limit: 10}})
	if err != nil || len(registries) != 1 || registries[0].Kind != kind {
		t.Fatalf("%d registries %+v, %v", len(registries), registries, err)
	}
	d.finished(t)
	if scan := d.rescan(t, registries[0]); scan.State != tidewaiter.ScanCompleted || scan.ImagesDone != 6 || scan.ImagesFailed != 0 {
		t.Errorf("%+v", scan)
	}
	for name, row := range d.results(t) {
		if row.Image == nil || row.Image.Judgement == nil {
			t.Errorf("%s is not judged: %q", name, row.Tag.Error)
		}
	}
}

// Ours.

func (d *desk) validateOurs(t *testing.T, l emulator.Login) string {
	r, c, plain := connectortest.DeclaredAs(d.kind, d.e.Emulator, l)
	_, err := d.control.Validate(t.Context(), r, &control.Login{Credential: c, Secret: plain})
	if err == nil {
		return ""
	}
	if kind := tidewaiter.KindOf(err); kind != tidewaiter.ErrAuth && kind != tidewaiter.ErrDenied {
		t.Errorf("refused as %s: %v", kind, err)
	}
	return err.Error()
}

func (d *desk) declareOurs(t *testing.T, l emulator.Login) {
	r, c, plain := connectortest.DeclaredAs(d.kind, d.e.Emulator, l)
	if err := d.control.PutCredential(t.Context(), c, &plain); err != nil {
		t.Fatal(err)
	}
	d.declare(t, r.URL, func(draft *tidewaiter.Registry) {
		draft.Kind, draft.TLS, draft.Settings, draft.CredentialID = r.Kind, r.TLS, r.Settings, c.ID
	})
}

// Prisma's.

// prismaSpecification is how a kind is declared, and prismaCredential what it logs in with.
func (d *desk) prismaSpecification() map[string]any {
	spec := map[string]any{"registry": d.e.Registry.URL, "credentialID": "login", "caCert": d.e.Registry.TLS.CACert, "version": map[tidewaiter.RegistryKind]string{
		tidewaiter.KindOCI: "2", tidewaiter.KindDockerHub: "2", tidewaiter.KindGHCR: "2", tidewaiter.KindOCIR: "2", tidewaiter.KindECR: "aws",
		tidewaiter.KindACR: "azure", tidewaiter.KindGAR: "gcr", tidewaiter.KindArtifactory: "jfrog", tidewaiter.KindNexus: "sonatype",
		tidewaiter.KindQuay: "coreos", tidewaiter.KindHarbor: "harbor", tidewaiter.KindGitLab: "gitlab", tidewaiter.KindOpenShift: "redhat",
		tidewaiter.KindDTR: "dtr", tidewaiter.KindIBM: "bluemix",
	}[d.kind]}
	switch d.kind {
	case tidewaiter.KindDockerHub, tidewaiter.KindGHCR:
		spec["repository"] = "acme/*"
	case tidewaiter.KindGitLab:
		spec["gitlabRegistrySpec"] = map[string]any{"groupIDs": []string{"acme"}}
	}
	return spec
}

func (d *desk) prismaCredential(l emulator.Login) map[string]any {
	_, c, plain := connectortest.DeclaredAs(d.kind, d.e.Emulator, l)
	hidden, token := map[string]any{"plain": plain.Reveal()}, map[string]any{}
	kind := map[tidewaiter.CredentialKind]string{
		tidewaiter.CredentialBasic: "basic", tidewaiter.CredentialAWS: "aws", tidewaiter.CredentialAzure: "azure", tidewaiter.CredentialGCP: "gcp",
		tidewaiter.CredentialOCI: "oci", tidewaiter.CredentialDTR: "dtr", tidewaiter.CredentialIBM: "ibmCloud",
		tidewaiter.CredentialToken: "apiToken", tidewaiter.CredentialGitLab: "gitlabToken",
	}[c.Kind]
	if kind == "ibmCloud" || kind == "apiToken" || kind == "gitlabToken" {
		hidden, token = token, hidden
	}
	return map[string]any{
		"_id": "login", "type": kind, "accountID": c.Username, "secret": hidden, "apiToken": token, "accountGUID": c.Settings["accountGUID"],
		"azureSPInfo": map[string]any{"clientId": c.Settings["clientId"], "tenantId": c.Settings["tenantId"]},
		"ociCred":     map[string]any{"fingerprint": c.Settings["fingerprint"], "tenancyId": c.Settings["tenancyId"]},
	}
}

func (d *desk) declarePrisma(t *testing.T, l emulator.Login) {
	d.write(t, "POST", "/api/v1/credentials", d.prismaCredential(l))
	d.write(t, "PUT", "/api/v1/settings/registry", map[string]any{"specifications": []any{d.prismaSpecification()}})
}

// scanPrisma declares and scans, which is how this API tells whether a login is right.
func (d *desk) scanPrisma(t *testing.T, l emulator.Login) string {
	d.declarePrisma(t, l)
	d.finished(t)
	d.write(t, "POST", "/api/v1/registry/scan", nil)
	d.finished(t)
	var settings struct {
		Specifications []struct{ ScanStatus, ScanError string } `json:"specifications"`
	}
	d.read(t, "/api/v1/settings/registry", &settings)
	if len(settings.Specifications) != 1 {
		t.Fatalf("%+v", settings)
	}
	if spec := settings.Specifications[0]; (spec.ScanStatus == "failed") != (spec.ScanError != "") {
		t.Errorf("%+v", spec)
	}
	return settings.Specifications[0].ScanError
}

// Qualys'.

var qualysTypes = map[tidewaiter.RegistryKind]string{
	tidewaiter.KindOCI: "V2", tidewaiter.KindDockerHub: "DockerHub", tidewaiter.KindECR: "AWS", tidewaiter.KindACR: "Azure",
	tidewaiter.KindGAR: "GOOGLE_ARTIFACT_REGISTRY", tidewaiter.KindArtifactory: "V2_PRIVATE",
}

const qualysRole = "arn:aws:iam::123456789012:role/reader"

// qualysRequest prepares the connector a cloud's registry needs and returns the request that declares the registry.
func (d *desk) qualysRequest(t *testing.T, l emulator.Login) map[string]any {
	t.Helper()
	q := map[string]any{"registryName": "acme", "registryType": qualysTypes[d.kind], "registryUri": d.e.Registry.URL}
	encoded := func(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) }
	switch d.kind {
	case tidewaiter.KindECR: // the installation's own identity takes on a role
		t.Setenv("AWS_ACCESS_KEY_ID", l.AccessKeyID)
		t.Setenv("AWS_SECRET_ACCESS_KEY", l.SecretAccessKey)
		q["aws"] = map[string]any{"accountId": l.Account, "arn": qualysRole, "region": l.Region, "accountType": "Global"}
	case tidewaiter.KindACR:
		connector := map[string]any{"applicationId": l.ClientID, "clientSecret": l.ClientSecret, "name": "azure"}
		q["acrRequest"] = map[string]any{"connectorId": d.connector(t, "/acr/connector", "acrConnectorId", connector)}
	case tidewaiter.KindGAR:
		var file map[string]any
		if err := json.Unmarshal(l.ServiceAccountJSON, &file); err != nil {
			t.Fatal(err)
		}
		q["gcarRequest"] = map[string]any{"connectorId": d.connector(t, "/gcp/connector?name=google", "gcpConnectorId", file), "projectId": l.Project, "registry": "acme"}
	case tidewaiter.KindArtifactory:
		q["credentialType"], q["accessToken"] = "Token", l.Token
	default:
		q["credentialType"] = "BasicAuth"
		q["credential"] = map[string]any{"username": encoded(l.Username), "password": encoded(l.Password)}
	}
	if d.kind == tidewaiter.KindDockerHub {
		q["dockerHubOrgName"] = "acme"
	}
	return q
}

func (d *desk) connector(t *testing.T, path, field string, body any) string {
	t.Helper()
	status, answer := d.call(t, "POST", "/csapi/v1.3/registry"+path, body)
	var made map[string]any
	if err := json.Unmarshal([]byte(answer), &made); status != http.StatusOK || err != nil {
		t.Fatalf("%s: %d %s, %v", path, status, answer, err)
	}
	id, _ := made[field].(string)
	return id
}

func (d *desk) validateQualys(t *testing.T, l emulator.Login) string {
	status, answer := d.call(t, "POST", "/csapi/v1.3/registry/validate", d.qualysRequest(t, l))
	if status == http.StatusOK && answer == "true" {
		return ""
	}
	if status != http.StatusBadRequest {
		t.Errorf("%d %s", status, answer)
	}
	return answer
}

func (d *desk) declareQualys(t *testing.T, l emulator.Login) {
	d.write(t, "POST", "/csapi/v1.3/registry", d.qualysRequest(t, l))
	registries, _, err := d.control.Registries(t.Context(), control.RegistryFilter{Page: control.Page{Limit: 10}})
	if err != nil || len(registries) != 1 {
		t.Fatalf("%d registries, %v", len(registries), err)
	}
	if _, err := d.control.StartScan(t.Context(), registries[0].ID, control.ScanRequest{Lane: tidewaiter.LaneFresh}); err != nil {
		t.Fatal(err)
	}
}
