package engine

import (
	"cmp"
	"slices"
	"strings"

	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// packageID is what makes a package the same one in another layer's version of a file.
type packageID struct{ name, version, arch string }

func idOf(p *tidewaiter.Package) packageID { return packageID{p.Name, p.FullVersion(), p.Arch} }

// origins are the packages a file declared in each layer, from the layer on top downwards, as long as it was not removed
// in between.
type origins []origin

type origin struct {
	layer    int
	packages map[packageID]*tidewaiter.Package
}

func originsOf(e *entry, inv *tidewaiter.Inventory) origins {
	list := origins{{layer: e.layer}}
	for e = e.below; e != nil; e = e.below {
		o := origin{layer: e.layer, packages: map[packageID]*tidewaiter.Package{}}
		for _, below := range e.inventories {
			if below.Type != inv.Type {
				continue
			}
			for i := range below.Packages {
				o.packages[idOf(&below.Packages[i])] = &below.Packages[i]
			}
		}
		list = append(list, o)
	}
	return list
}

// find returns the lowest layer that has had a package ever since, and the package as that layer declares it.
func (list origins) find(p *tidewaiter.Package) (layer int, oldest *tidewaiter.Package) {
	layer, oldest = list[0].layer, p
	if len(list) == 1 {
		return layer, oldest
	}
	id := idOf(p)
	for _, o := range list[1:] {
		q := o.packages[id]
		if q == nil {
			break
		}
		layer, oldest = o.layer, q
	}
	return layer, oldest
}

// secretMerge keeps the secrets of all layers. Of the same file and rule only the topmost layer's count: the file was
// edited. Trivy: pkg/fanal/applier does the same.
type secretMerge struct {
	byPath map[string][]tidewaiter.Secret
}

func (m secretMerge) apply(a *tidewaiter.Analysis, layer int) {
	fresh := map[string][]tidewaiter.Secret{}
	for _, s := range a.Secrets {
		s.Layer = layer
		fresh[s.Path] = append(fresh[s.Path], s)
	}
	for path, secrets := range fresh {
		for _, old := range m.byPath[path] {
			if !slices.ContainsFunc(secrets, func(s tidewaiter.Secret) bool { return s.Rule == old.Rule && s.Layer == layer }) {
				secrets = append(secrets, old)
			}
		}
		m.byPath[path] = secrets
	}
}

func (m secretMerge) list() (all []tidewaiter.Secret) {
	for _, secrets := range m.byPath {
		all = append(all, secrets...)
	}
	slices.SortFunc(all, func(a, b tidewaiter.Secret) int {
		return cmp.Or(strings.Compare(a.Path, b.Path), a.StartLine-b.StartLine, strings.Compare(a.Rule, b.Rule), a.Layer-b.Layer)
	})
	return all
}
