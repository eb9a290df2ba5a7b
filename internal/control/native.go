package control

import (
	"context"
	"errors"
	"strings"

	"github.com/tidewaiter/tidewaiter/internal/secret"
	"github.com/tidewaiter/tidewaiter/internal/store"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// Limits on what is declared through our own API, beside those every declaration has.
const (
	maxName     = 256
	maxSettings = 64
	maxSetting  = 4096
	maxSecret   = 1 << 20
)

// CheckDraft reports the first thing wrong with a registry that is not stored yet, as an ErrInvalid that names the field.
func (c *Control) CheckDraft(r *tidewaiter.Registry) error {
	if err := checkKind(r); err != nil {
		return err
	}
	if len(r.Name) > maxName {
		return tidewaiter.Invalid("name", "the name is longer than %d characters", maxName)
	}
	if r.Parallel < 0 {
		return tidewaiter.Invalid("parallel", "the number of jobs at once must not be negative").WithFix("0 leaves it to the budget")
	}
	if err := checkSettings(r.Settings); err != nil {
		return err
	}
	return validateRegistry(r)
}

func checkSettings(settings map[string]string) error {
	if len(settings) > maxSettings {
		return tidewaiter.Invalid("settings", "there are more than %d settings", maxSettings)
	}
	for key, value := range settings {
		if len(key) > maxName || len(value) > maxSetting {
			return tidewaiter.Invalid("settings", "a setting is longer than %d characters", maxSetting)
		}
	}
	return nil
}

// DeclareRegistry stores a registry declared through our own API and, with scan, scans it. It returns it as stored. Errors:
// ErrInvalid with the field; ErrNotFound for an unknown credential; ErrConflict when another has its name.
func (c *Control) DeclareRegistry(ctx context.Context, draft *tidewaiter.Registry, scan bool) (*tidewaiter.Registry, error) {
	r := *draft
	r.Origin, r.Declaration = tidewaiter.OriginNative, nil
	if err := c.CheckDraft(&r); err != nil {
		return nil, err
	}
	if err := c.nameFree(ctx, &r); err != nil {
		return nil, err
	}
	stored, err := c.AddRegistry(ctx, &r, scan)
	if err != nil {
		return nil, bare(err)
	}
	return c.store.Registry(ctx, stored.ID)
}

// RedeclareRegistry replaces what our own API has declared, and keeps its results and history. With scan it is scanned when it means
// something else than before. Errors as DeclareRegistry; ErrConflict also when another API has declared it.
func (c *Control) RedeclareRegistry(ctx context.Context, id string, draft *tidewaiter.Registry, scan bool) (*tidewaiter.Registry, error) {
	old, err := c.ownRegistry(ctx, id)
	if err != nil {
		return nil, err
	}
	r := *draft
	r.ID, r.Origin, r.Position, r.CreatedAt, r.Declaration = old.ID, old.Origin, old.Position, old.CreatedAt, old.Declaration
	r.PausedAt = old.PausedAt
	if err := c.CheckDraft(&r); err != nil {
		return nil, err
	}
	if err := c.nameFree(ctx, &r); err != nil {
		return nil, err
	}
	if err := c.UpdateRegistry(ctx, &r); err != nil {
		return nil, bare(err)
	}
	if scan && fingerprint(old) != fingerprint(&r) {
		if _, err := c.StartScan(ctx, r.ID, ScanRequest{Lane: tidewaiter.LaneFresh}); err != nil {
			return nil, err
		}
	}
	return c.store.Registry(ctx, r.ID)
}

// WithdrawRegistry removes a registry that our own API has declared, with what only it led to.
func (c *Control) WithdrawRegistry(ctx context.Context, id string) error {
	if _, err := c.ownRegistry(ctx, id); err != nil {
		return err
	}
	return c.DeleteRegistries(ctx, id)
}

// ownRegistry returns a registry that our own API may change.
func (c *Control) ownRegistry(ctx context.Context, id string) (*tidewaiter.Registry, error) {
	r, err := c.store.Registry(ctx, id)
	if err != nil {
		return nil, err
	}
	if r.Origin != tidewaiter.OriginNative {
		return nil, tidewaiter.Errorf(tidewaiter.ErrConflict, "registry %s was declared through the API of %s", id, r.Origin).WithFix("change it there")
	}
	return r, nil
}

// nameFree refuses a name that another registry of our own API has. Two at the same time may both have it: a name is for
// people, nothing is found by it alone.
func (c *Control) nameFree(ctx context.Context, r *tidewaiter.Registry) error {
	if r.Name == "" {
		return nil
	}
	same, _, err := c.store.Registries(ctx, store.RegistryFilter{Origin: tidewaiter.OriginNative, Name: r.Name, Page: store.Page{Limit: 2}})
	if err != nil {
		return err
	}
	for _, o := range same {
		if o.ID != r.ID {
			e := tidewaiter.Errorf(tidewaiter.ErrConflict, "registry %s is called %q already", o.ID, r.Name)
			e.Field = "name"
			return e
		}
	}
	return nil
}

// bare takes the place in a list, which a single registry has not, from an error's field.
func bare(err error) error {
	e, ok := errors.AsType[*tidewaiter.Error](err)
	if !ok || !strings.HasPrefix(e.Field, "registries[0].") {
		return err
	}
	alone := *e
	alone.Field = strings.TrimPrefix(e.Field, "registries[0].")
	return &alone
}

// KeepCredential stores a credential declared through our own API: a new one where id is empty, which gets one. plain nil
// keeps the secret of one that is there. Errors: ErrInvalid with the field, ErrNotFound, ErrConflict when another API has
// declared it.
func (c *Control) KeepCredential(ctx context.Context, cred *tidewaiter.Credential, plain *secret.Value) error {
	if err := checkCredential(cred); err != nil {
		return err
	}
	switch {
	case len(cred.Name) > maxName || len(cred.Username) > maxSetting:
		return tidewaiter.Invalid("name", "name and user name must not be longer than %d and %d characters", maxName, maxSetting)
	case plain != nil && len(plain.Reveal()) > maxSecret:
		return tidewaiter.Invalid("secret", "the secret is longer than %d bytes", maxSecret)
	}
	if err := checkSettings(cred.Settings); err != nil {
		return err
	}
	if cred.ID == "" {
		cred.ID = c.newID()
	} else if err := c.ownCredential(ctx, cred.ID); err != nil {
		return err
	}
	cred.Origin = tidewaiter.OriginNative
	return c.PutCredential(ctx, cred, plain)
}

// DropCredential removes a credential declared through our own API that no registry uses.
func (c *Control) DropCredential(ctx context.Context, id string) error {
	if err := c.ownCredential(ctx, id); err != nil {
		return err
	}
	return c.DeleteCredential(ctx, id)
}

func (c *Control) ownCredential(ctx context.Context, id string) error {
	old, err := c.store.Credential(ctx, id)
	if err != nil {
		return err
	}
	if old.Origin != tidewaiter.OriginNative {
		return tidewaiter.Errorf(tidewaiter.ErrConflict, "credential %s was declared through the API of %s", id, old.Origin).WithFix("change it there")
	}
	return nil
}
