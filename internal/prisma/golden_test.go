package prisma_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write testdata/*.json and *.csv anew")

// random is what differs from run to run in an answer.
var random = regexp.MustCompile(`("(?:encrypted|webhookUrlSuffix|harborScannerUrlSuffix)": ")[^"]+(")`)

// golden compares an answer with a file.
func golden(t *testing.T, name string, a answer) {
	t.Helper()
	got := []byte(a.body)
	if strings.HasSuffix(name, ".json") {
		var indented bytes.Buffer
		if err := json.Indent(&indented, got, "", "  "); err != nil {
			t.Fatalf("%s: %v in %s", name, err, a.body)
		}
		got = random.ReplaceAll(append(indented.Bytes(), '\n'), []byte("${1}RANDOM$2"))
	}
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" || a.status != 200 {
		t.Errorf("%s, status %d (-want +got):\n%s", name, a.status, diff)
	}
}

// filled is a console that has something of everything.
func filled(t *testing.T) *console {
	t.Helper()
	return fill(start(t))
}

func fill(c *console) *console {
	c.Helper()
	c.ok("POST", "/credentials", `{"_id":"robot","type":"basic","accountID":"u","description":"d","secret":{"plain":"p"}}`)
	c.ok("POST", "/credentials", `{"_id":"cloud","type":"azure","azureSPInfo":{"clientId":"c","tenantId":"t"},"secret":{"plain":"p"}}`)
	c.ok("POST", "/collections", `{"name":"blue","images":["r.example.com/team/*"],"labels":["team:blue"],"color":"#AD3C21","description":"d"}`)
	c.ok("PUT", "/settings/registry", `{"specifications":[
		{"version":"2","registry":"https://r.example.com","repository":"team/*","credentialID":"robot","cap":5,"collections":["blue"]},
		`+declared+`,{"version":"2"}]}`)
	c.ok("PUT", "/policies/vulnerability/images", `{"rules":[{"name":"strict","collections":[{"name":"blue"}],"effect":"block",
		"alertThreshold":{"disabled":false,"value":1},"blockThreshold":{"enabled":true,"value":9.0},"graceDays":3,
		"cveRules":[{"id":"CVE-2020-0002","effect":"ignore","description":"no","expiration":{"enabled":true,"date":"2030-01-01T00:00:00Z"}}],
		"tags":[{"name":"t","effect":"alert"}],"riskFactorsEffects":[{"riskFactor":"DoS - High","effect":"alert"}],
		"pkgTypesThresholds":[{"type":"nodejs","alertThreshold":{"value":4},"blockThreshold":{}}],
		"license":{"alertThreshold":{"enabled":true,"value":7},"critical":["AGPL-3.0"]}},
		{"name":"rest","disabled":true,"collections":[{"name":"All"}],"unknown":1}]}`)
	c.ok("POST", "/tags", `{"name":"t","color":"#ff0000","description":"d","vulns":[{"id":"CVE-2020-0002","comment":"seen"}]}`)
	c.ok("POST", "/tags/t/vuln", `{"id":"GHSA-aaaa-bbbb-cccc","packageName":"lodash","resourceType":"image","resources":["r.example.com/team/*"],"comment":"soon"}`)
	c.seed("team/app:v1", "team/app:v2", "team/web:v1")
	c.seedBase("toolbox/base:12")
	c.ok("POST", "/policies/vulnerability/base-images", `{"_id":"r.example.com/toolbox/base:*","description":"ours"}`)
	c.clock.forward(time.Minute)
	c.endScan(c.specs()[0]["id"].(string), "")
	return c
}

// goldens are the files of testdata with the paths that answer them.
var goldens = map[string]string{
	"settings_registry.json":      "/settings/registry",
	"settings_scan.json":          "/settings/scan",
	"credentials.json":            "/credentials",
	"credential_usages.json":      "/credentials/robot/usages",
	"registry.json":               "/registry?name=r.example.com/team/app:v1",
	"registry_layers.json":        "/registry?name=r.example.com/team/app:v1&layers=true&normalizedSeverity=true&issueType=vulnerabilities",
	"registry_compact.json":       "/registry?compact=true&limit=1",
	"registry_names.json":         "/registry/names",
	"registry_download.csv":       "/registry/download",
	"registry_progress.json":      "/registry/progress",
	"statuses_registry.json":      "/statuses/registry",
	"statuses_intelligence.json":  "/statuses/intelligence",
	"policies_vulnerability.json": "/policies/vulnerability/images",
	"policies_compliance.json":    "/policies/compliance/container",
	"collections.json":            "/collections",
	"collection_usages.json":      "/collections/blue/usages",
	"version.json":                "/version",
	"policies_ci.json":            "/policies/vulnerability/ci/images",
	"policies_impacted.json":      "/policies/vulnerability/images/impacted?ruleName=strict&compact=true",
	"base_images.json":            "/policies/vulnerability/base-images",
	"base_images_download.csv":    "/policies/vulnerability/base-images/download",
	"tags.json":                   "/tags",
	"stats_vulnerabilities.json":  "/stats/vulnerabilities",
	"stats_vulnerabilities.csv":   "/stats/vulnerabilities/download",
	"stats_impacted.json":         "/stats/vulnerabilities/impacted-resources?cve=CVE-2026-0001",
	"stats_impacted.csv":          "/stats/vulnerabilities/impacted-resources/download?cve=CVE-2026-0001",
	"stats_compliance.json":       "/stats/compliance",
	"stats_compliance.csv":        "/stats/compliance/download",
	"static_vulnerabilities.json": "/static/vulnerabilities",
	"sbom.json":                   "/sbom/download/registry?id=r.example.com/team/app:v1",
	"sbom.xml":                    "/sbom/download/registry?id=r.example.com/team/app:v1&sbomFormat=cyclonedx_xml",
	"users.json":                  "/users",
	"groups.json":                 "/groups",
	"group_names.json":            "/groups/names",
	"roles.json":                  "/rbac/roles",
	"current_collections.json":    "/current/collections",
	"current_projects.json":       "/current/projects",
}

func TestGolden(t *testing.T) {
	c := filled(t)
	for name, path := range goldens {
		t.Run(name, func(t *testing.T) { golden(t, name, c.call("GET", path, "")) })
	}
}
