package store

import (
	"context"
	"time"

	"github.com/uptrace/bun"
)

// Purged is how many of each were removed.
type Purged struct {
	Tags     int
	Images   int
	Layers   int
	Packages int
}

// Any reports whether anything was removed, so that there may be more.
func (p Purged) Any() bool { return p != Purged{} }

// PurgeGone removes what nobody has any more, at most limit of each kind: tags that were gone before a time, with their
// history; then images no tag points to, first seen before that time; layers no image uses, created before it; and
// packages no image holds, with their findings. Call it, each time in a transaction of its own, until nothing is
// removed: what one call frees the next may find.
func (tx *Tx) PurgeGone(ctx context.Context, before time.Time, limit int) (Purged, error) {
	var (
		p   Purged
		err error
	)
	for _, step := range []struct {
		count *int
		run   func(context.Context, int64, int) (int, error)
	}{{&p.Tags, tx.purgeTags}, {&p.Images, tx.purgeImages}, {&p.Layers, tx.purgeLayers}, {&p.Packages, tx.purgePackages}} {
		if *step.count, err = step.run(ctx, micros(before), limit); err != nil {
			return p, fail(err, "purge")
		}
	}
	return p, nil
}

func (tx *Tx) purgeTags(ctx context.Context, before int64, limit int) (int, error) {
	ids, err := rows[int64](ctx, tx.Reader, `select id from tags where gone_at > 0 and gone_at < ?
		and not exists (select 1 from scan_tags s where s.tag_id = tags.id) order by id limit ?`+tx.forUpdate(), before, limit)
	if err != nil || len(ids) == 0 {
		return 0, err
	}
	// History, scopes and ties go with the tag, by the tables' own rules.
	n, err := tx.exec(ctx, "delete from tags where id in (?)", bun.List(ids))
	return int(n), err
}

func (tx *Tx) purgeImages(ctx context.Context, before int64, limit int) (int, error) {
	ids, err := rows[int64](ctx, tx.Reader, `select id from images where first_seen < ?
		and not exists (select 1 from tag_images ti where ti.image_id = images.id) order by id limit ?`+tx.forUpdate(), before, limit)
	if err != nil || len(ids) == 0 {
		return 0, err
	}
	// Asked again now that the rows are locked: IndexTag, which ties tags to images, locks the image first.
	n, err := tx.exec(ctx, `delete from images where id in (?)
		and not exists (select 1 from tag_images ti where ti.image_id = images.id)`, bun.List(ids))
	if err != nil {
		return 0, err
	}
	_, err = tx.exec(ctx, `delete from manifests where digest in (select m.digest from manifests m
		left join images i on i.digest = m.digest left join tags t on t.digest = m.digest
		where i.id is null and t.id is null order by m.digest limit ?)`, limit)
	return int(n), err
}

func (tx *Tx) purgeLayers(ctx context.Context, before int64, limit int) (int, error) {
	type row struct {
		DiffID   string `bun:"diff_id"`
		Analyzer string
	}
	const unused = "not exists (select 1 from image_layers il where il.diff_id = layers.diff_id)"
	found, err := rows[row](ctx, tx.Reader, "select diff_id, analyzer from layers where created_at < ? and "+unused+
		" order by diff_id, analyzer limit ?"+tx.forUpdate(), before, limit)
	n := 0
	for _, row := range found {
		deleted, err := tx.exec(ctx, "delete from layers where diff_id = ? and analyzer = ? and "+unused, row.DiffID, row.Analyzer)
		if err != nil {
			return n, err
		}
		n += int(deleted)
	}
	return n, err
}

func (tx *Tx) purgePackages(ctx context.Context, _ int64, limit int) (int, error) {
	ids, err := rows[int64](ctx, tx.Reader, `select id from packages
		where not exists (select 1 from package_images pi where pi.package_id = packages.id) order by id limit ?`+tx.forUpdate(), limit)
	if err != nil || len(ids) == 0 {
		return 0, err
	}
	n, err := tx.exec(ctx, `delete from packages where id in (?)
		and not exists (select 1 from package_images pi where pi.package_id = packages.id)`, bun.List(ids))
	return int(n), err
}
