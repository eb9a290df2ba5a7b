package store

import (
	"context"
	"strconv"
	"time"

	"github.com/uptrace/bun"

	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// HarborState is where a scan that a Harbor asked for is on its way.
type HarborState string

// The states of such a scan.
const (
	HarborWaiting HarborState = "waiting"
	HarborDone    HarborState = "done"
	HarborFailed  HarborState = "failed"
)

// HarborScan is one image a Harbor asked to have scanned, with the login it lent for that.
type HarborScan struct {
	ID         string
	URL        string // of the registry, as Harbor names it
	Insecure   bool   // Harbor says not to verify its certificate
	Repository string
	Tag        string // "" when the image has none
	Digest     string
	MediaType  string
	Sealed     []byte // a HarborLogin as JSON, sealed with the scan's id; nil for none and once the scan has ended
	State      HarborState
	TagID      int64 // what the image is known by in the inventory; 0 until it was indexed
	ImageID    int64 // 0 until it was indexed
	ErrorKind  tidewaiter.ErrorKind
	Error      string // why it failed
	CreatedAt  time.Time
	ExpiresAt  time.Time // when it fails if it has not ended
	EndedAt    time.Time
}

// HarborLogin is what is sealed: a user name with a password, or a bearer token alone.
type HarborLogin struct {
	Username string `json:"username,omitempty"`
	Secret   string `json:"secret"`
}

type harborScanRow struct {
	bun.BaseModel `bun:"table:harbor_scans,alias:h"`

	ID         string `bun:",pk"`
	URL        string `bun:"url"`
	Insecure   bool
	Repository string
	Tag        string
	Digest     string
	MediaType  string
	Sealed     []byte
	State      string
	TagID      int64
	ImageID    int64
	Analyzer   string
	ErrorKind  string
	Error      string
	CreatedAt  int64
	IndexedAt  int64
	ExpiresAt  int64
	EndedAt    int64
}

func (row *harborScanRow) scan() *HarborScan {
	return &HarborScan{
		ID: row.ID, URL: row.URL, Insecure: row.Insecure, Repository: row.Repository, Tag: row.Tag, Digest: row.Digest,
		MediaType: row.MediaType, Sealed: row.Sealed, State: HarborState(row.State), TagID: row.TagID, ImageID: row.ImageID,
		ErrorKind: tidewaiter.ErrorKind(row.ErrorKind), Error: row.Error, CreatedAt: timeOf(row.CreatedAt),
		ExpiresAt: timeOf(row.ExpiresAt), EndedAt: timeOf(row.EndedAt),
	}
}

// InsertHarborScan stores a new scan, waiting. With limit scans waiting already it is ErrLimit.
func (tx *Tx) InsertHarborScan(ctx context.Context, s *HarborScan, limit int) error {
	waiting, err := scalar[int](ctx, tx.Reader, "select count(*) from harbor_scans where state = 'waiting'")
	if err == nil && waiting >= limit {
		err = &tidewaiter.Error{Kind: tidewaiter.ErrLimit, Msg: strconv.Itoa(waiting) + " scans wait already", RetryAfter: time.Minute}
	}
	if err == nil {
		s.State = HarborWaiting
		row := harborScanRow{
			ID: s.ID, URL: text(s.URL), Insecure: s.Insecure, Repository: text(s.Repository), Tag: text(s.Tag), Digest: text(s.Digest),
			MediaType: text(s.MediaType), Sealed: s.Sealed, State: string(HarborWaiting),
			CreatedAt: micros(s.CreatedAt), ExpiresAt: micros(s.ExpiresAt),
		}
		_, err = tx.insert(&row).Exec(ctx)
	}
	return fail(err, "store Harbor scan %s", strconv.Quote(s.ID))
}

// HarborScan returns one scan a Harbor asked for, or ErrNotFound.
func (r *Reader) HarborScan(ctx context.Context, id string) (*HarborScan, error) {
	var row harborScanRow
	if err := r.selectFrom(&row).Where("h.id = ?", text(id)).Scan(ctx); err != nil {
		return nil, fail(err, "Harbor scan %s", strconv.Quote(id))
	}
	return row.scan(), nil
}

// HarborTag returns the tag that an image a Harbor asks for is known by, there from now on. It may be in the scope of no
// declared registry.
func (tx *Tx) HarborTag(ctx context.Context, host, repository, name string, now time.Time) (tagID int64, err error) {
	repository, name = text(repository), text(name)
	ids := map[string]int64{}
	err = tx.internRepositories(ctx, host, []string{repository}, ids)
	if err == nil {
		list := []tagRow{{RepositoryID: ids[repository], Name: name, Reference: host + "/" + repository + ":" + name,
			FirstSeen: micros(now), LastSeen: micros(now)}}
		_, err = tx.insert(&list).On("conflict (repository_id, name) do update").
			Set("last_seen = excluded.last_seen").Set("gone_at = 0").Returning("NULL").Exec(ctx)
	}
	if err == nil {
		tagID, err = scalar[int64](ctx, tx.Reader, "select id from tags where repository_id = ? and name = ?", ids[repository], name)
	}
	return tagID, fail(err, "record %s/%s:%s", host, repository, name)
}

// HarborIndexed notes which tag and image a scan is about, and the analyzer that will have to have judged the image.
func (tx *Tx) HarborIndexed(ctx context.Context, id string, tagID, imageID int64, analyzer string, now time.Time) error {
	_, err := tx.exec(ctx, "update harbor_scans set tag_id = ?, image_id = ?, analyzer = ?, indexed_at = ? where id = ? and state = 'waiting'",
		tagID, imageID, analyzer, micros(now), id)
	return fail(err, "note the image of Harbor scan %s", strconv.Quote(id))
}

// HarborOutcome says what has become of the image of a scan: HarborDone once it is judged, HarborFailed with an
// error of its own once the attempt failed, HarborWaiting until then.
func (r *Reader) HarborOutcome(ctx context.Context, id string) (state HarborState, failure *tidewaiter.Error, err error) {
	type row struct {
		Known     bool
		Judged    bool
		Failed    bool
		ErrorKind string
		Error     string
	}
	found, err := rows[row](ctx, r, `select i.id is not null as known,
			coalesce(i.state = 'judged' and i.waiting = 0 and (i.analyzer = h.analyzer or i.judged_at >= h.indexed_at), false) as judged,
			coalesce(i.error_kind <> '' and i.updated_at >= h.indexed_at, false) as failed,
			coalesce(i.error_kind, '') as error_kind, coalesce(i.error, '') as error
		from harbor_scans h left join images i on i.id = h.image_id where h.id = ? and h.image_id <> 0`, text(id))
	switch {
	case err != nil || len(found) == 0:
		return HarborWaiting, nil, fail(err, "outcome of Harbor scan %s", strconv.Quote(id))
	case !found[0].Known:
		return HarborFailed, tidewaiter.Errorf(tidewaiter.ErrGone, "the image was removed meanwhile"), nil
	case found[0].Failed:
		return HarborFailed, &tidewaiter.Error{Kind: tidewaiter.ErrorKind(found[0].ErrorKind), Msg: found[0].Error}, nil
	case found[0].Judged:
		return HarborDone, nil, nil
	}
	return HarborWaiting, nil, nil
}

// EndHarborScan ends a scan, failed when there is a failure, and deletes its login. One that has ended stays as it is.
func (tx *Tx) EndHarborScan(ctx context.Context, id string, failure *tidewaiter.Error, now time.Time) error {
	state, kind, msg := HarborDone, "", ""
	if failure != nil {
		state, kind, msg = HarborFailed, string(failure.Kind), text(failure.Error())
	}
	_, err := tx.exec(ctx, `update harbor_scans set state = ?, error_kind = ?, error = ?, ended_at = ?, sealed = null
		where id = ? and state = 'waiting'`, string(state), kind, msg, micros(now), id)
	return fail(err, "end Harbor scan %s", strconv.Quote(id))
}

// ExpireHarborScans ends those scans whose time is over, whatever became of the job that follows them, and deletes
// their logins.
func (tx *Tx) ExpireHarborScans(ctx context.Context, failure *tidewaiter.Error, now time.Time) (ended int, err error) {
	n, err := tx.exec(ctx, `update harbor_scans set state = 'failed', error_kind = ?, error = ?, ended_at = ?, sealed = null
		where state = 'waiting' and expires_at <= ?`, string(failure.Kind), text(failure.Error()), micros(now), micros(now))
	return int(n), fail(err, "end Harbor scans that took too long")
}

// PurgeHarborScans removes at most limit scans that were asked for before a time and have ended. A tag that neither
// another scan nor a declared registry knows is gone with its last one.
func (tx *Tx) PurgeHarborScans(ctx context.Context, before, now time.Time, limit int) (removed int, err error) {
	type row struct {
		ID    string
		TagID int64
	}
	found, err := rows[row](ctx, tx.Reader, `select id, tag_id from harbor_scans where created_at < ? and state <> 'waiting'
		order by created_at limit ?`+tx.forUpdate(), micros(before), limit)
	if err != nil || len(found) == 0 {
		return 0, fail(err, "purge Harbor scans")
	}
	ids, tags := make([]string, len(found)), make([]int64, len(found))
	for i, row := range found {
		ids[i], tags[i] = row.ID, row.TagID
	}
	n, err := tx.exec(ctx, "delete from harbor_scans where id in (?)", bun.List(ids))
	if err == nil {
		err = tx.forgetHarborTags(ctx, distinct(tags), micros(now))
	}
	return int(n), fail(err, "purge Harbor scans")
}

// forgetHarborTags marks those of the tags gone that no Harbor asked for lately and no registry has in scope.
func (tx *Tx) forgetHarborTags(ctx context.Context, tagIDs []int64, now int64) error {
	alone, err := rows[int64](ctx, tx.Reader, `select id from tags where id in (?)
		and not exists (select 1 from harbor_scans h where h.tag_id = tags.id) order by id`, bun.List(tagIDs))
	if err != nil || len(alone) == 0 {
		return err
	}
	_, err = tx.markGone(ctx, alone, now)
	return err
}
