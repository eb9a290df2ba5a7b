package event

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/tidewaiter/tidewaiter/internal/store"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// Job looks at the new events of one name; its Args are Args.
const Job tidewaiter.JobKind = "event"

// Args says which events a job is for.
type Args struct {
	Name string `json:"name"`
}

// Name is what an event is about. Events of one name are looked at together, however many come in.
func (e *PushEvent) Name() string {
	name := string(e.Sender) + " " + e.Host + "/" + e.Repository
	if e.RegistryID != "" {
		name = e.RegistryID + " " + name
	}
	if e.Tag == "" {
		return name + "@" + e.Digest
	}
	return name + ":" + e.Tag
}

// NewJob returns the job that looks at the events of a name. While it waits, further events of the name need none.
func NewJob(name string) tidewaiter.Job {
	return tidewaiter.Job{Kind: Job, Lane: tidewaiter.LaneEvent, Args: Args{Name: name}, UniqueKey: name, Timeout: 2 * time.Minute, MaxAttempts: 5}
}

// Source is a registry to ask what a tag points to.
type Source interface {
	Head(ctx context.Context, repository, reference string) (tidewaiter.Descriptor, error)
}

// Config is what a Worker works with. Every field is required.
type Config struct {
	Store *store.DB
	Open  func(ctx context.Context, registryID string) (Source, error) // a declared registry, logged in
	// Start puts a scan of one tag on the queue, in the lane of events; ErrNotFound when there is no such registry.
	Start func(ctx context.Context, tx *store.Tx, registryID string, target tidewaiter.Target) (*tidewaiter.Scan, error)
	Now   func() time.Time
	Log   *slog.Logger
}

// Worker finds out what follows from events.
type Worker struct{ Config }

// NewWorker returns a Worker.
func NewWorker(c Config) *Worker { return &Worker{c} }

// maxAtOnce bounds how many events of one name are settled together; the rest has its turn in the same job.
const maxAtOnce = 5000

// Work looks at the new events of a name: asks the registry what the tag points to now, and starts a scan unless that image
// is known or a scan of the tag waits already. What it starts and what became of the events is stored together.
func (w *Worker) Work(ctx context.Context, run tidewaiter.JobRun) error {
	var a Args
	if err := json.Unmarshal(run.Args, &a); err != nil {
		return fmt.Errorf("event job: %w", err)
	}
	for {
		events, err := w.Store.NewEvents(ctx, a.Name, maxAtOnce)
		if err != nil || len(events) == 0 {
			return err
		}
		found, why, err := w.candidates(ctx, events[0])
		if err != nil {
			return err
		}
		l := &look{Worker: w, events: events, found: found, none: why}
		if err := l.run(ctx); err != nil {
			return err
		}
	}
}

// Failed settles the events of a job that failed for good: they can be replayed.
func (w *Worker) Failed(ctx context.Context, run tidewaiter.JobRun, cause error) error {
	var a Args
	if err := json.Unmarshal(run.Args, &a); err != nil {
		return fmt.Errorf("event job: %w", err)
	}
	w.Log.Warn("event could not be used", "event", a.Name, "job", run.ID, "err", cause)
	events, err := w.Store.NewEvents(ctx, a.Name, maxAtOnce)
	if err != nil {
		return err
	}
	l := &look{Worker: w, events: events}
	return w.Store.Update(ctx, func(tx *store.Tx) error { return l.settle(ctx, tx, all, store.EventUnused, cause.Error()) })
}

// look is one look at the events of a name.
type look struct {
	*Worker
	events []*store.Event
	found  []candidate
	none   string // why there are no candidates
}

func all(*store.Event) bool       { return true }
func pushed(e *store.Event) bool  { return e.Action == string(Push) }
func deleted(e *store.Event) bool { return e.Action == string(Delete) }

// settle notes what became of some of the events.
func (l *look) settle(ctx context.Context, tx *store.Tx, which func(*store.Event) bool, state store.EventState, reason string) error {
	var ids []int64
	for _, e := range l.events {
		if which(e) {
			ids = append(ids, e.ID)
		}
	}
	var registries []string
	for _, c := range l.found {
		if !slices.Contains(registries, c.registry.ID) {
			registries = append(registries, c.registry.ID)
		}
	}
	return tx.SettleEvents(ctx, ids, state, reason, registries)
}

func (l *look) unused(ctx context.Context, format string, args ...any) error {
	return l.Store.Update(ctx, func(tx *store.Tx) error {
		return l.settle(ctx, tx, all, store.EventUnused, fmt.Sprintf(format, args...))
	})
}

func (l *look) run(ctx context.Context) error {
	e := l.events[0]
	if len(l.found) == 0 {
		return l.unused(ctx, "%s", l.none)
	}
	if e.Tag == "" {
		return l.deletedByDigest(ctx, e.Digest)
	}
	at, err := l.ask(ctx, e.Tag)
	if err != nil {
		return err
	}
	if l.early(at) {
		return &tidewaiter.Error{Kind: tidewaiter.ErrLimit, Msg: "the registry does not show yet what was pushed", RetryAfter: earlyWait}
	}
	switch {
	case len(at.holders) > 0 && slices.ContainsFunc(l.events, pushed):
		return l.pushed(ctx, e.Tag, at.holders)
	case len(at.holders) > 0:
		return l.unused(ctx, "the registry still has the tag")
	case len(at.gone) > 0:
		return l.gone(ctx, []fallen{{e.Tag, at.gone}})
	}
	return l.unused(ctx, "%s", at.why)
}

// Registries tell of a push before the tag is there, or leads to what was pushed: distribution does by some milliseconds. So when
// they do not show what the last event says, they are asked again, for as long after it came in as that may be why.
const (
	earlyTime = 3 * time.Second
	earlyWait = 250 * time.Millisecond
)

// early reports whether an event may be ahead of what the registries answered.
func (l *look) early(at answer) bool {
	last := l.events[len(l.events)-1] // they are in the order they came in
	if !pushed(last) || l.Now().Sub(last.ReceivedAt) > earlyTime {
		return false
	}
	if len(at.holders) == 0 {
		return len(at.gone) > 0
	}
	return last.Digest != "" && !slices.ContainsFunc(at.holders, func(h holder) bool { return h.digest == last.Digest })
}

// pushed sees to it that what a tag points to now is scanned. It looks, starts the scan and settles the events in one
// transaction, one such at a time for a registry.
func (l *look) pushed(ctx context.Context, tag string, holders []holder) error {
	// One order of locks for all.
	slices.SortFunc(holders, func(a, b holder) int { return strings.Compare(a.registry.ID, b.registry.ID) })
	err := l.Store.Update(ctx, func(tx *store.Tx) error {
		var what []string
		for i := range holders {
			done, err := l.scan(ctx, tx, tag, &holders[i])
			if err != nil {
				return err
			}
			what = append(what, done)
		}
		if err := l.settle(ctx, tx, deleted, store.EventUnused, "the registry still has the tag"); err != nil {
			return err
		}
		return l.settle(ctx, tx, pushed, store.EventDone, strings.Join(what, "; "))
	})
	if tidewaiter.KindOf(err) == tidewaiter.ErrNotFound {
		return l.unused(ctx, "the registry was removed meanwhile")
	}
	return err
}

// scan starts a scan of a tag where one is needed, and says what was done.
func (l *look) scan(ctx context.Context, tx *store.Tx, tag string, h *holder) (string, error) {
	if err := tx.LockOrigin(ctx, tidewaiter.Origin("event "+h.registry.ID)); err != nil {
		return "", err
	}
	done, err := l.covered(ctx, tx, tag, h)
	if err != nil || done != "" {
		return done, err
	}
	scan, err := l.Start(ctx, tx, h.registry.ID, tidewaiter.Target{Repository: h.repository, Tag: tag})
	if err != nil {
		return "", err
	}
	return "scan " + scan.ID + " was started", nil
}

// settleTime is how long events wait for a scan of their tag that has begun: it may have asked before the push or after.
const settleTime = time.Second

// covered says why no scan is needed; "" when one is. It looks at the scans first: one that is past its listing by then has
// recorded what the tag points to.
func (l *look) covered(ctx context.Context, tx *store.Tx, tag string, h *holder) (string, error) {
	scans, _, err := tx.Scans(ctx, store.ScanFilter{RegistryIDs: []string{h.registry.ID}, Unfinished: true, Page: store.Page{Limit: 1000}})
	if err != nil {
		return "", err
	}
	for _, s := range scans {
		if s.Target == nil || s.Target.Repository != h.repository || s.Target.Tag != tag || s.Target.Digest != "" {
			continue
		}
		switch s.State {
		case tidewaiter.ScanQueued:
			return "scan " + s.ID + " waits already", nil
		case tidewaiter.ScanListing:
			return "", &tidewaiter.Error{Kind: tidewaiter.ErrLimit, Msg: "a scan of the tag has begun", RetryAfter: settleTime}
		}
	}
	known, err := tx.TagByReference(ctx, h.registry.Host()+"/"+h.repository+":"+tag)
	if err == nil && known.Digest == h.digest && known.GoneAt.IsZero() && known.ErrorKind == "" {
		return "the image is known already", nil
	}
	if tidewaiter.KindOf(err) == tidewaiter.ErrNotFound {
		err = nil
	}
	return "", err
}
