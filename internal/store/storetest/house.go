package storetest

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/tidewaiter/tidewaiter/internal/store"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

func testPolicies(t *testing.T, db *store.DB) {
	w := &world{T: t, db: db}
	_, err := db.Policy(t.Context(), tidewaiter.PolicyVulnerability)
	kind(t, err, tidewaiter.ErrNotFound)
	p := &tidewaiter.Policy{Kind: tidewaiter.PolicyVulnerability, UpdatedAt: start, Rules: []tidewaiter.Rule{{
		Name: "rule", Collections: []string{"All"}, Block: tidewaiter.Threshold{Enabled: true, Severity: tidewaiter.SeverityHigh},
		Grace:  tidewaiter.Grace{BySeverity: map[tidewaiter.Severity]int{tidewaiter.SeverityHigh: 3}},
		Checks: map[int]tidewaiter.CheckEffect{41: {Block: true}},
	}}}
	c := &tidewaiter.Collection{Name: "mine", Images: []string{"*"}, Modified: start}
	for range 2 {
		w.update(func(ctx context.Context, tx *store.Tx) error {
			return errors.Join(tx.PutPolicy(ctx, p), tx.PutCollection(ctx, c), tx.PutSetting(ctx, "a.b", "1", start), tx.PutSetting(ctx, "aXb", "2", start))
		})
	}
	same(t, "policy", must(db.Policy(t.Context(), tidewaiter.PolicyVulnerability))(t), p)
	same(t, "collections", must(db.Collections(t.Context()))(t), []*tidewaiter.Collection{c})
	same(t, "setting", must(db.Setting(t.Context(), "a.b"))(t), "1")
	same(t, "settings", must(db.Settings(t.Context(), "a."))(t), map[string]string{"a.b": "1"})
	_, err = db.Setting(t.Context(), "z")
	kind(t, err, tidewaiter.ErrNotFound)
	w.update(func(ctx context.Context, tx *store.Tx) error {
		return errors.Join(tx.DeleteCollection(ctx, "mine"), tx.DeleteSetting(ctx, "a.b"))
	})
	kind(t, w.try(func(ctx context.Context, tx *store.Tx) error { return tx.DeleteCollection(ctx, "mine") }), tidewaiter.ErrNotFound)
}

func testUsers(t *testing.T, db *store.DB) {
	w := &world{T: t, db: db}
	u := &tidewaiter.User{Name: "ann", Role: tidewaiter.RoleAdmin, PasswordHash: "$argon2id$", CreatedAt: start, UpdatedAt: start}
	w.update(func(ctx context.Context, tx *store.Tx) error { return tx.PutUser(ctx, u) })
	u.Role, u.LastLogin = tidewaiter.RoleCI, start.Add(time.Hour)
	w.update(func(ctx context.Context, tx *store.Tx) error {
		return errors.Join(tx.PutUser(ctx, u), tx.TouchUser(ctx, "ann", u.LastLogin))
	})
	same(t, "user", must(db.User(t.Context(), "ann"))(t), u)
	same(t, "users", must(db.Users(t.Context()))(t), []*tidewaiter.User{u})
	w.update(func(ctx context.Context, tx *store.Tx) error { return tx.DeleteUser(ctx, "ann") })
	kind(t, w.try(func(ctx context.Context, tx *store.Tx) error { return tx.DeleteUser(ctx, "ann") }), tidewaiter.ErrNotFound)
	kind(t, w.try(func(ctx context.Context, tx *store.Tx) error { return tx.TouchUser(ctx, "ann", start) }), tidewaiter.ErrNotFound)
	_, err := db.User(t.Context(), "ann")
	kind(t, err, tidewaiter.ErrNotFound)
}

func testAudit(t *testing.T, db *store.DB) {
	w := &world{T: t, db: db}
	for i := range 5 {
		w.update(func(ctx context.Context, tx *store.Tx) error {
			return tx.Audit(ctx, store.AuditEntry{At: start, Actor: "ann", Action: number(i), Subject: "s", Detail: "d"})
		})
	}
	first, next, err := db.Audits(t.Context(), store.Page{Limit: 3})
	if err != nil || len(first) != 3 || first[0].Action != number(4) || !first[0].At.Equal(start) {
		t.Fatalf("%+v, %v", first, err)
	}
	rest, next, err := db.Audits(t.Context(), store.Page{Limit: 3, After: next})
	if err != nil || len(rest) != 2 || next != "" || rest[1].Action != number(0) {
		t.Errorf("%+v, %q, %v", rest, next, err)
	}
}

func testWorkers(t *testing.T, db *store.DB) {
	w := &world{T: t, db: db}
	worker := store.Worker{ID: "w1", HeartbeatAt: start, Labels: []string{"dmz"}, Version: "1", StartedAt: start.Add(-time.Hour),
		Name: "edge", Lanes: map[tidewaiter.Lane]int{tidewaiter.LaneFresh: 4}, Running: 2, Advisories: "sha256:1"}
	for range 2 {
		worker.HeartbeatAt = worker.HeartbeatAt.Add(time.Minute)
		w.update(func(ctx context.Context, tx *store.Tx) error { return tx.Heartbeat(ctx, worker) })
	}
	same(t, "workers", must(db.Workers(t.Context()))(t), []store.Worker{worker})
	w.update(func(ctx context.Context, tx *store.Tx) error {
		n, err := tx.ForgetWorkers(ctx, start.Add(time.Hour))
		same(t, "forgotten", n, 1)
		return err
	})
}

func testRetention(t *testing.T, db *store.DB) {
	w := newWorld(t, db)
	p := pkg("a")
	w.intern(p)
	goes, stays := image("goes", "own", "shared"), image("stays", "shared")
	w.judged("goes", goes, judgement())
	w.judged("stays", stays, judgement())
	w.update(func(ctx context.Context, tx *store.Tx) error {
		j := judgement()
		_, err := tx.SaveJudgement(ctx, store.SaveJudgement{ImageID: goes.ID, Judgement: &j, Now: start,
			Content: &tidewaiter.Content{Installed: []tidewaiter.Installed{{Package: p}}}})
		if err != nil {
			return err
		}
		return errors.Join(
			tx.SaveFindings(ctx, advisories, map[int64][]tidewaiter.Finding{p.ID: {finding("CVE-1", 0)}}, nil, start),
			tx.InsertScans(ctx, []*tidewaiter.Scan{scan("next", "reg", tidewaiter.ScanListing)}),
		)
	})
	w.tags("reg", "next", tidewaiter.ListedTag{Name: "stays"})
	w.update(func(ctx context.Context, tx *store.Tx) error {
		_, err := tx.ConcludeListing(ctx, "reg", "next", start)
		return err
	})
	purge := func(before time.Time) (total store.Purged) {
		for {
			p := must(db.PurgeGone(t.Context(), before, 1))(t)
			if !p.Any() {
				return total
			}
			total.Add(p)
		}
	}
	same(t, "purged too early", purge(start), store.Purged{})
	same(t, "purged", purge(start.Add(time.Hour)), store.Purged{Tags: 1, Images: 1, Layers: 1, Packages: 1, Vulnerabilities: 1, Repositories: 1})
	if n := must(db.CountResults(t.Context(), store.ResultFilter{Gone: true}))(t); n != 1 {
		t.Errorf("%d results left", n)
	}
	same(t, "state of the shared layer", must(db.LayerState(t.Context(), "shared", analyzer))(t), store.LayerDone)
}

func testStats(t *testing.T, db *store.DB) {
	w := newWorld(t, db)
	fleet(w)
	same(t, "stats", must(db.Stats(t.Context()))(t), store.Stats{
		Registries: 1, Repositories: 1, Tags: 6, Images: map[tidewaiter.ImageState]int{tidewaiter.ImageJudged: 3},
		Layers: map[store.LayerState]int{store.LayerDone: 1}, Scans: map[tidewaiter.ScanState]int{tidewaiter.ScanScanning: 1},
	})
	w.must(db.Upkeep(t.Context()))
	if n := must(db.Size(t.Context()))(t); n <= 0 {
		t.Errorf("the database takes %d bytes", n)
	}
}

func testTransactions(t *testing.T, db *store.DB) {
	w := &world{T: t, db: db}
	stop := errors.New("stop")
	err := w.try(func(ctx context.Context, tx *store.Tx) error {
		if err := tx.InsertRegistries(ctx, []*tidewaiter.Registry{registry("reg")}); err != nil {
			return err
		}
		if _, err := tx.Registry(ctx, "reg"); err != nil {
			t.Errorf("a transaction does not see its own writes: %v", err)
		}
		if _, err := db.Registry(ctx, "reg"); tidewaiter.KindOf(err) != tidewaiter.ErrNotFound {
			t.Errorf("others see what is not committed: %v", err)
		}
		return stop
	})
	if !errors.Is(err, stop) {
		t.Errorf("the function's error is lost: %v", err)
	}
	_, err = db.Registry(t.Context(), "reg")
	kind(t, err, tidewaiter.ErrNotFound)

	ctx, cancel := context.WithCancel(t.Context())
	kind(t, db.Update(ctx, func(tx *store.Tx) error {
		cancel()
		return tx.InsertRegistries(ctx, []*tidewaiter.Registry{registry("reg")})
	}), tidewaiter.ErrCanceled)
	w.update(func(ctx context.Context, tx *store.Tx) error {
		if (tx.SQL() == nil) == (tx.Pgx() == nil) || (db.Pool() == nil) != (tx.Pgx() == nil) {
			t.Error("exactly one of the drivers' transactions is there")
		}
		return errors.Join(tx.LockOrigin(ctx, tidewaiter.OriginPrisma), tx.LockOrigin(ctx, tidewaiter.OriginPrisma))
	})
}

func testClosed(t *testing.T, db *store.DB) {
	if err := db.Ping(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	kind(t, db.Ping(t.Context()), tidewaiter.ErrTransient)
	_, err := db.Registry(t.Context(), "reg")
	kind(t, err, tidewaiter.ErrTransient)
	kind(t, db.Update(t.Context(), func(*store.Tx) error { return nil }), tidewaiter.ErrTransient)
}
