package store

import (
	"context"
	"strings"

	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// Standing is what is stored of the images behind a name or a digest: a handful of rows, each found by an index.
type Standing struct {
	Tag     *tidewaiter.Tag      // nil for a digest
	Skipped *tidewaiter.Decision // why what the tag points to is not scanned; nil when it is
	Images  []StandingImage      // in the order of their ids
}

// StandingImage is one of the images. Of a tag it may be one that the tag showed before it moved, or one it does not show yet.
type StandingImage struct {
	*tidewaiter.Image // without layers and config

	Digest string // what the tag pointed to when it was found to be this image; of a digest, that one
	Shown  bool
}

type standingTagRow struct {
	tagOfRepositoryRow `bun:",extend"`
	Skipped            string
	SkipReason         string
	SkipDetail         string
}

type standingImageRow struct {
	storedImage `bun:",extend"`
	TagDigest   string
	Shown       bool
}

// TagStanding returns what is stored of a tag by its full name, host/repository:tag, or ErrNotFound.
func (r *Reader) TagStanding(ctx context.Context, reference string) (*Standing, error) {
	found, err := rows[standingTagRow](ctx, r, `select t.*, p.host, p.name as repository_name from tags t
		join repositories p on p.id = t.repository_id where t.reference = ?`, reference)
	if err == nil && len(found) == 0 {
		err = tidewaiter.Errorf(tidewaiter.ErrNotFound, "not found")
	}
	if err != nil {
		return nil, fail(err, "tag %s", reference)
	}
	tag := found[0].tag()
	s := &Standing{Tag: &tag}
	if row := found[0]; row.Skipped != "" && row.Skipped == row.Digest {
		s.Skipped = &tidewaiter.Decision{Reason: tidewaiter.Reason(row.SkipReason), Detail: row.SkipDetail}
	}
	s.Images, err = r.standingImages(ctx, `ti.digest as tag_digest, ti.shown from tag_images ti join images i on i.id = ti.image_id
		where ti.tag_id = ?`, tag.ID)
	return s, fail(err, "images of %s", reference)
}

// DigestStanding returns what is stored of the images a digest names: one, or those of an index that were in scope. Nothing
// known is ErrNotFound.
func (r *Reader) DigestStanding(ctx context.Context, digest string) (*Standing, error) {
	const of = `i.digest as tag_digest, true as shown from images i where i.digest in (?)`
	images, err := r.standingImages(ctx, of, list([]string{digest}))
	if err != nil || len(images) > 0 {
		return &Standing{Images: images}, fail(err, "image %s", digest)
	}
	m, err := r.Manifest(ctx, digest)
	if err != nil {
		return nil, err
	}
	children := make([]string, 0, len(m.Manifests))
	for _, d := range m.Manifests {
		if strings.Contains(d.Digest, ":") {
			children = append(children, d.Digest)
		}
	}
	if m.Kind != tidewaiter.ManifestIndex || len(children) == 0 {
		return nil, tidewaiter.Errorf(tidewaiter.ErrNotFound, "image %s: not found", digest)
	}
	images, err = r.standingImages(ctx, of, list(children))
	return &Standing{Images: images}, fail(err, "images of index %s", digest)
}

func (r *Reader) standingImages(ctx context.Context, from string, args ...any) ([]StandingImage, error) {
	found, err := rows[standingImageRow](ctx, r, "select "+imageColumns+", "+from+" order by i.id", args...)
	if err != nil {
		return nil, err
	}
	out := make([]StandingImage, len(found))
	for i := range found {
		out[i] = StandingImage{Digest: found[i].TagDigest, Shown: found[i].Shown}
		if out[i].Image, err = r.image(&found[i].storedImage); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// UnfinishedTarget returns the newest scan of exactly one target of a registry that is on its way in a lane, nil when there is
// none.
func (r *Reader) UnfinishedTarget(ctx context.Context, registryID string, target tidewaiter.Target, lane tidewaiter.Lane) (*tidewaiter.Scan, error) {
	doc, err := jsonText(target)
	if err != nil {
		return nil, err
	}
	found, err := rows[scanRow](ctx, r, "select * from scans where registry_id = ? and "+unfinishedStates+
		" and target = ? and lane = ? order by created_at desc, id desc limit 1", registryID, text(doc), string(lane))
	if err != nil || len(found) == 0 {
		return nil, fail(err, "find the scan of %s", target.Repository)
	}
	return found[0].scan()
}
