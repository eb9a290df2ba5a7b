package control

import (
	"context"
	"strings"

	"github.com/tidewaiter/tidewaiter/internal/store"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// EventSource is a queue from which the events of a registry are fetched, and how that goes; EventSourceKind says what kind
// of queue it is.
type (
	EventSource     = store.EventSource
	EventSourceKind = store.EventSourceKind
)

// The kinds of queues.
const (
	EventSourceSQS    = store.EventSourceSQS
	EventSourcePubSub = store.EventSourcePubSub
)

// QueueChecker knows which queues events can be fetched from.
type QueueChecker interface {
	// CheckQueue returns an ErrInvalid that names the field for a queue that cannot be a registry's.
	CheckQueue(r *tidewaiter.Registry, kind EventSourceKind, place string) error
}

// SetEventSource has the events of a registry fetched from a queue, in place of the one before, with the registry's own
// credential. It begins within seconds; how it goes is seen in EventSource. Errors: ErrNotFound for an unknown registry;
// ErrInvalid.
func (c *Control) SetEventSource(ctx context.Context, registryID string, kind EventSourceKind, place string) (*EventSource, error) {
	s := &EventSource{RegistryID: registryID, Kind: kind, Place: strings.TrimSpace(place)}
	return s, c.store.Update(ctx, func(tx *store.Tx) error {
		r, err := tx.Registry(ctx, registryID)
		if err != nil {
			return err
		}
		if err := c.queues.CheckQueue(r, kind, s.Place); err != nil {
			return err
		}
		s.CreatedAt, s.UpdatedAt = c.now(), c.now()
		if err := tx.PutEventSource(ctx, s); err != nil {
			return err
		}
		return c.audit(ctx, tx, "event.source.put", registryID, string(kind)+" "+s.Place)
	})
}

// EventSource returns from where the events of a registry are fetched and how that goes, or ErrNotFound when they are not.
func (c *Control) EventSource(ctx context.Context, registryID string) (*EventSource, error) {
	return c.store.EventSource(ctx, registryID)
}

// RemoveEventSource ends the fetching for a registry. Errors: ErrNotFound.
func (c *Control) RemoveEventSource(ctx context.Context, registryID string) error {
	return c.store.Update(ctx, func(tx *store.Tx) error {
		if err := tx.DeleteEventSource(ctx, registryID); err != nil {
			return err
		}
		return c.audit(ctx, tx, "event.source.remove", registryID, "")
	})
}
