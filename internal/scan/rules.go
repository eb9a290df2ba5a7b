package scan

import (
	"context"
	"encoding/json"

	"github.com/tidewaiter/tidewaiter/internal/policy"
	"github.com/tidewaiter/tidewaiter/internal/store"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// errRulesChanged says that a verdict was made by policies that are no longer in force.
var errRulesChanged = tidewaiter.Errorf(tidewaiter.ErrTransient, "the policies changed meanwhile")

// rulesAttempts is how often an image is judged when the policies change each time.
const rulesAttempts = 5

// rules returns what is in force. It is read anew when its generation has moved on. The generation is read first: rules
// that change after that are refused when a verdict made by them is stored.
func (p *Pipeline) rules(ctx context.Context) (Rules, error) {
	generation, err := p.Store.Generation(ctx, policy.GenerationKey)
	if err != nil {
		return Rules{}, err
	}
	if r := p.inForce.Load(); r != nil && r.generation == generation && generation > 0 {
		return *r, nil
	}
	r, err := p.readRules(ctx)
	if err != nil {
		return Rules{}, err
	}
	r.generation = generation
	p.inForce.Store(&r)
	return r, nil
}

func (p *Pipeline) readRules(ctx context.Context) (r Rules, err error) {
	if r.Vulnerability, err = p.Store.Policy(ctx, tidewaiter.PolicyVulnerability); err != nil {
		return r, err
	}
	if r.Compliance, err = p.Store.Policy(ctx, tidewaiter.PolicyCompliance); err != nil {
		return r, err
	}
	collections, err := p.Store.Collections(ctx)
	if err != nil {
		return r, err
	}
	r.Collections = make(map[string]tidewaiter.Collection, len(collections))
	for _, c := range collections {
		r.Collections[c.Name] = *c
	}
	stored, err := p.Store.Settings(ctx, "policy.")
	if err != nil {
		return r, err
	}
	if r.bases, err = policy.ParseBaseImages(stored[policy.BaseImagesKey]); err != nil {
		return r, err
	}
	tags, err := policy.ParseTags(stored[policy.TagsKey])
	r.Declared = policy.Declared{Bases: policy.NewBases(r.bases), Tags: policy.NewTags(tags)}
	return r, err
}

// underRules makes sure, in the transaction that stores a verdict, that the rules it was made by are in force until the
// transaction ends. An image that turns out to be a new base image becomes known as one, and what is built on it is judged
// again.
func (p *Pipeline) underRules(ctx context.Context, tx *store.Tx, rules *Rules, image *tidewaiter.Image, names []string) error {
	bases, isNew := withBase(rules.bases, image, names)
	if !isNew {
		return p.held(ctx, tx, rules.generation)
	}
	generation, err := tx.NextGeneration(ctx, policy.GenerationKey, p.Now())
	if err != nil {
		return err
	}
	if generation != rules.generation+1 {
		return errRulesChanged
	}
	stored, err := json.Marshal(bases)
	if err != nil {
		return err
	}
	if err := tx.PutSetting(ctx, policy.BaseImagesKey, string(stored), p.Now()); err != nil {
		return err
	}
	return p.Jobs.Enqueue(ctx, tx, policy.NewApplyJob())
}

func (p *Pipeline) held(ctx context.Context, tx *store.Tx, generation int64) error {
	now, err := tx.HoldGeneration(ctx, policy.GenerationKey, p.Now())
	if err == nil && now != generation {
		err = errRulesChanged
	}
	return err
}

// withBase returns the declarations with an image among their base images, and whether it was not there before.
func withBase(declared []policy.BaseImage, image *tidewaiter.Image, names []string) (out []policy.BaseImage, isNew bool) {
	for i := range declared {
		b := declared[i]
		if len(image.Layers) == 0 || len(names) == 0 || !b.Takes(names) {
			continue
		}
		b.Images = append([]policy.Stack(nil), b.Images...)
		if !b.Keep(policy.StackOf(b.Name(names), image)) {
			continue
		}
		if !isNew {
			out, isNew = append([]policy.BaseImage(nil), declared...), true
		}
		out[i] = b
	}
	return out, isNew
}
