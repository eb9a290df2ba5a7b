package app

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"slices"
	"time"

	"github.com/tidewaiter/tidewaiter/internal/control"
	"github.com/tidewaiter/tidewaiter/internal/scan"
	"github.com/tidewaiter/tidewaiter/internal/store"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// Several processes work for one fleet, and judge by the same advisories: those the database names. A process that has
// others leaves judging to the rest and fetches; with none left that has the fleet's, the fleet goes by what there is.

const (
	followEvery   = 2 * time.Second
	fetchAgain    = 30 * time.Second // between two attempts to get the advisories of the fleet
	takeOverAfter = 45 * time.Second // without any worker that has the advisories of the fleet
)

// share makes advisories that were just opened here those of the fleet, unless it has newer ones, and has every image judged
// by them.
func (a *App) share(ctx context.Context, adv tidewaiter.Advisories, always bool) error {
	return a.store.Update(ctx, func(tx *store.Tx) error {
		fleet, err := tx.LockFleetAdvisories(ctx)
		if err != nil {
			return err
		}
		if fleet == nil || always || adv.UpdatedAt.After(fleet.UpdatedAt) {
			if err := tx.PutFleetAdvisories(ctx, adv, time.Now()); err != nil {
				return err
			}
			fleet = &adv
		}
		a.behind.Store(fleet.Version != adv.Version)
		if fleet.Version != adv.Version {
			return nil
		}
		return a.queue.Enqueue(ctx, tx, scan.NewRejudgeJob(adv.Version))
	})
}

// held are the kinds of job that a process with other advisories than the fleet's leaves to others.
func (a *App) held() []tidewaiter.JobKind {
	if !a.behind.Load() {
		return nil
	}
	return []tidewaiter.JobKind{scan.JobJudge, scan.JobRejudge}
}

func (a *App) advisoryVersion() string {
	if a.matcher == nil {
		return ""
	}
	adv, _ := a.matcher.Advisories()
	return adv.Version
}

// followAdvisories keeps this process at the advisories of the fleet until ctx ends.
func (a *App) followAdvisories(ctx context.Context) {
	tick := time.NewTicker(followEvery)
	defer tick.Stop()
	var fetched, orphaned time.Time
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		fleet, err := a.store.FleetAdvisories(ctx)
		if err != nil {
			continue // the next look may go better
		}
		behind := fleet != nil && fleet.Version != a.advisoryVersion()
		a.behind.Store(behind)
		if !behind {
			orphaned = time.Time{}
			continue
		}
		if time.Since(fetched) >= fetchAgain {
			fetched = time.Now()
			a.cfg.Log.Info("the fleet has other advisories: fetching", "version", fleet.Version)
			if _, err := a.advisories.Update(ctx, true); err != nil && ctx.Err() == nil {
				a.cfg.Log.Warn("no judging here until the advisories of the fleet are here too", "err", err)
			}
			continue
		}
		if a.someoneHas(ctx, fleet.Version) {
			orphaned = time.Time{}
			continue
		}
		if orphaned.IsZero() {
			orphaned = time.Now()
		}
		if own, ok := a.matcher.Advisories(); ok && time.Since(orphaned) >= takeOverAfter {
			a.cfg.Log.Warn("no worker has the advisories of the fleet any more: going on with those that are here", "version", own.Version)
			if err := a.share(ctx, own, true); err != nil {
				a.cfg.Log.Warn("advisories not shared", "err", err)
			}
		}
	}
}

// someoneHas reports whether a living worker has a version of the advisories.
func (a *App) someoneHas(ctx context.Context, version string) bool {
	workers, err := a.store.Workers(ctx)
	now := time.Now()
	return err != nil || slices.ContainsFunc(workers, func(w store.Worker) bool {
		return w.Advisories == version && control.WorkerAlive(w, now)
	})
}

// settingAdvisorySource is where servers leave from where advisories come, for workers that were not told.
const settingAdvisorySource = "advisories.source"

type advisorySource struct {
	References []string `json:"references"`
	PlainHTTP  bool     `json:"plainHTTP,omitempty"`
}

// agreeOnAdvisories leaves for workers where a server gets its advisories, or has a worker do as the servers do. Until its
// own are open a process counts as behind, unless the fleet has none either.
func (a *App) agreeOnAdvisories(ctx context.Context) error {
	fleet, err := a.store.FleetAdvisories(ctx)
	if err != nil {
		return err
	}
	a.behind.Store(fleet != nil)
	own := advisorySource{a.cfg.Advisories, a.cfg.PlainHTTPAdvisories}
	if !a.cfg.WorkerOnly {
		doc, err := json.Marshal(own)
		if err != nil {
			return err
		}
		return a.store.Update(ctx, func(tx *store.Tx) error {
			return tx.PutSetting(ctx, settingAdvisorySource, string(doc), time.Now())
		})
	}
	if len(own.References) > 0 {
		return nil
	}
	doc, err := a.store.Setting(ctx, settingAdvisorySource)
	if tidewaiter.KindOf(err) == tidewaiter.ErrNotFound {
		return nil
	}
	if err == nil {
		err = json.Unmarshal([]byte(doc), &own)
	}
	a.cfg.Advisories, a.cfg.PlainHTTPAdvisories = own.References, own.PlainHTTP
	return err
}

// settingKeyCheck is a text sealed with the fleet's keys, by which a process can tell whether it has the same.
const settingKeyCheck = "keyring.check"

// checkKeys refuses a worker with other keys than the servers', and warns on a server: credentials sealed with other keys do
// not open there.
func (a *App) checkKeys(ctx context.Context) error {
	doc, err := a.store.Setting(ctx, settingKeyCheck)
	if err != nil && tidewaiter.KindOf(err) != tidewaiter.ErrNotFound {
		return err
	}
	sealed, decoding := base64.StdEncoding.DecodeString(doc)
	if err == nil && decoding == nil && a.keyring.OpensCheck(sealed, settingKeyCheck) {
		return nil
	}
	if a.cfg.WorkerOnly {
		if err != nil {
			return nil //nolint:nilerr // no server has run yet
		}
		return tidewaiter.Invalid("worker-key", "this is not the key the credentials in the database are sealed with").
			WithFix("have the server print it with `tidewaiter worker-key`")
	}
	if err == nil {
		a.cfg.Log.Warn("another server has used other keys on this database: what it sealed does not open here. " +
			"Give all servers the same master key")
	}
	if sealed, err = a.keyring.SealCheck(settingKeyCheck); err != nil {
		return err
	}
	return a.store.Update(ctx, func(tx *store.Tx) error {
		return tx.PutSetting(ctx, settingKeyCheck, base64.StdEncoding.EncodeToString(sealed), time.Now())
	})
}
