package client

import (
	"context"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// Webhook is one rule about what somebody outside is told, and where.
type Webhook struct {
	ID       string        `json:"id"`
	Name     string        `json:"name"`
	Address  string        `json:"address"` // scheme and host of the URL; the rest may be a secret and is not shown
	Format   string        `json:"format"`  // cloudevents, slack, json
	Topics   []string      `json:"topics"`  // scan.finished, finding.new, verdict.changed, registry.failing, registry.recovered
	Filter   WebhookFilter `json:"filter"`
	PerHour  int           `json:"perHour"` // messages about images in an hour; what is beyond comes in one summary; 0 is no limit
	Disabled bool          `json:"disabled"`
	TLS      WebhookTLS    `json:"tls"`

	Signed        bool      `json:"signed"`
	PreviousUntil time.Time `json:"previousUntil,omitzero"` // until when messages are signed with the secret before this one too
	Headers       []string  `json:"headers,omitempty"`      // names of the custom headers
	PausedUntil   time.Time `json:"pausedUntil,omitzero"`   // the receiver asked for time
	CreatedAt     time.Time `json:"createdAt"`
	UpdatedAt     time.Time `json:"updatedAt"`

	Deliveries map[string]int `json:"deliveries,omitempty"` // how many there are by state; of a single webhook only
	Secret     string         `json:"secret,omitempty"`     // what messages are signed with; only in answer to what set it
}

// WebhookFilter narrows what a webhook is told of. What is empty does not restrict.
type WebhookFilter struct {
	Registries   []string `json:"registries,omitempty"`   // ids
	Repositories []string `json:"repositories,omitempty"` // patterns with *, against host/repository and repository
	Collections  []string `json:"collections,omitempty"`  // names
	MinSeverity  string   `json:"minSeverity,omitempty"`  // of new findings: critical, high, medium, low, negligible, unknown
	OnlyFixable  bool     `json:"onlyFixable,omitempty"`
	NewImages    bool     `json:"newImages,omitempty"` // also what is found in images that are judged for the first time
}

// WebhookTLS says how the receiver's certificate is judged.
type WebhookTLS struct {
	CACert     string `json:"caCert,omitempty"` // PEM; trusted in addition to the system's
	SkipVerify bool   `json:"skipVerify,omitempty"`
}

// WebhookDraft is a webhook to store.
type WebhookDraft struct {
	Name     string        `json:"name"`
	URL      string        `json:"url,omitempty"` // empty keeps the stored one
	Format   string        `json:"format"`
	Topics   []string      `json:"topics"`
	Filter   WebhookFilter `json:"filter,omitzero"`
	PerHour  int           `json:"perHour,omitempty"`
	Disabled bool          `json:"disabled,omitempty"`
	TLS      WebhookTLS    `json:"tls,omitzero"`

	Headers map[string]string `json:"headers,omitzero"` // nil keeps the stored ones
	Secret  string            `json:"secret,omitempty"` // of a new one only; empty has one made up
}

// WebhookSecret is another secret for a webhook.
type WebhookSecret struct {
	Secret  string `json:"secret,omitempty"`  // empty has one made up
	Overlap string `json:"overlap,omitempty"` // how long messages are signed with the old one too, as 24h, which is the default; 0s ends it at once
}

// WebhookDelivery is one message on its way to one webhook.
type WebhookDelivery struct {
	ID        string    `json:"id"` // X-Tidewaiter-Delivery
	Webhook   string    `json:"webhook"`
	Topic     string    `json:"topic"`
	Title     string    `json:"title"`
	State     string    `json:"state"` // waiting, sending, done, dead
	Attempts  int       `json:"attempts"`
	Status    int       `json:"status,omitempty"` // of the last answer
	Error     string    `json:"error,omitempty"`  // of the last attempt
	CreatedAt time.Time `json:"createdAt"`
	DueAt     time.Time `json:"dueAt,omitzero"` // of one that waits
	EndedAt   time.Time `json:"endedAt,omitzero"`
	Message   any       `json:"message,omitempty"` // of a single delivery only
}

// Replayed is how many deliveries are sent again.
type Replayed struct {
	Deliveries int `json:"deliveries"`
}

func webhookPath(id string, more ...string) string {
	parts := []string{"/webhooks", url.PathEscape(id)}
	for _, part := range more {
		parts = append(parts, url.PathEscape(part))
	}
	return strings.Join(parts, "/")
}

// Webhooks returns all webhooks by name.
func (c *Client) Webhooks(ctx context.Context) ([]Webhook, error) {
	var out Page[Webhook]
	err := c.do(ctx, http.MethodGet, "/webhooks", nil, nil, &out)
	return out.Items, err
}

// Webhook returns one webhook.
func (c *Client) Webhook(ctx context.Context, id string) (*Webhook, error) {
	var out Webhook
	return &out, c.do(ctx, http.MethodGet, webhookPath(id), nil, nil, &out)
}

// AddWebhook stores a new webhook. Its Secret is shown this once.
func (c *Client) AddWebhook(ctx context.Context, w WebhookDraft) (*Webhook, error) {
	var out Webhook
	return &out, c.do(ctx, http.MethodPost, "/webhooks", nil, w, &out)
}

// ChangeWebhook replaces a webhook but for its secret.
func (c *Client) ChangeWebhook(ctx context.Context, id string, w WebhookDraft) (*Webhook, error) {
	var out Webhook
	return &out, c.do(ctx, http.MethodPut, webhookPath(id), nil, w, &out)
}

// RemoveWebhook removes a webhook with its deliveries.
func (c *Client) RemoveWebhook(ctx context.Context, id string) error {
	return c.do(ctx, http.MethodDelete, webhookPath(id), nil, nil, nil)
}

// RotateWebhook gives a webhook another signing secret, which is shown this once.
func (c *Client) RotateWebhook(ctx context.Context, id string, s WebhookSecret) (*Webhook, error) {
	var out Webhook
	return &out, c.do(ctx, http.MethodPost, webhookPath(id, "secret"), nil, s, &out)
}

// TestWebhook sends a webhook a test at once and returns what came of it.
func (c *Client) TestWebhook(ctx context.Context, id string) (*WebhookDelivery, error) {
	var out WebhookDelivery
	return &out, c.do(ctx, http.MethodPost, webhookPath(id, "test"), nil, nil, &out)
}

// DeliveryQuery chooses deliveries of a webhook; what is zero does not restrict.
type DeliveryQuery struct {
	State string
	Limit int
	After string
}

// WebhookDeliveries returns a page of a webhook's deliveries without their messages, newest first.
func (c *Client) WebhookDeliveries(ctx context.Context, id string, q DeliveryQuery) (*Page[WebhookDelivery], error) {
	v := values{url.Values{}}
	v.set("state", q.State)
	v.page(q.Limit, q.After)
	var out Page[WebhookDelivery]
	return &out, c.do(ctx, http.MethodGet, webhookPath(id, "deliveries"), v.Values, nil, &out)
}

// WebhookDelivery returns one delivery with its message.
func (c *Client) WebhookDelivery(ctx context.Context, id, delivery string) (*WebhookDelivery, error) {
	var out WebhookDelivery
	return &out, c.do(ctx, http.MethodGet, webhookPath(id, "deliveries", delivery), nil, nil, &out)
}

// ReplayDelivery has one delivery that has ended sent again.
func (c *Client) ReplayDelivery(ctx context.Context, id, delivery string) error {
	return c.do(ctx, http.MethodPost, webhookPath(id, "deliveries", delivery, "replay"), nil, nil, nil)
}

// ReplayDead has all dead deliveries of a webhook sent again.
func (c *Client) ReplayDead(ctx context.Context, id string) (*Replayed, error) {
	var out Replayed
	return &out, c.do(ctx, http.MethodPost, webhookPath(id, "replay"), nil, nil, &out)
}
