package control

import (
	"context"

	"github.com/tidewaiter/tidewaiter/internal/secret"
	"github.com/tidewaiter/tidewaiter/internal/store"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// Declaration is one registry with, where it has one, a login that belongs to it alone. Both are stored or neither.
type Declaration struct {
	Registry *tidewaiter.Registry // with an ID it replaces that registry, without it is a new one

	// Credential is stored under the registry's own ID and its ID is set to that. nil leaves Registry.CredentialID as it is.
	Credential *tidewaiter.Credential
	Secret     *secret.Value // nil keeps the secret stored before

	// Clash reports as an error why the registry cannot be beside another one of its origin. It is asked inside the
	// transaction, so that two callers cannot both be first. May be nil.
	Clash func(other *tidewaiter.Registry) error
	Scan  bool // scan it at once
}

// Declare stores a registry together with its login and returns it as stored. Errors: what Clash says; ErrNotFound for an ID
// that is not there; ErrInvalid for what cannot be stored.
func (c *Control) Declare(ctx context.Context, d Declaration) (*tidewaiter.Registry, error) {
	r := *d.Registry
	err := c.store.Update(ctx, func(tx *store.Tx) error {
		if err := tx.LockOrigin(ctx, r.Origin); err != nil {
			return err
		}
		others, err := tx.RegistriesOf(ctx, r.Origin)
		if err != nil {
			return err
		}
		for _, other := range others {
			if d.Clash == nil || other.ID == d.Registry.ID {
				continue
			}
			if err := d.Clash(other); err != nil {
				return err
			}
		}
		if d.Registry.ID == "" {
			if len(others) >= MaxRegistries {
				return tidewaiter.Invalid("registries", "there are %d registries already, the limit is %d", len(others), MaxRegistries)
			}
			r.ID, r.CreatedAt, r.Position = c.newID(), c.now(), len(others)
		}
		r.UpdatedAt = c.now()
		return c.declare(ctx, tx, &r, d)
	})
	return &r, err
}

// declare writes what Declare has prepared, in its transaction.
func (c *Control) declare(ctx context.Context, tx *store.Tx, r *tidewaiter.Registry, d Declaration) error {
	if d.Credential != nil {
		d.Credential.ID = r.ID
		r.CredentialID = r.ID
		if err := c.putOwnCredential(ctx, tx, d.Credential, d.Secret); err != nil {
			return err
		}
	}
	if err := c.checkDrafts(ctx, tx, []*tidewaiter.Registry{r}); err != nil {
		return err
	}
	if d.Registry.ID != "" {
		if err := tx.UpdateRegistries(ctx, []*tidewaiter.Registry{r}); err != nil {
			return err
		}
		return c.audit(ctx, tx, "registry.update", r.ID, r.URL)
	}
	if err := tx.InsertRegistries(ctx, []*tidewaiter.Registry{r}); err != nil {
		return err
	}
	if d.Scan {
		if err := c.startScans(ctx, tx, []*tidewaiter.Registry{r}, ScanRequest{Lane: tidewaiter.LaneFresh}); err != nil {
			return err
		}
	}
	return c.audit(ctx, tx, "registry.add", r.ID, r.URL)
}

// putOwnCredential stores the login of one registry.
func (c *Control) putOwnCredential(ctx context.Context, tx *store.Tx, cred *tidewaiter.Credential, plain *secret.Value) error {
	cred.CreatedAt, cred.UpdatedAt, cred.Owner = c.now(), c.now(), ActorFrom(ctx)
	old, err := tx.Credential(ctx, cred.ID)
	switch {
	case err == nil:
		cred.CreatedAt, cred.Sealed = old.CreatedAt, old.Sealed
	case tidewaiter.KindOf(err) != tidewaiter.ErrNotFound:
		return err
	}
	if plain != nil {
		if cred.Sealed, err = c.keyring.Seal([]byte(plain.Reveal()), cred.ID); err != nil {
			return err
		}
	}
	if err := tx.PutCredential(ctx, cred); err != nil {
		return err
	}
	return c.audit(ctx, tx, "credential.put", cred.ID, string(cred.Kind))
}
