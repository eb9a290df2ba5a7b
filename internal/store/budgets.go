package store

import (
	"context"
	"log/slog"
	"maps"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/uptrace/bun"
)

const (
	// placeLife is how long a place is held without a sign of life: that of a process that has died is free again after it.
	placeLife = 2 * time.Minute
	// budgetMemory is how long a host and credential nobody asks are remembered.
	budgetMemory = 24 * time.Hour
	// giveTime bounds giving a place back; one that could not be is free after placeLife.
	giveTime = 5 * time.Second
)

// Budgets shares out the requests to registries among all processes on one PostgreSQL database: how many are under way at
// once for a host and credential, and until when nobody is to ask. All times are by the database's clock. Keep it alive
// with Run, or places held for longer than two minutes are given to others. It is safe for concurrent use.
type Budgets struct {
	db  *DB
	id  string
	log *slog.Logger

	mu   sync.Mutex
	held map[string]bool // holders, one for each place
	next uint64
}

// Budgets makes the Budgets of this process; id is nobody else's. It returns nil on SQLite, which one process has to itself.
func (db *DB) Budgets(id string) *Budgets {
	if db.dialect != Postgres {
		return nil
	}
	return &Budgets{db: db, id: text(id), log: db.log, held: map[string]bool{}}
}

// pgNow is the time in microseconds, of this moment and not of the transaction's begin.
const pgNow = "(extract(epoch from clock_timestamp()) * 1000000)::bigint"

// takePlace takes a free place unless there is a pause. A place that somebody else is just taking is passed over, and one
// that was taken meanwhile does not count as free: the database looks again at the row it has locked.
const takePlace = `update budget_places set holder = ?, until = ` + pgNow + ` + ?
	where (host, credential, place) = (
		select f.host, f.credential, f.place from budget_places f
		where f.host = ? and f.credential = ? and f.place < ? and f.until <= ` + pgNow + `
			and not exists (select 1 from budgets b where b.host = f.host and b.credential = f.credential and b.paused_until > ` + pgNow + `)
		order by f.place limit 1 for update of f skip locked)
	returning place`

// Take takes one of so many places for a host and credential. With give it is given back. Without, none is to be had now:
// because of a pause that lasts for as long as paused, or because all are taken.
func (b *Budgets) Take(ctx context.Context, host, credential string, places int) (give func(), paused time.Duration, err error) {
	host, credential = text(host), text(credential)
	holder := b.hold()
	for range 2 {
		taken, err := rows[int64](ctx, b.db.Reader, takePlace, holder, placeLife.Microseconds(), host, credential, places)
		if err == nil && len(taken) > 0 {
			return func() { b.give(host, credential, taken[0], holder) }, 0, nil //nolint:contextcheck // what was taken is given back though the request was canceled
		}
		var ready bool
		if err == nil {
			ready, paused, err = b.state(ctx, host, credential, places)
		}
		if err != nil || ready {
			b.forget(holder)
			return nil, paused, fail(err, "take a place for requests to %s", host)
		}
		if err := b.prepare(ctx, host, credential, places); err != nil {
			b.forget(holder)
			return nil, 0, fail(err, "make places for requests to %s", host)
		}
	}
	b.forget(holder)
	return nil, 0, nil
}

// hold makes the name of one holding. Each has its own, so that whoever comes late to give back gives nothing of another's.
func (b *Budgets) hold() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.next++
	holder := b.id + "/" + strconv.FormatUint(b.next, 36)
	b.held[holder] = true
	return holder
}

func (b *Budgets) forget(holder string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.held, holder)
}

// state says whether the places are there at all, and for how long there is a pause.
func (b *Budgets) state(ctx context.Context, host, credential string, places int) (ready bool, paused time.Duration, err error) {
	type row struct {
		Pause  int64
		Places int64
	}
	found, err := rows[row](ctx, b.db.Reader, `select b.paused_until - `+pgNow+` as pause,
			(select count(*) from budget_places p where p.host = b.host and p.credential = b.credential and p.place < ?) as places
		from budgets b where b.host = ? and b.credential = ?`, places, host, credential)
	if err != nil || len(found) == 0 {
		return false, 0, err
	}
	return found[0].Places >= int64(places), time.Duration(max(found[0].Pause, 0)) * time.Microsecond, nil
}

type budgetRow struct {
	bun.BaseModel `bun:"table:budgets,alias:b"`

	Host        string
	Credential  string
	PausedUntil int64
}

type budgetPlaceRow struct {
	bun.BaseModel `bun:"table:budget_places"`

	Host       string
	Credential string
	Place      int64
}

func (b *Budgets) prepare(ctx context.Context, host, credential string, places int) error {
	return b.db.Update(ctx, func(tx *Tx) error {
		if _, err := tx.insert(&budgetRow{Host: host, Credential: credential}).On("conflict do nothing").Exec(ctx); err != nil {
			return err
		}
		list := make([]budgetPlaceRow, places)
		for i := range list {
			list[i] = budgetPlaceRow{Host: host, Credential: credential, Place: int64(i)}
		}
		_, err := tx.insert(&list).On("conflict do nothing").Exec(ctx)
		return err
	})
}

func (b *Budgets) give(host, credential string, place int64, holder string) {
	b.forget(holder)
	ctx, cancel := context.WithTimeout(context.Background(), giveTime)
	defer cancel()
	_, err := b.db.raw(`update budget_places set holder = '', until = `+pgNow+`
		where host = ? and credential = ? and place = ? and holder = ?`, host, credential, place, holder).Exec(ctx)
	if err != nil {
		b.log.Warn("a place for requests could not be given back; it is free again by itself", "host", host, "after", placeLife, "err", err)
	}
}

// FreePlaces gives back every place a process holds that has died.
func (tx *Tx) FreePlaces(ctx context.Context, process string) error {
	if tx.dialect != Postgres {
		return nil // one process has the database, and its budget, to itself
	}
	prefix := text(process) + "/"
	_, err := tx.exec(ctx, "update budget_places set holder = '', until = 0 where left(holder, ?) = ?", len([]rune(prefix)), prefix)
	return fail(err, "give back the places of %s", process)
}

// Pause lets nobody ask a host with a credential for some time. A longer pause that is there stays.
func (b *Budgets) Pause(ctx context.Context, host, credential string, d time.Duration) error {
	_, err := b.db.raw(`insert into budgets (host, credential, paused_until) values (?, ?, `+pgNow+` + ?)
		on conflict (host, credential) do update set paused_until = greatest(budgets.paused_until, excluded.paused_until)`,
		text(host), text(credential), d.Microseconds()).Exec(ctx)
	return fail(err, "pause requests to %s", host)
}

// Run keeps the places held alive, and forgets hosts nobody asks any more, until ctx ends.
func (b *Budgets) Run(ctx context.Context) {
	beat := time.NewTicker(placeLife / 4)
	defer beat.Stop()
	for {
		if err := b.beat(ctx); err != nil && ctx.Err() == nil {
			b.log.Warn("places for requests could not be kept", "err", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-beat.C:
		}
	}
}

// beat gives the places held another life.
func (b *Budgets) beat(ctx context.Context) error {
	b.mu.Lock()
	holders := slices.Sorted(maps.Keys(b.held))
	b.mu.Unlock()
	err := inChunks(holders, func(part []string) error {
		_, err := b.db.raw("update budget_places set until = "+pgNow+" + ? where holder in (?)", placeLife.Microseconds(), bun.List(part)).Exec(ctx)
		return err
	})
	if err == nil {
		_, err = b.db.raw(`delete from budgets b where b.paused_until < `+pgNow+` - ? and not exists (select 1 from budget_places p
			where p.host = b.host and p.credential = b.credential and p.until > `+pgNow+` - ?)
			and exists (select 1 from budget_places p where p.host = b.host and p.credential = b.credential)`,
			budgetMemory.Microseconds(), budgetMemory.Microseconds()).Exec(ctx)
	}
	return fail(err, "keep places for requests")
}
