package control

import (
	"context"
	"fmt"
	"iter"

	"github.com/tidewaiter/tidewaiter/internal/policy"
	"github.com/tidewaiter/tidewaiter/internal/store"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// TakeEPSS takes EPSS scores into use. Nothing is judged again: no verdict depends on them.
func (c *Control) TakeEPSS(ctx context.Context, f tidewaiter.Feed, scores iter.Seq2[tidewaiter.EPSSScore, error]) error {
	changed, err := c.store.LoadEPSS(ctx, f, scores, c.now())
	if changed {
		c.log.Info("EPSS scores in use", "date", f.Date, "entries", f.Entries, "model", f.Release)
	}
	return err
}

// TakeKEV takes a catalog of exploited vulnerabilities into use. When others are listed than before, all images are judged
// again from what is stored: that a vulnerability is exploited is a risk factor.
func (c *Control) TakeKEV(ctx context.Context, f tidewaiter.Feed, catalog map[string]tidewaiter.KEV) error {
	have, err := c.store.Feeds(ctx)
	if err != nil || have[tidewaiter.FeedKEV].Version == f.Version {
		return err
	}
	err = c.store.Update(ctx, func(tx *store.Tx) error {
		changed, err := tx.SaveKEV(ctx, f, catalog, c.now())
		if err != nil || !changed {
			return err
		}
		if _, err := tx.NextGeneration(ctx, policy.GenerationKey, c.now()); err != nil {
			return err
		}
		if err := c.jobs.Enqueue(ctx, tx, policy.NewApplyJob()); err != nil {
			return err
		}
		return c.audit(ctx, tx, "feed.take", string(f.Kind), fmt.Sprintf("%d vulnerabilities, version %s", f.Entries, f.Release))
	})
	if err == nil {
		c.log.Info("catalog of exploited vulnerabilities in use", "date", f.Date, "entries", f.Entries, "version", f.Release)
	}
	return err
}

// Threats returns what is known of attacks on vulnerabilities by name. Names nothing is known of are left out.
func (c *Control) Threats(ctx context.Context, names []string) (map[string]tidewaiter.Threat, error) {
	return c.store.Threats(ctx, names)
}

// Feeds returns the feeds in use by kind; those there are none of are left out.
func (c *Control) Feeds(ctx context.Context) (map[tidewaiter.FeedKind]tidewaiter.Feed, error) {
	return c.store.Feeds(ctx)
}

// Database says which database is in use and how many bytes it takes, indexes included.
func (c *Control) Database(ctx context.Context) (kind string, bytes int64, err error) {
	bytes, err = c.store.Size(ctx)
	return string(c.store.Dialect()), bytes, err
}
