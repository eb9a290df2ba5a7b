package store

import (
	"context"
	"strconv"
	"time"

	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// Policy returns the policy of a kind. One that was never stored is ErrNotFound.
func (r *Reader) Policy(ctx context.Context, kind tidewaiter.PolicyKind) (*tidewaiter.Policy, error) {
	doc, err := scalar[string](ctx, r, "select doc from policies where kind = ?", string(kind))
	if err != nil {
		return nil, fail(err, "policy %s", kind)
	}
	p := new(tidewaiter.Policy)
	return p, fromText(doc, p)
}

// PutPolicy stores a policy in place of the one of its kind.
func (tx *Tx) PutPolicy(ctx context.Context, p *tidewaiter.Policy) error {
	doc, err := jsonText(p)
	if err != nil {
		return err
	}
	_, err = tx.exec(ctx, `insert into policies (kind, doc, updated_at) values (?, ?, ?)
		on conflict (kind) do update set doc = excluded.doc, updated_at = excluded.updated_at`, string(p.Kind), doc, micros(p.UpdatedAt))
	return fail(err, "store policy %s", p.Kind)
}

// Collections returns all collections by name.
func (r *Reader) Collections(ctx context.Context) ([]*tidewaiter.Collection, error) {
	docs, err := rows[string](ctx, r, "select doc from collections order by name")
	if err != nil {
		return nil, fail(err, "list collections")
	}
	out := make([]*tidewaiter.Collection, len(docs))
	for i, doc := range docs {
		out[i] = new(tidewaiter.Collection)
		if err := fromText(doc, out[i]); err != nil {
			return nil, err
		}
		if string(out[i].Declaration) == "null" {
			out[i].Declaration = nil // what JSON makes of none
		}
	}
	return out, nil
}

// PutCollection stores a collection in place of the one with its name.
func (tx *Tx) PutCollection(ctx context.Context, c *tidewaiter.Collection) error {
	doc, err := jsonText(c)
	if err != nil {
		return err
	}
	_, err = tx.exec(ctx, `insert into collections (name, doc, updated_at) values (?, ?, ?)
		on conflict (name) do update set doc = excluded.doc, updated_at = excluded.updated_at`, text(c.Name), doc, micros(c.Modified))
	return fail(err, "store collection %s", strconv.Quote(c.Name))
}

// DeleteCollection removes a collection; ErrNotFound when there is none of that name.
func (tx *Tx) DeleteCollection(ctx context.Context, name string) error {
	res, err := tx.raw("delete from collections where name = ?", text(name)).Exec(ctx)
	return fail(one(res, err), "delete collection %s", strconv.Quote(name))
}

// Setting returns the value of a setting, or ErrNotFound.
func (r *Reader) Setting(ctx context.Context, key string) (string, error) {
	value, err := scalar[string](ctx, r, "select value from settings where key = ?", key)
	return value, fail(err, "setting %s", key)
}

// Settings returns the values of all settings whose key begins with a prefix, by key.
func (r *Reader) Settings(ctx context.Context, prefix string) (map[string]string, error) {
	type row struct{ Key, Value string }
	found, err := rows[row](ctx, r, "select key, value from settings where substr(key, 1, ?) = ?", len([]rune(prefix)), prefix)
	out := make(map[string]string, len(found))
	for _, row := range found {
		out[row.Key] = row.Value
	}
	return out, fail(err, "read settings")
}

// PutSetting stores a setting in place of the one with the same key.
func (tx *Tx) PutSetting(ctx context.Context, key, value string, now time.Time) error {
	_, err := tx.exec(ctx, `insert into settings (key, value, updated_at) values (?, ?, ?)
		on conflict (key) do update set value = excluded.value, updated_at = excluded.updated_at`, key, value, micros(now))
	return fail(err, "store setting %s", key)
}

// DeleteSetting removes a setting; one that is not there is passed over.
func (tx *Tx) DeleteSetting(ctx context.Context, key string) error {
	_, err := tx.exec(ctx, "delete from settings where key = ?", key)
	return fail(err, "delete setting %s", key)
}
