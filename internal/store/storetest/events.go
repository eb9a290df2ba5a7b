package storetest

import (
	"bytes"
	"context"
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
