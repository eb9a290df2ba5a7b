package policy_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"github.com/tidewaiter/tidewaiter/internal/policy"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

func layers(ids ...string) (out []tidewaiter.LayerRef) {
	for _, id := range ids {
		out = append(out, tidewaiter.LayerRef{DiffID: id})
	}
	return out
}

func imageOf(created int, ids ...string) *tidewaiter.Image {
	return &tidewaiter.Image{Layers: layers(ids...), CreatedAt: time.Unix(int64(created), 0)}
}

func TestBaseUnderAnImage(t *testing.T) {
	var os, runtime policy.BaseImage
	os.Keep(policy.StackOf("r/os:1", imageOf(1, "a", "b")))
	os.Keep(policy.StackOf("r/empty:1", imageOf(1)))
	runtime.Keep(policy.StackOf("r/runtime:1", imageOf(2, "a", "b", "c")))
	runtime.Keep(policy.StackOf("r/another-name:1", imageOf(3, "a", "b", "c")))
	bases := policy.NewBases([]policy.BaseImage{os, runtime})
	for name, tt := range map[string]struct {
		layers []tidewaiter.LayerRef
		count  int
		base   string
	}{
		"the largest counts":           {layers("a", "b", "c", "d"), 3, "r/runtime:1"},
		"the smaller one":              {layers("a", "b", "x"), 2, "r/os:1"},
		"an image is not its own base": {layers("a", "b"), 0, ""},
		"a base can stand on another":  {layers("a", "b", "c"), 2, "r/os:1"},
		"not from the bottom":          {layers("x", "a", "b", "c"), 0, ""},
		"another order":                {layers("b", "a", "c"), 0, ""},
		"part of a base":               {layers("a", "x"), 0, ""},
		"no layers":                    {nil, 0, ""},
	} {
		if count, base := bases.Under(tt.layers); count != tt.count || base != tt.base {
			t.Errorf("%s: %d of %q, want %d of %q", name, count, base, tt.count, tt.base)
		}
	}
	if count, _ := (&policy.Bases{}).Under(layers("a", "b")); count != 0 {
		t.Error("nothing is declared, and something found")
	}
}

func TestOnlyTheNewestBasesAreKept(t *testing.T) {
	var b policy.BaseImage
	for i := range policy.MaxStacks + 10 {
		if !b.Keep(policy.StackOf(fmt.Sprintf("r/os:%d", i), imageOf(i, fmt.Sprint(i)))) {
			t.Fatalf("image %d is not kept", i)
		}
	}
	if len(b.Images) != policy.MaxStacks || b.Images[0].Name != "r/os:59" || b.Images[policy.MaxStacks-1].Name != "r/os:10" {
		t.Errorf("%d kept, from %s to %s", len(b.Images), b.Images[0].Name, b.Images[len(b.Images)-1].Name)
	}
	if b.Keep(policy.StackOf("r/os:0", imageOf(0, "0"))) {
		t.Error("an image older than all that are kept is news")
	}
	if b.Keep(policy.StackOf("r/os:new-name", imageOf(99, "59"))) {
		t.Error("the same layers under another name are news")
	}
}

func TestTakes(t *testing.T) {
	for pattern, want := range map[string]bool{
		"r.example.com/library/os:*": true, "library/os:1": true, "*/os:1": true, "r.example.com/library/os:2": false, "os:1": false,
	} {
		b := policy.BaseImage{Pattern: pattern}
		if got := b.Takes([]string{"r.example.com/library/os:1"}); got != want {
			t.Errorf("%s: %v", pattern, got)
		}
	}
}

func TestFindingsOfTheBase(t *testing.T) {
	low, high, both := &tidewaiter.Package{ID: 1, Name: "low"}, &tidewaiter.Package{ID: 2, Name: "high"}, &tidewaiter.Package{ID: 3, Name: "both"}
	r := &tidewaiter.Result{Image: imageOf(1, "a", "b"), Content: &tidewaiter.Content{Installed: []tidewaiter.Installed{
		{Package: low}, {Package: both}, {Package: both, Layer: 1, Path: "again"}, {Package: high, Layer: 1}}}}
	var b policy.BaseImage
	b.Keep(policy.StackOf("r/os:1", imageOf(1, "a")))
	declared := policy.Declared{Bases: policy.NewBases([]policy.BaseImage{b})}
	findings := []policy.Finding{{Package: low}, {Package: high}, {Package: both}, {}}
	count, base := declared.Apply(r, nil, findings)
	var got []bool
	for _, f := range findings {
		got = append(got, f.Base)
	}
	if !slices.Equal(got, []bool{true, false, false, false}) || count != 1 || base != "r/os:1" {
		t.Errorf("%v over %d layers of %s", got, count, base)
	}
}

func TestTagsOfAFinding(t *testing.T) {
	mark := func(m policy.Marked) policy.Tags {
		return policy.NewTags([]policy.Tag{{Name: "t", Marks: []policy.Marked{m}}})
	}
	f := policy.Finding{Finding: tidewaiter.Finding{Vulnerability: "CVE-1"}, Package: &tidewaiter.Package{Name: "libssl3", Source: "openssl"}}
	names := []string{"r.example.com/team/app:1", "r.example.com/team/app:latest"}
	for name, tt := range map[string]struct {
		mark policy.Marked
		want bool
	}{
		"everywhere":           {policy.Marked{Vulnerability: "CVE-1"}, true},
		"in any case":          {policy.Marked{Vulnerability: "cve-1"}, true},
		"another":              {policy.Marked{Vulnerability: "CVE-2"}, false},
		"the package":          {policy.Marked{Vulnerability: "CVE-1", Package: "libssl3"}, true},
		"its source":           {policy.Marked{Vulnerability: "CVE-1", Package: "openssl"}, true},
		"any package":          {policy.Marked{Vulnerability: "CVE-1", Package: "*"}, true},
		"another package":      {policy.Marked{Vulnerability: "CVE-1", Package: "ssl"}, false},
		"the image":            {policy.Marked{Vulnerability: "CVE-1", Kind: "image", Images: []string{"team/app:latest"}}, true},
		"every image":          {policy.Marked{Vulnerability: "CVE-1", Kind: "image", Images: []string{"*"}}, true},
		"another image":        {policy.Marked{Vulnerability: "CVE-1", Kind: "image", Images: []string{"team/web:*"}}, false},
		"no image":             {policy.Marked{Vulnerability: "CVE-1", Kind: "image"}, false},
		"hosts":                {policy.Marked{Vulnerability: "CVE-1", Kind: "host", Images: []string{"*"}}, false},
		"the base image":       {policy.Marked{Vulnerability: "CVE-1", Kind: "image", Images: []string{"library/os:*"}, OnBase: true}, true},
		"another base image":   {policy.Marked{Vulnerability: "CVE-1", Kind: "image", Images: []string{"team/*"}, OnBase: true}, false},
		"the base as an image": {policy.Marked{Vulnerability: "CVE-1", Kind: "image", Images: []string{"library/os:*"}}, false},
	} {
		tags := mark(tt.mark)
		if got := len(tags.Of(&f, names, "r.example.com/library/os:1")) == 1; got != tt.want {
			t.Errorf("%s: %v", name, got)
		}
	}
	onBase := mark(policy.Marked{Vulnerability: "CVE-1", Kind: "image", Images: []string{"*"}, OnBase: true})
	if got := onBase.Of(&f, names, ""); got != nil {
		t.Errorf("an image without a base: %v", got)
	}
}

// TestFactorsGivenFromOutsideChangeNothing: working factors out before is only a way to save time.
func TestFactorsGivenFromOutsideChangeNothing(t *testing.T) {
	now := time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)
	rapid.Check(t, func(t *rapid.T) {
		var in policy.Input
		in.Now = now
		in.Collections = map[string]tidewaiter.Collection{"c": {Name: "c", Images: []string{"*"}}}
		in.Names = []string{"r/a:1"}
		effect := rapid.SampledFrom([]tidewaiter.Effect{tidewaiter.EffectAlert, tidewaiter.EffectBlock}).Draw(t, "effect")
		factor := rapid.SampledFrom([]tidewaiter.RiskFactor{tidewaiter.RiskNetwork, tidewaiter.RiskRemote, tidewaiter.RiskRecent, tidewaiter.RiskHasFix}).Draw(t, "factor")
		in.Vulnerability = &tidewaiter.Policy{Rules: []tidewaiter.Rule{{Name: "r", Collections: []string{"c"},
			RiskFactors: []tidewaiter.RiskFactorRule{{Factor: factor, Effect: effect}}}}}
		for i := range rapid.IntRange(0, 6).Draw(t, "findings") {
			v := &tidewaiter.Vulnerability{ID: fmt.Sprintf("CVE-%d-1", 2020+i), Severity: tidewaiter.Severity(rapid.IntRange(0, 5).Draw(t, "severity")),
				Description: rapid.SampledFrom([]string{"", "allows remote attackers to execute arbitrary code", "denial of service"}).Draw(t, "text"),
				Vector:      rapid.SampledFrom([]string{"", "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:N/I:N/A:H"}).Draw(t, "vector")}
			in.Findings = append(in.Findings, policy.Finding{Details: v, Finding: tidewaiter.Finding{Vulnerability: v.ID, Severity: v.Severity}})
		}
		without := policy.Evaluate(in)
		for i := range in.Findings {
			factors := policy.VulnerabilityFactors(in.Findings[i].Details, now) | policy.OwnFactors(&in.Findings[i], now)
			in.Findings[i].Factors = &factors
		}
		in.Room = make([]policy.Judged, rapid.IntRange(0, 8).Draw(t, "room"))
		for i := range in.Room {
			in.Room[i] = policy.Judged{Effect: tidewaiter.EffectBlock, Cause: "left over", GraceDays: 3}
		}
		with := policy.Evaluate(in)
		if diff := cmp.Diff(without, with, cmpopts.IgnoreUnexported(policy.Judged{}), cmpopts.EquateEmpty()); diff != "" {
			t.Fatal(diff)
		}
	})
}
