package store

import (
	"context"

	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// Stats is how much of everything there is.
type Stats struct {
	Registries      int
	Repositories    int
	Tags            int // that are there
	TagsGone        int
	Images          map[tidewaiter.ImageState]int
	Layers          map[LayerState]int
	Packages        int
	Findings        int
	Vulnerabilities int
	Scans           map[tidewaiter.ScanState]int
}

// Stats counts everything. It reads whole tables: call it every minute, not with every request.
func (r *Reader) Stats(ctx context.Context) (Stats, error) {
	s := Stats{Images: map[tidewaiter.ImageState]int{}, Layers: map[LayerState]int{}, Scans: map[tidewaiter.ScanState]int{}}
	type row struct {
		What  string
		State string
		N     int
	}
	found, err := rows[row](ctx, r, `select 'registries' as what, '' as state, count(*) as n from registries
		union all select 'repositories', '', count(*) from repositories
		union all select 'gone', '', count(*) from tags where gone_at > 0
		union all select 'tags', '', count(*) from tags
		union all select 'images', state, count(*) from images group by state
		union all select 'layers', state, count(*) from layers group by state
		union all select 'packages', '', count(*) from packages
		union all select 'findings', '', count(*) from findings
		union all select 'vulnerabilities', '', count(*) from vulnerabilities
		union all select 'scans', state, count(*) from scans group by state`)
	plain := map[string]*int{
		"registries": &s.Registries, "repositories": &s.Repositories, "gone": &s.TagsGone, "tags": &s.Tags,
		"packages": &s.Packages, "findings": &s.Findings, "vulnerabilities": &s.Vulnerabilities,
	}
	for _, row := range found {
		switch row.What {
		case "images":
			s.Images[tidewaiter.ImageState(row.State)] = row.N
		case "layers":
			s.Layers[LayerState(row.State)] = row.N
		case "scans":
			s.Scans[tidewaiter.ScanState(row.State)] = row.N
		default:
			*plain[row.What] = row.N
		}
	}
	s.Tags -= s.TagsGone
	return s, fail(err, "count everything")
}
