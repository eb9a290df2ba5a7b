package storetest

import (
	"context"
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/tidewaiter/tidewaiter/internal/store"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

func testRegistries(t *testing.T, db *store.DB) {
	w := &world{T: t, db: db}
	weekday := time.Friday
	full := &tidewaiter.Registry{
		ID: "full", Name: "it's \"quoted\" ?", Kind: tidewaiter.KindHarbor, URL: "https://Harbor.example.com:8443/x", Origin: tidewaiter.OriginPrisma,
		Position: 7, CredentialID: "cred", TLS: tidewaiter.TLS{CACert: "PEM", SkipVerify: true},
		Scope: tidewaiter.Scope{Select: []tidewaiter.Selector{{Repository: "a/*", Tags: []string{"v*"}}}, Newest: 5,
			Platforms: []tidewaiter.Platform{{OS: "linux", Architecture: "arm64"}}},
		Schedule: tidewaiter.Schedule{Every: 7 * 24 * time.Hour, Weekday: &weekday, At: "03:30"}, Parallel: 3,
		Declaration: json.RawMessage(`{"a":"b ? 'c'"}`), CreatedAt: start, UpdatedAt: start.Add(time.Second),
	}
	w.update(func(ctx context.Context, tx *store.Tx) error {
		return tx.InsertRegistries(ctx, []*tidewaiter.Registry{full, registry("plain")})
	})
	got := must(db.Registry(t.Context(), "full"))(t)
	same(t, "registry", got, full)
	kind(t, w.try(func(ctx context.Context, tx *store.Tx) error {
		return tx.InsertRegistries(ctx, []*tidewaiter.Registry{registry("other"), full})
	}), tidewaiter.ErrConflict)
	_, err := db.Registry(t.Context(), "other")
	kind(t, err, tidewaiter.ErrNotFound)
	kind(t, w.try(func(ctx context.Context, tx *store.Tx) error {
		return tx.UpdateRegistries(ctx, []*tidewaiter.Registry{full, registry("missing")})
	}), tidewaiter.ErrNotFound)

	full.Name, full.Schedule, full.UpdatedAt = "renamed", tidewaiter.Schedule{}, start.Add(time.Hour)
	w.update(func(ctx context.Context, tx *store.Tx) error {
		return tx.UpdateRegistries(ctx, []*tidewaiter.Registry{full})
	})
	same(t, "updated registry", must(db.Registry(t.Context(), "full"))(t), full)
	same(t, "scheduled registries", must(db.RegistriesWithSchedule(t.Context()))(t), []*tidewaiter.Registry{})

	for name, f := range map[string]store.RegistryFilter{
		"ids": {IDs: []string{"full", "nobody"}}, "origin": {Origin: tidewaiter.OriginPrisma}, "kind": {Kind: tidewaiter.KindHarbor},
		"host": {Host: "harbor.example.com:8443"}, "url": {URL: full.URL}, "name": {Name: "renamed"}, "credential": {CredentialID: "cred"},
	} {
		found, next, err := db.Registries(t.Context(), f)
		if err != nil || len(found) != 1 || found[0].ID != "full" || next != "" {
			t.Errorf("filter by %s: %d registries, next %q, %v", name, len(found), next, err)
		}
		if n := must(db.CountRegistries(t.Context(), f))(t); n != 1 {
			t.Errorf("filter by %s counts %d", name, n)
		}
	}
	if n := must(db.CountRegistries(t.Context(), store.RegistryFilter{IDs: []string{}}))(t); n != 0 {
		t.Errorf("a filter by no ids counts %d", n)
	}
	same(t, "all origins", len(must(db.RegistriesOf(t.Context(), ""))(t)), 2)
	same(t, "one origin", len(must(db.RegistriesOf(t.Context(), tidewaiter.OriginPrisma))(t)), 1)
}

// testManyRegistries declares as many registries as Prisma's settings may hold, at once.
func testManyRegistries(t *testing.T, db *store.DB) {
	w := &world{T: t, db: db}
	const n = 19_999
	list := make([]*tidewaiter.Registry, n)
	ids := make([]string, n)
	for i := range list {
		r := registry(fmt.Sprintf("registry-%05d", i))
		r.Position = i
		r.Declaration = json.RawMessage(`{"registry":"https://registry.example.com","repository":"team/app","tag":"*","os":"linux"}`)
		list[i], ids[i] = r, r.ID
	}
	step := func(name string, fn func(context.Context, *store.Tx) error) {
		began := time.Now()
		w.update(fn)
		t.Logf("%s %d registries: %s", name, n, time.Since(began).Round(time.Millisecond))
	}
	step("insert", func(ctx context.Context, tx *store.Tx) error { return tx.InsertRegistries(ctx, list) })
	for _, r := range list {
		r.Name = "updated"
	}
	step("update", func(ctx context.Context, tx *store.Tx) error { return tx.UpdateRegistries(ctx, list) })
	began := time.Now()
	all := must(db.RegistriesOf(t.Context(), ""))(t)
	t.Logf("read %d registries: %s", len(all), time.Since(began).Round(time.Millisecond))
	if len(all) != n || all[n-1].Name != "updated" || all[n-1].Position != n-1 {
		t.Fatalf("read %d registries", len(all))
	}
	began = time.Now()
	if got := must(db.RegistryTotals(t.Context(), ids))(t); len(got) != n {
		t.Errorf("%d totals", len(got))
	}
	if got := must(db.LatestScans(t.Context(), ids))(t); len(got) != 0 {
		t.Errorf("%d latest scans", len(got))
	}
	t.Logf("totals and latest scans: %s", time.Since(began).Round(time.Millisecond))
	step("delete", func(ctx context.Context, tx *store.Tx) error { return tx.DeleteRegistries(ctx, ids) })
	if n := must(db.CountRegistries(t.Context(), store.RegistryFilter{}))(t); n != 0 {
		t.Errorf("%d registries left", n)
	}
}

// testRegistryPages pages through a list while registries are added before and behind the page.
func testRegistryPages(t *testing.T, db *store.DB) {
	w := &world{T: t, db: db}
	add := func(position int) {
		r := registry("r" + number(position))
		r.Position = position
		w.update(func(ctx context.Context, tx *store.Tx) error {
			return tx.InsertRegistries(ctx, []*tidewaiter.Registry{r})
		})
	}
	for i := range 10 {
		add(100 + i)
	}
	seen := map[string]int{}
	p := store.Page{Limit: 3}
	for round := 0; ; round++ {
		list, next, err := db.Registries(t.Context(), store.RegistryFilter{Page: p})
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range list {
			seen[r.ID]++
		}
		add(round)
		if next == "" {
			break
		}
		p.After = next
	}
	for i := range 10 {
		if n := seen["r"+number(100+i)]; n != 1 {
			t.Errorf("registry %d was seen %d times", 100+i, n)
		}
	}
	if len(seen) != 10 {
		t.Errorf("%d registries were seen, some that came behind the cursor", len(seen))
	}
	offset, _, err := db.Registries(t.Context(), store.RegistryFilter{Page: store.Page{Limit: 2, Offset: 1}})
	if err != nil || len(offset) != 2 || offset[0].Position != 1 {
		t.Errorf("offset 1 begins with %v, %v", offset, err)
	}
	for _, after := range []string{"x", "eyJvIjoic2NhbnMifQ", "e30"} {
		_, _, err := db.Registries(t.Context(), store.RegistryFilter{Page: store.Page{After: after}})
		kind(t, err, tidewaiter.ErrInvalid)
	}
	_, _, err = db.Registries(t.Context(), store.RegistryFilter{Page: store.Page{Offset: -1}})
	kind(t, err, tidewaiter.ErrInvalid)
}

func testDeletedRegistries(t *testing.T, db *store.DB) {
	w := newWorld(t, db)
	w.update(func(ctx context.Context, tx *store.Tx) error {
		return tx.InsertRegistries(ctx, []*tidewaiter.Registry{registry("second")})
	})
	shared := w.tags("reg", "scan", tidewaiter.ListedTag{Name: "shared"}, tidewaiter.ListedTag{Name: "own"})
	w.tags("second", "scan2", tidewaiter.ListedTag{Name: "shared"})
	w.update(func(ctx context.Context, tx *store.Tx) error {
		return tx.DeleteRegistries(ctx, []string{"reg", "nobody"})
	})
	_, err := db.Scan(t.Context(), "scan")
	kind(t, err, tidewaiter.ErrNotFound)
	if got := must(db.Tag(t.Context(), shared["shared"].TagID))(t); !got.GoneAt.IsZero() {
		t.Error("a tag another registry has is gone")
	}
	if got := must(db.Tag(t.Context(), shared["own"].TagID))(t); got.GoneAt.IsZero() {
		t.Error("a tag no registry has is not gone")
	}
}

func testCredentials(t *testing.T, db *store.DB) {
	w := &world{T: t, db: db}
	c := &tidewaiter.Credential{
		ID: "IAM Role", Kind: tidewaiter.CredentialAWS, Name: "n", Username: "u", Sealed: []byte{0, 1, 0xff, '\''}, Origin: tidewaiter.OriginPrisma,
		Settings: map[string]string{"roleArn": "arn"}, Declaration: []byte(`{"x":1}`), Owner: "me", CreatedAt: start, UpdatedAt: start,
	}
	w.update(func(ctx context.Context, tx *store.Tx) error { return tx.PutCredential(ctx, c) })
	same(t, "credential", must(db.Credential(t.Context(), "IAM Role"))(t), c)
	c.Name, c.UpdatedAt = "renamed", start.Add(time.Minute)
	w.update(func(ctx context.Context, tx *store.Tx) error { return tx.PutCredential(ctx, c) })
	list, _, err := db.Credentials(t.Context(), store.CredentialFilter{Kind: tidewaiter.CredentialAWS, Origin: tidewaiter.OriginPrisma, IDs: []string{"IAM Role"}})
	if err != nil {
		t.Fatal(err)
	}
	same(t, "credentials", list, []*tidewaiter.Credential{c})

	user := registry("user")
	user.CredentialID = c.ID
	w.update(func(ctx context.Context, tx *store.Tx) error {
		return tx.InsertRegistries(ctx, []*tidewaiter.Registry{user})
	})
	same(t, "usages", must(db.CredentialUsages(t.Context(), c.ID))(t), []*tidewaiter.Registry{user})
	remove := func(ctx context.Context, tx *store.Tx) error { return tx.DeleteCredential(ctx, c.ID) }
	kind(t, w.try(remove), tidewaiter.ErrConflict)
	w.update(func(ctx context.Context, tx *store.Tx) error { return tx.DeleteRegistries(ctx, []string{"user"}) })
	w.update(remove)
	kind(t, w.try(remove), tidewaiter.ErrNotFound)
	_, err = db.Credential(t.Context(), c.ID)
	kind(t, err, tidewaiter.ErrNotFound)
}
