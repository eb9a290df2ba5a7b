package engine

import (
	"cmp"
	"fmt"
	"hash/maphash"
	"slices"
	"strings"

	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// document collects what a layer holds, within limits, in the order the archive tells it.
type document struct {
	engine *Engine
	limits Limits
	a      tidewaiter.Analysis

	inventories map[string][]tidewaiter.Inventory // by path; one file can list packages of several kinds
	links       []link
	packages    int
	nested      map[string][]string // inventories in an archive, by the archive's path
	text        int                 // bytes of text kept

	distributions []distributionFile
	licenses      map[string][]string // of Debian packages, by name
	dpkgFiles     map[string][]uint64 // files of Debian packages, by name or name:arch, hashed
	owned         map[uint64]struct{} // files of the distribution's own packages, hashed
	ownedCount    int
	setID         map[string]uint32
	dropped       map[tidewaiter.ErrorKind]int // notices there was no room for
}

// link is a hard link: another name of a file of the same layer.
type link struct{ path, target string }

// Bounds of what is kept beside the inventories. A file list of a whole desktop with TeX Live has half of maxOwned.
const (
	maxOwned    = 1_000_000
	maxLicensed = 20_000 // Debian packages
	maxSets     = 1000   // content sets
	maxReleases = 100    // files that tell the distribution
	maxField    = 1024   // bytes of a package's name, version and the like
)

func newDocument(e *Engine) *document {
	return &document{
		engine: e, limits: e.limits,
		inventories: map[string][]tidewaiter.Inventory{},
		nested:      map[string][]string{},
		licenses:    map[string][]string{},
		dpkgFiles:   map[string][]uint64{},
		owned:       map[uint64]struct{}{},
		setID:       map[string]uint32{},
		dropped:     map[tidewaiter.ErrorKind]int{},
	}
}

// noticef records what was left out and why. Past the limit they are only counted.
func (d *document) noticef(kind tidewaiter.ErrorKind, path, format string, args ...any) {
	if len(d.a.Notices) >= d.limits.Notices {
		d.dropped[kind]++
		return
	}
	d.a.Notices = append(d.a.Notices, tidewaiter.Notice{
		Kind: kind, Path: clip(path, 512), Text: clip(strings.ToValidUTF8(fmt.Sprintf(format, args...), "\uFFFD"), 512),
	})
}

// keep accounts for text the document is about to hold.
func (d *document) keep(text string) error { return d.weigh(len(text)) }

func (d *document) weigh(n int) error {
	if d.text += n; d.text > d.limits.Document {
		return tidewaiter.Errorf(tidewaiter.ErrTooLarge, "its analysis would hold more than %d bytes", d.limits.Document)
	}
	return nil
}

// add puts in what a parser found in a file. A file that comes twice in an archive counts as it came last.
func (d *document) add(path string, f *found) error {
	d.forget(path)
	for _, inv := range f.inventories {
		inv.Packages = d.admit(&inv)
		if err := d.weigh(weightOf(&inv)); err != nil {
			return err
		}
		d.packages += len(inv.Packages)
		d.inventories[inv.Path] = append(d.inventories[inv.Path], inv)
		if inv.Path != path {
			d.nested[path] = append(d.nested[path], inv.Path)
		}
	}
	d.addContext(path, f)
	return nil
}

// admit returns the packages there is room for, without those whose fields are too long to be true.
func (d *document) admit(inv *tidewaiter.Inventory) []tidewaiter.Package {
	sane := slices.DeleteFunc(inv.Packages, func(p tidewaiter.Package) bool {
		return max(len(p.Name), len(p.Version), len(p.Release), len(p.Arch), len(p.Source), len(p.SourceVer), len(p.SourceRel),
			len(p.Modularity), len(p.Maintainer), len(p.PURL)/4) > maxField
	})
	if n := len(inv.Packages) - len(sane); n > 0 {
		d.noticef(tidewaiter.ErrTooLarge, inv.Path, "left out %d packages with fields of more than %d bytes", n, maxField)
	}
	if room := max(d.limits.Packages-d.packages, 0); len(sane) > room {
		d.noticef(tidewaiter.ErrTooLarge, inv.Path, "the layer has more than %d packages", d.limits.Packages)
		sane = sane[:room]
	}
	return sane
}

// weightOf is about how many bytes of text an inventory holds.
func weightOf(inv *tidewaiter.Inventory) int {
	n := len(inv.Path)
	for i := range inv.Packages {
		p := &inv.Packages[i]
		n += len(p.Name) + len(p.Version) + len(p.Release) + len(p.Source) + len(p.SourceVer) + len(p.SourceRel) +
			len(p.Modularity) + len(p.Maintainer) + len(p.PURL)
		for _, l := range p.Licenses {
			n += len(l)
		}
	}
	return n
}

// addContext puts in what a file tells of other files' packages.
func (d *document) addContext(path string, f *found) {
	if len(d.distributions) < maxReleases {
		d.distributions = append(d.distributions, f.distributions...)
	}
	for _, s := range f.contentSets {
		if len(d.a.ContentSets) < maxSets && len(s) <= maxField && !slices.Contains(d.a.ContentSets, s) {
			d.a.ContentSets = append(d.a.ContentSets, s)
		}
	}
	if f.license != "" && len(d.licenses) < maxLicensed {
		d.licenses[f.license] = f.licenses
	}
	if len(f.owned)+len(f.dpkgFiles) == 0 {
		return
	}
	if d.ownedCount += len(f.owned) + len(f.dpkgFiles); d.ownedCount > maxOwned {
		d.noticef(tidewaiter.ErrTooLarge, path, "the package databases list more than %d files", maxOwned)
		return
	}
	if f.dpkgPackage != "" {
		d.dpkgFiles[f.dpkgPackage] = append(d.dpkgFiles[f.dpkgPackage], f.dpkgFiles...)
	}
	for _, h := range f.owned {
		d.owned[h] = struct{}{}
	}
}

// forget drops what an earlier entry of the same name declared.
func (d *document) forget(path string) {
	delete(d.inventories, path)
	for _, p := range d.nested[path] {
		delete(d.inventories, p)
	}
	delete(d.nested, path)
}

// finish puts the document in order.
func (d *document) finish() *tidewaiter.Analysis {
	d.resolveLinks()
	d.settleDebian()
	a := &d.a
	for path, invs := range d.inventories {
		for _, inv := range invs {
			if _, owned := d.owned[d.engine.hash(path)]; owned && !osInventory(inv.Type) && len(inv.Packages) > 0 {
				a.Owned = append(a.Owned, path)
				break
			}
		}
		a.Inventories = append(a.Inventories, invs...)
	}
	slices.Sort(a.Owned)
	slices.SortFunc(a.Inventories, func(x, y tidewaiter.Inventory) int {
		return cmp.Or(strings.Compare(x.Path, y.Path), strings.Compare(x.Type, y.Type))
	})
	for path, mode := range d.setID {
		a.SetID = append(a.SetID, tidewaiter.SetIDFile{Path: path, Mode: mode})
	}
	slices.SortFunc(a.SetID, func(x, y tidewaiter.SetIDFile) int { return strings.Compare(x.Path, y.Path) })
	slices.Sort(a.ContentSets)
	a.ContentSets = slices.Compact(a.ContentSets)
	slices.Sort(a.Whiteouts)
	slices.Sort(a.OpaqueDirs)
	a.Distribution = decideDistribution(d.distributions)
	for kind, n := range d.dropped {
		a.Notices = append(a.Notices, tidewaiter.Notice{Kind: kind, Text: fmt.Sprintf("%d more notices of this kind", n)})
	}
	return a
}

// resolveLinks gives the other names of a file what the file declares. A link whose own name declares nothing (a
// content-addressed store) is of no interest, nor is one to a file of a lower layer: archives hold no such links.
func (d *document) resolveLinks() {
	for _, l := range d.links {
		for _, inv := range d.inventories[l.target] {
			if osInventory(inv.Type) || len(inv.Packages) == 0 || d.packages+len(inv.Packages) > d.limits.Packages {
				continue
			}
			inv.Path = l.path
			if d.weigh(weightOf(&inv)) != nil {
				d.noticef(tidewaiter.ErrTooLarge, l.path, "its packages were left out, as those of hard links after it")
				return
			}
			d.packages += len(inv.Packages)
			d.inventories[l.path] = append(d.inventories[l.path], inv)
		}
	}
}

// hash stands for a path in a set of files that can have a hundred thousand members. The seed is the engine's own, so
// that nobody can make two paths collide.
func (e *Engine) hash(path string) uint64 { return maphash.String(e.seed, path) }
