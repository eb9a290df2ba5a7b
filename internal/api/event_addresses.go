package api

import (
	"context"
	"time"

	"github.com/tidewaiter/tidewaiter/client"
	"github.com/tidewaiter/tidewaiter/internal/control"
	"github.com/tidewaiter/tidewaiter/internal/secret"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// eventAddresses are where registries send events to and where events are fetched from. The address is a secret, so it takes
// the permission to write to see it.
func (s *server) eventAddresses() {
	const address, source = "/registries/{id}/event-address", "/registries/{id}/event-source"
	handle(s, operation{noun: "events", id: "get-event-address", method: "GET", path: address, may: tidewaiter.MayWriteRegistries,
		summary: "Where a registry is to send its events."}, s.getEventAddress)
	handle(s, operation{noun: "events", id: "put-event-address", method: "PUT", path: address, may: tidewaiter.MayWriteRegistries,
		summary: "Give a registry an address for its events, or change what has to be proved there.",
		about:   "Deliveries are taken from whoever knows the address and proves what is set here; they are about this registry alone."}, s.putEventAddress)
	handle(s, operation{noun: "events", id: "rotate-event-address", method: "POST", path: address + "/rotate", may: tidewaiter.MayWriteRegistries,
		summary: "Replace the secret end of a registry's address."}, s.rotateEventAddress)
	handle(s, operation{noun: "events", id: "revoke-event-address", method: "DELETE", path: address, may: tidewaiter.MayWriteRegistries,
		status: 204, summary: "Take a registry's address away."}, s.revokeEventAddress)
	handle(s, operation{noun: "events", id: "get-event-source", method: "GET", path: source, may: tidewaiter.MayReadRegistries,
		summary: "From which queue the events of a registry are fetched, and how that goes."}, s.getEventSource)
	handle(s, operation{noun: "events", id: "put-event-source", method: "PUT", path: source, may: tidewaiter.MayWriteRegistries,
		summary: "Have the events of a registry fetched from a queue, with the registry's credential."}, s.putEventSource)
	handle(s, operation{noun: "events", id: "delete-event-source", method: "DELETE", path: source, may: tidewaiter.MayWriteRegistries,
		status: 204, summary: "End the fetching."}, s.deleteEventSource)
}

// EventRegistry names a registry. It is exported because huma reads the fields of exported embedded structs only.
type EventRegistry struct {
	ID string `path:"id" maxLength:"100" doc:"Of the registry."`
}

func (s *server) eventAddress(ctx context.Context, a *control.EventAddress, err error) (*body[client.EventAddress], error) {
	if err != nil {
		return nil, err
	}
	r, err := s.Control.Registry(ctx, a.RegistryID)
	if err != nil {
		return nil, err
	}
	return reply(client.EventAddress{Registry: a.RegistryID, Kind: string(r.Kind), Path: control.EventPath + a.RegistryID + "/" + a.End.Reveal(),
		Secret: a.Signed, Header: a.Header, Audience: a.Audience, Email: a.Email, FormerUntil: a.FormerUntil,
		CreatedAt: a.CreatedAt, RotatedAt: a.RotatedAt}), nil
}

func (s *server) getEventAddress(ctx context.Context, in *EventRegistry) (*body[client.EventAddress], error) {
	a, err := s.Control.EventAddress(ctx, in.ID)
	return s.eventAddress(ctx, a, err)
}

type eventProof struct {
	EventRegistry
	Body client.EventProof
}

func (s *server) putEventAddress(ctx context.Context, in *eventProof) (*body[client.EventAddress], error) {
	p := control.EventProofChange{EventProof: control.EventProof{Header: in.Body.Header, Audience: in.Body.Audience, Email: in.Body.Email}}
	if in.Body.Secret != nil {
		v := secret.New(*in.Body.Secret)
		p.Secret = &v
	}
	a, err := s.Control.MakeEventAddress(ctx, in.ID, p)
	return s.eventAddress(ctx, a, err)
}

type eventRotation struct {
	EventRegistry
	Body *client.EventRotation
}

func (s *server) rotateEventAddress(ctx context.Context, in *eventRotation) (*body[client.EventAddress], error) {
	var keep time.Duration
	if in.Body != nil {
		keep = time.Duration(in.Body.KeepSeconds) * time.Second
	}
	a, err := s.Control.RotateEventAddress(ctx, in.ID, keep)
	return s.eventAddress(ctx, a, err)
}

func (s *server) revokeEventAddress(ctx context.Context, in *EventRegistry) (*struct{}, error) {
	return nil, s.Control.RevokeEventAddress(ctx, in.ID)
}

func eventSourceOf(e *control.EventSource, err error) (*body[client.EventSource], error) {
	if err != nil {
		return nil, err
	}
	return reply(client.EventSource{Registry: e.RegistryID, Kind: string(e.Kind), Place: e.Place, Worker: e.Holder, PolledAt: e.PolledAt,
		ReceivedAt: e.ReceivedAt, Received: e.Received, ErrorKind: string(e.ErrorKind), Error: e.Error, ErrorAt: e.ErrorAt}), nil
}

func (s *server) getEventSource(ctx context.Context, in *EventRegistry) (*body[client.EventSource], error) {
	return eventSourceOf(s.Control.EventSource(ctx, in.ID))
}

type eventPlace struct {
	EventRegistry
	Body client.EventPlace
}

func (s *server) putEventSource(ctx context.Context, in *eventPlace) (*body[client.EventSource], error) {
	return eventSourceOf(s.Control.SetEventSource(ctx, in.ID, control.EventSourceKind(in.Body.Kind), in.Body.Place))
}

func (s *server) deleteEventSource(ctx context.Context, in *EventRegistry) (*struct{}, error) {
	return nil, s.Control.RemoveEventSource(ctx, in.ID)
}
