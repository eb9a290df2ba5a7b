package api_test

import (
	"testing"

	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// TestNamesLeadToImages finds one image under each of its names, and reads all that is stored of it.
func TestNamesLeadToImages(t *testing.T) {
	onBoth(t, func(t *testing.T, s *server) {
		img := s.judgedShop()
		auditor := s.as(tidewaiter.RoleAuditor)
		for _, name := range []string{"r.example/shop:v1", "r.example/shop@" + img.Digest, img.Digest} {
			got, err := auditor.ImageName(t.Context(), name)
			s.must(err)
			if got.Name != name || got.Digest != img.Digest || !got.Current || len(got.Images) != 1 {
				t.Fatalf("%s: %+v", name, got)
			}
			if i := got.Images[0]; i.Digest != img.Digest || i.Platform != "linux/amd64" || i.State != "judged" || !i.Shown || i.Effect != "block" {
				t.Errorf("%s: %+v", name, i)
			}
		}
		got, err := auditor.ImageName(t.Context(), "r.example/shop:v1")
		s.must(err)
		if got.FirstSeen.IsZero() || got.LastSeen.IsZero() || !got.GoneAt.IsZero() {
			t.Errorf("when it was seen: %+v", got)
		}
		details, err := auditor.Image(t.Context(), img.Digest)
		s.must(err)
		if len(details.Tags) != 1 || details.Tags[0].Name != "r.example/shop:v1" || details.Tags[0].FirstSeen.IsZero() {
			t.Errorf("details: %+v", details)
		}
		for _, name := range []string{"r.example/shop:v2", "other.example/shop:v1"} {
			_, err := auditor.ImageName(t.Context(), name)
			if e := s.wantProblem(err, 404, tidewaiter.ErrNotFound); e.Fix == "" {
				t.Errorf("%s: no fix: %+v", name, e)
			}
		}
		_, err = auditor.ImageName(t.Context(), "A B")
		s.wantProblem(err, 422, tidewaiter.ErrInvalid)
	})
}
