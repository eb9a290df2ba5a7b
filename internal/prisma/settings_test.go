package prisma_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tidewaiter/tidewaiter/internal/control"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// declared is a specification with every field a caller may set.
const declared = `{
	"version": "gitlab", "registry": "https://registry.gitlab.com", "namespace": "ns", "repository": "group/*", "tag": "v*",
	"excludedRepositories": ["group/old", "*-test"], "excludedTags": [], "credentialID": "", "os": "linuxARM64", "cap": 5,
	"scanners": 2, "versionPattern": "%d.%d", "collections": ["All", "mine"], "caCert": "", "harborDeploymentSecurity": true,
	"jfrogRepoTypes": ["local", "remote", "virtual"],
	"gitlabRegistrySpec": {"userID": "7", "projectIDs": ["1"], "groupIDs": [], "excludedGroupIDs": ["9"], "apiDomainName": "gitlab.com"},
	"azureCloudMetadata": {"accountID": "a", "labels": [{"key": "k", "sourceType": "azure", "timestamp": "2020-01-02T03:04:05Z"}],
		"provider": "azure", "region": ""}
}`

func fields(t *testing.T, s string) map[string]any {
	t.Helper()
	var m map[string]any
	if err := json.Unmarshal([]byte(s), &m); err != nil {
		t.Fatal(err)
	}
	return m
}

func TestEveryFieldIsEchoedAsDeclared(t *testing.T) {
	c := start(t)
	c.ok("PUT", "/settings/registry?scanLater=true", `{"specifications":[`+declared+`]}`)
	want, got := fields(t, declared), c.specs()[0]
	for name, value := range want {
		if diff := cmp.Diff(value, got[name]); diff != "" {
			t.Errorf("%s changed (-sent +shown):\n%s", name, diff)
		}
	}
}

func TestServerFieldsAreIgnoredAndTrue(t *testing.T) {
	c := start(t)
	c.ok("PUT", "/settings/registry?scanLater=true", `{"specifications":[{"version":"2","id":12,"scanStatus":"lies","lastScanStatus":"lies",
		"scanTime":"soon","lastScanTime":7,"scanError":"lies","scannedImagesSuccessTotal":"many","credential":"none","hostname":"x",
		"serviceAccount":{},"errors":[]}]}`)
	got := c.specs()[0]
	want := map[string]any{"scanStatus": "", "lastScanStatus": "", "scanTime": "0001-01-01T00:00:00Z", "lastScanTime": "0001-01-01T00:00:00Z",
		"scanError": "", "scannedImagesSuccessTotal": 0.0}
	for name, value := range want {
		if got[name] != value {
			t.Errorf("%s is %v, want %v", name, got[name], value)
		}
	}
	for _, name := range []string{"hostname", "serviceAccount", "errors"} {
		if _, there := got[name]; there {
			t.Errorf("unknown field %s is shown", name)
		}
	}
	if id, ok := got["id"].(string); !ok || id == "" || id == "12" {
		t.Errorf("id is %v, want one of the server's", got["id"])
	}
}

func TestScanStatusFollowsTheScans(t *testing.T) {
	c := start(t)
	c.ok("PUT", "/settings/registry", `{"specifications":[{"version":"2","repository":"library/alpine"}]}`)
	spec := c.specs()[0]
	if spec["scanStatus"] != "queued" || spec["scanTime"] != "2026-11-20T12:00:00Z" || spec["lastScanStatus"] != "" {
		t.Errorf("a queued scan is shown as %v since %v, before %v", spec["scanStatus"], spec["scanTime"], spec["lastScanStatus"])
	}
	c.clock.forward(time.Minute)
	c.endScan(spec["id"].(string), "no such host")
	spec = c.specs()[0]
	want := map[string]any{"scanStatus": "failed", "lastScanStatus": "failed", "lastScanTime": "2026-11-20T12:01:00Z", "scanError": "no such host"}
	for name, value := range want {
		if spec[name] != value {
			t.Errorf("%s is %v, want %v", name, spec[name], value)
		}
	}
}

func TestMinimalSpecificationHasTheKeysClientsIndex(t *testing.T) {
	c := start(t)
	c.ok("PUT", "/settings/registry?scanLater=1", `{"specifications":[{"version":"2"}]}`)
	got := c.specs()[0]
	keys := slices.Sorted(maps.Keys(got))
	want := []string{"cap", "collections", "credential", "credentialID", "harborDeploymentSecurity", "id", "lastScanStatus", "lastScanTime",
		"namespace", "os", "registry", "repository", "scanError", "scanStatus", "scanTime", "scannedImagesSuccessTotal", "scanners", "tag",
		"version", "versionPattern"}
	if diff := cmp.Diff(want, keys); diff != "" {
		t.Errorf("keys (-want +got):\n%s", diff)
	}
	empty := fields(t, `{"_id":"","type":"","accountID":"","accountName":"","accountGUID":"","secret":{"encrypted":""},
		"apiToken":{"encrypted":""},"useAWSRole":false,"lastModified":"0001-01-01T00:00:00Z","created":"0001-01-01T00:00:00Z",
		"owner":"","tokens":null,"prismaLastModified":0}`)
	if diff := cmp.Diff(empty, got["credential"].(map[string]any)); diff != "" {
		t.Errorf("no credential (-want +got):\n%s", diff)
	}
}

func TestPutKeepsOrderIdentityAndResults(t *testing.T) {
	c := start(t)
	c.ok("PUT", "/settings/registry", `{"specifications":[{"version":"2","registry":"b.example.com"},{"version":"2","registry":"a.example.com"},
		{"version":"2","registry":"c.example.com"}]}`)
	if n := len(c.jobs.take()); n != 3 {
		t.Fatalf("%d scans for 3 new registries", n)
	}
	before := get[json.RawMessage](c, "/settings/registry")
	c.ok("PUT", "/settings/registry", string(before))
	if n := len(c.jobs.take()); n != 0 {
		t.Errorf("a round trip started %d scans", n)
	}
	if after := get[json.RawMessage](c, "/settings/registry"); string(after) != string(before) {
		t.Errorf("a round trip changed the settings:\n%s\n%s", before, after)
	}
	first := c.specs()
	first[0]["cap"] = 3
	first[1], first[2] = first[2], first[1]
	body, err := json.Marshal(map[string]any{"specifications": first})
	c.must(err)
	c.ok("PUT", "/settings/registry", string(body))
	if n := len(c.jobs.take()); n != 1 {
		t.Errorf("one changed registry started %d scans", n)
	}
	for i, spec := range c.specs() {
		if spec["id"] != first[i]["id"] || spec["registry"] != first[i]["registry"] {
			t.Errorf("place %d is %v %v, want %v %v", i, spec["registry"], spec["id"], first[i]["registry"], first[i]["id"])
		}
	}
}

func TestEmptyPutErasesAll(t *testing.T) {
	for _, body := range []string{"", "  \n", "{}", "[]", `{"specifications":[]}`, `{"specifications":null}`} {
		c := start(t)
		c.must(addNative(c))
		c.ok("PUT", "/settings/registry?scanLater=true", `{"specifications":[{"version":"2"},{"version":"aws","registry":"1.dkr.ecr.eu-west-1.amazonaws.com"}]}`)
		c.ok("PUT", "/settings/registry", body)
		if left := c.specs(); len(left) != 0 {
			t.Errorf("%q left %d registries", body, len(left))
		}
		if n, err := c.control.CountRegistries(t.Context(), control.RegistryFilter{}); err != nil || n != 1 {
			t.Errorf("%q left %d registries of other surfaces (%v), want 1", body, n, err)
		}
	}
}

func addNative(c *console) error {
	_, err := c.control.AddRegistry(c.Context(), &tidewaiter.Registry{Origin: tidewaiter.OriginNative, Name: "n", Kind: tidewaiter.KindOCI,
		URL: "https://native.example.com"}, false)
	return err
}

func TestPostAppends(t *testing.T) {
	c := start(t)
	c.ok("POST", "/settings/registry?scanLater=true", `{"version":"2","registry":"one.example.com"}`)
	c.ok("POST", "/settings/registry", `{"version":"harbor","registry":"two.example.com","repository":"library*"}`)
	if n := len(c.jobs.take()); n != 1 {
		t.Errorf("%d scans, want one: the first was to be scanned later", n)
	}
	specs := c.specs()
	if len(specs) != 2 || specs[0]["registry"] != "one.example.com" || specs[1]["registry"] != "two.example.com" {
		t.Errorf("got %v", specs)
	}
}

func TestSuffixesStay(t *testing.T) {
	c := start(t)
	type settings struct{ WebhookURLSuffix, HarborScannerURLSuffix string }
	one := get[settings](c, "/settings/registry")
	c.ok("PUT", "/settings/registry", `{"webhookUrlSuffix":"mine","harborScannerUrlSuffix":"mine","specifications":[]}`)
	if two := get[settings](c, "/settings/registry"); one != two {
		t.Errorf("suffixes changed from %v to %v", one, two)
	}
	for _, s := range []string{one.WebhookURLSuffix, one.HarborScannerURLSuffix} {
		if len(s) != 28 || strings.ContainsAny(s, "/+") || !strings.HasSuffix(s, "=") {
			t.Errorf("%q is not 20 bytes in URL-safe base64", s)
		}
	}
	if one.WebhookURLSuffix == one.HarborScannerURLSuffix {
		t.Error("both suffixes are the same")
	}
}

func TestLimitOf19999(t *testing.T) {
	list := func(n int) string {
		specs := make([]string, n)
		for i := range specs {
			specs[i] = fmt.Sprintf(`{"version":"2","registry":"r%d.example.com","repository":"team/app","tag":"v*","cap":5}`, i)
		}
		return `{"specifications":[` + strings.Join(specs, ",") + `]}`
	}
	c := start(t)
	c.ok("PUT", "/settings/registry?scanLater=true", list(19_999))
	if a := c.call("PUT", "/settings/registry", list(20_000)); a.status != 400 || !strings.Contains(a.body, "19999") {
		t.Errorf("20,000 registries: %d %s", a.status, a.body)
	}
	if a := c.call("POST", "/settings/registry", `{"version":"2"}`); a.status != 400 {
		t.Errorf("one too many: %d %s", a.status, a.body)
	}
	if n := len(c.specs()); n != 19_999 {
		t.Errorf("%d registries are left", n)
	}
}

func TestSpecificationMeaning(t *testing.T) {
	type meaning struct {
		Kind     tidewaiter.RegistryKind
		URL      string
		Scope    tidewaiter.Scope
		Parallel int
		CA       bool
	}
	all := []tidewaiter.Selector(nil)
	for name, tt := range map[string]struct {
		spec string
		want meaning
	}{
		"docker hub":          {`{"version":"2","registry":""}`, meaning{Kind: "dockerhub", URL: tidewaiter.DockerHubURL}},
		"docker hub by name":  {`{"version":"2","registry":"docker.io"}`, meaning{Kind: "dockerhub", URL: tidewaiter.DockerHubURL}},
		"empty is docker hub": {`{"version":"aws"}`, meaning{Kind: "dockerhub", URL: tidewaiter.DockerHubURL}},
		"plain v2":            {`{"version":"2","registry":"http://r.example.com:5000/"}`, meaning{Kind: "oci", URL: "http://r.example.com:5000"}},
		"github":              {`{"version":"2","registry":"ghcr.io"}`, meaning{Kind: "ghcr", URL: "https://ghcr.io"}},
		"oracle":              {`{"version":"2","registry":"fra.ocir.io"}`, meaning{Kind: "ocir", URL: "https://fra.ocir.io"}},
		"aws":                 {`{"version":"aws","registry":"1.dkr.ecr.eu-west-1.amazonaws.com"}`, meaning{Kind: "ecr", URL: "https://1.dkr.ecr.eu-west-1.amazonaws.com"}},
		"azure":               {`{"version":"azure","registry":"x.azurecr.io"}`, meaning{Kind: "acr", URL: "https://x.azurecr.io"}},
		"gcr":                 {`{"version":"gcr","registry":"gcr.io"}`, meaning{Kind: "gar", URL: "https://gcr.io"}},
		"gar alias":           {`{"version":"gar","registry":"europe-docker.pkg.dev"}`, meaning{Kind: "gar", URL: "https://europe-docker.pkg.dev"}},
		"gcp alias":           {`{"version":"gcp","registry":"gcr.io"}`, meaning{Kind: "gar", URL: "https://gcr.io"}},
		"dtr":                 {`{"version":"dtr","registry":"d.example.com"}`, meaning{Kind: "dtr", URL: "https://d.example.com"}},
		"jfrog":               {`{"version":"jfrog","registry":"d.example.com"}`, meaning{Kind: "artifactory", URL: "https://d.example.com"}},
		"sonatype":            {`{"version":"sonatype","registry":"d.example.com:8123"}`, meaning{Kind: "nexus", URL: "https://d.example.com:8123"}},
		"coreos":              {`{"version":"coreos","registry":"quay.io"}`, meaning{Kind: "quay", URL: "https://quay.io"}},
		"redhat":              {`{"version":"redhat","registry":"d.example.com"}`, meaning{Kind: "openshift", URL: "https://d.example.com"}},
		"gitlab":              {`{"version":"gitlab","registry":"registry.gitlab.com"}`, meaning{Kind: "gitlab", URL: "https://registry.gitlab.com"}},
		"harbor":              {`{"version":"harbor","registry":"d.example.com"}`, meaning{Kind: "harbor", URL: "https://d.example.com"}},
		"ibm namespace": {`{"version":"bluemix","registry":"us.icr.io","namespace":"ns"}`,
			meaning{Kind: "ibm", URL: "https://us.icr.io", Scope: tidewaiter.Scope{Select: []tidewaiter.Selector{{Repository: "ns/*"}}}}},
		"ibm repository": {`{"version":"bluemix","registry":"us.icr.io","namespace":"ns","repository":"app"}`,
			meaning{Kind: "ibm", URL: "https://us.icr.io", Scope: tidewaiter.Scope{Select: []tidewaiter.Selector{{Repository: "ns/app"}}}}},
		"patterns": {`{"version":"2","repository":"org*","tag":"v*"}`, meaning{Kind: "dockerhub", URL: tidewaiter.DockerHubURL,
			Scope: tidewaiter.Scope{Select: []tidewaiter.Selector{{Repository: "org*", Tags: []string{"v*"}}}}}},
		"stars are blank": {`{"version":"2","repository":"*","tag":"*"}`, meaning{Kind: "dockerhub", URL: tidewaiter.DockerHubURL,
			Scope: tidewaiter.Scope{Select: all}}},
		"tag alone": {`{"version":"2","tag":"latest"}`, meaning{Kind: "dockerhub", URL: tidewaiter.DockerHubURL,
			Scope: tidewaiter.Scope{Select: []tidewaiter.Selector{{Tags: []string{"latest"}}}}}},
		"the rest": {`{"version":"2","cap":7,"scanners":3,"os":"windows","versionPattern":"%d","excludedRepositories":["a",""],"excludedTags":["b"]}`,
			meaning{Kind: "dockerhub", URL: tidewaiter.DockerHubURL, Parallel: 3, Scope: tidewaiter.Scope{Newest: 7, VersionPattern: "%d",
				ExcludeRepositories: []string{"a"}, ExcludeTags: []string{"b"}, Platforms: []tidewaiter.Platform{{OS: "windows", Architecture: "amd64"}}}}},
		"arm": {`{"version":"2","os":"linuxARM64"}`, meaning{Kind: "dockerhub", URL: tidewaiter.DockerHubURL,
			Scope: tidewaiter.Scope{Platforms: []tidewaiter.Platform{{OS: "linux", Architecture: "arm64"}}}}},
		"ca":         {`{"version":"2","registry":"r.example.com","caCert":` + quoted(testCA(t)) + `}`, meaning{Kind: "oci", URL: "https://r.example.com", CA: true}},
		"other case": {`{"Version":"2","REGISTRY":"r.example.com"}`, meaning{Kind: "oci", URL: "https://r.example.com"}},
	} {
		t.Run(name, func(t *testing.T) {
			c := start(t)
			c.ok("PUT", "/settings/registry?scanLater=true", `{"specifications":[`+tt.spec+`]}`)
			rs, _, err := c.control.Registries(t.Context(), control.RegistryFilter{Origin: tidewaiter.OriginPrisma})
			c.must(err)
			got := meaning{rs[0].Kind, rs[0].URL, rs[0].Scope, rs[0].Parallel, rs[0].TLS.CACert != ""}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if rs[0].Schedule.Every != 24*time.Hour {
				t.Errorf("scanned every %v, want every day", rs[0].Schedule.Every)
			}
		})
	}
}

func quoted(s string) string {
	b, _ := json.Marshal(s)
	return string(b)
}

// TestSettingsOfAKindReachTheRegistry: what only one kind of registry knows is there for whoever connects to it.
func TestSettingsOfAKindReachTheRegistry(t *testing.T) {
	for sent, want := range map[string]map[string]string{
		`"version":"gitlab","gitlabRegistrySpec":{"userID":"7","projectIDs":["1","2"],"groupIDs":["3"],"excludedGroupIDs":["4"],"apiDomainName":"gitlab.example.com"}`: {
			"userID": "7", "projectIDs": "1,2", "groupIDs": "3", "excludedGroupIDs": "4", "apiDomainName": "gitlab.example.com"},
		`"version":"jfrog","jfrogRepoTypes":["local","virtual"]`:                   {"repoTypes": "local,virtual"},
		`"version":"harbor","harborDeploymentSecurity":true`:                       {"deploymentSecurity": "true"},
		`"version":"bluemix","namespace":"mine"`:                                   {"namespace": "mine"},
		`"version":"2","harborDeploymentSecurity":true,"jfrogRepoTypes":["local"]`: nil,
	} {
		c := start(t)
		c.ok("PUT", "/settings/registry?scanLater=true", `{"specifications":[{"registry":"r.example.com",`+sent+`}]}`)
		if diff := cmp.Diff(want, c.declaredRegistries()[0].Settings); diff != "" {
			t.Errorf("%s: %s", sent, diff)
		}
	}
}
