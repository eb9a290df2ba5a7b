package store

import (
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// FindingChangeOf names a changed finding of a package.
func FindingChangeOf(p *tidewaiter.Package, f ChangedFinding) tidewaiter.FindingChange {
	return tidewaiter.FindingChange{Vulnerability: f.Vulnerability, Ecosystem: p.Ecosystem, Package: p.Name, Version: p.FullVersion(),
		Before: f.Before, After: f.After}
}

type changeKey struct {
	vulnerability string
	ecosystem     tidewaiter.Ecosystem
	name, version string
}

// changeList puts findings that go with one package and come with another of the same name and version together.
type changeList map[changeKey]*tidewaiter.FindingChange

func (l changeList) at(p *tidewaiter.Package, vulnerability string) (c *tidewaiter.FindingChange, known bool) {
	k := changeKey{vulnerability, p.Ecosystem, p.Name, p.FullVersion()}
	if c, known = l[k]; !known {
		named := FindingChangeOf(p, ChangedFinding{Vulnerability: vulnerability})
		c, l[k] = &named, &named
	}
	return c, known
}

// add takes in a finding that changed on a package that stays. Of several packages of one name and version the first speaks.
func (l changeList) add(p *tidewaiter.Package, f ChangedFinding) {
	if c, known := l.at(p, f.Vulnerability); !known {
		c.Before, c.After = f.Before, f.After
	}
}

// move takes in a package that came (in) or went, with its findings of now, and what changed of them since it was judged.
func (l changeList) move(p *tidewaiter.Package, now []tidewaiter.Finding, since []PackageChange, in bool) {
	states := make(map[string]*tidewaiter.FindingState, len(now))
	for _, f := range now {
		states[f.Vulnerability] = &tidewaiter.FindingState{Severity: f.Severity, FixedIn: f.FixedIn, Status: f.Status}
	}
	if !in {
		for _, f := range Collapse(since) {
			states[f.Vulnerability] = f.Before // as it was when the image was judged by it
		}
	}
	for vulnerability, state := range states {
		if state == nil {
			continue
		}
		c, _ := l.at(p, vulnerability)
		if in {
			c.After = state
		} else {
			c.Before = state
		}
	}
}

func (l changeList) changes() []tidewaiter.FindingChange {
	out := make([]tidewaiter.FindingChange, 0, len(l))
	for _, c := range l {
		out = append(out, *c)
	}
	return out
}
