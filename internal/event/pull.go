package event

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/tidewaiter/tidewaiter/internal/store"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// Queue is where events wait to be fetched.
type Queue interface {
	// Receive waits for messages, not longer than a minute, and returns those there are; none is no error. They stay on the
	// queue, hidden for a while, until Done.
	Receive(ctx context.Context) ([]tidewaiter.Message, error)
	// Done takes messages off.
	Done(ctx context.Context, handles []string) error
}

// PullConfig is what a Puller works with. Every field but Every is required.
type PullConfig struct {
	Store  *store.DB
	Open   func(ctx context.Context, s *store.EventSource) (Queue, error)
	Keep   func(ctx context.Context, registryID string, d Delivery) error // stores the events of a message
	Holder string                                                         // this process, unlike any other
	Now    func() time.Time
	Log    *slog.Logger
	Every  time.Duration // between two looks for sources to fetch from; 0 is five seconds
}

// Puller fetches events from the queues of registries, each queue in one process at a time.
type Puller struct{ PullConfig }

// NewPuller returns a Puller.
func NewPuller(c PullConfig) *Puller {
	if c.Every <= 0 {
		c.Every = 5 * time.Second
	}
	return &Puller{c}
}

const (
	pullTime  = time.Minute      // of one request for messages
	keepTime  = 30 * time.Second // for storing them and taking them off
	leaseTime = pullTime + 2*keepTime
	minPause  = time.Second // after an error, doubled with each further one …
	maxPause  = time.Minute // … up to here
	noteTime  = 5 * time.Second
)

// Run fetches until ctx ends, and gives its leases back then. A process that was killed holds them for two minutes still.
func (p *Puller) Run(ctx context.Context) {
	var group sync.WaitGroup
	defer group.Wait()
	var mu sync.Mutex
	running := map[string]bool{}
	tick := time.NewTicker(p.Every)
	defer tick.Stop()
	for {
		sources, err := p.Store.EventSources(ctx)
		if err != nil && ctx.Err() == nil {
			p.Log.Warn("event sources cannot be read", "err", err)
		}
		for _, s := range sources {
			mu.Lock()
			skip := running[s.RegistryID]
			mu.Unlock()
			if skip || s.Holder != "" && s.Holder != p.Holder && p.Now().Before(s.HeldUntil) {
				continue
			}
			mu.Lock()
			running[s.RegistryID] = true
			mu.Unlock()
			group.Go(func() {
				p.fetch(ctx, s)
				mu.Lock()
				defer mu.Unlock()
				delete(running, s.RegistryID)
			})
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// fetch fetches from one source while this process holds the lease and the source is as it was.
func (p *Puller) fetch(ctx context.Context, s *store.EventSource) {
	defer p.release(ctx, s)
	var q Queue
	pause := time.Duration(0)
	for {
		held, err := p.hold(ctx, s, leaseTime+pause)
		if err != nil && ctx.Err() == nil {
			p.Log.Warn("event source cannot be held", "registry", s.RegistryID, "err", err)
		}
		if err != nil || !held {
			return
		}
		if pause > 0 {
			select {
			case <-ctx.Done():
				return
			case <-time.After(pause):
			}
		}
		if q == nil {
			q, err = p.Open(ctx, s)
		}
		n := 0
		if err == nil {
			n, err = p.batch(ctx, s, q)
		}
		if ctx.Err() != nil {
			return
		}
		p.note(ctx, s, n, err)
		if err == nil {
			pause = 0
			continue
		}
		q, pause = nil, min(max(2*pause, minPause), maxPause) // opened anew: the credential may have changed
	}
}

// batch fetches what waits, stores it and only then takes it off. What could not be stored stays on the queue.
func (p *Puller) batch(ctx context.Context, s *store.EventSource, q Queue) (int, error) {
	waiting, cancel := context.WithTimeout(ctx, pullTime)
	messages, err := q.Receive(waiting)
	late := waiting.Err() != nil && ctx.Err() == nil
	cancel()
	if late {
		return 0, nil // nothing came in that time
	}
	if err != nil || len(messages) == 0 {
		return 0, err
	}
	// What was fetched is seen through, though this process is asked to stop.
	work, cancel := context.WithTimeout(context.WithoutCancel(ctx), keepTime)
	defer cancel()
	failures := make([]error, len(messages))
	var group sync.WaitGroup
	for i, m := range messages {
		group.Go(func() { failures[i] = p.Keep(work, s.RegistryID, Delivery{Body: m.Body}) })
	}
	group.Wait()
	var done []string
	for i, m := range messages {
		if failures[i] == nil {
			done = append(done, m.Handle)
		} else {
			err = failures[i]
		}
	}
	if len(done) > 0 {
		if e := q.Done(work, done); e != nil {
			err = e
		}
	}
	return len(done), err
}

func (p *Puller) hold(ctx context.Context, s *store.EventSource, life time.Duration) (held bool, err error) {
	err = p.Store.Update(ctx, func(tx *store.Tx) (err error) {
		held, err = tx.HoldEventSource(ctx, s.RegistryID, p.Holder, s.UpdatedAt, p.Now().Add(life), p.Now())
		return err
	})
	return held, err
}

func (p *Puller) release(ctx context.Context, s *store.EventSource) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), noteTime)
	defer cancel()
	if err := p.Store.Update(ctx, func(tx *store.Tx) error { return tx.ReleaseEventSource(ctx, s.RegistryID, p.Holder) }); err != nil {
		p.Log.Warn("event source cannot be released", "registry", s.RegistryID, "err", err)
	}
}

// note keeps how it went where it can be seen.
func (p *Puller) note(ctx context.Context, s *store.EventSource, n int, failure error) {
	if failure != nil {
		p.Log.Warn("events cannot be fetched", "registry", s.RegistryID, "place", s.Place, "kind", string(tidewaiter.KindOf(failure)), "err", failure)
	}
	err := p.Store.Update(ctx, func(tx *store.Tx) error {
		return tx.EventSourcePolled(ctx, s.RegistryID, p.Holder, n, failure, p.Now())
	})
	if err != nil && ctx.Err() == nil {
		p.Log.Warn("event source cannot be noted", "registry", s.RegistryID, "err", err)
	}
}
