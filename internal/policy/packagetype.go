package policy

import "github.com/tidewaiter/tidewaiter/internal/tidewaiter"

// PackageType returns Prisma's name for the kind of a package: nodejs, gem, python, jar, package (a distribution's own),
// binary, nuget, go, app or unknown.
func PackageType(p *tidewaiter.Package) string {
	if p.Ecosystem.OS() {
		return "package"
	}
	switch p.Ecosystem {
	case tidewaiter.EcosystemNPM:
		return "nodejs"
	case tidewaiter.EcosystemGem:
		return "gem"
	case tidewaiter.EcosystemPyPI, tidewaiter.EcosystemConda:
		return "python"
	case tidewaiter.EcosystemMaven:
		return "jar"
	case tidewaiter.EcosystemNuGet:
		return "nuget"
	case tidewaiter.EcosystemGo:
		return "go"
	case tidewaiter.EcosystemBitnami:
		return "app"
	case tidewaiter.EcosystemCargo:
		if p.Type == "rustbinary" || p.Type == "rust-binary" {
			return "binary"
		}
	}
	return "unknown"
}

// packageTypes are the values Prisma knows for a package's kind.
var packageTypes = []string{"nodejs", "gem", "python", "jar", "package", "windows", "binary", "nuget", "go", "app", "unknown"}
