package scan

import (
	"context"
	"fmt"
	"time"

	"github.com/tidewaiter/tidewaiter/internal/store"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// TagArgs names a tag to look into.
type TagArgs struct {
	ScanID     string                `json:"scanID,omitempty"`
	RegistryID string                `json:"registryID"`
	TagID      int64                 `json:"tagID"`
	Repository string                `json:"repository"`
	Tag        string                `json:"tag"`
	Digest     string                `json:"digest,omitempty"` // as listed; "" where the listing does not say
	Platforms  []tidewaiter.Platform `json:"platforms,omitempty"`
	Force      bool                  `json:"force,omitempty"`
}

// NewTagJob returns the job that looks into a tag.
func NewTagJob(lane tidewaiter.Lane, a TagArgs) tidewaiter.Job {
	return tidewaiter.Job{Kind: JobTag, Lane: lane, Args: a, RegistryID: a.RegistryID, Reach: tidewaiter.ReachPull, Timeout: 5 * time.Minute,
		UniqueKey: fmt.Sprintf("%s/%d/%s", a.RegistryID, a.TagID, a.ScanID)}
}

// index is the first stage: it learns which images a tag is and sees to it that their layers are analysed.
func (p *Pipeline) index(ctx context.Context, run tidewaiter.JobRun) error {
	a, err := arguments[TagArgs](run)
	if err != nil {
		return err
	}
	source, err := p.Open(ctx, a.RegistryID)
	if tidewaiter.KindOf(err) == tidewaiter.ErrNotFound {
		return nil // the registry was removed meanwhile, and the scan with it
	}
	if err != nil {
		return err
	}
	reference := a.Digest
	if reference == "" {
		reference = a.Tag
	}
	resolver := Resolver{Source: source, Manifest: p.knownManifest, Image: p.knownImage}
	res, err := resolver.Resolve(ctx, a.Repository, reference, a.Platforms)
	if err != nil {
		return p.refused(ctx, a.RegistryID, a.ScanID, err)
	}
	return p.Store.Update(ctx, func(tx *store.Tx) error {
		for _, m := range res.Manifests {
			if err := tx.PutManifest(ctx, m); err != nil {
				return err
			}
		}
		if len(res.Images) == 0 {
			scans, err := tx.TagNotScanned(ctx, a.TagID, res.Digest, decisionWithout(res), p.Now())
			return finish(ctx, tx, scans, p.Now(), err)
		}
		from := store.Source{RegistryID: a.RegistryID, Repository: a.Repository}
		out, err := tx.IndexTag(ctx, store.IndexTag{
			TagID: a.TagID, Digest: res.Digest, Images: res.Images, ScanID: a.ScanID, Analyzer: p.Engine.Version(), Now: p.Now(),
			Source: from, Force: a.Force,
		})
		if err != nil {
			return err
		}
		jobs := make([]tidewaiter.Job, 0, len(out.MissingLayers)+len(out.JudgeImages))
		for _, l := range out.MissingLayers {
			jobs = append(jobs, p.layerJob(run.Lane, from, l))
		}
		for _, id := range out.JudgeImages {
			jobs = append(jobs, judgeJob(run.Lane, id, a.RegistryID))
		}
		if err := p.Jobs.Enqueue(ctx, tx, jobs...); err != nil {
			return err
		}
		return finish(ctx, tx, out.Scans, p.Now(), nil)
	})
}

func (p *Pipeline) indexFailed(ctx context.Context, run tidewaiter.JobRun, cause error) error {
	a, err := arguments[TagArgs](run)
	if err != nil {
		return err
	}
	p.Log.Warn("tag could not be scanned", "registry", a.RegistryID, "repository", a.Repository, "tag", a.Tag, "job", run.ID, "err", cause)
	failure := tidewaiter.ScanError{Kind: tidewaiter.KindOf(cause), Text: cause.Error(), Repository: a.Repository, Tag: a.Tag}
	return p.fail(ctx, failure, func(tx *store.Tx) ([]string, error) {
		return tx.TagFailed(ctx, a.TagID, failure.Kind, failure.Text, p.Now())
	})
}

// decisionWithout says why a tag led to no image.
func decisionWithout(res *Resolved) tidewaiter.Decision {
	if res.Kind == tidewaiter.ManifestIndex && len(res.Skipped) > 0 {
		return tidewaiter.Decision{Reason: tidewaiter.ReasonPlatform, Detail: fmt.Sprintf("it is for %v", res.Skipped)}
	}
	return tidewaiter.Decision{Reason: tidewaiter.ReasonNotAnImage}
}

func (p *Pipeline) knownManifest(ctx context.Context, digest string) (*tidewaiter.Manifest, error) {
	return known(p.Store.Manifest(ctx, digest))
}

func (p *Pipeline) knownImage(ctx context.Context, digest string) (*tidewaiter.Image, error) {
	return known(p.Store.ImageByDigest(ctx, digest))
}

// known turns "no such thing" into nil.
func known[T any](v *T, err error) (*T, error) {
	if tidewaiter.KindOf(err) == tidewaiter.ErrNotFound {
		return nil, nil
	}
	return v, err
}

// finish ends the scans for which nothing is outstanding any more. It passes on the error of the step before.
func finish(ctx context.Context, tx *store.Tx, scans []string, now time.Time, err error) error {
	if err != nil {
		return err
	}
	for _, id := range scans {
		if _, err := tx.FinishScanIfDone(ctx, id, now); err != nil {
			return err
		}
	}
	return nil
}
