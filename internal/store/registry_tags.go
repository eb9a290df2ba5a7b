package store

import (
	"context"

	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// RegistryTags returns a page of the tags a registry has in scope in one of its repositories, by name, and the cursor of the
// next page.
func (r *Reader) RegistryTags(ctx context.Context, registryID, repository string, p Page) ([]tidewaiter.Tag, string, error) {
	after, err := cursorOf(p, "registry tags")
	if err != nil {
		return nil, "", err
	}
	from := ""
	if after != nil {
		from = after.Text
	}
	found, err := rows[tagOfRepositoryRow](ctx, r, `select t.*, p.host, p.name as repository_name, `+checkedAt+`
		from registry_tags rt join tags t on t.id = rt.tag_id join repositories p on p.id = t.repository_id
		where rt.registry_id = ? and p.name = ? and t.name > ? order by t.name limit ? offset ?`,
		registryID, repository, from, p.limit()+1, p.Offset)
	if err != nil {
		return nil, "", fail(err, "tags of %s", repository)
	}
	found, next := cut(found, p, func(row tagOfRepositoryRow) cursor { return cursor{Order: "registry tags", Text: row.Name} })
	out := make([]tidewaiter.Tag, len(found))
	for i := range found {
		out[i] = found[i].tag()
	}
	return out, next, nil
}
