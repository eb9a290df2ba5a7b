package prisma

import (
	"context"
	"net/http"
	"slices"
	"strings"

	"github.com/tidewaiter/tidewaiter/internal/control"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// impactedResources is Prisma's VulnImpactedResources: which images have a vulnerability, and in which packages.
type impactedResources struct {
	ID                  string             `json:"_id"`
	Functions           []struct{}         `json:"functions"`
	FunctionsCount      int                `json:"functionsCount"`
	Hosts               []struct{}         `json:"hosts"`
	HostsCount          int                `json:"hostsCount"`
	Images              []struct{}         `json:"images"`
	ImagesCount         int                `json:"imagesCount"`
	RegistryImages      []impactedResource `json:"registryImages"`
	RegistryImagesCount int                `json:"registryImagesCount"`
}

// impactedResource is Prisma's ImpactedResourceDetails. Ours: a resource is identified by the image's name, as _id of a
// scan result is.
type impactedResource struct {
	ResourceID string            `json:"resourceID"`
	Packages   []impactedPackage `json:"packages"`
	Containers []struct{}        `json:"containers"`
}

// impactedPackage is Prisma's ImpactedPackage.
type impactedPackage struct {
	Package  string  `json:"package"`
	Severity string  `json:"severity"`
	CVSS     float64 `json:"cvss"`
}

// getImpactedResources answers the question "which images have this vulnerability?".
func (s *server) getImpactedResources(w http.ResponseWriter, r *http.Request) error {
	q := queryOf(r.URL)
	p, err := q.page()
	if err != nil {
		return err
	}
	found, err := s.impactedResources(r.Context(), q, p)
	if err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, found)
	return nil
}

func (s *server) impactedResources(ctx context.Context, q query, p page) (*impactedResources, error) {
	cve := strings.TrimSpace(q.text("cve"))
	if cve == "" {
		return nil, plain(tidewaiter.ErrInvalid, "missing CVE filter")
	}
	if !vulnerabilityID.MatchString(cve) {
		return nil, tidewaiter.Invalid("cve", "%q is not a vulnerability", cut(cve, 80))
	}
	if _, err := statsQueryOf(q); err != nil {
		return nil, err
	}
	packages, err := s.control.VulnerablePackages(ctx, []string{cve})
	if err != nil {
		return nil, err
	}
	details, err := s.control.Vulnerabilities(ctx, []string{cve})
	if err != nil {
		return nil, err
	}
	score := 0.0
	if d := details[cve]; d != nil {
		var v vulnerability
		v.addDetails(d)
		score = v.CVSS
	}
	names, in, total, err := s.control.Impacted(ctx, cve, packages[cve], p.offset, p.limit)
	if err != nil {
		return nil, err
	}
	out := &impactedResources{ID: cve, RegistryImages: []impactedResource{}, RegistryImagesCount: total}
	for _, name := range names {
		resource := impactedResource{ResourceID: strings.TrimPrefix(name.Reference, "docker.io/"), Packages: []impactedPackage{}}
		for _, pkg := range packages[cve] {
			if slices.Contains(in[name.ImageID], pkg.PackageID) {
				resource.Packages = append(resource.Packages, impactedPackage{Package: pkg.Name + " " + pkg.Version, Severity: severityName(pkg), CVSS: score})
			}
		}
		out.RegistryImages = append(out.RegistryImages, resource)
	}
	return out, nil
}

func severityName(p control.VulnerablePackage) string {
	if p.Severity == tidewaiter.SeverityUnknown {
		return "not yet assigned"
	}
	return p.Severity.String()
}

// downloadImpactedResources answers with all of them as a file. The columns are ours.
func (s *server) downloadImpactedResources(w http.ResponseWriter, r *http.Request) error {
	t := newTable(w, "impacted_resources.csv", "CVE ID", "Type", "Resource", "Package", "Severity", "CVSS")
	for p := (page{limit: rowsAtOnce}); ; p.offset += rowsAtOnce {
		found, err := s.impactedResources(r.Context(), queryOf(r.URL), p)
		if err != nil {
			return t.broken(err)
		}
		for _, resource := range found.RegistryImages {
			for _, pkg := range resource.Packages {
				t.add(found.ID, "registryImage", resource.ResourceID, pkg.Package, pkg.Severity, csvScore(pkg.CVSS))
			}
		}
		if len(found.RegistryImages) < rowsAtOnce {
			return t.end()
		}
	}
}
