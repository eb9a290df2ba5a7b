package store

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/uptrace/bun"

	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// vulnerablePackages returns the numbers of the packages a vulnerability is found in.
func (r *Reader) vulnerablePackages(ctx context.Context, name string) ([]int64, error) {
	return rows[int64](ctx, r, `select f.package_id from findings f where f.vulnerability_id = (select v.id from vulnerabilities v where v.name = ?)
		order by f.package_id`, name)
}

// postingsAtOnce is how many posting lists one statement reads on SQLite, which takes no more than 500 parts in one.
const postingsAtOnce = 200

// ImagesWithVulnerability returns a page of the images that have a vulnerability, by id, and the cursor of the next page.
// A tag that is there points to each. Of each package's posting list no more is read than a page needs.
func (r *Reader) ImagesWithVulnerability(ctx context.Context, name string, p Page) ([]*ImageRow, string, error) {
	after, err := cursorOf(p, "vulnerable")
	if err != nil {
		return nil, "", err
	}
	var from int64
	if after != nil {
		from = after.ID
	}
	packages, err := r.vulnerablePackages(ctx, name)
	if err != nil {
		return nil, "", fail(err, "list the images with %s", name)
	}
	ids, err := r.firstPosted(ctx, packages, from, p.Offset+p.limit()+1)
	if err != nil {
		return nil, "", fail(err, "list the images with %s", name)
	}
	keys := make([]imageKey, 0, len(ids))
	for _, id := range ids[min(p.Offset, len(ids)):] {
		keys = append(keys, imageKey{ID: id})
	}
	keys, next := cut(keys, p, func(k imageKey) cursor { return cursor{Order: "vulnerable", ID: k.ID} })
	out, err := r.withTags(ctx, keys, false)
	return out, next, fail(err, "list the images with %s", name)
}

// firstPosted merges posting lists: the first limit images after one that hold any of the packages and have a tag that is there.
func (r *Reader) firstPosted(ctx context.Context, packages []int64, after int64, limit int) ([]int64, error) {
	if len(packages) == 0 {
		return nil, nil
	}
	const posted = `select pi.image_id from package_images pi where pi.package_id = %s and pi.image_id > %d and exists (select 1 from tag_images ti
		join tags t on t.id = ti.tag_id where ti.image_id = pi.image_id and t.gone_at = 0) order by pi.image_id limit %d`
	if r.dialect == Postgres {
		return rows[int64](ctx, r, "select distinct image_id from unnest(array[?]::bigint[]) as p (id) cross join lateral ("+
			fmt.Sprintf(posted, "p.id", after, limit)+") as posted order by image_id limit ?", bun.List(packages), limit)
	}
	var ids []int64
	for part := range slices.Chunk(packages, postingsAtOnce) {
		lists := make([]string, len(part))
		for i, id := range part {
			lists[i] = "select image_id from (" + fmt.Sprintf(posted, strconv.FormatInt(id, 10), after, limit) + ")"
		}
		found, err := rows[int64](ctx, r, "select distinct image_id from ("+strings.Join(lists, " union all ")+") order by image_id limit ?", limit)
		if err != nil {
			return nil, err
		}
		ids = append(ids, found...)
	}
	ids = distinct(ids)
	return ids[:min(limit, len(ids))], nil
}

// ImpactedName is one name of an image that has a vulnerability.
type ImpactedName struct {
	ImageID   int64
	Reference string // host/repository:tag
}

// manyImages is where going along all names becomes quicker than sorting those of the images that have a vulnerability.
const manyImages = 1000

// Impacted returns a part of the names of images that have a vulnerability, by name, and how many names there are in all, as last
// counted.
func (r *Reader) Impacted(ctx context.Context, vulnerability string, offset, limit int) (names []ImpactedName, total int, err error) {
	found, err := rows[fleetRow](ctx, r, "select * from vulnerability_totals where name = ?", vulnerability)
	if err != nil || len(found) == 0 {
		return nil, 0, fail(err, "count what has %s", vulnerability)
	}
	packages, err := r.vulnerablePackages(ctx, vulnerability)
	if err != nil || len(packages) == 0 {
		return nil, 0, fail(err, "list what has %s", vulnerability)
	}
	has := "ti.image_id in (select pi.image_id from package_images pi where pi.package_id in (?))"
	if found[0].Images > manyImages {
		has = "exists (select 1 from package_images pi where pi.image_id = ti.image_id and pi.package_id in (?))"
		if r.dialect == Postgres {
			// The offset keeps it from making a join of it: this is asked of one name after the other until the page is full. The
			// packages are asked for one by one, and no further than the first that the image has.
			has = `exists (select 1 from unnest(array[?]::bigint[]) as p (id) join package_images pi on pi.package_id = p.id
				where pi.image_id = ti.image_id limit 1 offset 0)`
		}
	}
	names, err = rows[ImpactedName](ctx, r, `select ti.image_id, t.reference from tags t join tag_images ti on ti.tag_id = t.id and ti.shown
		where t.gone_at = 0 and t.reference >= '' and `+has+" order by t.reference, ti.image_id limit ? offset ?", bun.List(packages), limit, offset)
	return names, found[0].Names, fail(err, "list what has %s", vulnerability)
}

// VulnerabilityCounts counts the images each vulnerability is found in, by name, as last counted; with packages, in these alone,
// as it is now.
func (r *Reader) VulnerabilityCounts(ctx context.Context, packages []string) ([]VulnerabilityCount, error) {
	type row struct {
		Name     string
		Severity int
		Score    float64
		Images   int
	}
	var found []row
	var err error
	if len(packages) == 0 {
		found, err = rows[row](ctx, r, "select name, severity, score, images from vulnerability_totals order by name")
	} else {
		found, err = rows[row](ctx, r, `select v.name, v.score, n.severity, n.images from (
			select f.vulnerability_id, max(f.severity) as severity, count(distinct pi.image_id) as images
			from findings f join package_images pi on pi.package_id = f.package_id
			where pi.image_id in `+imagesShown+` and f.package_id in (select p.id from packages p where p.name in (?))
			group by f.vulnerability_id) n
		join vulnerabilities v on v.id = n.vulnerability_id order by v.name`, list(packages))
	}
	out := make([]VulnerabilityCount, len(found))
	for i, row := range found {
		out[i] = VulnerabilityCount{Name: row.Name, Severity: tidewaiter.Severity(row.Severity), Score: row.Score, Images: row.Images}
	}
	return out, fail(err, "count vulnerabilities")
}
