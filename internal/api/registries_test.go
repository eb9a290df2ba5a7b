package api_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/tidewaiter/tidewaiter/client"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

func aDraft() client.RegistryDraft {
	return client.RegistryDraft{
		Name: "harbor", Kind: "harbor", URL: "https://harbor.example.com",
		Scope: client.Scope{Select: []client.Selector{{Repository: "team/*", Tags: []string{"v*"}}}, ExcludeTags: []string{"*-dev"}, Newest: 5,
			Platforms: []string{"linux/arm64", "linux/arm/v7"}},
		Schedule: client.Schedule{Every: "168h0m0s", Weekday: "monday", At: "03:30"}, Settings: map[string]string{"project": "team"},
	}
}

func TestRegistriesAreDeclaredAndChanged(t *testing.T) {
	onBoth(t, func(t *testing.T, s *server) {
		c := s.as(tidewaiter.RoleOperator)
		cred, err := c.AddCredential(t.Context(), client.CredentialDraft{Name: "robot", Kind: "basic", Username: "robot$x", Secret: "very-secret-1"})
		s.must(err)
		draft := aDraft()
		draft.Credential = cred.ID
		made, err := c.DeclareRegistry(t.Context(), draft, true)
		s.must(err)
		if made.ID == "" || made.Origin != "native" || made.Host != "harbor.example.com" || made.Current == nil || made.Current.State != "queued" || len(s.jobs.list) != 1 {
			t.Errorf("%+v, %d jobs", made, len(s.jobs.list))
		}
		shown, err := c.Registry(t.Context(), made.ID)
		s.must(err)
		same(t, shown.RegistryDraft, draft)

		draft.Scope.Newest, draft.Name = 7, "renamed"
		changed, err := c.UpdateRegistry(t.Context(), made.ID, draft, false)
		s.must(err)
		same(t, changed.RegistryDraft, draft)
		if changed.ID != made.ID || !changed.CreatedAt.Equal(made.CreatedAt) {
			t.Errorf("%+v", changed)
		}
		page, err := c.Registries(t.Context(), client.RegistryQuery{Name: "renamed", Kind: "harbor", Host: "https://HARBOR.example.com/"})
		s.must(err)
		if len(page.Items) != 1 || page.Items[0].ID != made.ID {
			t.Errorf("%+v", page)
		}
		scan, err := c.ScanRegistry(t.Context(), made.ID, client.ScanRequest{})
		s.must(err)
		if scan.ID != made.Current.ID {
			t.Errorf("a second scan beside the first: %+v", scan)
		}
		if scan, err = c.ScanRegistry(t.Context(), made.ID, client.ScanRequest{Repository: "team/a", Tag: "v1"}); err != nil || scan.State != "queued" {
			t.Errorf("%+v, %v", scan, err)
		}
		if _, err := c.RegistryTags(t.Context(), made.ID, "team/a", 10, ""); err != nil {
			t.Error(err)
		}
		if _, err := c.RegistryRepositories(t.Context(), made.ID, 10, ""); err != nil {
			t.Error(err)
		}

		s.wantProblem(c.DeleteCredential(t.Context(), cred.ID), 409, tidewaiter.ErrConflict)
		s.must(c.DeleteRegistry(t.Context(), made.ID))
		_, err = c.Registry(t.Context(), made.ID)
		s.wantProblem(err, 404, tidewaiter.ErrNotFound)
		s.wantProblem(c.DeleteRegistry(t.Context(), made.ID), 404, tidewaiter.ErrNotFound)
		s.must(c.DeleteCredential(t.Context(), cred.ID))
	})
}

func TestBadDeclarationsAreRefused(t *testing.T) {
	onBoth(t, func(t *testing.T, s *server) {
		c := s.as(tidewaiter.RoleAdmin)
		for field, change := range map[string]func(*client.RegistryDraft){
			"kind":                   func(d *client.RegistryDraft) { d.Kind = "nosuch" },
			"url":                    func(d *client.RegistryDraft) { d.URL = "https://user:pw@host" },
			"scope.platforms":        func(d *client.RegistryDraft) { d.Scope.Platforms = []string{"linux"} },
			"scope.versionPattern":   func(d *client.RegistryDraft) { d.Scope.VersionPattern = "%q" },
			"schedule.every":         func(d *client.RegistryDraft) { d.Schedule.Every = "often" },
			"schedule.weekday":       func(d *client.RegistryDraft) { d.Schedule.Every = "24h" },
			"tls.caCert":             func(d *client.RegistryDraft) { d.TLS.CACert = "no certificate" },
			"settings.recheckWithin": func(d *client.RegistryDraft) { d.Settings = map[string]string{"recheckWithin": "x"} },
		} {
			d := aDraft()
			change(&d)
			_, err := c.DeclareRegistry(t.Context(), d, false)
			if e := s.wantProblem(err, 422, tidewaiter.ErrInvalid); e.Detail == "" {
				t.Errorf("%s: %+v", field, e)
			}
		}
		d := aDraft()
		d.Credential = "nosuch"
		_, err := c.DeclareRegistry(t.Context(), d, false)
		s.wantProblem(err, 404, tidewaiter.ErrNotFound)
		_, err = c.DeclareRegistry(t.Context(), aDraft(), false)
		s.must(err)
		_, err = c.DeclareRegistry(t.Context(), aDraft(), false)
		s.wantProblem(err, 409, tidewaiter.ErrConflict)
	})
}

// TestOthersDeclarationsStay has our API show what a vendor's has declared, and change nothing of it.
func TestOthersDeclarationsStay(t *testing.T) {
	onBoth(t, func(t *testing.T, s *server) {
		c := s.as(tidewaiter.RoleAdmin)
		theirs := &tidewaiter.Registry{Kind: tidewaiter.KindOCI, URL: "https://registry.example.com", Origin: tidewaiter.OriginQualys}
		stored, err := s.control.AddRegistry(t.Context(), theirs, false)
		s.must(err)
		if shown, err := c.Registry(t.Context(), stored.ID); err != nil || shown.Origin != "qualys" {
			t.Errorf("%+v, %v", shown, err)
		}
		_, err = c.UpdateRegistry(t.Context(), stored.ID, aDraft(), false)
		s.wantProblem(err, 409, tidewaiter.ErrConflict)
		s.wantProblem(c.DeleteRegistry(t.Context(), stored.ID), 409, tidewaiter.ErrConflict)
		cred := &tidewaiter.Credential{ID: "theirs", Kind: tidewaiter.CredentialBasic, Origin: tidewaiter.OriginPrisma}
		s.must(s.control.PutCredential(t.Context(), cred, nil))
		_, err = c.UpdateCredential(t.Context(), "theirs", client.CredentialDraft{Kind: "basic"})
		s.wantProblem(err, 409, tidewaiter.ErrConflict)
		s.wantProblem(c.DeleteCredential(t.Context(), "theirs"), 409, tidewaiter.ErrConflict)
	})
}

func TestSecretsAreNeverShown(t *testing.T) {
	s := start(t, t.TempDir()+"/test.db")
	const plain = "very-secret-2"
	c := s.as(tidewaiter.RoleAdmin)
	made, err := c.AddCredential(t.Context(), client.CredentialDraft{Kind: "token", Secret: plain, Settings: map[string]string{"a": "b"}})
	s.must(err)
	if !made.HasSecret {
		t.Errorf("%+v", made)
	}
	kept, err := c.UpdateCredential(t.Context(), made.ID, client.CredentialDraft{Kind: "token", Name: "new name"})
	s.must(err)
	if !kept.HasSecret || kept.Name != "new name" || !kept.CreatedAt.Equal(made.CreatedAt) {
		t.Errorf("%+v", kept)
	}
	for _, path := range []string{"/credentials", "/credentials/" + made.ID} {
		if status, _, body := s.call("GET", path, ""); status != 200 || strings.Contains(body, plain) {
			t.Errorf("%s: %d %s", path, status, body)
		}
	}
	stored, err := s.store.Credential(t.Context(), made.ID)
	if err != nil || len(stored.Sealed) == 0 || strings.Contains(string(stored.Sealed), plain) {
		t.Errorf("%+v, %v", stored, err)
	}
	_, err = c.AddCredential(t.Context(), client.CredentialDraft{Kind: "nosuch"})
	s.wantProblem(err, 422, tidewaiter.ErrInvalid)
	_, err = c.UpdateCredential(t.Context(), "nosuch", client.CredentialDraft{Kind: "token"})
	s.wantProblem(err, 404, tidewaiter.ErrNotFound)
}

func TestKindsAreDescribed(t *testing.T) {
	s := start(t, t.TempDir()+"/test.db")
	kinds, err := s.as(tidewaiter.RoleAuditor).Kinds(t.Context())
	s.must(err)
	if len(kinds) != 15 {
		t.Errorf("%d kinds", len(kinds))
	}
	for _, k := range kinds {
		if k.Kind == "" || k.Title == "" || k.URLExample == "" || len(k.Credentials) == 0 || k.Tags == "" {
			t.Errorf("%+v", k)
		}
	}
}

func TestRolesOfRegistries(t *testing.T) {
	s := start(t, t.TempDir()+"/test.db")
	_, err := s.as(tidewaiter.RoleAuditor).DeclareRegistry(t.Context(), aDraft(), false)
	s.wantProblem(err, 403, tidewaiter.ErrForbidden)
	_, err = s.as(tidewaiter.RoleAuditor).AddCredential(t.Context(), client.CredentialDraft{Kind: "basic"})
	s.wantProblem(err, 403, tidewaiter.ErrForbidden)
	_, err = s.as(tidewaiter.RoleAuditor).ValidateDraft(t.Context(), aDraft(), nil)
	s.wantProblem(err, 403, tidewaiter.ErrForbidden)
	_, err = s.as(tidewaiter.RoleCI).Registries(t.Context(), client.RegistryQuery{})
	s.wantProblem(err, 403, tidewaiter.ErrForbidden)
	status, _, _ := s.call(http.MethodGet, "/registries", "", func(r *http.Request) { r.Header.Del("Authorization") })
	if status != 401 {
		t.Errorf("nobody gets %d", status)
	}
}

func same(t *testing.T, got, want any) {
	t.Helper()
	a, err := json.Marshal(got)
	if err != nil {
		t.Fatal(err)
	}
	b, err := json.Marshal(want)
	if err != nil {
		t.Fatal(err)
	}
	if string(a) != string(b) {
		t.Errorf("got  %s\nwant %s", a, b)
	}
}
