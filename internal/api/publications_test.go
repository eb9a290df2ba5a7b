package api_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/tidewaiter/tidewaiter/client"
	"github.com/tidewaiter/tidewaiter/internal/store"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

func TestPublicationsOfAnImage(t *testing.T) {
	onBoth(t, func(t *testing.T, s *server) {
		const digest = "sha256:0123"
		s.judgedTwice(digest)
		as := s.as(tidewaiter.RoleAuditor)
		got, err := as.ImagePublications(t.Context(), digest)
		s.must(err)
		if len(got.Items) != 0 {
			t.Errorf("nothing was pushed: %+v", got)
		}
		image, err := s.store.ImageByDigest(t.Context(), digest)
		s.must(err)
		at := time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
		s.must(s.store.Update(t.Context(), func(tx *store.Tx) error {
			r := &tidewaiter.Registry{ID: "r1", Kind: tidewaiter.KindOCI, URL: "https://registry.example.com", Origin: tidewaiter.OriginNative, CreatedAt: at, UpdatedAt: at}
			if err := tx.InsertRegistries(t.Context(), []*tidewaiter.Registry{r}); err != nil {
				return err
			}
			scan := &tidewaiter.Scan{ID: "s1", RegistryID: "r1", State: tidewaiter.ScanScanning, Lane: tidewaiter.LaneFresh, CreatedAt: at, UpdatedAt: at}
			if err := tx.InsertScans(t.Context(), []*tidewaiter.Scan{scan}); err != nil {
				return err
			}
			ids, err := tx.RecordRepositories(t.Context(), "r1", "s1", "registry.example.com", []store.RepositoryDecision{{Name: "team/app"}})
			if err != nil {
				return err
			}
			p := &tidewaiter.Publication{ImageID: image.ID, RegistryID: "r1", RepositoryID: ids["team/app"], Kind: tidewaiter.PublishSPDX}
			p.Succeeded("sha256:sbom", at)
			p.Failed(tidewaiter.Errorf(tidewaiter.ErrDenied, "read only"), at.Add(time.Hour))
			return tx.SavePublication(t.Context(), p)
		}))
		got, err = as.ImagePublications(t.Context(), digest)
		s.must(err)
		want := client.Publication{Registry: "r1", Repository: "registry.example.com/team/app", Kind: "spdx", Digest: "sha256:sbom", PushedAt: at,
			TriedAt: at.Add(time.Hour), ErrorKind: "denied", Error: "read only", Attempts: 1, RetryAt: at.Add(7 * time.Hour)}
		if len(got.Items) != 1 || got.Items[0] != want {
			t.Errorf("got %+v, want %+v", got.Items, want)
		}
		_, err = as.ImagePublications(t.Context(), "sha256:unknown")
		s.wantProblem(err, http.StatusNotFound, tidewaiter.ErrNotFound)
		draft := client.RegistryDraft{Kind: "oci", URL: "https://other.example.com", Settings: map[string]string{"publishSBOM": "yes"}}
		_, err = s.as(tidewaiter.RoleAdmin).DeclareRegistry(t.Context(), draft, false)
		s.wantProblem(err, http.StatusUnprocessableEntity, tidewaiter.ErrInvalid)
	})
}
