package app_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tidewaiter/tidewaiter/internal/app"
	"github.com/tidewaiter/tidewaiter/internal/samples"
	"github.com/tidewaiter/tidewaiter/internal/testkit"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// TestRegistryBecomesJudgedImages walks the whole path and compares each image with what is known to be in it.
func TestRegistryBecomesJudgedImages(t *testing.T) {
	t.Parallel()
	if !apart(t) {
		return
	}
	registry := sampleRegistry(t)
	catalogue, err := samples.Catalogue(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	onBoth(t, func(t *testing.T, database string) {
		s := start(t, app.Config{Database: database, Advisories: advisoriesIn(registry)}).withAdvisories(t)
		r := s.declare(t, registry.URL)
		scan := s.finished(t)[r.ID]
		if scan.State != tidewaiter.ScanCompleted || !scan.Complete || scan.ImagesFailed != 0 || scan.ImagesDone != scan.ImagesTotal {
			t.Errorf("scan: %+v", scan)
		}
		rows := s.results(t)
		shown := 0
		for _, sample := range catalogue {
			for _, tag := range sample.Tags {
				name := sample.Repository + ":" + tag
				if sample.Expect.Kind == tidewaiter.ManifestArtifact {
					if _, found := rows[name]; found {
						t.Errorf("%s is no image and shown as one", name)
					}
					continue
				}
				shown++
				row, found := rows[name]
				if !found {
					t.Errorf("%s is missing", name)
					continue
				}
				result, err := s.control.Result(t.Context(), row.Image.ID)
				if err != nil {
					t.Fatal(err)
				}
				compare(t, name, sample.Expect, result)
			}
		}
		if shown != len(rows) {
			t.Errorf("%d rows, want %d", len(rows), shown)
		}
	})
}

// compare holds a result against what the sample is known to hold.
func compare(t *testing.T, name string, want samples.Expectation, got *tidewaiter.Result) {
	t.Helper()
	var packages []samples.Package
	names := map[int64]string{}
	for _, in := range got.Content.Installed {
		packages = append(packages, samples.Package{Ecosystem: in.Package.Ecosystem, Name: in.Package.Name, Version: in.Package.FullVersion()})
		names[in.Package.ID] = in.Package.Name
	}
	order := func(a, b samples.Package) int { return strings.Compare(fmt.Sprint(a), fmt.Sprint(b)) }
	slices.SortFunc(packages, order)
	expected := slices.SortedFunc(slices.Values(want.Packages), order)
	if diff := cmp.Diff(expected, slices.Compact(packages)); diff != "" {
		t.Errorf("%s: packages: %s", name, diff)
	}
	found := map[samples.Finding]bool{}
	for id, fs := range got.Findings {
		for _, f := range fs {
			found[samples.Finding{Package: names[id], Vulnerability: f.Vulnerability}] = true
			if got.Vulnerabilities[f.Vulnerability] == nil {
				t.Errorf("%s: nothing is known of %s", name, f.Vulnerability)
			}
		}
	}
	for _, f := range want.Notable {
		if !found[f] {
			t.Errorf("%s: %v was not found", name, f)
		}
	}
	for _, f := range want.Absent {
		if found[f] {
			t.Errorf("%s: %v was found, but is hidden", name, f)
		}
	}
	if len(found) != want.Findings {
		t.Errorf("%s: %d findings, want %d", name, len(found), want.Findings)
	}
	rules := map[string]bool{}
	for _, secret := range got.Content.Secrets {
		rules[secret.Rule] = true
	}
	var spoke []string
	for rule := range rules {
		spoke = append(spoke, rule)
	}
	slices.Sort(spoke)
	if !slices.Equal(spoke, want.Secrets) {
		t.Errorf("%s: secrets by rules %v, want %v", name, spoke, want.Secrets)
	}
	if len(got.Content.SetID) != want.SetID {
		t.Errorf("%s: set-id files %v, want %d", name, got.Content.SetID, want.SetID)
	}
	var failed []int
	for _, c := range got.Checks {
		if !c.Passed && slices.Contains([]int{samples.CheckUser, samples.CheckHealth, samples.CheckEnv, samples.CheckKey}, c.ID) {
			failed = append(failed, c.ID)
		}
	}
	slices.Sort(failed)
	if !slices.Equal(failed, want.FailedChecks) {
		t.Errorf("%s: failed checks %v, want %v", name, failed, want.FailedChecks)
	}
	j := got.Image.Judgement
	if j == nil || j.Advisories == "" || j.Verdict.Effect == "" || j.Packages != len(got.Content.Installed) {
		t.Errorf("%s: judgement %+v", name, j)
	}
}

// TestEachLayerIsPulledOnce pushes one image under ten names in two registries, next to another that shares its base.
func TestEachLayerIsPulledOnce(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, database string) {
		one, two := testkit.Registry(t, testkit.Options{}), testkit.Registry(t, testkit.Options{})
		base := samples.NewImage().Step("base", samples.File("etc/os-release", "ID=debian\nVERSION_ID=12\n"))
		app1 := base.Step("app", samples.File("app/package.json", `{"name":"left-pad","version":"1.0.0"}`)).MustBuild()
		app2 := base.Step("other", samples.File("srv/x", "y")).MustBuild()
		for i := range 10 {
			push(t, one.URL, fmt.Sprintf("team/app-%d", i%5), app1, fmt.Sprintf("v%d", i))
			push(t, two.URL, fmt.Sprintf("mirror/app-%d", i%5), app1, fmt.Sprintf("v%d", i))
		}
		push(t, two.URL, "mirror/other", app2, "latest")
		s := start(t, app.Config{Database: database, Workers: 4, Advisories: []string{one.Host + "/none:1"}})
		s.declare(t, one.URL)
		s.declare(t, two.URL)
		s.finished(t)
		if rows := s.results(t); len(rows) != 21 {
			t.Errorf("%d rows, want 21", len(rows))
		}
		layers := map[string]int64{}
		for _, m := range []*samples.Manifest{app1, app2} {
			for _, l := range m.Layers {
				layers[l.DiffID] = int64(len(l.Data))
			}
		}
		var bytes int64
		for _, n := range layers {
			bytes += n
		}
		if got := s.metric(t, "tidewaiter_layers_analyzed_total"); got != float64(len(layers)) {
			t.Errorf("%v layers analysed, want %d", got, len(layers))
		}
		if got := s.metric(t, "tidewaiter_layer_bytes_pulled_total"); got != float64(bytes) {
			t.Errorf("%v bytes pulled, want %d", got, bytes)
		}
	})
}
