package storetest

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/tidewaiter/tidewaiter/internal/store"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// scanner is one that is asked about the registry of a world.
func scanner(id string) *tidewaiter.Scanner {
	s := &tidewaiter.Scanner{ID: id, Name: "name of " + id, Address: "https://" + id, Registries: []string{"reg"}, Sealed: []byte(id), CreatedAt: start, UpdatedAt: start}
	s.About = tidewaiter.ScannerAbout{Name: "Other", Reports: []string{"a"}, DatabaseAt: start, CheckedAt: start}
	if err := s.Validate(); err != nil {
		panic(err)
	}
	return s
}

func testScanners(t *testing.T, db *store.DB) {
	w := newWorld(t, db)
	a, b := scanner("a"), scanner("b")
	b.Registries, b.AllRegistries, b.Name = nil, true, "zz"
	put := func(list ...*tidewaiter.Scanner) {
		t.Helper()
		w.update(func(ctx context.Context, tx *store.Tx) error {
			return errors.Join(tx.PutScanner(ctx, list[0]), tx.PutScanner(ctx, list[len(list)-1]))
		})
	}
	put(b, a)
	same(t, "scanner", must(db.Scanner(t.Context(), "a"))(t), a)
	same(t, "scanners", must(db.Scanners(t.Context()))(t), []*tidewaiter.Scanner{a, b})
	c := scanner("c")
	c.Name = "zz"
	kind(t, w.try(func(ctx context.Context, tx *store.Tx) error { return tx.PutScanner(ctx, c) }), tidewaiter.ErrConflict)
	_, err := db.Scanner(t.Context(), "c")
	kind(t, err, tidewaiter.ErrNotFound)

	w.update(func(ctx context.Context, tx *store.Tx) error {
		return errors.Join(tx.PauseScanner(ctx, "a", start.Add(time.Hour)), tx.PauseScanner(ctx, "a", start.Add(time.Minute)),
			tx.SaveScannerAbout(ctx, "a", tidewaiter.ScannerAbout{Name: "Newer"}))
	})
	got := must(db.Scanner(t.Context(), "a"))(t)
	if !got.PausedUntil.Equal(start.Add(time.Hour)) || got.About.Name != "Newer" || !got.UpdatedAt.Equal(start) {
		t.Errorf("%+v", got)
	}
	a.Registries, a.Disabled, a.UpdatedAt = nil, true, start.Add(time.Hour)
	put(a)
	same(t, "changed scanner", must(db.Scanner(t.Context(), "a"))(t), a) // no longer paused

	w.update(func(ctx context.Context, tx *store.Tx) error { return tx.DeleteScanner(ctx, "b") })
	kind(t, w.try(func(ctx context.Context, tx *store.Tx) error { return tx.DeleteScanner(ctx, "b") }), tidewaiter.ErrNotFound)
	a.Registries = []string{"reg"}
	put(a)
	w.update(func(ctx context.Context, tx *store.Tx) error { return tx.DeleteRegistries(ctx, []string{"reg"}) })
	if got := must(db.Scanner(t.Context(), "a"))(t); len(got.Registries) != 0 {
		t.Errorf("a registry that is gone is still named: %v", got.Registries)
	}
}

func testOpinions(t *testing.T, db *store.DB) {
	w := newWorld(t, db)
	a, b, waits := image("a", "layer"), image("b", "layer"), image("waits", "other")
	w.judged("v1", a, judgement())
	w.judged("v2", b, judgement())
	w.index(w.tag("v3"), waits.Digest, waits)
	s := scanner("s")
	s.UpdatedAt = start.Add(-time.Hour)
	w.update(func(ctx context.Context, tx *store.Tx) error { return tx.PutScanner(ctx, s) })
	ask := store.Unasked{Scanner: s, Now: start, Limit: 10}
	unasked := func(want ...int64) {
		t.Helper()
		same(t, "unasked", must(db.UnaskedImages(t.Context(), ask))(t), want)
	}
	queue := func(place time.Time, want int, ids ...int64) {
		t.Helper()
		w.update(func(ctx context.Context, tx *store.Tx) error {
			n, err := tx.QueueOpinions(ctx, "s", ids, place)
			if n != want {
				t.Errorf("%d queued, want %d", n, want)
			}
			return err
		})
	}
	waiting := func(want ...int64) {
		t.Helper()
		same(t, "waiting", must(db.WaitingOpinions(t.Context(), "s", start.Add(time.Hour), 10))(t), want)
	}
	opinion := func(id int64) *tidewaiter.Opinion {
		t.Helper()
		list := must(db.OpinionsOf(t.Context(), id))(t)
		if len(list) != 1 {
			t.Fatalf("%+v", list)
		}
		return &list[0]
	}
	save := func(o *tidewaiter.Opinion) {
		t.Helper()
		for range 2 { // any job may run twice
			w.update(func(ctx context.Context, tx *store.Tx) error { return tx.SaveOpinion(ctx, o) })
		}
	}

	unasked(a.ID, b.ID)
	ask.After = a.ID
	unasked(b.ID)
	ask.After, ask.Limit = 0, 1
	unasked(a.ID)
	ask.Limit = 10
	queue(start, 2, a.ID, b.ID, 12345) // which is no image
	unasked()
	waiting(a.ID, b.ID)
	queue(time.Unix(1, 0), 1, b.ID)
	waiting(b.ID, a.ID)
	same(t, "places", must(db.OpinionPlaceOf(t.Context(), "s", a.ID))(t),
		&store.OpinionPlace{RegistryID: "reg", Host: host, Repository: "team/app", Tag: "v1"})
	same(t, "places of nothing", must(db.OpinionPlaceOf(t.Context(), "none", a.ID))(t), nil)

	o := opinion(a.ID)
	o.State, o.RegistryID, o.Scan, o.ReportType, o.JobID, o.NextAt, o.AskedAt, o.Faults = tidewaiter.OpinionAsking, "reg", "7\x00", "t", 5, start, start, 2
	save(o)
	o.Scan = "7"
	same(t, "opinion", opinion(a.ID), o)
	queue(start, 0, a.ID) // it is being asked
	same(t, "asking", must(db.CountAsking(t.Context(), "s", start))(t), 1)
	same(t, "asking lately", must(db.CountAsking(t.Context(), "s", start.Add(time.Second)))(t), 0)
	same(t, "overdue", must(db.OverdueOpinions(t.Context(), start, 10))(t), []store.OpinionStep{{ImageID: a.ID, ScannerID: "s", RegistryID: "reg"}})
	same(t, "overdue before", must(db.OverdueOpinions(t.Context(), start.Add(-time.Second), 10))(t), nil)

	found := []tidewaiter.OpinionFinding{{Vulnerability: "CVE-1", Package: "p", Version: "1", Severity: tidewaiter.SeverityHigh}}
	same(t, "findings of none", must(db.OpinionFindings(t.Context(), a.ID, "s"))(t), nil)
	o.Succeeded(tidewaiter.OpinionReport{ScannerName: "Other", ReadAt: start.Add(time.Hour), Findings: 1, Counts: tidewaiter.Counts{High: 1}}, start.Add(time.Hour))
	save(o)
	w.update(func(ctx context.Context, tx *store.Tx) error { return tx.SaveOpinionFindings(ctx, a.ID, "s", found) })
	same(t, "done", opinion(a.ID), o)
	same(t, "findings", must(db.OpinionFindings(t.Context(), a.ID, "s"))(t), found)
	same(t, "counts", must(db.OpinionCounts(t.Context(), "s"))(t), map[tidewaiter.OpinionState]int{tidewaiter.OpinionDone: 1, tidewaiter.OpinionWaiting: 1})

	ask.Now = start.Add(48 * time.Hour)
	unasked() // old, and nobody has seen it since
	o.TriedAt = start.Add(-48 * time.Hour)
	save(o)
	ask.Now = start
	unasked(a.ID) // seen since
	o.Failed(tidewaiter.Errorf(tidewaiter.ErrTransient, "cut"), start.Add(time.Hour))
	save(o)
	ask.Now = o.RetryAt.Add(-time.Second)
	unasked()
	ask.Now = o.RetryAt
	unasked(a.ID)
	for !o.RetryAt.IsZero() {
		o.Failed(tidewaiter.Errorf(tidewaiter.ErrTransient, "cut"), start.Add(time.Hour))
	}
	save(o)
	ask.Now = start.Add(2 * time.Hour)
	unasked() // given up
	s.UpdatedAt = start.Add(2 * time.Hour)
	unasked(a.ID) // but somebody mended something
	queue(start, 1, a.ID)
	if got := opinion(a.ID); got.Attempts != 0 || got.State != tidewaiter.OpinionWaiting || got.Report.Findings != 1 {
		t.Errorf("%+v", got)
	}
	w.update(func(ctx context.Context, tx *store.Tx) error {
		return errors.Join(tx.ForgetOpinion(ctx, a.ID, "s"), tx.ForgetOpinion(ctx, b.ID, "s"))
	})
	if got := opinion(a.ID); got.State != tidewaiter.OpinionDone || got.Error != "" {
		t.Errorf("what was said is lost: %+v", got)
	}
	same(t, "never said", must(db.OpinionsOf(t.Context(), b.ID))(t), []tidewaiter.Opinion{})
	w.update(func(ctx context.Context, tx *store.Tx) error {
		n, err := tx.QueueAllOpinions(ctx, "s", start)
		if n != 1 {
			t.Errorf("%d queued anew", n)
		}
		return err
	})
	waiting(a.ID)

	pause := func(at time.Time) {
		t.Helper()
		w.update(func(ctx context.Context, tx *store.Tx) error {
			_, err := tx.PauseRegistries(ctx, []string{"reg"}, at)
			return err
		})
	}
	unasked(b.ID)
	pause(start)
	unasked()
	if place := must(db.OpinionPlaceOf(t.Context(), "s", a.ID))(t); place == nil || !place.Paused {
		t.Errorf("%+v", place)
	}
	pause(time.Time{})
	o = opinion(a.ID)
	o.State, o.RegistryID = tidewaiter.OpinionAsking, "reg"
	save(o)
	w.update(func(ctx context.Context, tx *store.Tx) error { return tx.DeleteRegistries(ctx, []string{"reg"}) })
	same(t, "opinions through a registry that is gone", must(db.OpinionsOf(t.Context(), a.ID))(t), []tidewaiter.Opinion{})
}
