package control

import (
	"context"

	"github.com/tidewaiter/tidewaiter/internal/store"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// The rows of statistics, so that surfaces need not know the store.
type (
	VulnerabilityCount = store.VulnerabilityCount
	VulnerablePackage  = store.VulnerablePackage
	JudgedImage        = store.JudgedImage
	ImpactedName       = store.ImpactedName
)

// VulnerabilityCounts counts the images each vulnerability is found in, as last counted (see FleetVulnerabilities) or, when fresh,
// as it is now, which takes seconds in a large fleet; with packages, in these alone, as it is now.
func (c *Control) VulnerabilityCounts(ctx context.Context, packages []string, fresh bool) ([]VulnerabilityCount, error) {
	count := c.freshTotals
	if fresh {
		count = c.CountVulnerabilities
	}
	if len(packages) == 0 {
		if _, err := count(ctx); err != nil {
			return nil, err
		}
	}
	return c.store.VulnerabilityCounts(ctx, packages)
}

// ImagesByWorst counts the images by their worst vulnerability.
func (c *Control) ImagesByWorst(ctx context.Context) (tidewaiter.Counts, error) {
	return c.store.ImagesByWorst(ctx)
}

// VulnerablePackages returns the packages vulnerabilities are found in, by vulnerability.
func (c *Control) VulnerablePackages(ctx context.Context, vulnerabilities []string) (map[string][]VulnerablePackage, error) {
	return c.store.VulnerablePackages(ctx, vulnerabilities)
}

// Vulnerabilities returns what is known of vulnerabilities by name.
func (c *Control) Vulnerabilities(ctx context.Context, names []string) (map[string]*tidewaiter.Vulnerability, error) {
	return c.store.Vulnerabilities(ctx, names)
}

// Impacted returns a part of the names of images that have a vulnerability, how many there are in all, and for each image
// which of the given packages it has.
func (c *Control) Impacted(ctx context.Context, vulnerability string, packages []VulnerablePackage, offset, limit int) (
	names []ImpactedName, in map[int64][]int64, total int, err error,
) {
	if _, err := c.freshTotals(ctx); err != nil {
		return nil, nil, 0, err
	}
	if names, total, err = c.store.Impacted(ctx, vulnerability, offset, limit); err != nil || len(names) == 0 {
		return names, nil, total, err
	}
	images, ids := make([]int64, len(names)), make([]int64, len(packages))
	for i := range names {
		images[i] = names[i].ImageID
	}
	for i := range packages {
		ids[i] = packages[i].PackageID
	}
	in, err = c.store.PackagesIn(ctx, images, ids)
	return names, in, total, err
}

// eachAtOnce is how many images EachJudged reads in one go.
const eachAtOnce = 500

// EachJudged goes through all judged images that have a name, with what is stored of each.
func (c *Control) EachJudged(ctx context.Context, f func(*JudgedImage)) error {
	for after := int64(0); ; {
		images, err := c.store.JudgedImages(ctx, after, eachAtOnce)
		if err != nil {
			return err
		}
		for i := range images {
			if len(images[i].Names) > 0 {
				f(&images[i])
			}
		}
		if len(images) < eachAtOnce {
			return nil
		}
		after = images[len(images)-1].ID
	}
}
