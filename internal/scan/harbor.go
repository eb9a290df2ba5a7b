package scan

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/tidewaiter/tidewaiter/internal/store"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// HarborArgs names a scan that a Harbor asked for.
type HarborArgs struct {
	ScanID string `json:"scanID"`
}

// harborSource begins the name that such a scan goes by where others name a declared registry.
const harborSource = "harbor:"

// HarborSource returns what Config.Open is asked for to pull with the login of a scan that a Harbor asked for.
func HarborSource(scanID string) string { return harborSource + scanID }

// HarborScanOf returns the scan that a source is of, and whether it is of one.
func HarborScanOf(source string) (scanID string, ok bool) {
	return strings.CutPrefix(source, harborSource)
}

// These bound how long the job of a scan waits until it looks again whether the image is judged: the longer, the
// longer it has waited, so that thousands of waiting scans cost little. A report that is asked for looks for itself.
const (
	firstHarborLook = 2 * time.Second
	lastHarborLook  = 30 * time.Second
)

// Harbor does the job of a scan that a Harbor asked for: it brings the image into the pipeline, like a tag that a listing
// found, and ends the scan, with its login, once the image is judged or the time is over.
func (p *Pipeline) Harbor(ctx context.Context, run tidewaiter.JobRun) error {
	a, err := arguments[HarborArgs](run)
	if err != nil {
		return err
	}
	s, err := known(p.Store.HarborScan(ctx, a.ScanID))
	if err != nil || s == nil || s.State != store.HarborWaiting {
		return err
	}
	if !p.Now().Before(s.ExpiresAt) {
		return p.endHarbor(ctx, s.ID, tidewaiter.Errorf(tidewaiter.ErrTransient, "the scan took too long"))
	}
	if s.ImageID == 0 {
		if err := p.indexHarbor(ctx, run.Lane, s); err != nil {
			return err
		}
	}
	state, failure, err := p.Store.HarborOutcome(ctx, s.ID)
	if err != nil {
		return err
	}
	if state == store.HarborWaiting {
		return &tidewaiter.Error{Kind: tidewaiter.ErrLimit, Msg: "the image is not judged yet",
			RetryAfter: min(max(p.Now().Sub(s.CreatedAt)/4, firstHarborLook), lastHarborLook)}
	}
	return p.endHarbor(ctx, s.ID, failure)
}

// HarborFailed ends a scan whose job failed for good.
func (p *Pipeline) HarborFailed(ctx context.Context, run tidewaiter.JobRun, cause error) error {
	a, err := arguments[HarborArgs](run)
	if err != nil {
		return err
	}
	p.Log.Warn("image could not be scanned for Harbor", "scan", a.ScanID, "job", run.ID, "err", cause)
	failure, ok := errors.AsType[*tidewaiter.Error](cause)
	if !ok {
		failure = tidewaiter.Errorf(tidewaiter.ErrBug, "the scan failed")
	}
	return p.endHarbor(ctx, a.ScanID, &tidewaiter.Error{Kind: failure.Kind, Msg: cause.Error()})
}

func (p *Pipeline) endHarbor(ctx context.Context, id string, failure *tidewaiter.Error) error {
	return p.Store.Update(ctx, func(tx *store.Tx) error { return tx.EndHarborScan(ctx, id, failure, p.Now()) })
}

// indexHarbor learns what the image is made of and sees to it that its layers are analysed. The manifest is read from the
// registry even when it is known: results are for those who may read the image.
func (p *Pipeline) indexHarbor(ctx context.Context, lane tidewaiter.Lane, s *store.HarborScan) error {
	source, err := p.Open(ctx, HarborSource(s.ID))
	if err != nil {
		return err
	}
	resolver := Resolver{Source: source, Image: p.knownImage}
	res, err := resolver.Resolve(ctx, s.Repository, s.Digest, nil)
	if err != nil {
		return err
	}
	if res.Kind != tidewaiter.ManifestImage {
		return tidewaiter.Errorf(tidewaiter.ErrUnsupported, "%s is not an image", s.Digest)
	}
	name, err := p.nameInHarbor(ctx, source, s)
	if err != nil {
		return err
	}
	// In a transaction of its own: in the next one, layers and images are locked before tags.
	var tagID int64
	if err := p.Store.Update(ctx, func(tx *store.Tx) (err error) {
		tagID, err = tx.HarborTag(ctx, tidewaiter.HostOf(s.URL), s.Repository, name, p.Now())
		return err
	}); err != nil {
		return err
	}
	return p.indexHarborTag(ctx, lane, s, tagID, res)
}

func (p *Pipeline) indexHarborTag(ctx context.Context, lane tidewaiter.Lane, s *store.HarborScan, tagID int64, res *Resolved) error {
	return p.Store.Update(ctx, func(tx *store.Tx) error {
		for _, m := range res.Manifests {
			if err := tx.PutManifest(ctx, m); err != nil {
				return err
			}
		}
		from := store.Source{RegistryID: HarborSource(s.ID), Repository: s.Repository}
		out, err := tx.IndexTag(ctx, store.IndexTag{
			TagID: tagID, Digest: res.Digest, Images: res.Images, Analyzer: p.Engine.Version(), Now: p.Now(),
			Source: from,
		})
		if err != nil {
			return err
		}
		if err := tx.HarborIndexed(ctx, s.ID, tagID, out.ImageIDs[0], p.Engine.Version(), p.Now()); err != nil {
			return err
		}
		jobs := make([]tidewaiter.Job, 0, len(out.MissingLayers)+len(out.JudgeImages))
		for _, l := range out.MissingLayers {
			jobs = append(jobs, p.layerJob(lane, from, l))
		}
		for _, id := range out.JudgeImages {
			jobs = append(jobs, judgeJob(lane, id, from.RegistryID))
		}
		if err := p.Jobs.Enqueue(ctx, tx, jobs...); err != nil {
			return err
		}
		return finish(ctx, tx, out.Scans, p.Now(), nil)
	})
}

// nameInHarbor returns the name the image gets in the inventory: its tag when that still leads to it, else its digest.
// Harbor names a tag even when it is not the newest image that is scanned.
func (p *Pipeline) nameInHarbor(ctx context.Context, source Source, s *store.HarborScan) (string, error) {
	if s.Tag == "" {
		return s.Digest, nil
	}
	m, _, err := source.Manifest(ctx, s.Repository, s.Tag)
	switch {
	case tidewaiter.KindOf(err) == tidewaiter.ErrGone:
		return s.Digest, nil
	case err != nil:
		return "", err
	case m.Digest == s.Digest:
		return s.Tag, nil
	}
	return s.Digest, nil
}
