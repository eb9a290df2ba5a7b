package scan

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"time"

	"github.com/tidewaiter/tidewaiter/internal/engine"
	"github.com/tidewaiter/tidewaiter/internal/policy"
	"github.com/tidewaiter/tidewaiter/internal/store"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// RejudgeArgs says how far the fleet is on its way to a version of the advisories: first every distinct package is looked
// up once, then every image is judged from what is known of its packages.
type RejudgeArgs struct {
	Advisories string `json:"advisories"`
	Matched    bool   `json:"matched,omitempty"` // all packages are looked up
	After      int64  `json:"after,omitempty"`   // the last image judged
}

const (
	matchBatch   = 1000        // packages looked up and stored in one go
	rejudgeSlice = time.Minute // how long one job goes on before it hands over to the next
)

// NewRejudgeJob returns the job that has every image judged by the advisories of a version.
func NewRejudgeJob(version string) tidewaiter.Job {
	return rejudgeJob(RejudgeArgs{Advisories: version})
}

func rejudgeJob(a RejudgeArgs) tidewaiter.Job {
	return tidewaiter.Job{Kind: JobRejudge, Lane: tidewaiter.LaneRescan, Args: a,
		UniqueKey: fmt.Sprintf("%s/%t/%d", a.Advisories, a.Matched, a.After)}
}

// rejudge brings the fleet to the advisories in use. No registry is asked, no layer read: findings belong to packages.
func (p *Pipeline) rejudge(ctx context.Context, run tidewaiter.JobRun) error {
	a, err := arguments[RejudgeArgs](run)
	if err != nil {
		return err
	}
	began := p.Now()
	for steps := p.rejudgeSteps(); ; {
		if current, err := p.fleetHas(ctx, a.Advisories); err != nil || !current {
			return err // a newer version has a job of its own
		}
		if own, ok := p.Matcher.Advisories(); !ok || own.Version != a.Advisories {
			return errOtherAdvisories()
		}
		done, err := steps(ctx, &a)
		if err != nil || done {
			return err
		}
		if p.Now().Sub(began) > rejudgeSlice {
			return p.Store.Update(ctx, func(tx *store.Tx) error { return p.Jobs.Enqueue(ctx, tx, rejudgeJob(a)) })
		}
	}
}

// rejudgeSteps returns what does one batch after the other. What is known of packages is kept between them.
func (p *Pipeline) rejudgeSteps() func(context.Context, *RejudgeArgs) (done bool, err error) {
	var w *walk
	return func(ctx context.Context, a *RejudgeArgs) (bool, error) {
		if !a.Matched {
			more, err := p.matchStale(ctx, a.Advisories)
			a.Matched = err == nil && !more
			return false, err
		}
		if w == nil {
			rules, err := p.rules(ctx)
			if err != nil {
				return false, err
			}
			generation, err := p.Store.FindingsGeneration(ctx)
			if err != nil {
				return false, err
			}
			w = newWalk(p, rules)
			w.generation = generation
		}
		more, err := w.rejudgeBatch(ctx, a)
		if errors.Is(err, errRulesChanged) {
			w = nil // the same images again, by the rules in force now
			return false, nil
		}
		return !more, err
	}
}

// matchStale looks up the next packages whose findings are of other advisories.
func (p *Pipeline) matchStale(ctx context.Context, advisories string) (more bool, err error) {
	ids, err := p.Store.StalePackages(ctx, advisories, 0, matchBatch)
	if err != nil || len(ids) == 0 {
		return false, err
	}
	list, err := p.Store.Packages(ctx, ids)
	if err != nil {
		return false, err
	}
	packages := make(map[int64]*tidewaiter.Package, len(list))
	ids = ids[:0]
	for _, pkg := range list { // without those that retention has removed meanwhile
		packages[pkg.ID] = pkg
		ids = append(ids, pkg.ID)
	}
	_, err = p.matchPackages(ctx, ids, packages)
	return true, err
}

// rejudgeBatch judges the next images by what is now known of their packages.
func (w *walk) rejudgeBatch(ctx context.Context, a *RejudgeArgs) (more bool, err error) {
	images, err := w.Store.JudgedByOthers(ctx, a.Advisories, a.After, applyBatch)
	if err != nil || len(images) == 0 {
		return false, err
	}
	if err := w.learn(ctx, images); err != nil {
		return false, err
	}
	list := make([]store.Rejudged, len(images))
	err = w.sideBySide(ctx, len(images), func(i int) {
		list[i] = w.rejudge(ctx, &images[i], a.Advisories)
	})
	if err != nil {
		return false, err
	}
	err = w.Store.Update(ctx, func(tx *store.Tx) error {
		if err := w.held(ctx, tx, w.rules.generation); err != nil {
			return err
		}
		if err := w.underAdvisories(ctx, tx, a.Advisories); err != nil {
			return err
		}
		return tx.SaveRejudged(ctx, a.Advisories, w.generation, list, w.Now())
	})
	if err == nil {
		a.After = images[len(images)-1].ID
		w.judged.Add(float64(len(images)))
	}
	return len(images) == applyBatch, err
}

// rejudge returns an image's judgement by other advisories, and what that changed.
func (w *walk) rejudge(ctx context.Context, image *store.JudgedImage, advisories string) store.Rejudged {
	out := store.Rejudged{ImageID: image.ID, JudgedAt: image.Judgement.JudgedAt}
	if image.Content == nil {
		return out
	}
	r := &tidewaiter.Result{Image: image.Image, Content: w.content(image.Content), Checks: image.Content.Checks}
	findings := w.findingsOf(image)
	w.rules.Declared.Apply(r, image.Names, findings)
	j := *image.Judgement
	countFindings(&j, findings)
	in := w.rules.input(r, image.Names, findings, w.now)
	in.Factors = w.factors
	verdict := policy.Evaluate(in)
	j.Verdict, j.RiskFactors = verdict.Verdict, verdict.RiskFactors
	j.EndOfLife = engine.EndOfLife(ctx, image.Judgement.Distribution)
	same := reflect.DeepEqual(&j, image.Judgement)
	j.Advisories, j.JudgedAt = advisories, w.now
	cause := tidewaiter.ChangeAdvisories
	if image.Judgement.Advisories == advisories {
		cause = tidewaiter.ChangePolicy
	}
	out.Change = tidewaiter.NewImageChange(image.ID, cause, image.Judgement, &j, w.changesFor(image))
	if !same || out.Change != nil {
		out.Judgement = &j
	}
	return out
}

// changesFor lists which of an image's findings changed since it was last judged.
func (w *walk) changesFor(image *store.JudgedImage) []tidewaiter.FindingChange {
	if image.FindingsSeen == 0 || image.Judgement.Advisories == "" {
		return nil
	}
	var out []tidewaiter.FindingChange
	seen := map[int64]bool{}
	for _, in := range image.Content.Installed {
		changes := w.changes[in.PackageID]
		first := slices.IndexFunc(changes, func(c store.PackageChange) bool { return c.Generation > image.FindingsSeen })
		p := w.packages[in.PackageID]
		if first < 0 || p == nil || seen[in.PackageID] {
			continue
		}
		seen[in.PackageID] = true
		for _, f := range store.Collapse(changes[first:]) {
			out = append(out, store.FindingChangeOf(p, f))
		}
	}
	return out
}
