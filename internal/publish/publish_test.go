package publish_test

import (
	"context"
	"encoding/json"
	"log/slog"
	"path/filepath"
	"testing"
	"time"

	"github.com/tidewaiter/tidewaiter/internal/oci"
	"github.com/tidewaiter/tidewaiter/internal/publish"
	"github.com/tidewaiter/tidewaiter/internal/store"
	"github.com/tidewaiter/tidewaiter/internal/testkit"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

var start = time.Date(2026, 11, 3, 12, 0, 0, 0, time.UTC)

type jobs struct{ made []tidewaiter.Job }

func (j *jobs) Enqueue(_ context.Context, _ *store.Tx, jobs ...tidewaiter.Job) error {
	j.made = append(j.made, jobs...)
	return nil
}

// broken is a registry that answers with an error when it is pushed to; before that it does something else.
type broken struct {
	err  error
	then func()
	asks int
}

func (b *broken) Head(context.Context, string, string) (tidewaiter.Descriptor, error) {
	return tidewaiter.Descriptor{MediaType: "m", Digest: "sha256:0123", Size: 3}, nil
}

func (b *broken) Attach(context.Context, string, tidewaiter.Descriptor, []oci.Artifact, func(oci.Referrer) bool) ([]string, error) {
	b.asks++
	if b.then != nil {
		b.then()
	}
	return nil, b.err
}

type lab struct {
	*testing.T
	db    *store.DB
	jobs  *jobs
	reg   *broken
	now   time.Time
	p     *publish.Publisher
	image int64
}

// newLab is a database with a judged image in a registry that asks for bills of materials.
func newLab(t *testing.T, database string) *lab {
	t.Helper()
	l := &lab{T: t, jobs: &jobs{}, reg: &broken{}, now: start.Add(time.Hour)}
	var err error
	if l.db, err = store.Open(t.Context(), store.Config{URL: database}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.db.Close() })
	l.p = publish.New(publish.Config{Store: l.db, Jobs: l.jobs, Now: func() time.Time { return l.now }, Log: slog.New(slog.DiscardHandler),
		Open: func(context.Context, string) (publish.Registry, error) { return l.reg, nil }})
	img := &tidewaiter.Image{Digest: "sha256:0123", ConfigDigest: "sha256:4567", CreatedAt: start}
	ctx := t.Context()
	if err := l.db.Update(ctx, func(tx *store.Tx) error {
		r := &tidewaiter.Registry{ID: "r", Kind: tidewaiter.KindOCI, URL: "https://registry.example.com", Origin: tidewaiter.OriginNative,
			Settings: map[string]string{tidewaiter.SettingPublishSBOM: "spdx"}, CreatedAt: start, UpdatedAt: start}
		bad := *r
		bad.ID, bad.URL, bad.Settings = "bad", "https://other.example.com", map[string]string{tidewaiter.SettingPublishSBOM: "what?"}
		if err := tx.InsertRegistries(ctx, []*tidewaiter.Registry{&bad, r}); err != nil {
			return err
		}
		if err := tx.InsertScans(ctx, []*tidewaiter.Scan{{ID: "s", RegistryID: "r", State: tidewaiter.ScanScanning, Lane: tidewaiter.LaneFresh, CreatedAt: start, UpdatedAt: start}}); err != nil {
			return err
		}
		ids, err := tx.RecordRepositories(ctx, "r", "s", "registry.example.com", []store.RepositoryDecision{{Name: "team/app", Decision: tidewaiter.Decision{Included: true}}})
		if err != nil {
			return err
		}
		tags, err := tx.RecordTags(ctx, store.RecordTags{RegistryID: "r", ScanID: "s", RepositoryID: ids["team/app"], Analyzer: "a", Now: start,
			Tags: []tidewaiter.ListedTag{{Name: "v1", Digest: img.Digest}}})
		if err != nil {
			return err
		}
		if _, err := tx.IndexTag(ctx, store.IndexTag{TagID: tags[0].TagID, Digest: img.Digest, Images: []*tidewaiter.Image{img}, Analyzer: "a", Now: start,
			Source: store.Source{RegistryID: "r", Repository: "team/app"}}); err != nil {
			return err
		}
		_, err = tx.SaveJudgement(ctx, store.SaveJudgement{ImageID: img.ID, Content: &tidewaiter.Content{}, Now: start,
			Judgement: &tidewaiter.Judgement{Analyzer: "a", Advisories: "v1", JudgedAt: start}})
		l.image = img.ID
		return err
	}); err != nil {
		t.Fatal(err)
	}
	return l
}

// sweep returns how many jobs a sweep made.
func (l *lab) sweep() int {
	l.Helper()
	l.jobs.made = nil
	if err := l.p.Sweep(l.Context(), tidewaiter.JobRun{}); err != nil {
		l.Fatal(err)
	}
	return len(l.jobs.made)
}

func (l *lab) publish(ctx context.Context) error {
	l.Helper()
	args, err := json.Marshal(publish.Args{RegistryID: "r", ImageID: l.image})
	if err != nil {
		l.Fatal(err)
	}
	return l.p.Publish(ctx, tidewaiter.JobRun{Args: args, Attempt: 1, MaxAttempts: 1})
}

func (l *lab) publications() []tidewaiter.Publication {
	l.Helper()
	list, err := l.db.PublicationsOf(l.Context(), l.image)
	if err != nil {
		l.Fatal(err)
	}
	return list
}

func onBoth(t *testing.T, f func(t *testing.T, database string)) {
	t.Run("sqlite", func(t *testing.T) { f(t, filepath.Join(t.TempDir(), "test.db")) })
	t.Run("postgres", func(t *testing.T) { f(t, testkit.Postgres(t)) })
}

// TestFailuresAreStoredAndBounded tries until it is given up, and again when the registry was declared anew.
func TestFailuresAreStoredAndBounded(t *testing.T) {
	onBoth(t, func(t *testing.T, database string) {
		l := newLab(t, database)
		l.reg.err = tidewaiter.Errorf(tidewaiter.ErrTransient, "cut")
		rounds := func() (n int) {
			for ; l.sweep() == 1; n++ {
				if err := l.publish(t.Context()); err != nil {
					t.Fatal(err)
				}
				if l.sweep() != 0 {
					t.Fatal("it is tried again at once")
				}
				if err := l.publish(t.Context()); err != nil || l.reg.asks != n+1 {
					t.Fatalf("a second job asks as well: %d, %v", l.reg.asks, err)
				}
				l.now = l.now.Add(24 * time.Hour)
			}
			return n
		}
		if n := rounds(); n != 6 {
			t.Errorf("tried %d times", n)
		}
		if p := l.publications(); len(p) != 1 || p[0].Error != "cut" || p[0].Attempts != 6 || p[0].Digest != "" || p[0].Repository != "team/app" {
			t.Errorf("%+v", p)
		}
		r, err := l.db.Registry(t.Context(), "r")
		if err != nil {
			t.Fatal(err)
		}
		r.UpdatedAt, l.reg.asks = l.now, 0
		l.now = l.now.Add(time.Minute)
		if err := l.db.Update(t.Context(), func(tx *store.Tx) error { return tx.UpdateRegistries(t.Context(), []*tidewaiter.Registry{r}) }); err != nil {
			t.Fatal(err)
		}
		if n := rounds(); n != 6 {
			t.Errorf("tried %d times after the registry was declared anew", n)
		}
	})
}

// TestWhatIsNobodysFaultIsNotStored ends attempts before they have an outcome, and one by its time limit.
func TestWhatIsNobodysFaultIsNotStored(t *testing.T) {
	onBoth(t, func(t *testing.T, database string) {
		l := newLab(t, database)
		l.reg.err = &tidewaiter.Error{Kind: tidewaiter.ErrLimit, Msg: "slow down", RetryAfter: time.Minute}
		if err := l.publish(t.Context()); tidewaiter.KindOf(err) != tidewaiter.ErrLimit {
			t.Errorf("a registry that asks for fewer requests: %v", err)
		}
		ctx, stop := context.WithCancel(t.Context())
		l.reg.then, l.reg.err = stop, tidewaiter.Errorf(tidewaiter.ErrCanceled, "stopped")
		if err := l.publish(ctx); err == nil {
			t.Error("a shutdown is an outcome")
		}
		if p := l.publications(); len(p) != 0 || l.sweep() != 1 {
			t.Errorf("%+v", p)
		}
		ctx, stop = context.WithTimeout(t.Context(), 5*time.Second)
		defer stop()
		l.reg.then, l.reg.err = func() { <-ctx.Done() }, tidewaiter.Errorf(tidewaiter.ErrTransient, "too slow")
		if err := l.publish(ctx); err != nil {
			t.Error(err)
		}
		if p := l.publications(); len(p) != 1 || p[0].Error != "too slow" {
			t.Errorf("%+v", p)
		}
	})
}

// TestPausedRegistriesWait sweeps while a registry is paused, and after.
func TestPausedRegistriesWait(t *testing.T) {
	onBoth(t, func(t *testing.T, database string) {
		l := newLab(t, database)
		pause := func(at time.Time) {
			t.Helper()
			if err := l.db.Update(t.Context(), func(tx *store.Tx) error {
				_, err := tx.PauseRegistries(t.Context(), []string{"r"}, at)
				return err
			}); err != nil {
				t.Fatal(err)
			}
		}
		pause(start)
		if n := l.sweep(); n != 0 {
			t.Errorf("%d jobs for a paused registry", n)
		}
		pause(time.Time{})
		if n := l.sweep(); n != 1 || l.jobs.made[0].RegistryID != "r" || l.jobs.made[0].Lane != tidewaiter.LaneSystem || l.jobs.made[0].UniqueKey == "" {
			t.Errorf("%d jobs: %+v", n, l.jobs.made)
		}
	})
}
