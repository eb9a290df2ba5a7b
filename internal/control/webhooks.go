package control

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/tidewaiter/tidewaiter/internal/notify"
	"github.com/tidewaiter/tidewaiter/internal/secret"
	"github.com/tidewaiter/tidewaiter/internal/store"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// WebhookSender sends webhooks; it is package notify.
type WebhookSender interface {
	// CheckHost judges what can be judged of a receiver's host before it is asked.
	CheckHost(host string) error
	// CheckTLS reports whether a TLS setting can be used.
	CheckTLS(t tidewaiter.TLS) error
	// Test sends a message at once and once, and returns what came of it.
	Test(ctx context.Context, w *tidewaiter.Webhook) (*store.WebhookDelivery, error)
}

// MaxWebhooks bounds how many webhooks there are.
const MaxWebhooks = 200

// WebhookDraft is a webhook as a caller gives it.
type WebhookDraft struct {
	Name     string
	Format   tidewaiter.WebhookFormat
	Topics   []tidewaiter.Topic
	Filter   tidewaiter.WebhookFilter
	PerHour  int
	Disabled bool
	TLS      tidewaiter.TLS

	URL     secret.Value            // zero keeps the stored one
	Headers map[string]secret.Value // nil keeps the stored ones
}

// Webhooks returns all webhooks by name.
func (c *Control) Webhooks(ctx context.Context) ([]*tidewaiter.Webhook, error) {
	return c.store.Webhooks(ctx)
}

// Webhook returns one webhook, or ErrNotFound.
func (c *Control) Webhook(ctx context.Context, id string) (*tidewaiter.Webhook, error) {
	return c.store.Webhook(ctx, id)
}

// AddWebhook stores a new webhook. It signs with a secret; a zero one is made up, but for Slack, which does not look at
// signatures. The secret in force is returned, this once. Errors: ErrInvalid; ErrConflict for a name that is taken.
func (c *Control) AddWebhook(ctx context.Context, draft WebhookDraft, signing secret.Value) (*tidewaiter.Webhook, secret.Value, error) {
	w := &tidewaiter.Webhook{ID: c.newID(), CreatedAt: c.now()}
	secrets := &notify.Secrets{Signing: signing}
	if signing.IsZero() && draft.Format != tidewaiter.FormatSlack {
		secrets.Signing = notify.NewSigningSecret()
	}
	if err := notify.CheckSigning(secrets.Signing); err != nil {
		return nil, secret.Value{}, err
	}
	err := c.store.Update(ctx, func(tx *store.Tx) error {
		if err := tx.LockOrigin(ctx, webhookLock); err != nil {
			return err
		}
		known, err := tx.Webhooks(ctx)
		if err != nil {
			return err
		}
		if len(known) >= MaxWebhooks {
			return tidewaiter.Errorf(tidewaiter.ErrConflict, "there are %d webhooks already", len(known)).WithFix("remove one first")
		}
		if err := c.apply(ctx, tx, w, secrets, draft); err != nil {
			return err
		}
		return c.saveWebhook(ctx, tx, w, secrets, "webhook.add")
	})
	return w, secrets.Signing, err
}

// ChangeWebhook replaces what a webhook is but for its signing secret. What waits for it goes on as the webhook is now.
// Errors: ErrNotFound; ErrInvalid, also when the address moves to another host and the custom headers are to be kept: they
// were given for the old one.
func (c *Control) ChangeWebhook(ctx context.Context, id string, draft WebhookDraft) (w *tidewaiter.Webhook, err error) {
	err = c.withWebhook(ctx, id, func(tx *store.Tx, stored *tidewaiter.Webhook, secrets *notify.Secrets) error {
		w = stored
		if err := c.apply(ctx, tx, w, secrets, draft); err != nil {
			return err
		}
		return c.saveWebhook(ctx, tx, w, secrets, "webhook.change")
	})
	return w, err
}

// The overlap of a rotation: how long messages are signed with the old secret too.
const (
	DefaultOverlap = 24 * time.Hour
	MaxOverlap     = 7 * 24 * time.Hour
)

// RotateWebhook gives a webhook another signing secret, a made-up one for a zero value, and returns it, this once. For the
// overlap messages are signed with both. Errors: ErrNotFound, ErrInvalid.
func (c *Control) RotateWebhook(ctx context.Context, id string, signing secret.Value, overlap time.Duration) (w *tidewaiter.Webhook, _ secret.Value, err error) {
	if overlap < 0 || overlap > MaxOverlap {
		return nil, secret.Value{}, tidewaiter.Invalid("overlap", "an overlap of %s cannot be", overlap).WithFix("at most %s", MaxOverlap)
	}
	if signing.IsZero() {
		signing = notify.NewSigningSecret()
	}
	if err := notify.CheckSigning(signing); err != nil {
		return nil, secret.Value{}, err
	}
	err = c.withWebhook(ctx, id, func(tx *store.Tx, stored *tidewaiter.Webhook, secrets *notify.Secrets) error {
		w = stored
		secrets.Previous, secrets.PreviousUntil = secrets.Signing, c.now().Add(overlap)
		if overlap == 0 || secrets.Previous.IsZero() {
			secrets.Previous, secrets.PreviousUntil = secret.Value{}, time.Time{}
		}
		secrets.Signing = signing
		return c.saveWebhook(ctx, tx, w, secrets, "webhook.rotate")
	})
	return w, signing, err
}

// RemoveWebhook removes a webhook with its deliveries. Errors: ErrNotFound.
func (c *Control) RemoveWebhook(ctx context.Context, id string) error {
	return c.store.Update(ctx, func(tx *store.Tx) error {
		w, err := tx.Webhook(ctx, id)
		if err != nil {
			return err
		}
		if err := tx.DeleteWebhook(ctx, id); err != nil {
			return err
		}
		return c.audit(ctx, tx, "webhook.remove", id, w.Name)
	})
}

// webhookLock keeps two from changing the secrets of a webhook at once.
const webhookLock tidewaiter.Origin = "webhooks"

func (c *Control) withWebhook(ctx context.Context, id string, do func(*store.Tx, *tidewaiter.Webhook, *notify.Secrets) error) error {
	return c.store.Update(ctx, func(tx *store.Tx) error {
		if err := tx.LockOrigin(ctx, webhookLock); err != nil {
			return err
		}
		w, err := tx.Webhook(ctx, id)
		if err != nil {
			return err
		}
		secrets, err := notify.OpenSecrets(c.keyring, w)
		if err != nil {
			return err
		}
		return do(tx, w, secrets)
	})
}

// apply takes a draft over into a webhook and its secrets.
func (c *Control) apply(ctx context.Context, tx *store.Tx, w *tidewaiter.Webhook, secrets *notify.Secrets, draft WebhookDraft) error {
	w.Name, w.Format, w.Topics, w.Filter = draft.Name, draft.Format, slices.Clone(draft.Topics), draft.Filter
	w.PerHour, w.Disabled, w.TLS = draft.PerHour, draft.Disabled, draft.TLS
	if err := w.Validate(); err != nil {
		return err
	}
	if err := c.sender.CheckTLS(w.TLS); err != nil {
		return err
	}
	if err := c.known(ctx, tx, &w.Filter); err != nil {
		return err
	}
	if !draft.URL.IsZero() {
		address, err := notify.Address(draft.URL, c.sender.CheckHost)
		if err != nil {
			return err
		}
		if address != w.Address && draft.Headers == nil && len(secrets.Headers) > 0 {
			return tidewaiter.Invalid("headers", "the headers were given for %s and are not sent to another host", w.Address).
				WithFix("give them again, or an empty set")
		}
		secrets.URL, w.Address = draft.URL, address
	}
	if secrets.URL.IsZero() {
		return tidewaiter.Invalid("url", "the webhook needs the address of its receiver")
	}
	if draft.Headers != nil {
		headers, err := notify.CheckHeaders(draft.Headers)
		if err != nil {
			return err
		}
		secrets.Headers = headers
	}
	return nil
}

// known makes sure that what a filter names is there: a mistyped id would let nothing pass for ever.
func (c *Control) known(ctx context.Context, tx *store.Tx, f *tidewaiter.WebhookFilter) error {
	for _, id := range f.Registries {
		if _, err := tx.Registry(ctx, id); tidewaiter.KindOf(err) == tidewaiter.ErrNotFound {
			return tidewaiter.Invalid("filter.registries", "there is no registry %q", id).WithFix("give the ids of declared registries")
		} else if err != nil {
			return err
		}
	}
	if len(f.Collections) == 0 {
		return nil
	}
	all, err := tx.Collections(ctx)
	if err != nil {
		return err
	}
	for _, name := range f.Collections {
		if !slices.ContainsFunc(all, func(c *tidewaiter.Collection) bool { return c.Name == name }) {
			return tidewaiter.Invalid("filter.collections", "there is no collection %q", name)
		}
	}
	return nil
}

func (c *Control) saveWebhook(ctx context.Context, tx *store.Tx, w *tidewaiter.Webhook, secrets *notify.Secrets, action string) error {
	w.Signed, w.PreviousUntil, w.HeaderNames = !secrets.Signing.IsZero(), secrets.PreviousUntil, secrets.HeaderNames()
	w.UpdatedAt, w.PausedUntil = c.now(), time.Time{}
	var err error
	if w.Sealed, err = secrets.Seal(c.keyring, w.ID); err != nil {
		return err
	}
	before, err := tx.Webhooks(ctx)
	if err != nil {
		return err
	}
	if !notify.WantImages(before) && notify.WantImages([]*tidewaiter.Webhook{w}) {
		if err := notify.StartHere(ctx, tx, c.now()); err != nil {
			return err
		}
	}
	if err := tx.PutWebhook(ctx, w); err != nil {
		if tidewaiter.KindOf(err) == tidewaiter.ErrConflict {
			return &tidewaiter.Error{Kind: tidewaiter.ErrConflict, Field: "name", Msg: fmt.Sprintf("there is a webhook named %q already", w.Name)}
		}
		return err
	}
	return c.audit(ctx, tx, action, w.ID, w.Name)
}
