package control

import (
	"context"
	"fmt"

	"github.com/tidewaiter/tidewaiter/internal/secret"
	"github.com/tidewaiter/tidewaiter/internal/store"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// PutCredential stores a credential under its ID, new or not. plain is what to seal; nil keeps the secret stored before.
// It never returns or logs the secret.
func (c *Control) PutCredential(ctx context.Context, cred *tidewaiter.Credential, plain *secret.Value) error {
	if cred.ID == "" {
		return tidewaiter.Invalid("id", "the credential needs an id")
	}
	return c.store.Update(ctx, func(tx *store.Tx) error {
		cred.CreatedAt, cred.UpdatedAt = c.now(), c.now()
		old, err := tx.Credential(ctx, cred.ID)
		switch {
		case err == nil:
			cred.CreatedAt = old.CreatedAt
			cred.Sealed = old.Sealed
		case tidewaiter.KindOf(err) != tidewaiter.ErrNotFound:
			return err
		}
		if plain != nil {
			if cred.Sealed, err = c.keyring.Seal([]byte(plain.Reveal()), cred.ID); err != nil {
				return err
			}
		}
		cred.Owner = ActorFrom(ctx)
		if err := tx.PutCredential(ctx, cred); err != nil {
			return err
		}
		return c.audit(ctx, tx, "credential.put", cred.ID, string(cred.Kind))
	})
}

// DeleteCredential removes a credential that no registry uses. Errors: ErrNotFound; ErrConflict when it is in use.
func (c *Control) DeleteCredential(ctx context.Context, id string) error {
	return c.store.Update(ctx, func(tx *store.Tx) error {
		if _, err := tx.Credential(ctx, id); err != nil {
			return err
		}
		n, err := tx.CountRegistries(ctx, store.RegistryFilter{CredentialID: id})
		if err != nil {
			return err
		}
		if n > 0 {
			return tidewaiter.Errorf(tidewaiter.ErrConflict, "credential %s is used by %d registries", id, n).
				WithFix("give those registries another credential first")
		}
		if err := tx.DeleteCredential(ctx, id); err != nil {
			return err
		}
		return c.audit(ctx, tx, "credential.delete", id, "")
	})
}

// openCredential returns a stored credential and its secret in the clear.
func (c *Control) openCredential(ctx context.Context, id string) (*tidewaiter.Credential, secret.Value, error) {
	if id == "" {
		return nil, secret.Value{}, nil
	}
	cred, err := c.store.Credential(ctx, id)
	if err != nil {
		return nil, secret.Value{}, err
	}
	if len(cred.Sealed) == 0 {
		return cred, secret.Value{}, nil
	}
	plain, err := c.keyring.Open(cred.Sealed, cred.ID)
	if err != nil {
		return nil, secret.Value{}, fmt.Errorf("open credential %s: %w", id, err)
	}
	return cred, plain, nil
}
