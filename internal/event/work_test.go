package event_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tidewaiter/tidewaiter/internal/event"
	"github.com/tidewaiter/tidewaiter/internal/store"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// site is a store, some registries that answer as told, and a worker that notes the scans it starts.
type site struct {
	*testing.T
	db      *store.DB
	worker  *event.Worker
	tags    map[string]string // "registry repository:tag" to digest
	broken  map[string]error  // what a registry answers instead
	started []string
	asked   int
}

type source struct {
	*site
	registry string
}

func (s source) Head(_ context.Context, repository, reference string) (tidewaiter.Descriptor, error) {
	s.asked++
	if err := s.broken[s.registry]; err != nil {
		return tidewaiter.Descriptor{}, err
	}
	d, ok := s.tags[s.registry+" "+repository+":"+reference]
	if !ok {
		return tidewaiter.Descriptor{}, tidewaiter.Errorf(tidewaiter.ErrGone, "no such tag")
	}
	return tidewaiter.Descriptor{Digest: d}, nil
}

func newSite(t *testing.T) *site {
	t.Helper()
	s := &site{T: t, tags: map[string]string{}, broken: map[string]error{}}
	var err error
	if s.db, err = store.Open(t.Context(), store.Config{URL: filepath.Join(t.TempDir(), "db")}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.db.Close() })
	s.worker = event.NewWorker(event.Config{
		Store: s.db, Now: time.Now, Log: slog.New(slog.DiscardHandler),
		Open: func(_ context.Context, id string) (event.Source, error) { return source{s, id}, nil },
		Start: func(ctx context.Context, tx *store.Tx, id string, target tidewaiter.Target) (*tidewaiter.Scan, error) {
			s.started = append(s.started, fmt.Sprintf("%s %s:%s", id, target.Repository, target.Tag))
			scan := &tidewaiter.Scan{ID: fmt.Sprint("scan-", len(s.started)), RegistryID: id, State: tidewaiter.ScanQueued, Target: &target, CreatedAt: time.Now()}
			return scan, tx.InsertScans(ctx, []*tidewaiter.Scan{scan})
		},
	})
	s.update(func(ctx context.Context, tx *store.Tx) error {
		var all []*tidewaiter.Registry
		for _, r := range []tidewaiter.Registry{
			{ID: "narrow", Kind: tidewaiter.KindOCI, URL: "https://r.example.com", Scope: tidewaiter.Scope{Select: []tidewaiter.Selector{{Repository: "team/*", Tags: []string{"v*"}}}}},
			{ID: "other", Kind: tidewaiter.KindOCI, URL: "https://other.example.com"},
			{ID: "nexus", Kind: tidewaiter.KindNexus, URL: "https://nexus.example.com"},
			{ID: "ecr", Kind: tidewaiter.KindECR, URL: "https://123456789012.dkr.ecr.eu-central-1.amazonaws.com"},
		} {
			r.Origin, r.CreatedAt = tidewaiter.OriginNative, time.Now()
			all = append(all, &r)
		}
		return tx.InsertRegistries(ctx, all)
	})
	return s
}

func (s *site) update(f func(context.Context, *store.Tx) error) {
	s.Helper()
	if err := s.db.Update(s.Context(), func(tx *store.Tx) error { return f(s.Context(), tx) }); err != nil {
		s.Fatal(err)
	}
}

// look stores an event and has it looked at.
func (s *site) look(e event.PushEvent) (*store.Event, error) {
	s.Helper()
	return s.lookAfter(e, time.Minute)
}

// lookAfter does so a while after the event came in.
func (s *site) lookAfter(e event.PushEvent, since time.Duration) (*store.Event, error) {
	s.Helper()
	row := &store.Event{ReceivedAt: time.Now().Add(-since), Sender: string(e.Sender), Name: e.Name(), Host: e.Host, Repository: e.Repository,
		OtherNames: e.OtherNames, Tag: e.Tag, Digest: e.Digest, Action: string(e.Action), State: store.EventNew}
	s.update(func(ctx context.Context, tx *store.Tx) error { return tx.InsertEvents(ctx, []*store.Event{row}, nil) })
	args, err := json.Marshal(event.NewJob(e.Name()).Args)
	if err != nil {
		s.Fatal(err)
	}
	run := tidewaiter.JobRun{Kind: event.Job, Args: args}
	failed := s.worker.Work(s.Context(), run)
	if failed != nil && !tidewaiter.KindOf(failed).Retryable() {
		s.Fatal(failed)
	}
	out, err := s.db.Event(s.Context(), row.ID)
	if err != nil {
		s.Fatal(err)
	}
	return out, failed
}

func TestMatching(t *testing.T) {
	other := "sha256:" + strings.Repeat("cd", 32)
	push := func(sender event.Sender, host, tag, digest string) event.PushEvent {
		return event.PushEvent{Sender: sender, Host: host, Repository: "team/app", Tag: tag, Digest: digest, Action: event.Push}
	}
	tags := map[string]string{"narrow team/app:v1": digest, "narrow team/app:latest": digest, "other team/app:v1": other, "nexus hosted/team/app:v1": digest}
	withNames := push(event.SenderNexus, "", "v1", "")
	withNames.OtherNames = []string{"hosted/team/app"}
	for _, c := range []struct {
		name    string
		event   event.PushEvent
		started string
		reason  string
	}{
		{"by host", push(event.SenderDistribution, "r.example.com", "v1", digest), "narrow team/app:v1", "was started"},
		{"by host, moved on since", push(event.SenderDistribution, "r.example.com", "v1", other), "narrow team/app:v1", "was started"},
		{"out of scope", push(event.SenderDistribution, "r.example.com", "latest", digest), "", "in scope"},
		{"not there", push(event.SenderDistribution, "r.example.com", "v2", digest), "", "no longer has"},
		{"internal host", push(event.SenderDistribution, "registry:5000", "v1", digest), "narrow team/app:v1", "was started"},
		{"internal host, second registry", push(event.SenderDistribution, "registry:5000", "v1", other), "other team/app:v1", "was started"},
		{"forged host", push(event.SenderDistribution, "169.254.169.254", "v1", "sha256:"+strings.Repeat("0", 64)), "", "another image"},
		{"certain host that nobody declared", push(event.SenderDockerHub, "docker.io", "v1", digest), "", "in scope"},
		{"no host and no digest", withNames, "narrow team/app:v1,nexus hosted/team/app:v1,other team/app:v1", "was started"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newSite(t)
			s.tags = tags
			e, err := s.look(c.event)
			if err != nil {
				t.Fatal(err)
			}
			if got := strings.Join(s.started, ","); got != c.started || !strings.Contains(e.Reason, c.reason) {
				t.Errorf("started %q, want %q: %s", got, c.started, e.Reason)
			}
			if (e.State == store.EventDone) != (c.started != "") {
				t.Errorf("%+v", e)
			}
		})
	}
}

// TestRegistryTellsBeforeItShows looks at events of pushes that the registry does not show yet: they wait a moment.
func TestRegistryTellsBeforeItShows(t *testing.T) {
	const older = "sha256:cdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcd"
	for name, before := range map[string]string{"a new tag": "", "a tag that moves": older} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t)
			if before != "" {
				s.tags["narrow team/app:v1"] = before
			}
			e := event.PushEvent{Sender: event.SenderDistribution, Host: "r.example.com", Repository: "team/app", Tag: "v1", Digest: digest, Action: event.Push}
			first, err := s.lookAfter(e, 0)
			if wait, ok := errors.AsType[*tidewaiter.Error](err); !ok || wait.Kind != tidewaiter.ErrLimit || wait.RetryAfter == 0 ||
				first.State != store.EventNew || len(s.started) != 0 {
				t.Fatalf("%+v, %v, %v", first, err, s.started)
			}
			s.tags["narrow team/app:v1"] = digest
			again, err := s.lookAfter(e, 0)
			if err != nil || again.State != store.EventDone || len(s.started) != 1 {
				t.Fatalf("%+v, %v, %v", again, err, s.started)
			}
			if got, err := s.db.Event(t.Context(), first.ID); err != nil || got.State != store.EventDone {
				t.Errorf("%+v, %v", got, err)
			}
		})
	}
}

func TestScanOfTheTagIsOnItsWay(t *testing.T) {
	s := newSite(t)
	s.tags["narrow team/app:v1"] = digest
	e := event.PushEvent{Sender: event.SenderQuay, Host: "r.example.com", Repository: "team/app", Tag: "v1", Action: event.Push}
	for range 2 {
		if got, err := s.look(e); err != nil || got.State != store.EventDone {
			t.Fatalf("%+v, %v", got, err)
		}
	}
	s.update(func(ctx context.Context, tx *store.Tx) error {
		scan, err := tx.Scan(ctx, "scan-1")
		if err != nil {
			return err
		}
		scan.State = tidewaiter.ScanListing
		return tx.UpdateScan(ctx, scan)
	})
	got, err := s.look(e)
	if tidewaiter.KindOf(err) != tidewaiter.ErrLimit || got.State != store.EventNew {
		t.Errorf("while it is listing: %+v, %v", got, err)
	}
	if len(s.started) != 1 {
		t.Errorf("started %v", s.started)
	}
}

func TestRegistryInTrouble(t *testing.T) {
	s := newSite(t)
	e := event.PushEvent{Sender: event.SenderQuay, Host: "r.example.com", Repository: "team/app", Tag: "v1", Action: event.Push}
	s.broken["narrow"] = tidewaiter.Errorf(tidewaiter.ErrAuth, "the registry refused the login")
	if got, err := s.look(e); err != nil || got.State != store.EventUnused || !strings.Contains(got.Reason, "refused the login") {
		t.Errorf("login refused: %+v, %v", got, err)
	}
	s.broken["narrow"] = tidewaiter.Errorf(tidewaiter.ErrTransient, "bad gateway")
	got, err := s.look(e)
	if tidewaiter.KindOf(err) != tidewaiter.ErrTransient || got.State != store.EventNew {
		t.Errorf("bad gateway: %+v, %v", got, err)
	}
	args, _ := json.Marshal(event.Args{Name: e.Name()})
	if err := s.worker.Failed(t.Context(), tidewaiter.JobRun{Args: args}, err); err != nil {
		t.Fatal(err)
	}
	if got, err := s.db.Event(t.Context(), got.ID); err != nil || got.State != store.EventUnused || got.Reason != "bad gateway" {
		t.Errorf("given up: %+v, %v", got, err)
	}
}

func TestDeleteMustBeTrue(t *testing.T) {
	for _, byDigest := range []bool{false, true} {
		s := newSite(t)
		s.tags["narrow team/app:v1"] = digest
		s.update(func(ctx context.Context, tx *store.Tx) error {
			scan := &tidewaiter.Scan{ID: "listed", RegistryID: "narrow", State: tidewaiter.ScanListing, CreatedAt: time.Now()}
			if err := tx.InsertScans(ctx, []*tidewaiter.Scan{scan}); err != nil {
				return err
			}
			ids, err := tx.RecordRepositories(ctx, "narrow", "listed", "r.example.com",
				[]store.RepositoryDecision{{Name: "team/app", Decision: tidewaiter.Decision{Included: true, Reason: tidewaiter.ReasonSelected}}})
			if err != nil {
				return err
			}
			_, err = tx.RecordTags(ctx, store.RecordTags{RegistryID: "narrow", ScanID: "listed", RepositoryID: ids["team/app"],
				Tags: []tidewaiter.ListedTag{{Name: "v1", Digest: digest}}, Now: time.Now()})
			return err
		})
		e := event.PushEvent{Sender: event.SenderACR, Host: "r.example.com", Repository: "team/app", Tag: "v1", Action: event.Delete}
		if byDigest {
			e.Tag, e.Digest = "", digest
		}
		gone := func() bool {
			tag, err := s.db.TagByReference(t.Context(), "r.example.com/team/app:v1")
			if err != nil {
				t.Fatal(err)
			}
			return !tag.GoneAt.IsZero()
		}
		if got, err := s.look(e); err != nil || got.State != store.EventUnused || gone() || !strings.Contains(got.Reason, "still has") {
			t.Errorf("the tag is there: %+v, %v", got, err)
		}
		s.broken["narrow"] = tidewaiter.Errorf(tidewaiter.ErrDenied, "no")
		if _, err := s.look(e); err != nil || gone() {
			t.Errorf("nobody knows: %v", err)
		}
		delete(s.broken, "narrow")
		delete(s.tags, "narrow team/app:v1")
		push := e
		push.Action, push.Tag = event.Push, "v1"
		if _, err := s.look(push); err != nil || gone() {
			t.Errorf("a push event took a tag away: %v", err)
		}
		if got, err := s.look(e); err != nil || got.State != store.EventDone || !gone() {
			t.Errorf("the tag is gone: %+v, %v", got, err)
		}
	}
}
