package store

import (
	"context"
	"slices"

	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// ResultSort is the order of a list of results.
type ResultSort string

// The orders. A tag without a result comes last in all but the first, whatever the direction.
const (
	SortReference         ResultSort = "reference"
	SortScanTime          ResultSort = "scanTime"
	SortVulnerabilityRisk ResultSort = "vulnerabilityRisk"
	SortComplianceRisk    ResultSort = "complianceRisk"
	SortCreated           ResultSort = "created"
)

// column is the column of images behind an order; "" for SortReference, ok false for an order there is not.
func (s ResultSort) column() (column string, ok bool) {
	column, ok = map[ResultSort]string{
		"": "", SortReference: "", SortScanTime: "judged_at", SortVulnerabilityRisk: "vuln_risk",
		SortComplianceRisk: "check_risk", SortCreated: "created_at",
	}[s]
	return column, ok
}

// ResultFilter chooses results; what is zero or empty does not restrict.
type ResultFilter struct {
	RegistryIDs  []string
	Hosts        []string
	Repositories []string // by name
	Tags         []string // by name
	References   []string // full names, host/repository:tag
	ImageIDs     []string // digests of the images' configs
	Digests      []string // of the image's manifest, or of what the tag points to
	Search       string   // part of the full name, in any case
	MinSeverity  tidewaiter.Severity
	Verdicts     []tidewaiter.Effect
	Judged       bool // only those that have a result
	Failed       bool // only those whose last attempt failed, with or without an earlier result
	Gone         bool // tags that are gone as well
	Full         bool // images with layers and config
	Sort         ResultSort
	Desc         bool
	Page
}

// Row is one name of one image: what a list of results shows. A tag that points to several images has several rows.
type Row struct {
	Tag         tidewaiter.Tag
	Image       *tidewaiter.Image // without layers and config unless asked; nil when the tag failed and never had a result
	RegistryIDs []string          // the registries that have the tag in scope
}

func (f *ResultFilter) conditions() *conditions {
	c := &conditions{}
	if len(f.RegistryIDs) > 0 {
		c.add("exists (select 1 from registry_tags rt where rt.tag_id = t.id and rt.registry_id in (?))", list(f.RegistryIDs))
	}
	if len(f.Hosts)+len(f.Repositories) > 0 {
		of := &conditions{}
		addIn(of, "p.host", f.Hosts)
		addIn(of, "p.name", f.Repositories)
		c.add("t.repository_id in (select p.id from repositories p where "+of.String()+")", of.args...)
	}
	addIn(c, "t.name", f.Tags)
	addIn(c, "t.reference", f.References)
	addIn(c, "i.config_digest", f.ImageIDs)
	if len(f.Digests) > 0 {
		of := &conditions{}
		addIn(of, "i.digest", f.Digests)
		addIn(of, "t.digest", f.Digests)
		c.add("("+of.sql[0]+" or "+of.sql[1]+")", of.args...)
	}
	if f.Search != "" {
		c.add(`lower(t.reference) like ? escape '\'`, containing(f.Search))
	}
	if f.MinSeverity > tidewaiter.SeverityUnknown {
		c.add("i.worst >= ?", int(f.MinSeverity))
	}
	addIn(c, "i.verdict", f.Verdicts)
	if f.Judged {
		c.add("i.id is not null")
	}
	if f.Failed {
		c.add("t.error_kind <> ''")
	}
	if !f.Gone {
		c.add("t.gone_at = 0")
	}
	return c
}

// narrow reports whether the filter names what it wants, so that finding it and sorting it is less than looking through
// everything in order.
func (f *ResultFilter) narrow() bool {
	return len(f.Hosts)+len(f.Repositories)+len(f.Tags)+len(f.References)+len(f.ImageIDs)+len(f.Digests) > 0
}

// The sources of result rows. A tag without a result is listed because it failed; one that still waits is not.
const (
	fromAll = ` from tags t left join tag_images ti on ti.tag_id = t.id and ti.shown left join images i on i.id = ti.image_id
		where (ti.image_id is not null or t.error_kind <> '') and `
	fromShown = ` from images i join tag_images ti on ti.image_id = i.id and ti.shown join tags t on t.id = ti.tag_id where `
	// SQLite joins in exactly this order, which is that of the index, so that a page ends where its limit is reached.
	fromShownInOrder = ` from images i cross join tag_images ti on ti.image_id = i.id and ti.shown cross join tags t on t.id = ti.tag_id where `
	// All that is there, without reading the tags: the few that are gone are kept at hand. PostgreSQL takes those of the first form
	// for half of all, and then rather sorts everything.
	there             = `ti.tag_id not in (select g.id from tags g where g.gone_at > 0)`
	fromThere         = ` from images i cross join tag_images ti where ti.image_id = i.id and ti.shown and ` + there + ` and `
	fromTherePostgres = ` from images i join tag_images ti on ti.image_id = i.id and ti.shown
		where not exists (select 1 from tags g where g.gone_at > 0 and g.id = ti.tag_id) and `
	// The left join never finds anything; it is there for the names a filter uses.
	fromFailed = ` from tags t left join images i on 1 = 0 where t.error_kind <> ''
		and not exists (select 1 from tag_images ti where ti.tag_id = t.id and ti.shown) and `
)

type resultKey struct {
	TagID   int64
	ImageID int64
	Text    string
	Num     int64
	phase   int
}

// Results returns a page of results and the cursor of the next page. Rows that come to be or change their place while
// somebody pages are seen or not; the others are seen exactly once.
func (r *Reader) Results(ctx context.Context, f ResultFilter) ([]Row, string, error) {
	column, ok := f.Sort.column()
	if !ok {
		return nil, "", tidewaiter.Invalid("sort", "results cannot be sorted by %q", string(f.Sort))
	}
	order := "results " + string(f.Sort)
	if f.Desc {
		order += " desc"
	}
	after, err := cursorOf(f.Page, order)
	if err != nil {
		return nil, "", err
	}
	var keys []resultKey
	if column == "" {
		keys, err = r.resultsByReference(ctx, &f, fromAll, after, f.Offset, f.limit()+1)
	} else {
		keys, err = r.resultsByColumn(ctx, &f, column, after)
	}
	if err != nil {
		return nil, "", fail(err, "list results")
	}
	keys, next := cut(keys, f.Page, func(k resultKey) cursor {
		return cursor{Order: order, Text: k.Text, Num: k.Num, ID: k.ImageID, ID2: k.TagID, Phase: k.phase}
	})
	out, err := r.resultRows(ctx, keys, f.Full)
	return out, next, fail(err, "list results")
}

func (r *Reader) resultsByReference(ctx context.Context, f *ResultFilter, from string, after *cursor, offset, limit int) ([]resultKey, error) {
	c, direction, beyond := f.conditions(), "", ">"
	if f.Desc {
		direction, beyond = " desc", "<"
	}
	image := "coalesce(ti.image_id, 0)"
	if from == fromFailed {
		image = "0"
	}
	if after == nil {
		c.add("t.reference >= ''") // everything, but it tells SQLite which index to go along
	} else {
		// The first condition says nothing the second does not, but an index can use it.
		c.add("t.reference "+beyond+"= ? and (t.reference, "+image+") "+beyond+" (?, ?)", after.Text, after.Text, after.ID)
	}
	order := " order by t.reference" + direction
	if from != fromFailed {
		order += ", ti.image_id" + direction
	}
	return rows[resultKey](ctx, r, "select t.id as tag_id, "+image+" as image_id, t.reference as text"+from+c.String()+order+
		" limit ? offset ?", append(c.args, limit, offset)...)
}

// resultsByColumn lists the results by a column of images and after them, in a second phase, the tags without one.
func (r *Reader) resultsByColumn(ctx context.Context, f *ResultFilter, column string, after *cursor) ([]resultKey, error) {
	var (
		want = f.limit() + 1
		keys []resultKey
		err  error
	)
	offset := f.Offset
	if after == nil || after.Phase == 0 {
		if keys, err = r.resultsOfImages(ctx, f, column, after); err != nil || len(keys) == want {
			return keys, err
		}
		if len(keys) > 0 {
			offset = 0
		} else if offset > 0 {
			of := *f
			of.Judged = true
			n, err := r.CountResults(ctx, of)
			if err != nil {
				return nil, err
			}
			offset = max(0, offset-n)
		}
		after = nil
	}
	failed, err := r.resultsByReference(ctx, f, fromFailed, after, offset, want-len(keys))
	for i := range failed {
		failed[i].phase = 1
	}
	return append(keys, failed...), err
}

func (r *Reader) resultsOfImages(ctx context.Context, f *ResultFilter, column string, after *cursor) ([]resultKey, error) {
	c, direction, beyond := f.conditions(), "", ">"
	if f.Desc {
		direction, beyond = " desc", "<"
	}
	from, tag := fromShown, "t.id"
	switch {
	case f.everything(c) && r.dialect == Postgres:
		from, tag, c = fromTherePostgres, "ti.tag_id", &conditions{}
	case f.everything(c):
		from, tag, c = fromThere, "ti.tag_id", &conditions{}
	case r.dialect == SQLite && !f.narrow():
		from = fromShownInOrder
	}
	column = "i." + column
	if after != nil {
		c.add(column+" "+beyond+"= ? and ("+column+", i.id, "+tag+") "+beyond+" (?, ?, ?)", after.Num, after.Num, after.ID, after.ID2)
	}
	return rows[resultKey](ctx, r, "select "+tag+" as tag_id, i.id as image_id, "+column+" as num"+from+c.String()+
		" order by "+column+direction+", i.id"+direction+", "+tag+direction+" limit ? offset ?", append(c.args, f.limit()+1, f.Offset)...)
}

// everything reports whether the filter, of which these are the conditions, restricts to tags that are there and no further.
func (f *ResultFilter) everything(c *conditions) bool { return !f.Gone && len(c.sql) == 1 }

// countAll counts the results of tags that are there.
const countAll = `select (select count(*) from tag_images ti where ti.shown and ` + there + `) + (select count(*)` + fromFailed + `t.gone_at = 0)`

// CountResults returns how many results the filter chooses, whatever its page.
func (r *Reader) CountResults(ctx context.Context, f ResultFilter) (int, error) {
	query, args := countAll, []any(nil)
	if c := f.conditions(); !f.everything(c) {
		query, args = "select count(*)"+fromAll+c.String(), c.args
	}
	n, err := scalar[int](ctx, r, query, args...)
	return n, fail(err, "count results")
}

// resultRows reads what belongs to the keys, in their order.
func (r *Reader) resultRows(ctx context.Context, keys []resultKey, full bool) ([]Row, error) {
	tagIDs, imageIDs := make([]int64, len(keys)), make([]int64, 0, len(keys))
	for i, k := range keys {
		tagIDs[i] = k.TagID
		if k.ImageID != 0 {
			imageIDs = append(imageIDs, k.ImageID)
		}
	}
	tags, err := r.TagsByID(ctx, tagIDs)
	if err != nil {
		return nil, err
	}
	images, err := r.listedImages(ctx, imageIDs, full)
	if err != nil {
		return nil, err
	}
	registries, err := r.registriesOfTags(ctx, tagIDs)
	if err != nil {
		return nil, err
	}
	byID := make(map[int64]tidewaiter.Tag, len(tags))
	for _, t := range tags {
		byID[t.ID] = t
	}
	out := make([]Row, len(keys))
	for i, k := range keys {
		out[i] = Row{Tag: byID[k.TagID], Image: images[k.ImageID], RegistryIDs: registries[k.TagID]}
	}
	// Between the two reads retention may have taken a row.
	return slices.DeleteFunc(out, func(row Row) bool { return row.Tag.ID == 0 }), nil
}
