package store

import (
	"context"
	"strings"
	"time"

	"github.com/uptrace/bun"

	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

type publicationRow struct {
	bun.BaseModel `bun:"table:publications,alias:p"`

	ImageID      int64  `bun:",pk"`
	RegistryID   string `bun:",pk"`
	RepositoryID int64  `bun:",pk"`
	Kind         string `bun:",pk"`
	Host         string `bun:",scanonly"`
	Repository   string `bun:",scanonly"`
	ChangeID     int64
	Digest       string
	Document     string
	JudgedAt     int64
	Advisories   string
	PushedAt     int64
	ErrorKind    string
	Error        string
	Attempts     int64
	TriedAt      int64
	RetryAt      int64
}

func (row *publicationRow) publication() tidewaiter.Publication {
	return tidewaiter.Publication{
		ImageID: row.ImageID, RegistryID: row.RegistryID, RepositoryID: row.RepositoryID, Kind: tidewaiter.PublicationKind(row.Kind),
		Host: row.Host, Repository: row.Repository, Change: row.ChangeID, Digest: row.Digest, Document: row.Document,
		JudgedAt: timeOf(row.JudgedAt), Advisories: row.Advisories, PushedAt: timeOf(row.PushedAt),
		ErrorKind: tidewaiter.ErrorKind(row.ErrorKind), Error: row.Error, Attempts: int(row.Attempts), TriedAt: timeOf(row.TriedAt),
		RetryAt: timeOf(row.RetryAt),
	}
}

// PublicationsOf returns what became of pushing documents about an image, by repository and kind.
func (r *Reader) PublicationsOf(ctx context.Context, imageID int64) ([]tidewaiter.Publication, error) {
	found, err := rows[publicationRow](ctx, r, `select p.*, e.host, e.name as repository from publications p
		join repositories e on e.id = p.repository_id where p.image_id = ? order by e.host, e.name, p.kind, p.registry_id`, imageID)
	out := make([]tidewaiter.Publication, len(found))
	for i := range found {
		out[i] = found[i].publication()
	}
	return out, fail(err, "publications of image %d", imageID)
}

// SavePublication stores what became of one.
func (tx *Tx) SavePublication(ctx context.Context, p *tidewaiter.Publication) error {
	row := publicationRow{
		ImageID: p.ImageID, RegistryID: p.RegistryID, RepositoryID: p.RepositoryID, Kind: string(p.Kind), ChangeID: p.Change,
		Digest: text(p.Digest), Document: text(p.Document), JudgedAt: micros(p.JudgedAt), Advisories: text(p.Advisories),
		PushedAt: micros(p.PushedAt), ErrorKind: string(p.ErrorKind), Error: text(p.Error), Attempts: int64(p.Attempts),
		TriedAt: micros(p.TriedAt), RetryAt: micros(p.RetryAt),
	}
	q := tx.insert(&row).On("conflict (image_id, registry_id, repository_id, kind) do update").Returning("NULL")
	for _, column := range []string{"change_id", "digest", "document", "judged_at", "advisories", "pushed_at", "error_kind", "error",
		"attempts", "tried_at", "retry_at"} {
		q = q.Set(column + " = excluded." + column)
	}
	_, err := q.Exec(ctx)
	return fail(err, "store the publication of image %d", p.ImageID)
}

// PublishingRegistries returns the registries that results are to be pushed into. Those whose settings cannot be read are among
// them.
func (r *Reader) PublishingRegistries(ctx context.Context) ([]*tidewaiter.Registry, error) {
	var found []registryRow
	err := r.selectFrom(&found).Where(`r.settings like '%"publish%'`).Order("r.id").Scan(ctx)
	if err != nil {
		return nil, fail(err, "registries that results are pushed into")
	}
	return registriesOf(found)
}

// Unpublished says which images of a registry have documents to be pushed.
type Unpublished struct {
	RegistryID string
	Kinds      []tidewaiter.PublicationKind
	Mended     time.Time // when the registry's declaration or credential was last changed: what failed before is tried again
	Now        time.Time
	After      int64 // the last image of the page before
	Limit      int
}

// UnpublishedImages returns, in ascending order of ids, images that tags of a registry show, that are judged, and of which a
// document was not pushed yet into one of the repositories of those tags; or something changed for the image since; or the push
// failed and is due again.
func (r *Reader) UnpublishedImages(ctx context.Context, u Unpublished) ([]int64, error) {
	const settled = `exists (select 1 from publications p where p.image_id = ti.image_id and p.registry_id = rt.registry_id
		and p.repository_id = t.repository_id and p.kind = ?
		and not exists (select 1 from image_changes c where c.image_id = p.image_id and c.id > p.change_id)
		and (p.error = '' or p.tried_at >= ? and (p.retry_at = 0 or p.retry_at > ?)))`
	args := []any{u.RegistryID, u.After}
	var missing []string
	for _, k := range u.Kinds {
		missing, args = append(missing, "not "+settled), append(args, string(k), micros(u.Mended), micros(u.Now))
	}
	if len(missing) == 0 {
		return nil, nil
	}
	ids, err := rows[int64](ctx, r, `select distinct ti.image_id from registry_tags rt join tags t on t.id = rt.tag_id and t.gone_at = 0
		join tag_images ti on ti.tag_id = t.id and ti.shown join images i on i.id = ti.image_id
		where rt.registry_id = ? and ti.image_id > ? and i.judged_at > 0 and (`+strings.Join(missing, " or ")+`)
		order by ti.image_id limit ?`, append(args, u.Limit)...)
	return ids, fail(err, "images of registry %s to push documents about", u.RegistryID)
}

// PublishTo returns the repositories in which tags of a registry show an image, by name.
func (r *Reader) PublishTo(ctx context.Context, registryID string, imageID int64) ([]tidewaiter.Repository, error) {
	type row struct {
		ID   int64
		Host string
		Name string
	}
	found, err := rows[row](ctx, r, `select distinct e.id, e.host, e.name from tag_images ti join tags t on t.id = ti.tag_id and t.gone_at = 0
		join registry_tags rt on rt.tag_id = t.id and rt.registry_id = ? join repositories e on e.id = t.repository_id
		where ti.image_id = ? and ti.shown order by e.name`, registryID, imageID)
	out := make([]tidewaiter.Repository, len(found))
	for i, f := range found {
		out[i] = tidewaiter.Repository{ID: f.ID, Host: f.Host, Name: f.Name}
	}
	return out, fail(err, "repositories of image %d", imageID)
}

// LastChangeOf returns the id of the last change of an image that is kept; 0 when there is none.
func (r *Reader) LastChangeOf(ctx context.Context, imageID int64) (int64, error) {
	id, err := scalar[*int64](ctx, r, "select max(id) from image_changes where image_id = ?", imageID)
	if err != nil || id == nil {
		return 0, fail(err, "changes of image %d", imageID)
	}
	return *id, nil
}
