package engine

import (
	ftypes "github.com/aquasecurity/trivy/pkg/fanal/types"
	"github.com/aquasecurity/trivy/pkg/purl"
	"github.com/aquasecurity/trivy/pkg/types"

	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// ecosystemOf returns the ecosystem of a kind of file. Kinds of which an image's own files are never, but an SBOM may
// list, are among them; an unknown one is its own.
func ecosystemOf(t ftypes.LangType) tidewaiter.Ecosystem {
	switch t {
	case ftypes.NodePkg, ftypes.Npm, ftypes.Yarn, ftypes.Pnpm, ftypes.Bun, ftypes.JavaScript:
		return tidewaiter.EcosystemNPM
	case ftypes.PythonPkg, ftypes.Pip, ftypes.Pipenv, ftypes.Poetry, ftypes.Uv, ftypes.PyLock:
		return tidewaiter.EcosystemPyPI
	case ftypes.GemSpec, ftypes.Bundler:
		return tidewaiter.EcosystemGem
	case ftypes.Jar, ftypes.Pom, ftypes.Gradle, ftypes.Sbt:
		return tidewaiter.EcosystemMaven
	case ftypes.GoBinary, ftypes.GoModule:
		return tidewaiter.EcosystemGo
	case ftypes.RustBinary, ftypes.Cargo:
		return tidewaiter.EcosystemCargo
	case ftypes.DotNetCore, ftypes.NuGet, ftypes.PackagesProps:
		return tidewaiter.EcosystemNuGet
	case ftypes.ComposerVendor, ftypes.Composer:
		return tidewaiter.EcosystemComposer
	case ftypes.CondaPkg, ftypes.CondaEnv:
		return tidewaiter.EcosystemConda
	case ftypes.Bitnami:
		return tidewaiter.EcosystemBitnami
	case ftypes.Hex:
		return tidewaiter.EcosystemHex
	case ftypes.Pub:
		return tidewaiter.EcosystemPub
	case ftypes.Swift, ftypes.Cocoapods:
		return tidewaiter.EcosystemSwift
	case ftypes.Julia:
		return tidewaiter.EcosystemJulia
	}
	return tidewaiter.Ecosystem(t)
}

// purlOf returns a package's URL as Trivy writes it; "" when it has none (a Go module that is a local path).
func purlOf(t ftypes.TargetType, os *ftypes.OS, p ftypes.Package) string {
	u, err := purl.New(t, types.Metadata{OS: os}, p)
	if err != nil || u == nil {
		return ""
	}
	return u.Unwrap().String()
}

// packageURL returns the URL of a package of an image.
func packageURL(p *tidewaiter.Package) string {
	t := convertPackage(p)
	if !p.Ecosystem.OS() {
		return purlOf(ftypes.LangType(p.Type), nil, t)
	}
	family := ftypes.OSType(p.Distribution.Family)
	if family == "" {
		return ""
	}
	return purlOf(family, &ftypes.OS{Family: family, Name: p.Distribution.Release}, t)
}
