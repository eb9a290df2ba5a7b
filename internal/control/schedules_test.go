package control_test

import (
	"context"
	"fmt"
	"log/slog"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/tidewaiter/tidewaiter/internal/control"
	"github.com/tidewaiter/tidewaiter/internal/secret"
	"github.com/tidewaiter/tidewaiter/internal/store"
	"github.com/tidewaiter/tidewaiter/internal/testkit"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// nobody takes jobs and does none.
type nobody struct{}

func (nobody) Enqueue(context.Context, *store.Tx, ...tidewaiter.Job) error { return nil }
func (nobody) CancelRegistry(context.Context, string) error                { return nil }

// servers makes several controls over one database, as several processes have.
func servers(t *testing.T, url string, now func() time.Time) (all []*control.Control, db *store.DB) {
	t.Helper()
	keyring, err := secret.Open(filepath.Join(t.TempDir(), "master.key"))
	if err != nil {
		t.Fatal(err)
	}
	for range 4 {
		if db == nil || db.Dialect() == store.Postgres {
			if db, err = store.Open(t.Context(), store.Config{URL: url, Now: now}); err != nil {
				t.Fatal(err)
			}
			opened := db
			t.Cleanup(func() { _ = opened.Close() })
		}
		all = append(all, control.New(control.Config{Store: db, Jobs: nobody{}, Keyring: keyring, Prober: &probes{}, Now: now,
			Advisories: func() control.AdvisoryState { return control.AdvisoryState{} }, NewID: uuid.NewString, Log: slog.New(slog.DiscardHandler)}))
	}
	return all, db
}

func onBoth(t *testing.T, f func(t *testing.T, url string)) {
	t.Run("sqlite", func(t *testing.T) { f(t, filepath.Join(t.TempDir(), "test.db")) })
	t.Run("postgres", func(t *testing.T) { f(t, testkit.Postgres(t)) })
}

// TestDueScansStartOnce has several servers look for due scans at the same moment, day after day.
func TestDueScansStartOnce(t *testing.T) {
	onBoth(t, func(t *testing.T, url string) {
		now := time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
		all, db := servers(t, url, func() time.Time { return now })
		const registries = 5
		for i := range registries {
			every := 24 * time.Hour
			if i == 0 {
				every = 0 // on demand only
			}
			draft := &tidewaiter.Registry{Kind: tidewaiter.KindOCI, URL: fmt.Sprintf("https://r%d.example.com", i), Origin: tidewaiter.OriginPrisma,
				Schedule: tidewaiter.Schedule{Every: every}}
			if _, err := all[0].AddRegistry(t.Context(), draft, false); err != nil {
				t.Fatal(err)
			}
		}
		together := func(when string, want int) {
			t.Helper()
			var mu sync.Mutex
			var wait sync.WaitGroup
			started := 0
			for _, c := range all {
				wait.Go(func() {
					n, err := c.StartDue(t.Context())
					if err != nil {
						t.Error(err)
					}
					mu.Lock()
					defer mu.Unlock()
					started += n
				})
			}
			wait.Wait()
			if started != want {
				t.Errorf("%s: %d scans started, want %d", when, started, want)
			}
		}
		together("at once", 0)
		now = now.Add(24*time.Hour - time.Second)
		together("before a day is over", 0)
		now = now.Add(time.Second)
		together("after a day", registries-1)
		now = now.Add(24 * time.Hour)
		together("while they are still on their way", 0)
		if err := all[0].StopScans(t.Context()); err != nil {
			t.Fatal(err)
		}
		together("when they are over", registries-1)
		together("again", 0)
		scans, _, err := db.Scans(t.Context(), store.ScanFilter{Page: store.Page{Limit: 100}})
		if err != nil || len(scans) != 2*(registries-1) {
			t.Errorf("%d scans, %v", len(scans), err)
		}
	})
}

func TestGoneIsKeptForTheRetention(t *testing.T) {
	onBoth(t, func(t *testing.T, url string) {
		now := time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
		all, db := servers(t, url, func() time.Time { return now })
		c := all[0]
		r, err := c.AddRegistry(t.Context(), &tidewaiter.Registry{Kind: tidewaiter.KindOCI, URL: "https://r.example.com", Origin: tidewaiter.OriginPrisma}, false)
		if err != nil {
			t.Fatal(err)
		}
		const tags = 1200 // more than one step removes
		if err := db.Update(t.Context(), func(tx *store.Tx) error {
			in := tidewaiter.Decision{Included: true, Reason: tidewaiter.ReasonSelected}
			ids, err := tx.RecordRepositories(t.Context(), r.ID, "", r.Host(), []store.RepositoryDecision{{Name: "a", Decision: in}})
			if err != nil {
				return err
			}
			list := make([]tidewaiter.ListedTag, tags)
			for i := range list {
				list[i].Name = fmt.Sprintf("v%d", i)
			}
			_, err = tx.RecordTags(t.Context(), store.RecordTags{RegistryID: r.ID, RepositoryID: ids["a"], Tags: list, Now: now})
			return err
		}); err != nil {
			t.Fatal(err)
		}
		if err := c.DeleteRegistries(t.Context(), r.ID); err != nil {
			t.Fatal(err)
		}
		purge := func(when string, want int) {
			t.Helper()
			if p, err := c.Purge(t.Context()); err != nil || p.Tags != want {
				t.Errorf("%s: %d tags removed, want %d (%v)", when, p.Tags, want, err)
			}
		}
		purge("at once", 0)
		if err := c.PutSetting(t.Context(), control.SettingRetentionDays, "7"); err != nil {
			t.Fatal(err)
		}
		now = now.Add(7*24*time.Hour - time.Minute)
		purge("within the retention", 0)
		if err := c.PutSetting(t.Context(), control.SettingRetentionDays, "0"); err != nil {
			t.Fatal(err)
		}
		now = now.Add(time.Hour)
		purge("0 days is the default", 0)
		if err := c.PutSetting(t.Context(), control.SettingRetentionDays, "7"); err != nil {
			t.Fatal(err)
		}
		purge("after the retention", tags)
	})
}

// TestRetentionDaysThatAreNoNumberStopTheRemoval: what cannot be read must not remove anything.
func TestRetentionDaysThatAreNoNumberStopTheRemoval(t *testing.T) {
	h := open(t)
	if err := h.PutSetting(t.Context(), control.SettingRetentionDays, "soon"); err != nil {
		t.Fatal(err)
	}
	if _, err := h.Purge(t.Context()); tidewaiter.KindOf(err) != tidewaiter.ErrMalformed {
		t.Errorf("purged with %v", err)
	}
}
