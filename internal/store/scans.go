package store

import (
	"context"
	"strconv"

	"github.com/uptrace/bun"

	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// unfinishedStates are the scan states on the way, spelled as the partial index spells them.
const unfinishedStates = "state in ('queued', 'listing', 'scanning')"

// InsertScans stores new scans, any number at once. An id that exists, or a registry that does not, is ErrConflict.
func (tx *Tx) InsertScans(ctx context.Context, scans []*tidewaiter.Scan) error {
	rows := make([]scanRow, len(scans))
	for i, s := range scans {
		var err error
		if rows[i], err = scanRowOf(s); err != nil {
			return err
		}
	}
	return fail(inChunks(rows, func(part []scanRow) error {
		_, err := tx.insert(&part).Exec(ctx)
		return err
	}), "store scans")
}

// Scan returns one scan, or ErrNotFound.
func (r *Reader) Scan(ctx context.Context, id string) (*tidewaiter.Scan, error) {
	var row scanRow
	if err := r.selectFrom(&row).Where("s.id = ?", text(id)).Scan(ctx); err != nil {
		return nil, fail(err, "scan %s", strconv.Quote(id))
	}
	return row.scan()
}

// ScanFilter chooses scans; what is zero does not restrict.
type ScanFilter struct {
	IDs         []string
	RegistryIDs []string
	States      []tidewaiter.ScanState
	Unfinished  bool // queued, listing or scanning
	// Shown chooses the scans that are schedules of their own: those no plan started, of more than a single image, and not
	// hidden.
	Shown bool
	Page
}

func (f ScanFilter) apply(q *bun.SelectQuery) *bun.SelectQuery {
	if f.IDs != nil {
		q = whereIn(q, "s.id", f.IDs)
	}
	if f.RegistryIDs != nil {
		q = whereIn(q, "s.registry_id", f.RegistryIDs)
	}
	if f.States != nil {
		q = whereIn(q, "s.state", f.States)
	}
	if f.Unfinished {
		q = q.Where("s." + unfinishedStates)
	}
	if f.Shown {
		q = q.Where("s.schedule_id = '' and s.target = '' and not s.hidden")
	}
	return q
}

// Scans returns a page of scans, newest first, and the cursor of the next page.
func (r *Reader) Scans(ctx context.Context, f ScanFilter) ([]*tidewaiter.Scan, string, error) {
	after, err := cursorOf(f.Page, "scans")
	if err != nil {
		return nil, "", err
	}
	var found []scanRow
	q := f.apply(r.selectFrom(&found))
	if after != nil {
		q = q.Where("(s.created_at, s.id) < (?, ?)", after.Num, after.Text)
	}
	if err := q.OrderExpr("s.created_at desc, s.id desc").Apply(f.window).Scan(ctx); err != nil {
		return nil, "", fail(err, "list scans")
	}
	found, next := cut(found, f.Page, func(row scanRow) cursor {
		return cursor{Order: "scans", Text: row.ID, Num: row.CreatedAt}
	})
	out, err := scansOf(found)
	return out, next, err
}

// CountScans returns how many scans the filter chooses, whatever its page.
func (r *Reader) CountScans(ctx context.Context, f ScanFilter) (int, error) {
	n, err := f.apply(r.selectFrom((*scanRow)(nil))).Count(ctx)
	return int(n), fail(err, "count scans")
}

// LatestScan is a registry's scans that matter most. Scans of single images or of a part do not count.
type LatestScan struct {
	Finished *tidewaiter.Scan // the newest that ended; nil when none did
	Current  *tidewaiter.Scan // the newest still on its way; nil when none is
}

// LatestScans returns the latest scans of registries by id. A registry without scans has no entry.
func (r *Reader) LatestScans(ctx context.Context, registryIDs []string) (map[string]LatestScan, error) {
	out := make(map[string]LatestScan, len(registryIDs))
	err := inChunks(distinct(registryIDs), func(part []string) error {
		// Those on their way first: one that ends between the two questions is found by the second, not by neither.
		for _, finished := range []bool{false, true} {
			not := ""
			if finished {
				not = "not "
			}
			// One index lookup per registry, however many scans each has had.
			found, err := rows[scanRow](ctx, r, `select s.* from registries r join scans s on s.id = (
					select n.id from scans n where n.registry_id = r.id and n.target = '' and not n.partial and `+not+`(n.`+unfinishedStates+`)
					order by n.created_at desc, n.id desc limit 1)
				where r.id in (?)`, bun.List(part))
			if err != nil {
				return err
			}
			scans, err := scansOf(found)
			if err != nil {
				return err
			}
			for _, s := range scans {
				latest := out[s.RegistryID]
				if finished {
					if latest.Finished = s; latest.Current != nil && latest.Current.ID == s.ID {
						latest.Current = nil
					}
				} else {
					latest.Current = s
				}
				out[s.RegistryID] = latest
			}
		}
		return nil
	})
	return out, fail(err, "find the latest scans")
}

// UnfinishedScan returns the newest scan of all of a registry that is on its way, nil when there is none.
func (r *Reader) UnfinishedScan(ctx context.Context, registryID string) (*tidewaiter.Scan, error) {
	found, err := rows[scanRow](ctx, r, "select * from scans where registry_id = ? and "+unfinishedStates+
		" and target = '' and not partial order by created_at desc, id desc limit 1", registryID)
	if err != nil || len(found) == 0 {
		return nil, fail(err, "find the scan of registry %s", registryID)
	}
	return found[0].scan()
}

// UnfinishedScans returns the registries that have a scan of all of them on its way, by id.
func (r *Reader) UnfinishedScans(ctx context.Context) (map[string]bool, error) {
	ids, err := rows[string](ctx, r, "select distinct registry_id from scans where "+unfinishedStates+" and target = '' and not partial")
	busy := make(map[string]bool, len(ids))
	for _, id := range ids {
		busy[id] = true
	}
	return busy, fail(err, "find the scans on their way")
}

// UpdateScan replaces a scan but for what others count or add at the same time: ImagesTotal, ImagesDone, ImagesFailed
// and Errors stay as stored (see AddScanCounts and AddScanError), as do RegistryID and CreatedAt. A scan whose stored
// state is final is not changed any more: ErrConflict, which is how somebody who is still working on a canceled scan
// learns of it. ErrNotFound when there is no such scan.
func (tx *Tx) UpdateScan(ctx context.Context, s *tidewaiter.Scan) error {
	row, err := scanRowOf(s)
	if err != nil {
		return err
	}
	res, err := tx.update(&row).
		Column("state", "lane", "on_demand", "force", "scope", "target", "repositories", "repositories_listed", "tags_seen",
			"tags_selected", "error", "complete", "started_at", "listed_at", "ended_at", "updated_at").
		Where("s.id = ?", s.ID).Where("s." + unfinishedStates).Exec(ctx)
	if err := one(res, err); err == nil {
		return nil
	}
	if err != nil {
		return fail(err, "update scan %s", s.ID)
	}
	stored, err := tx.Scan(ctx, s.ID)
	if err != nil {
		return err
	}
	return tidewaiter.Errorf(tidewaiter.ErrConflict, "scan %s is over: %s", s.ID, stored.State)
}
