package store

import (
	"bytes"
	"context"
	"time"

	"github.com/uptrace/bun"

	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// SaveJudgement is what is now known of an image.
type SaveJudgement struct {
	ImageID   int64
	Content   *tidewaiter.Content // its packages interned; nil keeps the stored content and checks
	Checks    []tidewaiter.Check
	Judgement *tidewaiter.Judgement
	Findings  int64 // the generation the findings were read at: FindingsGeneration, asked before reading them
	Now       time.Time
}

// ErrOlderFindings says that an image was judged meanwhile by newer findings than those a judgement was made from.
var ErrOlderFindings = tidewaiter.Errorf(tidewaiter.ErrTransient, "it was judged by newer findings meanwhile")

// SaveJudgement stores an image's judgement and content. The image is judged from now on, and tags all of whose images
// are judged by the same analyzer show them and are settled as done. Running it twice counts nothing twice. An image
// that does not exist is ErrNotFound; a package that was purged since it was interned is ErrTransient, and so is a
// judgement made from older findings than the stored one (ErrOlderFindings). What it changed is kept with it: see ImageChange.
//
// A tag that was to be judged again by force is settled by the first of its images.
func (tx *Tx) SaveJudgement(ctx context.Context, in SaveJudgement) (settledScans []string, err error) {
	settledScans, err = tx.saveJudgement(ctx, in)
	if tidewaiter.KindOf(fail(err, "")) == tidewaiter.ErrConflict {
		err = tidewaiter.Errorf(tidewaiter.ErrTransient, "a package was purged meanwhile: %w", err)
	}
	return settledScans, fail(err, "store the judgement of image %d", in.ImageID)
}

func (tx *Tx) saveJudgement(ctx context.Context, in SaveJudgement) ([]string, error) {
	j, err := judgementRowOf(in.Judgement)
	if err != nil {
		return nil, err
	}
	now := micros(in.Now)
	if j.JudgedAt == 0 {
		j.JudgedAt = now
	}
	before, err := tx.lockJudged(ctx, in.ImageID)
	if err != nil {
		return nil, err
	}
	if before.FindingsSeen > in.Findings {
		return nil, ErrOlderFindings
	}
	j.FindingsSeen = in.Findings
	row := storedImage{ID: in.ImageID, State: string(tidewaiter.ImageJudged), UpdatedAt: now, judgementRow: j}
	res, err := tx.update(&row).
		Column("state", "error_kind", "error", "updated_at", "advisories", "analyzer", "judged_at", "distro_family",
			"distro_release", "distro_name", "end_of_life", "packages", "vuln_critical", "vuln_high", "vuln_medium", "vuln_low",
			"vuln_negligible", "vuln_unknown", "fixable", "secrets", "check_critical", "check_high", "check_medium", "check_low",
			"check_negligible", "check_unknown", "vuln_risk", "check_risk", "worst", "verdict", "alerts", "blocks", "incomplete",
			"judgement", "findings_seen").
		Set("first_judged = case when first_judged = 0 then ? else first_judged end", j.JudgedAt).
		Where("i.id = ?", in.ImageID).Exec(ctx)
	if err := one(res, err); err != nil {
		return nil, err
	}
	held, err := tx.packagesHeld(ctx, in.ImageID, before)
	if err != nil {
		return nil, err
	}
	holds := held
	if in.Content != nil {
		if holds, err = tx.saveContent(ctx, in); err != nil {
			return nil, err
		}
	}
	tags, err := rows[int64](ctx, tx.Reader, `select ti.tag_id from tag_images ti join tags t on t.id = ti.tag_id
		where ti.image_id = ? and ti.digest = t.digest order by ti.tag_id`, in.ImageID)
	if err != nil {
		return nil, err
	}
	settled, _, err := tx.showTags(ctx, tags, in.Judgement.Analyzer, false)
	if err != nil {
		return nil, err
	}
	return settled, tx.changedByJudgement(ctx, in, before, held, holds)
}

// saveContent writes an image's content and posting lists unless they are stored as they are. It returns the distinct
// packages.
func (tx *Tx) saveContent(ctx context.Context, in SaveJudgement) ([]int64, error) {
	c := in.Content
	stored := &StoredContent{
		Distribution: c.Distribution, Installed: make([]InstalledRef, len(c.Installed)),
		Secrets: c.Secrets, SetID: c.SetID, Notices: c.Notices, Checks: in.Checks,
	}
	packages := make([]int64, len(c.Installed))
	for i, p := range c.Installed {
		if p.Package == nil || p.Package.ID == 0 {
			return nil, tidewaiter.Errorf(tidewaiter.ErrBug, "a package of image %d is not interned", in.ImageID)
		}
		packages[i] = p.Package.ID
		stored.Installed[i] = InstalledRef{PackageID: p.Package.ID, Layer: p.Layer, Path: p.Path}
	}
	packages = distinct(packages)
	plain, err := EncodeContent(stored)
	if err != nil {
		return nil, err
	}
	doc := tx.codec.pack(plain)
	before, err := rows[[]byte](ctx, tx.Reader, "select doc from image_contents where image_id = ?", in.ImageID)
	if err != nil || len(before) > 0 && bytes.Equal(before[0], doc) {
		return packages, err
	}
	if _, err := tx.exec(ctx, `insert into image_contents (image_id, doc) values (?, ?)
			on conflict (image_id) do update set doc = excluded.doc`, in.ImageID, doc); err != nil {
		return nil, err
	}
	return packages, tx.postPackages(ctx, in.ImageID, packages)
}

// postPackages makes the posting lists say that the image holds exactly these packages, which are sorted.
func (tx *Tx) postPackages(ctx context.Context, imageID int64, packages []int64) error {
	posted, err := rows[int64](ctx, tx.Reader, "select package_id from package_images where image_id = ?", imageID)
	if err != nil {
		return err
	}
	old := make(map[int64]bool, len(posted))
	for _, id := range posted {
		old[id] = true
	}
	type row struct {
		bun.BaseModel `bun:"table:package_images"`
		PackageID     int64
		ImageID       int64
	}
	var added []row
	for _, id := range packages {
		if !old[id] {
			added = append(added, row{PackageID: id, ImageID: imageID})
		}
		delete(old, id)
	}
	var removed []int64
	for id := range old {
		removed = append(removed, id)
	}
	if err := inChunks(distinct(removed), func(part []int64) error {
		_, err := tx.exec(ctx, "delete from package_images where image_id = ? and package_id in (?)", imageID, bun.List(part))
		return err
	}); err != nil {
		return err
	}
	return inChunks(added, func(part []row) error {
		_, err := tx.insert(&part).On("conflict do nothing").Exec(ctx)
		return err
	})
}
