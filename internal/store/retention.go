package store

import (
	"context"
	"time"

	"github.com/uptrace/bun"
)

// Purged is how many of each were removed.
type Purged struct {
	Tags            int
	Images          int
	Layers          int
	Packages        int
	Vulnerabilities int
	Repositories    int // that a registry had
	Scans           int
	Moves           int // of tags
	Audit           int // entries of the audit log
}

// Any reports whether anything was removed, so that there may be more.
func (p Purged) Any() bool { return p != Purged{} }

// Add adds what another call removed.
func (p *Purged) Add(o Purged) {
	p.Tags, p.Images, p.Layers, p.Packages = p.Tags+o.Tags, p.Images+o.Images, p.Layers+o.Layers, p.Packages+o.Packages
	p.Vulnerabilities, p.Repositories = p.Vulnerabilities+o.Vulnerabilities, p.Repositories+o.Repositories
	p.Scans, p.Moves, p.Audit = p.Scans+o.Scans, p.Moves+o.Moves, p.Audit+o.Audit
}

// purgeStep removes one kind of row. What may go is looked for without keeping writers waiting, and looked at again, row by row,
// in the transaction that removes it.
type purgeStep struct {
	count      *int
	candidates string // ids: the time before which and how many at most
	lock       string // of PostgreSQL's rows, where somebody may be about to use them again
	remove     string
	args       []any // of remove, beside the ids
}

// PurgeGone removes what nobody has any more, at most limit of each kind: tags that were gone before a time, with their
// history; then images no tag points to, first seen before that time; layers no image uses, created before it; packages no image
// holds, with their findings; vulnerabilities nothing has; and repositories a registry no longer had then. Call it until nothing
// is removed: what one call frees the next may find.
func (db *DB) PurgeGone(ctx context.Context, before time.Time, limit int) (Purged, error) {
	var p Purged
	at := micros(before)
	err := db.purge(ctx, at, limit, []purgeStep{
		// History, scopes and ties go with the tag, by the tables' own rules.
		{&p.Tags, `select id from tags where gone_at > 0 and gone_at < ? and not exists (select 1 from scan_tags s where s.tag_id = tags.id) order by id limit ?`,
			"select id from tags where id in (?) order by id for update",
			`delete from tags where id in (?) and gone_at > 0 and gone_at < ? and not exists (select 1 from scan_tags s where s.tag_id = tags.id)`, []any{at}},
		// IndexTag, which ties tags to images, locks the image first.
		{&p.Images, `select id from images where first_seen < ? and not exists (select 1 from tag_images ti where ti.image_id = images.id) order by id limit ?`,
			"select id from images where id in (?) order by id for update",
			"delete from images where id in (?) and not exists (select 1 from tag_images ti where ti.image_id = images.id)", nil},
	})
	if err == nil && p.Images > 0 {
		err = db.Update(ctx, func(tx *Tx) error {
			_, err := tx.exec(ctx, `delete from manifests where digest in (select m.digest from manifests m
				left join images i on i.digest = m.digest left join tags t on t.digest = m.digest
				where i.id is null and t.id is null order by m.digest limit ?)`, limit)
			return err
		})
	}
	if err == nil {
		p.Layers, err = db.purgeLayers(ctx, at, limit)
	}
	if err == nil {
		err = db.purge(ctx, at, limit, []purgeStep{
			{&p.Packages, `select id from packages where ? > 0 and not exists (select 1 from package_images pi where pi.package_id = packages.id) order by id limit ?`,
				"select id from packages where id in (?) order by id for update",
				"delete from packages where id in (?) and not exists (select 1 from package_images pi where pi.package_id = packages.id)", nil},
			{&p.Vulnerabilities, `select id from vulnerabilities v where ? > 0 and not exists (select 1 from findings f where f.vulnerability_id = v.id) order by id limit ?`,
				"select id from vulnerabilities where id in (?) order by id for update",
				"delete from vulnerabilities where id in (?) and not exists (select 1 from findings f where f.vulnerability_id = vulnerabilities.id)", nil},
			{&p.Repositories, `select distinct repository_id from registry_repositories where gone_at > 0 and gone_at < ? order by repository_id limit ?`, "",
				"delete from registry_repositories where repository_id in (?) and gone_at > 0 and gone_at < ?", []any{at}},
		})
	}
	return p, fail(err, "purge")
}

// PurgeHistory removes what happened before a time and nobody needs to know any more, at most limit of each kind: scans that are
// over, but for the newest of a registry and the newest that was completed, and those a plan started last; where tags pointed
// before; and entries of the audit log.
func (db *DB) PurgeHistory(ctx context.Context, before time.Time, limit int) (Purged, error) {
	var p Purged
	at := micros(before)
	err := db.purgeScans(ctx, &p.Scans, at, limit)
	if err == nil {
		// Both are written in the order of time, so that the oldest come first.
		err = db.purge(ctx, at, limit, []purgeStep{
			{&p.Moves, "select id from (select id, to_at from tag_history order by id limit ?) h where to_at < ?", "", "delete from tag_history where id in (?)", nil},
			{&p.Audit, "select id from (select id, at from audit order by id limit ?) a where at < ?", "", "delete from audit where id in (?)", nil},
		})
	}
	return p, fail(err, "purge history")
}

func (db *DB) purge(ctx context.Context, before int64, limit int, steps []purgeStep) error {
	for _, s := range steps {
		args := []any{before, limit}
		if s.lock == "" && s.args == nil { // the oldest few, of those the ones before
			args = []any{limit, before}
		}
		ids, err := rows[int64](ctx, db.Reader, s.candidates, args...)
		if err != nil {
			return err
		}
		if len(ids) == 0 {
			continue
		}
		err = db.Update(ctx, func(tx *Tx) error {
			if s.lock != "" && tx.dialect == Postgres {
				if _, err := rows[int64](ctx, tx.Reader, s.lock, bun.List(ids)); err != nil {
					return err
				}
			}
			n, err := tx.exec(ctx, s.remove, append([]any{bun.List(ids)}, s.args...)...)
			*s.count = int(n)
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func (db *DB) purgeLayers(ctx context.Context, before int64, limit int) (n int, err error) {
	type row struct {
		DiffID   string `bun:"diff_id"`
		Analyzer string
	}
	const unused = "not exists (select 1 from image_layers il where il.diff_id = layers.diff_id)"
	found, err := rows[row](ctx, db.Reader, "select diff_id, analyzer from layers where created_at < ? and "+unused+" order by diff_id, analyzer limit ?", before, limit)
	if err != nil || len(found) == 0 {
		return 0, err
	}
	err = db.Update(ctx, func(tx *Tx) error {
		n = 0
		for _, row := range found { // in the order in which everybody locks them
			// Locked before it is asked again: whoever comes to use the layer locks it first.
			if _, err := rows[string](ctx, tx.Reader, "select diff_id from layers where diff_id = ? and analyzer = ?"+tx.forUpdate(), row.DiffID, row.Analyzer); err != nil {
				return err
			}
			deleted, err := tx.exec(ctx, "delete from layers where diff_id = ? and analyzer = ? and "+unused, row.DiffID, row.Analyzer)
			if err != nil {
				return err
			}
			n += int(deleted)
		}
		return nil
	})
	return n, err
}

func (db *DB) purgeScans(ctx context.Context, count *int, before int64, limit int) error {
	const over = ` from scans s where s.created_at < ? and s.ended_at > 0 and not s.` + unfinishedStates + `
		and not exists (select 1 from plans p where p.last_scan_id = s.id)
		and exists (select 1 from scans n where n.registry_id = s.registry_id and n.created_at > s.created_at and n.target = '' and not n.partial and n.ended_at > 0
			and (n.state = 'completed' or s.state <> 'completed'))`
	ids, err := rows[string](ctx, db.Reader, "select s.id"+over+" order by s.created_at, s.id limit ?", before, limit)
	if err != nil || len(ids) == 0 {
		return err
	}
	return db.Update(ctx, func(tx *Tx) error {
		n, err := tx.exec(ctx, "delete from scans where id in (?)", bun.List(ids))
		*count = int(n)
		return err
	})
}
