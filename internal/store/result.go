package store

import (
	"context"
	"time"

	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// Result returns everything known of one image, or ErrNotFound. Before it is judged its content is empty.
func (r *Reader) Result(ctx context.Context, imageID int64) (*tidewaiter.Result, error) {
	res, err := r.result(ctx, imageID)
	return res, fail(err, "result of image %d", imageID)
}

func (r *Reader) result(ctx context.Context, imageID int64) (*tidewaiter.Result, error) {
	found, err := r.imageRows(ctx, []int64{imageID}, true)
	if err != nil {
		return nil, err
	}
	row := found[imageID]
	if row == nil {
		return nil, tidewaiter.Errorf(tidewaiter.ErrNotFound, "no such image")
	}
	res := &tidewaiter.Result{}
	if res.Image, err = r.image(row); err != nil {
		return nil, err
	}
	tags, err := r.tagsOfImages(ctx, []int64{imageID}, true)
	if err != nil {
		return nil, err
	}
	res.Tags = tags[imageID]
	tagIDs := make([]int64, len(res.Tags))
	for i, t := range res.Tags {
		tagIDs[i] = t.ID
	}
	registries, err := r.registriesOfTags(ctx, tagIDs)
	if err != nil {
		return nil, err
	}
	res.RegistryIDs = registriesOfAll(res.Tags, registries)
	packages, err := r.resolveContent(ctx, imageID, res)
	if err != nil {
		return nil, err
	}
	return res, r.resolveFindings(ctx, packages, timeOf(row.FirstJudged), res)
}

// resolveContent fills in the content, packages resolved, and the checks. It returns the packages' ids.
func (r *Reader) resolveContent(ctx context.Context, imageID int64, res *tidewaiter.Result) ([]int64, error) {
	contents, err := r.Contents(ctx, []int64{imageID})
	if err != nil {
		return nil, err
	}
	stored := contents[imageID]
	if stored == nil {
		stored = &StoredContent{}
	}
	ids := make([]int64, len(stored.Installed))
	for i, in := range stored.Installed {
		ids[i] = in.PackageID
	}
	ids = distinct(ids)
	packages, err := r.Packages(ctx, ids)
	if err != nil {
		return nil, err
	}
	byID := make(map[int64]*tidewaiter.Package, len(packages))
	for _, p := range packages {
		byID[p.ID] = p
	}
	c := &tidewaiter.Content{
		Distribution: stored.Distribution, Secrets: stored.Secrets, SetID: stored.SetID, Notices: stored.Notices,
	}
	for _, in := range stored.Installed {
		if p := byID[in.PackageID]; p != nil {
			c.Installed = append(c.Installed, tidewaiter.Installed{Package: p, Layer: in.Layer, Path: in.Path})
		}
	}
	res.Content, res.Checks = c, stored.Checks
	return ids, nil
}

// resolveFindings fills in the findings, what is known of their vulnerabilities, and when each was first found on this
// image: not before the image was first judged, and not before the finding was first made.
func (r *Reader) resolveFindings(ctx context.Context, packages []int64, firstJudged time.Time, res *tidewaiter.Result) error {
	res.Findings = map[int64][]tidewaiter.Finding{}
	res.FirstFound = map[tidewaiter.FindingKey]time.Time{}
	var names []string
	if err := r.eachFinding(ctx, packages, func(row *findingRow) {
		res.Findings[row.PackageID] = append(res.Findings[row.PackageID], row.finding())
		first := timeOf(row.FoundAt)
		if first.Before(firstJudged) {
			first = firstJudged
		}
		res.FirstFound[tidewaiter.FindingKey{PackageID: row.PackageID, Vulnerability: row.Vulnerability}] = first
		names = append(names, row.Vulnerability)
	}); err != nil {
		return err
	}
	var err error
	if res.Vulnerabilities, err = r.Vulnerabilities(ctx, names); err != nil {
		return err
	}
	res.Threats, err = r.Threats(ctx, names)
	return err
}
