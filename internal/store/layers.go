package store

import (
	"context"
	"time"

	"github.com/uptrace/bun"

	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// LayerState is how far a layer's analysis is.
type LayerState string

// The layer states.
const (
	LayerPending LayerState = "pending"
	LayerDone    LayerState = "done"
	LayerFailed  LayerState = "failed"
)

type layerRow struct {
	bun.BaseModel `bun:"table:layers,alias:l"`

	DiffID    string `bun:"diff_id"`
	Analyzer  string
	State     string
	CreatedAt int64
}

type waitRow struct {
	bun.BaseModel `bun:"table:image_waits"`

	ImageID    int64
	DiffID     string `bun:"diff_id"`
	Analyzer   string
	RegistryID string
	Repository string
	Digest     string
	MediaType  string
	Size       int64
}

// lockLayers makes sure that the layers have rows, locks these in the order of diffIDs and returns their states. A layer
// that failed gets a fresh attempt: it is pending again.
func (tx *Tx) lockLayers(ctx context.Context, diffIDs []string, analyzer string, now int64) (map[string]LayerState, error) {
	states := make(map[string]LayerState, len(diffIDs))
	err := inChunks(distinct(diffIDs), func(part []string) error {
		list := make([]layerRow, len(part))
		for i, id := range part {
			list[i] = layerRow{DiffID: id, Analyzer: analyzer, State: string(LayerPending), CreatedAt: now}
		}
		var found []layerRow
		// The update takes the row's lock whether or not it changes anything.
		err := tx.insert(&list).On("conflict (diff_id, analyzer) do update").
			Set("state = case when l.state = 'failed' then 'pending' else l.state end").
			Set("lease_until = case when l.state = 'failed' then 0 else l.lease_until end").
			Returning("diff_id, state").Scan(ctx, &found)
		for _, row := range found {
			states[row.DiffID] = LayerState(row.State)
		}
		return err
	})
	return states, err
}

// LayerDone stores a layer's analysis and returns the images whose last outstanding layer it was: of all callers,
// however many layers of an image are done at the same time, exactly one gets the image. A layer that is done already
// keeps its analysis.
func (tx *Tx) LayerDone(ctx context.Context, diffID, analyzer string, a *tidewaiter.Analysis, now time.Time) (ready []int64, err error) {
	doc, err := tx.codec.packJSON(a)
	if err != nil {
		return nil, err
	}
	// The layer's row is locked from here on: an image that comes to wait for it has done so before, and its wait is
	// seen below, or comes after and sees the layer done.
	if _, err := tx.exec(ctx, `insert into layers as l (diff_id, analyzer, state, analysis, files, bytes, created_at, analyzed_at)
			values (?, ?, 'done', ?, ?, ?, ?, ?)
			on conflict (diff_id, analyzer) do update set state = 'done', error_kind = '', error = '', owner = '', lease_until = 0,
				analysis = case when l.state = 'done' then l.analysis else excluded.analysis end,
				files = case when l.state = 'done' then l.files else excluded.files end,
				bytes = case when l.state = 'done' then l.bytes else excluded.bytes end,
				analyzed_at = case when l.state = 'done' then l.analyzed_at else excluded.analyzed_at end`,
		text(diffID), analyzer, doc, a.Files, a.Bytes, micros(now), micros(now)); err != nil {
		return nil, fail(err, "store the analysis of layer %s", diffID)
	}
	waited, err := tx.endWaits(ctx, diffID, analyzer, "")
	if err != nil {
		return nil, fail(err, "store the analysis of layer %s", diffID)
	}
	err = inChunks(waited, func(part []int64) error {
		if err := tx.lockImages(ctx, part); err != nil {
			return err
		}
		if _, err := tx.exec(ctx, "update images set waiting = waiting - 1 where id in (?)", bun.List(part)); err != nil {
			return err
		}
		found, err := rows[int64](ctx, tx.Reader, "select id from images where id in (?) and waiting = 0 order by id", bun.List(part))
		ready = append(ready, found...)
		return err
	})
	return ready, fail(err, "store the analysis of layer %s", diffID)
}

// endWaits deletes who waits for a layer, by way of one registry or, with "", of any, and returns the images that did, in
// ascending order.
func (tx *Tx) endWaits(ctx context.Context, diffID, analyzer, registryID string) ([]int64, error) {
	waited, err := rows[int64](ctx, tx.Reader, `delete from image_waits where diff_id = ? and analyzer = ?
		and ? in ('', registry_id) returning image_id`, text(diffID), analyzer, registryID)
	return distinct(waited), err
}

func (tx *Tx) lockImages(ctx context.Context, ids []int64) error {
	if tx.dialect == SQLite {
		return nil
	}
	_, err := rows[int64](ctx, tx.Reader, "select id from images where id in (?) order by id for update", bun.List(ids))
	return err
}

// LayerSource is a place a layer can be had from.
type LayerSource struct {
	RegistryID string
	Repository string
	tidewaiter.Descriptor
}

// LayerSources returns where a layer that somebody waits for can be had from, each place once, at most 100. It is empty
// when nobody waits any more.
func (r *Reader) LayerSources(ctx context.Context, diffID, analyzer string) ([]LayerSource, error) {
	found, err := rows[waitRow](ctx, r, `select distinct registry_id, repository, digest, media_type, size from image_waits
		where diff_id = ? and analyzer = ? order by registry_id, repository, digest limit 100`, text(diffID), analyzer)
	if err != nil {
		return nil, fail(err, "find sources of layer %s", diffID)
	}
	out := make([]LayerSource, len(found))
	for i, row := range found {
		out[i] = LayerSource{
			RegistryID: row.RegistryID, Repository: row.Repository,
			Descriptor: tidewaiter.Descriptor{MediaType: row.MediaType, Digest: row.Digest, Size: row.Size},
		}
	}
	return out, nil
}

// Lease is the answer to asking for a layer.
type Lease string

// The answers.
const (
	LeaseGranted Lease = "granted"
	LeaseTaken   Lease = "taken" // another owner has it and his lease has not run out
	LeaseDone    Lease = "done"  // nothing to do: the layer is done, has failed for good, or nobody ever asked for it
)

// LeaseLayer reserves a pending layer for owner until the given time. The same owner may lease again, which prolongs.
func (tx *Tx) LeaseLayer(ctx context.Context, diffID, analyzer, owner string, until, now time.Time) (Lease, error) {
	n, err := tx.exec(ctx, `update layers set owner = ?, lease_until = ? where diff_id = ? and analyzer = ?
			and state = 'pending' and (owner in ('', ?) or lease_until <= ?)`,
		owner, micros(until), text(diffID), analyzer, owner, micros(now))
	if err != nil {
		return "", fail(err, "lease layer %s", diffID)
	}
	if n > 0 {
		return LeaseGranted, nil
	}
	state, err := tx.LayerState(ctx, diffID, analyzer)
	switch {
	case err == nil && state == LayerPending:
		return LeaseTaken, nil
	case err == nil, tidewaiter.KindOf(err) == tidewaiter.ErrNotFound:
		return LeaseDone, nil
	}
	return "", err
}

// ReleaseLayer gives a lease back before it runs out, so that another may try at once.
func (tx *Tx) ReleaseLayer(ctx context.Context, diffID, analyzer, owner string) error {
	_, err := tx.exec(ctx, `update layers set owner = '', lease_until = 0
			where diff_id = ? and analyzer = ? and owner = ? and state = 'pending'`, text(diffID), analyzer, owner)
	return fail(err, "release layer %s", diffID)
}

// ReleaseLeases gives back the leases of owners who are dead. Owners without any are passed over.
func (tx *Tx) ReleaseLeases(ctx context.Context, owners []string) error {
	return fail(inChunks(distinct(owners), func(part []string) error {
		_, err := tx.exec(ctx, "update layers set owner = '', lease_until = 0 where owner <> '' and owner in (?) and state = 'pending'",
			bun.List(part))
		return err
	}), "release the leases of the dead")
}

// LayerState returns how far a layer's analysis by an analyzer is; ErrNotFound when nobody ever asked for it.
func (r *Reader) LayerState(ctx context.Context, diffID, analyzer string) (LayerState, error) {
	s, err := scalar[string](ctx, r, "select state from layers where diff_id = ? and analyzer = ?", text(diffID), analyzer)
	return LayerState(s), fail(err, "layer %s", diffID)
}

// Analyses returns the analyses of layers in the order of diffIDs, the same one again where a diffID repeats. One that
// is missing or not done is ErrNotFound.
func (r *Reader) Analyses(ctx context.Context, diffIDs []string, analyzer string) ([]*tidewaiter.Analysis, error) {
	type row struct {
		DiffID   string `bun:"diff_id"`
		Analysis []byte
	}
	byID := make(map[string]*tidewaiter.Analysis, len(diffIDs))
	err := inChunks(distinct(diffIDs), func(part []string) error {
		found, err := rows[row](ctx, r, "select diff_id, analysis from layers where diff_id in (?) and analyzer = ? and state = 'done'",
			bun.List(part), analyzer)
		for _, row := range found {
			a := new(tidewaiter.Analysis)
			if err := r.codec.unpackJSON(row.Analysis, a); err != nil {
				return err
			}
			byID[row.DiffID] = a
		}
		return err
	})
	if err != nil {
		return nil, fail(err, "read analyses")
	}
	out := make([]*tidewaiter.Analysis, len(diffIDs))
	for i, id := range diffIDs {
		if out[i] = byID[id]; out[i] == nil {
			return nil, tidewaiter.Errorf(tidewaiter.ErrNotFound, "layer %s: no analysis by this analyzer", id)
		}
	}
	return out, nil
}
