package store

import (
	"context"
	"net/http"
	"strconv"
	"time"

	"github.com/uptrace/bun"

	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// EventState is what became of an event.
type EventState string

// The event states.
const (
	EventNew    EventState = "new"    // stored, not looked at yet
	EventDone   EventState = "done"   // looked at; Reason says what followed
	EventUnused EventState = "unused" // nothing followed; Reason says why
)

// Event is one thing a registry told us of. What its fields mean is said in package event.
type Event struct {
	ID          int64 // set when it is stored
	ReceivedAt  time.Time
	Sender      string
	DeliveryID  string
	Name        string // what it is about: events of one name are looked at together
	Host        string
	Repository  string
	OtherNames  []string
	Tag         string
	Digest      string
	MediaType   string
	Action      string
	OccurredAt  time.Time
	State       EventState
	Reason      string
	RegistryID  string      // whose address it came to; "" for the one all share
	RegistryIDs []string    // those that have it in scope, once it was looked at
	Header      http.Header // those needed to read the body again
	Body        []byte      // as delivered, by Event only; nil when it was not kept
}

type eventRow struct {
	bun.BaseModel `bun:"table:events,alias:e"`

	ID          int64 `bun:",pk,nullzero"`
	ReceivedAt  int64
	Sender      string
	DeliveryID  string
	Name        string
	Host        string
	Repository  string
	OtherNames  string
	Tag         string
	Digest      string
	MediaType   string
	Action      string
	OccurredAt  int64
	State       string
	Reason      string
	RegistryIDs string `bun:"registry_ids"`
	RegistryID  string `bun:"registry_id"`
	Header      string
	Body        []byte
	FirstID     int64 `bun:"first_id"`
}

// eventColumns are all but the body.
const eventColumns = `id, received_at, sender, delivery_id, name, host, repository, other_names, tag, digest, media_type, action,
	occurred_at, state, reason, registry_ids, registry_id, header, first_id`

func eventRowOf(e *Event) (eventRow, error) {
	row := eventRow{ReceivedAt: micros(e.ReceivedAt), Sender: text(e.Sender), DeliveryID: text(e.DeliveryID), Name: text(e.Name),
		Host: text(e.Host), Repository: text(e.Repository), Tag: text(e.Tag), Digest: text(e.Digest), MediaType: text(e.MediaType),
		Action: text(e.Action), OccurredAt: micros(e.OccurredAt), State: string(e.State), Reason: text(e.Reason), RegistryID: text(e.RegistryID)}
	var err error
	if row.OtherNames, err = jsonText(e.OtherNames); err != nil {
		return row, err
	}
	if row.RegistryIDs, err = jsonText(e.RegistryIDs); err != nil {
		return row, err
	}
	header, err := jsonText(e.Header)
	row.Header = text(header)
	return row, err
}

func (row *eventRow) event() (*Event, error) {
	e := &Event{ID: row.ID, ReceivedAt: timeOf(row.ReceivedAt), Sender: row.Sender, DeliveryID: row.DeliveryID, Name: row.Name,
		Host: row.Host, Repository: row.Repository, Tag: row.Tag, Digest: row.Digest, MediaType: row.MediaType, Action: row.Action,
		OccurredAt: timeOf(row.OccurredAt), State: EventState(row.State), Reason: row.Reason, RegistryID: row.RegistryID}
	if err := fromText(row.OtherNames, &e.OtherNames); err != nil {
		return nil, err
	}
	if err := fromText(row.RegistryIDs, &e.RegistryIDs); err != nil {
		return nil, err
	}
	return e, fromText(row.Header, &e.Header)
}

// Event returns one event with the body it came in, or ErrNotFound.
func (r *Reader) Event(ctx context.Context, id int64) (*Event, error) {
	var row eventRow
	if err := r.selectFrom(&row).Where("e.id = ?", id).Scan(ctx); err != nil {
		return nil, fail(err, "event %d", id)
	}
	e, err := row.event()
	if err != nil {
		return nil, err
	}
	packed := row.Body
	if row.FirstID != 0 {
		bodies, err := rows[[]byte](ctx, r, "select body from events where id = ?", row.FirstID)
		if err != nil {
			return nil, fail(err, "body of event %d", id)
		}
		if len(bodies) > 0 {
			packed = bodies[0]
		}
	}
	if len(packed) > 0 {
		e.Body, err = r.codec.unpack(packed)
	}
	return e, err
}

// EventFilter chooses events; what is zero does not restrict.
type EventFilter struct {
	States   []EventState
	Senders  []string
	Registry string // whose address it came to, or that has it in scope
	Page
}

// Events returns a page of events without their bodies, newest first, and the cursor of the next page.
func (r *Reader) Events(ctx context.Context, f EventFilter) ([]*Event, string, error) {
	after, err := cursorOf(f.Page, "events")
	if err != nil {
		return nil, "", err
	}
	var found []eventRow
	q := r.selectFrom(&found).ColumnExpr(eventColumns)
	if f.States != nil {
		q = whereIn(q, "e.state", f.States)
	}
	if f.Senders != nil {
		q = whereIn(q, "e.sender", f.Senders)
	}
	if f.Registry != "" {
		id := text(f.Registry)
		q = q.Where(`(e.registry_id = ? or lower(e.registry_ids) like ? escape '\')`, id, containing(strconv.Quote(id)))
	}
	if after != nil {
		q = q.Where("e.id < ?", after.ID)
	}
	if err := q.OrderExpr("e.id desc").Apply(f.window).Scan(ctx); err != nil {
		return nil, "", fail(err, "list events")
	}
	found, next := cut(found, f.Page, func(row eventRow) cursor { return cursor{Order: "events", ID: row.ID} })
	out, err := eventsOf(found)
	return out, next, err
}

// NewEvents returns the events of a name that nobody has looked at yet, oldest first, at most limit.
func (r *Reader) NewEvents(ctx context.Context, name string, limit int) ([]*Event, error) {
	found, err := rows[eventRow](ctx, r, "select "+eventColumns+" from events where name = ? and state = 'new' order by id limit ?", name, limit)
	if err != nil {
		return nil, fail(err, "new events of %s", name)
	}
	return eventsOf(found)
}

func eventsOf(found []eventRow) ([]*Event, error) {
	out := make([]*Event, len(found))
	for i := range found {
		var err error
		if out[i], err = found[i].event(); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// SettleEvents notes what became of events that are new.
func (tx *Tx) SettleEvents(ctx context.Context, ids []int64, state EventState, reason string, registryIDs []string) error {
	registries, err := jsonText(registryIDs)
	if err != nil {
		return err
	}
	return fail(inChunks(distinct(ids), func(part []int64) error {
		_, err := tx.exec(ctx, "update events set state = ?, reason = ?, registry_ids = ? where id in (?) and state = 'new'",
			string(state), reason, registries, bun.List(part))
		return err
	}), "settle events")
}

// ReopenEvent makes an event new again, or returns ErrNotFound.
func (tx *Tx) ReopenEvent(ctx context.Context, id int64) error {
	n, err := tx.exec(ctx, "update events set state = 'new', reason = '' where id = ?", id)
	if err == nil && n == 0 {
		err = tidewaiter.Errorf(tidewaiter.ErrNotFound, "not found")
	}
	return fail(err, "event %d", id)
}

// ForgetEvents removes at most limit events that were received before a time, and returns how many.
func (tx *Tx) ForgetEvents(ctx context.Context, before time.Time, limit int) (int, error) {
	n, err := tx.exec(ctx, "delete from events where id in (select id from events where received_at < ? order by received_at, id limit ?)",
		micros(before), limit)
	return int(n), fail(err, "forget events")
}

// TagsWithDigest returns the names of the tags there of a repository that point to a digest.
func (r *Reader) TagsWithDigest(ctx context.Context, host, repository, digest string) ([]string, error) {
	names, err := rows[string](ctx, r, `select t.name from tags t join repositories p on p.id = t.repository_id
		where p.host = ? and p.name = ? and t.digest = ? and t.gone_at = 0 order by t.name`, host, repository, digest)
	return names, fail(err, "tags of %s/%s", host, repository)
}

// TagGone takes a tag out of the scope of a registry that no longer has it, and marks it gone when that was the last one.
// It reports whether it did. A tag nobody has heard of is passed over.
func (tx *Tx) TagGone(ctx context.Context, registryID, reference string, now time.Time) (bool, error) {
	ids, err := rows[int64](ctx, tx.Reader, "select id from tags where reference = ? and gone_at = 0", reference)
	if err != nil || len(ids) == 0 {
		return false, fail(err, "tag %s", reference)
	}
	if _, err := tx.exec(ctx, "delete from registry_tags where registry_id = ? and tag_id in (?)", registryID, bun.List(ids)); err != nil {
		return false, fail(err, "tag %s", reference)
	}
	n, err := tx.markGone(ctx, ids, micros(now))
	return n > 0, fail(err, "tag %s", reference)
}
