package storetest

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"testing"
	"time"

	"github.com/tidewaiter/tidewaiter/internal/store"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

func testEvents(t *testing.T, db *store.DB) {
	w := newWorld(t, db)
	event := func(name string, at time.Duration) *store.Event {
		return &store.Event{ReceivedAt: start.Add(at), Sender: "quay", Name: name, Repository: "team/app", OtherNames: []string{"app"}, Tag: "v1",
			Action: "push", OccurredAt: start, State: store.EventNew, Header: http.Header{"Content-Type": {"application/json"}}}
	}
	body := bytes.Repeat([]byte("a body\x00\xff"), 1000)
	batch := []*store.Event{event("a", 0), event("b", 0), event("a", 0)}
	w.update(func(ctx context.Context, tx *store.Tx) error {
		if err := tx.InsertEvents(ctx, nil, body); err != nil {
			return err
		}
		if err := tx.InsertEvents(ctx, batch, body); err != nil {
			return err
		}
		return tx.InsertEvents(ctx, []*store.Event{event("hostile\x00\xff", time.Hour)}, nil)
	})
	newOnes := must(db.NewEvents(t.Context(), "a", 10))(t)
	if len(newOnes) != 2 || newOnes[0].ID != batch[0].ID || newOnes[1].ID <= newOnes[0].ID {
		t.Fatalf("new events of a: %+v", newOnes)
	}
	for _, e := range newOnes {
		got := must(db.Event(t.Context(), e.ID))(t)
		if !bytes.Equal(got.Body, body) {
			t.Errorf("event %d has a body of %d bytes", e.ID, len(got.Body))
		}
		want := event("a", 0)
		want.ID, want.Body = e.ID, body
		same(t, "event", got, want)
	}
	w.update(func(ctx context.Context, tx *store.Tx) error {
		return tx.SettleEvents(ctx, []int64{newOnes[0].ID, newOnes[1].ID}, store.EventDone, "scanned", []string{"reg"})
	})
	if left := must(db.NewEvents(t.Context(), "a", 10))(t); len(left) != 0 {
		t.Errorf("%d events of a are new still", len(left))
	}
	done, next, err := db.Events(t.Context(), store.EventFilter{States: []store.EventState{store.EventDone}, Page: store.Page{Limit: 1}})
	if err != nil || len(done) != 1 || done[0].ID != newOnes[1].ID || done[0].Reason != "scanned" || done[0].Body != nil || next == "" {
		t.Errorf("done events: %+v, %q, %v", done, next, err)
	}
	if rest, next, err := db.Events(t.Context(), store.EventFilter{Page: store.Page{Limit: 10, After: next}}); err != nil || len(rest) != 2 || next != "" {
		t.Errorf("the rest: %d, %q, %v", len(rest), next, err)
	}
	w.update(func(ctx context.Context, tx *store.Tx) error { return tx.ReopenEvent(ctx, newOnes[0].ID) })
	if again := must(db.NewEvents(t.Context(), "a", 10))(t); len(again) != 1 {
		t.Errorf("%d events of a are new again", len(again))
	}
	kind(t, w.try(func(ctx context.Context, tx *store.Tx) error { return tx.ReopenEvent(ctx, 1<<40) }), tidewaiter.ErrNotFound)
	_, err = db.Event(t.Context(), 1<<40)
	kind(t, err, tidewaiter.ErrNotFound)
	w.update(func(ctx context.Context, tx *store.Tx) error {
		first := must(tx.ForgetEvents(ctx, start.Add(time.Minute), 2))(t)
		second := must(tx.ForgetEvents(ctx, start.Add(time.Minute), 2))(t)
		same(t, "forgotten", []int{first, second}, []int{2, 1})
		return nil
	})
}

func testTagGone(t *testing.T, db *store.DB) {
	w := newWorld(t, db)
	w.judged("v1", image("one", "layer"), judgement())
	reference := host + "/team/app:v1"
	digest := must(db.TagByReference(t.Context(), reference))(t).Digest
	same(t, "tags with the digest", must(db.TagsWithDigest(t.Context(), host, "team/app", digest))(t), []string{"v1"})
	gone := func(registry, name string) (out bool) {
		w.update(func(ctx context.Context, tx *store.Tx) (err error) {
			out, err = tx.TagGone(ctx, registry, name, start.Add(time.Hour))
			return err
		})
		return out
	}
	if gone("another", reference) || gone("reg", host+"/team/app:v2") {
		t.Error("gone, though a registry has it, or though nobody knows it")
	}
	if !gone("reg", reference) || gone("reg", reference) {
		t.Error("not gone, or gone twice")
	}
	if tag := must(db.TagByReference(t.Context(), reference))(t); !tag.GoneAt.Equal(start.Add(time.Hour)) {
		t.Errorf("gone at %s", tag.GoneAt)
	}
	if names := must(db.TagsWithDigest(t.Context(), host, "team/app", digest))(t); len(names) != 0 {
		t.Errorf("tags with the digest: %v", names)
	}
}

func testDeliveries(t *testing.T, db *store.DB) {
	w := newWorld(t, db)
	event := func(registry, delivery, name string, state store.EventState) *store.Event {
		return &store.Event{ReceivedAt: start, RegistryID: registry, DeliveryID: delivery, Name: name, State: state, Sender: "ecr"}
	}
	w.update(func(ctx context.Context, tx *store.Tx) error {
		return tx.InsertDeliveries(ctx, []store.Delivery{
			{Events: []*store.Event{event("reg", "d1", "a", store.EventNew)}, Body: []byte("one")},
			{Events: []*store.Event{event("reg", "d2", "a", store.EventNew), event("reg", "d2", "b", store.EventDone)}, Body: []byte("two")},
			{Events: []*store.Event{event("reg", "d3", "a", store.EventUnused)}},
			{Events: []*store.Event{event("", "d4", "a", store.EventNew)}},
		})
	})
	all, _, err := db.Events(t.Context(), store.EventFilter{})
	if err != nil || len(all) != 5 {
		t.Fatalf("%d events, %v", len(all), err)
	}
	bodies := map[string]int{}
	for _, e := range all {
		bodies[string(must(db.Event(t.Context(), e.ID))(t).Body)]++
	}
	same(t, "bodies", bodies, map[string]int{"one": 1, "two": 2, "": 2})
	id := func(registry, delivery, name string) store.DeliveredEvent {
		return store.DeliveredEvent{RegistryID: registry, DeliveryID: delivery, Name: name}
	}
	got := must(db.Delivered(t.Context(), []store.DeliveredEvent{id("reg", "d1", "a"), id("reg", "d1", "b"), id("reg", "d2", "b"),
		id("reg", "d3", "a"), id("", "d4", "a"), id("other", "d1", "a")}))(t)
	for at, want := range map[store.DeliveredEvent]bool{id("reg", "d1", "a"): true, id("reg", "d1", "b"): false, id("reg", "d2", "b"): true,
		id("reg", "d3", "a"): false, id("", "d4", "a"): false, id("other", "d1", "a"): false} {
		if got[at] != want {
			t.Errorf("%+v: stored already: %v", at, got[at])
		}
	}
	for want, f := range map[int]store.EventFilter{4: {Registry: "reg"}, 1: {Registry: "reg", States: []store.EventState{store.EventDone}},
		5: {Senders: []string{"ecr"}}, 0: {Senders: []string{"quay"}}} {
		if list, _, err := db.Events(t.Context(), f); err != nil || len(list) != want {
			t.Errorf("%+v: %d events, %v", f, len(list), err)
		}
	}
}

func testEventAddresses(t *testing.T, db *store.DB) {
	w := newWorld(t, db)
	_, err := db.EventAddress(t.Context(), "reg")
	kind(t, err, tidewaiter.ErrNotFound)
	a := &store.EventAddress{RegistryID: "reg", Sealed: []byte{1, 0, 255}, Header: "Authorization", Audience: "aud", Email: "a@b",
		Proof: []byte{2}, Former: []byte{3}, FormerUntil: start.Add(time.Hour), CreatedAt: start, UpdatedAt: start, RotatedAt: start}
	w.update(func(ctx context.Context, tx *store.Tx) error { return tx.PutEventAddress(ctx, a) })
	same(t, "address", must(db.EventAddress(t.Context(), "reg"))(t), a)
	a.Sealed, a.Former, a.FormerUntil, a.Proof, a.RotatedAt = []byte{4}, nil, time.Time{}, nil, start.Add(time.Minute)
	w.update(func(ctx context.Context, tx *store.Tx) error { return tx.PutEventAddress(ctx, a) })
	same(t, "address", must(db.EventAddress(t.Context(), "reg"))(t), a)
	kind(t, w.try(func(ctx context.Context, tx *store.Tx) error {
		return tx.PutEventAddress(ctx, &store.EventAddress{RegistryID: "unknown"})
	}), tidewaiter.ErrNotFound)
	w.update(func(ctx context.Context, tx *store.Tx) error { return tx.DeleteRegistries(ctx, []string{"reg"}) })
	kind(t, w.try(func(ctx context.Context, tx *store.Tx) error { return tx.DeleteEventAddress(ctx, "reg") }), tidewaiter.ErrNotFound)
}

func testEventSources(t *testing.T, db *store.DB) {
	w := newWorld(t, db)
	s := &store.EventSource{RegistryID: "reg", Kind: store.EventSourceSQS, Place: "https://sqs.example/1/q", CreatedAt: start, UpdatedAt: start}
	w.update(func(ctx context.Context, tx *store.Tx) error { return tx.PutEventSource(ctx, s) })
	same(t, "sources", must(db.EventSources(t.Context()))(t), []*store.EventSource{s})
	hold := func(holder string, version, now time.Time) (held bool) {
		w.update(func(ctx context.Context, tx *store.Tx) (err error) {
			held, err = tx.HoldEventSource(ctx, "reg", holder, version, now.Add(time.Minute), now)
			return err
		})
		return held
	}
	for i, c := range []struct {
		holder  string
		version time.Time
		now     time.Duration
		want    bool
	}{
		{"one", start, 0, true}, {"two", start, time.Second, false}, {"one", start, 30 * time.Second, true},
		{"two", start, 80 * time.Second, false}, {"two", start, 100 * time.Second, true}, {"one", start, 101 * time.Second, false},
		{"two", start.Add(-time.Second), 102 * time.Second, false},
	} {
		if got := hold(c.holder, c.version, start.Add(c.now)); got != c.want {
			t.Errorf("step %d: held %v", i, got)
		}
	}
	w.update(func(ctx context.Context, tx *store.Tx) error {
		return errors.Join(tx.EventSourcePolled(ctx, "reg", "one", 99, nil, start), tx.EventSourcePolled(ctx, "reg", "two", 3, nil, start),
			tx.EventSourcePolled(ctx, "reg", "two", 0, tidewaiter.Errorf(tidewaiter.ErrAuth, "no"), start.Add(time.Minute)))
	})
	if got := must(db.EventSource(t.Context(), "reg"))(t); got.Received != 3 || got.ErrorKind != tidewaiter.ErrAuth || got.Error != "no" || !got.PolledAt.Equal(start) || got.Holder != "two" {
		t.Errorf("%+v", got)
	}
	w.update(func(ctx context.Context, tx *store.Tx) error {
		return errors.Join(tx.ReleaseEventSource(ctx, "reg", "one"), tx.EventSourcePolled(ctx, "reg", "two", 1, nil, start.Add(time.Hour)))
	})
	if got := must(db.EventSource(t.Context(), "reg"))(t); got.Received != 4 || got.Error != "" || !got.ErrorAt.IsZero() || got.Holder != "two" {
		t.Errorf("%+v", got)
	}
	w.update(func(ctx context.Context, tx *store.Tx) error { return tx.ReleaseEventSource(ctx, "reg", "two") })
	if !hold("three", start, start) {
		t.Error("what was given back is not to be had")
	}
	s.UpdatedAt = start.Add(time.Hour)
	w.update(func(ctx context.Context, tx *store.Tx) error { return tx.PutEventSource(ctx, s) })
	if hold("three", start, start) || !hold("four", s.UpdatedAt, start) {
		t.Error("a source that was changed is held as it was")
	}
	w.update(func(ctx context.Context, tx *store.Tx) error { return tx.DeleteEventSource(ctx, "reg") })
	kind(t, w.try(func(ctx context.Context, tx *store.Tx) error { return tx.DeleteEventSource(ctx, "reg") }), tidewaiter.ErrNotFound)
}
