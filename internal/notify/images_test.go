package notify_test

import (
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/tidewaiter/tidewaiter/internal/control"
	"github.com/tidewaiter/tidewaiter/internal/store"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

const analyzer = "analyzer-1"

// fleet is images that all hold one package.
type fleet struct {
	*house
	images []*tidewaiter.Image
	pkg    *tidewaiter.Package
}

// newFleet records images, each under host/team/app-<n>:v1 of the registry "reg".
func newFleet(h *house, n int) *fleet {
	h.t.Helper()
	f := &fleet{house: h, pkg: &tidewaiter.Package{Ecosystem: "npm", Name: "left-pad", Version: "1.0.0"}}
	ctx := h.t.Context()
	h.update(func(tx *store.Tx) error { return tx.InternPackages(ctx, []*tidewaiter.Package{f.pkg}) })
	for i := range n {
		f.record("reg", "registry.example.com", "team/app-"+strconv.Itoa(i), nil)
	}
	return f
}

func (f *fleet) record(registryID, host, repository string, labels map[string]string) *tidewaiter.Image {
	f.t.Helper()
	ctx := f.t.Context()
	layer := fmt.Sprintf("layer-%d", len(f.images))
	img := &tidewaiter.Image{Digest: fmt.Sprintf("sha256:%064d", len(f.images)), ConfigDigest: "sha256:config", MediaType: "application/vnd.oci.image.manifest.v1+json",
		Platform: tidewaiter.Platform{OS: "linux", Architecture: "amd64"}, CreatedAt: start, Config: tidewaiter.ImageConfig{Labels: labels},
		Layers: []tidewaiter.LayerRef{{Digest: "sha256:blob-" + layer, DiffID: layer, MediaType: "layer", Size: 1}}}
	f.update(func(tx *store.Tx) error {
		scan := &tidewaiter.Scan{ID: "listing-" + layer, RegistryID: registryID, State: tidewaiter.ScanListing, Lane: tidewaiter.LaneFresh, CreatedAt: start, UpdatedAt: start}
		if err := tx.InsertScans(ctx, []*tidewaiter.Scan{scan}); err != nil {
			return err
		}
		ids, err := tx.RecordRepositories(ctx, registryID, scan.ID, host, []store.RepositoryDecision{
			{Name: repository, Decision: tidewaiter.Decision{Included: true, Reason: tidewaiter.ReasonSelected}}})
		if err != nil {
			return err
		}
		tags, err := tx.RecordTags(ctx, store.RecordTags{RegistryID: registryID, ScanID: scan.ID, RepositoryID: ids[repository],
			Tags: []tidewaiter.ListedTag{{Name: "v1"}}, Analyzer: analyzer, Now: start})
		if err != nil {
			return err
		}
		if _, err := tx.IndexTag(ctx, store.IndexTag{TagID: tags[0].TagID, Digest: img.Digest, Images: []*tidewaiter.Image{img},
			Source: store.Source{RegistryID: registryID, Repository: repository}, Analyzer: analyzer, Now: start}); err != nil {
			return err
		}
		_, err = tx.LayerDone(ctx, layer, analyzer, &tidewaiter.Analysis{DiffID: layer, Analyzer: analyzer}, start)
		return err
	})
	f.images = append(f.images, img)
	return img
}

// judge stores the package's findings under a version of the advisories, and judges every image by them.
func (f *fleet) judge(version string, effect tidewaiter.Effect, findings ...tidewaiter.Finding) {
	f.t.Helper()
	ctx := f.t.Context()
	details := map[string]*tidewaiter.Vulnerability{}
	var counts tidewaiter.Counts
	for _, v := range findings {
		details[v.Vulnerability] = &tidewaiter.Vulnerability{ID: v.Vulnerability, Severity: v.Severity}
		counts.Add(v.Severity)
	}
	f.update(func(tx *store.Tx) error {
		return tx.SaveFindings(ctx, version, map[int64][]tidewaiter.Finding{f.pkg.ID: findings}, details, f.clock.now())
	})
	generation, err := f.store.FindingsGeneration(ctx)
	if err != nil {
		f.t.Fatal(err)
	}
	for _, img := range f.images {
		j := tidewaiter.Judgement{Advisories: version, Analyzer: analyzer, JudgedAt: f.clock.now(), Packages: 1, Vulnerabilities: counts,
			Verdict: tidewaiter.Verdict{Effect: effect}}
		f.update(func(tx *store.Tx) error {
			_, err := tx.SaveJudgement(ctx, store.SaveJudgement{ImageID: img.ID, Judgement: &j, Findings: generation, Now: f.clock.now(),
				Content: &tidewaiter.Content{Installed: []tidewaiter.Installed{{Package: f.pkg}}}})
			return err
		})
	}
}

func finding(id string, severity tidewaiter.Severity, fixedIn string) tidewaiter.Finding {
	return tidewaiter.Finding{Vulnerability: id, Severity: severity, FixedIn: fixedIn, Status: "affected"}
}

// told reads all messages of a webhook's deliveries, oldest first.
func (h *house) told(w *tidewaiter.Webhook) []*tidewaiter.WebhookMessage {
	h.t.Helper()
	if err := h.notifier.Tell(h.t.Context()); err != nil {
		h.t.Fatal(err)
	}
	var out []*tidewaiter.WebhookMessage
	for _, d := range h.list(w) {
		whole, err := h.WebhookDelivery(h.t.Context(), d.ID)
		if err != nil {
			h.t.Fatal(err)
		}
		out = append(out, whole.Message)
	}
	return out
}

func TestNewFindings(t *testing.T) {
	onBoth(t, func(t *testing.T, h *house) {
		f := newFleet(h, 1)
		f.judge("v0", tidewaiter.EffectIgnore, finding("CVE-0", tidewaiter.SeverityCritical, "")) // before anybody wants to know
		rule := func(name string, change func(*tidewaiter.WebhookFilter), topics ...tidewaiter.Topic) *tidewaiter.Webhook {
			w, _ := h.add("http://127.0.0.1:1/"+name, func(d *control.WebhookDraft) {
				d.Name, d.Topics = name, append([]tidewaiter.Topic{tidewaiter.TopicFindingNew}, topics...)
				change(&d.Filter)
			})
			return w
		}
		all := rule("all", func(*tidewaiter.WebhookFilter) {}, tidewaiter.TopicVerdictChanged)
		high := rule("high", func(f *tidewaiter.WebhookFilter) { f.MinSeverity = tidewaiter.SeverityHigh })
		fixable := rule("fixable", func(f *tidewaiter.WebhookFilter) { f.OnlyFixable = true })
		elsewhere := rule("elsewhere", func(f *tidewaiter.WebhookFilter) { f.Registries = []string{"other"} })
		repository := rule("repository", func(f *tidewaiter.WebhookFilter) { f.Repositories = []string{"registry.example.com/team/*"} })
		others := rule("others", func(f *tidewaiter.WebhookFilter) { f.Repositories = []string{"else/*"} })
		for _, w := range []*tidewaiter.Webhook{all, high, fixable} {
			if got := h.told(w); len(got) != 0 {
				t.Fatalf("%s is told of the past: %+v", w.Name, got)
			}
		}
		h.clock.advance(time.Minute)
		f.judge("v1", tidewaiter.EffectBlock, finding("CVE-0", tidewaiter.SeverityCritical, ""), finding("CVE-1", tidewaiter.SeverityLow, "2"),
			finding("CVE-2", tidewaiter.SeverityHigh, ""))

		got := h.told(all)
		if len(got) != 2 || got[0].Topic != tidewaiter.TopicFindingNew || got[1].Topic != tidewaiter.TopicVerdictChanged {
			t.Fatalf("all: %+v", got)
		}
		d := got[0].Data
		if d.Findings.Total != 2 || d.Findings.More != 0 || len(d.Findings.List) != 2 || d.Findings.List[0] != (tidewaiter.MessageFinding{
			Vulnerability: "CVE-2", Severity: tidewaiter.SeverityHigh, Package: "left-pad", Version: "1.0.0"}) ||
			d.Findings.Counts != (tidewaiter.Counts{High: 1, Low: 1}) || d.Cause != "advisories" ||
			d.Image.Digest != f.images[0].Digest || d.Image.Platform != "linux/amd64" || len(d.Image.Names) != 1 ||
			d.Image.Names[0] != "registry.example.com/team/app-0:v1" || !got[0].Time.Equal(start.Add(time.Minute)) {
			t.Errorf("new findings: %+v %+v", got[0], d.Findings)
		}
		if v := got[1].Data.Verdict; v.Before != tidewaiter.EffectIgnore || v.After != tidewaiter.EffectBlock {
			t.Errorf("verdict: %+v", v)
		}
		for _, c := range []struct {
			w    *tidewaiter.Webhook
			want string // the findings
		}{{high, "CVE-2"}, {fixable, "CVE-1"}, {elsewhere, ""}, {repository, "CVE-2 CVE-1"}, {others, ""}} {
			var names []string
			for _, m := range h.told(c.w) {
				for _, v := range m.Data.Findings.List {
					names = append(names, v.Vulnerability)
				}
			}
			if got := strings.Join(names, " "); got != c.want {
				t.Errorf("%s is told of %q, want %q", c.w.Name, got, c.want)
			}
		}

		// CVE-1 becomes high: that is news for whom it was too low before. CVE-2 can be mended. The verdict stays.
		f.judge("v2", tidewaiter.EffectBlock, finding("CVE-0", tidewaiter.SeverityCritical, ""), finding("CVE-1", tidewaiter.SeverityHigh, "2"),
			finding("CVE-2", tidewaiter.SeverityHigh, "3"))
		for _, c := range []struct {
			w    *tidewaiter.Webhook
			more string
		}{{all, ""}, {high, "CVE-1"}, {fixable, "CVE-2"}} {
			got := h.told(c.w)
			last := got[len(got)-1]
			if c.more == "" && last.Data.Cause == "advisories" && len(got) > 2 {
				t.Errorf("%s is told of %+v", c.w.Name, last)
			} else if c.more != "" && (last.Data.Findings.Total != 1 || last.Data.Findings.List[0].Vulnerability != c.more) {
				t.Errorf("%s is told of %+v, want %s", c.w.Name, last.Data.Findings, c.more)
			}
		}
	})
}

func TestNewImagesAndCollections(t *testing.T) {
	onBoth(t, func(t *testing.T, h *house) {
		for _, c := range []*tidewaiter.Collection{{Name: "production", Images: []string{"*"}, Labels: []string{"env:production"}, Modified: start}} {
			h.update(func(tx *store.Tx) error { return tx.PutCollection(t.Context(), c) })
		}
		w, _ := h.add("http://127.0.0.1:1/", func(d *control.WebhookDraft) {
			d.Filter = tidewaiter.WebhookFilter{NewImages: true, Collections: []string{"production"}, MinSeverity: tidewaiter.SeverityMedium}
		})
		quiet, _ := h.add("http://127.0.0.1:1/")
		f := newFleet(h, 1)
		f.record("other", "other.example.com", "prod/app", map[string]string{"env": "production"})
		f.judge("v1", tidewaiter.EffectAlert, finding("CVE-1", tidewaiter.SeverityHigh, ""), finding("CVE-2", tidewaiter.SeverityLow, ""))
		got := h.told(w)
		if len(got) != 2 || got[0].Topic != tidewaiter.TopicFindingNew || got[1].Topic != tidewaiter.TopicVerdictChanged {
			t.Fatalf("told %+v", got)
		}
		if d := got[0].Data; d.Cause != "first" || d.Image.Names[0] != "other.example.com/prod/app:v1" || d.Findings.Total != 1 ||
			d.Findings.List[0].Vulnerability != "CVE-1" || d.Verdict.Before != "" || d.Verdict.After != tidewaiter.EffectAlert {
			t.Errorf("told %+v", d)
		}
		if got := h.told(quiet); len(got) != 0 {
			t.Errorf("the quiet one is told %+v", got)
		}
	})
}

// TestBurst has one update of the advisories make hundreds of findings on each of many images: one message for each image,
// with the gravest and how many more, and beyond what the webhook takes in an hour one summary of the rest.
func TestBurst(t *testing.T) {
	onBoth(t, func(t *testing.T, h *house) {
		const images, findings, perHour = 30, 150, 5
		f := newFleet(h, images)
		f.judge("v0", tidewaiter.EffectIgnore)
		r := receive(t, nil)
		w, _ := h.add(r.URL)
		limited, _ := h.add(r.URL, func(d *control.WebhookDraft) { d.PerHour = perHour })
		var list []tidewaiter.Finding
		for i := range findings {
			list = append(list, finding(fmt.Sprintf("CVE-%04d", i), tidewaiter.SeverityHigh, ""))
		}
		f.judge("v1", tidewaiter.EffectIgnore, list...)
		got := h.told(w)
		if len(got) != images {
			t.Fatalf("%d messages, want %d", len(got), images)
		}
		for _, m := range got {
			if d := m.Data.Findings; d.Total != findings || len(d.List) != tidewaiter.MaxMessageFindings || d.More != findings-tidewaiter.MaxMessageFindings ||
				d.Counts.High != findings || d.AtLeast {
				t.Fatalf("message %+v", d)
			}
		}
		got = h.told(limited)
		if len(got) != perHour+1 {
			t.Fatalf("%d messages, want %d and a summary", len(got), perHour)
		}
		summary := got[perHour].Data.Summary
		if got[perHour].Topic != tidewaiter.TopicSummary || summary.Messages != images-perHour || summary.Findings != (images-perHour)*findings ||
			len(summary.Images) != tidewaiter.MaxMessageNames || summary.More != images-perHour-tidewaiter.MaxMessageNames {
			t.Fatalf("summary %+v", summary)
		}

		// More in the same hour goes into the same summary, which is sent when the hour is over.
		h.clock.advance(time.Minute)
		f.judge("v2", tidewaiter.EffectBlock, list...)
		if got = h.told(limited); len(got) != perHour+1 || got[perHour].Data.Summary.Messages != 2*images-perHour || got[perHour].Data.Summary.Verdicts != images {
			t.Fatalf("%d messages, summary %+v", len(got), got[len(got)-1].Data.Summary)
		}
		h.run(h.notifier)
		h.eventually("the first are delivered", func() bool { return len(h.list(limited, store.DeliveryDone)) == perHour })
		if waiting := h.list(limited, store.DeliveryWaiting); len(waiting) != 1 || !waiting[0].DueAt.Equal(start.Add(time.Hour)) {
			t.Fatalf("waiting %+v", waiting)
		}
		h.clock.advance(time.Hour)
		h.eventually("the summary is delivered", func() bool { return len(h.list(limited, store.DeliveryDone)) == perHour+1 })
		f.judge("v3", tidewaiter.EffectAlert, list...)
		h.eventually("the next hour has its own", func() bool { return len(h.list(limited, store.DeliveryDone)) == 2*perHour+1 })
	})
}

// TestTellTwice has two processes make deliveries of the same changes at once.
func TestTellTwice(t *testing.T) {
	onBoth(t, func(t *testing.T, h *house) {
		f := newFleet(h, 10)
		f.judge("v0", tidewaiter.EffectIgnore)
		w, _ := h.add("http://127.0.0.1:1/", func(d *control.WebhookDraft) { d.Topics = []tidewaiter.Topic{tidewaiter.TopicVerdictChanged} })
		a, b := h.notifier, h.another()
		for i := range 6 {
			effect := []tidewaiter.Effect{tidewaiter.EffectBlock, tidewaiter.EffectAlert}[i%2]
			f.judge("v"+strconv.Itoa(i+1), effect)
			errs := make(chan error, 2)
			go func() { errs <- a.Tell(t.Context()) }()
			go func() { errs <- b.Tell(t.Context()) }()
			for range 2 {
				if err := <-errs; err != nil {
					t.Fatal(err)
				}
			}
		}
		last, n := map[string]tidewaiter.Effect{}, 0
		for _, m := range h.told(w) {
			if m.Data.Verdict.Before != tidewaiter.EffectIgnore && m.Data.Verdict.Before != last[m.Subject] {
				t.Errorf("%s: %+v follows %s", m.Subject, m.Data.Verdict, last[m.Subject])
			}
			last[m.Subject] = m.Data.Verdict.After
			n++
		}
		if n != 60 || len(last) != 10 {
			t.Errorf("%d messages about %d images", n, len(last))
		}
	})
}

// TestMoreThanAChangeNames says that a number is a lower bound.
func TestMoreThanAChangeNames(t *testing.T) {
	h := open(t, t.TempDir()+"/test.db")
	f := newFleet(h, 1)
	f.judge("v0", tidewaiter.EffectIgnore)
	w, _ := h.add("http://127.0.0.1:1/")
	var list []tidewaiter.Finding
	for i := range tidewaiter.MaxChangedFindings + 50 {
		list = append(list, finding(fmt.Sprintf("CVE-%04d", i), tidewaiter.SeverityLow, ""))
	}
	f.judge("v1", tidewaiter.EffectIgnore, list...)
	got := h.told(w)
	if len(got) != 1 || !got[0].Data.Findings.AtLeast || got[0].Data.Findings.Total != tidewaiter.MaxChangedFindings {
		t.Errorf("told %+v", got)
	}
}

// TestSwitchedOff keeps what waits while a webhook is off, and tells it nothing of what happens meanwhile.
func TestSwitchedOff(t *testing.T) {
	h := open(t, t.TempDir()+"/test.db")
	r := receive(t, nil)
	w, _ := h.add(r.URL)
	h.ended("reg", "")
	if err := h.notifier.Tell(t.Context()); err != nil {
		t.Fatal(err)
	}
	draft := control.WebhookDraft{Name: w.Name, Format: w.Format, Topics: w.Topics, Disabled: true}
	if _, err := h.ChangeWebhook(t.Context(), w.ID, draft); err != nil {
		t.Fatal(err)
	}
	h.ended("other", "") // nobody is told of it
	if due, err := h.store.DueWebhooks(t.Context(), h.clock.now()); err != nil || len(due) != 0 {
		t.Errorf("due %v, %v", due, err)
	}
	draft.Disabled = false
	if _, err := h.ChangeWebhook(t.Context(), w.ID, draft); err != nil {
		t.Fatal(err)
	}
	h.clock.advance(48 * time.Hour) // it waited, but was never tried: it has its day still
	h.run(h.notifier)
	h.eventually("what waited is delivered", func() bool { return len(h.list(w, store.DeliveryDone)) == 1 })
	if len(r.requests()) != 1 || len(h.list(w)) != 1 {
		t.Errorf("%d requests, %d deliveries", len(r.requests()), len(h.list(w)))
	}
}
