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
	text        int // bytes of paths kept

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

// maxOwned bounds the file lists of package databases: the kernel's and TeX Live's packages together list fewer.
const maxOwned = 4_000_000

func newDocument(e *Engine) *document {
	return &document{
		engine: e, limits: e.limits,
		inventories: map[string][]tidewaiter.Inventory{},
		licenses:    map[string][]string{},
		dpkgFiles:   map[string][]uint64{},
		owned:       map[uint64]struct{}{},
		setID:       map[string]uint32{},
		dropped:     map[tidewaiter.ErrorKind]int{},
	}
}

// notice records what was left out and why. Past the limit they are only counted.
func (d *document) notice(kind tidewaiter.ErrorKind, path, format string, args ...any) {
	if len(d.a.Notices) >= d.limits.Notices {
		d.dropped[kind]++
		return
	}
	d.a.Notices = append(d.a.Notices, tidewaiter.Notice{
		Kind: kind, Path: clip(path, 512), Text: clip(strings.ToValidUTF8(fmt.Sprintf(format, args...), "\uFFFD"), 512),
	})
}

// keep accounts for a path the document is about to hold.
func (d *document) keep(path string) error {
	if d.text += len(path); d.text > d.limits.Document {
		return tidewaiter.Errorf(tidewaiter.ErrTooLarge, "its analysis would hold more than %d bytes of paths", d.limits.Document)
	}
	return nil
}

// add puts in what a parser found in a file. A file that comes twice in an archive counts as it came last.
func (d *document) add(path string, f *found) error {
	if err := d.keep(path); err != nil {
		return err
	}
	for i := range f.inventories {
		inv := &f.inventories[i]
		if room := d.limits.Packages - d.packages; len(inv.Packages) > room {
			inv.Packages = inv.Packages[:max(room, 0)]
			d.notice(tidewaiter.ErrTooLarge, inv.Path, "the layer has more than %d packages", d.limits.Packages)
		}
		d.packages += len(inv.Packages)
		if inv.Path != path {
			if err := d.keep(inv.Path); err != nil {
				return err
			}
		}
	}
	d.forget(path)
	for _, inv := range f.inventories {
		d.inventories[inv.Path] = append(d.inventories[inv.Path], inv)
	}
	d.distributions = append(d.distributions, f.distributions...)
	d.a.ContentSets = append(d.a.ContentSets, f.contentSets...)
	if f.license != "" {
		d.licenses[f.license] = f.licenses
	}
	if d.ownedCount += len(f.owned) + len(f.dpkgFiles); d.ownedCount > maxOwned {
		d.notice(tidewaiter.ErrTooLarge, path, "the package database lists more than %d files", maxOwned)
		return nil
	}
	if f.dpkgPackage != "" {
		d.dpkgFiles[f.dpkgPackage] = append(d.dpkgFiles[f.dpkgPackage], f.dpkgFiles...)
	}
	for _, h := range f.owned {
		d.owned[h] = struct{}{}
	}
	return nil
}

// forget drops what an earlier entry of the same name declared.
func (d *document) forget(path string) {
	if _, again := d.inventories[path]; !again {
		return
	}
	delete(d.inventories, path)
	for p := range d.inventories {
		if strings.HasPrefix(p, path+"/") {
			delete(d.inventories, p)
		}
	}
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
			d.packages += len(inv.Packages)
			inv.Path = l.path
			d.inventories[l.path] = append(d.inventories[l.path], inv)
		}
	}
}

// hash stands for a path in a set of files that can have a hundred thousand members. The seed is the engine's own, so
// that nobody can make two paths collide.
func (e *Engine) hash(path string) uint64 { return maphash.String(e.seed, path) }
