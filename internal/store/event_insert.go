package store

import (
	"context"

	"github.com/uptrace/bun"
)

// InsertEvents stores the events of one delivery, and its body once, and sets the first one's ID.
func (tx *Tx) InsertEvents(ctx context.Context, events []*Event, body []byte) error {
	list := make([]eventRow, len(events))
	for i, e := range events {
		var err error
		if list[i], err = eventRowOf(e); err != nil {
			return err
		}
	}
	if len(list) == 0 {
		return nil
	}
	if body != nil {
		list[0].Body = tx.codec.pack(body)
	}
	if _, err := tx.insert(&list[0]).Returning("id").Exec(ctx); err != nil {
		return fail(err, "store an event")
	}
	events[0].ID = list[0].ID
	for i := range list[1:] {
		list[i+1].FirstID = list[0].ID
	}
	return fail(inChunks(list[1:], func(part []eventRow) error {
		_, err := tx.insert(&part).Returning("NULL").Exec(ctx)
		return err
	}), "store events")
}

// Delivery is what one request of a sender, or one message of a queue, holds.
type Delivery struct {
	Events []*Event
	Body   []byte // kept with the first event; nil when it is not
}

// InsertDeliveries stores the events of many deliveries. IDs are not set.
func (tx *Tx) InsertDeliveries(ctx context.Context, list []Delivery) error {
	var single []eventRow
	for _, d := range list {
		if len(d.Events) != 1 {
			if err := tx.InsertEvents(ctx, d.Events, d.Body); err != nil {
				return err
			}
			continue
		}
		row, err := eventRowOf(d.Events[0])
		if err != nil {
			return err
		}
		if d.Body != nil {
			row.Body = tx.codec.pack(d.Body)
		}
		single = append(single, row)
	}
	return fail(inChunks(single, func(part []eventRow) error {
		_, err := tx.insert(&part).Returning("NULL").Exec(ctx)
		return err
	}), "store events")
}

// DeliveredEvent says which event it is, in its sender's own words.
type DeliveredEvent struct {
	RegistryID string // whose address it came to; never ""
	DeliveryID string
	Name       string
}

// Delivered returns those of some events that are stored already and of use: a sender that got no answer sends again, and a
// queue gives out what was not taken off it. One that could not be used counts as new, since it may be of use by now.
func (r *Reader) Delivered(ctx context.Context, list []DeliveredEvent) (map[DeliveredEvent]bool, error) {
	out := map[DeliveredEvent]bool{}
	err := inChunks(list, func(part []DeliveredEvent) error {
		ids := make([]string, len(part))
		for i, e := range part {
			ids[i] = text(e.DeliveryID)
		}
		found, err := rows[DeliveredEvent](ctx, r, `select registry_id, delivery_id, name from events
			where delivery_id in (?) and registry_id <> '' and state <> 'unused'`, bun.List(distinct(ids)))
		for _, e := range found {
			out[e] = true
		}
		return err
	})
	return out, fail(err, "delivered events")
}
