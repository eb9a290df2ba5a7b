package engine

import (
	"cmp"
	"slices"
	"strings"

	ftypes "github.com/aquasecurity/trivy/pkg/fanal/types"

	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// maxContentNotices bounds what an image says of what was left out.
const maxContentNotices = 1000

// Merge puts an image's layers together, bottom first: whiteouts and opaque directories hide what is below them, a file
// replaces the same file below, files that belong to a distribution's package are its and not a language's. Every package
// gets the lowest layer that has had it ever since; packages of the distribution get the distribution.
//
// Secrets stay found when an upper layer removes the file: whoever has the image has the layer. The analyses are not
// changed and may be shared; nil ones count as empty layers.
func Merge(layers []*tidewaiter.Analysis) *tidewaiter.Content {
	root := &tree{}
	secrets := secretMerge{byPath: map[string][]tidewaiter.Secret{}}
	m := &merged{content: &tidewaiter.Content{}, layers: layers}
	var branch string
	var extended bool
	for i, a := range layers {
		if a == nil {
			continue
		}
		root.apply(a, i)
		secrets.apply(a, i)
		m.content.Distribution = mergeDistribution(m.content.Distribution, a.Distribution)
		branch = cmp.Or(alpineBranch(a), branch)
		extended = extended || slices.Contains(a.ContentSets, esmSet)
		m.content.Notices = append(m.content.Notices, a.Notices...)
	}
	m.settleDistribution(branch, extended)
	root.walk(m.entry)
	m.finish()
	m.content.Secrets = secrets.list()
	m.content.Notices = m.content.Notices[:min(len(m.content.Notices), maxContentNotices)]
	return m.content
}

// apply puts a layer over the tree.
func (t *tree) apply(a *tidewaiter.Analysis, layer int) {
	for _, dir := range a.OpaqueDirs {
		t.empty(dir)
	}
	for _, path := range a.Whiteouts {
		t.remove(path)
	}
	owned := make(map[string]bool, len(a.Owned))
	for _, path := range a.Owned {
		owned[path] = true
	}
	for i := range a.Inventories {
		inv := &a.Inventories[i]
		e := t.put(inv.Path, layer)
		if owned[inv.Path] && !osInventory(inv.Type) {
			continue // the file is there, its packages are the distribution's
		}
		e.inventories = append(e.inventories, inv)
	}
	for i := range a.SetID {
		t.put(a.SetID[i].Path, layer).setID = &a.SetID[i]
	}
}

// mergeDistribution lets a layer say which distribution an image is of. The first to say so is right, as in Trivy, but
// for two that others are made of and carry the files of; a newer release of the same replaces the older.
func mergeDistribution(below, above *tidewaiter.Distribution) *tidewaiter.Distribution {
	if above == nil {
		return below
	}
	d := *above
	switch {
	case below == nil || below.Family == "":
		if below != nil {
			d.PrettyName = cmp.Or(d.PrettyName, below.PrettyName)
		}
		return &d
	case d.Family == "":
		d.Family, d.Release = below.Family, below.Release
	case d.Family != below.Family && below.Family != string(ftypes.RedHat) && below.Family != string(ftypes.Debian):
		return below
	}
	d.PrettyName = cmp.Or(d.PrettyName, below.PrettyName)
	return &d
}

func alpineBranch(a *tidewaiter.Analysis) string {
	for _, s := range a.ContentSets {
		if branch, ok := strings.CutPrefix(s, alpineSet); ok {
			return branch
		}
	}
	return ""
}

// merged collects the content of a tree.
type merged struct {
	layers   []*tidewaiter.Analysis
	content  *tidewaiter.Content
	os       []osPackage
	language []tidewaiter.Installed

	distribution tidewaiter.Distribution // of the packages
	branch       string                  // of Alpine, where it is not the release's own
	sets         map[int][]string        // Red Hat's content sets by layer
}

// osPackage is a package of the distribution on its way into the content.
type osPackage struct {
	tidewaiter.Installed
	sbom bool // listed by an SBOM only
}

func (m *merged) settleDistribution(branch string, extended bool) {
	d := m.content.Distribution
	if d == nil || d.Family == "" {
		m.content.Distribution = nil
		return
	}
	if extended && d.Family == string(ftypes.Ubuntu) {
		d.Release += "-ESM" // has advisories of its own; Trivy names the release so
	}
	if d.Family == string(ftypes.Alpine) && branch != "" && branch != minor(d.Release) {
		m.branch = branch
	}
	m.sets = contentSetsByLayer(m.layers)
	for i := len(m.layers) - 1; i >= 0 && d.ContentSets == nil; i-- {
		d.ContentSets = m.sets[i]
	}
	m.distribution = tidewaiter.Distribution{Family: d.Family, Release: d.Release}
}

// minor returns the first two numbers of a release.
func minor(release string) string {
	parts := strings.SplitN(release, ".", 3)
	return strings.Join(parts[:min(2, len(parts))], ".")
}

// contentSetsByLayer returns the repositories each layer's packages come from. A layer that does not say has those of the
// nearest one below it; the bottom one those of the layer above it, since Red Hat's base images say so in a second layer.
func contentSetsByLayer(layers []*tidewaiter.Analysis) map[int][]string {
	own := func(i int) []string {
		if i >= len(layers) || layers[i] == nil {
			return nil
		}
		var sets []string
		for _, s := range layers[i].ContentSets {
			if s != esmSet && !strings.HasPrefix(s, alpineSet) {
				sets = append(sets, s)
			}
		}
		return sets
	}
	by := map[int][]string{}
	var last []string
	for i := range layers {
		if sets := own(i); sets != nil {
			last = sets
		} else if i == 0 {
			by[0] = own(1)
			continue
		}
		by[i] = last
	}
	return by
}

// entry takes in what a file that is still there declares.
func (m *merged) entry(e *entry) {
	if e.setID != nil && e.setID.Mode&0o6000 != 0 {
		m.content.SetID = append(m.content.SetID, *e.setID)
	}
	for _, inv := range e.inventories {
		origins := originsOf(e, inv)
		for i := range inv.Packages {
			layer, oldest := origins.find(&inv.Packages[i])
			p := inv.Packages[i] // a copy: the analysis may be shared
			if len(p.Licenses) == 0 {
				p.Licenses = oldest.Licenses // Debian's are in files of the layer that installed the package
			}
			if p.Ecosystem.OS() {
				m.addOS(&p, layer, inv.Type == typeSBOM)
				continue
			}
			p.PURL = cmp.Or(p.PURL, packageURL(&p))
			m.language = append(m.language, tidewaiter.Installed{Package: &p, Layer: layer, Path: inv.Path})
		}
	}
}

func (m *merged) addOS(p *tidewaiter.Package, layer int, sbom bool) {
	p.Distribution = m.distribution
	switch p.Ecosystem {
	case tidewaiter.EcosystemRPM:
		p.Distribution.ContentSets = m.sets[layer]
	case tidewaiter.EcosystemAPK:
		p.Repository = m.branch
	}
	if p.PURL != "" && !ofFamily(p.PURL, m.distribution.Family) {
		return // an SBOM of something else than this image
	}
	p.PURL = cmp.Or(p.PURL, packageURL(p))
	m.os = append(m.os, osPackage{tidewaiter.Installed{Package: p, Layer: layer}, sbom})
}

// ofFamily reports whether a package URL is of a distribution; one that names none is of any.
func ofFamily(purl, family string) bool {
	rest := strings.TrimPrefix(purl, "pkg:")
	rest, _, _ = strings.Cut(rest, "@")
	parts := strings.Split(rest, "/")
	return len(parts) < 3 || family == "" || parts[1] == ftypes.OSType(family).PurlNamespace()
}

// finish orders what was found: the distribution's packages by name, each once, then the languages' by path.
func (m *merged) finish() {
	slices.SortStableFunc(m.os, func(a, b osPackage) int {
		return cmp.Or(strings.Compare(a.Package.Name, b.Package.Name), compareBool(a.sbom, b.sbom), a.Layer-b.Layer)
	})
	type identity struct{ name, version, arch string }
	seen := map[identity]bool{}
	for _, p := range m.os {
		id := identity{name: p.Package.Name, version: p.Package.FullVersion()}
		if p.Package.Ecosystem == tidewaiter.EcosystemRPM {
			id.arch = p.Package.Arch // the same library for two architectures is two packages
		}
		if !seen[id] {
			seen[id] = true
			m.content.Installed = append(m.content.Installed, p.Installed)
		}
	}
	m.content.Installed = append(m.content.Installed, m.language...)
}

func compareBool(a, b bool) int {
	switch {
	case a == b:
		return 0
	case b:
		return -1
	}
	return 1
}
