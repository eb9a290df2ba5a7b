package app

import (
	"context"
	"path/filepath"
	"time"

	"github.com/tidewaiter/tidewaiter/internal/advisory"
	"github.com/tidewaiter/tidewaiter/internal/control"
	"github.com/tidewaiter/tidewaiter/internal/oci"
	"github.com/tidewaiter/tidewaiter/internal/store"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// openAdvisories takes the advisories on disk into use. There being none is said by AdvisoryState, and by every result.
func (a *App) openAdvisories(client *oci.Client) error {
	auth := oci.Anonymous
	if a.cfg.AdvisoryLogin.Username != "" {
		auth = oci.Basic(a.cfg.AdvisoryLogin.Username, a.cfg.AdvisoryLogin.Password.Reveal())
	}
	a.advisories = advisory.New(advisory.Options{
		Dir: filepath.Join(a.cfg.Data, "advisories"), References: a.cfg.Advisories, Interval: a.cfg.AdvisoryPeriod,
		Source: oci.NewArtifacts(client, auth, a.cfg.PlainHTTPAdvisories),
		Open:   a.adopt,
	})
	if err := a.advisories.Restore(); err != nil {
		a.cfg.Log.Warn("the advisories on disk cannot be used", "err", err)
	}
	return nil
}

// adopt takes a version of the advisories into use and, unless the fleet has newer ones, has every image judged by it.
func (a *App) adopt(dir string, adv tidewaiter.Advisories) error {
	if err := a.matcher.Open(dir, adv); err != nil {
		return err
	}
	a.cfg.Log.Info("advisories in use", "version", adv.Version, "built", adv.UpdatedAt)
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	return a.share(ctx, adv, a.store.Dialect() == store.SQLite)
}

// UpdateAdvisories looks for newer advisories now and takes them into use; the fleet follows in the background.
func (a *App) UpdateAdvisories(ctx context.Context) error {
	_, err := a.advisories.Update(ctx, true)
	return err
}

func (a *App) advisoryState() control.AdvisoryState {
	s := a.advisories.State()
	out := control.AdvisoryState{Current: s.Current, CheckedAt: s.LastAttempt}
	if s.LastError != nil {
		out.Error = s.LastError.Error()
	}
	return out
}
