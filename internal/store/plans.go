package store

import (
	"context"
	"strconv"
	"time"

	"github.com/uptrace/bun"

	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// PutPlan stores a plan, new or known; CreatedAt and RegistryID of a known one stay. A registry that does not exist is
// ErrConflict.
func (tx *Tx) PutPlan(ctx context.Context, p *tidewaiter.Plan) error {
	row, err := planRowOf(p)
	if err != nil {
		return err
	}
	q := tx.insert(&row).On("conflict (id) do update")
	for _, column := range []string{"name", "every", "weekday", "at", "scope", "force", "canceled", "from_at", "next_at",
		"last_started_at", "last_scan_id", "updated_at"} {
		q = q.Set("? = excluded.?", bun.Ident(column), bun.Ident(column))
	}
	_, err = q.Exec(ctx)
	return fail(err, "store plan %s", p.ID)
}

// DeletePlan removes a plan, or says ErrNotFound. The scans it started stay.
func (tx *Tx) DeletePlan(ctx context.Context, id string) error {
	res, err := tx.raw("delete from plans where id = ?", id).Exec(ctx)
	return fail(one(res, err), "delete plan %s", strconv.Quote(id))
}

// Plan returns one plan, or ErrNotFound. Inside a transaction its row is locked until that ends.
func (tx *Tx) Plan(ctx context.Context, id string) (*tidewaiter.Plan, error) {
	return tx.plan(ctx, id, tx.forUpdate())
}

// Plan returns one plan, or ErrNotFound.
func (r *Reader) Plan(ctx context.Context, id string) (*tidewaiter.Plan, error) {
	return r.plan(ctx, id, "")
}

func (r *Reader) plan(ctx context.Context, id, lock string) (*tidewaiter.Plan, error) {
	found, err := rows[planRow](ctx, r, "select * from plans where id = ?"+lock, id)
	if err != nil {
		return nil, fail(err, "plan %s", strconv.Quote(id))
	}
	if len(found) == 0 {
		return nil, tidewaiter.Errorf(tidewaiter.ErrNotFound, "plan %s was not found", strconv.Quote(id))
	}
	return found[0].plan()
}

// Plans returns the plans of a registry, newest first.
func (r *Reader) Plans(ctx context.Context, registryID string) ([]*tidewaiter.Plan, error) {
	found, err := rows[planRow](ctx, r, "select * from plans where registry_id = ? order by created_at desc, id desc", registryID)
	if err != nil {
		return nil, fail(err, "list the plans of registry %s", registryID)
	}
	return plansOf(found)
}

// DuePlans returns the plans that are due and whose last scan is over, those that have been due longest first.
func (r *Reader) DuePlans(ctx context.Context, now time.Time) ([]*tidewaiter.Plan, error) {
	found, err := rows[planRow](ctx, r, `select * from plans p where not p.canceled and p.next_at <= ?
		and not exists (select 1 from scans s where s.id = p.last_scan_id and s.`+unfinishedStates+`)
		order by p.next_at, p.id`, micros(now))
	if err != nil {
		return nil, fail(err, "find the plans that are due")
	}
	return plansOf(found)
}

// ScansByID returns scans by id. Ids that do not exist are passed over.
func (r *Reader) ScansByID(ctx context.Context, ids []string) (map[string]*tidewaiter.Scan, error) {
	out := make(map[string]*tidewaiter.Scan, len(ids))
	err := inChunks(distinct(ids), func(part []string) error {
		found, err := rows[scanRow](ctx, r, "select * from scans where id in (?)", bun.List(part))
		if err != nil {
			return err
		}
		scans, err := scansOf(found)
		for _, s := range scans {
			out[s.ID] = s
		}
		return err
	})
	return out, fail(err, "read scans")
}

// HideScan takes a scan out of the list of schedules; what it found, and the scan itself, stay. A scan that does not exist is
// passed over.
func (tx *Tx) HideScan(ctx context.Context, id string) error {
	_, err := tx.exec(ctx, "update scans set hidden = true where id = ?", id)
	return fail(err, "hide scan %s", id)
}

// ScheduleCount is how many schedules of a registry are alike.
type ScheduleCount struct {
	Planned  bool                 // plans; scans of their own otherwise
	Canceled bool                 // of plans
	State    tidewaiter.ScanState // of the scan, or of a plan's last; "" when it had none
	N        int
}

type scheduleCountRow struct {
	RegistryID string
	Canceled   bool
	State      string
	N          int
}

const (
	ownScheduleCounts = `select registry_id, false as canceled, state, count(*) as n from scans
		where registry_id in (?) and schedule_id = '' and target = '' and not hidden group by registry_id, state`
	planScheduleCounts = `select p.registry_id, p.canceled, coalesce(s.state, '') as state, count(*) as n
		from plans p left join scans s on s.id = p.last_scan_id
		where p.registry_id in (?) group by p.registry_id, p.canceled, coalesce(s.state, '')`
)

// ScheduleCounts counts the schedules of registries by id: their plans, and the scans ScanFilter.Shown chooses.
func (r *Reader) ScheduleCounts(ctx context.Context, registryIDs []string) (map[string][]ScheduleCount, error) {
	out := make(map[string][]ScheduleCount, len(registryIDs))
	err := inChunks(distinct(registryIDs), func(part []string) error {
		for _, query := range []string{ownScheduleCounts, planScheduleCounts} {
			found, err := rows[scheduleCountRow](ctx, r, query, bun.List(part))
			if err != nil {
				return err
			}
			for _, row := range found {
				out[row.RegistryID] = append(out[row.RegistryID], ScheduleCount{
					Planned: query == planScheduleCounts, Canceled: row.Canceled, State: tidewaiter.ScanState(row.State), N: row.N,
				})
			}
		}
		return nil
	})
	return out, fail(err, "count schedules")
}
