// Package scan is the pipeline from a tag to a verdict, one stage a file:
//
//	index    a tag's manifest and config: which images is it, which of their layers are new to the fleet?
//	analyze  one new layer, streamed from the wire into its Analysis
//	judge    an image whose layers are all known: merge, match, check, policy, verdict
//	apply    the policies have changed: all stored images, verdict only
//
// Each stage is a job. It may run twice, be killed at any moment and go on elsewhere: what a stage learned and the jobs
// that follow from it are stored in one transaction.
package scan

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/tidewaiter/tidewaiter/internal/engine"
	"github.com/tidewaiter/tidewaiter/internal/oci"
	"github.com/tidewaiter/tidewaiter/internal/policy"
	"github.com/tidewaiter/tidewaiter/internal/store"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// The pipeline's jobs.
const (
	JobTag     tidewaiter.JobKind = "tag"     // Args: TagArgs
	JobLayer   tidewaiter.JobKind = "layer"   // Args: LayerArgs
	JobJudge   tidewaiter.JobKind = "judge"   // Args: JudgeArgs
	JobRejudge tidewaiter.JobKind = "rejudge" // Args: RejudgeArgs
)

// Source is a registry to pull from.
type Source interface {
	Manifest(ctx context.Context, repository, reference string) (*tidewaiter.Manifest, []byte, error)
	Config(ctx context.Context, repository string, d tidewaiter.Descriptor) (*oci.Config, []byte, error)
	Blob(ctx context.Context, repository string, d tidewaiter.Descriptor) (io.ReadCloser, error)
}

// Enqueuer puts jobs on the queue inside a transaction of the store.
type Enqueuer interface {
	Enqueue(ctx context.Context, tx *store.Tx, jobs ...tidewaiter.Job) error
}

// Config is what a Pipeline works with. Every field but Reaches is required.
type Config struct {
	Store   *store.DB
	Jobs    Enqueuer
	Engine  *engine.Engine
	Matcher *engine.Matcher
	Open    func(ctx context.Context, registryID string) (Source, error) // a declared registry, logged in
	// Reaches says whether this process may ask a registry now; nil is every one.
	Reaches func(ctx context.Context, registryID string) (bool, error)
	Worker  string // who holds the leases; one name a process
	Now     func() time.Time
	Log     *slog.Logger
	Metrics prometheus.Registerer
}

// Pipeline runs the stages.
type Pipeline struct {
	Config
	inForce atomic.Pointer[Rules] // as last read
	layers  prometheus.Counter
	bytes   prometheus.Counter
	judged  prometheus.Counter
}

// New returns a Pipeline and registers its counters.
func New(c Config) *Pipeline {
	p := &Pipeline{
		Config: c,
		layers: prometheus.NewCounter(prometheus.CounterOpts{Name: "tidewaiter_layers_analyzed_total",
			Help: "Layers pulled and analysed."}),
		bytes: prometheus.NewCounter(prometheus.CounterOpts{Name: "tidewaiter_layer_bytes_pulled_total",
			Help: "Compressed bytes of layers pulled from registries."}),
		judged: prometheus.NewCounter(prometheus.CounterOpts{Name: "tidewaiter_images_judged_total",
			Help: "Images matched and judged, again or for the first time."}),
	}
	c.Metrics.MustRegister(p.layers, p.bytes, p.judged)
	return p
}

// Stage is one kind of job: what does it, and what is told when it has failed for good.
type Stage struct {
	Kind   tidewaiter.JobKind
	Work   func(context.Context, tidewaiter.JobRun) error
	Failed func(context.Context, tidewaiter.JobRun, error) error // may be nil
}

// Stages returns the pipeline's jobs.
func (p *Pipeline) Stages() []Stage {
	return []Stage{
		{JobTag, p.index, p.indexFailed},
		{JobLayer, p.analyze, p.analyzeFailed},
		{JobJudge, p.judge, p.judgeFailed},
		{JobRejudge, p.rejudge, nil},
		{policy.JobApply, p.applyPolicies, nil},
	}
}

// arguments reads what a job is about.
func arguments[T any](run tidewaiter.JobRun) (a T, err error) {
	if err := json.Unmarshal(run.Args, &a); err != nil {
		return a, fmt.Errorf("%s job: %w", run.Kind, err)
	}
	return a, nil
}

// settle stores what became of something in one transaction and ends the scans that have nothing outstanding any more.
func (p *Pipeline) settle(ctx context.Context, f func(*store.Tx) (scans []string, err error)) error {
	return p.Store.Update(ctx, func(tx *store.Tx) error {
		scans, err := f(tx)
		return finish(ctx, tx, scans, p.Now(), err)
	})
}

// fail is settle for what failed for good: the scans it touched keep the error.
func (p *Pipeline) fail(ctx context.Context, e tidewaiter.ScanError, f func(*store.Tx) (scans []string, err error)) error {
	e.At = p.Now()
	return p.settle(ctx, func(tx *store.Tx) ([]string, error) {
		scans, err := f(tx)
		if err != nil {
			return nil, err
		}
		for _, id := range scans {
			if err := tx.AddScanError(ctx, id, e); err != nil {
				return nil, err
			}
		}
		return scans, nil
	})
}
