package tidewaiter_test

import (
	"regexp"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

func TestMatchPattern(t *testing.T) {
	for _, c := range []struct {
		pattern, name string
		want          bool
	}{
		{"", "anything", true}, {"*", "anything", true}, {"*", "", true}, {"", "", true},
		{"library/ubuntu", "library/ubuntu", true}, {"library/ubuntu", "library/ubuntu2", false},
		{"library/*", "library/ubuntu", true}, {"library/*", "other/ubuntu", false}, {"library/*", "library/a/b", true},
		{"*ubuntu", "library/ubuntu", true}, {"*ubuntu", "library/ubuntu-2", false},
		{"*bun*", "library/ubuntu", true}, {"*xyz*", "library/ubuntu", false},
		{"Library/UBUNTU", "library/ubuntu", true}, {"v1.*", "V1.2", true}, {"v1.*", "v12", false},
		{"a*b*c", "axxbyyc", true}, {"a*b*c", "acb", false}, {"a**b", "ab", true}, {"*a", "ba", true}, {"*aab", "aaaab", true},
		{"a?c", "abc", false}, {"[ab]", "a", false},
	} {
		if got := tidewaiter.MatchPattern(c.pattern, c.name); got != c.want {
			t.Errorf("MatchPattern(%q, %q) = %v", c.pattern, c.name, got)
		}
	}
}

// asRegexp says the same in the words of a regular expression.
func asRegexp(pattern string) *regexp.Regexp {
	if pattern == "" {
		pattern = "*"
	}
	parts := strings.Split(strings.ToLower(pattern), "*")
	for i := range parts {
		parts[i] = regexp.QuoteMeta(parts[i])
	}
	return regexp.MustCompile(`(?s)^` + strings.Join(parts, ".*") + `$`)
}

func TestMatchPatternAgreesWithRegexp(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		pattern := rapid.StringMatching(`[ab*/.]{0,8}`).Draw(t, "pattern")
		name := rapid.StringMatching(`[abAB/.]{0,10}`).Draw(t, "name")
		if got, want := tidewaiter.MatchPattern(pattern, name), asRegexp(pattern).MatchString(strings.ToLower(name)); got != want {
			t.Fatalf("MatchPattern(%q, %q) = %v, want %v", pattern, name, got, want)
		}
	})
}

func FuzzMatchPattern(f *testing.F) {
	f.Add("library/*", "library/ubuntu")
	f.Add("*a*b*", "xaybz")
	f.Fuzz(func(t *testing.T, pattern, name string) {
		if !tidewaiter.MatchPattern("*"+pattern+"*", name+pattern+name) && !strings.Contains(pattern, "*") {
			t.Errorf("*%s* does not match a name that contains it", pattern)
		}
	})
}
