package publish

import (
	"bytes"
	"encoding/json"
	"testing"
	"time"

	"github.com/tidewaiter/tidewaiter/internal/oci"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

var day = time.Date(2026, 11, 3, 12, 0, 0, 0, time.UTC)

func result(judgedAt time.Time, advisories string, findings ...tidewaiter.Finding) *tidewaiter.Result {
	p := &tidewaiter.Package{ID: 7, Ecosystem: tidewaiter.EcosystemNPM, Name: "left-pad", Version: "1.0.0", PURL: "pkg:npm/left-pad@1.0.0"}
	return &tidewaiter.Result{
		Image: &tidewaiter.Image{Digest: "sha256:0123", Platform: tidewaiter.Platform{OS: "linux", Architecture: "amd64"}, Layers: []tidewaiter.LayerRef{{}},
			Judgement: &tidewaiter.Judgement{JudgedAt: judgedAt, Advisories: advisories, Packages: 1}},
		Tags:     []tidewaiter.Tag{{Name: judgedAt.String()}}, // comes and goes
		Content:  &tidewaiter.Content{Installed: []tidewaiter.Installed{{Package: p}}},
		Findings: map[int64][]tidewaiter.Finding{p.ID: findings},
	}
}

// TestSameResultIsTheSameDocument judges an image again: by other advisories that say the same, and by some that say more.
func TestSameResultIsTheSameDocument(t *testing.T) {
	found := tidewaiter.Finding{Vulnerability: "CVE-2024-1", Severity: tidewaiter.SeverityHigh}
	repository := tidewaiter.Repository{Host: "registry.example.com", Name: "team/app"}
	for _, c := range []struct {
		kind     tidewaiter.PublicationKind
		findings bool
	}{{tidewaiter.PublishCycloneDX, false}, {tidewaiter.PublishSPDX, false}, {tidewaiter.PublishSARIF, true}, {tidewaiter.PublishJSON, true}} {
		t.Run(string(c.kind), func(t *testing.T) {
			write := func(r *tidewaiter.Result, before *tidewaiter.Publication) (written, bool) {
				t.Helper()
				a, same, err := document(r, repository, before)
				if err != nil || !json.Valid(a.Content) {
					t.Fatalf("%s %v", a.Content, err)
				}
				return a, same
			}
			none := &tidewaiter.Publication{Kind: c.kind}
			first, same := write(result(day, "v1"), none)
			again, _ := write(result(day, "v1"), none)
			if same || !bytes.Equal(first.Content, again.Content) || first.Annotations[documentKey] != again.Annotations[documentKey] {
				t.Error("the same result gives two documents")
			}
			if first.Annotations[createdKey] != "2026-11-03T12:00:00Z" || !ours(oci.Referrer{Annotations: first.Annotations}) {
				t.Errorf("%v", first.Annotations)
			}
			if (first.Annotations[advisoriesKey] == "v1") != c.findings || bytes.Contains(first.Content, []byte("v1")) && !c.findings {
				t.Errorf("%v", first.Annotations)
			}
			before := &tidewaiter.Publication{Kind: c.kind, Document: first.Annotations[documentKey], JudgedAt: day, Advisories: "v1"}
			if _, same := write(result(day.Add(time.Hour), "v2"), before); !same {
				t.Error("other advisories that say the same are news")
			}
			if _, same := write(result(day.Add(time.Hour), "v2", found), before); same == c.findings {
				t.Errorf("a finding is news: %v", !same)
			}
			if a, _ := write(result(day.Add(time.Hour), "v2", found), before); c.findings && !bytes.Contains(a.Content, []byte("CVE-2024-1")) {
				t.Errorf("the report tells nothing of it: %s", a.Content)
			}
		})
	}
}
