// Package arch_test keeps the house in order: a package imports only packages of a smaller ring.
package arch_test

import (
	"go/parser"
	"go/token"
	"io/fs"
	"path"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

const module = "github.com/tidewaiter/tidewaiter/"

// rings holds every package of internal/ with its ring. ARCHITECTURE.md draws the same picture.
var rings = map[string]int{
	"tidewaiter": 0,

	"advisory": 1, "engine": 1, "oci": 1, "policy": 1, "report": 1, "samples": 1, "secret": 1, "store": 1,

	"auth": 2, "connector": 2, "discover": 2, "event": 2, "notify": 2, "opinion": 2, "publish": 2, "queue": 2, "scan": 2,

	"control": 3, "doctor": 3,

	"admission": 4, "api": 4, "harbor": 4, "inbox": 4, "prisma": 4, "qualys": 4,

	"httpd": 5,
	"app":   6,
	"cli":   7,
}

// adapters know how something outside is spoken to. The rims reach them through control only.
var adapters = map[string]bool{"store": true, "queue": true, "oci": true, "connector": true, "engine": true, "advisory": true}

// allowed are the exceptions, each with its reason.
var allowed = map[string]string{
	"advisory -> oci": "advisories come as an OCI artifact",
}

// testOnly packages serve tests and may be imported by tests alone.
var testOnly = map[string]bool{"testkit": true, "store/storetest": true, "connector/connectortest": true, "arch": true}

func TestImportsPointInwards(t *testing.T) {
	root := "../.."
	err := filepath.WalkDir(filepath.Join(root, "internal"), func(file string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(file, ".go") {
			return err
		}
		rel, err := filepath.Rel(filepath.Join(root, "internal"), file)
		if err != nil {
			return err
		}
		for _, fault := range faults(t, file, filepath.ToSlash(path.Dir(filepath.ToSlash(rel)))) {
			t.Errorf("%s %s", rel, fault)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// faults returns what is wrong with the imports of one file of a package.
func faults(t *testing.T, file, pkg string) []string {
	t.Helper()
	parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ImportsOnly)
	if err != nil {
		t.Fatal(err)
	}
	var paths []string
	for _, spec := range parsed.Imports {
		p, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			t.Fatal(err)
		}
		paths = append(paths, p)
	}
	return check(pkg, strings.HasSuffix(file, "_test.go") || testOnly[pkg], paths)
}

func check(pkg string, isTest bool, imports []string) []string {
	var faults []string
	if _, known := rings[top(pkg)]; !known && !testOnly[pkg] {
		faults = append(faults, "belongs to a package without a ring: add "+top(pkg)+" to the list here and in ARCHITECTURE.md")
	}
	for _, p := range imports {
		to, internal := strings.CutPrefix(p, module+"internal/")
		if !internal || to == pkg || top(to) == top(pkg) {
			continue
		}
		switch {
		case testOnly[to] && !isTest:
			faults = append(faults, "imports "+to+", which serves tests only")
		case isTest || allowed[pkg+" -> "+to] != "":
		case rings[top(to)] >= rings[top(pkg)]:
			faults = append(faults, "imports "+to+", which is not of a smaller ring")
		case rings[top(pkg)] == 4 && adapters[top(to)]:
			faults = append(faults, "is a rim and imports the adapter "+to+": call control instead")
		}
	}
	return faults
}

func top(pkg string) string {
	first, _, _ := strings.Cut(pkg, "/")
	return first
}

func TestRuleCatchesViolations(t *testing.T) {
	for _, c := range []struct {
		pkg, imports string
		faults       int
	}{
		{"prisma", "store", 1}, {"prisma", "control", 0}, {"tidewaiter", "store", 1}, {"scan", "queue", 1},
		{"control", "prisma", 1}, {"scan", "testkit", 1}, {"unheard", "tidewaiter", 2}, {"app", "store", 0}, {"advisory", "oci", 0},
	} {
		if got := check(c.pkg, false, []string{module + "internal/" + c.imports}); len(got) != c.faults {
			t.Errorf("%s importing %s: %v, want %d faults", c.pkg, c.imports, got, c.faults)
		}
	}
}
