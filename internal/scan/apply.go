package scan

import (
	"context"
	"errors"
	"reflect"
	"time"

	"github.com/tidewaiter/tidewaiter/internal/policy"
	"github.com/tidewaiter/tidewaiter/internal/store"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

const (
	applyBatch = 500         // images read, judged and stored in one go
	applySlice = time.Minute // how long one job walks before it hands over to the next
)

// applyPolicies walks all judged images and judges each by the policies in force, from what is stored of it: nothing is
// pulled, merged or matched. Only verdicts that differ are written. A walk whose policies are no longer in force ends: the
// change that outdated it has queued another.
func (p *Pipeline) applyPolicies(ctx context.Context, run tidewaiter.JobRun) error {
	a, err := arguments[policy.ApplyArgs](run)
	if err != nil {
		return err
	}
	rules, err := p.rules(ctx)
	if err != nil {
		return err
	}
	if a.Timed && !policy.Timed(rules.Vulnerability) && !policy.Timed(rules.Compliance) {
		return nil
	}
	if a.After == 0 {
		a = policy.ApplyArgs{Generation: rules.generation}
	}
	w := newWalk(p, rules)
	began := p.Now()
	for more := true; more; {
		if a.Generation != rules.generation {
			return nil
		}
		if a.After, more, err = w.batch(ctx, a.After); errors.Is(err, errRulesChanged) {
			return nil
		}
		if err != nil {
			return err
		}
		if more && p.Now().Sub(began) > applySlice {
			return p.Store.Update(ctx, func(tx *store.Tx) error { return p.Jobs.Enqueue(ctx, tx, policy.NextApplyJob(a)) })
		}
	}
	p.Log.Info("policies applied to all images", "generation", a.Generation, "changed", w.changed)
	return nil
}

// batch judges the next images and returns the last one's id.
func (w *walk) batch(ctx context.Context, after int64) (last int64, more bool, err error) {
	images, err := w.Store.JudgedImages(ctx, after, applyBatch)
	if err != nil || len(images) == 0 {
		return after, false, err
	}
	for i := range images {
		if images[i].Content == nil {
			w.Log.Warn("stored content cannot be read, the verdict stays", "image", images[i].ID)
		}
	}
	if err := w.learn(ctx, images); err != nil {
		return after, false, err
	}
	verdicts, err := w.judgeAll(ctx, images)
	if err != nil {
		return after, false, err
	}
	stored := 0
	err = w.Store.Update(ctx, func(tx *store.Tx) error {
		err := w.held(ctx, tx, w.rules.generation)
		if err == nil {
			stored, err = tx.SaveVerdicts(ctx, verdicts, w.Now())
		}
		return err
	})
	w.changed += stored
	return images[len(images)-1].ID, len(images) == applyBatch, err
}

// judgeAll judges images side by side and returns those whose verdict differs from the stored one.
func (w *walk) judgeAll(ctx context.Context, images []store.JudgedImage) ([]store.NewVerdict, error) {
	all := make([]*tidewaiter.Judgement, len(images))
	if err := w.sideBySide(ctx, len(images), func(i int, on *desk) { all[i] = w.judge(&images[i], on) }); err != nil {
		return nil, err
	}
	var out []store.NewVerdict
	for i, j := range all {
		if j != nil {
			out = append(out, store.NewVerdict{ImageID: images[i].ID, Judgement: j, Change: w.verdictChange(&images[i], j)})
		}
	}
	return out, nil
}

// verdictChange says what another verdict changed for an image; nil when nothing to speak of.
func (w *walk) verdictChange(image *store.JudgedImage, j *tidewaiter.Judgement) *tidewaiter.ImageChange {
	c := tidewaiter.NewImageChange(image.ID, tidewaiter.ChangePolicy, image.Judgement, j, nil)
	if c != nil {
		c.At = w.now // when it was judged by advisories stays
	}
	return c
}

// judge returns an image's judgement by the rules in force; nil when that is what is stored.
func (w *walk) judge(image *store.JudgedImage, on *desk) *tidewaiter.Judgement {
	if image.Judgement == nil || image.Content == nil {
		return nil
	}
	out := w.evaluate(image, on)
	if reflect.DeepEqual(out.Verdict, image.Judgement.Verdict) && reflect.DeepEqual(out.RiskFactors, image.Judgement.RiskFactors) {
		return nil
	}
	j := *image.Judgement
	j.Verdict, j.RiskFactors = out.Verdict, out.RiskFactors
	return &j
}
