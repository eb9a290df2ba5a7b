package store

import (
	"context"
	"time"

	"github.com/uptrace/bun"

	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// Unasked says which images a scanner has to be asked about.
type Unasked struct {
	Scanner *tidewaiter.Scanner
	Now     time.Time
	After   int64 // the last image of the page before
	Limit   int
}

// askable are the images that tags of registries show which a scanner is asked about.
const askable = `registry_tags rt join registries r on r.id = rt.registry_id join tags t on t.id = rt.tag_id and t.gone_at = 0
	join tag_images ti on ti.tag_id = t.id and ti.shown join images i on i.id = ti.image_id`

// bound reports, of a registry r, whether a scanner is asked about its images.
const bound = `(exists (select 1 from scanner_registries b where b.registry_id = r.id and b.scanner_id = ?)
	or exists (select 1 from scanners s where s.id = ? and s.all_registries))`

// UnaskedImages returns, in ascending order of ids, images that are judged and that a scanner has to be asked about: it never was; or
// that failed and is due again, or somebody changed the scanner, the registry or its credential since; or what it said, or the failure, is old and
// the image was seen again since.
func (r *Reader) UnaskedImages(ctx context.Context, u Unasked) ([]int64, error) {
	old := micros(u.Now.Add(-u.Scanner.MaxAge))
	ids, err := rows[int64](ctx, r, `select distinct ti.image_id from `+askable+`
		left join opinions o on o.image_id = ti.image_id and o.scanner_id = ?
		where ti.image_id > ? and i.judged_at > 0 and r.paused_at = 0 and `+bound+` and (o.image_id is null
			or o.state = 'failed' and (o.tried_at < ? or o.tried_at < r.updated_at or o.retry_at > 0 and o.retry_at <= ?
				or exists (select 1 from credentials c where c.id = r.credential_id and c.updated_at > o.tried_at))
			or o.state in ('done', 'failed') and o.tried_at <= ? and t.last_seen > o.tried_at)
		order by ti.image_id limit ?`,
		u.Scanner.ID, u.After, u.Scanner.ID, u.Scanner.ID, micros(u.Scanner.UpdatedAt), micros(u.Now), old, u.Limit)
	return ids, fail(err, "images to ask scanner %s about", u.Scanner.ID)
}

// queueOpinion inserts a row or has a known one wait, unless the scanner is being asked already. How often it failed is forgotten when that
// was given up.
const queueOpinion = ` on conflict (image_id, scanner_id) do update set state = 'waiting', next_at = excluded.next_at,
	scan = '', faults = 0, job_id = 0, attempts = case when opinions.retry_at > 0 then opinions.attempts else 0 end
	where opinions.state in ('done', 'failed', 'waiting')`

// QueueOpinions has a scanner asked about images. Those with the earlier place go first. Images that are gone are left out.
func (tx *Tx) QueueOpinions(ctx context.Context, scannerID string, imageIDs []int64, place time.Time) (queued int, err error) {
	err = inChunks(distinct(imageIDs), func(part []int64) error {
		n, err := tx.exec(ctx, `insert into opinions (image_id, scanner_id, state, next_at)
			select i.id, s.id, 'waiting', ? from images i join scanners s on s.id = ? where i.id in (?) order by i.id`+queueOpinion,
			micros(place), scannerID, bun.List(part))
		queued += int(n)
		return err
	})
	return queued, fail(err, "queue images for scanner %s", scannerID)
}

// QueueAllOpinions has a scanner asked anew about every image it has said something about, or failed to.
func (tx *Tx) QueueAllOpinions(ctx context.Context, scannerID string, place time.Time) (queued int, err error) {
	n, err := tx.exec(ctx, `update opinions set state = 'waiting', next_at = ?, attempts = 0, retry_at = 0
		where scanner_id = ? and state in ('done', 'failed')`, micros(place), scannerID)
	return int(n), fail(err, "queue all images for scanner %s", scannerID)
}

// WaitingOpinions returns images that wait for a scanner to have room, those with the earliest place first. Places later than now do not
// count yet.
func (r *Reader) WaitingOpinions(ctx context.Context, scannerID string, now time.Time, limit int) ([]int64, error) {
	ids, err := rows[int64](ctx, r, `select image_id from opinions where scanner_id = ? and state = 'waiting' and next_at <= ?
		order by next_at, image_id limit ?`, scannerID, micros(now), limit)
	return ids, fail(err, "images that wait for scanner %s", scannerID)
}

// CountAsking returns about how many images a scanner is being asked, leaving out those whose next step was due before a time: nobody can
// work on them.
func (r *Reader) CountAsking(ctx context.Context, scannerID string, since time.Time) (int, error) {
	n, err := scalar[int](ctx, r, "select count(*) from opinions where scanner_id = ? and state = 'asking' and next_at >= ?", scannerID, micros(since))
	return n, fail(err, "count what scanner %s is asked", scannerID)
}

// OpinionStep is a step that is due.
type OpinionStep struct {
	ImageID    int64
	ScannerID  string
	RegistryID string
}

// OverdueOpinions returns steps that were due before a time.
func (r *Reader) OverdueOpinions(ctx context.Context, before time.Time, limit int) ([]OpinionStep, error) {
	steps, err := rows[OpinionStep](ctx, r, `select o.image_id, o.scanner_id, o.registry_id from opinions o
		where o.state = 'asking' and o.next_at <= ? and o.registry_id is not null order by o.next_at limit ?`, micros(before), limit)
	return steps, fail(err, "opinions that are overdue")
}

// OpinionPlace is where an image can be pulled from.
type OpinionPlace struct {
	RegistryID string
	Paused     bool // the registry is not to be asked for now
	Host       string
	Repository string
	Tag        string
}

// OpinionPlaceOf returns where a scanner can pull an image from, nil when no registry it is asked about shows the image. Registries that
// are not paused go first.
func (r *Reader) OpinionPlaceOf(ctx context.Context, scannerID string, imageID int64) (*OpinionPlace, error) {
	found, err := rows[OpinionPlace](ctx, r, `select r.id as registry_id, r.paused_at > 0 as paused, e.host, e.name as repository, t.name as tag
		from `+askable+` join repositories e on e.id = t.repository_id
		where ti.image_id = ? and `+bound+` order by case when r.paused_at > 0 then 1 else 0 end, r.id, e.name, t.name limit 1`,
		imageID, scannerID, scannerID)
	if err != nil || len(found) == 0 {
		return nil, fail(err, "where image %d can be pulled from", imageID)
	}
	return &found[0], nil
}

// ForgetOpinion removes an opinion that was never had; one that was stays as it was.
func (tx *Tx) ForgetOpinion(ctx context.Context, imageID int64, scannerID string) error {
	_, err := tx.exec(ctx, "delete from opinions where image_id = ? and scanner_id = ? and read_at = 0", imageID, scannerID)
	if err == nil {
		_, err = tx.exec(ctx, `update opinions set state = 'done', scan = '', job_id = 0, next_at = 0, error = '', error_kind = '', attempts = 0, retry_at = 0
			where image_id = ? and scanner_id = ?`, imageID, scannerID)
	}
	return fail(err, "forget the opinion on image %d", imageID)
}
