package control

import (
	"context"
	"encoding/base64"

	"github.com/tidewaiter/tidewaiter/internal/secret"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// The settings that are secrets: sealed with their own key's name, in base64.
const (
	SettingWebhookSecret = "webhook.secret" // what senders that can sign have to sign with, at the address all share
	SettingHarborKey     = "harbor.key"     // what Harbor has to show beside knowing the address
)

// SetWebhookSecret sets what senders that can sign have to sign with at the address all share. Empty accepts them unsigned
// again.
func (c *Control) SetWebhookSecret(ctx context.Context, s secret.Value) error {
	return c.putSealed(ctx, SettingWebhookSecret, s)
}

// SetHarborKey sets what Harbor has to show: as the password of Basic, as a Bearer token, or as an API key. Empty asks for
// nothing again. Errors: ErrInvalid for a key that is too short to be one.
func (c *Control) SetHarborKey(ctx context.Context, s secret.Value) error {
	if n := len(s.Reveal()); n > 0 && n < minProof || n > maxProof {
		return tidewaiter.Invalid("key", "the key has to be between %d and %d bytes long", minProof, maxProof)
	}
	return c.putSealed(ctx, SettingHarborKey, s)
}

// HarborKey returns what Harbor has to show; the zero Value when that is nothing.
func (c *Control) HarborKey(ctx context.Context) (secret.Value, error) {
	return c.sealed(ctx, SettingHarborKey)
}

func (c *Control) putSealed(ctx context.Context, key string, s secret.Value) error {
	sealed := ""
	if !s.IsZero() {
		b, err := c.keyring.Seal([]byte(s.Reveal()), key)
		if err != nil {
			return err
		}
		sealed = base64.StdEncoding.EncodeToString(b)
	}
	return c.PutSetting(ctx, key, sealed)
}

// sealed returns a secret setting; the zero Value when it is not set.
func (c *Control) sealed(ctx context.Context, key string) (secret.Value, error) {
	text, err := c.store.Setting(ctx, key)
	if tidewaiter.KindOf(err) == tidewaiter.ErrNotFound || err == nil && text == "" {
		return secret.Value{}, nil
	}
	if err != nil {
		return secret.Value{}, err
	}
	b, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		return secret.Value{}, tidewaiter.Errorf(tidewaiter.ErrMalformed, "setting %s is not base64", key)
	}
	return c.keyring.Open(b, key)
}
