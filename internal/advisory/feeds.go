package advisory

import (
	"context"
	"iter"
	"math/rand/v2"
	"net/http"
	"sync"
	"time"

	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// Taker takes a feed that was read and checked into use. Taking the version that is in use already costs little.
type Taker interface {
	TakeEPSS(ctx context.Context, f tidewaiter.Feed, scores iter.Seq2[tidewaiter.EPSSScore, error]) error
	TakeKEV(ctx context.Context, f tidewaiter.Feed, catalog map[string]tidewaiter.KEV) error
}

// FeedOptions say where feeds come from and go to. Dir is required; zero for the rest means the default.
type FeedOptions struct {
	Dir     string                         // everything in it belongs to the Feeds; made when it does not exist
	Sources map[tidewaiter.FeedKind]string // as fetchFeed reads them; a feed without one is not fetched
	Taker   Taker                          // nil keeps the files and does nothing else

	Artifacts Source       // for sources that are OCI references
	HTTP      *http.Client // for those that are URLs
	UserAgent string

	Interval time.Duration // between two looks at a source; default 6 hours
	Timeout  time.Duration // for one look; default 10 minutes
	MaxFile  int64         // bytes as they come; default 64 MiB
	MaxText  int64         // bytes unpacked; default 512 MiB

	Now    func() time.Time
	Random func() float64 // in [0,1), spreads many installations over time
}

// Feeds keeps the feeds that say what is attacked: EPSS scores and CISA's catalog. A feed is fetched to disk, read to its end
// and checked, and only then takes the place of the one before. All methods may be called concurrently.
type Feeds struct {
	options FeedOptions
	work    chan struct{} // holds one token; whoever has it may change what is on disk

	mu     sync.Mutex
	states map[tidewaiter.FeedKind]*FeedState
}

// FeedState is what is known of one feed.
type FeedState struct {
	Source      string           // where it is fetched from; "" when it is not
	Current     *tidewaiter.Feed // what is on disk; nil when there is none
	Taken       bool             // Current is in use
	LastAttempt time.Time        // to fetch or import; zero: none since the start
	LastError   error            // of the last attempt, or of taking it into use
	Next        time.Time        // when Run looks again

	failures int
	seen     seen
}

// NewFeeds returns Feeds that know what is on disk. They take it into use when Run begins.
func NewFeeds(o FeedOptions) *Feeds {
	if o.Interval <= 0 {
		o.Interval = 6 * time.Hour
	}
	if o.Timeout <= 0 {
		o.Timeout = 10 * time.Minute
	}
	if o.MaxFile <= 0 {
		o.MaxFile = 64 << 20
	}
	if o.MaxText <= 0 {
		o.MaxText = 512 << 20
	}
	if o.HTTP == nil {
		o.HTTP = feedClient()
	}
	if o.UserAgent == "" {
		o.UserAgent = "tidewaiter"
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Random == nil {
		o.Random = rand.Float64
	}
	f := &Feeds{options: o, work: make(chan struct{}, 1), states: map[tidewaiter.FeedKind]*FeedState{}}
	f.work <- struct{}{}
	for _, kind := range tidewaiter.FeedKinds() {
		s := &FeedState{Source: shown(o.Sources[kind])}
		var kept *keptFeed
		if kept, s.LastError = f.kept(kind); kept != nil {
			s.Current, s.seen = &kept.Feed, kept.Seen
			s.Next = kept.Feed.FetchedAt.Add(o.Interval)
		}
		f.states[kind] = s
	}
	return f
}

// State returns what is known of a feed.
func (f *Feeds) State(kind tidewaiter.FeedKind) FeedState {
	f.mu.Lock()
	defer f.mu.Unlock()
	s := *f.states[kind]
	if s.Current != nil {
		feed := *s.Current
		s.Current = &feed
	}
	return s
}

// lookAgain is how often Run looks whether another process has left a newer feed on disk.
const lookAgain = time.Minute

// Run takes what is on disk into use and fetches what is due, until ctx ends. Failures are in State; it tries again later and
// later, up to an hour apart.
func (f *Feeds) Run(ctx context.Context) {
	for ctx.Err() == nil {
		wait := lookAgain
		for _, kind := range tidewaiter.FeedKinds() {
			_ = f.take(ctx, kind) // told by State
			_, _ = f.Update(ctx, kind, false)
			if s := f.State(kind); s.Source != "" {
				wait = min(wait, max(time.Second, s.Next.Sub(f.options.Now())))
			}
		}
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			timer.Stop()
		case <-timer.C:
		}
	}
}

// Update fetches a feed and takes it into use: at once when forced, otherwise only when that is due. A feed without a source is
// left as it is. It reports whether the feed changed; whatever its error is, what was in use stays.
func (f *Feeds) Update(ctx context.Context, kind tidewaiter.FeedKind, force bool) (changed bool, err error) {
	source := f.options.Sources[kind]
	if source == "" || !force && f.options.Now().Before(f.State(kind).Next) {
		return false, nil
	}
	limited, cancel := context.WithTimeout(ctx, f.options.Timeout)
	defer cancel()
	changed, err = f.replace(limited, kind, source, f.State(kind).seen, false)
	if ctx.Err() != nil && err != nil {
		return false, canceled(ctx.Err()) // being stopped says nothing about the source
	}
	f.finish(kind, err)
	return changed, err
}

// Import takes a feed from a file into use, older than the one in use or not.
func (f *Feeds) Import(ctx context.Context, kind tidewaiter.FeedKind, file string) (changed bool, err error) {
	changed, err = f.replace(ctx, kind, "file:"+file, seen{}, true)
	f.mu.Lock()
	f.states[kind].LastAttempt, f.states[kind].LastError = f.options.Now(), err
	f.mu.Unlock()
	return changed, err
}

// finish notes how an attempt ended and when the next one is due.
func (f *Feeds) finish(kind tidewaiter.FeedKind, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	s, now := f.states[kind], f.options.Now()
	s.LastAttempt, s.LastError = now, err
	wait := f.options.Interval
	if s.failures++; err == nil {
		s.failures = 0
	} else {
		wait = retryWait(s.failures, err)
	}
	s.Next = now.Add(wait + time.Duration(spread*f.options.Random()*float64(wait)))
}
