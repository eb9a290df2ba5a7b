package discover

import (
	"context"
	"fmt"
	"strconv"
	"sync"
	"time"

	"github.com/tidewaiter/tidewaiter/internal/store"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// Keys of a registry's settings that change its rotation.
const (
	SettingWithin  = "recheckWithin"  // Rotation.Within: "24h"
	SettingMutable = "recheckMutable" // Rotation.Mutable: "1h"
	SettingAtMost  = "recheckAtMost"  // Rotation.AtMost
)

// of returns the rotation of a registry. A setting that cannot be read is an ErrInvalid that names it.
func (r Rotation) of(registry *tidewaiter.Registry) (Rotation, error) {
	for key, into := range map[string]*time.Duration{SettingWithin: &r.Within, SettingMutable: &r.Mutable} {
		text := registry.Settings[key]
		if text == "" {
			continue
		}
		d, err := time.ParseDuration(text)
		if err != nil || d < time.Minute || d > 365*24*time.Hour {
			return r, tidewaiter.Invalid("settings."+key, "%q is not a time between a minute and a year", text).WithFix("write it as 24h or 90m")
		}
		*into = d
	}
	if text := registry.Settings[SettingAtMost]; text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < 0 {
			return r, tidewaiter.Invalid("settings."+SettingAtMost, "%q is not a number of tags", text).WithFix("0 is no limit")
		}
		r.AtMost = n
	}
	return r.withDefaults(), nil
}

// CheckSettings returns an ErrInvalid for the first setting of a registry that discovery cannot read.
func CheckSettings(registry *tidewaiter.Registry) error {
	_, err := Rotation{}.of(registry)
	return err
}

// checks are the tags of one repository that were asked where they point, and those that need no asking because they are
// gone. It is safe for concurrent use.
type checks struct {
	now func() time.Time

	mu   sync.Mutex
	made []store.TagCheck
	gone []string
}

func (c *checks) add(tag, digest string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.made = append(c.made, store.TagCheck{Name: tag, Digest: digest, At: c.now()})
}

// lost notes a tag that was listed and is there no more.
func (c *checks) lost(tag string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.gone = append(c.gone, tag)
}

func (c *checks) record(ctx context.Context, tx *store.Tx, repositoryID int64) error {
	if err := tx.ForgetTagChecks(ctx, repositoryID, c.gone); err != nil {
		return err
	}
	return tx.RecordTagChecks(ctx, repositoryID, c.made)
}

// saveTime bounds saving what was learnt before a listing failed.
const saveTime = 10 * time.Second

// saveChecks keeps what was asked of a repository that could not be listed to its end, so that nobody asks again.
func (l *listing) saveChecks(ctx context.Context, repositoryID int64, c *checks) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), saveTime)
	defer cancel()
	return l.Store.Update(ctx, func(tx *store.Tx) error { return c.record(ctx, tx, repositoryID) })
}

// keep marks the tags that need not be asked where they point. Where the listing says it of all, nothing was ever asked and
// nothing has to be looked up.
func (l *listing) keep(ctx context.Context, r tidewaiter.Repository, tags []tidewaiter.ListedTag) (*checks, error) {
	c := &checks{now: l.Now}
	silent := len(tags) == 0
	for _, t := range tags {
		silent = silent || t.Digest == ""
	}
	if !silent {
		return c, nil
	}
	known, err := l.Store.TagChecks(ctx, r.ID)
	if err != nil || len(known) == 0 {
		return c, err
	}
	there := make(map[string]bool, len(tags))
	for _, t := range tags {
		there[t.Name] = true
	}
	for name := range known {
		if !there[name] {
			c.gone = append(c.gone, name)
		}
	}
	if l.scan.Force || l.scan.OnDemand { // whoever asks now wants to know what is there now
		return c, nil
	}
	failed, err := l.Store.FailedTags(ctx, r.ID)
	if err != nil {
		return nil, fmt.Errorf("tags of %s: %w", r.Name, err)
	}
	for _, name := range failed {
		delete(known, name) // something was wrong with where it pointed: look again
	}
	in := byName(l.scan.Scope).Tags(r.Name, tags, l.Now())
	l.rotation.keep(r.Name, tags, in, known, l.allowance, l.Now())
	return c, nil
}
