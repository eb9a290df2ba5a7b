package store

import (
	"context"
	"slices"
	"time"

	"github.com/uptrace/bun"

	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

type imageChangeRow struct {
	bun.BaseModel `bun:"table:image_changes,alias:c"`

	ID      int64 `bun:",pk,nullzero"`
	ImageID int64
	Digest  string `bun:",scanonly"`
	At      int64
	Cause   string
	Doc     []byte
}

// changeDocument is what of a change has no column.
type changeDocument struct {
	Before   tidewaiter.Standing        `json:"before,omitzero"`
	After    tidewaiter.Standing        `json:"after"`
	Counts   tidewaiter.ChangeCounts    `json:"counts,omitzero"`
	Findings []tidewaiter.FindingChange `json:"findings,omitempty"`
}

func (r *Reader) imageChange(row *imageChangeRow) (tidewaiter.ImageChange, error) {
	var doc changeDocument
	err := r.codec.unpackJSON(row.Doc, &doc)
	return tidewaiter.ImageChange{
		ID: row.ID, ImageID: row.ImageID, Digest: row.Digest, At: timeOf(row.At), Cause: tidewaiter.ChangeCause(row.Cause),
		Before: doc.Before, After: doc.After, Counts: doc.Counts, Findings: doc.Findings,
	}, err
}

// outboxLock is the advisory lock, on PostgreSQL, that whoever writes changes shares until it commits. Ids are given before
// that; a reader that has had the lock for itself knows that no lower id than the highest it sees can still appear.
const outboxLock = 0x74_77_63_68 // "twch"

// insertChanges stores changes. It comes last in a transaction, as far as that is possible: until the end of the transaction
// readers of the outbox wait.
func (tx *Tx) insertChanges(ctx context.Context, changes []*tidewaiter.ImageChange) error {
	if len(changes) == 0 {
		return nil
	}
	if tx.dialect == Postgres {
		if _, err := tx.exec(ctx, "select pg_advisory_xact_lock_shared(?)", outboxLock); err != nil {
			return err
		}
	}
	return inChunks(changes, func(part []*tidewaiter.ImageChange) error {
		list := make([]imageChangeRow, len(part))
		for i, c := range part {
			doc, err := tx.codec.packJSON(changeDocument{c.Before, c.After, c.Counts, c.Findings})
			if err != nil {
				return err
			}
			list[i] = imageChangeRow{ImageID: c.ImageID, At: micros(c.At), Cause: string(c.Cause), Doc: doc}
		}
		_, err := tx.insert(&list).Returning("NULL").Exec(ctx)
		return err
	})
}

const selectChanges = "select c.id, c.image_id, i.digest, c.at, c.cause, c.doc from image_changes c join images i on i.id = c.image_id where "

func (r *Reader) imageChanges(ctx context.Context, query string, args ...any) ([]tidewaiter.ImageChange, error) {
	found, err := rows[imageChangeRow](ctx, r, selectChanges+query, args...)
	if err != nil {
		return nil, err
	}
	out := make([]tidewaiter.ImageChange, len(found))
	for i := range found {
		if out[i], err = r.imageChange(&found[i]); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// ImageChanges returns what changed in the fleet after the change with an id, in ascending order of ids, at most limit: an
// outbox. 0 begins with the oldest that is kept. Whoever goes on with the last ID returned misses none that is kept, whoever
// wrote them and however long that took. Changes of images that have been removed are gone with them.
//
// On PostgreSQL it waits for transactions that are just storing changes.
func (db *DB) ImageChanges(ctx context.Context, after int64, limit int) (out []tidewaiter.ImageChange, err error) {
	const query = "c.id > ? order by c.id limit ?"
	limit = Page{Limit: limit}.limit()
	if db.dialect == SQLite { // one writer: ids are given and become visible in the same order
		out, err = db.imageChanges(ctx, query, after, limit)
		return out, fail(err, "read changes of images")
	}
	var last int64
	err = db.Update(ctx, func(tx *Tx) error {
		if _, err := tx.exec(ctx, "select pg_advisory_xact_lock(?)", outboxLock); err != nil {
			return err
		}
		found, err := scalar[*int64](ctx, tx.Reader, "select max(id) from image_changes")
		if last = 0; err == nil && found != nil {
			last = *found
		}
		return err
	})
	if err == nil && last > after {
		out, err = db.imageChanges(ctx, "c.id <= ? and "+query, last, after, limit)
	}
	return out, fail(err, "read changes of images")
}

// LastImageChange returns the highest id of a change that is there; 0 when there is none. Whoever wants to hear only of what
// comes from now on begins after it.
func (r *Reader) LastImageChange(ctx context.Context) (int64, error) {
	id, err := scalar[*int64](ctx, r, "select max(id) from image_changes")
	if err != nil || id == nil {
		return 0, fail(err, "read changes of images")
	}
	return *id, nil
}

// ChangesOfImage returns a page of what changed for one image, the latest first, and the cursor of the next page.
func (r *Reader) ChangesOfImage(ctx context.Context, imageID int64, p Page) ([]tidewaiter.ImageChange, string, error) {
	const order = "image changes"
	after, err := cursorOf(p, order)
	if err != nil {
		return nil, "", err
	}
	query, args := "c.image_id = ?", []any{imageID}
	if after != nil {
		query, args = query+" and c.id < ?", append(args, after.ID)
	}
	found, err := r.imageChanges(ctx, query+" order by c.id desc limit ? offset ?", append(args, p.limit()+1, p.Offset)...)
	if err != nil {
		return nil, "", fail(err, "changes of image %d", imageID)
	}
	found, next := cut(found, p, func(c tidewaiter.ImageChange) cursor { return cursor{Order: order, ID: c.ID} })
	return found, next, nil
}

// PurgeImageChanges removes changes older than a time, at most limit, and returns how many.
func (tx *Tx) PurgeImageChanges(ctx context.Context, before time.Time, limit int) (int, error) {
	n, err := tx.exec(ctx, "delete from image_changes where id in (select id from image_changes where at < ? order by at limit ?)", micros(before), limit)
	return int(n), fail(err, "purge changes of images")
}

// lockJudged locks an image's row and returns it as it is. An image that does not exist is ErrNotFound.
func (tx *Tx) lockJudged(ctx context.Context, imageID int64) (*storedImage, error) {
	found, err := rows[storedImage](ctx, tx.Reader, "select "+imageColumns+" from images i where i.id = ?"+tx.forUpdate(), imageID)
	if err == nil && len(found) == 0 {
		err = tidewaiter.Errorf(tidewaiter.ErrNotFound, "no such image")
	}
	if err != nil {
		return nil, err
	}
	return &found[0], nil
}

// packagesHeld returns the distinct packages an image was judged with; none when it never was.
func (tx *Tx) packagesHeld(ctx context.Context, imageID int64, before *storedImage) ([]int64, error) {
	if before.JudgedAt == 0 {
		return nil, nil
	}
	return rows[int64](ctx, tx.Reader, "select package_id from package_images where image_id = ? order by package_id", imageID)
}

// changedByJudgement stores what a judgement changed, which the image's row as it was and its packages before and after tell.
func (tx *Tx) changedByJudgement(ctx context.Context, in SaveJudgement, row *storedImage, held, holds []int64) error {
	was, err := row.judgement()
	if err != nil {
		return err
	}
	cause := tidewaiter.ChangePolicy
	switch {
	case row.JudgedAt == 0:
		was = nil
	case !slices.Equal(held, holds):
		cause = tidewaiter.ChangeContent
	case was.Analyzer != in.Judgement.Analyzer:
		cause = tidewaiter.ChangeContent
	case was.Advisories != in.Judgement.Advisories:
		cause = tidewaiter.ChangeAdvisories
	}
	var findings []tidewaiter.FindingChange
	if was != nil && was.Advisories != "" && row.FindingsSeen > 0 {
		if findings, err = tx.findingsChanged(ctx, held, holds, row.FindingsSeen, in.Findings); err != nil {
			return err
		}
	}
	now := *in.Judgement
	if now.JudgedAt.IsZero() {
		now.JudgedAt = in.Now
	}
	if c := tidewaiter.NewImageChange(in.ImageID, cause, was, &now, findings); c != nil {
		return tx.insertChanges(ctx, []*tidewaiter.ImageChange{c})
	}
	return nil
}

// findingsChanged compares the findings of the packages an image held in one generation with those of the packages it holds
// now. What it held and does not hold any more is compared by name and version: another analyzer may number a package anew.
func (tx *Tx) findingsChanged(ctx context.Context, held, holds []int64, before, now int64) ([]tidewaiter.FindingChange, error) {
	both := distinct(append(slices.Clone(held), holds...))
	changes, err := tx.FindingChanges(ctx, both, before, now)
	if err != nil {
		return nil, err
	}
	var moved, named []int64
	for _, id := range both {
		_, was := slices.BinarySearch(held, id)
		_, is := slices.BinarySearch(holds, id)
		if was != is {
			moved = append(moved, id)
		}
		if was != is || len(changes[id]) > 0 {
			named = append(named, id)
		}
	}
	if len(named) == 0 {
		return nil, nil
	}
	found, err := tx.Findings(ctx, moved)
	if err != nil {
		return nil, err
	}
	packages, err := tx.Packages(ctx, named)
	if err != nil {
		return nil, err
	}
	list := changeList{}
	for _, p := range packages {
		if _, is := slices.BinarySearch(moved, p.ID); !is {
			for _, f := range Collapse(changes[p.ID]) {
				list.add(p, f)
			}
			continue
		}
		_, is := slices.BinarySearch(holds, p.ID)
		list.move(p, found[p.ID], changes[p.ID], is)
	}
	return list.changes(), nil
}
