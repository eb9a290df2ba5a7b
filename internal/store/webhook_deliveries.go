package store

import (
	"context"
	"strconv"
	"time"

	"github.com/uptrace/bun"

	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// DeliveryState is where a delivery is on its way.
type DeliveryState string

// The states of a delivery.
const (
	DeliveryWaiting DeliveryState = "waiting" // for its time, or for an earlier one of the same subject
	DeliverySending DeliveryState = "sending"
	DeliveryDone    DeliveryState = "done" // the receiver took it
	DeliveryDead    DeliveryState = "dead" // given up; it can be replayed
)

// openDelivery chooses those still on the way, spelled as the partial indexes spell it.
const openDelivery = "state in ('waiting', 'sending')"

// WebhookDelivery is one message on its way to one webhook.
type WebhookDelivery struct {
	Seq       int64 // set when it is stored
	ID        string
	WebhookID string
	Topic     tidewaiter.Topic
	Subject   string // those of one webhook and subject are sent one after the other; "" is sent whenever it is due
	Title     string
	Message   *tidewaiter.WebhookMessage // nil in lists
	State     DeliveryState
	Attempts  int
	CreatedAt time.Time
	BeganAt   time.Time // the first attempt, since the last replay
	DueAt     time.Time
	EndedAt   time.Time
	Status    int    // of the last answer; 0 when there was none
	Error     string // of the last attempt; "" when it went well
}

type webhookDeliveryRow struct {
	bun.BaseModel `bun:"table:webhook_deliveries,alias:d"`

	Seq       int64 `bun:",pk,nullzero"`
	ID        string
	WebhookID string
	Topic     string
	Subject   string
	Title     string
	Doc       []byte
	State     string
	Attempts  int
	CreatedAt int64
	BeganAt   int64
	DueAt     int64
	EndedAt   int64
	Status    int
	Error     string
}

// deliveryColumns are all but the message.
const deliveryColumns = `d.seq, d.id, d.webhook_id, d.topic, d.subject, d.title, d.state, d.attempts, d.created_at, d.began_at, d.due_at,
	d.ended_at, d.status, d.error`

func (r *Reader) deliveriesOf(found []webhookDeliveryRow) ([]*WebhookDelivery, error) {
	out := make([]*WebhookDelivery, len(found))
	for i := range found {
		row := &found[i]
		out[i] = &WebhookDelivery{Seq: row.Seq, ID: row.ID, WebhookID: row.WebhookID, Topic: tidewaiter.Topic(row.Topic), Subject: row.Subject,
			Title: row.Title, State: DeliveryState(row.State), Attempts: row.Attempts, CreatedAt: timeOf(row.CreatedAt),
			BeganAt: timeOf(row.BeganAt), DueAt: timeOf(row.DueAt), EndedAt: timeOf(row.EndedAt), Status: row.Status, Error: row.Error}
		if row.Doc == nil {
			continue
		}
		out[i].Message = &tidewaiter.WebhookMessage{}
		if err := r.codec.unpackJSON(row.Doc, out[i].Message); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// InsertWebhookDeliveries stores deliveries in their order, any number at once.
func (tx *Tx) InsertWebhookDeliveries(ctx context.Context, list []*WebhookDelivery) error {
	out := make([]webhookDeliveryRow, len(list))
	for i, d := range list {
		doc, err := tx.codec.packJSON(d.Message)
		if err != nil {
			return err
		}
		out[i] = webhookDeliveryRow{ID: d.ID, WebhookID: d.WebhookID, Topic: string(d.Topic), Subject: text(d.Subject), Title: text(d.Title),
			Doc: doc, State: string(d.State), Attempts: d.Attempts, CreatedAt: micros(d.CreatedAt), BeganAt: micros(d.BeganAt),
			DueAt: micros(d.DueAt), EndedAt: micros(d.EndedAt), Status: d.Status, Error: text(d.Error)}
	}
	return fail(inChunks(out, func(part []webhookDeliveryRow) error {
		_, err := tx.insert(&part).Returning("NULL").Exec(ctx)
		return err
	}), "store deliveries")
}

// WebhookDelivery returns one delivery with its message, or ErrNotFound.
func (r *Reader) WebhookDelivery(ctx context.Context, id string) (*WebhookDelivery, error) {
	var row webhookDeliveryRow
	if err := r.selectFrom(&row).Where("d.id = ?", text(id)).Scan(ctx); err != nil {
		return nil, fail(err, "delivery %s", strconv.Quote(id))
	}
	out, err := r.deliveriesOf([]webhookDeliveryRow{row})
	if err != nil {
		return nil, err
	}
	return out[0], nil
}

// DeliveryFilter chooses deliveries; what is zero does not restrict.
type DeliveryFilter struct {
	WebhookID string
	States    []DeliveryState
	Page
}

// WebhookDeliveries returns a page of deliveries without their messages, newest first, and the cursor of the next page.
func (r *Reader) WebhookDeliveries(ctx context.Context, f DeliveryFilter) ([]*WebhookDelivery, string, error) {
	after, err := cursorOf(f.Page, "deliveries")
	if err != nil {
		return nil, "", err
	}
	var found []webhookDeliveryRow
	q := r.selectFrom(&found).ColumnExpr(deliveryColumns)
	if f.WebhookID != "" {
		q = q.Where("d.webhook_id = ?", text(f.WebhookID))
	}
	if f.States != nil {
		q = whereIn(q, "d.state", f.States)
	}
	if after != nil {
		q = q.Where("d.seq < ?", after.ID)
	}
	if err := q.OrderExpr("d.seq desc").Apply(f.window).Scan(ctx); err != nil {
		return nil, "", fail(err, "list deliveries")
	}
	found, next := cut(found, f.Page, func(row webhookDeliveryRow) cursor { return cursor{Order: "deliveries", ID: row.Seq} })
	out, err := r.deliveriesOf(found)
	return out, next, err
}

// DeliveryCounts returns how many deliveries there are by state, of one webhook or, for "", of all.
func (r *Reader) DeliveryCounts(ctx context.Context, webhookID string) (map[DeliveryState]int, error) {
	type row struct {
		State string
		N     int
	}
	query, args := "select state, count(*) as n from webhook_deliveries", []any(nil)
	if webhookID != "" {
		query, args = query+" where webhook_id = ?", append(args, webhookID)
	}
	found, err := rows[row](ctx, r, query+" group by state", args...)
	out := map[DeliveryState]int{}
	for _, row := range found {
		out[DeliveryState(row.State)] = row.N
	}
	return out, fail(err, "count deliveries")
}

// OpenDeliveries returns how many deliveries of a webhook are on their way, and does not count further than limit.
func (r *Reader) OpenDeliveries(ctx context.Context, webhookID string, limit int) (int, error) {
	n, err := scalar[int](ctx, r, "select count(*) from (select 1 from webhook_deliveries where webhook_id = ? and "+openDelivery+" limit ?) as o",
		webhookID, limit)
	return n, fail(err, "count deliveries")
}

// DueWebhooks returns the ids of webhooks that are on, not paused, and have deliveries that are due.
func (r *Reader) DueWebhooks(ctx context.Context, now time.Time) ([]string, error) {
	ids, err := rows[string](ctx, r, `select w.id from webhooks w where not w.disabled and w.paused_until <= ? and exists (
		select 1 from webhook_deliveries d where d.webhook_id = w.id and d.`+openDelivery+` and d.due_at <= ?) order by w.id`, micros(now), micros(now))
	return ids, fail(err, "look for deliveries that are due")
}

// ClaimDeliveries gives the caller deliveries of a webhook that are due, at most limit, until a time. One that has an earlier
// one of its subject on the way before it is not handed out, nor is any of a webhook that is off or paused.
func (tx *Tx) ClaimDeliveries(ctx context.Context, webhookID string, limit int, now, until time.Time) ([]*WebhookDelivery, error) {
	skip := ""
	if tx.dialect == Postgres {
		skip = " for update of d skip locked"
	}
	found, err := rows[webhookDeliveryRow](ctx, tx.Reader, `select d.* from webhook_deliveries d
		where d.webhook_id = ? and d.`+openDelivery+` and d.due_at <= ? and (d.subject = '' or not exists (
			select 1 from webhook_deliveries e where e.webhook_id = d.webhook_id and e.subject = d.subject and e.seq < d.seq and e.`+openDelivery+`))
			and exists (select 1 from webhooks w where w.id = d.webhook_id and not w.disabled and w.paused_until <= ?)
		order by d.due_at, d.seq limit ?`+skip, webhookID, micros(now), micros(now), limit)
	if err != nil || len(found) == 0 {
		return nil, fail(err, "claim deliveries")
	}
	seqs := make([]int64, len(found))
	for i := range found {
		seqs[i] = found[i].Seq
		found[i].State, found[i].Attempts, found[i].DueAt = string(DeliverySending), found[i].Attempts+1, micros(until)
		if found[i].BeganAt == 0 {
			found[i].BeganAt = micros(now)
		}
	}
	err = inChunks(seqs, func(part []int64) error {
		_, err := tx.exec(ctx, `update webhook_deliveries set state = 'sending', attempts = attempts + 1, due_at = ?,
			began_at = case when began_at = 0 then ? else began_at end where seq in (?)`, micros(until), micros(now), bun.List(part))
		return err
	})
	if err != nil {
		return nil, fail(err, "claim deliveries")
	}
	return tx.deliveriesOf(found)
}

// EndDelivery stores how a claimed delivery ended: its State, done or dead, Status and Error. It reports whether the claim
// was still the caller's. What waits for it is due from now on.
func (tx *Tx) EndDelivery(ctx context.Context, d *WebhookDelivery, now time.Time) (bool, error) {
	n, err := tx.exec(ctx, "update webhook_deliveries set state = ?, status = ?, error = ?, ended_at = ? where seq = ? and state = 'sending' and attempts = ?",
		string(d.State), d.Status, d.Error, micros(now), d.Seq, d.Attempts)
	if err == nil && n > 0 && d.Subject != "" {
		_, err = tx.exec(ctx, "update webhook_deliveries set due_at = ? where webhook_id = ? and subject = ? and "+openDelivery+
			" and attempts = 0 and due_at > ?", micros(now), d.WebhookID, d.Subject, micros(now))
	}
	return n > 0, fail(err, "end delivery %s", d.ID)
}

// RetryDelivery stores that a claimed delivery failed and when it is due again. It reports whether the claim was still the
// caller's. What waits for it is not due earlier.
func (tx *Tx) RetryDelivery(ctx context.Context, d *WebhookDelivery, due time.Time) (bool, error) {
	n, err := tx.exec(ctx, "update webhook_deliveries set state = 'waiting', status = ?, error = ?, due_at = ? where seq = ? and state = 'sending' and attempts = ?",
		d.Status, d.Error, micros(due), d.Seq, d.Attempts)
	if err == nil && n > 0 && d.Subject != "" {
		_, err = tx.exec(ctx, "update webhook_deliveries set due_at = ? where webhook_id = ? and subject = ? and "+openDelivery+
			" and attempts = 0 and seq > ? and due_at < ?", micros(due), d.WebhookID, d.Subject, d.Seq, micros(due))
	}
	return n > 0, fail(err, "put delivery %s off", d.ID)
}

// ReleaseDeliveries makes those due that were being sent when the process ended. Only where there is no other process.
func (tx *Tx) ReleaseDeliveries(ctx context.Context, now time.Time) error {
	_, err := tx.exec(ctx, "update webhook_deliveries set state = 'waiting', due_at = ? where state = 'sending'", micros(now))
	return fail(err, "take up deliveries")
}

// ReplayDelivery has a delivery that has ended sent again. ErrNotFound when there is none; ErrConflict when it is on its way.
func (tx *Tx) ReplayDelivery(ctx context.Context, id string, now time.Time) error {
	n, err := tx.exec(ctx, "update webhook_deliveries set state = 'waiting', due_at = ?, began_at = 0, ended_at = 0 where id = ? and state in ('done', 'dead')",
		micros(now), id)
	if err != nil || n > 0 {
		return fail(err, "replay delivery %s", id)
	}
	if _, err := tx.WebhookDelivery(ctx, id); err != nil {
		return err
	}
	return tidewaiter.Errorf(tidewaiter.ErrConflict, "delivery %s is on its way", id)
}

// ReplayDead has all dead deliveries of a webhook sent again, and returns how many.
func (tx *Tx) ReplayDead(ctx context.Context, webhookID string, now time.Time) (int, error) {
	n, err := tx.exec(ctx, "update webhook_deliveries set state = 'waiting', due_at = ?, began_at = 0, ended_at = 0 where webhook_id = ? and state = 'dead'",
		micros(now), webhookID)
	return int(n), fail(err, "replay the dead deliveries of webhook %s", webhookID)
}

// OpenSummary returns the delivery of a webhook that sums up and is not due yet, with its message; nil when there is none.
func (tx *Tx) OpenSummary(ctx context.Context, webhookID string, now time.Time) (*WebhookDelivery, error) {
	found, err := rows[webhookDeliveryRow](ctx, tx.Reader, `select * from webhook_deliveries where webhook_id = ? and state = 'waiting' and
		`+openDelivery+` and due_at > ? and topic = ? and attempts = 0 order by seq limit 1`+tx.forUpdate(), webhookID, micros(now), string(tidewaiter.TopicSummary))
	if err != nil || len(found) == 0 {
		return nil, fail(err, "look for a summary")
	}
	out, err := tx.deliveriesOf(found)
	if err != nil {
		return nil, err
	}
	return out[0], nil
}

// UpdateMessage stores what a delivery that was never sent says now.
func (tx *Tx) UpdateMessage(ctx context.Context, d *WebhookDelivery) error {
	doc, err := tx.codec.packJSON(d.Message)
	if err != nil {
		return err
	}
	res, err := tx.raw("update webhook_deliveries set doc = ?, title = ? where seq = ? and attempts = 0", doc, d.Title, d.Seq).Exec(ctx)
	return fail(one(res, err), "update delivery %s", d.ID)
}

// ForgetDeliveries removes at most limit deliveries that ended in a state before a time, and returns how many.
func (tx *Tx) ForgetDeliveries(ctx context.Context, state DeliveryState, before time.Time, limit int) (int, error) {
	n, err := tx.exec(ctx, `delete from webhook_deliveries where seq in (select seq from webhook_deliveries
		where state = ? and state in ('done', 'dead') and ended_at < ? order by ended_at, seq limit ?)`, string(state), micros(before), limit)
	return int(n), fail(err, "forget deliveries")
}
