package policy

import (
	"slices"
	"strings"

	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// RuleFor returns the rule that decides on an image: the first enabled one any of whose collections covers it. It
// returns nil when there is none.
func RuleFor(p *tidewaiter.Policy, collections map[string]tidewaiter.Collection, names []string, labels map[string]string) *tidewaiter.Rule {
	if p == nil {
		return nil
	}
	for i := range p.Rules {
		r := &p.Rules[i]
		if r.Disabled {
			continue
		}
		for _, name := range r.Collections {
			if c, ok := collections[name]; ok && Covers(&c, names, labels) {
				return r
			}
		}
	}
	return nil
}

// Covers reports whether an image with these names and labels belongs to the collection: one of its names matches one of
// the Images patterns, with the host or without, and one of its labels, written key:value, one of the Labels patterns.
// A collection without Labels, or with the pattern "*", asks for no label.
func Covers(c *tidewaiter.Collection, names []string, labels map[string]string) bool {
	return slices.ContainsFunc(c.Images, func(p string) bool { return matchesName(p, names) }) && matchesLabels(c.Labels, labels)
}

func matchesName(pattern string, names []string) bool {
	return slices.ContainsFunc(names, func(name string) bool {
		if tidewaiter.MatchPattern(pattern, name) {
			return true
		}
		_, bare, ok := strings.Cut(name, "/")
		return ok && tidewaiter.MatchPattern(pattern, bare)
	})
}

func matchesLabels(patterns []string, labels map[string]string) bool {
	if len(patterns) == 0 || slices.Contains(patterns, "*") {
		return true
	}
	for k, v := range labels {
		label := k + ":" + v
		if slices.ContainsFunc(patterns, func(p string) bool { return tidewaiter.MatchPattern(p, label) }) {
			return true
		}
	}
	return false
}
