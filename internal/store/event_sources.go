package store

import (
	"context"
	"strconv"
	"time"

	"github.com/uptrace/bun"

	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// EventSourceKind says what kind of queue events are fetched from.
type EventSourceKind string

// The kinds.
const (
	EventSourceSQS    EventSourceKind = "sqs"
	EventSourcePubSub EventSourceKind = "pubsub"
)

// EventSource is a queue from which the events of a registry are fetched, and how that goes.
type EventSource struct {
	RegistryID string
	Kind       EventSourceKind
	Place      string // a queue's URL, or a subscription's full name
	CreatedAt  time.Time
	UpdatedAt  time.Time

	Holder     string    // the process that fetches
	HeldUntil  time.Time // when another one may
	PolledAt   time.Time // the last answer of the queue
	ReceivedAt time.Time // the last message
	Received   int64     // messages so far
	ErrorKind  tidewaiter.ErrorKind
	Error      string // of the last attempt; "" when that went well
	ErrorAt    time.Time
}

type eventSourceRow struct {
	bun.BaseModel `bun:"table:event_sources,alias:q"`

	RegistryID string `bun:",pk"`
	Kind       string
	Place      string
	CreatedAt  int64
	UpdatedAt  int64
	Holder     string
	HeldUntil  int64
	PolledAt   int64
	ReceivedAt int64
	Received   int64
	ErrorKind  string
	Error      string
	ErrorAt    int64
}

func (row *eventSourceRow) source() *EventSource {
	return &EventSource{
		RegistryID: row.RegistryID, Kind: EventSourceKind(row.Kind), Place: row.Place, CreatedAt: timeOf(row.CreatedAt),
		UpdatedAt: timeOf(row.UpdatedAt), Holder: row.Holder, HeldUntil: timeOf(row.HeldUntil), PolledAt: timeOf(row.PolledAt),
		ReceivedAt: timeOf(row.ReceivedAt), Received: row.Received, ErrorKind: tidewaiter.ErrorKind(row.ErrorKind), Error: row.Error,
		ErrorAt: timeOf(row.ErrorAt),
	}
}

// PutEventSource stores from where a registry's events are fetched, in place of what is stored. Whoever fetches now loses
// the lease; the error of what was stored is forgotten. An unknown registry is ErrNotFound.
func (tx *Tx) PutEventSource(ctx context.Context, s *EventSource) error {
	if _, err := tx.Registry(ctx, s.RegistryID); err != nil {
		return err
	}
	row := eventSourceRow{RegistryID: text(s.RegistryID), Kind: string(s.Kind), Place: text(s.Place),
		CreatedAt: micros(s.CreatedAt), UpdatedAt: micros(s.UpdatedAt)}
	q := tx.insert(&row).On("conflict (registry_id) do update")
	for _, column := range []string{"kind", "place", "updated_at", "holder", "held_until", "error_kind", "error", "error_at"} {
		q = q.Set("? = excluded.?", bun.Ident(column), bun.Ident(column))
	}
	_, err := q.Exec(ctx)
	return fail(err, "store the event source of registry %s", strconv.Quote(s.RegistryID))
}

// EventSource returns from where a registry's events are fetched, or ErrNotFound when they are not.
func (r *Reader) EventSource(ctx context.Context, registryID string) (*EventSource, error) {
	var row eventSourceRow
	if err := r.selectFrom(&row).Where("q.registry_id = ?", text(registryID)).Scan(ctx); err != nil {
		return nil, fail(err, "event source of registry %s", strconv.Quote(registryID))
	}
	return row.source(), nil
}

// EventSources returns all of them, by registry.
func (r *Reader) EventSources(ctx context.Context) ([]*EventSource, error) {
	var found []eventSourceRow
	if err := r.selectFrom(&found).OrderExpr("q.registry_id").Scan(ctx); err != nil {
		return nil, fail(err, "list event sources")
	}
	out := make([]*EventSource, len(found))
	for i := range found {
		out[i] = found[i].source()
	}
	return out, nil
}

// DeleteEventSource ends the fetching for a registry, or returns ErrNotFound.
func (tx *Tx) DeleteEventSource(ctx context.Context, registryID string) error {
	n, err := tx.exec(ctx, "delete from event_sources where registry_id = ?", registryID)
	if err == nil && n == 0 {
		err = tidewaiter.Errorf(tidewaiter.ErrNotFound, "the registry has no event source")
	}
	return fail(err, "event source of registry %s", strconv.Quote(registryID))
}

// HoldEventSource gives the lease of a source to a holder until a time and reports whether it has it now: nobody else
// does, and the source is as it was at version, its UpdatedAt.
func (tx *Tx) HoldEventSource(ctx context.Context, registryID, holder string, version, until, now time.Time) (bool, error) {
	n, err := tx.exec(ctx, `update event_sources set holder = ?, held_until = ? where registry_id = ? and updated_at = ?
		and (holder = ? or holder = '' or held_until < ?)`, text(holder), micros(until), registryID, micros(version), text(holder), micros(now))
	return n > 0, fail(err, "hold the event source of registry %s", strconv.Quote(registryID))
}

// ReleaseEventSource gives a lease back, so that another process can go on at once.
func (tx *Tx) ReleaseEventSource(ctx context.Context, registryID, holder string) error {
	_, err := tx.exec(ctx, "update event_sources set holder = '', held_until = 0 where registry_id = ? and holder = ?", registryID, text(holder))
	return fail(err, "release the event source of registry %s", strconv.Quote(registryID))
}

// EventSourcePolled notes how an attempt to fetch went: so many messages, or an error. Only the holder may.
func (tx *Tx) EventSourcePolled(ctx context.Context, registryID, holder string, messages int, failure error, now time.Time) error {
	query, args := "update event_sources set polled_at = ?, error_kind = '', error = '', error_at = 0", []any{micros(now)}
	if failure != nil {
		query, args = "update event_sources set error_kind = ?, error = ?, error_at = ?",
			[]any{string(tidewaiter.KindOf(failure)), text(failure.Error()), micros(now)}
	} else if messages > 0 {
		query, args = query+", received = received + ?, received_at = ?", append(args, messages, micros(now))
	}
	_, err := tx.exec(ctx, query+" where registry_id = ? and holder = ?", append(args, registryID, text(holder))...)
	return fail(err, "note the event source of registry %s", strconv.Quote(registryID))
}
