package opinion

import (
	"cmp"
	"regexp"
	"slices"
	"strings"

	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// Difference is what two scanners make of one image: a finding is the same when vulnerability, package and version are.
type Difference struct {
	Both       []Pair // that agree in severity and fix
	Differing  []Pair // that do not
	OnlyOurs   []Own
	OnlyTheirs []tidewaiter.OpinionFinding
}

// Own is one of our findings as others name it.
type Own struct {
	Vulnerability string
	Package       string
	Version       string
	FixedIn       string
	Severity      tidewaiter.Severity

	keys []string
}

// Pair is a finding both have.
type Pair struct {
	Ours   Own
	Theirs tidewaiter.OpinionFinding
	// What they disagree about.
	Severity bool
	Fix      bool
}

// Compare tells our findings on an image and those of another scanner apart. One of theirs on a source package is the same as ours on each
// of its binary packages; a vulnerability is known by any of its names.
func Compare(r *tidewaiter.Result, theirs []tidewaiter.OpinionFinding) Difference {
	ours := Ours(r)
	index := map[string][]int{}
	for i := range ours {
		for _, k := range ours[i].keys {
			index[k] = append(index[k], i)
		}
	}
	var d Difference
	met := make([]bool, len(ours))
	for _, t := range theirs {
		known := false
		for _, i := range same(index, t) {
			known = true
			if met[i] {
				continue
			}
			met[i] = true
			p := Pair{Ours: ours[i], Theirs: t, Severity: ours[i].Severity != t.Severity, Fix: !sameFix(ours[i].FixedIn, t.FixedIn)}
			if p.Severity || p.Fix {
				d.Differing = append(d.Differing, p)
			} else {
				d.Both = append(d.Both, p)
			}
		}
		if !known {
			d.OnlyTheirs = append(d.OnlyTheirs, t)
		}
	}
	for i, o := range ours {
		if !met[i] {
			d.OnlyOurs = append(d.OnlyOurs, o)
		}
	}
	return d
}

// same returns which of ours one of theirs is the same as, each once, in their order.
func same(index map[string][]int, t tidewaiter.OpinionFinding) []int {
	var out []int
	for _, name := range names(t.Vulnerability, t.Alias) {
		out = append(out, index[key(name, t.Package, t.Version)]...)
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// Ours lists our findings on an image, each vulnerability once for a package and version, the worst first.
func Ours(r *tidewaiter.Result) []Own {
	type id struct{ vulnerability, name, version string }
	seen := map[id]bool{}
	out := []Own{}
	if r.Content == nil {
		return out
	}
	for _, in := range r.Content.Installed {
		p := in.Package
		for _, f := range r.Findings[p.ID] {
			k := id{f.Vulnerability, p.Name, p.FullVersion()}
			if seen[k] {
				continue
			}
			seen[k] = true
			o := Own{Vulnerability: f.Vulnerability, Package: p.Name, Version: p.FullVersion(), FixedIn: f.FixedIn, Severity: f.Severity}
			alias := ""
			if known := r.Vulnerabilities[f.Vulnerability]; known != nil && !isCVE(f.Vulnerability) {
				alias = cveIn(known.References)
			}
			for _, name := range names(append([]string{f.Vulnerability, alias}, f.Advisories...)...) {
				o.keys = append(o.keys, key(name, p.Name, p.FullVersion()))
				if p.Source != "" && p.Source != p.Name {
					o.keys = append(o.keys, key(name, p.Source, p.FullSourceVersion()))
				}
			}
			out = append(out, o)
		}
	}
	slices.SortFunc(out, func(a, b Own) int {
		return cmp.Or(cmp.Compare(b.Severity, a.Severity), cmp.Compare(a.Vulnerability, b.Vulnerability), cmp.Compare(a.Package, b.Package),
			cmp.Compare(a.Version, b.Version))
	})
	return out
}

// names returns the names of a vulnerability in one spelling, each once.
func names(list ...string) []string {
	var out []string
	for _, n := range list {
		if n = strings.ToUpper(strings.TrimSpace(n)); n != "" && !slices.Contains(out, n) {
			out = append(out, n)
		}
	}
	return out
}

func key(vulnerability, name, version string) string {
	return vulnerability + "\x00" + packageName(name) + "\x00" + packageVersion(version)
}

// separators are what PyPI takes for the same, and what Maven's group and name are divided by.
var separators = regexp.MustCompile(`[-_.]+`)

// packageName brings names that scanners spell in several ways into one.
func packageName(name string) string {
	name = strings.ToLower(strings.TrimSpace(name))
	if !strings.Contains(name, "/") {
		return separators.ReplaceAllString(name, "-")
	}
	return name
}

// packageVersion leaves out an epoch of 0 and the v of Go's versions.
func packageVersion(version string) string {
	version = strings.TrimPrefix(strings.TrimSpace(version), "0:")
	if len(version) > 1 && version[0] == 'v' && version[1] >= '0' && version[1] <= '9' {
		version = version[1:]
	}
	return version
}

// sameFix reports whether two lists of versions that mend something are the same, whatever their order and what divides them.
func sameFix(a, b string) bool { return slices.Equal(fixes(a), fixes(b)) }

func fixes(list string) []string {
	var out []string
	for _, v := range strings.FieldsFunc(list, func(r rune) bool { return r == ',' || r == ';' || r == '|' || r == ' ' }) {
		out = append(out, packageVersion(v))
	}
	slices.Sort(out)
	return slices.Compact(out)
}
