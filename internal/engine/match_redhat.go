package engine

import (
	"cmp"
	"context"
	"errors"
	"regexp"
	"slices"
	"strings"

	tdb "github.com/aquasecurity/trivy-db/pkg/db"
	dbtypes "github.com/aquasecurity/trivy-db/pkg/types"
	redhatoval "github.com/aquasecurity/trivy-db/pkg/vulnsrc/redhat-oval"
	dbsource "github.com/aquasecurity/trivy-db/pkg/vulnsrc/vulnerability"
	detectos "github.com/aquasecurity/trivy/pkg/detector/ospkg"
	"github.com/aquasecurity/trivy/pkg/detector/ospkg/redhat"
	osversion "github.com/aquasecurity/trivy/pkg/detector/ospkg/version"
	ftypes "github.com/aquasecurity/trivy/pkg/fanal/types"
	"github.com/aquasecurity/trivy/pkg/scan/utils"
	"github.com/aquasecurity/trivy/pkg/types"
	rpmversion "github.com/knqyf263/go-rpm-version"
)

// errNoContentSets is why a Red Hat package cannot be matched when the advisories know none of its repositories.
var errNoContentSets = errors.New("the advisories know none of its content sets")

// redHat matches packages of Red Hat and CentOS as Trivy's own driver does, with two differences: where two advisories
// fix the same vulnerability in the same version it always tells the same one, where Trivy's takes the first out of a
// map; and unknown content sets are an error that can be told from a broken database.
type redHat struct {
	*redhat.Scanner // knows the ends of life
	advisories      redhatoval.VulnSrc
}

func redHatDrivers() []detectos.Option {
	driver := &redHat{Scanner: redhat.NewScanner(), advisories: redhatoval.NewVulnSrc()}
	return []detectos.Option{detectos.WithDriver(ftypes.RedHat, driver), detectos.WithDriver(ftypes.CentOS, driver)}
}

// Detect returns what applies to the packages on a release.
func (d *redHat) Detect(_ context.Context, release string, _ *ftypes.Repository, pkgs []ftypes.Package) ([]types.DetectedVulnerability, error) {
	var vulns []types.DetectedVulnerability
	for _, p := range pkgs {
		found, err := d.detect(osversion.Major(release), p)
		if err != nil {
			return nil, err
		}
		vulns = append(vulns, found...)
	}
	return vulns, nil
}

func (d *redHat) detect(major string, p ftypes.Package) ([]types.DetectedVulnerability, error) {
	sets, err := knownContentSets(major, p.BuildInfo)
	if err != nil {
		return nil, err
	}
	advisories, err := d.advisories.Get(moduleName(p.Modularitylabel, p.Name), sets, nil)
	if err != nil {
		return nil, err
	}
	installed := utils.FormatVersion(p)
	var vulns []types.DetectedVulnerability
	for _, a := range newestFixes(advisories, p.Arch) {
		if a.FixedVersion != "" && !rpmversion.NewVersion(installed).LessThan(rpmversion.NewVersion(a.FixedVersion)) {
			continue
		}
		vulns = append(vulns, types.DetectedVulnerability{
			VulnerabilityID:  a.VulnerabilityID,
			VendorIDs:        a.VendorIDs,
			PkgName:          p.Name,
			InstalledVersion: installed,
			FixedVersion:     rpmversion.NewVersion(a.FixedVersion).String(),
			Status:           a.Status,
			SeveritySource:   dbsource.RedHat,
			Vulnerability:    dbtypes.Vulnerability{Severity: a.Severity.String()},
		})
	}
	return vulns, nil
}

// newestFixes keeps one advisory a vulnerability for an architecture: the one with the latest fix, and among those the
// one whose own name comes first.
func newestFixes(advisories []dbtypes.Advisory, arch string) []dbtypes.Advisory {
	applies := slices.DeleteFunc(advisories, func(a dbtypes.Advisory) bool {
		return len(a.Arches) > 0 && arch != "noarch" && !slices.Contains(a.Arches, arch)
	})
	slices.SortStableFunc(applies, func(a, b dbtypes.Advisory) int {
		return cmp.Or(
			strings.Compare(a.VulnerabilityID, b.VulnerabilityID),
			rpmversion.NewVersion(b.FixedVersion).Compare(rpmversion.NewVersion(a.FixedVersion)),
			slices.Compare(a.VendorIDs, b.VendorIDs),
			cmp.Compare(b.Severity, a.Severity),
			cmp.Compare(a.Status, b.Status),
		)
	})
	return slices.CompactFunc(applies, func(a, b dbtypes.Advisory) bool { return a.VulnerabilityID == b.VulnerabilityID })
}

// buildSuffix is what image builds add to a content set's name for the major release ("__8"); "__9_DOT_2" is another
// repository and stays.
var buildSuffix = regexp.MustCompile(`__\d+$`)

// knownContentSets returns the repositories a package may come from: those its image names, otherwise those every system
// of the release has.
func knownContentSets(major string, build *ftypes.BuildInfo) ([]string, error) {
	sets := defaultContentSets(major)
	if build != nil {
		sets = make([]string, len(build.ContentSets))
		for i, s := range build.ContentSets {
			sets[i] = buildSuffix.ReplaceAllString(s, "")
		}
	}
	for _, s := range sets {
		cpes, err := tdb.Config{}.RedHatRepoToCPEs(s)
		if err != nil {
			return nil, err
		}
		if len(cpes) > 0 {
			return sets, nil
		}
	}
	return nil, errNoContentSets
}

func defaultContentSets(major string) []string {
	switch major {
	case "6", "7":
		return []string{"rhel-" + major + "-server-rpms", "rhel-" + major + "-server-extras-rpms"}
	}
	return []string{"rhel-" + major + "-for-x86_64-baseos-rpms", "rhel-" + major + "-for-x86_64-appstream-rpms"}
}

// moduleName puts a modular package into its module's stream, as the advisories write it: nodejs:12::npm.
func moduleName(label, name string) string {
	parts := strings.SplitN(label, ":", 3)
	if len(parts) < 3 {
		return name
	}
	return parts[0] + ":" + parts[1] + "::" + name
}
