package opinion

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/tidewaiter/tidewaiter/internal/store"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

const (
	sweepPage   = 500
	sweepMost   = 10_000 // images one sweep queues for one scanner; the next sweep goes on
	startRounds = 20     // looks for an image that can be asked about, when the first ones cannot
)

// Sweep does the job JobSweep: it queues images that scanners have to be asked about, has them asked where there is room, and takes up
// what nobody works on any more.
func (a *Asker) Sweep(ctx context.Context, _ tidewaiter.JobRun) error {
	failed := a.takeUp(ctx)
	scanners, err := a.Store.Scanners(ctx)
	if err != nil {
		return err
	}
	for _, s := range scanners {
		if s.Disabled {
			continue
		}
		err := a.queue(ctx, s)
		if err == nil {
			err = a.Start(ctx, s.ID)
		}
		failed = errors.Join(failed, err) // and the others get theirs
	}
	return failed
}

// takeUp makes jobs of steps that are due and that no job is there for. Where there is one, the queue inserts none.
func (a *Asker) takeUp(ctx context.Context) error {
	due, err := a.Store.OverdueOpinions(ctx, a.Now(), sweepPage)
	if err != nil || len(due) == 0 {
		return err
	}
	jobs := make([]tidewaiter.Job, len(due))
	for i, d := range due {
		jobs[i] = job(d.ImageID, d.ScannerID, d.RegistryID, time.Time{})
	}
	return a.Store.Update(ctx, func(tx *store.Tx) error { return a.Jobs.Enqueue(ctx, tx, jobs...) })
}

func (a *Asker) queue(ctx context.Context, s *tidewaiter.Scanner) error {
	u := store.Unasked{Scanner: s, Now: a.Now(), Limit: sweepPage}
	for range sweepMost / sweepPage {
		ids, err := a.Store.UnaskedImages(ctx, u)
		if err != nil || len(ids) == 0 {
			return err
		}
		if err := a.Store.Update(ctx, func(tx *store.Tx) error {
			_, err := tx.QueueOpinions(ctx, s.ID, ids, u.Now)
			return err
		}); err != nil {
			return err
		}
		if u.After = ids[len(ids)-1]; len(ids) < sweepPage {
			return nil
		}
	}
	return nil
}

func job(imageID int64, scannerID, registryID string, at time.Time) tidewaiter.Job {
	return tidewaiter.Job{Kind: JobStep, Lane: tidewaiter.LaneSystem, Args: Args{imageID, scannerID}, RegistryID: registryID,
		Reach: tidewaiter.ReachList, UniqueKey: fmt.Sprint(scannerID, "/", imageID), RunAt: at, Timeout: hold}
}

// Start has a scanner asked about as many of the images that wait for it as it has room for.
func (a *Asker) Start(ctx context.Context, scannerID string) error {
	for range startRounds {
		more := false
		err := a.Store.Update(ctx, func(tx *store.Tx) (err error) {
			more, err = a.start(ctx, tx, scannerID)
			return err
		})
		if err != nil || !more {
			return err
		}
	}
	return nil
}

// start reports whether there is room left and more may wait: some of those that were looked at could not be asked about.
func (a *Asker) start(ctx context.Context, tx *store.Tx, scannerID string) (more bool, err error) {
	s, err := tx.LockScanner(ctx, scannerID)
	if tidewaiter.KindOf(err) == tidewaiter.ErrNotFound {
		return false, nil
	}
	now := a.Now()
	if err != nil || s.Disabled || s.PausedUntil.After(now) {
		return false, err
	}
	busy, err := tx.CountAsking(ctx, s.ID, now.Add(-hold))
	if err != nil || busy >= s.Parallel {
		return false, err
	}
	waiting, err := tx.WaitingOpinions(ctx, s.ID, now, s.Parallel-busy)
	if err != nil {
		return false, err
	}
	var jobs []tidewaiter.Job
	for _, id := range waiting {
		j, err := a.begin(ctx, tx, s, id)
		if err != nil {
			return false, err
		}
		if j == nil {
			more = true
			continue
		}
		jobs = append(jobs, *j)
	}
	return more, a.Jobs.Enqueue(ctx, tx, jobs...)
}

// begin has a scanner asked about an image that waits; nil when it cannot be asked about now.
func (a *Asker) begin(ctx context.Context, tx *store.Tx, s *tidewaiter.Scanner, imageID int64) (*tidewaiter.Job, error) {
	o, err := tx.LockOpinion(ctx, imageID, s.ID)
	if err != nil || o == nil || o.State != tidewaiter.OpinionWaiting {
		return nil, err
	}
	place, err := tx.OpinionPlaceOf(ctx, s.ID, imageID)
	switch {
	case err != nil:
		return nil, err
	case place == nil: // no registry it is asked about has it any more
		return nil, tx.ForgetOpinion(ctx, imageID, s.ID)
	case place.Paused:
		o.NextAt = a.Now().Add(pause)
		return nil, tx.SaveOpinion(ctx, o)
	}
	o.State, o.RegistryID, o.NextAt, o.Scan, o.Faults, o.JobID = tidewaiter.OpinionAsking, place.RegistryID, a.Now(), "", 0, 0
	if err := tx.SaveOpinion(ctx, o); err != nil {
		return nil, err
	}
	j := job(imageID, s.ID, place.RegistryID, time.Time{})
	return &j, nil
}
