package app

import (
	"context"
	"path/filepath"
	"time"

	"github.com/tidewaiter/tidewaiter/internal/advisory"
	"github.com/tidewaiter/tidewaiter/internal/control"
	"github.com/tidewaiter/tidewaiter/internal/engine"
	"github.com/tidewaiter/tidewaiter/internal/oci"
	"github.com/tidewaiter/tidewaiter/internal/scan"
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

// adopt takes a version of the advisories into use and, unless the fleet has newer ones, has the images judged by it that what
// changed concerns. The version before is still on disk here, and gone soon after.
func (a *App) adopt(dir string, adv tidewaiter.Advisories) error {
	beforeDir, before := a.matcher.Opened()
	if err := a.matcher.Open(dir, adv); err != nil {
		return err
	}
	a.cfg.Log.Info("advisories in use", "version", adv.Version, "built", adv.UpdatedAt)
	if beforeDir != "" && before.Version != adv.Version {
		if err := a.compare(beforeDir, before.Version, dir, adv.Version); err != nil {
			a.cfg.Log.Warn("the advisories cannot be compared with the previous ones, all packages are looked up", "err", err)
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	return a.share(ctx, adv, a.store.Dialect() == store.SQLite)
}

// compareTime bounds how long two versions of the advisories are compared. Databases of full size take seconds.
const compareTime = 5 * time.Minute

// compare keeps what differs between two versions of the advisories.
func (a *App) compare(beforeDir, before, afterDir, after string) error {
	ctx, cancel := context.WithTimeout(context.Background(), compareTime)
	defer cancel()
	began := time.Now()
	d, err := engine.DatabaseDifference(ctx, beforeDir, afterDir)
	if err != nil {
		return err
	}
	a.cfg.Log.Info("advisories compared", "everything", d.Everything(), "packages", len(d.Names()), "vulnerabilities", len(d.Vulnerabilities()),
		"took", time.Since(began))
	return a.store.Update(ctx, func(tx *store.Tx) error { return scan.SaveDifference(ctx, tx, before, after, d, time.Now()) })
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

// rejudgeJob makes the job that brings the fleet to a version of the advisories; forced, it looks up and judges everything.
func rejudgeJob(version string, force bool) tidewaiter.Job {
	if force {
		return scan.NewForcedRejudgeJob(version)
	}
	return scan.NewRejudgeJob(version)
}
