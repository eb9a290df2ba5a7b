package client

import (
	"context"
	"net/http"
	"net/url"
	"strconv"
	"time"
)

// Event is one thing a registry told of: a tag or digest that was pushed or deleted.
type Event struct {
	ID         int64     `json:"id"`
	ReceivedAt time.Time `json:"receivedAt"`
	OccurredAt time.Time `json:"occurredAt,omitzero"` // as the sender says
	Sender     string    `json:"sender,omitempty"`    // what kind of registry sent it; empty when it was not recognised
	DeliveryID string    `json:"deliveryID,omitempty"`
	Action     string    `json:"action,omitempty"` // push, delete
	Host       string    `json:"host,omitempty"`
	Repository string    `json:"repository,omitempty"`
	Tag        string    `json:"tag,omitempty"`
	Digest     string    `json:"digest,omitempty"`
	MediaType  string    `json:"mediaType,omitempty"`
	State      string    `json:"state"`                // new, done, unused
	Reason     string    `json:"reason,omitempty"`     // what followed, or why nothing did
	Registry   string    `json:"registry,omitempty"`   // whose address it came to; empty for the one all share
	Registries []string  `json:"registries,omitempty"` // declared registries that have it in scope
}

// EventDetails is an event with what was delivered.
type EventDetails struct {
	Event
	Header map[string][]string `json:"header,omitempty"` // those that say what the body means
	Body   string              `json:"body,omitempty"`   // as text, when it is text
	Binary []byte              `json:"binary,omitempty"` // the body otherwise, in base64
}

// EventQuery chooses events; what is zero does not restrict.
type EventQuery struct {
	State, Sender, Registry string
	Limit                   int
	After                   string
}

// Events returns a page of events, newest first.
func (c *Client) Events(ctx context.Context, q EventQuery) (*Page[Event], error) {
	v := values{url.Values{}}
	v.set("state", q.State)
	v.set("sender", q.Sender)
	v.set("registry", q.Registry)
	v.page(q.Limit, q.After)
	var out Page[Event]
	return &out, c.do(ctx, http.MethodGet, "/events", v.Values, nil, &out)
}

// Event returns one event with its body.
func (c *Client) Event(ctx context.Context, id int64) (*EventDetails, error) {
	var out EventDetails
	return &out, c.do(ctx, http.MethodGet, "/events/"+strconv.FormatInt(id, 10), nil, nil, &out)
}

// EventReplay names the events to be looked at once more.
type EventReplay struct {
	IDs []int64 `json:"ids" minItems:"1" maxItems:"1000" nullable:"false"`
}

// EventsReplayed says which of them are, and why the others are not.
type EventsReplayed struct {
	Replayed []int64         `json:"replayed"`
	Failed   []EventNoReplay `json:"failed"`
}

// EventNoReplay is an event that cannot be replayed.
type EventNoReplay struct {
	ID     int64  `json:"id"`
	Reason string `json:"reason"`
}

// ReplayEvents has events looked at once more.
func (c *Client) ReplayEvents(ctx context.Context, ids ...int64) (*EventsReplayed, error) {
	var out EventsReplayed
	return &out, c.do(ctx, http.MethodPost, "/events/replay", nil, EventReplay{IDs: ids}, &out)
}

// EventAddress is where a registry is to send its events.
type EventAddress struct {
	Registry    string    `json:"registry"`
	Kind        string    `json:"kind"`             // of the registry
	Path        string    `json:"path"`             // below the server's address; secret
	Secret      bool      `json:"secret"`           // one is set, and has to be proved
	Header      string    `json:"header,omitempty"` // where senders that cannot sign send it
	Audience    string    `json:"audience,omitempty"`
	Email       string    `json:"email,omitempty"`
	FormerUntil time.Time `json:"formerUntil,omitzero"` // until when the address before this one is good
	CreatedAt   time.Time `json:"createdAt"`
	RotatedAt   time.Time `json:"rotatedAt"`
}

// EventProof is what deliveries have to prove beyond knowing the address.
type EventProof struct {
	Secret   *string `json:"secret,omitempty" maxLength:"1024" doc:"What senders sign with, or send in the header. Left out it stays as it is, empty it is taken away."`
	Header   string  `json:"header,omitempty" maxLength:"100" doc:"Where senders that cannot sign have to send the secret."`
	Audience string  `json:"audience,omitempty" maxLength:"500" doc:"Of the tokens that Pub/Sub sends along; with email."`
	Email    string  `json:"email,omitempty" maxLength:"256" doc:"The service account those tokens have to be of."`
}

// EventRotation says how long the address before stays good.
type EventRotation struct {
	KeepSeconds int `json:"keepSeconds,omitempty" minimum:"0" maximum:"604800"`
}

func eventPath(registry, noun string) string {
	return "/registries/" + url.PathEscape(registry) + "/event-" + noun
}

// EventAddress returns where a registry is to send its events.
func (c *Client) EventAddress(ctx context.Context, registry string) (*EventAddress, error) {
	var out EventAddress
	return &out, c.do(ctx, http.MethodGet, eventPath(registry, "address"), nil, nil, &out)
}

// PutEventAddress gives a registry an address, or changes what has to be proved at the one it has.
func (c *Client) PutEventAddress(ctx context.Context, registry string, p EventProof) (*EventAddress, error) {
	var out EventAddress
	return &out, c.do(ctx, http.MethodPut, eventPath(registry, "address"), nil, p, &out)
}

// RotateEventAddress replaces the secret end of a registry's address. The one before stays good for keep.
func (c *Client) RotateEventAddress(ctx context.Context, registry string, keep time.Duration) (*EventAddress, error) {
	var out EventAddress
	return &out, c.do(ctx, http.MethodPost, eventPath(registry, "address")+"/rotate", nil, EventRotation{int(keep.Seconds())}, &out)
}

// RevokeEventAddress takes a registry's address away.
func (c *Client) RevokeEventAddress(ctx context.Context, registry string) error {
	return c.do(ctx, http.MethodDelete, eventPath(registry, "address"), nil, nil, nil)
}

// EventSource is a queue from which the events of a registry are fetched, and how that goes.
type EventSource struct {
	Registry   string    `json:"registry"`
	Kind       string    `json:"kind"`             // sqs, pubsub
	Place      string    `json:"place"`            // a queue's URL, or a subscription's full name
	Worker     string    `json:"worker,omitempty"` // the process that fetches
	PolledAt   time.Time `json:"polledAt,omitzero"`
	ReceivedAt time.Time `json:"receivedAt,omitzero"` // the last message
	Received   int64     `json:"received"`            // messages so far
	ErrorKind  string    `json:"errorKind,omitempty"`
	Error      string    `json:"error,omitempty"` // of the last attempt
	ErrorAt    time.Time `json:"errorAt,omitzero"`
}

// EventPlace names a queue.
type EventPlace struct {
	Kind  string `json:"kind" enum:"sqs,pubsub"`
	Place string `json:"place" maxLength:"1024" doc:"The URL of a queue of SQS, or projects/…/subscriptions/… of Pub/Sub."`
}

// EventSource returns from where the events of a registry are fetched and how that goes.
func (c *Client) EventSource(ctx context.Context, registry string) (*EventSource, error) {
	var out EventSource
	return &out, c.do(ctx, http.MethodGet, eventPath(registry, "source"), nil, nil, &out)
}

// PutEventSource has the events of a registry fetched from a queue.
func (c *Client) PutEventSource(ctx context.Context, registry string, p EventPlace) (*EventSource, error) {
	var out EventSource
	return &out, c.do(ctx, http.MethodPut, eventPath(registry, "source"), nil, p, &out)
}

// DeleteEventSource ends the fetching.
func (c *Client) DeleteEventSource(ctx context.Context, registry string) error {
	return c.do(ctx, http.MethodDelete, eventPath(registry, "source"), nil, nil, nil)
}
