package scan

import (
	"context"
	"runtime"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/tidewaiter/tidewaiter/internal/policy"
	"github.com/tidewaiter/tidewaiter/internal/store"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// walk judges many images by the same rules. Packages, findings and vulnerabilities are shared by images, so they are kept.
type walk struct {
	*Pipeline
	rules    Rules
	licenses bool // a rule judges licences: all packages are needed, not only those with findings
	now      time.Time
	changed  int

	packages        map[int64]*knownPackage
	vulnerabilities map[string]*knownVulnerability

	generation int64 // of the findings when the walk began; 0 when nobody asks what changed
}

// knownPackage is what of a package images are judged by.
type knownPackage struct {
	*tidewaiter.Package                       // nil for one without findings that is not needed
	findings            []policy.Finding      // found on images at the time the package's was
	changes             []store.PackageChange // of its findings, up to the walk's generation
}

// knownVulnerability is what of a vulnerability images are judged by. What its factors are told from is long and not kept.
type knownVulnerability struct {
	short     *tidewaiter.Vulnerability
	factors   policy.Factors
	exploited bool // attacks on it have been seen
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
	w.packages, w.vulnerabilities = map[int64]*knownPackage{}, map[string]*knownVulnerability{}
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
			if w.packages[in.PackageID] == nil {
				w.packages[in.PackageID] = &knownPackage{}
				unknown = append(unknown, in.PackageID)
			}
		}
	}
	if len(unknown) == 0 {
		return nil
	}
	err := w.learnPackages(ctx, unknown)
	if err != nil {
		w.forget() // what was read by half
	}
	return err
}

func (w *walk) learnPackages(ctx context.Context, unknown []int64) error {
	changes, err := w.Store.FindingChanges(ctx, unknown, 0, w.generation)
	if err != nil {
		return err
	}
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
			if name := found[id][i].Vulnerability; w.vulnerabilities[name] == nil {
				w.vulnerabilities[name] = &knownVulnerability{}
				names = append(names, name)
			}
		}
	}
	packages, err := w.Store.Packages(ctx, needed)
	if err != nil {
		return err
	}
	for _, p := range packages {
		w.packages[p.ID].Package = p
	}
	if err := w.learnVulnerabilities(ctx, names); err != nil {
		return err
	}
	for _, id := range unknown {
		p := w.packages[id]
		p.changes, p.findings = changes[id], w.described(p.Package, found[id])
	}
	return nil
}

func (w *walk) learnVulnerabilities(ctx context.Context, names []string) error {
	threats, err := w.Store.Threats(ctx, names)
	if err != nil {
		return err
	}
	for name, t := range threats {
		w.vulnerabilities[name].exploited = t.Exploited()
	}
	details, err := w.Store.Vulnerabilities(ctx, names)
	for name, v := range details {
		known := w.vulnerabilities[name]
		known.short = &tidewaiter.Vulnerability{ID: v.ID, Severity: v.Severity, Score: v.Score, ScoreV2: v.ScoreV2, Published: v.Published}
		known.factors = policy.VulnerabilityFactors(v, w.now)
	}
	return err
}

// described are the findings of a package with what is known of their vulnerabilities.
func (w *walk) described(p *tidewaiter.Package, list []store.DatedFinding) []policy.Finding {
	out, factors := make([]policy.Finding, len(list)), make([]policy.Factors, len(list))
	for i, f := range list {
		v := w.vulnerabilities[f.Vulnerability]
		out[i] = policy.Finding{Finding: f.Finding, Package: p, Details: v.short, Exploited: v.exploited, FirstFound: f.FoundAt}
		factors[i] = v.factors | policy.OwnFactors(&out[i], w.now)
		out[i].Factors = &factors[i]
	}
	return out
}

// sideBySide does n pieces of arithmetic on all cores, each core on a desk of its own.
func (w *walk) sideBySide(ctx context.Context, n int, do func(i int, on *desk)) error {
	group, ctx := errgroup.WithContext(ctx)
	workers := runtime.GOMAXPROCS(0)
	for first := range workers {
		group.Go(func() error {
			var on desk
			for i := first; i < n && ctx.Err() == nil; i += workers {
				do(i, &on)
			}
			return ctx.Err()
		})
	}
	return group.Wait()
}

// desk is room to judge one image after the other in: what lies on it is of the image in hand alone.
type desk struct {
	seen     map[int64]bool
	findings []policy.Finding
	judged   []policy.Judged
}

// evaluate judges an image that has content by the rules. The outcome's lists are the desk's.
func (w *walk) evaluate(image *store.JudgedImage, on *desk) policy.Outcome {
	r := &tidewaiter.Result{Image: image.Image, Content: w.spread(image, on), Checks: image.Content.Checks}
	w.rules.Declared.Apply(r, image.Names, on.findings)
	in := w.rules.input(r, image.Names, on.findings, w.now)
	in.Room = on.judged
	out := policy.Evaluate(in)
	on.judged = out.Findings
	return out
}

// spread lays out an image's findings, each package's once, and returns what policy reads of its content: packages that have
// findings or licences to judge, and secrets.
func (w *walk) spread(image *store.JudgedImage, on *desk) *tidewaiter.Content {
	stored := image.Content
	c := &tidewaiter.Content{Distribution: stored.Distribution, Secrets: stored.Secrets}
	c.Installed = make([]tidewaiter.Installed, 0, len(stored.Installed))
	if on.seen == nil {
		on.seen = make(map[int64]bool, len(stored.Installed))
	}
	clear(on.seen)
	on.findings = on.findings[:0]
	for _, in := range stored.Installed {
		p := w.packages[in.PackageID]
		if p.Package == nil {
			continue
		}
		c.Installed = append(c.Installed, tidewaiter.Installed{Package: p.Package, Layer: in.Layer, Path: in.Path})
		if len(p.findings) > 0 && !on.seen[in.PackageID] {
			on.seen[in.PackageID] = true
			on.findings = append(on.findings, p.findings...)
		}
	}
	for i := range on.findings {
		if on.findings[i].FirstFound.Before(image.FirstJudged) {
			on.findings[i].FirstFound = image.FirstJudged
		}
	}
	return c
}
