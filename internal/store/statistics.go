package store

import (
	"context"
	"time"

	"github.com/uptrace/bun"

	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// VulnerabilityCount is one vulnerability across the fleet.
type VulnerabilityCount struct {
	Name     string
	Severity tidewaiter.Severity // the highest any package has it with
	Score    float64
	Images   int // distinct images that are shown somewhere and have it
}

const imagesShown = `(select ti.image_id from tag_images ti join tags t on t.id = ti.tag_id where ti.shown and t.gone_at = 0)`

// ImagesByWorst counts the images that are shown somewhere by their worst vulnerability; those without any are left out.
func (r *Reader) ImagesByWorst(ctx context.Context) (tidewaiter.Counts, error) {
	type row struct {
		Worst int
		N     int
	}
	found, err := rows[row](ctx, r, "select worst, count(*) as n from images where worst >= 0 and judged_at > 0 and id in "+imagesShown+" group by worst")
	var c tidewaiter.Counts
	for _, row := range found {
		switch tidewaiter.Severity(row.Worst) {
		case tidewaiter.SeverityCritical:
			c.Critical = row.N
		case tidewaiter.SeverityHigh:
			c.High = row.N
		case tidewaiter.SeverityMedium:
			c.Medium = row.N
		case tidewaiter.SeverityLow:
			c.Low = row.N
		case tidewaiter.SeverityNegligible:
			c.Negligible = row.N
		default:
			c.Unknown = row.N
		}
	}
	return c, fail(err, "count images by their worst vulnerability")
}

// VulnerablePackage is a package with one of its findings.
type VulnerablePackage struct {
	Name    string
	Version string
	tidewaiter.Finding
}

// VulnerablePackages returns, by vulnerability, the packages it is found in, by name and version.
func (r *Reader) VulnerablePackages(ctx context.Context, vulnerabilities []string) (map[string][]VulnerablePackage, error) {
	type row struct {
		findingRow  `bun:",extend"`
		PackageName string
		Version     string
	}
	out := make(map[string][]VulnerablePackage, len(vulnerabilities))
	err := inChunks(distinct(vulnerabilities), func(part []string) error {
		found, err := rows[row](ctx, r, `select f.*, v.name as vulnerability, p.name as package_name, p.version from vulnerabilities v
			join findings f on f.vulnerability_id = v.id join packages p on p.id = f.package_id
			where v.name in (?) order by p.name, p.version, p.id`, list(part))
		for i := range found {
			out[found[i].Vulnerability] = append(out[found[i].Vulnerability],
				VulnerablePackage{Name: found[i].PackageName, Version: found[i].Version, Finding: found[i].finding()})
		}
		return err
	})
	return out, fail(err, "find vulnerable packages")
}

// PackagesIn returns, by image, those of the packages that are in it.
func (r *Reader) PackagesIn(ctx context.Context, imageIDs, packageIDs []int64) (map[int64][]int64, error) {
	type row struct{ ImageID, PackageID int64 }
	out := make(map[int64][]int64, len(imageIDs))
	err := inChunks(distinct(packageIDs), func(part []int64) error {
		found, err := rows[row](ctx, r, "select image_id, package_id from package_images where image_id in (?) and package_id in (?) order by image_id, package_id",
			bun.List(distinct(imageIDs)), bun.List(part))
		for _, row := range found {
			out[row.ImageID] = append(out[row.ImageID], row.PackageID)
		}
		return err
	})
	return out, fail(err, "find packages in images")
}

// LastStarts returns when the newest scan of all of each registry was asked for.
func (r *Reader) LastStarts(ctx context.Context) (map[string]time.Time, error) {
	type row struct {
		RegistryID string
		At         int64
	}
	found, err := rows[row](ctx, r, "select registry_id, max(created_at) as at from scans where target = '' and not partial group by registry_id")
	out := make(map[string]time.Time, len(found))
	for _, row := range found {
		out[row.RegistryID] = timeOf(row.At)
	}
	return out, fail(err, "find the last scans")
}
