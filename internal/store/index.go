package store

import (
	"context"
	"slices"
	"time"

	"github.com/uptrace/bun"

	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// Source says where an image was found, and so where its layers can be had.
type Source struct {
	RegistryID string
	Repository string
}

// IndexTag is what a tag was found to point to.
type IndexTag struct {
	TagID    int64
	Digest   string              // of the top manifest
	Images   []*tidewaiter.Image // with Layers; none when the tag points to no image. Their IDs are set
	Source   Source
	Analyzer string // the current one
	ScanID   string // the scan on whose behalf; "" for none
	Force    bool   // have the images judged again though they are
	Now      time.Time
}

// IndexOutcome is what there is to do next.
type IndexOutcome struct {
	MissingLayers []tidewaiter.LayerRef // not analysed yet; each diffID once. Each needs a job unless one is under way
	JudgeImages   []int64               // all layers are there, but not judged by this analyzer (or to be judged again)
	ImageIDs      []int64               // all images of the tag, in the order of IndexTag.Images
	Done          bool                  // everything is known: the tag shows its images and is settled
	Scans         []string              // the scans the tag was settled in
}

// IndexTag stores what a tag points to and works out what is missing. Images and layers that are known are not stored
// again, and layers that another image waits for already are waited for together. Running it twice is harmless.
//
// What the tag showed before it goes on showing until all its new images are judged.
func (tx *Tx) IndexTag(ctx context.Context, in IndexTag) (IndexOutcome, error) {
	var out IndexOutcome
	err := tx.indexTag(ctx, in, &out)
	return out, fail(err, "index tag %d", in.TagID)
}

func (tx *Tx) indexTag(ctx context.Context, in IndexTag, out *IndexOutcome) error {
	open, err := tx.unjudged(ctx, in)
	if err != nil {
		return err
	}
	var diffIDs []string
	for _, img := range open {
		diffIDs = append(diffIDs, diffIDsOf(img)...)
	}
	// Layers before images, as everywhere. While their rows are locked no layer of ours can come to be done.
	layers, err := tx.lockLayers(ctx, diffIDs, in.Analyzer, micros(in.Now))
	if err != nil {
		return err
	}
	locked, err := tx.internImages(ctx, in.Images, micros(in.Now))
	if err != nil {
		return err
	}
	listed := map[string]bool{}
	for _, img := range in.Images {
		out.ImageIDs = append(out.ImageIDs, img.ID)
		is := locked[text(img.Digest)]
		if is.State == string(tidewaiter.ImageJudged) && is.Analyzer == in.Analyzer && !in.Force {
			continue
		}
		missing := missingLayers(img, layers)
		if err := tx.wait(ctx, img.ID, missing, in); err != nil {
			return err
		}
		if len(missing) == 0 && !slices.Contains(out.JudgeImages, img.ID) {
			out.JudgeImages = append(out.JudgeImages, img.ID)
		}
		for _, l := range missing {
			if !listed[l.DiffID] {
				listed[l.DiffID] = true
				out.MissingLayers = append(out.MissingLayers, l)
			}
		}
	}
	if err := tx.pointTag(ctx, in); err != nil {
		return err
	}
	if len(out.JudgeImages) > 0 || len(out.MissingLayers) > 0 {
		return nil
	}
	scans, shown, err := tx.showTags(ctx, []int64{in.TagID}, in.Analyzer, len(in.Images) == 0)
	out.Scans, out.Done = scans, len(shown) > 0
	return err
}

// unjudged returns the images whose layers have to be looked at. The look is without locks: an image found judged stays
// so, and one that comes to be judged meanwhile is seen when its row is locked.
func (tx *Tx) unjudged(ctx context.Context, in IndexTag) ([]*tidewaiter.Image, error) {
	if in.Force || len(in.Images) == 0 {
		return in.Images, nil
	}
	digests := make([]string, len(in.Images))
	for i, img := range in.Images {
		digests[i] = text(img.Digest)
	}
	judged, err := rows[string](ctx, tx.Reader, "select digest from images where digest in (?) and state = 'judged' and analyzer = ?",
		bun.List(digests), in.Analyzer)
	if err != nil {
		return nil, err
	}
	var open []*tidewaiter.Image
	for i, img := range in.Images {
		if !slices.Contains(judged, digests[i]) {
			open = append(open, img)
		}
	}
	return open, nil
}

func diffIDsOf(img *tidewaiter.Image) []string {
	ids := make([]string, len(img.Layers))
	for i, l := range img.Layers {
		ids[i] = text(l.DiffID)
	}
	return ids
}

// missingLayers returns the image's layers that are not done, each diffID once. A layer not in states was not looked at,
// because the image was found judged; then its layers are there.
func missingLayers(img *tidewaiter.Image, states map[string]LayerState) []tidewaiter.LayerRef {
	var missing []tidewaiter.LayerRef
	for _, l := range img.Layers {
		l.DiffID = text(l.DiffID)
		state, looked := states[l.DiffID]
		if looked && state != LayerDone && !slices.ContainsFunc(missing, func(m tidewaiter.LayerRef) bool { return m.DiffID == l.DiffID }) {
			missing = append(missing, l)
		}
	}
	return missing
}

// wait makes an image, whose row is locked, wait for exactly these layers.
func (tx *Tx) wait(ctx context.Context, imageID int64, missing []tidewaiter.LayerRef, in IndexTag) error {
	if _, err := tx.exec(ctx, "delete from image_waits where image_id = ?", imageID); err != nil {
		return err
	}
	if len(missing) > 0 {
		list := make([]waitRow, len(missing))
		for i, l := range missing {
			list[i] = waitRow{
				ImageID: imageID, DiffID: l.DiffID, Analyzer: in.Analyzer, RegistryID: in.Source.RegistryID,
				Repository: text(in.Source.Repository), Digest: text(l.Digest), MediaType: text(l.MediaType), Size: l.Size,
			}
		}
		if err := inChunks(list, func(part []waitRow) error {
			_, err := tx.insert(&part).Exec(ctx)
			return err
		}); err != nil {
			return err
		}
	}
	_, err := tx.exec(ctx, "update images set waiting = ?, state = case when state = 'failed' then 'waiting' else state end where id = ?",
		len(missing), imageID)
	return err
}

// pointTag makes the tag point to the digest and ties the images to it, not shown yet unless they are already.
func (tx *Tx) pointTag(ctx context.Context, in IndexTag) error {
	found, err := rows[tagRow](ctx, tx.Reader, "select * from tags where id = ?"+tx.forUpdate(), in.TagID)
	if err == nil && len(found) == 0 {
		err = tidewaiter.Errorf(tidewaiter.ErrNotFound, "no tag %d", in.TagID)
	}
	if err != nil {
		return err
	}
	if _, err := tx.exec(ctx, "update tags set skipped = '', skip_reason = '', skip_detail = '' where id = ? and skipped <> ''", in.TagID); err != nil {
		return err
	}
	digest := text(in.Digest)
	if tag := found[0]; tag.Digest != digest {
		changed := tag.ChangedAt
		if tag.Digest != "" {
			move := moveOf(tag, micros(in.Now))
			if _, err := tx.insert(&move).Exec(ctx); err != nil {
				return err
			}
			changed = micros(in.Now)
		}
		if _, err := tx.exec(ctx, "update tags set digest = ?, changed_at = ? where id = ?", digest, changed, in.TagID); err != nil {
			return err
		}
	}
	return tx.tieImages(ctx, in, digest)
}

type tagImageRow struct {
	bun.BaseModel `bun:"table:tag_images"`

	TagID   int64
	ImageID int64
	Digest  string
	Shown   bool
}

// TagNotScanned stores that a tag points to something that is no image, or none for a platform in scope, and why. It
// shows nothing from now on and is settled as done. Running it twice is harmless.
func (tx *Tx) TagNotScanned(ctx context.Context, tagID int64, digest string, why tidewaiter.Decision, now time.Time) (settledScans []string, err error) {
	err = tx.pointTag(ctx, IndexTag{TagID: tagID, Digest: digest, Now: now})
	if err == nil {
		_, err = tx.exec(ctx, "update tags set skipped = ?, skip_reason = ?, skip_detail = ? where id = ?",
			digest, string(why.Reason), why.Detail, tagID)
	}
	if err == nil {
		err = tx.showNothing(ctx, tagID, digest, why.Reason == tidewaiter.ReasonPlatform)
	}
	if err == nil {
		settledScans, err = tx.settleTags(ctx, []int64{tagID}, settledNoImage)
	}
	return settledScans, fail(err, "store that tag %d is not scanned", tagID)
}

// showNothing has the tag show no image any more. With others, images of the digest for other platforms stay: another
// registry wants them.
func (tx *Tx) showNothing(ctx context.Context, tagID int64, digest string, others bool) error {
	keep := ""
	if others {
		keep = digest
	}
	if _, err := tx.exec(ctx, "delete from tag_images where tag_id = ? and digest <> ?", tagID, keep); err != nil {
		return err
	}
	_, err := tx.exec(ctx, "update tags set error_kind = '', error = '', error_at = 0 where id = ? and error_kind <> ''", tagID)
	return err
}

// tieImages ties images to the tag, not shown yet unless they are already. Images of the same digest that are tied already
// stay: they are for platforms another registry wants.
func (tx *Tx) tieImages(ctx context.Context, in IndexTag, digest string) error {
	ids := make([]int64, len(in.Images))
	for i, img := range in.Images {
		ids[i] = img.ID
	}
	ids = distinct(ids)
	// What waits to be shown for another digest never will be.
	if _, err := tx.exec(ctx, "delete from tag_images where tag_id = ? and not shown and digest <> ?", in.TagID, digest); err != nil || len(ids) == 0 {
		return err
	}
	list := make([]tagImageRow, len(ids))
	for i, id := range ids {
		list[i] = tagImageRow{TagID: in.TagID, ImageID: id, Digest: digest}
	}
	_, err := tx.insert(&list).On("conflict (tag_id, image_id) do update").Set("digest = excluded.digest").Exec(ctx)
	return err
}
