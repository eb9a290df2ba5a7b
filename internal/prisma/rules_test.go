package prisma_test

// The ten rules that decide whether existing clients go on working; see README.md, "Ten rules".

import (
	"encoding/json"
	"maps"
	"net/http"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestRule01WritesAnswer200WithAnEmptyBody(t *testing.T) {
	c := start(t)
	for _, w := range [][3]string{
		{"POST", "/credentials", `{"_id":"one","type":"basic","accountID":"u","secret":{"plain":"p"}}`},
		{"PUT", "/settings/registry", `{"specifications":[{"version":"2","repository":"library/alpine","credentialID":"one"}]}`},
		{"POST", "/settings/registry", `{"version":"2","registry":"r.example.com"}`},
		{"PUT", "/settings/registry", `{}`},
		{"DELETE", "/credentials/one", ``},
		{"POST", "/settings/scan", `{"registryScanPeriodMs":3600000}`},
		{"POST", "/collections", `{"name":"mine"}`},
		{"PUT", "/collections/mine", `{"images":["a*"]}`},
		{"PUT", "/policies/vulnerability/images", `{"rules":[{"name":"r","collections":[{"name":"All"}]}]}`},
		{"PUT", "/policies/compliance/container", `{}`},
		{"PUT", "/policies/compliance/images", `{}`},
		{"DELETE", "/collections/mine", ``},
		{"POST", "/registry/scan", ``},
		{"POST", "/registry/stop", ``},
	} {
		a := c.call(w[0], w[1], w[2])
		if a.status != http.StatusOK || a.body != "" || a.header.Get("Content-Length") != "0" {
			t.Errorf("%s %s: %d %q", w[0], w[1], a.status, a.body)
		}
	}
}

func TestRule02ErrorsAreJSONWithErr(t *testing.T) {
	c := start(t)
	for _, w := range [][3]string{
		{"GET", "/nowhere", ""},
		{"PATCH", "/settings/registry", ""},
		{"PUT", "/settings/registry", "{"},
		{"DELETE", "/credentials/none", ""},
		{"GET", "/collections/none/usages", ""},
		{"GET", "/api/latest/registry", ""},
		{"GET", "/api/", ""},
		{"GET", "/registry?limit=x", ""},
	} {
		a := c.call(w[0], w[1], w[2])
		var body map[string]string
		if err := json.Unmarshal([]byte(a.body), &body); err != nil || body["err"] == "" || len(body) != 1 || a.status < 400 {
			t.Errorf("%s %s: %d %q", w[0], w[1], a.status, a.body)
		}
		if got := a.header.Get("Content-Type"); got != "application/json" {
			t.Errorf("%s %s: Content-Type %q", w[0], w[1], got)
		}
	}
	a := c.call("PUT", "/settings/registry", `{"specifications":[{"version":"2","credentialID":"nope"}]}`)
	if a.status != 400 || a.body != `{"err":"credential \u003cnope\u003e was not found "}` {
		t.Errorf("unknown credential: %d %s", a.status, a.body)
	}
}

func TestRule03EveryVersionIsServedAlike(t *testing.T) {
	c := start(t)
	c.ok("PUT", "/settings/registry?scanLater=true", `{"specifications":[{"version":"2"}]}`)
	want := c.call("GET", "/api/v1/settings/registry", "").body
	for _, version := range []string{"v22.12", "v30.00", "v32.07", "v34.03", "v99.99", "v34.04.142"} {
		if a := c.call("GET", "/api/"+version+"/settings/registry", ""); a.status != 200 || a.body != want {
			t.Errorf("%s: %d %s", version, a.status, a.body)
		}
	}
	for _, version := range []string{"v", "32.07", "vx", "v1.", "v1.2.3.4", "v1;x"} {
		if a := c.call("GET", "/api/"+version+"/settings/registry", ""); a.status != 404 {
			t.Errorf("%s: %d", version, a.status)
		}
	}
}

func TestRule04BasicAndBearerAndAuthenticateIgnoresBoth(t *testing.T) {
	c := start(t)
	login := `{"username":"admin","password":"` + password + `"}`
	for _, h := range []string{"", "Bearer", "Bearer ", "Bearer rubbish", "Basic rubbish", "Negotiate x"} {
		a := c.call("POST", "/authenticate?project=Central+Console", login, header("Authorization", h))
		var got struct{ Token string }
		if err := json.Unmarshal([]byte(a.body), &got); err != nil || a.status != 200 || got.Token == "" {
			t.Errorf("authenticate with Authorization %q: %d %s", h, a.status, a.body)
			continue
		}
		if a := c.call("GET", "/version", "", header("Authorization", "Bearer "+got.Token)); a.status != 200 || a.body != `"32.07.100"` {
			t.Errorf("with the token: %d %s", a.status, a.body)
		}
		renewed := c.call("GET", "/authenticate/renew", "", header("Authorization", "Bearer "+got.Token))
		if renewed.status != 200 || !strings.Contains(renewed.body, `"token":"`) {
			t.Errorf("renew: %d %s", renewed.status, renewed.body)
		}
		if a := c.call("POST", "/authenticate", `{"token":"`+got.Token+`"}`, header("Authorization", h)); a.status != 200 {
			t.Errorf("token for token: %d %s", a.status, a.body)
		}
	}
	if a := c.call("GET", "/version", ""); a.status != 200 {
		t.Errorf("Basic: %d", a.status)
	}
	for _, h := range []string{"", "Bearer", "Bearer x.y.z", "Basic x"} {
		if a := c.call("GET", "/settings/registry", "", header("Authorization", h)); a.status != 401 || !strings.Contains(a.body, `"err":`) {
			t.Errorf("Authorization %q: %d %s", h, a.status, a.body)
		}
	}
	if a := c.call("GET", "/_ping", "", header("Authorization", "")); a.status != 200 {
		t.Errorf("_ping: %d", a.status)
	}
}

func TestRule05UnknownParametersAndFieldsAreIgnoredAndNamesReadInAnyCase(t *testing.T) {
	c := start(t)
	c.ok("POST", "/credentials?project=Central+Console&x=y", `{"_ID":"one","Type":"basic","ACCOUNTID":"u","secret":{"Plain":"p"},"newField":{"a":[1]}}`)
	c.ok("PUT", "/settings/registry?project=Central+Console&whatever", `{"comment":1,"Specifications":[{"VERSION":"2","credentialId":"one",
		"hostname":"x","serviceAccount":"y","errors":[{}]}]}`)
	if got := c.specs()[0]["credentialID"]; got != "one" {
		t.Errorf("credentialId was read as %v", got)
	}
	if a := c.call("GET", "/registry?project=Central+Console&cursor=1&foo[]=x", ""); a.status != 200 {
		t.Errorf("unknown parameters: %d %s", a.status, a.body)
	}
}

func TestRule06BodiesAreJSONWhateverTheirType(t *testing.T) {
	c := start(t)
	for _, kind := range []string{"", "text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"} {
		a := c.call("PUT", "/settings/registry", `{"specifications":[{"version":"2"}]}`, header("Content-Type", kind))
		if a.status != 200 || len(c.specs()) != 1 {
			t.Errorf("Content-Type %q: %d %s", kind, a.status, a.body)
		}
		if a := c.call("POST", "/registry/scan", "", header("Content-Type", kind)); a.status != 200 {
			t.Errorf("scan without a body, Content-Type %q: %d %s", kind, a.status, a.body)
		}
		if a := c.call("PUT", "/settings/registry", "", header("Content-Type", kind)); a.status != 200 || len(c.specs()) != 0 {
			t.Errorf("erase without a body, Content-Type %q: %d %s", kind, a.status, a.body)
		}
	}
}

func TestRule07EmptyListsAreNull(t *testing.T) {
	c := start(t)
	for _, path := range []string{"/registry", "/registry?compact=true&limit=5", "/registry/names", "/credentials/IAM%20Role/usages"} {
		if a := c.call("GET", path, ""); a.status != 200 || a.body != "null" {
			t.Errorf("%s: %d %s", path, a.status, a.body)
		}
	}
}

func TestRule08PagesAndTotalCount(t *testing.T) {
	c := start(t)
	c.ok("PUT", "/settings/registry?scanLater=true", `{"specifications":[{"version":"2","registry":"r.example.com"}]}`)
	names := make([]string, 260)
	for i := range names {
		names[i] = "app/n" + strings.Repeat("x", i%3) + ":" + string(rune('a'+i%26)) + strings.Repeat("z", i/26)
	}
	c.seed(names...)
	for query, want := range map[string]int{"": 50, "?limit=7": 7, "?limit=250": 250, "?limit=1000": 250, "?limit=0": 0, "?offset=250": 10,
		"?offset=250&limit=5": 5, "?offset=300": 0, "?filterBaseImage=true?limit=7&offset=50": 50} {
		a := c.call("GET", "/registry"+query+sep(query)+"compact=true", "")
		var list []json.RawMessage
		if err := json.Unmarshal([]byte(a.body), &list); err != nil || len(list) != want || a.header.Get("Total-Count") != "260" {
			t.Errorf("%q: %d of %s, want %d of 260 (%v)", query, len(list), a.header.Get("Total-Count"), want, err)
		}
	}
	seen := map[string]bool{}
	for offset := 0; offset < 260; offset += 50 {
		for _, name := range get[[]string](c, "/registry/names?offset="+strconv.Itoa(offset)) {
			seen[name] = true
		}
	}
	if len(seen) != 260 {
		t.Errorf("paging showed %d of 260 names", len(seen))
	}
	for _, path := range []string{"/settings/registry", "/credentials", "/collections", "/settings/scan", "/statuses/registry", "/registry/progress"} {
		if _, there := c.call("GET", path, "").header["Total-Count"]; there {
			t.Errorf("%s has a Total-Count", path)
		}
	}
}

func sep(query string) string {
	if query == "" {
		return "?"
	}
	return "&"
}

func TestRule09NothingTheCallerDidNotSendBecomesVisible(t *testing.T) {
	c := start(t)
	sent := []string{
		`{"version":"2","registry":"z.example.com"}`, `{"version":"aws","registry":"a.example.com","cap":5,"os":"linux"}`,
		`{"version":"2","registry":"m.example.com","collections":["All"],"scanners":2,"tag":"v1","namespace":"n"}`,
	}
	c.ok("PUT", "/settings/registry?scanLater=true", `{"specifications":[`+strings.Join(sent, ",")+`]}`)
	for i, spec := range c.specs() {
		want := map[string]any{"os": "", "scanners": 0.0, "cap": 0.0, "collections": []any{}, "tag": "", "namespace": "", "repository": "",
			"versionPattern": "", "credentialID": "", "harborDeploymentSecurity": false}
		maps.Copy(want, fields(t, sent[i]))
		for name, value := range want {
			if diff := cmp.Diff(value, spec[name]); diff != "" {
				t.Errorf("%s of %d: %s", name, i, diff)
			}
		}
		for _, name := range []string{"excludedRepositories", "excludedTags", "jfrogRepoTypes", "caCert", "gitlabRegistrySpec", "azureCloudMetadata"} {
			if value, there := spec[name]; there {
				t.Errorf("%s of %d was not sent and is %v", name, i, value)
			}
		}
	}
}

func TestRule10SecretsNeverComeBack(t *testing.T) {
	c := start(t)
	const plain = "Tr0ub4dor-and-3"
	c.ok("POST", "/credentials", `{"_id":"one","type":"basic","accountID":"u","secret":{"plain":"`+plain+`"}}`)
	c.ok("PUT", "/settings/registry?scanLater=true", `{"specifications":[{"version":"2","credentialID":"one"}]}`)
	for _, path := range []string{"/credentials", "/settings/registry"} {
		if a := c.call("GET", path, ""); strings.Contains(a.body, plain) || strings.Contains(a.body, `"plain"`) {
			t.Errorf("%s shows the secret: %s", path, a.body)
		}
	}
	if secret := c.specs()[0]["credential"].(map[string]any)["secret"].(map[string]any)["encrypted"]; secret != "" {
		t.Errorf("a specification shows the encrypted secret %v", secret)
	}
	shown := get[[]json.RawMessage](c, "/credentials?ids=one")[0]
	if got := c.reveal("one"); got != plain {
		t.Fatalf("stored %q", got)
	}
	c.ok("POST", "/credentials", string(shown))
	if got := c.reveal("one"); got != plain {
		t.Errorf("after a round trip the secret is %q", got)
	}
	if strings.Contains(c.log.String(), plain) {
		t.Error("the log holds the secret")
	}
}

// reveal opens a stored credential's secret.
func (c *console) reveal(id string) string {
	c.Helper()
	cred, err := c.control.Credential(c.Context(), id)
	c.must(err)
	v, err := c.keyring.Open(cred.Sealed, cred.ID)
	c.must(err)
	return v.Reveal()
}
