package store

import (
	"context"
	"time"

	"github.com/uptrace/bun"

	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// RegistryRepository is one repository of a registry, with what the last listing made of it and how far its images are.
type RegistryRepository struct {
	tidewaiter.Repository
	Decision     tidewaiter.Decision
	TagsSeen     int // by the last listing of it
	TagsSelected int
	ListedAt     time.Time // zero until it was listed
	GoneAt       time.Time // zero while it is there
	Tags         int       // in scope now
	Images       int       // distinct images of these tags
	Scanned      int       // of these judged
	Vulnerable   int       // of these with at least one vulnerability
}

// RepositoryFilter chooses repositories of a registry; what is zero does not restrict.
type RepositoryFilter struct {
	Search   string // part of the name, in any case
	Included *bool  // in scope or not
	Gone     bool   // those that are gone as well
	Page
}

type registryRepositoryListRow struct {
	RepositoryID int64
	Host         string
	Name         string
	Included     bool
	Reason       string
	Detail       string
	TagsSeen     int
	TagsSelected int
	ListedAt     int64
	GoneAt       int64
}

func (f RepositoryFilter) apply(q *bun.SelectQuery, registryID string) *bun.SelectQuery {
	q = q.Where("rr.registry_id = ?", text(registryID))
	if f.Search != "" {
		q = q.Where(`lower(rr.name) like ? escape '\'`, containing(f.Search))
	}
	if f.Included != nil {
		q = q.Where("rr.included = ?", *f.Included)
	}
	if !f.Gone {
		q = q.Where("rr.gone_at = 0")
	}
	return q
}

// RegistryRepositories returns a page of a registry's repositories by name, and the cursor of the next page.
func (r *Reader) RegistryRepositories(ctx context.Context, registryID string, f RepositoryFilter) ([]RegistryRepository, string, error) {
	after, err := cursorOf(f.Page, "repositories")
	if err != nil {
		return nil, "", err
	}
	var found []registryRepositoryListRow
	q := f.apply(r.bun.NewSelect().Conn(r.conn), registryID).
		TableExpr("registry_repositories rr").Join("join repositories p on p.id = rr.repository_id").
		ColumnExpr("rr.repository_id, p.host, rr.name, rr.included, rr.reason, rr.detail, rr.tags_seen, rr.tags_selected, rr.listed_at, rr.gone_at")
	if after != nil {
		q = q.Where("(rr.name, rr.repository_id) > (?, ?)", after.Text, after.ID)
	}
	if err := q.OrderExpr("rr.name, rr.repository_id").Apply(f.window).Scan(ctx, &found); err != nil {
		return nil, "", fail(err, "list the repositories of registry %s", registryID)
	}
	found, next := cut(found, f.Page, func(row registryRepositoryListRow) cursor {
		return cursor{Order: "repositories", Text: row.Name, ID: row.RepositoryID}
	})
	out := make([]RegistryRepository, len(found))
	for i, row := range found {
		out[i] = RegistryRepository{
			Repository: tidewaiter.Repository{ID: row.RepositoryID, Host: row.Host, Name: row.Name},
			Decision:   tidewaiter.Decision{Included: row.Included, Reason: tidewaiter.Reason(row.Reason), Detail: row.Detail},
			TagsSeen:   row.TagsSeen, TagsSelected: row.TagsSelected,
			ListedAt: timeOf(row.ListedAt), GoneAt: timeOf(row.GoneAt),
		}
	}
	return out, next, fail(r.countRepositories(ctx, registryID, out), "list the repositories of registry %s", registryID)
}

// CountRegistryRepositories returns how many repositories the filter chooses, whatever its page.
func (r *Reader) CountRegistryRepositories(ctx context.Context, registryID string, f RepositoryFilter) (int, error) {
	n, err := f.apply(r.bun.NewSelect().Conn(r.conn), registryID).TableExpr("registry_repositories rr").Count(ctx)
	return int(n), fail(err, "count the repositories of registry %s", registryID)
}

type repositoryCountsRow struct {
	RepositoryID int64
	Tags         int
	Images       int
	Scanned      int
	Vulnerable   int
}

const (
	repositoryTagCounts = `select t.repository_id, count(*) as tags
		from tags t join registry_tags rt on rt.tag_id = t.id and rt.registry_id = ?
		where t.repository_id in (?) group by t.repository_id`
	repositoryImageCounts = `select repository_id, count(*) as images,
			coalesce(sum(case when state = 'judged' then 1 else 0 end), 0) as scanned,
			coalesce(sum(case when state = 'judged' and vulnerable then 1 else 0 end), 0) as vulnerable
		from (select distinct t.repository_id, i.id, i.state,
				vuln_critical + vuln_high + vuln_medium + vuln_low + vuln_negligible + vuln_unknown > 0 as vulnerable
			from tags t join registry_tags rt on rt.tag_id = t.id and rt.registry_id = ?
			join tag_images ti on ti.tag_id = t.id join images i on i.id = ti.image_id
			where t.repository_id in (?)) as of_repository
		group by repository_id`
)

func (r *Reader) countRepositories(ctx context.Context, registryID string, list []RegistryRepository) error {
	at := make(map[int64]*RegistryRepository, len(list))
	ids := make([]int64, len(list))
	for i := range list {
		ids[i] = list[i].ID
		at[ids[i]] = &list[i]
	}
	return inChunks(ids, func(part []int64) error {
		for _, query := range []string{repositoryTagCounts, repositoryImageCounts} {
			found, err := rows[repositoryCountsRow](ctx, r, query, registryID, bun.List(part))
			if err != nil {
				return err
			}
			for _, row := range found {
				to := at[row.RepositoryID]
				to.Tags += row.Tags
				to.Images += row.Images
				to.Scanned += row.Scanned
				to.Vulnerable += row.Vulnerable
			}
		}
		return nil
	})
}
