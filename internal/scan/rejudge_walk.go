package scan

import (
	"context"
	"reflect"
	"slices"

	"github.com/tidewaiter/tidewaiter/internal/engine"
	"github.com/tidewaiter/tidewaiter/internal/store"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// rejudgeBatch judges images by what is now known of their packages.
func (w *walk) rejudgeBatch(ctx context.Context, advisories string, ids []int64) error {
	images, err := w.Store.JudgedImagesByID(ctx, ids)
	if err != nil || len(images) == 0 {
		return err
	}
	if err := w.learn(ctx, images); err != nil {
		return err
	}
	list := make([]store.Rejudged, len(images))
	err = w.sideBySide(ctx, len(images), func(i int, on *desk) { list[i] = w.rejudge(ctx, &images[i], advisories, on) })
	if err != nil {
		return err
	}
	err = w.Store.Update(ctx, func(tx *store.Tx) error {
		if err := w.held(ctx, tx, w.rules.generation); err != nil {
			return err
		}
		if err := w.underAdvisories(ctx, tx, advisories); err != nil {
			return err
		}
		return tx.SaveRejudged(ctx, advisories, w.generation, list, w.Now())
	})
	if err == nil {
		w.judged.Add(float64(len(images)))
	}
	return err
}

// rejudge returns an image's judgement by other advisories, and what that changed.
func (w *walk) rejudge(ctx context.Context, image *store.JudgedImage, advisories string, on *desk) store.Rejudged {
	out := store.Rejudged{ImageID: image.ID, JudgedAt: image.Judgement.JudgedAt}
	if image.Content == nil {
		return out
	}
	outcome := w.evaluate(image, on)
	j := *image.Judgement
	countFindings(&j, on.findings)
	j.Verdict, j.RiskFactors = outcome.Verdict, outcome.RiskFactors
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
	if image.FindingsSeen == 0 || image.Judgement.Advisories == "" || w.generation <= image.FindingsSeen {
		return nil
	}
	var out []tidewaiter.FindingChange
	var seen map[int64]bool
	for _, in := range image.Content.Installed {
		p := w.packages[in.PackageID]
		first := slices.IndexFunc(p.changes, func(c store.PackageChange) bool { return c.Generation > image.FindingsSeen })
		if first < 0 || p.Package == nil || seen[in.PackageID] {
			continue
		}
		if seen == nil {
			seen = map[int64]bool{}
		}
		seen[in.PackageID] = true
		for _, f := range store.Collapse(p.changes[first:]) {
			out = append(out, store.FindingChangeOf(p.Package, f))
		}
	}
	return out
}
