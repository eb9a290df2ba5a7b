package trivy

import (
	"cmp"

	scanutils "github.com/aquasecurity/trivy/pkg/scan/utils"
	"github.com/aquasecurity/trivy/pkg/types"
)

// Report is what Trivy says of an image, in the words needed to compare it.
type Report struct {
	Distribution string // family and release, "" when there is none
	EndOfLife    bool
	Packages     []Package
	Findings     []Finding
	Secrets      []Secret
}

// Package is one occurrence of an installed package.
type Package struct {
	Type    string // the distribution's family, or the kind of file a language's package comes from
	Name    string
	Version string
	Path    string // of a language's package; "" where Trivy knows no file
}

// Finding is a vulnerability of a package, wherever in the image the package is.
type Finding struct {
	Package, Version, Vulnerability, Severity, Fixed, Status string
}

// Secret is a rule that spoke up in a file, or in "config".
type Secret struct{ Rule, Path string }

// reportOf reads the answer about the image of a name.
func reportOf(name string, answer types.ScanResponse) Report {
	r := Report{EndOfLife: answer.OS.Eosl}
	if answer.OS.Family != "" {
		r.Distribution = string(answer.OS.Family) + " " + answer.OS.Name
	}
	for _, result := range answer.Results {
		for _, p := range result.Packages {
			r.Packages = append(r.Packages, Package{Type: string(result.Type), Name: p.Name,
				Version: scanutils.FormatVersion(p), Path: cmp.Or(p.FilePath, pathOf(result))})
		}
		for _, v := range result.Vulnerabilities {
			r.Findings = append(r.Findings, Finding{Package: v.PkgName, Version: v.InstalledVersion,
				Vulnerability: v.VulnerabilityID, Severity: v.Severity, Fixed: v.FixedVersion, Status: v.Status.String()})
		}
		for _, s := range result.Secrets {
			path := result.Target
			if path == name { // what Trivy calls an image's configuration
				path = "config"
			}
			r.Secrets = append(r.Secrets, Secret{Rule: s.RuleID, Path: path})
		}
	}
	return r
}

// pathOf returns the file of packages that do not name their own: a program's.
func pathOf(r types.Result) string {
	if r.Class != types.ClassLangPkg {
		return ""
	}
	return r.Target
}
