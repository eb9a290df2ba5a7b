package scan

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/tidewaiter/tidewaiter/internal/store"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// RejudgeArgs says how far the fleet is on its way to a version of the advisories. First the packages they may say something
// else of are looked up; then the images nothing of that concerns are marked; what is left is judged.
type RejudgeArgs struct {
	Advisories string `json:"advisories"`
	Force      bool   `json:"force,omitempty"`     // whatever seems to have changed: look up and judge everything
	Forgotten  bool   `json:"forgotten,omitempty"` // what was looked up before counts for nothing any more
	Matched    bool   `json:"matched,omitempty"`   // all packages are looked up
	Marked     bool   `json:"marked,omitempty"`    // all images that need not be judged are marked
	After      int64  `json:"after,omitempty"`     // marking: the last image looked at; by force: the last image judged
}

const (
	matchBatch   = 1000        // packages looked up and stored in one go
	rejudgeSlice = time.Minute // how long one job goes on before it hands over to the next
)

// NewRejudgeJob returns the job that brings the fleet to a version of the advisories, doing as little as that takes.
func NewRejudgeJob(version string) tidewaiter.Job {
	return rejudgeJob(RejudgeArgs{Advisories: version})
}

// NewForcedRejudgeJob returns the job that looks up every package and judges every image by a version of the advisories.
func NewForcedRejudgeJob(version string) tidewaiter.Job {
	return rejudgeJob(RejudgeArgs{Advisories: version, Force: true})
}

func rejudgeJob(a RejudgeArgs) tidewaiter.Job {
	return tidewaiter.Job{Kind: JobRejudge, Lane: tidewaiter.LaneRescan, Args: a,
		UniqueKey: fmt.Sprintf("%s/%t/%t/%t/%t/%d", a.Advisories, a.Force, a.Forgotten, a.Matched, a.Marked, a.After)}
}

// rejudge brings the fleet to the advisories in use. No registry is asked, no layer read: findings belong to packages.
func (p *Pipeline) rejudge(ctx context.Context, run tidewaiter.JobRun) error {
	a, err := arguments[RejudgeArgs](run)
	if err != nil {
		return err
	}
	r := &rejudging{Pipeline: p, RejudgeArgs: a}
	for began := p.Now(); ; {
		if current, err := p.fleetHas(ctx, a.Advisories); err != nil || !current {
			return err // a newer version has a job of its own
		}
		if own, ok := p.Matcher.Advisories(); !ok || own.Version != a.Advisories {
			return errOtherAdvisories()
		}
		done, err := r.step(ctx)
		if err != nil {
			return err
		}
		if done {
			p.Log.Info("all images are judged by the advisories", "version", a.Advisories, "packages", r.matched, "images", r.images)
			return nil
		}
		if p.Now().Sub(began) > rejudgeSlice {
			if err := r.pause(ctx); err != nil {
				return err
			}
			return p.Store.Update(ctx, func(tx *store.Tx) error { return p.Jobs.Enqueue(ctx, tx, rejudgeJob(r.RejudgeArgs)) })
		}
	}
}

// rejudging is one slice of the work. What it keeps in memory it can read again: every step leaves its trace in the store.
type rejudging struct {
	*Pipeline
	RejudgeArgs
	match   *rematch
	mark    *marking
	walk    *walk
	queue   []int64 // images left to judge, the most used first
	queued  bool
	matched int // packages looked up in this slice
	images  int // images judged in this slice
}

// step does the next piece of work.
func (r *rejudging) step(ctx context.Context) (done bool, err error) {
	switch {
	case r.Force && !r.Forgotten:
		if err := r.Store.Update(ctx, func(tx *store.Tx) error { return tx.ForgetMatches(ctx) }); err != nil {
			return false, err
		}
		r.Forgotten = true
		return false, nil
	case !r.Matched:
		return false, r.matchNext(ctx)
	case !r.Marked && !r.Force:
		return false, r.markNext(ctx)
	}
	return r.judgeNext(ctx)
}

// pause finishes what a step has begun.
func (r *rejudging) pause(ctx context.Context) error {
	if r.match == nil {
		return nil
	}
	return r.match.flush(ctx)
}

func (r *rejudging) matchNext(ctx context.Context) (err error) {
	if r.match == nil {
		if r.match, err = r.newRematch(ctx, r.Advisories); err != nil {
			return err
		}
	}
	more, err := r.match.next(ctx)
	if err != nil || more {
		return err
	}
	r.matched, r.match, r.Matched = r.match.looked, nil, true
	return nil
}

func (r *rejudging) markNext(ctx context.Context) (err error) {
	if r.mark == nil {
		if r.mark, err = r.newMarking(ctx, r.Advisories); err != nil {
			return err
		}
	}
	last, more, err := r.mark.window(ctx, r.After)
	if err != nil {
		return err
	}
	r.After = last
	if !more {
		r.mark, r.Marked, r.After = nil, true, 0
	}
	return nil
}

// judgeNext judges the next images by what is now known of their packages.
func (r *rejudging) judgeNext(ctx context.Context) (done bool, err error) {
	if r.walk == nil {
		if r.walk, err = r.rejudgingWalk(ctx); err != nil {
			return false, err
		}
	}
	ids, err := r.nextImages(ctx)
	if err != nil || len(ids) == 0 {
		return err == nil, err
	}
	err = r.walk.rejudgeBatch(ctx, r.Advisories, ids)
	if errors.Is(err, errRulesChanged) {
		r.walk = nil // the same images again, by the rules in force now
		return false, nil
	}
	if err != nil {
		return false, err
	}
	r.images += len(ids)
	if r.Force {
		r.After = ids[len(ids)-1]
	} else {
		r.queue = r.queue[len(ids):]
	}
	return false, nil
}

// nextImages returns the images to judge next, none when all are.
func (r *rejudging) nextImages(ctx context.Context) ([]int64, error) {
	if r.Force {
		return r.Store.JudgedBefore(ctx, r.After, applyBatch)
	}
	if !r.queued {
		var err error
		if r.queue, err = r.Store.StaleByUse(ctx, r.Advisories); err != nil {
			return nil, err
		}
		r.queued = true
	}
	return r.queue[:min(len(r.queue), applyBatch)], nil
}

func (p *Pipeline) rejudgingWalk(ctx context.Context) (*walk, error) {
	rules, err := p.rules(ctx)
	if err != nil {
		return nil, err
	}
	w := newWalk(p, rules)
	w.generation, err = p.Store.FindingsGeneration(ctx)
	return w, err
}
