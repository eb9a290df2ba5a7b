package api

import (
	"context"
	"unicode/utf8"

	"github.com/tidewaiter/tidewaiter/client"
	"github.com/tidewaiter/tidewaiter/internal/control"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

func (s *server) events() {
	handle(s, operation{noun: "events", id: "list-events", method: "GET", path: "/events", may: tidewaiter.MayReadRegistries,
		summary: "What registries told of, newest first.", about: "Events are kept for a week."}, s.listEvents)
	handle(s, operation{noun: "events", id: "get-event", method: "GET", path: "/events/{id}", may: tidewaiter.MayReadRegistries,
		summary: "One event, with what was delivered and what followed."}, s.getEvent)
	handle(s, operation{noun: "events", id: "replay-events", method: "POST", path: "/events/replay", may: tidewaiter.MayWriteRegistries,
		summary: "Have events looked at once more.", about: "One that was not understood is read again first. " +
			"What cannot be replayed is named with the reason; the others are replayed all the same."}, s.replayEvents)
}

type eventQuery struct {
	Paging
	State    string `query:"state" enum:"new,done,unused" doc:"new: not looked at yet; done: something followed; unused: nothing did."`
	Sender   string `query:"sender" maxLength:"50" doc:"distribution, dockerhub, acr, eventgrid, ecr, pubsub, harbor, quay, jfrog, nexus, github, gitea, zot, alibaba, dtr"`
	Registry string `query:"registry" maxLength:"100" doc:"Id of the registry whose address it came to, or that has it in scope."`
}

func (s *server) listEvents(ctx context.Context, q *eventQuery) (*body[client.Page[client.Event]], error) {
	f := control.EventFilter{Registry: q.Registry, Page: q.page()}
	if q.State != "" {
		f.States = []control.EventState{control.EventState(q.State)}
	}
	if q.Sender != "" {
		f.Senders = []string{q.Sender}
	}
	list, next, err := s.Control.ListEvents(ctx, f)
	if err != nil {
		return nil, err
	}
	out := client.Page[client.Event]{Items: make([]client.Event, len(list)), Next: next}
	for i, e := range list {
		out.Items[i] = eventOf(e)
	}
	return reply(out), nil
}

func eventOf(e *control.Event) client.Event {
	return client.Event{ID: e.ID, ReceivedAt: e.ReceivedAt, OccurredAt: e.OccurredAt, Sender: e.Sender, DeliveryID: e.DeliveryID,
		Action: e.Action, Host: e.Host, Repository: e.Repository, Tag: e.Tag, Digest: e.Digest, MediaType: e.MediaType,
		State: string(e.State), Reason: e.Reason, Registry: e.RegistryID, Registries: e.RegistryIDs}
}

type eventAsked struct {
	ID int64 `path:"id" minimum:"1"`
}

func (s *server) getEvent(ctx context.Context, in *eventAsked) (*body[client.EventDetails], error) {
	e, err := s.Control.Event(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	out := client.EventDetails{Event: eventOf(e), Header: e.Header}
	if utf8.Valid(e.Body) {
		out.Body = string(e.Body)
	} else {
		out.Binary = e.Body
	}
	return reply(out), nil
}

func (s *server) replayEvents(ctx context.Context, in *body[client.EventReplay]) (*body[client.EventsReplayed], error) {
	out := client.EventsReplayed{Replayed: []int64{}, Failed: []client.EventNoReplay{}}
	for _, id := range in.Body.IDs {
		switch err := s.Control.ReplayEvent(ctx, id); tidewaiter.KindOf(err) {
		case "":
			out.Replayed = append(out.Replayed, id)
		case tidewaiter.ErrNotFound, tidewaiter.ErrConflict:
			out.Failed = append(out.Failed, client.EventNoReplay{ID: id, Reason: err.Error()})
		default:
			return nil, err
		}
	}
	return reply(out), nil
}
