package app_test

import (
	"errors"
	"testing"

	tw "github.com/tidewaiter/tidewaiter/client"
	"github.com/tidewaiter/tidewaiter/emulator"
	"github.com/tidewaiter/tidewaiter/internal/app"
	"github.com/tidewaiter/tidewaiter/internal/connector/connectortest"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// TestRegistryThroughOurAPI takes a registry from a draft nobody has stored to one that is scanned.
func TestRegistryThroughOurAPI(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, database string) {
		e := connectortest.Emulate(t, tidewaiter.KindHarbor, emulator.Options{Repositories: 3, Tags: 4, Indexes: -1, Artifacts: -1})
		s := start(t, app.Config{Database: database, Advisories: []string{"127.0.0.1:1/none:1"}})
		c, err := tw.New(s.URL(), tw.Basic("admin", adminPassword))
		if err != nil {
			t.Fatal(err)
		}
		draft := tw.RegistryDraft{Kind: "harbor", URL: e.Registry.URL, TLS: tw.RegistryTLS(e.Registry.TLS),
			Scope: tw.Scope{Select: []tw.Selector{{Repository: e.Repositories[0]}, {Repository: e.Repositories[1]}}, Newest: 2}}
		login := &tw.CredentialDraft{Kind: "basic", Username: e.Credential.Username, Secret: e.Wrong.Reveal()}
		v, err := c.ValidateDraft(t.Context(), draft, login)
		if err != nil || v.OK || len(v.Steps) == 0 || v.Steps[len(v.Steps)-1].Kind != "auth" {
			t.Errorf("with a wrong secret: %+v, %v", v, err)
		}
		_, err = c.PreviewDraft(t.Context(), tw.DraftPreviewRequest{DraftRequest: tw.DraftRequest{
			Registry: tw.RegistryDraft{Kind: "harbor", URL: e.Registry.URL, TLS: draft.TLS}, Login: login,
		}})
		if problem, ok := errors.AsType[*tw.Error](err); !ok || problem.Status != 502 || problem.Type != "urn:tidewaiter:auth" {
			t.Errorf("a preview with a wrong secret: %v", err)
		}
		login.Secret = e.Secret.Reveal()
		if v, err = c.ValidateDraft(t.Context(), draft, login); err != nil || !v.OK {
			t.Errorf("with the right one: %+v, %v", v, err)
		}
		p, err := c.PreviewDraft(t.Context(), tw.DraftPreviewRequest{DraftRequest: tw.DraftRequest{Registry: draft, Login: login}})
		if err != nil {
			t.Fatal(err)
		}
		if len(p.Repositories) != 2 || p.Summary.TagsSelected != 4 || p.Summary.TagsLeftOut["not_newest"] != 4 || p.Summary.Requests.Requests == 0 || p.Summary.CutShort != "" {
			t.Errorf("%+v", p.Summary)
		}
		if list, err := c.Registries(t.Context(), tw.RegistryQuery{}); err != nil || len(list.Items) != 0 {
			t.Errorf("drafts were stored: %+v, %v", list, err)
		}

		cred, err := c.AddCredential(t.Context(), *login)
		if err != nil {
			t.Fatal(err)
		}
		draft.Credential = cred.ID
		r, err := c.DeclareRegistry(t.Context(), draft, true)
		if err != nil {
			t.Fatal(err)
		}
		if scan := s.finished(t)[r.ID]; scan.State != tidewaiter.ScanCompleted || scan.TagsSelected != 4 || scan.ImagesFailed != 0 {
			t.Errorf("%+v", scan)
		}
		if v, err = c.ValidateRegistry(t.Context(), r.ID); err != nil || !v.OK {
			t.Errorf("%+v, %v", v, err)
		}
		if p, err = c.PreviewRegistry(t.Context(), r.ID, tw.PreviewRequest{Scope: &tw.Scope{}}); err != nil || p.Summary.TagsSelected != 12 {
			t.Errorf("another scope: %+v, %v", p, err)
		}
		tags, err := c.RegistryTags(t.Context(), r.ID, e.Repositories[0], 10, "")
		if err != nil || len(tags.Items) != 2 || tags.Items[0].CheckedAt.IsZero() || tags.Items[0].Digest == "" {
			t.Errorf("%+v, %v", tags, err)
		}
		seen, err := c.RegistryRepositories(t.Context(), r.ID, 10, "")
		if err != nil || len(seen.Items) != 2 || seen.Items[0].TagsSeen != 4 || seen.Items[0].TagsSelected != 2 {
			t.Errorf("%+v, %v", seen, err)
		}
		shown, err := c.Registry(t.Context(), r.ID)
		if err != nil || shown.Finished == nil || shown.Totals.Repositories != 2 {
			t.Errorf("%+v, %v", shown, err)
		}
	})
}
