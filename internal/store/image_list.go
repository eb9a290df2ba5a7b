package store

import (
	"context"
	"time"

	"github.com/uptrace/bun"

	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// ImageRow is one image with every name that points to it.
type ImageRow struct {
	*tidewaiter.Image
	UpdatedAt   time.Time // when its state last changed
	Tags        []tidewaiter.Tag
	RegistryIDs []string // of all the tags
}

// ImageSort is the order of a list of images.
type ImageSort string

// The orders.
const (
	ImagesByCreated ImageSort = "created"
	ImagesByUpdated ImageSort = "updated"
)

// ImageFilter chooses images; what is zero does not restrict. What it asks of tags, one tag has to fulfil.
type ImageFilter struct {
	RegistryIDs  []string
	Host         string
	Repository   string
	Tag          string
	Search       string // part of a full name, in any case
	Digest       string // of the manifest
	ConfigDigest string
	UpdatedSince time.Time
	States       []tidewaiter.ImageState
	Where        *ImageWhere // beside all that
	Full         bool        // with layers and config
	Sort         ImageSort
	Asc          bool // newest first otherwise
	Page
}

// onTags is what a tag of the image has to fulfil.
func (f *ImageFilter) onTags() *conditions {
	of := &conditions{}
	of.add("t.gone_at = 0")
	if len(f.RegistryIDs) > 0 {
		of.add("exists (select 1 from registry_tags rt where rt.tag_id = t.id and rt.registry_id in (?))", list(f.RegistryIDs))
	}
	if f.Host != "" || f.Repository != "" {
		repo := &conditions{}
		if f.Host != "" {
			repo.add("p.host = ?", text(f.Host))
		}
		if f.Repository != "" {
			repo.add("p.name = ?", text(f.Repository))
		}
		of.add("t.repository_id in (select p.id from repositories p where "+repo.String()+")", repo.args...)
	}
	if f.Tag != "" {
		of.add("t.name = ?", text(f.Tag))
	}
	if f.Search != "" {
		of.add(`lower(t.reference) like ? escape '\'`, containing(f.Search))
	}
	return of
}

// onImages is what the image itself has to fulfil.
func (f *ImageFilter) onImages() *conditions {
	c := &conditions{}
	if f.Digest != "" {
		c.add("i.digest = ?", text(f.Digest))
	}
	if f.ConfigDigest != "" {
		c.add("i.config_digest = ?", text(f.ConfigDigest))
	}
	if !f.UpdatedSince.IsZero() {
		c.add("i.updated_at >= ?", micros(f.UpdatedSince))
	}
	addIn(c, "i.state", f.States)
	if f.Where != nil {
		where, args := f.Where.sql()
		c.add(where, args...)
	}
	return c
}

func (f *ImageFilter) conditions(dialect Dialect) *conditions {
	c, of := f.onImages(), f.onTags()
	if dialect == SQLite && len(of.sql) == 1 {
		// The few tags that are gone are kept at hand; looking every tag up would take three times as long.
		c.add("exists (select 1 from tag_images ti where ti.image_id = i.id and " + there + ")")
	} else {
		c.add("exists (select 1 from tag_images ti join tags t on t.id = ti.tag_id where ti.image_id = i.id and "+of.String()+")", of.args...)
	}
	return c
}

type imageKey struct {
	ID  int64
	Num int64
}

// Images returns a page of images that a tag which is there points to, and the cursor of the next page.
func (r *Reader) Images(ctx context.Context, f ImageFilter) ([]*ImageRow, string, error) {
	column, ok := map[ImageSort]string{"": "i.created_at", ImagesByCreated: "i.created_at", ImagesByUpdated: "i.updated_at"}[f.Sort]
	if !ok {
		return nil, "", tidewaiter.Invalid("sort", "images cannot be sorted by %q", string(f.Sort))
	}
	order, direction, beyond := "images "+string(f.Sort), " desc", "<"
	if f.Asc {
		order, direction, beyond = order+" asc", "", ">"
	}
	after, err := cursorOf(f.Page, order)
	if err != nil {
		return nil, "", err
	}
	c := f.conditions(r.dialect)
	if after != nil {
		c.add("("+column+", i.id) "+beyond+" (?, ?)", after.Num, after.ID)
	}
	keys, err := rows[imageKey](ctx, r, "select i.id, "+column+" as num from images i where "+c.String()+
		" order by "+column+direction+", i.id"+direction+" limit ? offset ?", append(c.args, f.limit()+1, f.Offset)...)
	if err != nil {
		return nil, "", fail(err, "list images")
	}
	keys, next := cut(keys, f.Page, func(k imageKey) cursor { return cursor{Order: order, Num: k.Num, ID: k.ID} })
	out, err := r.withTags(ctx, keys, f.Full)
	return out, next, fail(err, "list images")
}

// CountImages returns how many images the filter chooses, whatever its page.
func (r *Reader) CountImages(ctx context.Context, f ImageFilter) (int, error) {
	c := f.conditions(r.dialect)
	query, args := "select count(*) from images i where "+c.String(), c.args
	if r.dialect == Postgres && len(c.sql) == 1 {
		// Only tags are asked for something: their images need not be looked at, which is four times as quick.
		of := f.onTags()
		query, args = "select count(distinct ti.image_id) from tag_images ti join tags t on t.id = ti.tag_id where "+of.String(), of.args
	}
	n, err := scalar[int](ctx, r, query, args...)
	return n, fail(err, "count images")
}

// withTags reads the images of the keys with their tags and registries, in the order of keys.
func (r *Reader) withTags(ctx context.Context, keys []imageKey, full bool) ([]*ImageRow, error) {
	ids := make([]int64, len(keys))
	for i, k := range keys {
		ids[i] = k.ID
	}
	found, err := r.imageRows(ctx, ids, full)
	if err != nil {
		return nil, err
	}
	tags, err := r.tagsOfImages(ctx, ids, false)
	if err != nil {
		return nil, err
	}
	var tagIDs []int64
	for _, list := range tags {
		for _, t := range list {
			tagIDs = append(tagIDs, t.ID)
		}
	}
	registries, err := r.registriesOfTags(ctx, tagIDs)
	if err != nil {
		return nil, err
	}
	out := make([]*ImageRow, 0, len(keys))
	for _, id := range ids {
		row, ok := found[id]
		if !ok {
			continue
		}
		img, err := r.image(row)
		if err != nil {
			return nil, err
		}
		out = append(out, &ImageRow{
			Image: img, UpdatedAt: timeOf(row.UpdatedAt), Tags: tags[id], RegistryIDs: registriesOfAll(tags[id], registries),
		})
	}
	return out, nil
}

func registriesOfAll(tags []tidewaiter.Tag, registries map[int64][]string) []string {
	var out []string
	for _, t := range tags {
		out = append(out, registries[t.ID]...)
	}
	return distinct(out)
}

func (r *Reader) imageRows(ctx context.Context, ids []int64, full bool) (map[int64]*storedImage, error) {
	columns := imageColumns
	if full {
		columns += ", i.doc"
	}
	out := make(map[int64]*storedImage, len(ids))
	err := inChunks(distinct(ids), func(part []int64) error {
		found, err := rows[storedImage](ctx, r, "select "+columns+" from images i where i.id in (?)", bun.List(part))
		for i := range found {
			out[found[i].ID] = &found[i]
		}
		return err
	})
	return out, err
}

// listedImages returns images by id.
func (r *Reader) listedImages(ctx context.Context, ids []int64, full bool) (map[int64]*tidewaiter.Image, error) {
	found, err := r.imageRows(ctx, ids, full)
	if err != nil {
		return nil, err
	}
	out := make(map[int64]*tidewaiter.Image, len(found))
	for id, row := range found {
		if out[id], err = r.image(row); err != nil {
			return nil, err
		}
	}
	return out, nil
}
