package prisma_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"
)

// types are the vendor's types, as testdata/schema.txt lists them.
type types map[string]string

func readTypes(t *testing.T) types {
	t.Helper()
	f, err := os.Open("testdata/schema.txt")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	out := types{}
	for lines := bufio.NewScanner(f); lines.Scan(); {
		if name, is, ok := strings.Cut(lines.Text(), " = "); ok {
			out[name] = is
		}
	}
	return out
}

// beside lists what consoles send though the vendor's document does not know it, or knows it as something else.
var beside = map[string]bool{
	"codeRepos":   true, // documented in the text, not in the schema
	"minSeverity": true,
	"riskFactors": true, // said to be a map of strings; on the wire the values are empty objects
}

// check reports where a value is not of a type. null stands for anything: Go servers send it for what is empty.
func (ty types) check(path, want string, v any) (wrong []string) {
	bad := func(format string, args ...any) { wrong = append(wrong, path+": "+fmt.Sprintf(format, args...)) }
	if v == nil {
		return nil
	}
	switch kind, rest, _ := strings.Cut(want, " "); {
	case strings.HasPrefix(want, "[]"):
		list, ok := v.([]any)
		if !ok {
			bad("%T is no list", v)
		}
		for i, item := range list {
			wrong = append(wrong, ty.check(fmt.Sprintf("%s[%d]", path, i), want[2:], item)...)
		}
	case kind == "map":
		object, ok := v.(map[string]any)
		if !ok {
			bad("%T is no map", v)
		}
		for name, value := range object {
			wrong = append(wrong, ty.check(path+"."+name, rest, value)...)
		}
	case kind == "struct":
		object, ok := v.(map[string]any)
		if !ok {
			bad("%T is no object", v)
		}
		known := map[string]string{}
		for field := range strings.SplitSeq(rest, ", ") {
			name, is, _ := strings.Cut(field, " ")
			known[name] = is
		}
		for name, value := range object {
			switch is, ok := known[name]; {
			case beside[name]:
			case !ok:
				bad("%s is unknown", name)
			default:
				wrong = append(wrong, ty.check(path+"."+name, is, value)...)
			}
		}
	case kind == "enum":
		if s, ok := v.(string); !ok || !slices.Contains(strings.Split(rest, "|"), s) && s != "" {
			bad("%v is none of %s", v, rest)
		}
	case kind == "time":
		s, _ := v.(string)
		if _, err := time.Parse(time.RFC3339, s); err != nil {
			bad("%v is no time", v)
		}
	case kind == "string", kind == "boolean", kind == "number", kind == "integer", kind == "object":
		if got := typeOf(v); got != kind && (got != "integer" || kind != "number") {
			bad("%v is a %s, want %s", v, got, kind)
		}
	default:
		is, ok := ty[want]
		if !ok {
			bad("no type %s", want)
			return wrong
		}
		return append(wrong, ty.check(path, is, v)...)
	}
	return wrong
}

func typeOf(v any) string {
	switch v := v.(type) {
	case string:
		return "string"
	case bool:
		return "boolean"
	case map[string]any:
		return "object"
	case float64:
		if v == float64(int64(v)) {
			return "integer"
		}
		return "number"
	}
	return fmt.Sprintf("%T", v)
}

// answers are the endpoints with the vendor's type of what they answer.
var answers = map[string]string{
	"/settings/registry":                      "shared.RegistrySettings",
	"/settings/scan":                          "shared.ScanSettings",
	"/credentials":                            "[]cred.Credential",
	"/credentials/robot/usages":               "[]types.CredentialUsage",
	"/registry":                               "[]shared.ImageScanResult",
	"/registry?compact=true":                  "[]shared.ImageScanResult",
	"/registry?layers=true":                   "[]shared.ImageScanResult",
	"/registry/names":                         "[]string",
	"/registry/progress":                      "[]shared.RegistryScanProgress",
	"/statuses/registry":                      "defender.ScanStatus",
	"/policies/vulnerability/images":          "shared.Policy",
	"/policies/compliance/container":          "shared.Policy",
	"/collections":                            "[]collection.Collection",
	"/collections/blue/usages":                "[]collection.Usage",
	"/policies/vulnerability/ci/images":       "shared.Policy",
	"/policies/compliance/ci/images":          "shared.Policy",
	"/policies/vulnerability/images/impacted": "[]shared.ImageScanResult",
	"/policies/compliance/container/impacted": "[]shared.ImageScanResult",
	"/policies/vulnerability/base-images":     "[]types.BaseImagesRule",
	"/tags":                                   "[]shared.Tag",
	"/stats/vulnerabilities":                  "[]types.VulnerabilityStats",
	"/stats/vulnerabilities/impacted-resources?cve=CVE-2026-0001": "types.VulnImpactedResources",
	"/stats/compliance":    "types.ComplianceStats",
	"/current/collections": "[]types.UserCollection",
	"/current/projects":    "[]types.UserProject",
	"/users":               "[]api.User",
	"/authenticate/renew":  "api.AuthenticationResponse",
	"/version":             "string",
}

func TestAnswersHaveTheVendorsTypes(t *testing.T) {
	ty, c := readTypes(t), filled(t)
	for path, want := range answers {
		var v any
		c.must(json.Unmarshal([]byte(c.call("GET", path, "").body), &v))
		if v == nil {
			t.Errorf("%s answers null: there is nothing to check", path)
		}
		for _, wrong := range ty.check("", want, v) {
			t.Errorf("%s %s", path, wrong)
		}
	}
	if wrong := ty.check("", "shared.RegistrySpecification", map[string]any{"cap": "5", "os": "macos", "colour": 1.0, "scanTime": "now"}); len(wrong) != 4 {
		t.Errorf("the check itself finds %q", wrong)
	}
}
