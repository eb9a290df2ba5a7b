package qualys_test

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tidewaiter/tidewaiter/internal/control"
	"github.com/tidewaiter/tidewaiter/internal/oci"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

func b64(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) }

// private is the body of a private V2 registry.
func private(name, uri, user, password string) string {
	return fmt.Sprintf(`{"registryName":%q,"registryType":"V2_PRIVATE","registryUri":%q,"registryUuid":null,"credentialType":"BasicAuth",
		"credential":{"username":%q,"password":%q}}`, name, uri, b64(user), b64(password))
}

func TestCreateRegistry(t *testing.T) {
	c := start(t)
	id := c.create(private("team-a.v2_1", "https://r.example.com", "robot", "s3cret"))
	r, err := c.control.Registry(t.Context(), id)
	c.must(err)
	if r.Origin != tidewaiter.OriginQualys || r.Name != "team-a.v2_1" || r.URL != "https://r.example.com" || r.Kind != tidewaiter.KindOCI || r.CredentialID != id {
		t.Errorf("%+v", r)
	}
	cred, err := c.control.Credential(t.Context(), id)
	c.must(err)
	plain, err := c.keyring.Open(cred.Sealed, cred.ID)
	c.must(err)
	if cred.Username != "robot" || plain.Reveal() != "s3cret" || cred.Kind != tidewaiter.CredentialBasic {
		t.Errorf("%+v", cred)
	}
	jobs := c.jobs.take()
	if len(jobs) != 1 || jobs[0].Kind != control.JobScan || jobs[0].RegistryID != id {
		t.Errorf("a new registry is to be scanned once: %+v", jobs)
	}
	if strings.Contains(c.call("GET", "/registry/"+id, "").body, "s3cret") || strings.Contains(string(r.Declaration), b64("s3cret")) {
		t.Error("the password is shown")
	}
}

func TestCreateKinds(t *testing.T) {
	c := start(t)
	for _, k := range []struct {
		name, body string
		kind       tidewaiter.RegistryKind
		login      tidewaiter.CredentialKind
		user, pass string
		scope      string
	}{
		{"v2", `{"registryName":"v2","registryType":"V2","registryUri":"https://a.example.com","credentialType":"None"}`, tidewaiter.KindOCI, "", "", "", ""},
		{"label", `{"registryName":"label","registryType":"docker v2-private","registryUri":"b.example.com"}`, tidewaiter.KindOCI, "", "", "", ""},
		{"hub", `{"registryName":"hub","registryType":"DockerHub","registryUri":"https://hub.docker.com/","credentialType":"DockerHub","dockerHubOrgName":"Acme",
			"credential":{"username":"dXNlcg==","password":"cGFzcw"}}`, tidewaiter.KindDockerHub, tidewaiter.CredentialBasic, "user", "pass", "acme/*"},
		{"jfrog", `{"registryName":"jfrog","registryType":"V2_PRIVATE","registryUri":"https://acme.jfrog.io","credentialType":"Token","accessToken":"eyJ.t.s"}`,
			tidewaiter.KindArtifactory, tidewaiter.CredentialToken, "", "eyJ.t.s", ""},
		{"inside", `{"registryName":"inside","registryType":"V2_PRIVATE","registryUri":"https://acme2.jfrog.io","credential":{"username":"dXNlcg==","accessToken":"tok"}}`,
			tidewaiter.KindOCI, tidewaiter.CredentialToken, "user", "tok", ""},
		{"openshift", `{"registryName":"openshift","registryType":"V2_PRIVATE","registryUri":"https://o.example.com","credentialType":"token","credential":{"password":"dG9r"}}`,
			tidewaiter.KindOCI, tidewaiter.CredentialToken, "", "tok", ""},
	} {
		t.Run(k.name, func(t *testing.T) {
			id := c.create(k.body)
			r, err := c.control.Registry(t.Context(), id)
			c.must(err)
			if r.Kind != k.kind || (r.CredentialID != "") != (k.login != "") {
				t.Errorf("%+v", r)
			}
			if scope, _ := r.Scope.Named(); k.scope == "" && len(r.Scope.Select) > 0 || k.scope != "" && (len(r.Scope.Select) != 1 || r.Scope.Select[0].Repository != k.scope) {
				t.Errorf("scope %v %+v", scope, r.Scope)
			}
			if k.login == "" {
				return
			}
			cred, err := c.control.Credential(t.Context(), r.CredentialID)
			c.must(err)
			plain, err := c.keyring.Open(cred.Sealed, cred.ID)
			c.must(err)
			if cred.Kind != k.login || cred.Username != k.user || plain.Reveal() != k.pass {
				t.Errorf("%+v %s", cred, plain.Reveal())
			}
		})
	}
}

func TestNames(t *testing.T) {
	c := start(t)
	v11 := func(uri string) string {
		return want[struct{ RegistryUUID string }](c, 200, "POST", "/csapi/v1.1/registry", `{"registryType":"V2","registryUri":"`+uri+`"}`).RegistryUUID
	}
	first, second := v11("https://r.example.com:5000"), v11("https://r.example.com:5000/path")
	for id, name := range map[string]string{first: "r.example.com-5000", second: "r.example.com-5000-2"} {
		if got := get[map[string]any](c, "/registry/"+id)["registryName"]; got != name {
			t.Errorf("%v, want %s", got, name)
		}
	}
	c.create(private("r1", "https://one.example.com", "u", "p"))
	for _, body := range []string{private("r1", "https://other.example.com", "u", "p"), private("r2", "https://one.example.com/", "u", "p")} {
		a := want[map[string]any](c, http.StatusConflict, "POST", "/registry", body)
		if a["errorCode"] != "409 CONFLICT" || !strings.Contains(a["message"].(string), "already exists") {
			t.Error(a)
		}
	}
	c.create(private("R1", "https://three.example.com", "u", "p")) // case counts
}

func TestUpdate(t *testing.T) {
	c := start(t)
	id := c.create(private("r1", "https://r.example.com", "u", "p1"))
	secretOf := func() (string, string) {
		cred, err := c.control.Credential(t.Context(), id)
		c.must(err)
		plain, err := c.keyring.Open(cred.Sealed, cred.ID)
		c.must(err)
		return cred.Username, plain.Reveal()
	}
	c.jobs.take()
	put := func(body string) {
		t.Helper()
		if got := want[map[string]string](c, 200, "PUT", "/registry/"+id, body); got["registryUuid"] != id {
			t.Error(got)
		}
	}
	put(`{"registryType":"V2_PRIVATE","registryUri":"https://r.example.com","registryName":"renamed"}`)
	if u, p := secretOf(); u != "u" || p != "p1" {
		t.Errorf("an omitted credential is to stay: %s %s", u, p)
	}
	put(`{"registryType":"V2_PRIVATE","registryUri":"https://r.example.com/","credential":{"username":"` + b64("u2") + `","password":"` + b64("p2") + `"}}`)
	if u, p := secretOf(); u != "u2" || p != "p2" {
		t.Errorf("%s %s", u, p)
	}
	if got := get[map[string]any](c, "/registry/"+id); got["registryName"] != "renamed" || got["credential"].(map[string]any)["username"] != "u2" {
		t.Error(got)
	}
	put(`{"registryType":"V2_PRIVATE","registryUri":"https://r.example.com","credentialType":"None"}`)
	if _, err := c.control.Credential(t.Context(), id); tidewaiter.KindOf(err) != tidewaiter.ErrNotFound {
		t.Errorf("the login is not needed any more: %v", err)
	}
	if n := len(c.jobs.take()); n != 0 {
		t.Errorf("%d jobs: an update does not scan", n)
	}
	// POST with the uuid of a registry that exists.
	again := want[map[string]string](c, 200, "POST", "/registry", strings.Replace(private("r3", "https://r.example.com", "u", "p"), "null", `"`+id+`"`, 1))
	if again["registryUuid"] != id || get[map[string]any](c, "/registry/"+id)["registryName"] != "r3" {
		t.Error(again)
	}
	want[map[string]any](c, 404, "POST", "/registry", strings.Replace(private("r4", "https://r4.example.com", "u", "p"), "null", `"no-such"`, 1))
	want[map[string]any](c, 404, "PUT", "/registry/no-such", private("r4", "https://r4.example.com", "u", "p"))
	for _, body := range []string{private("r3", "https://elsewhere.example.com", "u", "p"), `{"registryType":"V2","registryUri":"https://r.example.com"}`} {
		want[map[string]any](c, 400, "PUT", "/registry/"+id, body)
	}
}

func TestDelete(t *testing.T) {
	c := start(t)
	a, b := c.create(private("a", "https://a.example.com", "u", "p")), c.create(private("b", "https://b.example.com", "u", "p"))
	d, e := c.create(private("d", "https://d.example.com", "u", "p")), c.create(private("e", "https://e.example.com", "u", "p"))
	for _, body := range []string{"", "{}", "[]", `{"registryIds":[]}`} {
		want[map[string]any](c, 400, "DELETE", "/registry", body)
	}
	if n := get[struct{ Count int }](c, "/registry").Count; n != 4 {
		t.Fatalf("%d left", n)
	}
	for _, call := range []struct{ path, body string }{
		{"/registry/" + a, ""}, {"/csapi/v1.1/registry/", `["` + b + `"]`}, {"/registry?registryIds=" + d, "{}"}, {"/registry", `{"registryIds":["` + e + `"]}`},
	} {
		if job := want[map[string]string](c, 200, "DELETE", call.path, call.body)["deletionJobId"]; len(job) != 36 {
			t.Errorf("job %q", job)
		}
	}
	want[map[string]any](c, 404, "GET", "/registry/"+a, "")
	want[map[string]any](c, 404, "DELETE", "/registry/"+a, "")
	if creds, _, err := c.control.Credentials(t.Context(), control.CredentialFilter{}); err != nil || len(creds) != 0 {
		t.Errorf("%v %v: logins go with their registries", creds, err)
	}
}

func TestDeleteIsRefusedWhileScanning(t *testing.T) {
	c := start(t)
	id := c.create(private("a", "https://a.example.com", "u", "p"))
	c.setScan(id, tidewaiter.ScanScanning)
	want[map[string]any](c, http.StatusConflict, "DELETE", "/registry/"+id, "")
	c.setScan(id, tidewaiter.ScanCompleted)
	want[map[string]any](c, http.StatusOK, "DELETE", "/registry/"+id, "")
}

func TestOthersRegistriesAreReadOnly(t *testing.T) {
	c := start(t)
	r, err := c.control.AddRegistry(t.Context(), &tidewaiter.Registry{Kind: tidewaiter.KindOCI, URL: "https://p.example.com", Origin: tidewaiter.OriginPrisma}, false)
	c.must(err)
	got := get[map[string]any](c, "/registry/"+r.ID)
	if got["registryName"] != "p.example.com" || got["registryType"] != "V2" {
		t.Error(got)
	}
	want[map[string]any](c, http.StatusConflict, "DELETE", "/registry/"+r.ID, "")
	want[map[string]any](c, http.StatusConflict, "PUT", "/registry/"+r.ID, private("x", "https://p.example.com", "u", "p"))
}

func TestValidate(t *testing.T) {
	c := start(t)
	c.prober.answers("", "")
	id := c.create(private("r1", "https://r.example.com", "robot", "s3cret"))
	body := private("new", "https://new.example.com", "u", "p")
	if a := c.call("POST", "/registry/validate", body); a.status != 200 || a.body != "true" {
		t.Errorf("%+v", a)
	}
	if c.prober.secret != "p" || c.prober.login.Username != "u" || c.prober.registry.URL != "https://new.example.com" {
		t.Errorf("%+v", c.prober)
	}
	// The registry itself may be validated again, also with the login that is stored.
	if a := c.call("POST", "/registry/validate", `{"registryName":"r1","registryType":"V2_PRIVATE","registryUri":"https://r.example.com","registryUuid":"`+id+`"}`); a.body != "true" || c.prober.secret != "s3cret" {
		t.Errorf("%+v %+v", a, c.prober)
	}
	for _, bad := range []struct{ body, says string }{
		{private("r1", "https://x.example.com", "u", "p"), "already exists"},
		{private("x", "https://r.example.com", "u", "p"), "already exists"},
		{`{"registryName":"r1","registryType":"V2_PRIVATE","registryUri":"https://evil.example.com","registryUuid":"` + id + `"}`, "cannot be changed"},
		{`{"registryName":"z","registryType":"Azure","registryUri":"https://x.azurecr.io","acrRequest":{"connectorId":"nope"}}`, "there is no connector nope"},
		{`{"registryName":"z","registryType":"V2"}`, "registryUri"},
	} {
		c.prober.secret = ""
		a := want[map[string]any](c, 400, "POST", "/registry/validate", bad.body)
		if a["errorCode"] != "400 BAD REQUEST" || !strings.Contains(a["message"].(string), bad.says) || c.prober.secret != "" {
			t.Errorf("%v, want %q", a, bad.says)
		}
	}
	for kind, says := range map[tidewaiter.ErrorKind]string{
		tidewaiter.ErrAuth: "new.example.com refused the login (check the user name and what goes with it, and whether it has expired)", tidewaiter.ErrUnreachable: "no such host", tidewaiter.ErrTLS: "no such host",
		tidewaiter.ErrLimit: "no such host", tidewaiter.ErrTransient: "no such host",
	} {
		c.prober.answers(kind, "no such host")
		if a := want[map[string]any](c, 400, "POST", "/registry/validate", body); a["message"] != says {
			t.Errorf("%s: %v", kind, a)
		}
	}
}

// TestValidateSaysWhoDenies holds that an address we must not connect to is not taken for a registry that lets nobody in.
func TestValidateSaysWhoDenies(t *testing.T) {
	c := start(t)
	for step, says := range map[string]string{"connect": "link-local address", "list": "does not let it list or pull"} {
		c.prober.steps = []oci.Step{{Name: step, Kind: tidewaiter.ErrDenied, Error: "connecting to the link-local address 169.254.169.254 is not allowed"}}
		a := want[map[string]any](c, 400, "POST", "/registry/validate", `{"registryName":"x","registryType":"V2","registryUri":"http://169.254.169.254"}`)
		if !strings.Contains(a["message"].(string), says) {
			t.Errorf("%s: %v", step, a)
		}
	}
}

func TestRegistryList(t *testing.T) {
	c := start(t)
	if a := c.call("GET", "/registry", ""); a.status != 200 || a.body != `{"data":[],"count":0}` {
		t.Errorf("%+v", a)
	}
	for i := range 5 {
		c.create(private(fmt.Sprintf("r%d", i), fmt.Sprintf("https://r%d.example.com", i), "u", "p"))
	}
	names := func(query string) []string {
		t.Helper()
		var out []string
		for _, r := range get[struct {
			Data []struct{ RegistryName string }
		}](c, "/registry?"+query).Data {
			out = append(out, r.RegistryName)
		}
		return out
	}
	for query, want := range map[string][]string{
		"":                                  {"r0", "r1", "r2", "r3", "r4"},
		"pageSize=2&pageNo=2":               {"r2", "r3"},
		"pageSize=2&pageNumber=3":           {"r4"},
		"pageSize=2&pageNumber=0":           {"r0", "r1"},
		"sort=registryName:desc&pageSize=2": {"r4", "r3"},
		"filter=registryUri:%22https://r3.example.com%22":                  {"r3"},
		"filter=registryUri:%22https://R3.example.com/%22":                 {"r3"},
		"filter=registryUri%253A%2522https%253A//r2.example.com%2522":      {"r2"}, // encoded twice
		"filter=registryName:r1+OR+registryName:r2&sort=registryName:desc": {"r2", "r1"},
		"filter=not+registryName:[r1,r2]+and+registryType:V2_PRIVATE":      {"r0", "r3", "r4"},
		"filter=created:[now-7d+..+now]&pageSize=1":                        {"r0"},
		"filter=registryUri:*example*&pageSize=1&pageNumber=5":             {"r4"},
	} {
		if diff := cmp.Diff(want, names(query)); diff != "" {
			t.Errorf("%s: %s", query, diff)
		}
	}
	if a := c.call("GET", "/registry?filter=registryUri:%22https://none.example.com%22", ""); a.status != 204 || a.body != "" {
		t.Errorf("%+v", a)
	}
}
