package connector

import (
	"context"
	"encoding/json"
	"net/http"

	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// pubSubQueue is a subscription of Google Pub/Sub to the topic of a registry. Google: "REST Resource:
// projects.subscriptions".
type pubSubQueue struct {
	api  *api
	name string
}

const pubSubMessages = 100 // at once

func (o *opening) pubSub(place string) (Queue, error) {
	tokens, _, err := o.googleTokens()
	if err != nil {
		return nil, err
	}
	if tokens == nil {
		return nil, tidewaiter.Invalid("credentialID", "a subscription of Pub/Sub needs a credential of kind %s", tidewaiter.CredentialGCP)
	}
	a, err := o.api(o.base("pubsub", "https://pubsub.googleapis.com"), false)
	if err != nil {
		return nil, err
	}
	a.bearerFrom(tokens)
	return &pubSubQueue{api: a, name: place}, nil
}

func (q *pubSubQueue) call(ctx context.Context, verb string, in, out any) error {
	_, err := q.api.do(ctx, request{method: http.MethodPost, path: "/v1/" + escapeEach(q.name) + ":" + verb, json: in}, out)
	return err
}

// Receive implements Queue. A message becomes the envelope in which it would have been pushed.
func (q *pubSubQueue) Receive(ctx context.Context) ([]tidewaiter.Message, error) {
	var out struct {
		Received []struct {
			AckID   string          `json:"ackId"`
			Message json.RawMessage `json:"message"`
		} `json:"receivedMessages"`
	}
	if err := q.call(ctx, "pull", map[string]any{"maxMessages": pubSubMessages}, &out); err != nil {
		return nil, err
	}
	list := make([]tidewaiter.Message, len(out.Received))
	for i, m := range out.Received {
		body, err := json.Marshal(map[string]any{"subscription": q.name, "message": m.Message})
		if err != nil {
			return nil, err
		}
		list[i] = tidewaiter.Message{Handle: m.AckID, Body: body}
	}
	return list, nil
}

// Done implements Queue.
func (q *pubSubQueue) Done(ctx context.Context, handles []string) error {
	return q.call(ctx, "acknowledge", map[string]any{"ackIds": handles}, &struct{}{})
}
