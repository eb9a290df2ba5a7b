package store

import (
	"context"
	"hash/fnv"
	"strconv"

	"github.com/uptrace/bun"

	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// InsertRegistries stores new registries, any number at once. An id that exists already is ErrConflict and nothing is
// stored.
func (tx *Tx) InsertRegistries(ctx context.Context, registries []*tidewaiter.Registry) error {
	rows, err := registryRows(registries)
	if err != nil {
		return err
	}
	return fail(inChunks(rows, func(part []registryRow) error {
		_, err := tx.insert(&part).Exec(ctx)
		return err
	}), "store registries")
}

// UpdateRegistries replaces stored registries by id, any number at once; CreatedAt and PausedAt stay as they are stored. One that does
// not exist is ErrNotFound and nothing is changed.
func (tx *Tx) UpdateRegistries(ctx context.Context, registries []*tidewaiter.Registry) error {
	rows, err := registryRows(registries)
	if err != nil {
		return err
	}
	return fail(inChunks(rows, func(part []registryRow) error {
		ids := make([]string, len(part))
		for i := range part {
			ids[i] = part[i].ID
		}
		n, err := scalar[int](ctx, tx.Reader, "select count(*) from registries where id in (?)", bun.List(ids))
		if err != nil {
			return err
		}
		if n != len(distinct(ids)) {
			return tidewaiter.Errorf(tidewaiter.ErrNotFound, "%d of the registries do not exist", len(ids)-n)
		}
		// An insert that always conflicts is the one form of bulk update both databases understand.
		q := tx.insert(&part).On("conflict (id) do update")
		for _, column := range []string{"name", "kind", "url", "host", "origin", "position", "credential_id", "tls", "scope",
			"schedule", "scheduled", "parallel", "settings", "labels", "declaration", "declaration_hash", "updated_at"} {
			q = q.Set("? = excluded.?", bun.Ident(column), bun.Ident(column))
		}
		_, err = q.Exec(ctx)
		return err
	}), "update registries")
}

// DeleteRegistries removes registries with their scans and what ties tags to them, any number at once. Tags and images
// stay until retention takes them; a tag no other registry has in scope counts as gone from now on. Ids that do not
// exist are passed over.
func (tx *Tx) DeleteRegistries(ctx context.Context, ids []string) error {
	now := micros(tx.now())
	return fail(inChunks(distinct(ids), func(part []string) error {
		tags, err := rows[int64](ctx, tx.Reader,
			"select distinct tag_id from registry_tags where registry_id in (?) order by tag_id", bun.List(part))
		if err != nil {
			return err
		}
		if _, err := tx.exec(ctx, "delete from registry_tags where registry_id in (?)", bun.List(part)); err != nil {
			return err
		}
		if _, err := tx.markGone(ctx, tags, now); err != nil {
			return err
		}
		_, err = tx.exec(ctx, "delete from registries where id in (?)", bun.List(part))
		return err
	}), "delete registries")
}

// LockOrigin makes other transactions that lock the same origin wait until this one ends, so that two replacements of a
// surface's registries happen one after the other.
func (tx *Tx) LockOrigin(ctx context.Context, origin tidewaiter.Origin) error {
	if tx.dialect == SQLite {
		return nil // there is one writer anyway
	}
	h := fnv.New64a()
	_, _ = h.Write([]byte("tidewaiter origin " + origin))
	_, err := tx.exec(ctx, "select pg_advisory_xact_lock(?)", int64(h.Sum64()))
	return fail(err, "lock the registries of origin %s", origin)
}

// Registry returns one registry, or ErrNotFound.
func (r *Reader) Registry(ctx context.Context, id string) (*tidewaiter.Registry, error) {
	var row registryRow
	if err := r.selectFrom(&row).Where("r.id = ?", text(id)).Scan(ctx); err != nil {
		return nil, fail(err, "registry %s", strconv.Quote(id))
	}
	return row.registry()
}

// RegistryFilter chooses registries; what is zero does not restrict.
type RegistryFilter struct {
	IDs    []string
	Origin tidewaiter.Origin
	Kind   tidewaiter.RegistryKind
	Host   string // as HostOf writes it
	URL    string // exactly
	Name   string // exactly
	// CredentialID chooses the registries that use a credential.
	CredentialID string
	Page
}

func (f RegistryFilter) apply(q *bun.SelectQuery) *bun.SelectQuery {
	if f.IDs != nil {
		q = whereIn(q, "r.id", f.IDs)
	}
	for column, value := range map[string]string{
		"origin": string(f.Origin), "kind": string(f.Kind), "host": f.Host, "url": f.URL, "name": f.Name,
		"credential_id": f.CredentialID,
	} {
		if value != "" {
			q = q.Where("r.? = ?", bun.Ident(column), text(value))
		}
	}
	return q
}

// whereIn restricts a column to some values; none lets nothing through.
func whereIn[S ~string](q *bun.SelectQuery, column string, values []S) *bun.SelectQuery {
	if len(values) == 0 {
		return q.Where("1 = 0")
	}
	return q.Where("? in (?)", bun.Safe(column), list(values))
}

// Registries returns a page of registries in the order they were declared, by origin, position and id, and the cursor
// of the next page.
func (r *Reader) Registries(ctx context.Context, f RegistryFilter) ([]*tidewaiter.Registry, string, error) {
	after, err := cursorOf(f.Page, "registries")
	if err != nil {
		return nil, "", err
	}
	var rows []registryRow
	q := f.apply(r.selectFrom(&rows))
	if after != nil {
		origin, id, ok := splitPair(after.Text)
		if !ok {
			return nil, "", tidewaiter.Invalid("after", "not a cursor of this list")
		}
		q = q.Where("(r.origin, r.position, r.id) > (?, ?, ?)", origin, after.Num, id)
	}
	if err := q.OrderExpr("r.origin, r.position, r.id").Apply(f.window).Scan(ctx); err != nil {
		return nil, "", fail(err, "list registries")
	}
	rows, next := cut(rows, f.Page, func(row registryRow) cursor {
		return cursor{Order: "registries", Text: joinPair(row.Origin, row.ID), Num: row.Position}
	})
	out, err := registriesOf(rows)
	return out, next, err
}

// RegistriesOf returns all registries of an origin, or of every origin when it is "", in the order of Registries.
func (r *Reader) RegistriesOf(ctx context.Context, origin tidewaiter.Origin) ([]*tidewaiter.Registry, error) {
	var rows []registryRow
	if err := (RegistryFilter{Origin: origin}).apply(r.selectFrom(&rows)).OrderExpr("r.origin, r.position, r.id").Scan(ctx); err != nil {
		return nil, fail(err, "list the registries of origin %s", strconv.Quote(string(origin)))
	}
	return registriesOf(rows)
}

// CountRegistries returns how many registries the filter chooses, whatever its page.
func (r *Reader) CountRegistries(ctx context.Context, f RegistryFilter) (int, error) {
	n, err := f.apply(r.selectFrom((*registryRow)(nil))).Count(ctx)
	return int(n), fail(err, "count registries")
}

// RegistriesWithSchedule returns every registry that is scanned by itself, in the order of position and id.
func (r *Reader) RegistriesWithSchedule(ctx context.Context) ([]*tidewaiter.Registry, error) {
	var rows []registryRow
	if err := r.selectFrom(&rows).Where("r.scheduled").OrderExpr("r.position, r.id").Scan(ctx); err != nil {
		return nil, fail(err, "list scheduled registries")
	}
	return registriesOf(rows)
}
