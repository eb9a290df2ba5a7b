package tidewaiter_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

var noon = time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)

func daysOld(name string, days int) tidewaiter.ListedTag {
	return tidewaiter.ListedTag{Name: name, UpdatedAt: noon.AddDate(0, 0, -days)}
}

func reasons(ds []tidewaiter.Decision) []tidewaiter.Reason {
	out := make([]tidewaiter.Reason, len(ds))
	for i, d := range ds {
		out[i] = d.Reason
	}
	return out
}

func TestScopeTags(t *testing.T) {
	tags := []tidewaiter.ListedTag{daysOld("1.0", 30), daysOld("1.1", 20), daysOld("1.2", 10), daysOld("dev-7", 1), {Name: "unknown"},
		{Name: "sha256-" + strings.Repeat("a", 64) + ".sig"}}
	const (
		in, pat, exc, old, few, ver, art = tidewaiter.ReasonSelected, tidewaiter.ReasonTagPattern, tidewaiter.ReasonTagExcluded,
			tidewaiter.ReasonTooOld, tidewaiter.ReasonNotNewest, tidewaiter.ReasonVersionPattern, tidewaiter.ReasonNotAnImage
	)
	for _, c := range []struct {
		name  string
		scope tidewaiter.Scope
		want  []tidewaiter.Reason
	}{
		{"everything", tidewaiter.Scope{}, []tidewaiter.Reason{in, in, in, in, in, art}},
		{"pattern", tidewaiter.Scope{Select: []tidewaiter.Selector{{Tags: []string{"1.*"}}}}, []tidewaiter.Reason{in, in, in, pat, pat, art}},
		{"two selectors", tidewaiter.Scope{Select: []tidewaiter.Selector{{Repository: "other"}, {Repository: "team/*", Tags: []string{"1.0", "dev*"}}}},
			[]tidewaiter.Reason{in, pat, pat, in, pat, art}},
		{"exclusions come after", tidewaiter.Scope{ExcludeTags: []string{"DEV-*", ""}}, []tidewaiter.Reason{in, in, in, exc, in, art}},
		{"newest two", tidewaiter.Scope{Newest: 2}, []tidewaiter.Reason{few, few, in, in, few, art}},
		{"newest counts what is left", tidewaiter.Scope{Newest: 2, ExcludeTags: []string{"dev*"}}, []tidewaiter.Reason{few, in, in, exc, few, art}},
		{"version pattern", tidewaiter.Scope{Newest: 1, VersionPattern: "%d.%d"}, []tidewaiter.Reason{few, few, in, ver, ver, art}},
		{"age; unknown counts as young", tidewaiter.Scope{MaxAgeDays: 14}, []tidewaiter.Reason{old, old, in, in, in, art}},
	} {
		t.Run(c.name, func(t *testing.T) {
			if diff := cmp.Diff(c.want, reasons(c.scope.Tags("team/app", tags, noon))); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestScopeRepository(t *testing.T) {
	s := tidewaiter.Scope{Select: []tidewaiter.Selector{{Repository: "team/*"}}, ExcludeRepositories: []string{"team/old*"}}
	for name, want := range map[string]tidewaiter.Reason{
		"team/app": tidewaiter.ReasonSelected, "other": tidewaiter.ReasonRepositoryPattern, "team/old-app": tidewaiter.ReasonRepositoryExcluded,
	} {
		if d := s.Repository(name); d.Reason != want || d.Included != (want == tidewaiter.ReasonSelected) {
			t.Errorf("%s: %+v", name, d)
		}
	}
}

func TestScopeNamed(t *testing.T) {
	if _, ok := (&tidewaiter.Scope{}).Named(); ok {
		t.Error("the zero scope names nothing")
	}
	s := tidewaiter.Scope{Select: []tidewaiter.Selector{{Repository: "a"}, {Repository: "b"}, {Repository: "a", Tags: []string{"x"}}}}
	if names, ok := s.Named(); !ok || !cmp.Equal(names, []string{"a", "b"}) {
		t.Errorf("%v %v", names, ok)
	}
	s.Select[1].Repository = "b*"
	if _, ok := s.Named(); ok {
		t.Error("a pattern names nothing")
	}
}

// TestScopeIsMonotonous holds that leaving more out, or keeping fewer, never takes a tag in that was out before.
func TestScopeIsMonotonous(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var tags []tidewaiter.ListedTag
		for i, name := range rapid.SliceOfNDistinct(rapid.StringMatching(`[a-c][0-9]`), 0, 12, rapid.ID).Draw(t, "tags") {
			tags = append(tags, daysOld(name, i))
		}
		wide := tidewaiter.Scope{Newest: rapid.IntRange(0, 6).Draw(t, "newest")}
		narrow := wide
		if narrow.Newest > 1 {
			narrow.Newest--
		}
		a, b := wide.Tags("r", tags, noon), narrow.Tags("r", tags, noon)
		count := 0
		for i := range tags {
			if b[i].Included && !a[i].Included {
				t.Fatalf("%s came in when less was asked for", tags[i].Name)
			}
			if a[i].Included {
				count++
			}
		}
		if wide.Newest > 0 && count != min(wide.Newest, len(tags)) {
			t.Fatalf("%d of %d tags in, newest %d", count, len(tags), wide.Newest)
		}
	})
}
