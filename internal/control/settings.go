package control

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"fmt"

	"github.com/tidewaiter/tidewaiter/internal/store"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// The keys of settings several packages know.
const (
	SettingWebhookSuffix = "webhook.suffix" // the secret end of the address push events are sent to
	SettingHarborSuffix  = "harbor.suffix"  // the secret end of the address Harbor asks for scans
	SettingPrismaScan    = "prisma.scan"    // JSON: what Prisma's API calls scan settings
)

// PutSetting stores a setting.
func (c *Control) PutSetting(ctx context.Context, key, value string) error {
	return c.store.Update(ctx, func(tx *store.Tx) error {
		if err := tx.PutSetting(ctx, key, value, c.now()); err != nil {
			return err
		}
		return c.audit(ctx, tx, "setting.put", key, "")
	})
}

// Suffix returns the secret end of an address, kept under a setting: 20 random bytes in URL-safe base64, made when first
// asked for and the same ever after.
func (c *Control) Suffix(ctx context.Context, key string) (string, error) {
	value, err := c.store.Setting(ctx, key)
	if tidewaiter.KindOf(err) != tidewaiter.ErrNotFound {
		return value, err
	}
	err = c.store.Update(ctx, func(tx *store.Tx) error {
		var err error
		if value, err = tx.Setting(ctx, key); tidewaiter.KindOf(err) != tidewaiter.ErrNotFound {
			return err // somebody was faster
		}
		fresh := make([]byte, 20)
		_, _ = rand.Read(fresh) // never fails
		value = base64.URLEncoding.EncodeToString(fresh)
		return tx.PutSetting(ctx, key, value, c.now())
	})
	return value, err
}

// Reschedule gives every registry of an origin the same schedule.
func (c *Control) Reschedule(ctx context.Context, origin tidewaiter.Origin, s tidewaiter.Schedule) error {
	if err := s.Validate(); err != nil {
		return err
	}
	return c.store.Update(ctx, func(tx *store.Tx) error {
		if err := tx.LockOrigin(ctx, origin); err != nil {
			return err
		}
		all, err := tx.RegistriesOf(ctx, origin)
		if err != nil {
			return err
		}
		for _, r := range all {
			r.Schedule, r.UpdatedAt = s, c.now()
		}
		if err := tx.UpdateRegistries(ctx, all); err != nil {
			return err
		}
		return c.audit(ctx, tx, "registries.reschedule", string(origin), fmt.Sprintf("%d registries, every %s", len(all), s.Every))
	})
}
