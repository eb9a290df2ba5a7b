package api

import (
	"context"
	"net/http"
	"time"

	"github.com/tidewaiter/tidewaiter/client"
	"github.com/tidewaiter/tidewaiter/internal/control"
	"github.com/tidewaiter/tidewaiter/internal/secret"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

func (s *server) webhooks() {
	const noun, reads, writes = "webhooks", tidewaiter.MayReadSettings, tidewaiter.MayWriteSettings
	handle(s, operation{noun: noun, id: "list-webhooks", method: "GET", path: "/webhooks", may: reads,
		summary: "All webhooks, by name."}, s.listWebhooks)
	handle(s, operation{noun: noun, id: "add-webhook", method: "POST", path: "/webhooks", may: writes, status: http.StatusCreated,
		summary: "Tell somebody outside of what happens from now on.",
		about:   "The answer holds the secret messages are signed with. It is not shown again."}, s.addWebhook)
	handle(s, operation{noun: noun, id: "get-webhook", method: "GET", path: "/webhooks/{id}", may: reads,
		summary: "One webhook, and how many deliveries it has by state."}, s.getWebhook)
	handle(s, operation{noun: noun, id: "change-webhook", method: "PUT", path: "/webhooks/{id}", may: writes,
		summary: "Replace a webhook but for its secret.",
		about:   "Without url and headers the stored ones stay. Headers do not follow to another host: give them again."}, s.changeWebhook)
	handle(s, operation{noun: noun, id: "remove-webhook", method: "DELETE", path: "/webhooks/{id}", may: writes,
		summary: "Remove a webhook with its deliveries."}, s.removeWebhook)
	handle(s, operation{noun: noun, id: "rotate-webhook", method: "POST", path: "/webhooks/{id}/secret", may: writes,
		summary: "Give a webhook another signing secret.",
		about:   "For the overlap messages are signed with both. The answer holds the new one. It is not shown again."}, s.rotateWebhook)
	handle(s, operation{noun: noun, id: "test-webhook", method: "POST", path: "/webhooks/{id}/test", may: writes,
		summary: "Send a test now and say what came of it."}, s.testWebhook)
	handle(s, operation{noun: noun, id: "list-webhook-deliveries", method: "GET", path: "/webhooks/{id}/deliveries", may: reads,
		summary: "What a webhook was told and is to be told, newest first."}, s.listDeliveries)
	handle(s, operation{noun: noun, id: "get-webhook-delivery", method: "GET", path: "/webhooks/{id}/deliveries/{delivery}", may: reads,
		summary: "One delivery with its message."}, s.getDelivery)
	handle(s, operation{noun: noun, id: "replay-webhook-delivery", method: "POST", path: "/webhooks/{id}/deliveries/{delivery}/replay", may: writes,
		summary: "Send a delivery that has ended again, with the same id."}, s.replayDelivery)
	handle(s, operation{noun: noun, id: "replay-webhook", method: "POST", path: "/webhooks/{id}/replay", may: writes,
		summary: "Send all dead deliveries again."}, s.replayDead)
}

// WebhookAsked names a webhook. It is exported as Paging is.
type WebhookAsked struct {
	ID string `path:"id" maxLength:"64"`
}

type webhookDraft struct {
	Body client.WebhookDraft
}

func (s *server) listWebhooks(ctx context.Context, _ *struct{}) (*body[client.Page[client.Webhook]], error) {
	list, err := s.Control.Webhooks(ctx)
	if err != nil {
		return nil, err
	}
	out := client.Page[client.Webhook]{Items: make([]client.Webhook, len(list))}
	for i, w := range list {
		out.Items[i] = webhookOf(w)
	}
	return reply(out), nil
}

func (s *server) addWebhook(ctx context.Context, in *webhookDraft) (*body[client.Webhook], error) {
	draft, err := webhookDraftOf(&in.Body)
	if err != nil {
		return nil, err
	}
	w, signing, err := s.Control.AddWebhook(ctx, draft, secret.New(in.Body.Secret))
	if err != nil {
		return nil, err
	}
	out := webhookOf(w)
	out.Secret = signing.Reveal()
	return reply(out), nil
}

func (s *server) getWebhook(ctx context.Context, in *WebhookAsked) (*body[client.Webhook], error) {
	w, err := s.Control.Webhook(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	counts, err := s.Control.DeliveryCounts(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	out := webhookOf(w)
	out.Deliveries = make(map[string]int, len(counts))
	for state, n := range counts {
		out.Deliveries[string(state)] = n
	}
	return reply(out), nil
}

func (s *server) changeWebhook(ctx context.Context, in *struct {
	WebhookAsked
	Body client.WebhookDraft
}) (*body[client.Webhook], error) {
	if in.Body.Secret != "" {
		return nil, tidewaiter.Invalid("secret", "the secret is not changed here").WithFix("POST it to /webhooks/%s/secret", in.ID)
	}
	draft, err := webhookDraftOf(&in.Body)
	if err != nil {
		return nil, err
	}
	w, err := s.Control.ChangeWebhook(ctx, in.ID, draft)
	if err != nil {
		return nil, err
	}
	return reply(webhookOf(w)), nil
}

func (s *server) removeWebhook(ctx context.Context, in *WebhookAsked) (*struct{}, error) {
	return nil, s.Control.RemoveWebhook(ctx, in.ID)
}

func (s *server) rotateWebhook(ctx context.Context, in *struct {
	WebhookAsked
	Body client.WebhookSecret
}) (*body[client.Webhook], error) {
	overlap := control.DefaultOverlap
	if in.Body.Overlap != "" {
		var err error
		if overlap, err = time.ParseDuration(in.Body.Overlap); err != nil {
			return nil, tidewaiter.Invalid("overlap", "%q is not a duration", in.Body.Overlap).WithFix("write it as 24h or 30m")
		}
	}
	w, signing, err := s.Control.RotateWebhook(ctx, in.ID, secret.New(in.Body.Secret), overlap)
	if err != nil {
		return nil, err
	}
	out := webhookOf(w)
	out.Secret = signing.Reveal()
	return reply(out), nil
}

func (s *server) testWebhook(ctx context.Context, in *WebhookAsked) (*body[client.WebhookDelivery], error) {
	d, err := s.Control.TestWebhook(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	return reply(deliveryOf(d)), nil
}

func (s *server) listDeliveries(ctx context.Context, in *struct {
	WebhookAsked
	Paging
	State string `query:"state" enum:"waiting,sending,done,dead"`
}) (*body[client.Page[client.WebhookDelivery]], error) {
	if _, err := s.Control.Webhook(ctx, in.ID); err != nil {
		return nil, err
	}
	f := control.DeliveryFilter{WebhookID: in.ID, Page: in.page()}
	if in.State != "" {
		f.States = []control.DeliveryState{control.DeliveryState(in.State)}
	}
	list, next, err := s.Control.WebhookDeliveries(ctx, f)
	if err != nil {
		return nil, err
	}
	out := client.Page[client.WebhookDelivery]{Items: make([]client.WebhookDelivery, len(list)), Next: next}
	for i, d := range list {
		out.Items[i] = deliveryOf(d)
	}
	return reply(out), nil
}

type deliveryAsked struct {
	WebhookAsked
	Delivery string `path:"delivery" maxLength:"64"`
}

// delivery returns a delivery of the webhook the path names.
func (s *server) delivery(ctx context.Context, in *deliveryAsked) (*control.WebhookDelivery, error) {
	d, err := s.Control.WebhookDelivery(ctx, in.Delivery)
	if err == nil && d.WebhookID != in.ID {
		err = tidewaiter.Errorf(tidewaiter.ErrNotFound, "the webhook has no delivery %q", in.Delivery)
	}
	return d, err
}

func (s *server) getDelivery(ctx context.Context, in *deliveryAsked) (*body[client.WebhookDelivery], error) {
	d, err := s.delivery(ctx, in)
	if err != nil {
		return nil, err
	}
	out := deliveryOf(d)
	out.Message = d.Message
	return reply(out), nil
}

func (s *server) replayDelivery(ctx context.Context, in *deliveryAsked) (*struct{}, error) {
	if _, err := s.delivery(ctx, in); err != nil {
		return nil, err
	}
	return nil, s.Control.ReplayDelivery(ctx, in.Delivery)
}

func (s *server) replayDead(ctx context.Context, in *WebhookAsked) (*body[client.Replayed], error) {
	n, err := s.Control.ReplayDead(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	return reply(client.Replayed{Deliveries: n}), nil
}

func webhookDraftOf(d *client.WebhookDraft) (control.WebhookDraft, error) {
	out := control.WebhookDraft{Name: d.Name, Format: tidewaiter.WebhookFormat(d.Format), PerHour: d.PerHour, Disabled: d.Disabled,
		TLS: tidewaiter.TLS{CACert: d.TLS.CACert, SkipVerify: d.TLS.SkipVerify}, URL: secret.New(d.URL),
		Filter: tidewaiter.WebhookFilter{Registries: d.Filter.Registries, Repositories: d.Filter.Repositories, Collections: d.Filter.Collections,
			OnlyFixable: d.Filter.OnlyFixable, NewImages: d.Filter.NewImages}}
	for _, t := range d.Topics {
		out.Topics = append(out.Topics, tidewaiter.Topic(t))
	}
	var err error
	if out.Filter.MinSeverity, err = tidewaiter.ParseSeverity(d.Filter.MinSeverity); err != nil {
		return out, tidewaiter.Invalid("filter.minSeverity", "unknown severity %q", d.Filter.MinSeverity).
			WithFix("one of critical, high, medium, low, negligible, unknown")
	}
	if d.Headers != nil {
		out.Headers = map[string]secret.Value{}
		for name, value := range d.Headers {
			out.Headers[name] = secret.New(value)
		}
	}
	return out, nil
}

func webhookOf(w *tidewaiter.Webhook) client.Webhook {
	out := client.Webhook{
		ID: w.ID, Name: w.Name, Address: w.Address, Format: string(w.Format), Topics: make([]string, len(w.Topics)), PerHour: w.PerHour,
		Disabled: w.Disabled, TLS: client.WebhookTLS{CACert: w.TLS.CACert, SkipVerify: w.TLS.SkipVerify}, Signed: w.Signed,
		PreviousUntil: w.PreviousUntil, Headers: w.HeaderNames, PausedUntil: w.PausedUntil, CreatedAt: w.CreatedAt, UpdatedAt: w.UpdatedAt,
		Filter: client.WebhookFilter{Registries: w.Filter.Registries, Repositories: w.Filter.Repositories, Collections: w.Filter.Collections,
			MinSeverity: w.Filter.MinSeverity.String(), OnlyFixable: w.Filter.OnlyFixable, NewImages: w.Filter.NewImages},
	}
	for i, t := range w.Topics {
		out.Topics[i] = string(t)
	}
	return out
}

func deliveryOf(d *control.WebhookDelivery) client.WebhookDelivery {
	out := client.WebhookDelivery{ID: d.ID, Webhook: d.WebhookID, Topic: string(d.Topic), Title: d.Title, State: string(d.State),
		Attempts: d.Attempts, Status: d.Status, Error: d.Error, CreatedAt: d.CreatedAt, EndedAt: d.EndedAt}
	if d.State == control.DeliveryWaiting {
		out.DueAt = d.DueAt
	}
	return out
}
