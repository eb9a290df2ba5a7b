package connector

import (
	"context"
	"errors"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tidewaiter/tidewaiter/internal/oci"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// How long a credential that a registry refuses altogether is not tried again, unless it is replaced: neither does it get
// better by itself at once, nor do registries forgive many attempts with a wrong one.
const (
	firstHold = 2 * time.Second // doubled each time …
	maxHold   = 30 * time.Second
)

// Live is a declared registry for somebody at work with it while its credential may be replaced. What is refused is asked
// once more with the credential that is stored by then. Where that is still the refused one, and it is refused for
// everything, not for the one thing asked, the error is an ErrAuth with RetryAfter: in a moment there may be a new one. That
// is said of pulling only where something has been pulled before, of listing always. It is safe for concurrent use.
type Live struct {
	connector *Connector
	id        string

	mu     sync.Mutex
	source *Source
}

// OpenLive opens a declared registry as Open does.
func (c *Connector) OpenLive(ctx context.Context, registryID string) (*Live, error) {
	s, err := c.Open(ctx, registryID)
	if err != nil {
		return nil, err
	}
	return &Live{connector: c, id: registryID, source: s}, nil
}

// Repositories is Source's.
func (l *Live) Repositories(ctx context.Context, cursor string) (names []string, next string, err error) {
	err = l.ask(ctx, listing, func(s *Source) error {
		names, next, err = s.Repositories(ctx, cursor)
		return err
	})
	return names, next, err
}

// Tags is Source's.
func (l *Live) Tags(ctx context.Context, repository, cursor string) (tags []tidewaiter.ListedTag, next string, err error) {
	err = l.ask(ctx, listing, func(s *Source) error {
		tags, next, err = s.Tags(ctx, repository, cursor)
		return err
	})
	return tags, next, err
}

// Head is Source's.
func (l *Live) Head(ctx context.Context, repository, reference string) (d tidewaiter.Descriptor, err error) {
	err = l.ask(ctx, pulling, func(s *Source) error {
		d, err = s.Head(ctx, repository, reference)
		return err
	})
	return d, err
}

// Manifest is Source's.
func (l *Live) Manifest(ctx context.Context, repository, reference string) (m *tidewaiter.Manifest, raw []byte, err error) {
	err = l.ask(ctx, pulling, func(s *Source) error {
		m, raw, err = s.Manifest(ctx, repository, reference)
		return err
	})
	return m, raw, err
}

// Config is Source's.
func (l *Live) Config(ctx context.Context, repository string, d tidewaiter.Descriptor) (c *oci.Config, raw []byte, err error) {
	err = l.ask(ctx, pulling, func(s *Source) error {
		c, raw, err = s.Config(ctx, repository, d)
		return err
	})
	return c, raw, err
}

// Blob is Source's.
func (l *Live) Blob(ctx context.Context, repository string, d tidewaiter.Descriptor) (b io.ReadCloser, err error) {
	err = l.ask(ctx, pulling, func(s *Source) error {
		b, err = s.Blob(ctx, repository, d)
		return err
	})
	return b, err
}

// What a registry is asked for. The two may take logins of their own.
type purpose int

const (
	listing purpose = iota
	pulling
)

// ask asks with the credential at hand and, when that is refused and another is stored meanwhile, with that one.
func (l *Live) ask(ctx context.Context, what purpose, f func(*Source) error) error {
	l.mu.Lock()
	s := l.source
	l.mu.Unlock()
	for again := range 2 {
		err := s.believed(what)
		if err == nil {
			err = f(s)
		}
		if err == nil && what == pulling {
			l.connector.pulled(s, l.id)
		}
		if tidewaiter.KindOf(err) != tidewaiter.ErrAuth {
			return err
		}
		stored, opening := l.connector.Open(ctx, l.id)
		if opening != nil || stored == s || again > 0 {
			if what == pulling && !l.connector.hasPulled(l.id) {
				return err
			}
			return s.refusal(ctx, err, what)
		}
		l.mu.Lock()
		l.source = stored
		l.mu.Unlock()
		s = stored
	}
	return nil
}

// refusals is what is known of a credential that a registry refuses.
type refusals struct {
	now       func() time.Time
	anonymous bool                       // there is no credential that could be replaced
	believed  [2]atomic.Pointer[refusal] // by purpose
	pulled    atomic.Bool                // noted that something was pulled
}

// refusal is believed for a while.
type refusal struct {
	err   *tidewaiter.Error
	until time.Time
	hold  time.Duration
}

// believed returns what the credential has been refused with a moment ago; nil when it may be tried.
func (s *Source) believed(what purpose) error {
	r := s.refusals.believed[what].Load()
	if r == nil {
		return nil
	}
	left := r.until.Sub(s.refusals.now())
	if left <= 0 {
		return nil
	}
	e := *r.err
	e.RetryAfter = max(left, time.Second)
	return &e
}

// refusal makes of an ErrAuth what it is: one that waiting for another credential can mend, where this one gets in nowhere.
func (s *Source) refusal(ctx context.Context, err error, what purpose) error {
	if e, ok := errors.AsType[*tidewaiter.Error](err); s.refusals.anonymous || ok && e.RetryAfter > 0 {
		return err
	}
	try := s.lists
	if what == pulling {
		try = s.Ping
	}
	e, _ := errors.AsType[*tidewaiter.Error](try(ctx))
	if e == nil || e.Kind != tidewaiter.ErrAuth {
		return err
	}
	hold := firstHold
	if before := s.refusals.believed[what].Load(); before != nil && before.until.After(s.refusals.now()) {
		return s.believed(what) // somebody else found out meanwhile
	} else if before != nil {
		hold = min(2*before.hold, maxHold)
	}
	known := &tidewaiter.Error{Kind: tidewaiter.ErrAuth, Msg: e.Msg, Fix: e.Fix, Err: e, RetryAfter: hold}
	s.refusals.believed[what].Store(&refusal{known, s.refusals.now().Add(hold), hold})
	return known
}

// maxServed bounds how many registries are remembered to have given out something.
const maxServed = 100_000

// pulled notes that something was pulled from a registry, whatever credential it has later.
func (c *Connector) pulled(s *Source, registryID string) {
	if s.refusals.pulled.Swap(true) {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.served) >= maxServed {
		clear(c.served)
	}
	c.served[registryID] = true
}

func (c *Connector) hasPulled(registryID string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.served[registryID]
}

// lists asks whether the registry lets the credential list anything.
func (s *Source) lists(ctx context.Context) error {
	_, _, err := s.Repositories(ctx, "")
	if tidewaiter.KindOf(err) == tidewaiter.ErrUnsupported {
		err = s.Ping(ctx)
	}
	return err
}
