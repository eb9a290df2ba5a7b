package store

import (
	"context"
	"strconv"
	"strings"
	"time"

	"github.com/uptrace/bun"

	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

type webhookRow struct {
	bun.BaseModel `bun:"table:webhooks,alias:w"`

	ID          string `bun:",pk"`
	Name        string
	Topics      string
	Doc         string
	Sealed      []byte
	Disabled    bool
	PausedUntil int64
	WindowAt    int64
	WindowCount int64
	CreatedAt   int64
	UpdatedAt   int64
}

func (row *webhookRow) webhook() (*tidewaiter.Webhook, error) {
	w := &tidewaiter.Webhook{}
	if err := fromText(row.Doc, w); err != nil {
		return nil, err
	}
	w.ID, w.Sealed, w.PausedUntil = row.ID, row.Sealed, timeOf(row.PausedUntil)
	w.CreatedAt, w.UpdatedAt = timeOf(row.CreatedAt), timeOf(row.UpdatedAt)
	return w, nil
}

// PutWebhook stores a webhook, new or known; CreatedAt of a known one stays, and it is no longer paused. A name another one
// has is ErrConflict.
func (tx *Tx) PutWebhook(ctx context.Context, w *tidewaiter.Webhook) error {
	doc, err := jsonText(w)
	if err != nil {
		return err
	}
	var topics strings.Builder
	for _, t := range w.Topics {
		topics.WriteString(" " + string(t) + " ")
	}
	row := webhookRow{ID: w.ID, Name: text(w.Name), Topics: topics.String(), Doc: text(doc), Sealed: w.Sealed, Disabled: w.Disabled,
		CreatedAt: micros(w.CreatedAt), UpdatedAt: micros(w.UpdatedAt)}
	q := tx.insert(&row).On("conflict (id) do update")
	for _, column := range []string{"name", "topics", "doc", "sealed", "disabled", "paused_until", "updated_at"} {
		q = q.Set("? = excluded.?", bun.Ident(column), bun.Ident(column))
	}
	_, err = q.Exec(ctx)
	return fail(err, "store webhook %s", strconv.Quote(w.Name))
}

// DeleteWebhook removes a webhook and its deliveries, or says ErrNotFound.
func (tx *Tx) DeleteWebhook(ctx context.Context, id string) error {
	res, err := tx.raw("delete from webhooks where id = ?", id).Exec(ctx)
	return fail(one(res, err), "delete webhook %s", strconv.Quote(id))
}

// Webhook returns one webhook, or ErrNotFound.
func (r *Reader) Webhook(ctx context.Context, id string) (*tidewaiter.Webhook, error) {
	var row webhookRow
	if err := r.selectFrom(&row).Where("w.id = ?", text(id)).Scan(ctx); err != nil {
		return nil, fail(err, "webhook %s", strconv.Quote(id))
	}
	return row.webhook()
}

// Webhooks returns all webhooks by name.
func (r *Reader) Webhooks(ctx context.Context) ([]*tidewaiter.Webhook, error) {
	found, err := rows[webhookRow](ctx, r, "select * from webhooks order by name")
	if err != nil {
		return nil, fail(err, "list webhooks")
	}
	out := make([]*tidewaiter.Webhook, len(found))
	for i := range found {
		if out[i], err = found[i].webhook(); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// PauseWebhook holds all deliveries of a webhook back until a time, unless it is held back for longer already.
func (tx *Tx) PauseWebhook(ctx context.Context, id string, until time.Time) error {
	_, err := tx.exec(ctx, "update webhooks set paused_until = ? where id = ? and paused_until < ?", micros(until), id, micros(until))
	return fail(err, "pause webhook %s", strconv.Quote(id))
}

// WebhookWindow is the hour in which a webhook's messages about images are counted.
type WebhookWindow struct {
	Began time.Time // zero before the first
	Count int
}

// WebhookWindows returns the windows of all webhooks by id.
func (tx *Tx) WebhookWindows(ctx context.Context) (map[string]WebhookWindow, error) {
	type row struct {
		ID          string
		WindowAt    int64
		WindowCount int
	}
	found, err := rows[row](ctx, tx.Reader, "select id, window_at, window_count from webhooks")
	out := make(map[string]WebhookWindow, len(found))
	for _, row := range found {
		out[row.ID] = WebhookWindow{Began: timeOf(row.WindowAt), Count: row.WindowCount}
	}
	return out, fail(err, "read what webhooks have counted")
}

// SaveWebhookWindow stores a webhook's window.
func (tx *Tx) SaveWebhookWindow(ctx context.Context, id string, w WebhookWindow) error {
	_, err := tx.exec(ctx, "update webhooks set window_at = ?, window_count = ? where id = ?", micros(w.Began), w.Count, id)
	return fail(err, "count for webhook %s", strconv.Quote(id))
}
