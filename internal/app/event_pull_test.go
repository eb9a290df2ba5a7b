package app_test

import (
	"errors"
	"fmt"
	"maps"
	"strings"
	"testing"

	"github.com/tidewaiter/tidewaiter/emulator"
	"github.com/tidewaiter/tidewaiter/internal/app"
	"github.com/tidewaiter/tidewaiter/internal/connector"
	"github.com/tidewaiter/tidewaiter/internal/connector/connectortest"
	"github.com/tidewaiter/tidewaiter/internal/control"
	"github.com/tidewaiter/tidewaiter/internal/secret"
	"github.com/tidewaiter/tidewaiter/internal/store"
	"github.com/tidewaiter/tidewaiter/internal/testkit"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// pulled is a registry of the emulator with a queue beside it, declared in a server.
type pulled struct {
	*connectortest.Emulated
	server   *server
	registry *tidewaiter.Registry
	kind     control.EventSourceKind
}

func newPulled(t *testing.T, kind tidewaiter.RegistryKind, cfg app.Config) *pulled {
	t.Helper()
	p := &pulled{Emulated: connectortest.Emulate(t, kind, emulator.Options{Repositories: 2, Tags: 3, Indexes: -1, Artifacts: -1}),
		kind: map[tidewaiter.RegistryKind]control.EventSourceKind{tidewaiter.KindECR: control.EventSourceSQS, tidewaiter.KindGAR: control.EventSourcePubSub}[kind]}
	// Of what the emulator serves, the addresses that can be replaced.
	maps.DeleteFunc(p.Options.Endpoints, func(name, url string) bool {
		return connector.CheckEndpoints(map[string]string{name: url}) != nil
	})
	cfg.Endpoints, cfg.Advisories = p.Options.Endpoints, []string{"127.0.0.1:1/none:1"}
	p.server = start(t, cfg)
	p.login(t, p.Secret)
	r, err := p.server.control.AddRegistry(t.Context(), &tidewaiter.Registry{Kind: kind, URL: p.Registry.URL, TLS: p.Registry.TLS,
		Settings: p.Registry.Settings, CredentialID: p.Credential.ID, Origin: tidewaiter.OriginNative}, false)
	if err != nil {
		t.Fatal(err)
	}
	p.registry = r
	return p
}

func (p *pulled) login(t *testing.T, plain secret.Value) {
	t.Helper()
	cred := *p.Credential
	if err := p.server.control.PutCredential(t.Context(), &cred, &plain); err != nil {
		t.Fatal(err)
	}
}

// message is what the vendor puts on the queue when a tag was pushed.
func (p *pulled) message(id, repository, tag string) string {
	digest, l := p.Emulator.Digest(repository, tag), p.Emulator.Login()
	if p.kind == control.EventSourceSQS {
		return fmt.Sprintf(`{"version":"0","id":%q,"detail-type":"ECR Image Action","source":"aws.ecr","account":%q,"time":"2026-11-01T10:00:00Z","region":%q,
			"detail":{"action-type":"PUSH","result":"SUCCESS","repository-name":%q,"image-digest":%q,"image-tag":%q}}`, id, l.Account, l.Region, repository, digest, tag)
	}
	name := p.Emulator.Host() + "/" + repository
	return fmt.Sprintf(`{"action":"INSERT","digest":"%s@%s","tag":"%s:%s"}`, name, digest, name, tag)
}

func (p *pulled) drained(t *testing.T) {
	t.Helper()
	eventually(t, "the queue is empty", func() bool {
		left, _ := p.Emulator.Waiting()
		return left == 0
	}, func() string {
		s, err := p.server.control.EventSource(t.Context(), p.registry.ID)
		return fmt.Sprintf("%+v, %v", s, err)
	})
	p.server.noneNew(t)
}

// TestEventsArePulled fetches from both kinds of queue, with signed requests and with tokens: what is there leads to scans
// and is taken off, what makes no sense is kept with the reason, a wrong login is shown and mended.
func TestEventsArePulled(t *testing.T) {
	t.Parallel()
	for _, kind := range []tidewaiter.RegistryKind{tidewaiter.KindECR, tidewaiter.KindGAR} {
		t.Run(string(kind), func(t *testing.T) {
			t.Parallel()
			p := newPulled(t, kind, app.Config{})
			s := p.server
			repository := p.Repositories[0]
			for i := range 25 { // more than one request gets
				p.Emulator.Send(p.message(fmt.Sprint("id-", i%20), repository, "latest"))
			}
			p.Emulator.Send("no JSON at all")
			p.Emulator.Send(`{"hello":"world"}`)
			p.Emulator.Send(p.message("gone", repository, "no-such-tag"))
			p.login(t, p.Wrong)
			if _, err := s.control.SetEventSource(t.Context(), p.registry.ID, p.kind, p.Emulator.Queue()); err != nil {
				t.Fatal(err)
			}
			eventually(t, "the refusal is shown", func() bool {
				source, err := s.control.EventSource(t.Context(), p.registry.ID)
				return err == nil && source.ErrorKind == tidewaiter.ErrAuth && source.Error != "" && source.Holder != ""
			}, func() string {
				source, err := s.control.EventSource(t.Context(), p.registry.ID)
				return fmt.Sprintf("%+v, %v", source, err)
			})
			if left, given := p.Emulator.Waiting(); left != 28 || given != 0 {
				t.Errorf("without a login: %d messages, %d given out", left, given)
			}
			p.login(t, p.Secret)
			p.drained(t)
			eventually(t, "it is noted", func() bool {
				source, err := s.control.EventSource(t.Context(), p.registry.ID)
				return err == nil && source.Received == 28 && source.Error == ""
			})
			s.finished(t)
			row := s.results(t)[repository+":latest"]
			if row.Image == nil || row.Image.Digest != p.Emulator.Digest(repository, "latest") {
				t.Errorf("the pushed image: %+v", row)
			}
			if scans := s.scans(t); len(scans) != 1 {
				t.Errorf("%d scans", len(scans))
			}
			unused := ""
			for _, e := range s.events(t, store.EventUnused) {
				if e.RegistryID != p.registry.ID {
					t.Errorf("%+v", e)
				}
				unused += e.Reason + "\n"
			}
			for _, reason := range map[tidewaiter.RegistryKind][]string{
				tidewaiter.KindECR: {"no JSON object", "no sender of events", "no longer has"},
				tidewaiter.KindGAR: {"not of the type", "nothing follows from the action", "no longer has"},
			}[kind] {
				if !strings.Contains(unused, reason) {
					t.Errorf("no event is unused since %q, only %s", reason, unused)
				}
			}
			if kind == tidewaiter.KindECR { // Pub/Sub names each message anew
				if done := s.events(t, store.EventDone); len(done) != 20 {
					t.Errorf("%d events were used, want 20: five came twice", len(done))
				}
			}
		})
	}
}

// TestPullingGoesOnElsewhere has two processes at one database: one fetches, the other goes on when it stops.
func TestPullingGoesOnElsewhere(t *testing.T) {
	t.Parallel()
	database := testkit.Postgres(t)
	data := t.TempDir() // with the keys both have
	p := newPulled(t, tidewaiter.KindECR, app.Config{Database: database, Data: data})
	if _, err := p.server.control.SetEventSource(t.Context(), p.registry.ID, p.kind, p.Emulator.Queue()); err != nil {
		t.Fatal(err)
	}
	p.Emulator.Send(p.message("one", p.Repositories[0], "latest"))
	p.drained(t)
	source, err := p.server.control.EventSource(t.Context(), p.registry.ID)
	if err != nil || source.Holder == "" {
		t.Fatalf("%+v, %v", source, err)
	}
	p.server.stop()
	second := start(t, app.Config{Database: database, Data: data, Endpoints: p.Options.Endpoints, Advisories: []string{"127.0.0.1:1/none:1"}})
	p.Emulator.Send(p.message("two", p.Repositories[1], "latest"))
	p.server = second
	p.drained(t)
	eventually(t, "another process holds it", func() bool {
		now, err := second.control.EventSource(t.Context(), p.registry.ID)
		return err == nil && now.Holder != "" && now.Holder != source.Holder && now.Received == 2
	})
	if err := second.control.RemoveEventSource(t.Context(), p.registry.ID); err != nil {
		t.Fatal(err)
	}
	_, err = second.control.EventSource(t.Context(), p.registry.ID)
	if tidewaiter.KindOf(err) != tidewaiter.ErrNotFound {
		t.Errorf("removed: %v", err)
	}
}

// TestQueuesThatCannotBe names places no credential may go to.
func TestQueuesThatCannotBe(t *testing.T) {
	t.Parallel()
	s := start(t, app.Config{Advisories: []string{"127.0.0.1:1/none:1"}})
	cred := &tidewaiter.Credential{ID: "c", Kind: tidewaiter.CredentialAWS, Username: "AKIA", Origin: tidewaiter.OriginNative}
	plain := secret.New("x")
	if err := s.control.PutCredential(t.Context(), cred, &plain); err != nil {
		t.Fatal(err)
	}
	r, err := s.control.AddRegistry(t.Context(), &tidewaiter.Registry{Kind: tidewaiter.KindECR, CredentialID: "c", Origin: tidewaiter.OriginNative,
		URL: "https://123456789012.dkr.ecr.eu-central-1.amazonaws.com"}, false)
	if err != nil {
		t.Fatal(err)
	}
	const good = "https://sqs.eu-central-1.amazonaws.com/123456789012/events"
	for _, c := range []struct {
		kind         control.EventSourceKind
		place, field string
	}{
		{"sqs", "https://sqs.eu-central-1.amazonaws.com.evil.example/123456789012/events", "place"},
		{"sqs", "https://evil.example/123456789012/events", "place"},
		{"sqs", "http://169.254.169.254/123456789012/events", "place"},
		{"sqs", "https://user@sqs.eu-central-1.amazonaws.com/123456789012/events", "place"},
		{"sqs", "", "place"},
		{"pubsub", "projects/p/subscriptions/s", "kind"},
		{"kafka", "x", "kind"},
	} {
		_, err := s.control.SetEventSource(t.Context(), r.ID, c.kind, c.place)
		if e, ok := errors.AsType[*tidewaiter.Error](err); !ok || e.Kind != tidewaiter.ErrInvalid || e.Field != c.field {
			t.Errorf("%s %s: %v", c.kind, c.place, err)
		}
	}
	if _, err := s.control.SetEventSource(t.Context(), "another", "sqs", good); tidewaiter.KindOf(err) != tidewaiter.ErrNotFound {
		t.Errorf("an unknown registry: %v", err)
	}
}
