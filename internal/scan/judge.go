package scan

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/tidewaiter/tidewaiter/internal/engine"
	"github.com/tidewaiter/tidewaiter/internal/store"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// JudgeArgs names an image whose layers are all analysed.
type JudgeArgs struct {
	ImageID int64 `json:"imageID"`
}

// judgeJob judges an image, in the turn of the registry that brought it. No registry is asked for it.
func judgeJob(lane tidewaiter.Lane, imageID int64, turn string) tidewaiter.Job {
	return tidewaiter.Job{Kind: JobJudge, Lane: lane, Args: JudgeArgs{ImageID: imageID}, Turn: turn,
		UniqueKey: strconv.FormatInt(imageID, 10), Timeout: 5 * time.Minute}
}

// judge is the last stage: it merges an image's layers, looks its packages up and lets policy decide.
func (p *Pipeline) judge(ctx context.Context, run tidewaiter.JobRun) error {
	a, err := arguments[JudgeArgs](run)
	if err != nil {
		return err
	}
	return p.judgeImage(ctx, a.ImageID)
}

func (p *Pipeline) judgeFailed(ctx context.Context, run tidewaiter.JobRun, cause error) error {
	a, err := arguments[JudgeArgs](run)
	if err != nil {
		return err
	}
	p.Log.Error("image could not be judged", "image", a.ImageID, "job", run.ID, "err", cause)
	failure := tidewaiter.ScanError{Kind: tidewaiter.KindOf(cause), Text: cause.Error()}
	return p.fail(ctx, failure, func(tx *store.Tx) ([]string, error) {
		return tx.ImageFailed(ctx, a.ImageID, failure.Kind, failure.Text, p.Now())
	})
}

func (p *Pipeline) judgeImage(ctx context.Context, id int64) error {
	var err error
	for range rulesAttempts {
		if err = p.judgeOnce(ctx, id); !errors.Is(err, store.ErrOlderFindings) {
			break
		}
	}
	return err
}

func (p *Pipeline) judgeOnce(ctx context.Context, id int64) error {
	images, err := p.Store.ImagesByID(ctx, []int64{id})
	if err != nil {
		return err
	}
	if len(images) == 0 {
		return nil // retention was faster
	}
	img := images[0]
	content, analyzer, err := p.content(ctx, img)
	if err != nil {
		return err
	}
	m, err := p.match(ctx, content)
	if err != nil {
		return err
	}
	if err := p.foundHere(ctx, id, m); err != nil {
		return err
	}
	names, err := p.Store.ImageNames(ctx, id)
	if err != nil {
		return err
	}
	checks := engine.Checks(img, content)
	result := &tidewaiter.Result{Image: img, Content: content, Checks: checks, Findings: m.findings,
		Vulnerabilities: m.vulnerabilities, FirstFound: m.firstFound}
	by := judgedBy{advisories: m.version, analyzer: analyzer, endOfLife: m.endOfLife, findings: m.generation}
	for range rulesAttempts {
		if err = p.saveJudgement(ctx, result, names, by); !errors.Is(err, errRulesChanged) {
			break
		}
	}
	if err == nil {
		p.judged.Inc()
	}
	return err
}

// saveJudgement lets policy judge a result and stores both, unless the policies changed meanwhile: errRulesChanged.
func (p *Pipeline) saveJudgement(ctx context.Context, result *tidewaiter.Result, names []string, by judgedBy) error {
	rules, err := p.rules(ctx)
	if err != nil {
		return err
	}
	// Read after the rules: the catalog of what is exploited changes under their generation.
	if result.Threats, err = p.Store.Threats(ctx, slices.Collect(maps.Keys(result.Vulnerabilities))); err != nil {
		return err
	}
	judgement := summarize(result, names, rules, by, p.Now())
	return p.settle(ctx, func(tx *store.Tx) ([]string, error) {
		if err := p.underRules(ctx, tx, &rules, result.Image, names); err != nil {
			return nil, err
		}
		if err := p.underAdvisories(ctx, tx, by.advisories); err != nil {
			return nil, err
		}
		return tx.SaveJudgement(ctx, store.SaveJudgement{ImageID: result.Image.ID, Content: result.Content, Checks: result.Checks,
			Judgement: judgement, Findings: by.findings, Now: p.Now()})
	})
}

// foundHere puts when findings were first made no earlier than when this image was first judged: nobody could have acted on
// them before.
func (p *Pipeline) foundHere(ctx context.Context, id int64, m *matched) error {
	first, err := p.Store.FirstJudged(ctx, id)
	if err != nil {
		return err
	}
	if first.IsZero() {
		first = p.Now()
	}
	for key, at := range m.firstFound {
		if at.Before(first) {
			m.firstFound[key] = first
		}
	}
	return nil
}

// content merges the stored analyses of an image's layers and says which analyzer made them: ours or, while the image has
// not been analysed again since an upgrade, the one it was judged by last.
func (p *Pipeline) content(ctx context.Context, img *tidewaiter.Image) (content *tidewaiter.Content, analyzer string, err error) {
	diffIDs := make([]string, len(img.Layers))
	for i, l := range img.Layers {
		diffIDs[i] = l.DiffID
	}
	analyzer = p.Engine.Version()
	analyses, err := p.Store.Analyses(ctx, diffIDs, analyzer)
	if tidewaiter.KindOf(err) == tidewaiter.ErrNotFound && img.Judgement != nil && img.Judgement.Analyzer != analyzer {
		analyzer = img.Judgement.Analyzer
		analyses, err = p.Store.Analyses(ctx, diffIDs, analyzer)
	}
	if err != nil {
		return nil, "", err
	}
	content = engine.Merge(analyses)
	secrets, err := p.configSecrets(img)
	content.Secrets = append(content.Secrets, secrets...)
	return content, analyzer, err
}

// configSecrets looks for secrets in what the image's configuration says.
func (p *Pipeline) configSecrets(img *tidewaiter.Image) ([]tidewaiter.Secret, error) {
	raw, err := json.Marshal(img.Config)
	if err != nil {
		return nil, fmt.Errorf("config of image %s: %w", img.Digest, err)
	}
	return p.Engine.ConfigSecrets(raw), nil
}

// matched is what the advisories say of an image's packages.
type matched struct {
	version         string // "" when there are no advisories yet
	generation      int64  // of the findings
	endOfLife       bool
	findings        map[int64][]tidewaiter.Finding
	vulnerabilities map[string]*tidewaiter.Vulnerability
	firstFound      map[tidewaiter.FindingKey]time.Time
}

// match interns the image's packages and looks up those that nobody has looked up in these advisories before.
func (p *Pipeline) match(ctx context.Context, content *tidewaiter.Content) (*matched, error) {
	ids, packages, err := p.intern(ctx, content)
	if err != nil {
		return nil, err
	}
	m := &matched{}
	advisories, ok := p.Matcher.Advisories()
	if !ok {
		m.generation, err = p.Store.FindingsGeneration(ctx)
		return m, err
	}
	m.version = advisories.Version
	unmatched, err := p.Store.UnmatchedPackages(ctx, ids, advisories.Version)
	if err != nil {
		return nil, err
	}
	if len(unmatched) > 0 || content.Distribution != nil {
		if m.version, err = p.matchPackages(ctx, unmatched, packages); err != nil {
			return nil, err
		}
	}
	m.endOfLife = engine.EndOfLife(ctx, content.Distribution)
	if m.generation, err = p.Store.FindingsGeneration(ctx); err != nil {
		return nil, err
	}
	dated, err := p.Store.DatedFindings(ctx, ids)
	if err != nil {
		return nil, err
	}
	m.findings = make(map[int64][]tidewaiter.Finding, len(dated))
	m.firstFound = make(map[tidewaiter.FindingKey]time.Time)
	var names []string
	for id, list := range dated {
		for _, f := range list {
			m.findings[id] = append(m.findings[id], f.Finding)
			m.firstFound[tidewaiter.FindingKey{PackageID: id, Vulnerability: f.Vulnerability}] = f.FoundAt
			names = append(names, f.Vulnerability)
		}
	}
	m.vulnerabilities, err = p.Store.Vulnerabilities(ctx, names)
	return m, err
}

// intern numbers the image's distinct packages, writing the numbers into the content.
func (p *Pipeline) intern(ctx context.Context, content *tidewaiter.Content) ([]int64, map[int64]*tidewaiter.Package, error) {
	list := make([]*tidewaiter.Package, len(content.Installed))
	for i := range content.Installed {
		list[i] = content.Installed[i].Package
	}
	err := p.Store.Update(ctx, func(tx *store.Tx) error { return tx.InternPackages(ctx, list) })
	if err != nil {
		return nil, nil, err
	}
	packages := make(map[int64]*tidewaiter.Package, len(list))
	ids := make([]int64, 0, len(list))
	for _, pkg := range list {
		if packages[pkg.ID] == nil {
			packages[pkg.ID] = pkg
			ids = append(ids, pkg.ID)
		}
	}
	return ids, packages, nil
}

// matchPackages looks packages up and stores the answers for the whole fleet. It returns the version it asked.
func (p *Pipeline) matchPackages(ctx context.Context, ids []int64, packages map[int64]*tidewaiter.Package) (string, error) {
	list := make([]*tidewaiter.Package, len(ids))
	for i, id := range ids {
		list[i] = packages[id]
	}
	answer, err := p.Matcher.Match(ctx, list)
	if err != nil {
		return "", err
	}
	findings := make(map[int64][]tidewaiter.Finding, len(ids))
	seen := map[string]bool{}
	for i, id := range ids {
		findings[id] = answer.Findings[i]
		for _, f := range answer.Findings[i] {
			seen[f.Vulnerability] = true
		}
	}
	names := make([]string, 0, len(seen))
	for name := range seen {
		names = append(names, name)
	}
	details, err := p.Matcher.Describe(ctx, names)
	if err != nil {
		return "", err
	}
	err = p.Store.Update(ctx, func(tx *store.Tx) error {
		if err := p.underAdvisories(ctx, tx, answer.Advisories.Version); err != nil {
			return err
		}
		return tx.SaveFindings(ctx, answer.Advisories.Version, findings, details, p.Now())
	})
	return answer.Advisories.Version, err
}
