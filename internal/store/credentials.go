package store

import (
	"context"
	"strconv"

	"github.com/uptrace/bun"

	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

type credentialRow struct {
	bun.BaseModel `bun:"table:credentials,alias:c"`

	ID          string `bun:",pk"`
	Kind        string
	Name        string
	Username    string
	Sealed      []byte
	Origin      string
	Settings    string
	Declaration string
	Owner       string
	CreatedAt   int64
	UpdatedAt   int64
}

func (row *credentialRow) credential() (*tidewaiter.Credential, error) {
	c := &tidewaiter.Credential{
		ID: row.ID, Kind: tidewaiter.CredentialKind(row.Kind), Name: row.Name, Username: row.Username, Sealed: row.Sealed,
		Origin: tidewaiter.Origin(row.Origin), Owner: row.Owner, CreatedAt: timeOf(row.CreatedAt), UpdatedAt: timeOf(row.UpdatedAt),
	}
	if row.Declaration != "" {
		c.Declaration = []byte(row.Declaration)
	}
	return c, fromText(row.Settings, &c.Settings)
}

// PutCredential stores a credential, in place of the one with the same id if there is one; CreatedAt of that one stays.
func (tx *Tx) PutCredential(ctx context.Context, c *tidewaiter.Credential) error {
	settings, err := jsonText(c.Settings)
	if err != nil {
		return err
	}
	row := credentialRow{
		ID: c.ID, Kind: string(c.Kind), Name: text(c.Name), Username: text(c.Username), Sealed: c.Sealed, Origin: string(c.Origin),
		Settings: settings, Declaration: text(string(c.Declaration)), Owner: text(c.Owner),
		CreatedAt: micros(c.CreatedAt), UpdatedAt: micros(c.UpdatedAt),
	}
	q := tx.insert(&row).On("conflict (id) do update")
	for _, column := range []string{"kind", "name", "username", "sealed", "origin", "settings", "declaration", "owner", "updated_at"} {
		q = q.Set("? = excluded.?", bun.Ident(column), bun.Ident(column))
	}
	_, err = q.Exec(ctx)
	return fail(err, "store credential %s", strconv.Quote(c.ID))
}

// Credential returns one credential, or ErrNotFound.
func (r *Reader) Credential(ctx context.Context, id string) (*tidewaiter.Credential, error) {
	var row credentialRow
	if err := r.selectFrom(&row).Where("c.id = ?", text(id)).Scan(ctx); err != nil {
		return nil, fail(err, "credential %s", strconv.Quote(id))
	}
	return row.credential()
}

// CredentialFilter chooses credentials; what is zero does not restrict.
type CredentialFilter struct {
	IDs    []string
	Kind   tidewaiter.CredentialKind
	Origin tidewaiter.Origin
	Page
}

// Credentials returns a page of credentials by id, and the cursor of the next page.
func (r *Reader) Credentials(ctx context.Context, f CredentialFilter) ([]*tidewaiter.Credential, string, error) {
	after, err := cursorOf(f.Page, "credentials")
	if err != nil {
		return nil, "", err
	}
	var found []credentialRow
	q := r.selectFrom(&found)
	if f.IDs != nil {
		q = whereIn(q, "c.id", f.IDs)
	}
	if f.Kind != "" {
		q = q.Where("c.kind = ?", string(f.Kind))
	}
	if f.Origin != "" {
		q = q.Where("c.origin = ?", string(f.Origin))
	}
	if after != nil {
		q = q.Where("c.id > ?", after.Text)
	}
	if err := q.OrderExpr("c.id").Apply(f.window).Scan(ctx); err != nil {
		return nil, "", fail(err, "list credentials")
	}
	found, next := cut(found, f.Page, func(row credentialRow) cursor { return cursor{Order: "credentials", Text: row.ID} })
	out := make([]*tidewaiter.Credential, len(found))
	for i := range found {
		if out[i], err = found[i].credential(); err != nil {
			return nil, "", err
		}
	}
	return out, next, nil
}

// DeleteCredential removes a credential. One that a registry uses is ErrConflict, one that does not exist ErrNotFound.
func (tx *Tx) DeleteCredential(ctx context.Context, id string) error {
	id = text(id)
	used, err := scalar[int](ctx, tx.Reader, "select count(*) from registries where credential_id = ?", id)
	if err != nil {
		return fail(err, "delete credential %s", strconv.Quote(id))
	}
	if used > 0 {
		return tidewaiter.Errorf(tidewaiter.ErrConflict, "credential %s is used by %d registries", strconv.Quote(id), used).
			WithFix("give these registries another credential first")
	}
	return fail(one(tx.raw("delete from credentials where id = ?", id).Exec(ctx)), "delete credential %s", strconv.Quote(id))
}

// CredentialUsages returns the registries that use a credential, in the order of name and id.
func (r *Reader) CredentialUsages(ctx context.Context, id string) ([]*tidewaiter.Registry, error) {
	var rows []registryRow
	if err := r.selectFrom(&rows).Where("r.credential_id = ?", text(id)).OrderExpr("r.name, r.id").Scan(ctx); err != nil {
		return nil, fail(err, "list the registries that use credential %s", strconv.Quote(id))
	}
	return registriesOf(rows)
}
