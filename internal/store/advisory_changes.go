package store

import (
	"context"
	"time"
)

// advisoryChangesKept is how many steps from one version of the advisories to the next are kept. Whoever has fallen further
// behind matches everything.
const advisoryChangesKept = 20

// SaveAdvisoryChange keeps what differs between two versions of the advisories, as a document of the caller's.
func (tx *Tx) SaveAdvisoryChange(ctx context.Context, before, after string, doc []byte, now time.Time) error {
	if _, err := tx.exec(ctx, `insert into advisory_changes (before_version, version, at, doc) values (?, ?, ?, ?)
			on conflict (before_version, version) do update set at = excluded.at, doc = excluded.doc`,
		before, after, micros(now), tx.codec.pack(doc)); err != nil {
		return fail(err, "store what changed in the advisories")
	}
	_, err := tx.exec(ctx, `delete from advisory_changes where at < (select min(at) from
		(select at from advisory_changes order by at desc limit ?) kept)`, advisoryChangesKept)
	return fail(err, "store what changed in the advisories")
}

// AdvisoryChanges returns the documents of the shortest way from one version of the advisories to another, in order; none
// when no way is known.
func (r *Reader) AdvisoryChanges(ctx context.Context, from, to string) ([][]byte, error) {
	type step struct {
		BeforeVersion string
		Version       string
	}
	steps, err := rows[step](ctx, r, "select before_version, version from advisory_changes order by at, before_version, version")
	if err != nil {
		return nil, fail(err, "read what changed in the advisories")
	}
	came := map[string]string{from: ""} // the version before, on the shortest way
	for reached := []string{from}; len(reached) > 0 && came[to] == ""; {
		var next []string
		for _, at := range reached {
			for _, s := range steps {
				if _, seen := came[s.Version]; s.BeforeVersion == at && !seen {
					came[s.Version] = at
					next = append(next, s.Version)
				}
			}
		}
		reached = next
	}
	var docs [][]byte
	for at := to; came[at] != ""; at = came[at] {
		packed, err := scalar[[]byte](ctx, r, "select doc from advisory_changes where before_version = ? and version = ?", came[at], at)
		if err != nil {
			return nil, fail(err, "read what changed in the advisories")
		}
		doc, err := r.codec.unpack(packed)
		if err != nil {
			return nil, err
		}
		docs = append([][]byte{doc}, docs...)
	}
	return docs, nil
}
