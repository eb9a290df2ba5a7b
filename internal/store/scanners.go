package store

import (
	"context"
	"strconv"
	"time"

	"github.com/uptrace/bun"

	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

type scannerRow struct {
	bun.BaseModel `bun:"table:scanners,alias:s"`

	ID            string `bun:",pk"`
	Name          string
	Doc           string
	About         string
	Sealed        []byte
	Disabled      bool
	AllRegistries bool
	PausedUntil   int64
	CreatedAt     int64
	UpdatedAt     int64
}

func (row *scannerRow) scanner() (*tidewaiter.Scanner, error) {
	s := &tidewaiter.Scanner{}
	if err := fromText(row.Doc, s); err != nil {
		return nil, err
	}
	s.About = tidewaiter.ScannerAbout{}
	if err := fromText(row.About, &s.About); err != nil {
		return nil, err
	}
	s.ID, s.Sealed, s.PausedUntil = row.ID, row.Sealed, timeOf(row.PausedUntil)
	s.CreatedAt, s.UpdatedAt = timeOf(row.CreatedAt), timeOf(row.UpdatedAt)
	return s, nil
}

type scannerRegistryRow struct {
	bun.BaseModel `bun:"table:scanner_registries"`

	ScannerID  string
	RegistryID string
}

// PutScanner stores a scanner, new or known, with what it says of itself and the registries it is asked about; CreatedAt of a known one
// stays, and it is no longer paused. A name another one has is ErrConflict.
func (tx *Tx) PutScanner(ctx context.Context, s *tidewaiter.Scanner) error {
	kept := *s
	kept.Registries, kept.About = nil, tidewaiter.ScannerAbout{} // have places of their own
	doc, err := jsonText(&kept)
	if err != nil {
		return err
	}
	about, err := jsonText(&s.About)
	if err != nil {
		return err
	}
	row := scannerRow{ID: s.ID, Name: text(s.Name), Doc: text(doc), About: text(about), Sealed: s.Sealed, Disabled: s.Disabled,
		AllRegistries: s.AllRegistries, CreatedAt: micros(s.CreatedAt), UpdatedAt: micros(s.UpdatedAt)}
	q := tx.insert(&row).On("conflict (id) do update")
	for _, column := range []string{"name", "doc", "about", "sealed", "disabled", "all_registries", "paused_until", "updated_at"} {
		q = q.Set("? = excluded.?", bun.Ident(column), bun.Ident(column))
	}
	if _, err = q.Exec(ctx); err == nil {
		_, err = tx.exec(ctx, "delete from scanner_registries where scanner_id = ?", s.ID)
	}
	if err == nil && len(s.Registries) > 0 {
		list := make([]scannerRegistryRow, len(s.Registries))
		for i, id := range s.Registries {
			list[i] = scannerRegistryRow{ScannerID: s.ID, RegistryID: text(id)}
		}
		_, err = tx.insert(&list).Exec(ctx)
	}
	return fail(err, "store scanner %s", strconv.Quote(s.Name))
}

// SaveScannerAbout stores what a scanner says of itself, and nothing else.
func (tx *Tx) SaveScannerAbout(ctx context.Context, id string, about tidewaiter.ScannerAbout) error {
	doc, err := jsonText(&about)
	if err == nil {
		_, err = tx.exec(ctx, "update scanners set about = ? where id = ?", doc, id)
	}
	return fail(err, "store what scanner %s says of itself", strconv.Quote(id))
}

// PauseScanner has nothing new asked of a scanner until a time, unless it is paused for longer already.
func (tx *Tx) PauseScanner(ctx context.Context, id string, until time.Time) error {
	_, err := tx.exec(ctx, "update scanners set paused_until = ? where id = ? and paused_until < ?", micros(until), id, micros(until))
	return fail(err, "pause scanner %s", strconv.Quote(id))
}

// DeleteScanner removes a scanner with everything it said, or says ErrNotFound.
func (tx *Tx) DeleteScanner(ctx context.Context, id string) error {
	res, err := tx.raw("delete from scanners where id = ?", id).Exec(ctx)
	return fail(one(res, err), "delete scanner %s", strconv.Quote(id))
}

// Scanner returns one scanner, or ErrNotFound.
func (r *Reader) Scanner(ctx context.Context, id string) (*tidewaiter.Scanner, error) {
	return r.oneScanner(ctx, id, "")
}

// LockScanner returns one scanner, or ErrNotFound, and keeps others from locking it until the transaction ends.
func (tx *Tx) LockScanner(ctx context.Context, id string) (*tidewaiter.Scanner, error) {
	return tx.oneScanner(ctx, id, tx.forUpdate())
}

func (r *Reader) oneScanner(ctx context.Context, id, lock string) (*tidewaiter.Scanner, error) {
	found, err := r.scanners(ctx, "select * from scanners where id = ?"+lock, id)
	if err == nil && len(found) == 0 {
		err = tidewaiter.Errorf(tidewaiter.ErrNotFound, "there is no scanner %s", strconv.Quote(id))
	}
	if err != nil {
		return nil, err
	}
	return found[0], nil
}

// Scanners returns all scanners by name.
func (r *Reader) Scanners(ctx context.Context) ([]*tidewaiter.Scanner, error) {
	return r.scanners(ctx, "select * from scanners order by name")
}

func (r *Reader) scanners(ctx context.Context, query string, args ...any) ([]*tidewaiter.Scanner, error) {
	found, err := rows[scannerRow](ctx, r, query, args...)
	if err != nil || len(found) == 0 {
		return nil, fail(err, "read scanners")
	}
	ids := make([]string, len(found))
	for i := range found {
		ids[i] = found[i].ID
	}
	bound, err := rows[scannerRegistryRow](ctx, r, "select * from scanner_registries where scanner_id in (?) order by registry_id", bun.List(ids))
	if err != nil {
		return nil, fail(err, "read the registries of scanners")
	}
	out := make([]*tidewaiter.Scanner, len(found))
	for i := range found {
		if out[i], err = found[i].scanner(); err != nil {
			return nil, err
		}
		for _, b := range bound {
			if b.ScannerID == out[i].ID {
				out[i].Registries = append(out[i].Registries, b.RegistryID)
			}
		}
	}
	return out, nil
}

// OpinionCounts returns how many images a scanner is asked about, by state.
func (r *Reader) OpinionCounts(ctx context.Context, scannerID string) (map[tidewaiter.OpinionState]int, error) {
	type row struct {
		State tidewaiter.OpinionState
		N     int
	}
	found, err := rows[row](ctx, r, "select state, count(*) as n from opinions where scanner_id = ? group by state", scannerID)
	out := make(map[tidewaiter.OpinionState]int, len(found))
	for _, f := range found {
		out[f.State] = f.N
	}
	return out, fail(err, "count the opinions of scanner %s", strconv.Quote(scannerID))
}
