package store

import (
	"context"
	"encoding/json"
	"errors"
	"iter"
	"slices"
	"strings"
	"time"

	"github.com/uptrace/bun"

	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// millionths is the unit scores are stored in, so that they can be compared exactly.
const millionths = 1e6

type epssRow struct {
	bun.BaseModel `bun:"table:epss"`

	Edition    int64
	Name       string
	Score      int64
	Percentile int64
}

type kevRow struct {
	bun.BaseModel `bun:"table:kev"`

	Name       string
	AddedAt    int64
	DueAt      int64
	Ransomware bool
}

func (row kevRow) kev() *tidewaiter.KEV {
	return &tidewaiter.KEV{Added: timeOf(row.AddedAt), Due: timeOf(row.DueAt), Ransomware: row.Ransomware}
}

// epssInUse is the edition of EPSS that counts, for use inside a query.
const epssInUse = "(select edition from feeds where kind = 'epss')"

// Feeds returns the feeds in use by kind; those there are none of are left out.
func (r *Reader) Feeds(ctx context.Context) (map[tidewaiter.FeedKind]tidewaiter.Feed, error) {
	docs, err := rows[string](ctx, r, "select doc from feeds")
	out := make(map[tidewaiter.FeedKind]tidewaiter.Feed, len(docs))
	for _, doc := range docs {
		var f tidewaiter.Feed
		if err := fromText(doc, &f); err != nil {
			return nil, fail(err, "read feeds")
		}
		out[f.Kind] = f
	}
	return out, fail(err, "read feeds")
}

// epssBatch is how many scores one transaction writes: the feed has a third of a million, and others want to write too.
const epssBatch = 5000

// LoadEPSS takes a feed into use. It is written in small transactions beside the one in use and taken into use by the last
// of them; whatever happens before that changes nothing anybody sees. The rows of other editions are removed afterwards.
// A feed of the version in use is not written again. Two that load at the same time are both whole; the later one counts.
func (db *DB) LoadEPSS(ctx context.Context, f tidewaiter.Feed, scores iter.Seq2[tidewaiter.EPSSScore, error], now time.Time) (changed bool, err error) {
	if have, err := db.Feeds(ctx); err != nil || have[tidewaiter.FeedEPSS].Version == f.Version {
		return false, err
	}
	edition := now.UnixNano()
	n, err := db.writeEPSS(ctx, edition, scores)
	if err == nil {
		err = db.Update(ctx, func(tx *Tx) error {
			written, err := scalar[int](ctx, tx.Reader, "select count(*) from epss where edition = ?", edition)
			if err == nil && written != n {
				err = tidewaiter.Errorf(tidewaiter.ErrTransient, "another load took its place")
			}
			if err != nil {
				return err
			}
			f.Entries = n
			return tx.putFeed(ctx, f, edition, now)
		})
	}
	if err != nil {
		// The rows are of use to nobody. Should this fail too, the next load removes them.
		return false, errors.Join(fail(err, "store EPSS scores"), db.removeEPSS(context.WithoutCancel(ctx), "edition = ?", edition))
	}
	return true, db.removeEPSS(ctx, "edition < "+epssInUse)
}

func (db *DB) writeEPSS(ctx context.Context, edition int64, scores iter.Seq2[tidewaiter.EPSSScore, error]) (n int, err error) {
	batch := make([]epssRow, 0, epssBatch)
	flush := func() error {
		slices.SortFunc(batch, func(a, b epssRow) int { return strings.Compare(a.Name, b.Name) })
		batch = slices.CompactFunc(batch, func(a, b epssRow) bool { return a.Name == b.Name })
		err := db.Update(ctx, func(tx *Tx) error {
			return inChunks(batch, func(part []epssRow) error {
				_, err := tx.insert(&part).Exec(ctx)
				return err
			})
		})
		n, batch = n+len(batch), batch[:0]
		return err
	}
	for s, err := range scores {
		if err != nil {
			return n, err
		}
		batch = append(batch, epssRow{Edition: edition, Name: text(s.Name), Score: int64(s.Score*millionths + 0.5), Percentile: int64(s.Percentile*millionths + 0.5)})
		if len(batch) == epssBatch {
			if err := flush(); err != nil {
				return n, err
			}
		}
	}
	return n, flush()
}

// removeEPSS removes scores in small transactions.
func (db *DB) removeEPSS(ctx context.Context, where string, args ...any) error {
	for {
		var removed int64
		err := db.Update(ctx, func(tx *Tx) (err error) {
			removed, err = tx.exec(ctx, `delete from epss where (edition, name) in (select edition, name from epss where `+where+`
				order by edition, name limit ?)`, append(slices.Clone(args), epssBatch)...)
			return err
		})
		if err != nil || removed == 0 {
			return fail(err, "remove EPSS scores")
		}
	}
}

func (tx *Tx) putFeed(ctx context.Context, f tidewaiter.Feed, edition int64, now time.Time) error {
	doc, err := json.Marshal(f)
	if err != nil {
		return err
	}
	_, err = tx.exec(ctx, `insert into feeds (kind, doc, version, edition, updated_at) values (?, ?, ?, ?, ?) on conflict (kind) do update
		set doc = excluded.doc, version = excluded.version, edition = excluded.edition, updated_at = excluded.updated_at`,
		string(f.Kind), string(doc), f.Version, edition, micros(now))
	return err
}

// SaveKEV takes a catalog of exploited vulnerabilities into use, whole, and reports whether others are listed now than
// before: verdicts may depend on it.
func (tx *Tx) SaveKEV(ctx context.Context, f tidewaiter.Feed, catalog map[string]tidewaiter.KEV, now time.Time) (changed bool, err error) {
	stored, err := rows[kevRow](ctx, tx.Reader, "select * from kev"+tx.forUpdate())
	if err != nil {
		return false, fail(err, "store the catalog of exploited vulnerabilities")
	}
	old := make(map[string]kevRow, len(stored))
	for _, row := range stored {
		old[row.Name] = row
	}
	var put []kevRow
	for name, k := range catalog {
		row := kevRow{Name: text(name), AddedAt: micros(k.Added), DueAt: micros(k.Due), Ransomware: k.Ransomware}
		was, had := old[row.Name]
		changed = changed || !had
		if !had || was != row {
			put = append(put, row)
		}
		delete(old, row.Name)
	}
	slices.SortFunc(put, func(a, b kevRow) int { return strings.Compare(a.Name, b.Name) })
	var gone []string
	for name := range old {
		gone = append(gone, name)
	}
	changed = changed || len(gone) > 0
	err = inChunks(distinct(gone), func(part []string) error {
		_, err := tx.exec(ctx, "delete from kev where name in (?)", bun.List(part))
		return err
	})
	if err == nil {
		err = inChunks(put, func(part []kevRow) error {
			_, err := tx.insert(&part).On("conflict (name) do update").Set("added_at = excluded.added_at").Set("due_at = excluded.due_at").
				Set("ransomware = excluded.ransomware").Exec(ctx)
			return err
		})
	}
	if err == nil {
		f.Entries = len(catalog)
		err = tx.putFeed(ctx, f, 0, now)
	}
	return changed, fail(err, "store the catalog of exploited vulnerabilities")
}

// Threats returns what is known of attacks on vulnerabilities by name. Names nothing is known of are left out.
func (r *Reader) Threats(ctx context.Context, names []string) (map[string]tidewaiter.Threat, error) {
	out := make(map[string]tidewaiter.Threat)
	dates, err := r.Feeds(ctx)
	if err != nil || len(dates) == 0 {
		return out, err
	}
	err = inChunks(distinct(names), func(part []string) error {
		scores, err := rows[epssRow](ctx, r, "select name, score, percentile from epss where edition = "+epssInUse+" and name in (?)", list(part))
		if err != nil {
			return err
		}
		for _, row := range scores {
			t := out[row.Name]
			t.EPSS = row.epss(dates[tidewaiter.FeedEPSS].Date)
			out[row.Name] = t
		}
		listed, err := rows[kevRow](ctx, r, "select * from kev where name in (?)", list(part))
		for _, row := range listed {
			t := out[row.Name]
			t.KEV = row.kev()
			out[row.Name] = t
		}
		return err
	})
	return out, fail(err, "read threats")
}

func (row epssRow) epss(date time.Time) *tidewaiter.EPSS {
	return &tidewaiter.EPSS{Score: float64(row.Score) / millionths, Percentile: float64(row.Percentile) / millionths, Date: date}
}
