package api_test

import (
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tidewaiter/tidewaiter/client"
	"github.com/tidewaiter/tidewaiter/internal/control"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

func (s *server) registry(url string) *tidewaiter.Registry {
	s.Helper()
	r, err := s.control.AddRegistry(s.Context(), &tidewaiter.Registry{Kind: tidewaiter.KindOCI, URL: url, Origin: tidewaiter.OriginNative}, false)
	s.must(err)
	return r
}

func TestEventsAreListedShownAndReplayed(t *testing.T) {
	onBoth(t, func(t *testing.T, s *server) {
		r := s.registry("https://registry.example.com")
		operator := s.as(tidewaiter.RoleOperator)
		a, err := operator.PutEventAddress(t.Context(), r.ID, client.EventProof{})
		s.must(err)
		end := a.Path[strings.LastIndexByte(a.Path, '/')+1:]
		const quay = `{"repository":"team/app","docker_url":"registry.example.com/team/app","updated_tags":["v1","v2"]}`
		for _, body := range []string{quay, `{"hello":"world"}`, "\xff\xfe", `{"push_data":{"tag":"../x"},"repository":{"repo_name":"team/app"}}`} {
			sender, err := s.control.Invited(t.Context(), r.ID, end)
			s.must(err)
			if _, err := sender.Receive(t.Context(), control.Delivery{Header: http.Header{"Content-Type": {"application/json"}}, Body: []byte(body)}); err != nil {
				t.Fatal(err)
			}
		}
		auditor := s.as(tidewaiter.RoleAuditor)
		list := func(q client.EventQuery) (out []client.Event) {
			t.Helper()
			for {
				p, err := auditor.Events(t.Context(), q)
				s.must(err)
				out = append(out, p.Items...)
				if q.After = p.Next; q.After == "" {
					return out
				}
			}
		}
		all := list(client.EventQuery{Limit: 2})
		if len(all) != 5 || all[4].Repository != "team/app" || all[4].Tag != "v1" || all[4].State != "new" || all[4].Registry != r.ID || all[4].Sender != "quay" {
			t.Fatalf("%+v", all)
		}
		for want, q := range map[int]client.EventQuery{
			2: {State: "new"}, 3: {State: "unused"}, 0: {State: "done"}, 1: {Sender: "dockerhub"}, 5: {Registry: r.ID},
		} {
			if got := list(q); len(got) != want {
				t.Errorf("%+v: %d events, want %d", q, len(got), want)
			}
		}
		shown, err := auditor.Event(t.Context(), all[3].ID)
		s.must(err)
		if shown.Body != quay || shown.Header["Content-Type"][0] != "application/json" || shown.Tag != "v2" {
			t.Errorf("%+v", shown)
		}
		odd, err := auditor.Event(t.Context(), all[1].ID)
		s.must(err)
		if string(odd.Binary) != "\xff\xfe" || odd.Body != "" || odd.Reason == "" {
			t.Errorf("%+v", odd)
		}
		s.jobs.list = nil
		got, err := operator.ReplayEvents(t.Context(), all[4].ID, all[2].ID, 1<<40, all[0].ID)
		s.must(err)
		if len(got.Replayed) != 1 || got.Replayed[0] != all[4].ID || len(got.Failed) != 3 || len(s.jobs.list) != 1 {
			t.Errorf("%+v, %d jobs", got, len(s.jobs.list))
		}
		for _, f := range got.Failed {
			if f.Reason == "" {
				t.Errorf("event %d is not replayed, and nobody says why", f.ID)
			}
		}
		_, err = auditor.Event(t.Context(), 1<<40)
		s.wantProblem(err, 404, tidewaiter.ErrNotFound)
		_, err = auditor.ReplayEvents(t.Context(), all[0].ID)
		s.wantProblem(err, 403, tidewaiter.ErrForbidden)
		_, err = operator.ReplayEvents(t.Context())
		s.wantProblem(err, 422, tidewaiter.ErrInvalid)
	})
}

func TestEventAddressIsManaged(t *testing.T) {
	s := start(t, filepath.Join(t.TempDir(), "test.db"))
	r := s.registry("https://registry.example.com")
	operator, auditor := s.as(tidewaiter.RoleOperator), s.as(tidewaiter.RoleAuditor)
	_, err := operator.EventAddress(t.Context(), r.ID)
	s.wantProblem(err, 404, tidewaiter.ErrNotFound)
	hush := "hush hush hush"
	first, err := operator.PutEventAddress(t.Context(), r.ID, client.EventProof{Secret: &hush, Header: "authorization"})
	s.must(err)
	if !first.Secret || first.Header != "Authorization" || first.Kind != "oci" || !strings.HasPrefix(first.Path, control.EventPath+r.ID+"/") || len(first.Path) < 80 {
		t.Errorf("%+v", first)
	}
	_, _, body := s.call("GET", "/registries/"+r.ID+"/event-address", "")
	if strings.Contains(body, hush) || !strings.Contains(body, first.Path) {
		t.Errorf("shown: %s", body)
	}
	_, err = auditor.EventAddress(t.Context(), r.ID)
	s.wantProblem(err, 403, tidewaiter.ErrForbidden)
	second, err := operator.RotateEventAddress(t.Context(), r.ID, time.Hour)
	s.must(err)
	if second.Path == first.Path || second.FormerUntil.IsZero() || !second.Secret {
		t.Errorf("%+v", second)
	}
	if status, _, body := s.call("POST", "/registries/"+r.ID+"/event-address/rotate", ""); status != 200 || strings.Contains(body, "formerUntil") {
		t.Errorf("rotated without a body: %d %s", status, body)
	}
	_, err = operator.PutEventAddress(t.Context(), r.ID, client.EventProof{Audience: "x"})
	if e := s.wantProblem(err, 422, tidewaiter.ErrInvalid); !strings.Contains(e.Detail, "audience") {
		t.Error(e)
	}
	_, err = operator.PutEventAddress(t.Context(), "unknown", client.EventProof{})
	s.wantProblem(err, 404, tidewaiter.ErrNotFound)
	s.must(operator.RevokeEventAddress(t.Context(), r.ID))
	err = operator.RevokeEventAddress(t.Context(), r.ID)
	s.wantProblem(err, 404, tidewaiter.ErrNotFound)
	_, err = auditor.EventSource(t.Context(), r.ID)
	s.wantProblem(err, 404, tidewaiter.ErrNotFound)
	err = operator.DeleteEventSource(t.Context(), r.ID)
	s.wantProblem(err, 404, tidewaiter.ErrNotFound)
}
