package prisma

import (
	"slices"
	"strings"

	"github.com/tidewaiter/tidewaiter/internal/policy"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// packageGroup is Prisma's Packages: the packages of one type.
type packageGroup struct {
	PkgsType string    `json:"pkgsType"`
	Pkgs     []pkgInfo `json:"pkgs"`
}

// pkgInfo is Prisma's Package.
type pkgInfo struct {
	Version   string `json:"version"`
	Name      string `json:"name"`
	CVECount  int    `json:"cveCount"`
	License   string `json:"license"`
	LayerTime int64  `json:"layerTime"`
	Path      string `json:"path,omitempty"`
	PURL      string `json:"purl,omitempty"`
}

// packageGroups lists what is installed by type, each type's packages in the order of name, version and path.
func packageGroups(r *tidewaiter.Result, times []int64) []packageGroup {
	groups := map[string][]pkgInfo{}
	for _, in := range r.Content.Installed {
		p := in.Package
		if p == nil {
			continue
		}
		kind := policy.PackageType(p)
		groups[kind] = append(groups[kind], pkgInfo{
			Version: p.FullVersion(), Name: p.Name, CVECount: len(r.Findings[p.ID]), License: strings.Join(p.Licenses, ", "),
			LayerTime: at(times, in.Layer), Path: in.Path, PURL: p.PURL,
		})
	}
	out := []packageGroup{}
	for kind, pkgs := range groups {
		slices.SortFunc(pkgs, func(a, b pkgInfo) int {
			return slices.Compare([]string{a.Name, a.Version, a.Path}, []string{b.Name, b.Version, b.Path})
		})
		out = append(out, packageGroup{PkgsType: kind, Pkgs: pkgs})
	}
	slices.SortFunc(out, func(a, b packageGroup) int { return strings.Compare(a.PkgsType, b.PkgsType) })
	return out
}

// at returns the time of a layer, 0 for one that is not there.
func at(times []int64, layer int) int64 {
	if layer < 0 || layer >= len(times) {
		return 0
	}
	return times[layer]
}

// packageManagers are the packages that manage a distribution's packages.
var packageManagers = []string{"apt", "dpkg", "apk-tools", "rpm", "dnf", "microdnf", "yum", "zypper", "tdnf"}

func hasPackageManager(c *tidewaiter.Content) bool {
	return slices.ContainsFunc(c.Installed, func(in tidewaiter.Installed) bool {
		return in.Package != nil && in.Package.Ecosystem.OS() && slices.Contains(packageManagers, in.Package.Name)
	})
}
