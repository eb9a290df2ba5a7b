package storetest

import (
	"context"
	"testing"
	"time"

	"github.com/tidewaiter/tidewaiter/internal/store"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

func testPublications(t *testing.T, db *store.DB) {
	w := newWorld(t, db)
	const cyclonedx, sarif = tidewaiter.PublishCycloneDX, tidewaiter.PublishSARIF
	a, b, waits := image("a", "layer"), image("b", "layer"), image("waits", "other")
	w.judged("v1", a, judgement())
	w.judged("v2", b, judgement())
	w.index(w.tag("v3"), waits.Digest, waits)
	ask := store.Unpublished{RegistryID: "reg", Kinds: []tidewaiter.PublicationKind{cyclonedx, sarif}, Mended: start, Now: start.Add(time.Hour), Limit: 10}
	unpublished := func(want ...int64) {
		t.Helper()
		same(t, "unpublished", must(db.UnpublishedImages(t.Context(), ask))(t), want)
	}
	save := func(p tidewaiter.Publication) {
		t.Helper()
		for range 2 { // any job may run twice
			w.update(func(ctx context.Context, tx *store.Tx) error { return tx.SavePublication(ctx, &p) })
		}
	}
	unpublished(a.ID, b.ID)
	ask.After = a.ID
	unpublished(b.ID)
	ask.After, ask.Limit = 0, 1
	unpublished(a.ID)
	ask.Limit = 10
	same(t, "repositories", must(db.PublishTo(t.Context(), "reg", a.ID))(t), []tidewaiter.Repository{{ID: w.repo, Host: host, Name: "team/app"}})
	same(t, "repositories of nobody", must(db.PublishTo(t.Context(), "none", a.ID))(t), nil)

	change := must(db.LastChangeOf(t.Context(), a.ID))(t)
	if change == 0 {
		t.Fatal("the first judgement is a change")
	}
	done := tidewaiter.Publication{ImageID: a.ID, RegistryID: "reg", RepositoryID: w.repo, Kind: cyclonedx, Change: change, Document: "sha256:doc",
		JudgedAt: start, Advisories: advisories}
	done.Succeeded("sha256:manifest", start.Add(time.Minute))
	save(done)
	unpublished(a.ID, b.ID)
	failed := done
	failed.Kind = sarif
	failed.Failed(tidewaiter.Errorf(tidewaiter.ErrTransient, "cut\x00"), start.Add(time.Minute))
	save(failed)
	ask.Now = failed.RetryAt.Add(-time.Second)
	unpublished(b.ID)
	ask.Now = failed.RetryAt
	unpublished(a.ID, b.ID)
	for !failed.RetryAt.IsZero() {
		failed.Failed(tidewaiter.Errorf(tidewaiter.ErrTransient, "cut"), start.Add(time.Minute))
	}
	save(failed)
	ask.Now = start.Add(1000 * time.Hour)
	unpublished(b.ID) // given up
	ask.Mended = failed.TriedAt.Add(time.Second)
	unpublished(a.ID, b.ID) // but somebody mended something
	ask.Mended = start
	done.Host, done.Repository, failed.Host, failed.Repository = host, "team/app", host, "team/app"
	same(t, "publications", utc(must(db.PublicationsOf(t.Context(), a.ID))(t)), utc([]tidewaiter.Publication{done, failed}))

	j := judgement()
	j.Verdict.Effect = tidewaiter.EffectBlock
	w.judge(a.ID, j)
	unpublished(a.ID, b.ID) // something changed
	failed.Change = must(db.LastChangeOf(t.Context(), a.ID))(t)
	done.Change = failed.Change
	if failed.Change == change {
		t.Error("another verdict is a change")
	}
	save(done)
	save(failed)
	unpublished(b.ID)
	ask.Kinds = []tidewaiter.PublicationKind{tidewaiter.PublishSPDX}
	unpublished(a.ID, b.ID)
	ask.Kinds = nil
	unpublished()

	ask.Kinds = []tidewaiter.PublicationKind{tidewaiter.PublishSPDX}
	w.update(func(ctx context.Context, tx *store.Tx) error {
		_, err := tx.TagGone(ctx, "reg", host+"/team/app:v1", start)
		return err
	})
	unpublished(b.ID)

	with := registry("publishes")
	with.URL, with.Settings = "https://other.example.com", map[string]string{tidewaiter.SettingPublishSBOM: "spdx"}
	w.update(func(ctx context.Context, tx *store.Tx) error {
		return tx.InsertRegistries(ctx, []*tidewaiter.Registry{with})
	})
	list := must(db.PublishingRegistries(t.Context()))(t)
	if len(list) != 1 || list[0].ID != "publishes" || list[0].Settings[tidewaiter.SettingPublishSBOM] != "spdx" {
		t.Errorf("%+v", list)
	}
	w.update(func(ctx context.Context, tx *store.Tx) error { return tx.DeleteRegistries(ctx, []string{"reg"}) })
	same(t, "publications of a registry that is gone", must(db.PublicationsOf(t.Context(), a.ID))(t), nil)
}

// utc puts times as a database returns them.
func utc(list []tidewaiter.Publication) []tidewaiter.Publication {
	for i := range list {
		for _, at := range []*time.Time{&list[i].JudgedAt, &list[i].PushedAt, &list[i].TriedAt, &list[i].RetryAt} {
			*at = at.UTC()
		}
	}
	return list
}
