package prisma_test

import (
	"encoding/csv"
	"encoding/json"
	"net/url"
	"strings"
	"testing"

	"github.com/tidewaiter/tidewaiter/internal/store"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

type result struct {
	ID      string `json:"_id"`
	Type    string
	Err     string
	RepoTag struct{ Registry, Repo, Tag, Digest, ID string }
}

func names(list []result) string {
	out := make([]string, len(list))
	for i, r := range list {
		out[i] = r.ID
	}
	return strings.Join(out, " ")
}

func TestResultFilters(t *testing.T) {
	c := start(t)
	c.ok("PUT", "/settings/registry?scanLater=true", `{"specifications":[{"version":"2","registry":"r.example.com"}]}`)
	c.ok("POST", "/collections", `{"name":"web","images":["team/web*"]}`)
	c.ok("POST", "/collections", `{"name":"blue","labels":["team:blue"]}`)
	c.ok("POST", "/collections", `{"name":"red","labels":["team:red"]}`)
	c.seed("team/app:v1", "team/app:v2", "team/web:v1") // of increasing risk
	const app1, app2, web = "r.example.com/team/app:v1", "r.example.com/team/app:v2", "r.example.com/team/web:v1"
	const all = app1 + " " + app2 + " " + web
	for query, want := range map[string]string{
		"":              all,
		"?reverse=true": web + " " + app2 + " " + app1,
		"?sort=vulnerabilityRiskScore&reverse=true": web + " " + app2 + " " + app1,
		"?sort=vulnerabilityRiskScore":              all,
		"?sort=nonsense":                            all,
		"?repository=team/web":                      web,
		"?repository=team/web,team/app":             all,
		"?repository=team/web&repository=x":         web,
		"?registry=https://R.example.com/":          all,
		"?registry=other.example.com":               "",
		"?registry=":                                all,
		"?tag=v2":                                   app2,
		"?name=" + app2:                             app2,
		"?name=team/app:v2":                         "", // would be Docker Hub's
		"?id=" + web:                                web,
		"?id=" + digestOf(2000):                     app1,
		"?imageID=" + digestOf(2001):                app2,
		"?imageID=" + digestOf(2001)[7:]:            app2,
		"?search=TEAM%2FWeb":                        web,
		"?search=%25":                               "",
		"?collections=web":                          web,
		"?collections=web&limit=1&offset=1":         "",
		"?collections=blue&limit=1&offset=1":        app2,
		"?collections=red":                          "",
		"?collections=red,web":                      web,
		"?collections=CRDC+CCDI+All+Collection":     all,
		"?collections=web,All":                      all,
		"?offset=1&limit=1":                         app2,
		"?limit=0":                                  "",
		"?limit=0?x=1":                              "",
	} {
		var list []result
		a := c.call("GET", "/registry"+query+sep(query)+"compact=true?project=x", "")
		if err := json.Unmarshal([]byte(a.body), &list); err != nil || a.status != 200 {
			t.Errorf("%s: %d %s", query, a.status, a.body)
		} else if got := names(list); got != want {
			t.Errorf("%s: %s, want %s", query, got, want)
		}
	}
}

// TestClientOf2026 plays the two calls a client in the field makes.
func TestClientOf2026(t *testing.T) {
	c := start(t)
	c.ok("PUT", "/settings/registry?scanLater=true", `{"specifications":[{"version":"2"}]}`)
	c.seed("library/alpine:3.20")
	list := get[[]result](c, "/api/v1/registry?collections=CRDC+CCDI+All+Collection&compact=true&limit=17&offset=0&project=Central+Console"+
		"&reverse=true&search="+url.QueryEscape("library/alpine:3.20")+"&sort=vulnerabilityRiskScore")
	if len(list) != 1 || list[0].ID != "library/alpine:3.20" || list[0].Type != "registry" {
		t.Fatalf("search: %+v", list)
	}
	of := list[0].RepoTag
	if of.Registry != "" || of.Repo != "library/alpine" || of.Tag != "3.20" || of.Digest != digestOf(1000) || of.ID != digestOf(2000) {
		t.Errorf("repoTag: %+v", of)
	}
	list = get[[]result](c, "/api/v34.03/registry?registry="+of.Registry+"&repository="+of.Repo+"&tag="+of.Tag)
	if len(list) != 1 || list[0].RepoTag != of {
		t.Errorf("by name: %+v", list)
	}
	for _, name := range []string{"library/alpine:3.20", "docker.io/library/alpine:3.20", "index.docker.io/library/alpine:3.20"} {
		if list := get[[]result](c, "/registry?name="+name); len(list) != 1 {
			t.Errorf("%s: %d results", name, len(list))
		}
	}
}

// keysOf returns the names in an object that hold null, and those that hold something.
func keysOf(t *testing.T, object json.RawMessage) map[string]string {
	t.Helper()
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(object, &fields); err != nil {
		t.Fatal(err)
	}
	out := map[string]string{}
	for name, value := range fields {
		out[name] = string(value)
	}
	return out
}

func TestCompactShape(t *testing.T) {
	c := filled(t)
	got := keysOf(t, get[[]json.RawMessage](c, "/registry?compact=true&limit=1")[0])
	for _, name := range []string{"complianceIssues", "vulnerabilities", "packages", "binaries", "startupBinaries", "files", "history", "Secrets"} {
		if got[name] != "null" {
			t.Errorf("%s is %s, want null", name, got[name])
		}
	}
	for _, name := range []string{"layers", "applications"} {
		if value, there := got[name]; there {
			t.Errorf("%s is there: %s", name, value)
		}
	}
	want := map[string]string{
		"packageManager": "false", "osDistroVersion": `""`, "vulnerabilitiesCount": "3", "complianceIssuesCount": "2",
		"vulnerabilityDistribution": `{"critical":1,"high":1,"medium":0,"low":0,"total":3}`, "vulnerabilityRiskScore": "1010000",
		"complianceRiskScore": "20000", "riskFactors": `{"Container is running as root":{},"Has fix":{},"High severity":{}}`,
		"hosts": "{}", "instances": "[]", "scanTime": `"2026-11-20T12:00:00Z"`, "_id": `"r.example.com/team/app:v1"`,
	}
	for name, value := range want {
		if got[name] != value {
			t.Errorf("%s is %s, want %s", name, got[name], value)
		}
	}
	if !strings.Contains(got["image"], `"created":"2026-01-02T03:04:05Z"`) {
		t.Errorf("image is %s", got["image"])
	}
	full := keysOf(t, get[[]json.RawMessage](c, "/registry?limit=1")[0])
	for _, name := range []string{"binaries", "startupBinaries", "files", "applications"} {
		if full[name] != "[]" {
			t.Errorf("%s is %s when not compact, want []", name, full[name])
		}
	}
}

func TestVulnerabilityHasEveryKey(t *testing.T) {
	c := filled(t)
	var r struct{ Vulnerabilities []json.RawMessage }
	c.must(json.Unmarshal(get[[]json.RawMessage](c, "/registry?limit=1")[0], &r))
	for _, v := range r.Vulnerabilities {
		got := keysOf(t, v)
		for name := range strings.FieldsSeq("text id severity cvss status cve cause description title vecStr exploit riskFactors link type packageName " +
			"packageVersion layerTime templates twistlock cri published fixDate applicableRules discovered functionLayer") {
			if _, there := got[name]; !there {
				t.Errorf("%s is missing in %s", name, v)
			}
		}
	}
	if len(r.Vulnerabilities) != 3 {
		t.Errorf("%d vulnerabilities", len(r.Vulnerabilities))
	}
}

func TestFailedTagIsShownWithItsError(t *testing.T) {
	c := start(t)
	c.ok("PUT", "/settings/registry?scanLater=true", `{"specifications":[{"version":"2","registry":"r.example.com"}]}`)
	c.seed("team/app:v1")
	c.must(c.store.Update(t.Context(), func(tx *store.Tx) error {
		reg, err := tx.RegistriesOf(t.Context(), tidewaiter.OriginPrisma)
		if err != nil {
			return err
		}
		for _, name := range []string{"v1", "v2"} {
			id, err := c.seedTag(tx, reg[0], "team/app", name, digestOf(1000))
			if err != nil {
				return err
			}
			if _, err := tx.TagFailed(t.Context(), id, tidewaiter.ErrAuth, "the registry refused the credential", c.clock.Now()); err != nil {
				return err
			}
		}
		return nil
	}))
	for _, path := range []string{"/registry", "/registry?compact=true"} {
		list := get[[]result](c, path)
		if names(list) != "r.example.com/team/app:v1 r.example.com/team/app:v2" {
			t.Fatalf("%s: %s", path, names(list))
		}
		if list[0].RepoTag.ID != digestOf(2000) || list[0].Err == "" || list[1].Err != "the registry refused the credential" || list[1].RepoTag.ID != "" {
			t.Errorf("%s: %+v", path, list)
		}
	}
}

func TestDownloadIsHarmlessCSV(t *testing.T) {
	c := start(t)
	if a := c.call("GET", "/registry/download", ""); a.body != "no data.\n" || a.header.Get("Content-Type") != "text/csv" {
		t.Errorf("nothing to download: %q, %q", a.body, a.header.Get("Content-Type"))
	}
	c.ok("PUT", "/settings/registry?scanLater=true", `{"specifications":[{"version":"2","registry":"r.example.com"}]}`)
	c.seed("team/app:v1", "team/app:v2")
	a := c.call("GET", "/registry/download", "")
	if got := a.header.Values("Content-Type"); len(got) != 1 || got[0] != "text/csv" {
		t.Errorf("Content-Type is %q", got)
	}
	rows, err := csv.NewReader(strings.NewReader(a.body)).ReadAll()
	c.must(err)
	if len(rows) != 1+2*(3+2) || len(rows[0]) != 38 {
		t.Fatalf("%d rows of %d columns", len(rows), len(rows[0]))
	}
	column := map[string]int{}
	for i, name := range rows[0] {
		column[name] = i
	}
	for _, row := range rows[1:] {
		for _, cell := range row {
			if cell != "" && strings.ContainsRune("=+-@\t\r", rune(cell[0])) {
				t.Errorf("a spreadsheet would run %q", cell)
			}
		}
	}
	want := map[string]string{"Registry": "r.example.com", "Repository": "team/app", "Tag": "v1", "CVE ID": "CVE-2026-0001", "Compliance ID": "",
		"Type": "OS", "Severity": "critical", "Packages": "libssl3", "Source Package": "openssl", "Package Version": "3.0.11-1", "CVSS": "9.80",
		"Fix Status": "fixed in 3.0.12-1", "Published": "2026-02-01 00:00:00.000", "Layer": "ADD rootfs.tar.gz / # buildkit",
		"Description": "'=cmd|' /C calc'!A0 allows remote attackers to execute code."}
	for name, value := range want {
		if got := rows[1][column[name]]; got != value {
			t.Errorf("%s is %q, want %q", name, got, value)
		}
	}
	for query, n := range map[string]int{"?limit=1": 6, "?offset=1": 6, "?offset=2": 0, "?issueType=compliance": 5, "?issueType=vulnerabilities": 7,
		"?collections=All": 11, "?tag=v2": 6} {
		rows, err := csv.NewReader(strings.NewReader(strings.TrimPrefix(c.call("GET", "/registry/download"+query, "").body, "no data.\n"))).ReadAll()
		if err != nil || len(rows) != n {
			t.Errorf("%s: %d rows, want %d (%v)", query, len(rows), n, err)
		}
	}
}

func TestPermissions(t *testing.T) {
	c := start(t)
	for _, tt := range []struct {
		user, method, path string
		status             int
	}{
		{"auditor", "GET", "/settings/registry", 200}, {"auditor", "PUT", "/settings/registry", 403}, {"auditor", "POST", "/registry/scan", 403},
		{"auditor", "GET", "/credentials", 200}, {"auditor", "POST", "/credentials", 403}, {"auditor", "GET", "/registry", 200},
		{"auditor", "PUT", "/policies/vulnerability/images", 403}, {"auditor", "POST", "/collections", 403}, {"auditor", "POST", "/settings/scan", 403},
		{"ci", "GET", "/registry", 200}, {"ci", "POST", "/registry/scan", 200}, {"ci", "POST", "/registry/stop", 200}, {"ci", "GET", "/credentials", 403},
		{"ci", "GET", "/settings/registry", 403}, {"ci", "DELETE", "/credentials/x", 403}, {"ci", "GET", "/settings/scan", 403}, {"ci", "GET", "/version", 200},
		{"nobody", "GET", "/version", 401}, {"nobody", "GET", "/registry", 401}, {"nobody", "POST", "/registry/stop/x", 401},
	} {
		a := c.call(tt.method, tt.path, "", asUser(tt.user))
		if a.status != tt.status || a.status >= 400 && !strings.HasPrefix(a.body, `{"err":"`) {
			t.Errorf("%s %s %s: %d %s, want %d", tt.user, tt.method, tt.path, a.status, a.body, tt.status)
		}
	}
}
