package store

import (
	"context"
	"strings"

	"github.com/uptrace/bun"

	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

type tagOfRepositoryRow struct {
	tagRow         `bun:",extend"`
	Host           string
	RepositoryName string
	CheckedAt      int64
}

// checkedAt is when the registry last said where a tag points: when it was asked for it alone, else by its last listing.
const checkedAt = "coalesce((select c.checked_at from tag_checks c where c.repository_id = t.repository_id and c.name = t.name), t.last_seen) as checked_at"

func (row *tagOfRepositoryRow) tag() tidewaiter.Tag {
	return tidewaiter.Tag{
		ID: row.ID, Repository: tidewaiter.Repository{ID: row.RepositoryID, Host: row.Host, Name: row.RepositoryName},
		Name: row.Name, Digest: row.Digest, UpdatedAt: timeOf(row.UpdatedAt), FirstSeen: timeOf(row.FirstSeen),
		LastSeen: timeOf(row.LastSeen), ChangedAt: timeOf(row.ChangedAt), CheckedAt: timeOf(row.CheckedAt), GoneAt: timeOf(row.GoneAt),
		ErrorKind: tidewaiter.ErrorKind(row.ErrorKind), Error: row.Error, ErrorAt: timeOf(row.ErrorAt),
	}
}

func (r *Reader) tags(ctx context.Context, where string, args ...any) ([]tidewaiter.Tag, error) {
	found, err := rows[tagOfRepositoryRow](ctx, r, `select t.*, p.host, p.name as repository_name, `+checkedAt+`
		from tags t join repositories p on p.id = t.repository_id where `+where+" order by t.id", args...)
	out := make([]tidewaiter.Tag, len(found))
	for i := range found {
		out[i] = found[i].tag()
	}
	return out, err
}

// Tag returns one tag by id, or ErrNotFound.
func (r *Reader) Tag(ctx context.Context, id int64) (*tidewaiter.Tag, error) {
	found, err := r.tags(ctx, "t.id = ?", id)
	if err == nil && len(found) == 0 {
		err = tidewaiter.Errorf(tidewaiter.ErrNotFound, "not found")
	}
	if err != nil {
		return nil, fail(err, "tag %d", id)
	}
	return &found[0], nil
}

// TagByReference returns the tag with a full image name, host/repository:tag, or ErrNotFound.
func (r *Reader) TagByReference(ctx context.Context, reference string) (*tidewaiter.Tag, error) {
	found, err := r.tags(ctx, "t.reference = ?", text(reference))
	if err == nil && len(found) == 0 {
		err = tidewaiter.Errorf(tidewaiter.ErrNotFound, "not found")
	}
	if err != nil {
		return nil, fail(err, "tag %s", reference)
	}
	return &found[0], nil
}

// TagsByID returns tags in ascending order of their ids. Ids that do not exist are passed over.
func (r *Reader) TagsByID(ctx context.Context, ids []int64) ([]tidewaiter.Tag, error) {
	var out []tidewaiter.Tag
	err := inChunks(distinct(ids), func(part []int64) error {
		found, err := r.tags(ctx, "t.id in (?)", bun.List(part))
		out = append(out, found...)
		return err
	})
	return out, fail(err, "read tags")
}

// TagHistory returns what a tag pointed to, oldest first, at most the newest 1000 moves. The last entry, whose To is
// zero, is where it points now.
func (r *Reader) TagHistory(ctx context.Context, tagID int64) ([]tidewaiter.TagMove, error) {
	tag, err := r.Tag(ctx, tagID)
	if err != nil {
		return nil, err
	}
	found, err := rows[tagMoveRow](ctx, r, `select * from (select id, tag_id, digest, from_at, to_at from tag_history
		where tag_id = ? order by id desc limit 1000) as newest order by id`, tagID)
	if err != nil {
		return nil, fail(err, "history of tag %d", tagID)
	}
	out := make([]tidewaiter.TagMove, 0, len(found)+1)
	for _, row := range found {
		out = append(out, tidewaiter.TagMove{Digest: row.Digest, From: timeOf(row.FromAt), To: timeOf(row.ToAt)})
	}
	if tag.Digest != "" {
		from := tag.ChangedAt
		if from.IsZero() {
			from = tag.FirstSeen
		}
		out = append(out, tidewaiter.TagMove{Digest: tag.Digest, From: from})
	}
	return out, nil
}

// ImageNames returns the full names, host/repository:tag, of the tags there that point to an image, shown or not yet.
func (r *Reader) ImageNames(ctx context.Context, imageID int64) ([]string, error) {
	names, err := rows[string](ctx, r, `select t.reference from tag_images ti join tags t on t.id = ti.tag_id
		where ti.image_id = ? and t.gone_at = 0 order by t.reference`, imageID)
	return names, fail(err, "names of image %d", imageID)
}

// tagsOfImages returns, by image, the tags there that point to it, gone ones only when asked.
func (r *Reader) tagsOfImages(ctx context.Context, imageIDs []int64, gone bool) (map[int64][]tidewaiter.Tag, error) {
	type row struct {
		tagOfRepositoryRow `bun:",extend"`
		ImageID            int64
	}
	there := " and t.gone_at = 0"
	if gone {
		there = ""
	}
	out := make(map[int64][]tidewaiter.Tag, len(imageIDs))
	err := inChunks(distinct(imageIDs), func(part []int64) error {
		found, err := rows[row](ctx, r, `select t.*, p.host, p.name as repository_name, ti.image_id, `+checkedAt+` from tag_images ti
			join tags t on t.id = ti.tag_id join repositories p on p.id = t.repository_id
			where ti.image_id in (?)`+there+" order by t.reference", bun.List(part))
		for i := range found {
			out[found[i].ImageID] = append(out[found[i].ImageID], found[i].tag())
		}
		return err
	})
	return out, err
}

// registriesOfTags returns, by tag, the registries that have it in scope.
func (r *Reader) registriesOfTags(ctx context.Context, tagIDs []int64) (map[int64][]string, error) {
	type row struct {
		TagID      int64
		RegistryID string
	}
	out := make(map[int64][]string, len(tagIDs))
	err := inChunks(distinct(tagIDs), func(part []int64) error {
		found, err := rows[row](ctx, r, "select tag_id, registry_id from registry_tags where tag_id in (?) order by registry_id", bun.List(part))
		for _, row := range found {
			out[row.TagID] = append(out[row.TagID], row.RegistryID)
		}
		return err
	})
	return out, err
}

// conditions is a where clause that is put together.
type conditions struct {
	sql  []string
	args []any
}

func (c *conditions) add(sql string, args ...any) {
	c.sql, c.args = append(c.sql, sql), append(c.args, args...)
}

func (c *conditions) String() string {
	if len(c.sql) == 0 {
		return "1 = 1"
	}
	return strings.Join(c.sql, " and ")
}

// addIn restricts a column to some values; none does not restrict.
func addIn[S ~string](c *conditions, column string, values []S) {
	if len(values) > 0 {
		c.add(column+" in (?)", list(values))
	}
}

// list is the values of an "in (?)" that come from outside.
func list[S ~string](values []S) bun.ListValues {
	clean := make([]string, len(values))
	for i, v := range values {
		clean[i] = text(v)
	}
	return bun.List(clean)
}
