// Package advisory keeps a current advisory database on disk: it fetches it from a list of OCI references or imports it
// from a file, unpacks each version into a directory of its own, and hands it to whoever matches by it. The database in
// use is never touched before the next one is open, so that any failure leaves things as they were.
package advisory

import (
	"context"
	"io"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// Source reads artifacts from registries. References are host/repository:tag or host/repository@digest. What it returns
// need not be verified; its errors carry their kind.
type Source interface {
	Manifest(ctx context.Context, reference string) (*tidewaiter.Manifest, error)
	// Blob streams a blob of the reference's repository. The caller closes it.
	Blob(ctx context.Context, reference string, d tidewaiter.Descriptor) (io.ReadCloser, error)
}

// Opener takes a database into use. dir holds trivy.db and does not change until another database has been opened. When
// it returns an error, what was in use before has to stay in use.
type Opener func(dir string, adv tidewaiter.Advisories) error

// Options say where advisories come from and go to. Dir, Source and Open are required; zero for the rest means the default.
type Options struct {
	Dir        string   // everything in it belongs to the Keeper; made when it does not exist
	References []string // tried in order; default DefaultReferences
	Source     Source
	Open       Opener

	Interval    time.Duration // between two looks at the registry, one small request each; default 6 hours
	Timeout     time.Duration // for one reference; default 30 minutes
	MaxArchive  int64         // bytes of the packed database; default 2 GiB
	MaxDatabase int64         // bytes of the unpacked one; default 8 GiB

	Now    func() time.Time
	Random func() float64 // in [0,1), spreads many installations over time
}

// DefaultReferences are where the Trivy project publishes its database, the mirror first, as its own clients do.
func DefaultReferences() []string {
	return []string{"mirror.gcr.io/aquasec/trivy-db:2", "ghcr.io/aquasecurity/trivy-db:2"}
}

// Keeper keeps the advisories current. All methods may be called concurrently.
type Keeper struct {
	options Options
	work    chan struct{} // holds one token; whoever has it may change what is on disk

	mu       sync.Mutex
	state    State
	failures int     // in a row
	update   *update // the one that runs now, if any
}

// State is what a Keeper knows of itself.
type State struct {
	Current     *tidewaiter.Advisories // nil: there are none yet, which is not the same as nothing found
	Since       time.Time              // when Current was taken into use
	LastAttempt time.Time              // to fetch or import; zero: none since the start
	LastError   error                  // of the last attempt, or of opening what was on disk
	Next        time.Time              // when Run looks again
}

// New returns a Keeper that knows of no advisories yet; see Restore.
func New(o Options) *Keeper {
	if len(o.References) == 0 {
		o.References = DefaultReferences()
	}
	if o.Interval <= 0 {
		o.Interval = 6 * time.Hour
	}
	if o.Timeout <= 0 {
		o.Timeout = 30 * time.Minute
	}
	if o.MaxArchive <= 0 {
		o.MaxArchive = 2 << 30
	}
	if o.MaxDatabase <= 0 {
		o.MaxDatabase = 8 << 30
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Random == nil {
		o.Random = rand.Float64
	}
	k := &Keeper{options: o, work: make(chan struct{}, 1)}
	k.work <- struct{}{}
	return k
}

// State returns the state of the moment.
func (k *Keeper) State() State {
	k.mu.Lock()
	defer k.mu.Unlock()
	s := k.state
	if s.Current != nil {
		adv := *s.Current
		s.Current = &adv
	}
	return s
}

// Run looks for newer advisories whenever that is due, until ctx ends. Failures are in State; it tries again later and
// later, up to an hour apart.
func (k *Keeper) Run(ctx context.Context) {
	for ctx.Err() == nil {
		timer := time.NewTimer(max(0, k.State().Next.Sub(k.options.Now())))
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-timer.C:
		}
		_, _ = k.Update(ctx, false) // told by State
	}
}

// acquire waits until nobody else changes what is on disk.
func (k *Keeper) acquire(ctx context.Context) (release func(), err error) {
	select {
	case <-k.work:
		return func() { k.work <- struct{}{} }, nil
	case <-ctx.Done():
		return nil, canceled(ctx.Err())
	}
}

func canceled(err error) error {
	return tidewaiter.Errorf(tidewaiter.ErrCanceled, "update advisories: %w", err)
}
