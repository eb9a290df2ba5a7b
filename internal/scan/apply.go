package scan

import (
	"context"
	"errors"
	"maps"
	"reflect"
	"runtime"
	"time"

	"golang.org/x/sync/errgroup"

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

// walk judges many images by the same rules. Packages, findings and vulnerabilities are shared by images, so they are kept.
type walk struct {
	*Pipeline
	rules    Rules
	licenses bool // a rule judges licences: all packages are needed, not only those with findings
	now      time.Time
	changed  int

	packages        map[int64]*tidewaiter.Package // nil for one without findings that is not needed
	findings        map[int64][]policy.Finding    // found on images at the time the package's was
	vulnerabilities map[string]*tidewaiter.Vulnerability
	exploited       map[string]bool // vulnerabilities attacks have been seen on
	factors         map[*tidewaiter.Vulnerability]policy.Factors

	generation int64                           // of the findings when the walk began; 0 when nobody asks what changed
	changes    map[int64][]store.PackageChange // up to that generation
}

// maxKept bounds how many packages a walk keeps.
const maxKept = 200_000

func newWalk(p *Pipeline, rules Rules) *walk {
	w := &walk{Pipeline: p, rules: rules, now: p.Now()}
	if rules.Vulnerability != nil {
		for i := range rules.Vulnerability.Rules {
			w.licenses = w.licenses || len(rules.Vulnerability.Rules[i].Licenses.Severities) > 0
		}
	}
	w.forget()
	return w
}

func (w *walk) forget() {
	w.packages, w.findings = map[int64]*tidewaiter.Package{}, map[int64][]policy.Finding{}
	w.changes = map[int64][]store.PackageChange{}
	w.exploited = map[string]bool{}
	w.vulnerabilities, w.factors = map[string]*tidewaiter.Vulnerability{}, map[*tidewaiter.Vulnerability]policy.Factors{}
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

// learn reads what is not known yet of the images' packages.
func (w *walk) learn(ctx context.Context, images []store.JudgedImage) error {
	if len(w.packages) > maxKept {
		w.forget()
	}
	var unknown []int64
	for i := range images {
		if images[i].Content == nil {
			continue
		}
		for _, in := range images[i].Content.Installed {
			if _, known := w.packages[in.PackageID]; !known {
				w.packages[in.PackageID] = nil
				unknown = append(unknown, in.PackageID)
			}
		}
	}
	if len(unknown) == 0 {
		return nil
	}
	changes, err := w.Store.FindingChanges(ctx, unknown, 0, w.generation)
	if err != nil {
		return err
	}
	maps.Copy(w.changes, changes)
	found, err := w.Store.DatedFindings(ctx, unknown)
	if err != nil {
		return err
	}
	var needed []int64
	var names []string
	for _, id := range unknown {
		if len(found[id]) > 0 || len(changes[id]) > 0 || w.licenses {
			needed = append(needed, id)
		}
		for i := range found[id] {
			if _, known := w.vulnerabilities[found[id][i].Vulnerability]; !known {
				w.vulnerabilities[found[id][i].Vulnerability] = nil
				names = append(names, found[id][i].Vulnerability)
			}
		}
	}
	packages, err := w.Store.Packages(ctx, needed)
	if err != nil {
		return err
	}
	for _, p := range packages {
		w.packages[p.ID] = p
	}
	threats, err := w.Store.Threats(ctx, names)
	if err != nil {
		return err
	}
	for name, t := range threats {
		w.exploited[name] = t.Exploited()
	}
	details, err := w.Store.Vulnerabilities(ctx, names)
	for name, v := range details {
		// What the factors are told from is long and not needed again.
		short := &tidewaiter.Vulnerability{ID: v.ID, Severity: v.Severity, Score: v.Score, ScoreV2: v.ScoreV2, Published: v.Published}
		w.vulnerabilities[name], w.factors[short] = short, policy.VulnerabilityFactors(v, w.now)
	}
	for id, list := range found {
		w.findings[id] = w.described(id, list)
	}
	return err
}

// described are the findings of a package with what is known of their vulnerabilities.
func (w *walk) described(packageID int64, list []store.DatedFinding) []policy.Finding {
	out := make([]policy.Finding, len(list))
	for i, f := range list {
		out[i] = policy.Finding{Finding: f.Finding, Package: w.packages[packageID], Details: w.vulnerabilities[f.Vulnerability],
			Exploited: w.exploited[f.Vulnerability], FirstFound: f.FoundAt}
	}
	return out
}

// judgeAll judges images side by side and returns those whose verdict differs from the stored one.
func (w *walk) judgeAll(ctx context.Context, images []store.JudgedImage) ([]store.NewVerdict, error) {
	all := make([]*tidewaiter.Judgement, len(images))
	if err := w.sideBySide(ctx, len(images), func(i int) { all[i] = w.judge(&images[i]) }); err != nil {
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

// sideBySide does n pieces of arithmetic on all cores.
func (w *walk) sideBySide(ctx context.Context, n int, do func(i int)) error {
	group, ctx := errgroup.WithContext(ctx)
	workers := runtime.GOMAXPROCS(0)
	for first := range workers {
		group.Go(func() error {
			for i := first; i < n && ctx.Err() == nil; i += workers {
				do(i)
			}
			return ctx.Err()
		})
	}
	return group.Wait()
}

// judge returns an image's judgement by the rules in force; nil when that is what is stored.
func (w *walk) judge(image *store.JudgedImage) *tidewaiter.Judgement {
	if image.Judgement == nil || image.Content == nil {
		return nil
	}
	r := &tidewaiter.Result{Image: image.Image, Content: w.content(image.Content), Checks: image.Content.Checks}
	findings := w.findingsOf(image)
	w.rules.Declared.Apply(r, image.Names, findings)
	in := w.rules.input(r, image.Names, findings, w.now)
	in.Factors = w.factors
	out := policy.Evaluate(in)
	if reflect.DeepEqual(out.Verdict, image.Judgement.Verdict) && reflect.DeepEqual(out.RiskFactors, image.Judgement.RiskFactors) {
		return nil
	}
	j := *image.Judgement
	j.Verdict, j.RiskFactors = out.Verdict, out.RiskFactors
	return &j
}

// content is what policy reads of a content: packages that have findings or licences to judge, and secrets.
func (w *walk) content(stored *store.StoredContent) *tidewaiter.Content {
	c := &tidewaiter.Content{Distribution: stored.Distribution, Secrets: stored.Secrets}
	c.Installed = make([]tidewaiter.Installed, 0, len(stored.Installed))
	for _, in := range stored.Installed {
		if p := w.packages[in.PackageID]; p != nil {
			c.Installed = append(c.Installed, tidewaiter.Installed{Package: p, Layer: in.Layer, Path: in.Path})
		}
	}
	return c
}

// findingsOf lists an image's findings, each package's once.
func (w *walk) findingsOf(image *store.JudgedImage) []policy.Finding {
	n := 0
	for _, in := range image.Content.Installed {
		n += len(w.findings[in.PackageID])
	}
	out := make([]policy.Finding, 0, n)
	seen := make(map[int64]bool, len(image.Content.Installed))
	for _, in := range image.Content.Installed {
		list := w.findings[in.PackageID]
		if len(list) == 0 || seen[in.PackageID] {
			continue
		}
		seen[in.PackageID] = true
		out = append(out, list...)
	}
	for i := range out {
		if out[i].FirstFound.Before(image.FirstJudged) {
			out[i].FirstFound = image.FirstJudged
		}
	}
	return out
}
