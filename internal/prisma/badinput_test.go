package prisma_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestBadInput holds what is said about input that cannot be: the status, and a text that names the place. Nothing changes.
func TestBadInput(t *testing.T) {
	spec := func(s string) string { return `{"specifications":[{"version":"2"},{` + s + `}]}` }
	rule := func(s string) string { return `{"rules":[{"name":"r","collections":[{"name":"All"}],` + s + `}]}` }
	long := strings.Repeat("x", 600)
	const put, post, del, get = "PUT", "POST", "DELETE", "GET"
	const registries, credentials, scan, vulnerabilities, compliance = "/settings/registry", "/credentials", "/registry/scan",
		"/policies/vulnerability/images", "/policies/compliance/container"
	tests := []struct {
		method, path, body string
		status             int
		err                string // part of it; how it begins, after =
	}{
		{put, registries, `{`, 400, "=failed to unmarshal: unexpected end of JSON input"},
		{put, registries, `{"specifications":[],}`, 400, "=failed to unmarshal: invalid character '}' looking for beginning of object key string"},
		{put, registries, `[{"version":"2"}]`, 400, "failed to unmarshal: json: cannot unmarshal array into Go value of type"},
		{put, registries, `"x"`, 400, "failed to unmarshal: json: cannot unmarshal string into Go value of type"},
		{put, registries, `{"specifications":{}}`, 400, "specifications of type []"},
		{put, registries, `{"specifications":"x"}`, 400, "cannot unmarshal string"},
		{put, registries, `{} trailing`, 400, "=failed to unmarshal: invalid character 't' after top-level value"},
		{put, registries, spec(`"version":"3"`), 400, `specifications[1].version: unknown registry type "3" (one of 2, aws, azure, bluemix, coreos`},
		{put, registries, spec(`"version":""`), 400, "specifications[1].version: the registry type is missing (one of 2, aws"},
		{put, registries, spec(`"registry":"x.example.com"`), 400, "specifications[1].version: the registry type is missing"},
		{put, registries, spec(`"version":2`), 400, "specifications[1]: failed to unmarshal: json: cannot unmarshal number into Go struct field draft.version of type string"},
		{put, registries, `{"specifications":[null]}`, 400, "specifications[0].version: "},
		{put, registries, `{"specifications":[7]}`, 400, "specifications[0]: failed to unmarshal"},
		{put, registries, `{"specifications":[[]]}`, 400, "specifications[0]: failed to unmarshal"},
		{put, registries, spec(`"version":"2","registry":"ftp://x"`), 400, `specifications[1].registry: scheme "ftp" is not supported`},
		{put, registries, spec(`"version":"2","registry":"https://u:p@x.example.com"`), 400, "specifications[1].registry: the address must not hold a user or password"},
		{put, registries, spec(`"version":"2","registry":"https://x.example.com?a=b"`), 400, "specifications[1].registry: "},
		{put, registries, spec(`"version":"2","registry":"https://"`), 400, "specifications[1].registry: "},
		{put, registries, spec(`"version":"2","registry":"a b"`), 400, "specifications[1].registry: "},
		{put, registries, spec(`"version":"2","registry":["x"]`), 400, "cannot unmarshal array"},
		{put, registries, spec(`"version":"2","repository":"` + long + `"`), 400, "specifications[1].repository: the pattern is longer than 512"},
		{put, registries, spec(`"version":"2","tag":"` + long + `"`), 400, "specifications[1].tag: the pattern is longer than 512"},
		{put, registries, spec(`"version":"2","excludedTags":["` + long + `"]`), 400, "specifications[1].excludedRepositories, excludedTags: "},
		{put, registries, spec(`"version":"2","excludedRepositories":"x"`), 400, "excludedRepositories of type []string"},
		{put, registries, spec(`"version":"2","cap":-1`), 400, "specifications[1].cap: the number of images must not be negative (0 means all)"},
		{put, registries, spec(`"version":"2","cap":"5"`), 400, "cap of type int"},
		{put, registries, spec(`"version":"2","cap":5.5`), 400, "cap of type int"},
		{put, registries, spec(`"version":"2","cap":99999999999999999999`), 400, "cap of type int"},
		{put, registries, spec(`"version":"2","scanners":-2`), 400, "specifications[1].scanners: "},
		{put, registries, spec(`"version":"2","os":"macos"`), 400, `specifications[1].os: unknown base image type "macos" (one of linux, linuxARM64, windows)`},
		{put, registries, spec(`"version":"2","versionPattern":"%x"`), 400, `specifications[1].versionPattern: unknown token in version pattern "%x"`},
		{put, registries, spec(`"version":"2","credentialID":"<X>"`), 400, "=credential <<X>> was not found "},
		{put, registries, spec(`"version":"2","caCert":"rubbish"`), 400, "specifications[1].caCert: the CA certificate is not in PEM form"},
		{put, registries, spec(`"version":"2","caCert":7`), 400, "caCert of type string"},
		{put, registries, spec(`"version":"jfrog","registry":"x.example.com","jfrogRepoTypes":["local","cache"]`), 400, `specifications[1].jfrogRepoTypes: unknown repository type "cache"`},
		{put, registries, spec(`"version":"gitlab","registry":"x.example.com","gitlabRegistrySpec":{}`), 400, "specifications[1].gitlabRegistrySpec: it names nothing to look in"},
		{put, registries, spec(`"version":"gitlab","gitlabRegistrySpec":[]`), 400, "specifications[1]: failed to unmarshal"},
		{put, registries, spec(`"version":"2","azureCloudMetadata":{"labels":{}}`), 400, "specifications[1]: failed to unmarshal"},
		{put, registries, spec(`"version":"2","harborDeploymentSecurity":"yes"`), 400, "harborDeploymentSecurity of type bool"},
		{put, registries, spec(`"version":"2","collections":"All"`), 400, "collections of type []string"},
		{put, registries, spec(`"version":"bluemix","registry":"us.icr.io","namespace":"a*"`), 400, "specifications[1].namespace: a namespace cannot hold wildcards"},
		{put, registries, `{"specifications":[` + strings.Repeat(`{},`, 19_999) + `{}]}`, 400, "=specifications: 20000 registries are more than the maximum of 19999"},
		{post, registries, ``, 400, "=failed to unmarshal: unexpected end of JSON input"},
		{post, registries, `{"version":"9"}`, 400, `=version: unknown registry type "9" (one of`},
		{post, registries, `{"specifications":[{"version":"2"}]}`, 400, "version: the registry type is missing"},
		{post, registries, `{"version":"2","credentialID":"nope"}`, 400, "=credential <nope> was not found "},
		{post, registries, `{"version":"2","caCert":"-----BEGIN X-----"}`, 400, "caCert: "},
		{post, registries, `{"version":"2","tag":"` + strings.Repeat("x", 1<<20) + `"}`, 413, "larger than 1 MiB"},

		{post, credentials, ``, 400, "failed to unmarshal"},
		{post, credentials, `{"type":"basic"}`, 400, "=_id: the credential needs a name"},
		{post, credentials, `{"_id":" ","type":"basic"}`, 400, "_id: "},
		{post, credentials, `{"_id":"` + long + `","type":"basic"}`, 400, "_id: "},
		{post, credentials, `{"_id":"a\nb","type":"basic"}`, 400, "_id: "},
		{post, credentials, `{"_id":7,"type":"basic"}`, 400, "failed to unmarshal"},
		{post, credentials, `{"_id":"a"}`, 400, `type: unknown credential type "" (one of basic, aws`},
		{post, credentials, `{"_id":"a","type":"TYPE"}`, 400, `type: unknown credential type "TYPE" (one of basic, aws`},
		{post, credentials, `{"_id":"a","type":"githubToken"}`, 400, "type: "},
		{post, credentials, `{"_id":"a","type":"basic","secret":"s"}`, 400, "failed to unmarshal"},
		{post, credentials, `{"_id":"a","type":"basic","secret":{"plain":"x"},"apiToken":{"plain":"y"}}`, 400, "apiToken: "},
		{post, credentials, `{"_id":"a","type":"basic","secret":{"encrypted":"AAAA"}}`, 400, "secret.encrypted: "},
		{post, credentials, `{"_id":"a","type":"azure","azureSPInfo":{"miType":"x"}}`, 400, "azureSPInfo.miType: "},
		{del, credentials + "/none", ``, 404, "=credential id does not exist"},
		{get, credentials + "/none/usages", ``, 404, "=credential id does not exist"},
		{get, credentials + "?limit=-1", ``, 400, `limit: "-1" is not a whole number`},

		{get, "/registry?limit=ten", ``, 400, `limit: "ten" is not a whole number`},
		{get, "/registry?limit=-5", ``, 400, "limit: "},
		{get, "/registry?offset=-1", ``, 400, "offset: "},
		{get, "/registry?issueType=both", ``, 400, `issueType: unknown issue type "both" (one of vulnerabilities, compliance)`},
		{get, "/registry/names?offset=x", ``, 400, "offset: "},
		{get, "/registry/download?limit=x", ``, 400, "limit: "},
		{get, "/registry/progress?repo=a", ``, 400, "onDemand: "},
		{get, "/registry/progress?onDemand=false&tag=a", ``, 400, "onDemand: "},
		{get, "/registry/progress?onDemand=true", ``, 400, "repo: "},
		{get, "/registry/progress?onDemand=true&repo=a", ``, 400, "tag: "},

		{post, scan, "{\u201conDemandScan\u201d:true}", 400, "failed to unmarshal: invalid character '\u201c' looking for beginning of object key string"},
		{post, scan, `{"registry":"r","repository":"a","tag":"string"}`, 400, "tag of type"},
		{post, scan, `{"onDemandScan":true}`, 400, "tag: an on-demand scan has to name an image"},
		{post, scan, `{"onDemandScan":"yes"}`, 400, "onDemandScan of type bool"},
		{post, scan, `{"tag":{"registry":"r.example.com"}}`, 400, "tag.repo: "},
		{post, scan, `{"tag":{"repo":"../../etc","tag":"x"}}`, 400, "tag.repo: "},
		{post, scan, `{"tag":{"repo":"Library/Alpine","tag":"x"}}`, 400, "tag.repo: "},
		{post, scan, `{"tag":{"repo":"library/alpine"}}`, 400, "tag.tag: the tag is missing"},
		{post, scan, `{"tag":{"repo":"library/alpine","tag":"a/b"}}`, 400, "tag.tag: "},
		{post, scan, `{"tag":{"repo":"library/alpine","digest":"sha256:1"}}`, 400, "tag.digest: "},
		{post, scan, `{"tag":{"registry":"ftp://x","repo":"library/alpine","tag":"x"}}`, 400, "tag.registry: "},
		{post, scan, `{"tag":{"registry":"undeclared.example.com","repo":"library/alpine","tag":"x"}}`, 400, "no declared registry covers"},
		{post, scan, `{"settings":{"version":"2","registry":"undeclared.example.com"}}`, 400, "settings: no such registry is declared"},
		{post, scan, `{"settings":{"version":"x"}}`, 400, "settings.version: "},
		{post, scan + "/select", ``, 400, "failed to unmarshal"},
		{post, scan + "/select", `{}`, 400, "failed to unmarshal: json: cannot unmarshal object into Go value of type []"},
		{post, scan + "/select", `[]`, 400, "body: "},
		{post, scan + "/select", `[{}]`, 400, "[0].tag: "},
		{post, scan + "/select", `[{"tag":{"repo":"a","tag":"b"}},{"tag":{"repo":"A"}}]`, 400, "[1].tag.repo: "},
		{post, "/registry/stop/none", ``, 404, "=registry specification id does not exist"},

		{put, vulnerabilities, ``, 400, "failed to unmarshal"},
		{put, vulnerabilities, `{"rules":{}}`, 400, "failed to unmarshal"},
		{put, vulnerabilities, `{"policyType":"hostVulnerability"}`, 400, `policyType: "hostVulnerability" is not the policy of this path`},
		{put, vulnerabilities, `{"rules":[{"collections":[{"name":"All"}]}]}`, 400, "rules[0].name: "},
		{put, vulnerabilities, `{"rules":[{"name":"r"}]}`, 400, "rules[0].collections: "},
		{put, vulnerabilities, `{"rules":[{"name":"r","collections":[{"name":"<b>"}]}]}`, 400, "=rules[0]: <<b>> contains invalid characters, valid characters are A-Z a-z 0-9 _ - : "},
		{put, vulnerabilities, `{"rules":[{"name":"r","collections":[{"name":"none"}]}]}`, 400, "rules[0].collections: collection <none> was not found"},
		{put, vulnerabilities, `{"rules":[{"name":"r","collections":[{"name":"All"}]},{"name":"r","collections":[{"name":"All"}]}]}`, 400, "rules[1].name: "},
		{put, vulnerabilities, rule(`"alertThreshold":{"value":10}`), 400, `value: "10" is not a threshold`},
		{put, vulnerabilities, rule(`"alertThreshold":{"value":4.5}`), 400, "value: "},
		{put, vulnerabilities, rule(`"alertThreshold":{"value":"high"}`), 400, "value: "},
		{put, vulnerabilities, rule(`"alertThreshold":{"value":7},"blockThreshold":{"enabled":true,"value":4}`), 400, "rules[0].block: "},
		{put, vulnerabilities, rule(`"cveRules":[{"id":"CVE-1","effect":"pray"}]`), 400, "rules[0].exceptions: "},
		{put, vulnerabilities, rule(`"cveRules":[{"effect":"ignore"}]`), 400, "rules[0].exceptions: "},
		{put, vulnerabilities, rule(`"cveRules":[{"id":"CVE-1","effect":"ignore","expiration":{"enabled":true,"date":"2021-0101T00:00:00Z"}}]`), 400, "failed to unmarshal: parsing time"},
		{put, vulnerabilities, rule(`"riskFactorsEffects":[{"riskFactor":"Bad luck","effect":"block"}]`), 400, `rules[0].riskFactorsEffects: unknown risk factor "Bad luck"`},
		{put, vulnerabilities, rule(`"riskFactorsEffects":[{"riskFactor":"Has fix","effect":"x"}]`), 400, "rules[0].riskFactors: "},
		{put, vulnerabilities, rule(`"pkgTypesThresholds":[{"type":"floppy"}]`), 400, "rules[0].ecosystems: "},
		{put, vulnerabilities, rule(`"graceDays":-1`), 400, "rules[0].grace: "},
		{put, compliance, rule(`"condition":{"vulnerabilities":[{"id":"x"}]}`), 400, "failed to unmarshal"},
		{put, compliance, rule(`"condition":{"vulnerabilities":[{"id":41,"minSeverity":"dire"}]}`), 400, "rules[0].condition.vulnerabilities[0].minSeverity: "},

		{post, "/collections", ``, 400, "failed to unmarshal"},
		{post, "/collections", `{}`, 400, "name: "},
		{post, "/collections", `{"name":"a b"}`, 400, "=<a b> contains invalid characters, valid characters are A-Z a-z 0-9 _ - : "},
		{post, "/collections", `{"name":"` + long + `"}`, 400, "name: "},
		{post, "/collections", `{"name":"All"}`, 409, "exists already"},
		{post, "/collections", `{"name":"a","color":"red"}`, 400, "color: "},
		{post, "/collections", `{"name":"a","images":"x"}`, 400, "failed to unmarshal"},
		{post, "/collections", `{"name":"a","modified":"2021-0101T00:00:00Z"}`, 400, "failed to unmarshal: parsing time"},
		{post, "/collections", `{"name":"a","description":"` + strings.Repeat(long, 10) + `"}`, 400, "description: "},
		{put, "/collections/none", `{}`, 404, "=collection id not found"},
		{put, "/collections/All", `{}`, 409, "built in"},
		{put, "/collections/All", `{"name":"other"}`, 400, "name: a collection cannot be renamed"},
		{del, "/collections/none", ``, 404, "=collection id not found"},
		{del, "/collections/All", ``, 409, "built in"},
		{get, "/collections/none/usages", ``, 400, "=collection id not found"},

		{put, "/policies/vulnerability/ci/images", `{"policyType":"containerVulnerability"}`, 400, "policyType: "},
		{put, "/policies/compliance/ci/images", `{"rules":[{"name":"r"}]}`, 400, "rules[0].collections: "},
		{get, "/policies/vulnerability/images/impacted?limit=x", ``, 400, "limit: "},
		{get, "/policies/compliance/container/impacted?offset=-1", ``, 400, "offset: "},
		{post, "/policies/vulnerability/base-images", ``, 400, "failed to unmarshal"},
		{post, "/policies/vulnerability/base-images", `{}`, 400, "=base images rule must be defined with registry/repository:tag pattern"},
		{post, "/policies/vulnerability/base-images", `{"_id":"debian"}`, 400, "=base images rule must be defined with registry/repository:tag pattern"},
		{post, "/policies/vulnerability/base-images", `{"_id":"debian:12"}`, 400, "=base images rule must be defined"},
		{post, "/policies/vulnerability/base-images", `{"_id":"a/b"}`, 400, "=base images rule must be defined"},
		{post, "/policies/vulnerability/base-images", `{"_id":"a/b c:1"}`, 400, "=base images rule must be defined"},
		{post, "/policies/vulnerability/base-images", `{"_id":"a/` + long + `:1"}`, 400, "_id: "},
		{post, "/policies/vulnerability/base-images", `{"_id":"a/b:1","description":"` + strings.Repeat(long, 10) + `"}`, 400, "description: "},
		{del, "/policies/vulnerability/base-images/none", ``, 404, "=base images rule not found"},
		{post, "/tags", `{}`, 400, "name: "},
		{post, "/tags", `{"name":"` + long + `"}`, 400, "name: "},
		{post, "/tags", `{"name":"a","color":"red"}`, 400, "color: "},
		{post, "/tags", `{"name":"a","vulns":[{}]}`, 400, "vulns.id: "},
		{post, "/tags", `[]`, 400, "failed to unmarshal"},
		{put, "/tags/none", `{"name":"a"}`, 404, "=tag id not found"},
		{del, "/tags/none", ``, 404, "=tag id not found"},
		{post, "/tags/none/vuln", `{"id":"CVE-1"}`, 404, "=tag id not found"},
		{post, "/tags/none/vuln", `{}`, 400, "id: the vulnerability is missing"},
		{post, "/tags/none/vuln", `{"id":"a b"}`, 400, "id: "},
		{post, "/tags/none/vuln", `{"id":"CVE-1","resourceType":"moon"}`, 400, "resourceType: "},
		{post, "/tags/none/vuln", `{"id":"CVE-1","resourceType":"image"}`, 400, "resources: "},
		{post, "/tags/none/vuln", `{"id":"CVE-1","checkBaseLayer":true}`, 400, "checkBaseLayer: "},
		{del, "/tags/none/vuln", ``, 400, "failed to unmarshal"},
		{get, "/stats/vulnerabilities?severityThreshold=dire", ``, 400, "severityThreshold: "},
		{get, "/stats/vulnerabilities?cvssThreshold=11", ``, 400, "cvssThreshold: "},
		{get, "/stats/vulnerabilities?cvssThreshold=NaN", ``, 400, "cvssThreshold: "},
		{get, "/stats/vulnerabilities?resourceType=moon", ``, 400, "resourceType: "},
		{get, "/stats/vulnerabilities?riskFactors=luck", ``, 400, "riskFactors: "},
		{post, "/stats/vulnerabilities/refresh?limit=-1", ``, 400, "limit: "},
		{get, "/stats/vulnerabilities/download?cvssThreshold=x", ``, 400, "cvssThreshold: "},
		{get, "/stats/vulnerabilities/impacted-resources", ``, 400, "=missing CVE filter"},
		{get, "/stats/vulnerabilities/impacted-resources?cve=a'b", ``, 400, "cve: "},
		{get, "/stats/vulnerabilities/impacted-resources/download", ``, 400, "=missing CVE filter"},
		{get, "/sbom/download/registry", ``, 400, "id: 0 images are named"},
		{get, "/sbom/download/registry?id=a&id=b", ``, 400, "id: 2 images are named"},
		{get, "/sbom/download/registry?id=none", ``, 404, "=no scan result of none"},
		{get, "/sbom/download/registry?id=none&sbomFormat=spdx", ``, 400, "sbomFormat: "},
		{post, "/users", ``, 400, "failed to unmarshal"},
		{post, "/users", `{}`, 400, "username: "},
		{post, "/users", `{"username":"u","password":"long enough","role":"devOps"}`, 400, "=no such role: devOps"},
		{post, "/users", `{"username":"u","password":"short","role":"admin"}`, 400, "password: "},
		{post, "/users", `{"username":"u:v","password":"long enough","role":"admin"}`, 400, "name: "},
		{post, "/users", `{"username":"u","password":"long enough","role":"admin","authType":"saml"}`, 400, "authType: "},
		{post, "/users", `{"username":"u","password":"long enough","role":"admin","authType":"moon"}`, 400, "authType: "},
		{post, "/users", `{"username":"ci","password":"long enough","role":"ci"}`, 409, "already"},
		{put, "/users", `{"username":"nobody","role":"ci"}`, 404, "there is no user"},
		{put, "/users", `{"username":"admin","role":"ci"}`, 409, "last user who can manage users"},
		{del, "/users/nobody", ``, 404, "there is no user"},
		{del, "/users/admin", ``, 409, "you cannot delete the user you are logged in as"},
		{put, "/users/password", `{}`, 400, "newPassword: "},
		{put, "/users/password", `{"oldPassword":"wrong","newPassword":"long enough"}`, 400, "oldPassword: "},
		{post, "/groups", `{"groupName":"g"}`, 405, "use GET"},
		{post, "/rbac/roles", `{"name":"r"}`, 405, "use GET"},

		{post, "/settings/scan", ``, 400, "failed to unmarshal"},
		{post, "/settings/scan", `{"registryScanPeriodMs":60000}`, 400, "registryScanPeriodMs: the period must be an hour to a year (0 means never, otherwise 3600000 or more)"},
		{post, "/settings/scan", `{"vmScanPeriodMs":-1}`, 400, "vmScanPeriodMs: "},
		{post, "/settings/scan", `{"registryScanPeriodMs":"daily"}`, 400, "failed to unmarshal"},
		{post, "/settings/scan", `{"registryScanRetentionDays":-1}`, 400, "registryScanRetentionDays: "},

		{post, "/authenticate", ``, 400, "failed to unmarshal"},
		{post, "/authenticate", `{}`, 400, "username: "},
		{post, "/authenticate", `{"username":"admin","password":"wrong"}`, 401, "the user name or password is wrong"},
		{post, "/authenticate", `{"username":"nobody","password":"wrong"}`, 401, "the user name or password is wrong"},
		{post, "/authenticate", `{"token":"x.y.z"}`, 401, ""},
		{get, "/authenticate", ``, 405, "use POST"},
		{"PATCH", registries, ``, 405, "use GET or POST or PUT"},
		{get, "/hosts", ``, 404, "=/api/v1/hosts is not part of registry scanning"},
		{get, "/api/v1", ``, 404, "is not part of registry scanning"},
	}
	c := start(t)
	before := [2]string{c.call("GET", registries, "").body, c.call("GET", "/collections", "").body}
	for _, tt := range tests {
		name := tt.method + " " + tt.path + " " + tt.body[:min(len(tt.body), 160)]
		a := c.call(tt.method, tt.path, tt.body)
		var body struct{ Err string }
		if err := json.Unmarshal([]byte(a.body), &body); err != nil || a.status != tt.status {
			t.Errorf("%s\n%d %s, want %d", name, a.status, a.body, tt.status)
			continue
		}
		want, whole := strings.CutPrefix(tt.err, "=")
		if whole && !strings.HasPrefix(body.Err, want) || !strings.Contains(body.Err, want) || a.header.Get("Cache-Control") != "no-store" {
			t.Errorf("%s\nsays %q, want %q", name, body.Err, want)
		}
	}
	if diff := cmp.Diff(before, [2]string{c.call("GET", registries, "").body, c.call("GET", "/collections", "").body}); diff != "" {
		t.Errorf("bad input changed something:\n%s", diff)
	}
	if strings.Contains(c.log.String(), "went wrong") {
		t.Errorf("something was logged as our fault:\n%s", c.log)
	}
}
