package scan

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/tidewaiter/tidewaiter/internal/engine"
	"github.com/tidewaiter/tidewaiter/internal/store"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// staleBatch is how many packages are looked at in one go to see whether they have to be looked up.
const staleBatch = 5000

// rematch looks up the packages that a version of the advisories may say something else of than what is stored of them, and
// marks the others as looked up. It can stop after any step and begin anew.
type rematch struct {
	*Pipeline
	advisories string
	touched    map[string]*engine.Difference // by what a package was matched by; none where nobody knows the way from there
	described  map[string]map[int64]struct{} // packages with a finding whose vulnerability is described differently
	after      int64
	pending    []*tidewaiter.Package
	looked     int
}

// matcherKey is the setting that says what matched the packages.
const matcherKey = "findings.matcher"

func (p *Pipeline) newRematch(ctx context.Context, advisories string) (*rematch, error) {
	m := &rematch{Pipeline: p, advisories: advisories, touched: map[string]*engine.Difference{}, described: map[string]map[int64]struct{}{}}
	by, err := p.Store.Setting(ctx, matcherKey)
	if tidewaiter.KindOf(err) == tidewaiter.ErrNotFound || err == nil && by != engine.MatcherVersion {
		return m, nil // another matcher may say something else of every package
	}
	if err != nil {
		return nil, err
	}
	versions, err := p.Store.MatchedVersions(ctx, advisories)
	if err != nil {
		return nil, err
	}
	for _, from := range versions {
		d, err := p.difference(ctx, from, advisories)
		if err != nil {
			return nil, err
		}
		if d == nil || d.Everything() {
			continue
		}
		if m.described[from], err = p.Store.PackagesWithVulnerabilities(ctx, d.Vulnerabilities()); err != nil {
			return nil, err
		}
		m.touched[from] = d
	}
	return m, nil
}

// difference returns what differs between two versions of the advisories; nil when nobody knows.
func (p *Pipeline) difference(ctx context.Context, from, to string) (*engine.Difference, error) {
	docs, err := p.Store.AdvisoryChanges(ctx, from, to)
	if err != nil {
		return nil, err
	}
	var sum *engine.Difference
	for _, doc := range docs {
		d := &engine.Difference{}
		if err := json.Unmarshal(doc, d); err != nil {
			return nil, tidewaiter.Errorf(tidewaiter.ErrMalformed, "what changed in the advisories cannot be read: %w", err)
		}
		if sum == nil {
			sum = d
		} else {
			sum.Add(d)
		}
	}
	return sum, nil
}

// SaveDifference keeps what differs between two versions of the advisories, for the job that brings the fleet to the second.
func SaveDifference(ctx context.Context, tx *store.Tx, before, after string, d *engine.Difference, now time.Time) error {
	doc, err := json.Marshal(d)
	if err != nil {
		return fmt.Errorf("what changed in the advisories: %w", err)
	}
	return tx.SaveAdvisoryChange(ctx, before, after, doc, now)
}

// touches reports whether a package has to be looked up.
func (m *rematch) touches(p *store.StalePackage) bool {
	d := m.touched[p.Matched]
	if d == nil || d.Touches(p.Package) {
		return true
	}
	_, described := m.described[p.Matched][p.ID]
	return described
}

// next does one batch.
func (m *rematch) next(ctx context.Context) (more bool, err error) {
	list, err := m.Store.StalePackages(ctx, m.advisories, m.after, staleBatch)
	if err != nil {
		return false, err
	}
	if len(list) == 0 {
		if err := m.flush(ctx); err != nil {
			return false, err
		}
		return false, m.Store.Update(ctx, func(tx *store.Tx) error { return tx.PutSetting(ctx, matcherKey, engine.MatcherVersion, m.Now()) })
	}
	var same []int64
	for i := range list {
		if m.touches(&list[i]) {
			m.pending = append(m.pending, list[i].Package)
		} else {
			same = append(same, list[i].ID)
		}
	}
	if len(same) > 0 {
		if err := m.Store.Update(ctx, func(tx *store.Tx) error {
			if err := m.underAdvisories(ctx, tx, m.advisories); err != nil {
				return err
			}
			return tx.MarkMatched(ctx, m.advisories, same)
		}); err != nil {
			return false, err
		}
	}
	m.after = list[len(list)-1].ID
	for len(m.pending) >= matchBatch {
		if err := m.lookUp(ctx, matchBatch); err != nil {
			return false, err
		}
	}
	return true, nil
}

// flush looks up what is pending.
func (m *rematch) flush(ctx context.Context) error { return m.lookUp(ctx, len(m.pending)) }

func (m *rematch) lookUp(ctx context.Context, n int) error {
	if n == 0 {
		return nil
	}
	ids, packages := make([]int64, n), make(map[int64]*tidewaiter.Package, n)
	for i, p := range m.pending[:n] {
		ids[i], packages[p.ID] = p.ID, p
	}
	if _, err := m.matchPackages(ctx, ids, packages); err != nil {
		return err
	}
	m.looked += n
	m.pending = append(m.pending[:0], m.pending[n:]...)
	return nil
}
