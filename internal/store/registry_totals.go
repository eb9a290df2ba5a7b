package store

import (
	"context"
	"time"

	"github.com/uptrace/bun"
)

// Totals is what a registry's list entry says about its content.
type Totals struct {
	Repositories int       // in scope and there
	Images       int       // distinct images its tags show or wait for
	Scanned      int       // of these judged
	Vulnerable   int       // of these with at least one vulnerability
	LastScanned  time.Time // when its last scan to be completed ended
}

type totalsRow struct {
	RegistryID   string
	Repositories int
	Images       int
	Scanned      int
	Vulnerable   int
	LastScanned  int64
}

const (
	registryRepositoryTotals = `select registry_id, count(*) as repositories from registry_repositories
		where registry_id in (?) and included and gone_at = 0 group by registry_id`
	registryImageTotals = `select registry_id, count(*) as images,
			coalesce(sum(case when state = 'judged' then 1 else 0 end), 0) as scanned,
			coalesce(sum(case when state = 'judged' and vulnerable then 1 else 0 end), 0) as vulnerable
		from (select distinct rt.registry_id, i.id, i.state,
				vuln_critical + vuln_high + vuln_medium + vuln_low + vuln_negligible + vuln_unknown > 0 as vulnerable
			from registry_tags rt join tag_images ti on ti.tag_id = rt.tag_id join images i on i.id = ti.image_id
			where rt.registry_id in (?)) as of_registry
		group by registry_id`
	registryScanTotals = `select registry_id, max(ended_at) as last_scanned from scans
		where registry_id in (?) and state = 'completed' group by registry_id`
)

// RegistryTotals returns the totals of registries by id; one that has none yet has zero Totals.
func (r *Reader) RegistryTotals(ctx context.Context, ids []string) (map[string]Totals, error) {
	out := make(map[string]Totals, len(ids))
	for _, id := range ids {
		out[id] = Totals{}
	}
	err := inChunks(distinct(ids), func(part []string) error {
		for _, query := range []string{registryRepositoryTotals, registryImageTotals, registryScanTotals} {
			found, err := rows[totalsRow](ctx, r, query, bun.List(part))
			if err != nil {
				return err
			}
			for _, row := range found {
				t := out[row.RegistryID]
				t.Repositories += row.Repositories
				t.Images += row.Images
				t.Scanned += row.Scanned
				t.Vulnerable += row.Vulnerable
				if row.LastScanned != 0 {
					t.LastScanned = timeOf(row.LastScanned)
				}
				out[row.RegistryID] = t
			}
		}
		return nil
	})
	return out, fail(err, "total up registries")
}
