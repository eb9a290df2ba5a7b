package control_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/tidewaiter/tidewaiter/internal/store"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// draft is a registry that looks at one repository of one host, n newest images of it.
func draft(host, repository string, n int) *tidewaiter.Registry {
	return &tidewaiter.Registry{
		Kind: tidewaiter.KindOCI, URL: "https://" + host, Origin: tidewaiter.OriginPrisma,
		Scope: tidewaiter.Scope{Select: []tidewaiter.Selector{{Repository: repository}}, Newest: n},
	}
}

func (h *house) replace(t testing.TB, scan bool, drafts ...*tidewaiter.Registry) []*tidewaiter.Registry {
	t.Helper()
	h.jobs.jobs = nil
	if err := h.ReplaceRegistries(t.Context(), tidewaiter.OriginPrisma, drafts, scan); err != nil {
		t.Fatal(err)
	}
	return h.list(t)
}

func (h *house) list(t testing.TB) []*tidewaiter.Registry {
	t.Helper()
	all, err := h.store.RegistriesOf(t.Context(), tidewaiter.OriginPrisma)
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func ids(rs []*tidewaiter.Registry) []string {
	out := make([]string, len(rs))
	for i, r := range rs {
		out[i] = r.ID
	}
	return out
}

func TestReplaceKeepsWhatStaysTheSame(t *testing.T) {
	h := open(t)
	first := h.replace(t, true, draft("a.example", "x", 1), draft("b.example", "y", 2), draft("c.example", "z", 3))
	if len(h.jobs.jobs) != 3 {
		t.Fatalf("%d jobs for three new registries", len(h.jobs.jobs))
	}
	again := h.replace(t, true, draft("a.example", "x", 1), draft("b.example", "y", 2), draft("c.example", "z", 3))
	if diff := cmp.Diff(first, again); diff != "" || len(h.jobs.jobs) != 0 {
		t.Errorf("the same list again: %d jobs, %s", len(h.jobs.jobs), diff)
	}
	turned := h.replace(t, true, draft("c.example", "z", 3), draft("a.example", "x", 1), draft("b.example", "y", 2))
	if want := []string{first[2].ID, first[0].ID, first[1].ID}; !cmp.Equal(ids(turned), want) || len(h.jobs.jobs) != 0 {
		t.Errorf("the list in another order: %v, want %v, %d jobs", ids(turned), want, len(h.jobs.jobs))
	}
	changed := h.replace(t, true, draft("c.example", "z", 3), draft("a.example", "x", 7))
	if want := []string{first[2].ID, first[0].ID}; !cmp.Equal(ids(changed), want) || len(h.jobs.jobs) != 1 {
		t.Errorf("one changed, one removed: %v, want %v, %d jobs", ids(changed), want, len(h.jobs.jobs))
	}
	moved := draft("d.example", "elsewhere", 1)
	moved.ID = first[0].ID
	if got := h.replace(t, false, moved); got[0].ID != first[0].ID || len(h.jobs.jobs) != 0 {
		t.Errorf("one that names its id: %v, %d jobs although none were asked for", ids(got), len(h.jobs.jobs))
	}
	if got := h.replace(t, true); len(got) != 0 {
		t.Errorf("an empty list leaves %v", ids(got))
	}
}

// TestReplaceIsAllOrNothing puts one bad draft among good ones.
func TestReplaceIsAllOrNothing(t *testing.T) {
	h := open(t)
	before := h.replace(t, false, draft("a.example", "x", 1))
	for name, c := range map[string]struct {
		bad   func(*tidewaiter.Registry)
		kind  tidewaiter.ErrorKind
		field string
	}{
		"url":        {func(r *tidewaiter.Registry) { r.URL = "ftp://x" }, tidewaiter.ErrInvalid, "registries[1].url"},
		"newest":     {func(r *tidewaiter.Registry) { r.Scope.Newest = -1 }, tidewaiter.ErrInvalid, "registries[1].scope.newest"},
		"pattern":    {func(r *tidewaiter.Registry) { r.Scope.VersionPattern = "%x" }, tidewaiter.ErrInvalid, "registries[1].versionPattern"},
		"ca":         {func(r *tidewaiter.Registry) { r.TLS.CACert = "no" }, tidewaiter.ErrInvalid, "registries[1].tls.caCert"},
		"schedule":   {func(r *tidewaiter.Registry) { r.Schedule.Every = 1 }, tidewaiter.ErrInvalid, "registries[1].schedule.every"},
		"credential": {func(r *tidewaiter.Registry) { r.CredentialID = "nobody" }, tidewaiter.ErrNotFound, "registries[1].credentialID"},
	} {
		bad := draft("b.example", "y", 1)
		c.bad(bad)
		err := h.ReplaceRegistries(t.Context(), tidewaiter.OriginPrisma, []*tidewaiter.Registry{draft("c.example", "z", 1), bad}, true)
		e, ok := errors.AsType[*tidewaiter.Error](err)
		if !ok || e.Kind != c.kind || e.Field != c.field {
			t.Errorf("%s: %#v", name, err)
		}
		if diff := cmp.Diff(before, h.list(t)); diff != "" {
			t.Errorf("%s changed something: %s", name, diff)
		}
	}
	many := make([]*tidewaiter.Registry, 20_000)
	for i := range many {
		many[i] = draft("many.example", fmt.Sprint(i), 0)
	}
	err := h.ReplaceRegistries(t.Context(), tidewaiter.OriginPrisma, many, true)
	if tidewaiter.KindOf(err) != tidewaiter.ErrInvalid || len(h.list(t)) != 1 {
		t.Errorf("20,000 registries: %v, %d stored", err, len(h.list(t)))
	}
}

// TestReplaceGivesTheListAskedFor holds over any sequence of lists: what is stored is the last list, in its order, every id
// once; a registry that was in the list before, unchanged, keeps its id; other origins are never touched.
func TestReplaceGivesTheListAskedFor(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		h := open(t)
		native, err := h.AddRegistry(t.Context(), &tidewaiter.Registry{Kind: tidewaiter.KindOCI, URL: "https://native.example", Origin: tidewaiter.OriginNative}, false)
		if err != nil {
			rt.Fatal(err)
		}
		one := rapid.Custom(func(rt *rapid.T) *tidewaiter.Registry {
			return draft(rapid.SampledFrom([]string{"a.example", "b.example"}).Draw(rt, "host"),
				rapid.SampledFrom([]string{"x", "y"}).Draw(rt, "repository"), rapid.IntRange(0, 2).Draw(rt, "newest"))
		})
		meaning := func(r *tidewaiter.Registry) string { return fmt.Sprint(r.URL, r.Scope) }
		var before []*tidewaiter.Registry
		for range rapid.IntRange(1, 4).Draw(rt, "rounds") {
			drafts := rapid.SliceOfN(one, 0, 6).Draw(rt, "drafts")
			after := h.replace(t, false, drafts...)
			if len(after) != len(drafts) {
				rt.Fatalf("%d stored of %d", len(after), len(drafts))
			}
			seen := map[string]bool{}
			had, kept := map[string]int{}, map[string]int{}
			owner := map[string]string{}
			for _, r := range before {
				had[meaning(r)]++
				owner[r.ID] = meaning(r)
			}
			wanted := map[string]int{}
			for i, r := range after {
				if meaning(r) != meaning(drafts[i]) {
					rt.Fatalf("place %d holds %s, want %s", i, meaning(r), meaning(drafts[i]))
				}
				if seen[r.ID] {
					rt.Fatalf("%s is there twice", r.ID)
				}
				seen[r.ID] = true
				wanted[meaning(r)]++
				if owner[r.ID] == meaning(r) {
					kept[meaning(r)]++
				}
			}
			for m, n := range wanted {
				if want := min(n, had[m]); kept[m] < want {
					rt.Fatalf("%d of %s kept their id, want %d", kept[m], m, want)
				}
			}
			before = after
		}
		if r, err := h.Registry(t.Context(), native.ID); err != nil || r.URL != native.URL {
			rt.Fatalf("another origin's registry: %v, %v", r, err)
		}
	})
}

func TestDeleteRegistriesTakesTheirJobsAway(t *testing.T) {
	h := open(t)
	rs := h.replace(t, true, draft("a.example", "x", 1), draft("b.example", "y", 1))
	if err := h.DeleteRegistries(t.Context(), rs[0].ID); err != nil {
		t.Fatal(err)
	}
	if !cmp.Equal(h.jobs.canceled, []string{rs[0].ID}) || len(h.list(t)) != 1 {
		t.Errorf("canceled %v, %d left", h.jobs.canceled, len(h.list(t)))
	}
	if _, err := h.Registry(t.Context(), rs[0].ID); tidewaiter.KindOf(err) != tidewaiter.ErrNotFound {
		t.Errorf("the registry is still there: %v", err)
	}
	scans, _, err := h.Scans(t.Context(), store.ScanFilter{})
	if err != nil || len(scans) != 1 {
		t.Errorf("%d scans left, %v", len(scans), err)
	}
}
