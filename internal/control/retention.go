package control

import (
	"context"
	"encoding/json"
	"strconv"
	"time"

	"github.com/tidewaiter/tidewaiter/internal/store"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// Retention is how many days what is over is kept. In what a server is started with, 0 is the default; in what is in force
// nothing is 0.
type Retention struct {
	Gone       int `json:"gone,omitempty"`       // tags that are gone from their registries, with whatever only they led to; 30
	History    int `json:"history,omitempty"`    // scans that are over, moves of tags, the audit log; 365
	Changes    int `json:"changes,omitempty"`    // what changed for images; 90
	Events     int `json:"events,omitempty"`     // events of registries; 7
	Deliveries int `json:"deliveries,omitempty"` // deliveries of webhooks that arrived; 7
	Dead       int `json:"dead,omitempty"`       // and those that were given up; 30
}

// DefaultRetention is what is kept when nobody says.
func DefaultRetention() Retention {
	return Retention{Gone: 30, History: 365, Changes: 90, Events: 7, Deliveries: 7, Dead: 30}
}

// MaxRetentionDays bounds each of them: ten years.
const MaxRetentionDays = 3650

// SettingRetentionDays is how many days what is gone is kept where the server was not started with a number of its own; 0 or
// nothing is the default. Prisma's API sets it.
const SettingRetentionDays = "retention.days"

// settingRetention is the setting that holds what the server was started with, for all processes.
const settingRetention = "retention.configured"

// of returns each part with the name of the flag that sets it.
func (r *Retention) of() map[string]*int {
	return map[string]*int{"keep-gone-days": &r.Gone, "keep-history-days": &r.History, "keep-changes-days": &r.Changes,
		"keep-events-days": &r.Events, "keep-deliveries-days": &r.Deliveries, "keep-dead-deliveries-days": &r.Dead}
}

// Validate reports the first number that cannot be as an ErrInvalid with the name of its flag.
func (r Retention) Validate() error {
	for name, days := range r.of() {
		if *days < 0 || *days > MaxRetentionDays {
			return tidewaiter.Invalid(name, "%s: %d days cannot be kept", name, *days).WithFix("1 to %d days, or 0 for the default", MaxRetentionDays)
		}
	}
	return nil
}

// SetRetention keeps what the server was started with, where every process that tidies up finds it. It takes the place of what
// was said before, also where it says nothing.
func (c *Control) SetRetention(ctx context.Context, r Retention) error {
	if err := r.Validate(); err != nil {
		return err
	}
	doc, err := json.Marshal(r)
	if err != nil {
		return err
	}
	return c.store.Update(ctx, func(tx *store.Tx) error { return tx.PutSetting(ctx, settingRetention, string(doc), c.now()) })
}

// Retention returns what is kept for how many days: what the server was started with, then what Prisma's API said, then the
// default.
func (c *Control) Retention(ctx context.Context) (Retention, error) {
	out := DefaultRetention()
	settings, err := c.store.Settings(ctx, "retention.")
	if err != nil {
		return out, err
	}
	if text := settings[SettingRetentionDays]; text != "" {
		days, err := strconv.Atoi(text)
		if err != nil || days < 0 {
			return out, tidewaiter.Errorf(tidewaiter.ErrMalformed, "setting %s holds no number of days", SettingRetentionDays)
		}
		if days > 0 {
			out.Gone = min(days, MaxRetentionDays)
		}
	}
	var told Retention
	if text := settings[settingRetention]; text != "" {
		if err := json.Unmarshal([]byte(text), &told); err != nil {
			return out, tidewaiter.Errorf(tidewaiter.ErrMalformed, "setting %s cannot be read: %w", settingRetention, err)
		}
		if err := told.Validate(); err != nil {
			return out, err
		}
	}
	in := out.of()
	for name, days := range told.of() {
		if *days > 0 {
			*in[name] = *days
		}
	}
	return out, nil
}

// before returns when what is kept so many days has to have ended to be removed.
func (c *Control) before(days int) time.Time { return c.now().AddDate(0, 0, -days) }
