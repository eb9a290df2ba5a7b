package scan

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/tidewaiter/tidewaiter/internal/engine"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// Direct scans one image here and now, without store or queue: what the command line does.
type Direct struct {
	Engine   *engine.Engine
	Matcher  *engine.Matcher
	Rules    Rules
	Parallel int                      // layers at a time
	Progress func(layer int, n int64) // compressed bytes of a layer that came in; called for several layers at once; may be nil
	Begin    func(*tidewaiter.Image)  // the image was found, its layers come next; may be nil
	Now      func() time.Time
}

// Scan pulls an image and returns everything known of it. reference is a tag or digest; out of an index it takes the
// image for the platform, nil meaning linux/amd64 or else the first.
func (d *Direct) Scan(ctx context.Context, source Source, repository, reference string, platform *tidewaiter.Platform) (*tidewaiter.Result, error) {
	var want []tidewaiter.Platform
	if platform != nil {
		want = []tidewaiter.Platform{*platform}
	}
	resolver := Resolver{Source: source}
	res, err := resolver.Resolve(ctx, repository, reference, want)
	if err != nil {
		return nil, err
	}
	if len(res.Images) == 0 {
		why := decisionWithout(res)
		return nil, tidewaiter.Errorf(tidewaiter.ErrUnsupported, "%s:%s is not an image that can be scanned: %s %s",
			repository, reference, why.Reason, why.Detail)
	}
	img := res.Images[0]
	if d.Begin != nil {
		d.Begin(img)
	}
	content, err := d.content(ctx, source, repository, img)
	if err != nil {
		return nil, err
	}
	raw, err := json.Marshal(img.Config)
	if err != nil {
		return nil, err
	}
	content.Secrets = append(content.Secrets, d.Engine.ConfigSecrets(raw)...)
	result := &tidewaiter.Result{Image: img, Content: content, Checks: engine.Checks(img, content)}
	by, err := d.match(ctx, result)
	if err != nil {
		return nil, err
	}
	img.State = tidewaiter.ImageJudged
	img.Judgement = summarize(result, []string{repository + ":" + reference}, d.Rules, by, d.Now())
	return result, nil
}

// content analyses the image's layers, each distinct one once.
func (d *Direct) content(ctx context.Context, source Source, repository string, img *tidewaiter.Image) (*tidewaiter.Content, error) {
	analyses := make([]*tidewaiter.Analysis, len(img.Layers))
	first := map[string]int{} // where a layer comes first
	group, gctx := errgroup.WithContext(ctx)
	group.SetLimit(max(1, d.Parallel))
	for i, l := range img.Layers {
		if _, again := first[l.DiffID]; again {
			continue
		}
		first[l.DiffID] = i
		group.Go(func() error {
			a, err := d.layer(gctx, source, repository, i, l)
			if err != nil {
				return fmt.Errorf("layer %s: %w", l.Digest, err)
			}
			analyses[i] = a
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	for i, l := range img.Layers {
		analyses[i] = analyses[first[l.DiffID]]
	}
	return engine.Merge(analyses), nil
}

func (d *Direct) layer(ctx context.Context, source Source, repository string, i int, l tidewaiter.LayerRef) (*tidewaiter.Analysis, error) {
	blob, err := source.Blob(ctx, repository, tidewaiter.Descriptor{MediaType: l.MediaType, Digest: l.Digest, Size: l.Size})
	if err != nil {
		return nil, err
	}
	defer blob.Close()
	var r io.Reader = blob
	if d.Progress != nil {
		r = readFunc(func(b []byte) (int, error) {
			n, err := blob.Read(b)
			d.Progress(i, int64(n))
			return n, err
		})
	}
	return d.Engine.Analyze(ctx, l.DiffID, r)
}

type readFunc func([]byte) (int, error)

func (f readFunc) Read(b []byte) (int, error) { return f(b) }

// match numbers the packages and looks them up, when there are advisories.
func (d *Direct) match(ctx context.Context, r *tidewaiter.Result) (judgedBy, error) {
	by := judgedBy{analyzer: d.Engine.Version()}
	ids := map[string]int64{}
	var packages []*tidewaiter.Package
	for i := range r.Content.Installed {
		p := r.Content.Installed[i].Package
		key := p.Key()
		if ids[key] == 0 {
			ids[key] = int64(len(ids) + 1)
			packages = append(packages, p)
		}
		p.ID = ids[key]
	}
	if _, ok := d.Matcher.Advisories(); !ok {
		return by, nil
	}
	answer, err := d.Matcher.Match(ctx, packages)
	if err != nil {
		return by, err
	}
	r.Findings = map[int64][]tidewaiter.Finding{}
	var names []string
	for i, p := range packages {
		r.Findings[p.ID] = answer.Findings[i]
		for _, f := range answer.Findings[i] {
			names = append(names, f.Vulnerability)
		}
	}
	if r.Vulnerabilities, err = d.Matcher.Describe(ctx, names); err != nil {
		return by, err
	}
	by.advisories = answer.Advisories.Version
	by.endOfLife = engine.EndOfLife(ctx, r.Content.Distribution)
	return by, nil
}
