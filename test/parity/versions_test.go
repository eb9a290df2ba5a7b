package parity_test

import (
	"os"
	"regexp"
	"testing"
)

// TestBothModulesUseTheSameTrivy compares the two go.mod files: findings of another version would say nothing about ours.
func TestBothModulesUseTheSameTrivy(t *testing.T) {
	for _, module := range []string{"github.com/aquasecurity/trivy", "github.com/aquasecurity/trivy-db"} {
		product, here := versionIn(t, "../../go.mod", module), versionIn(t, "go.mod", module)
		if product != here {
			t.Errorf("the product links %s %s, this module %s", module, product, here)
		}
	}
}

func versionIn(t *testing.T, file, module string) string {
	t.Helper()
	b, err := os.ReadFile(file)
	must(t, err)
	found := regexp.MustCompile(`(?m)^\s*` + regexp.QuoteMeta(module) + ` (v\S+)`).FindSubmatch(b)
	if found == nil {
		t.Fatalf("%s does not require %s", file, module)
	}
	return string(found[1])
}
