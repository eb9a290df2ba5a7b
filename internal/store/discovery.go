package store

import (
	"context"
	"time"

	"github.com/uptrace/bun"

	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// RecordTags is a page of one repository's selected tags.
type RecordTags struct {
	RegistryID   string
	ScanID       string
	RepositoryID int64
	Tags         []tidewaiter.ListedTag
	Analyzer     string // the current one, for RecordedTag.Known; "" lets any do
	Now          time.Time
}

// RecordedTag is what became of one of the tags.
type RecordedTag struct {
	TagID  int64
	Name   string
	Digest string // as stored: the listing's, or the one known before when the listing does not say
	// Known reports that the listing's digest is the one whose images are shown and judged by the current analyzer, or
	// that it is known to lead to no image whatever the platform: there is nothing to do. It is never true for a tag the
	// listing gives no digest of, unless it is an unchecked one: that is known when what is stored is.
	Known bool
	Moved bool // it pointed somewhere else before
	Again bool // this scan has recorded it before, so it has been counted
	// NoImage reports, of a known tag, that it leads to no image: no scan answers for it.
	NoImage bool
}

type tagRow struct {
	bun.BaseModel `bun:"table:tags,alias:t"`

	ID           int64 `bun:",pk,nullzero"`
	RepositoryID int64
	Name         string
	Reference    string
	Digest       string
	UpdatedAt    int64
	FirstSeen    int64
	LastSeen     int64
	ChangedAt    int64
	GoneAt       int64
	ErrorKind    string
	Error        string
	ErrorAt      int64
}

type tagMoveRow struct {
	bun.BaseModel `bun:"table:tag_history"`

	TagID  int64
	Digest string
	FromAt int64
	ToAt   int64
}

// RecordTags stores tags a scan saw and selected: new ones, and for known ones that they are there and where they point
// now. A tag that moved keeps its previous digest in its history. The registry has the tags in scope from now on. The
// answer has one entry per distinct name, in the order of names. Running it twice changes nothing.
func (tx *Tx) RecordTags(ctx context.Context, in RecordTags) ([]RecordedTag, error) {
	listed := make(map[string]tidewaiter.ListedTag, len(in.Tags))
	names := make([]string, 0, len(in.Tags))
	for _, t := range in.Tags {
		t.Name, t.Digest = text(t.Name), text(t.Digest)
		listed[t.Name] = t
		names = append(names, t.Name)
	}
	repositories, err := rows[repositoryRow](ctx, tx.Reader, "select id, host, name from repositories where id = ?", in.RepositoryID)
	if err == nil && len(repositories) == 0 {
		err = tidewaiter.Errorf(tidewaiter.ErrNotFound, "no repository %d", in.RepositoryID)
	}
	if err != nil {
		return nil, fail(err, "record tags")
	}
	repo := repositories[0]
	var out []RecordedTag
	err = inChunks(distinct(names), func(part []string) error {
		recorded, err := tx.recordTags(ctx, in, repo, part, listed)
		out = append(out, recorded...)
		return err
	})
	return out, fail(err, "record tags of %s/%s", repo.Host, repo.Name)
}

// recordTags records one chunk of names, which are sorted: the order in which rows are locked.
func (tx *Tx) recordTags(ctx context.Context, in RecordTags, repo repositoryRow, names []string, listed map[string]tidewaiter.ListedTag) ([]RecordedTag, error) {
	now := micros(in.Now)
	before, err := rows[tagRow](ctx, tx.Reader, "select * from tags where repository_id = ? and name in (?) order by name"+tx.forUpdate(),
		repo.ID, bun.List(names))
	if err != nil {
		return nil, err
	}
	known := make(map[string]tagRow, len(before))
	for _, row := range before {
		known[row.Name] = row
	}
	var (
		list    = make([]tagRow, len(names))
		history []tagMoveRow
		moved   = map[string]bool{}
	)
	for i, name := range names {
		t, old := listed[name], known[name]
		if t.Unchecked && old.Digest != "" {
			t.Digest = "" // somebody may have learnt better since
		}
		row := tagRow{
			RepositoryID: repo.ID, Name: name, Reference: repo.Host + "/" + repo.Name + ":" + name, Digest: t.Digest,
			UpdatedAt: micros(t.UpdatedAt), FirstSeen: now, LastSeen: now,
		}
		if row.Digest == "" {
			row.Digest = old.Digest
		}
		if row.UpdatedAt == 0 && row.Digest == old.Digest {
			row.UpdatedAt = old.UpdatedAt
		}
		row.ChangedAt = old.ChangedAt
		if old.Digest != "" && row.Digest != old.Digest {
			row.ChangedAt, moved[name] = now, true
			history = append(history, moveOf(old, now))
		}
		list[i] = row
	}
	// Somebody may have inserted one of the new names since; what he knows of it is as good.
	if _, err := tx.insert(&list).On("conflict (repository_id, name) do update").
		Set("digest = case when excluded.digest = '' then t.digest else excluded.digest end").Set("updated_at = excluded.updated_at").Set("last_seen = excluded.last_seen").
		Set("changed_at = excluded.changed_at").Set("gone_at = 0").Returning("NULL").Exec(ctx); err != nil {
		return nil, err
	}
	if len(history) > 0 {
		if _, err := tx.insert(&history).Exec(ctx); err != nil {
			return nil, err
		}
	}
	return tx.tagsInScope(ctx, in, repo, names, listed, moved)
}

// moveOf is the history entry of a tag that leaves its digest now. It held it since it last changed, or was first seen.
func moveOf(old tagRow, now int64) tagMoveRow {
	from := old.ChangedAt
	if from == 0 {
		from = old.FirstSeen
	}
	return tagMoveRow{TagID: old.ID, Digest: old.Digest, FromAt: from, ToAt: now}
}

// tagsInScope notes that the registry has the tags in scope and finds out what is known of them.
func (tx *Tx) tagsInScope(ctx context.Context, in RecordTags, repo repositoryRow, names []string,
	listed map[string]tidewaiter.ListedTag, moved map[string]bool,
) ([]RecordedTag, error) {
	stored, err := rows[recordedRow](ctx, tx.Reader, recordedTags, in.Analyzer, in.Analyzer, in.RegistryID, repo.ID, bun.List(names))
	if err != nil {
		return nil, err
	}
	type row struct {
		bun.BaseModel `bun:"table:registry_tags"`
		RegistryID    string
		TagID         int64
		ScanID        string
	}
	var (
		out    = make([]RecordedTag, len(stored))
		scoped = make([]row, len(stored))
		mended []int64
	)
	for i, s := range stored {
		known := s.Known && (listed[s.Name].Digest != "" || listed[s.Name].Unchecked)
		if known && s.Failed && !listed[s.Name].Unchecked {
			mended = append(mended, s.ID)
		}
		out[i] = RecordedTag{
			TagID: s.ID, Name: s.Name, Digest: s.Digest, Known: known, Moved: moved[s.Name], Again: s.ScanID == in.ScanID,
			NoImage: known && s.NoImage,
		}
		scoped[i] = row{RegistryID: in.RegistryID, TagID: s.ID, ScanID: in.ScanID}
	}
	if _, err := tx.insert(&scoped).On("conflict (registry_id, tag_id) do update").Set("scan_id = excluded.scan_id").Exec(ctx); err != nil {
		return nil, err
	}
	if len(mended) > 0 {
		// The tag points where its result came from, so whatever went wrong since is over.
		_, err = tx.exec(ctx, "update tags set error_kind = '', error = '', error_at = 0 where id in (?)", bun.List(mended))
	}
	return out, err
}

type recordedRow struct {
	ID      int64
	Name    string
	Digest  string
	ScanID  string
	Failed  bool
	NoImage bool
	Known   bool
}

const recordedTags = `select t.id, t.name, t.digest, coalesce(rt.scan_id, '') as scan_id, t.error_kind <> '' as failed,
		t.skipped = t.digest as no_image,
		(t.skipped = t.digest and t.skip_reason <> 'platform' or
			exists (select 1 from tag_images ti where ti.tag_id = t.id and ti.digest = t.digest)) and
		not exists (select 1 from tag_images ti join images i on i.id = ti.image_id
			where ti.tag_id = t.id and ti.digest = t.digest
				and (not ti.shown or i.state <> 'judged' or (? <> '' and i.analyzer <> ?))) as known
	from tags t left join registry_tags rt on rt.tag_id = t.id and rt.registry_id = ?
	where t.repository_id = ? and t.name in (?) order by t.name`

// ConcludeListing ends a complete listing: tags and repositories of the registry that this scan did not see are not in
// its scope any more, and tags that are in no registry's scope any more are marked gone. It returns how many were.
//
// It must be called only after a listing that was complete and covered the registry's whole scope, and it refuses with
// ErrConflict, changing nothing, when a repository this scan found in scope was not recorded as listed by it. A target
// scan or a partial one never concludes anything: ErrConflict.
func (tx *Tx) ConcludeListing(ctx context.Context, registryID, scanID string, now time.Time) (gone int, err error) {
	if err := tx.mayConclude(ctx, registryID, scanID); err != nil {
		return 0, fail(err, "conclude the listing of registry %s", registryID)
	}
	tags, err := rows[int64](ctx, tx.Reader, `select rt.tag_id from registry_tags rt where rt.registry_id = ? and rt.scan_id <> ?
			and rt.scan_id not in (`+besideScan+`)
			and not exists (select 1 from tags t join registry_repositories rr on rr.registry_id = rt.registry_id and rr.repository_id = t.repository_id
				where t.id = rt.tag_id and rr.scan_id <> ? and rr.scan_id in (`+besideScan+`))
			order by rt.tag_id`, registryID, scanID, scanID, scanID, scanID)
	if err != nil {
		return 0, fail(err, "conclude the listing of registry %s", registryID)
	}
	err = inChunks(tags, func(part []int64) error {
		_, err := tx.exec(ctx, "delete from registry_tags where registry_id = ? and tag_id in (?)", registryID, bun.List(part))
		return err
	})
	if err == nil {
		gone, err = tx.markGone(ctx, tags, micros(now))
	}
	if err == nil {
		_, err = tx.exec(ctx, `update registry_repositories set gone_at = ? where registry_id = ? and scan_id <> ? and gone_at = 0
			and scan_id not in (`+besideScan+`)`, micros(now), registryID, scanID, scanID)
	}
	return gone, fail(err, "conclude the listing of registry %s", registryID)
}

// besideScan are the scans of single images or of a part that were on their way while a scan was: what they have marked as
// theirs in the meantime was there.
const besideScan = `select o.id from scans o join scans own on own.id = ? and o.registry_id = own.registry_id
	where (o.target <> '' or o.partial) and (o.ended_at = 0 or o.ended_at >= own.started_at)`

func (tx *Tx) mayConclude(ctx context.Context, registryID, scanID string) error {
	scan, err := tx.Scan(ctx, scanID)
	if err != nil {
		return err
	}
	if scan.RegistryID != registryID || scan.Target != nil || scan.Partial {
		return tidewaiter.Errorf(tidewaiter.ErrConflict, "scan %s does not cover the whole registry", scanID)
	}
	open, err := scalar[int](ctx, tx.Reader, `select count(*) from registry_repositories
		where registry_id = ? and scan_id = ? and included and listed_scan_id <> scan_id`, registryID, scanID)
	if err == nil && open > 0 {
		err = tidewaiter.Errorf(tidewaiter.ErrConflict, "%d repositories in scope were not listed to the end", open)
	}
	return err
}
