package engine

import (
	"slices"
	"strings"

	dbtypes "github.com/aquasecurity/trivy-db/pkg/types"
	ftypes "github.com/aquasecurity/trivy/pkg/fanal/types"
	"github.com/aquasecurity/trivy/pkg/types"

	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// autoSeverity asks for the distribution's own severity where it has one, then NVD's, then anybody's.
var autoSeverity = []dbtypes.SourceID{"auto"}

// convertTarget describes an operating system with one package installed.
func convertTarget(p *tidewaiter.Package) types.ScanTarget {
	t := types.ScanTarget{
		OS:       ftypes.OS{Family: ftypes.OSType(p.Distribution.Family), Name: p.Distribution.Release},
		Packages: ftypes.Packages{convertPackage(p)},
	}
	if p.Ecosystem == tidewaiter.EcosystemAPK && p.Repository != "" && repositoryClass(p) == ftypes.RepositoryClassUnknown {
		// Alpine matches by the branch packages came from (edge, 3.20), which need not be the one os-release names.
		t.Repository = &ftypes.Repository{Family: t.OS.Family, Release: strings.TrimPrefix(p.Repository, "v")}
	}
	return t
}

// convertPackage returns Trivy's form of a package. One without a source package is its own source.
func convertPackage(p *tidewaiter.Package) ftypes.Package {
	t := ftypes.Package{
		Name: p.Name, Epoch: p.Epoch, Version: p.Version, Release: p.Release, Arch: p.Arch,
		SrcName: p.Source, SrcEpoch: p.SourceEpoch, SrcVersion: p.SourceVer, SrcRelease: p.SourceRel,
		Modularitylabel: p.Modularity, Maintainer: p.Maintainer,
		Repository: ftypes.PackageRepository{Class: repositoryClass(p)},
	}
	if !p.Ecosystem.OS() {
		return t
	}
	if t.SrcName == "" {
		t.SrcName = p.Name
	}
	if t.SrcVersion == "" {
		t.SrcEpoch, t.SrcVersion, t.SrcRelease = p.Epoch, p.Version, p.Release
	}
	if len(p.Distribution.ContentSets) > 0 {
		t.BuildInfo = &ftypes.BuildInfo{ContentSets: p.Distribution.ContentSets}
	}
	return t
}

func repositoryClass(p *tidewaiter.Package) ftypes.RepositoryClass {
	switch c := ftypes.RepositoryClass(p.Repository); c {
	case ftypes.RepositoryClassOfficial, ftypes.RepositoryClassThirdParty:
		return c
	}
	return ftypes.RepositoryClassUnknown
}

// convertType returns the kind of file a language's package came from, or a usual one when that is not known: the
// advisories are the ecosystem's either way.
func convertType(p *tidewaiter.Package) ftypes.LangType {
	if p.Type != "" {
		return ftypes.LangType(p.Type)
	}
	switch p.Ecosystem {
	case tidewaiter.EcosystemNPM:
		return ftypes.NodePkg
	case tidewaiter.EcosystemPyPI:
		return ftypes.PythonPkg
	case tidewaiter.EcosystemGem:
		return ftypes.GemSpec
	case tidewaiter.EcosystemMaven:
		return ftypes.Jar
	case tidewaiter.EcosystemGo:
		return ftypes.GoBinary
	case tidewaiter.EcosystemCargo:
		return ftypes.RustBinary
	case tidewaiter.EcosystemNuGet:
		return ftypes.NuGet
	}
	return ftypes.LangType(p.Ecosystem) // the others are named alike
}

// convertFindings returns a package's findings sorted by vulnerability. Where several advisories tell of the same one,
// the one with the latest-sorting fix speaks, as in Trivy, and the names of all are kept.
func convertFindings(p *tidewaiter.Package, vulns []types.DetectedVulnerability) []tidewaiter.Finding {
	findings := make([]tidewaiter.Finding, 0, len(vulns))
	for _, v := range vulns {
		severity, err := tidewaiter.ParseSeverity(v.Severity)
		if err != nil {
			severity = tidewaiter.SeverityUnknown // a word we do not know is no reason to keep the finding back
		}
		findings = append(findings, tidewaiter.Finding{
			PackageID:     p.ID,
			Vulnerability: v.VulnerabilityID,
			Severity:      severity,
			Source:        string(v.SeveritySource),
			Status:        v.Status.String(),
			FixedIn:       v.FixedVersion,
			Advisories:    slices.Clone(v.VendorIDs),
			URL:           v.PrimaryURL,
		})
	}
	slices.SortFunc(findings, compareFindings)
	unique := findings[:1]
	for _, f := range findings[1:] {
		last := &unique[len(unique)-1]
		if f.Vulnerability != last.Vulnerability {
			unique = append(unique, f)
			continue
		}
		for _, a := range f.Advisories {
			if !slices.Contains(last.Advisories, a) {
				last.Advisories = append(last.Advisories, a)
			}
		}
	}
	return unique
}

// compareFindings orders by vulnerability, then the latest-sorting fix first, then anything that makes the order whole.
func compareFindings(a, b tidewaiter.Finding) int {
	for _, c := range []int{
		strings.Compare(a.Vulnerability, b.Vulnerability),
		strings.Compare(b.FixedIn, a.FixedIn),
		int(b.Severity - a.Severity),
		strings.Compare(a.Status, b.Status),
		slices.Compare(a.Advisories, b.Advisories),
	} {
		if c != 0 {
			return c
		}
	}
	return 0
}
