package notify_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tidewaiter/tidewaiter/internal/control"
	"github.com/tidewaiter/tidewaiter/internal/store"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// TestFirstFindingsOfAFleet has more images judged for the first time than are told of at once, which share packages, two of
// them alike in a message. Each message tells what the image's result says.
func TestFirstFindingsOfAFleet(t *testing.T) {
	onBoth(t, func(t *testing.T, h *house) {
		rule := func(name, repository string) *tidewaiter.Webhook {
			w, _ := h.add("http://127.0.0.1:1/"+name, func(d *control.WebhookDraft) {
				d.Name, d.Topics = name, []tidewaiter.Topic{tidewaiter.TopicFindingNew}
				d.Filter.NewImages, d.Filter.Repositories = true, []string{repository}
			})
			return w
		}
		all, one, none := rule("all", "*"), rule("one", "team/app-7"), rule("none", "else/*")
		const images = 230
		f := newFleet(h, images)
		packages := f.firstScan(20)

		told := h.told(all)
		if len(told) != images {
			t.Fatalf("%d messages, want %d", len(told), images)
		}
		for _, m := range told {
			img, err := h.store.ImageByDigest(t.Context(), m.Data.Image.Digest)
			if err != nil {
				t.Fatal(err)
			}
			want := h.foundInResult(img.ID)
			if m.Data.Findings.Total != len(want) || len(want) < 2 || m.Data.Cause != string(tidewaiter.ChangeFirst) {
				t.Fatalf("%s: %d findings of %d packages, want %d", m.Subject, m.Data.Findings.Total, len(packages), len(want))
			}
			if diff := cmp.Diff(want[:len(m.Data.Findings.List)], m.Data.Findings.List); diff != "" {
				t.Fatalf("%s: %s", m.Subject, diff)
			}
		}
		if got := h.told(one); len(got) != 1 || got[0].Subject != "registry.example.com/team/app-7:v1" {
			t.Errorf("of one repository: %+v", got)
		}
		if got := h.told(none); len(got) != 0 {
			t.Errorf("of no repository: %+v", got)
		}
	})
}

// firstScan judges every image for the first time: image n holds each package whose number n is divisible by, and the first
// two.
func (f *fleet) firstScan(n int) []*tidewaiter.Package {
	f.t.Helper()
	ctx := f.t.Context()
	packages := make([]*tidewaiter.Package, n)
	findings := map[int64][]tidewaiter.Finding{}
	details := map[string]*tidewaiter.Vulnerability{}
	for i := range packages {
		packages[i] = &tidewaiter.Package{Ecosystem: "npm", Name: fmt.Sprintf("package-%d", max(i, 1)), Version: "1.0.0"}
	}
	packages[0].Type = "bundled" // not the same package as the next, but alike in a message
	f.update(func(tx *store.Tx) error { return tx.InternPackages(ctx, packages) })
	for i, p := range packages {
		for v := range i%3 + 1 {
			id := fmt.Sprintf("CVE-2024-%d", max(i, 1)*10+v)
			findings[p.ID] = append(findings[p.ID], finding(id, tidewaiter.Severity(1+(max(i, 1)+v)%4), "2.0.0"))
			details[id] = &tidewaiter.Vulnerability{ID: id, Description: "long"}
		}
	}
	f.update(func(tx *store.Tx) error { return tx.SaveFindings(ctx, "v1", findings, details, f.clock.now()) })
	generation, err := f.store.FindingsGeneration(ctx)
	if err != nil {
		f.t.Fatal(err)
	}
	for i, img := range f.images {
		content := &tidewaiter.Content{}
		j := tidewaiter.Judgement{Advisories: "v1", Analyzer: analyzer, JudgedAt: f.clock.now(), Verdict: tidewaiter.Verdict{Effect: tidewaiter.EffectAlert}}
		for n, p := range packages {
			if n < 2 || i%n == 0 {
				content.Installed = append(content.Installed, tidewaiter.Installed{Package: p}, tidewaiter.Installed{Package: p, Path: "/again"})
				for _, found := range findings[p.ID] {
					j.Vulnerabilities.Add(found.Severity)
				}
			}
		}
		f.update(func(tx *store.Tx) error {
			_, err := tx.SaveJudgement(ctx, store.SaveJudgement{ImageID: img.ID, Judgement: &j, Findings: generation, Now: f.clock.now(), Content: content})
			return err
		})
	}
	f.clock.advance(time.Minute)
	return packages
}

// foundInResult lists an image's findings as its page shows them, the gravest first, each once.
func (h *house) foundInResult(imageID int64) (out []tidewaiter.MessageFinding) {
	h.t.Helper()
	r, err := h.store.Result(h.t.Context(), imageID)
	if err != nil {
		h.t.Fatal(err)
	}
	for _, in := range r.Content.Installed {
		for _, f := range r.Findings[in.Package.ID] {
			one := tidewaiter.MessageFinding{Vulnerability: f.Vulnerability, Severity: f.Severity, Package: in.Package.Name,
				Version: in.Package.FullVersion(), FixedIn: f.FixedIn}
			if !slices.Contains(out, one) {
				out = append(out, one)
			}
		}
	}
	slices.SortFunc(out, func(a, b tidewaiter.MessageFinding) int {
		if a.Severity != b.Severity {
			return int(b.Severity) - int(a.Severity)
		}
		if a.Vulnerability+" "+a.Package < b.Vulnerability+" "+b.Package {
			return -1
		}
		return 1
	})
	return out
}
