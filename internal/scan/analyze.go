package scan

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/tidewaiter/tidewaiter/internal/store"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

const (
	// layerTime bounds the pull and analysis of one layer.
	layerTime = 30 * time.Minute
	// leaseTime is how long a layer stays with a worker that has died; one that lives renews its lease in time.
	leaseTime  = 20 * time.Second
	leaseRenew = leaseTime / 4
)

// LayerArgs names a layer to analyse.
type LayerArgs struct {
	DiffID   string    `json:"diffID"`
	Analyzer string    `json:"analyzer"`
	From     LayerFrom `json:"from,omitzero"` // zero in jobs that an earlier version queued
}

// LayerFrom is where a layer can be had.
type LayerFrom struct {
	RegistryID string `json:"registryID"`
	Repository string `json:"repository"`
	tidewaiter.Descriptor
}

// layerJob is a registry's own: when several wait for the same layer each has a job, and the lease lets one pull it. So none
// waits because another is paused, canceled, or out of reach.
func (p *Pipeline) layerJob(lane tidewaiter.Lane, source store.Source, l tidewaiter.LayerRef) tidewaiter.Job {
	return tidewaiter.Job{Kind: JobLayer, Lane: lane, UniqueKey: l.DiffID + "/" + source.RegistryID, Timeout: layerTime,
		RegistryID: source.RegistryID, Turn: source.RegistryID, Reach: tidewaiter.ReachPull,
		Args: LayerArgs{DiffID: l.DiffID, Analyzer: p.Engine.Version(), From: LayerFrom{RegistryID: source.RegistryID,
			Repository: source.Repository, Descriptor: tidewaiter.Descriptor{MediaType: l.MediaType, Digest: l.Digest, Size: l.Size}}}}
}

// otherAnalyzerWait is how long the jobs of another version of this program are left to its processes, while servers and
// workers are upgraded one after the other.
const otherAnalyzerWait = 15 * time.Minute

// analyze is the second stage: it pulls a layer nobody has analysed yet, once for the whole fleet.
func (p *Pipeline) analyze(ctx context.Context, run tidewaiter.JobRun) error {
	a, err := arguments[LayerArgs](run)
	if err != nil {
		return err
	}
	if a.Analyzer != p.Engine.Version() {
		if p.Now().Sub(run.CreatedAt) < otherAnalyzerWait {
			return &tidewaiter.Error{Kind: tidewaiter.ErrLimit, Msg: "the layer is for another analyzer", RetryAfter: 5 * time.Second}
		}
		// Nobody has that version any more. Its images are asked for again by their next scan.
		return tidewaiter.Errorf(tidewaiter.ErrUnsupported, "layer asked for by analyzer %s, this is %s", a.Analyzer, p.Engine.Version())
	}
	owner := fmt.Sprintf("%s/%d", p.Worker, run.ID)
	lease, err := p.lease(ctx, a, owner)
	switch {
	case err != nil || lease == store.LeaseDone:
		return err
	case lease == store.LeaseTaken:
		return &tidewaiter.Error{Kind: tidewaiter.ErrLimit, Msg: "another worker has this layer", RetryAfter: time.Second}
	}
	analysis, err := p.pullLeased(ctx, a, owner)
	if err != nil {
		if release := p.release(context.WithoutCancel(ctx), a, owner); release != nil {
			p.Log.Warn("lease of a layer not given back", "layer", a.DiffID, "err", release)
		}
		return err
	}
	return p.layerDone(ctx, run, a, analysis)
}

func (p *Pipeline) analyzeFailed(ctx context.Context, run tidewaiter.JobRun, cause error) error {
	a, err := arguments[LayerArgs](run)
	if err != nil {
		return err
	}
	p.Log.Warn("layer could not be analysed", "layer", a.DiffID, "job", run.ID, "err", cause)
	failure := tidewaiter.ScanError{Kind: tidewaiter.KindOf(cause), Text: cause.Error()}
	return p.fail(ctx, failure, func(tx *store.Tx) ([]string, error) {
		return tx.LayerFailed(ctx, a.DiffID, a.Analyzer, a.From.RegistryID, failure.Kind, failure.Text, p.Now())
	})
}

func (p *Pipeline) lease(ctx context.Context, a LayerArgs, owner string) (lease store.Lease, err error) {
	err = p.Store.Update(ctx, func(tx *store.Tx) error {
		lease, err = tx.LeaseLayer(ctx, a.DiffID, a.Analyzer, owner, p.Now().Add(leaseTime), p.Now())
		return err
	})
	return lease, err
}

// pullLeased pulls a layer and keeps its lease alive meanwhile. A renewal that fails is tried again: the worst that can
// come of it is that another worker pulls the layer too, and finds at the end that it is there.
func (p *Pipeline) pullLeased(ctx context.Context, a LayerArgs, owner string) (*tidewaiter.Analysis, error) {
	renewing, stop := context.WithCancel(ctx)
	var renewer sync.WaitGroup
	renewer.Go(func() {
		tick := time.NewTicker(leaseRenew)
		defer tick.Stop()
		for {
			select {
			case <-renewing.Done():
				return
			case <-tick.C:
				if _, err := p.lease(renewing, a, owner); err != nil && renewing.Err() == nil {
					p.Log.Warn("lease of a layer not renewed", "layer", a.DiffID, "err", err)
				}
			}
		}
	})
	defer func() { stop(); renewer.Wait() }()
	return p.pull(ctx, a)
}

// release gives a lease back, so that the next attempt need not wait for it to run out. ctx must outlive
// the attempt, which may end because its own is cancelled.
func (p *Pipeline) release(ctx context.Context, a LayerArgs, owner string) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	return p.Store.Update(ctx, func(tx *store.Tx) error {
		return tx.ReleaseLayer(ctx, a.DiffID, a.Analyzer, owner)
	})
}

// pull tries each place the layer can be had from until one gives it out, that of the job first. The error is the last
// place's, but for one whose credential may be replaced in a moment.
func (p *Pipeline) pull(ctx context.Context, a LayerArgs) (*tidewaiter.Analysis, error) {
	sources, err := p.sources(ctx, a)
	if err != nil {
		return nil, err
	}
	err = tidewaiter.Errorf(tidewaiter.ErrGone, "nobody waits for layer %s any more", a.DiffID)
	var waits error
	for _, s := range sources {
		var analysis *tidewaiter.Analysis
		if analysis, err = p.pullFrom(ctx, a.DiffID, s); err == nil {
			return analysis, nil
		}
		if e, ok := errors.AsType[*tidewaiter.Error](err); ok && e.Kind == tidewaiter.ErrAuth && e.RetryAfter > 0 {
			waits = p.refused(ctx, s.RegistryID, "", err)
		}
		if ctx.Err() != nil {
			break
		}
	}
	if waits != nil {
		return nil, waits
	}
	return nil, err
}

// sources are the places this process may pull a layer from. It was given the job because it may ask the job's registry;
// others may be paused, or want other workers.
func (p *Pipeline) sources(ctx context.Context, a LayerArgs) (open []store.LayerSource, err error) {
	waited, err := p.Store.LayerSources(ctx, a.DiffID, a.Analyzer)
	if err != nil || len(waited) == 0 {
		return nil, err
	}
	own := store.LayerSource{RegistryID: a.From.RegistryID, Repository: a.From.Repository, Descriptor: a.From.Descriptor}
	if own.RegistryID != "" {
		open = append(open, own)
	}
	asked := map[string]bool{own.RegistryID: true}
	for _, s := range waited {
		if s.RegistryID == own.RegistryID && s.Repository == own.Repository && s.Digest == own.Digest {
			continue
		}
		may, known := asked[s.RegistryID]
		if !known && p.Reaches != nil {
			if may, err = p.Reaches(ctx, s.RegistryID); err != nil {
				return nil, err
			}
			asked[s.RegistryID] = may
		}
		if may || p.Reaches == nil {
			open = append(open, s)
		}
	}
	return open, nil
}

func (p *Pipeline) pullFrom(ctx context.Context, diffID string, s store.LayerSource) (*tidewaiter.Analysis, error) {
	source, err := p.Open(ctx, s.RegistryID)
	if err != nil {
		return nil, err
	}
	blob, err := source.Blob(ctx, s.Repository, s.Descriptor)
	if err != nil {
		return nil, fmt.Errorf("layer %s: %w", s.Digest, err)
	}
	defer blob.Close()
	counted := &countingReader{r: blob}
	analysis, err := p.Engine.Analyze(ctx, diffID, counted)
	p.bytes.Add(float64(counted.n))
	if err != nil {
		return nil, fmt.Errorf("layer %s: %w", s.Digest, err)
	}
	p.layers.Inc()
	return analysis, nil
}

func (p *Pipeline) layerDone(ctx context.Context, run tidewaiter.JobRun, a LayerArgs, analysis *tidewaiter.Analysis) error {
	return p.Store.Update(ctx, func(tx *store.Tx) error {
		ready, err := tx.LayerDone(ctx, a.DiffID, a.Analyzer, analysis, p.Now())
		if err != nil {
			return err
		}
		jobs := make([]tidewaiter.Job, len(ready))
		for i, id := range ready {
			jobs[i] = judgeJob(run.Lane, id, run.Turn)
		}
		return p.Jobs.Enqueue(ctx, tx, jobs...)
	})
}

type countingReader struct {
	r io.Reader
	n int64
}

func (c *countingReader) Read(b []byte) (int, error) {
	n, err := c.r.Read(b)
	c.n += int64(n)
	return n, err
}
