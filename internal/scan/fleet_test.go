package scan_test

import (
	"context"
	"fmt"
	"log/slog"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/tidewaiter/tidewaiter/internal/policy"
	"github.com/tidewaiter/tidewaiter/internal/scan"
	"github.com/tidewaiter/tidewaiter/internal/store"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

const (
	analyzer   = "test"
	advisories = "v1"
)

var noon = time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)

// fleet is a store with judged images and a pipeline over it, whose jobs are only noted.
type fleet struct {
	testing.TB
	db       *store.DB
	jobs     *notedJobs
	pipeline *scan.Pipeline
	registry *tidewaiter.Registry
	now      time.Time
}

type notedJobs struct {
	mu   sync.Mutex
	list []tidewaiter.Job
}

func (n *notedJobs) Enqueue(_ context.Context, _ *store.Tx, jobs ...tidewaiter.Job) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.list = append(n.list, jobs...)
	return nil
}

func newFleet(t testing.TB, url string) *fleet {
	t.Helper()
	if url == "" {
		url = filepath.Join(t.TempDir(), "fleet.db")
	}
	f := &fleet{TB: t, jobs: &notedJobs{}, now: noon}
	var err error
	f.db, err = store.Open(context.Background(), store.Config{URL: url, Now: func() time.Time { return f.now }})
	f.must(err)
	t.Cleanup(func() { _ = f.db.Close() })
	f.pipeline = scan.New(scan.Config{Store: f.db, Jobs: f.jobs, Now: func() time.Time { return f.now },
		Log: slog.New(slog.DiscardHandler), Metrics: prometheus.NewRegistry()})
	f.registry = &tidewaiter.Registry{ID: "r", Kind: tidewaiter.KindOCI, URL: "https://r.example.com", Origin: tidewaiter.OriginPrisma}
	policies, collections := policy.Defaults()
	f.update(func(ctx context.Context, tx *store.Tx) error {
		for i := range policies {
			if err := tx.PutPolicy(ctx, &policies[i]); err != nil {
				return err
			}
		}
		for i := range collections {
			if err := tx.PutCollection(ctx, &collections[i]); err != nil {
				return err
			}
		}
		return tx.InsertRegistries(ctx, []*tidewaiter.Registry{f.registry})
	})
	return f
}

func (f *fleet) must(err error) {
	f.Helper()
	if err != nil {
		f.Fatal(err)
	}
}

func (f *fleet) update(fn func(context.Context, *store.Tx) error) {
	f.Helper()
	ctx := context.Background()
	f.must(f.db.Update(ctx, func(tx *store.Tx) error { return fn(ctx, tx) }))
}

func digest(n int) string { return fmt.Sprintf("sha256:%064x", n) }

// add stores judged images of the names, host left out, each with these layers on top of its own number.
func (f *fleet) add(first int, names []string, content *tidewaiter.Content, layers ...string) {
	f.Helper()
	f.update(func(ctx context.Context, tx *store.Tx) error {
		var tags []tidewaiter.ListedTag
		repository := ""
		for i, name := range names {
			var tag string
			repository, tag, _ = strings.Cut(name, ":")
			tags = append(tags, tidewaiter.ListedTag{Name: tag, Digest: digest(first + i)})
		}
		ids, err := tx.RecordRepositories(ctx, f.registry.ID, "", f.registry.Host(), []store.RepositoryDecision{{Name: repository,
			Decision: tidewaiter.Decision{Included: true, Reason: tidewaiter.ReasonSelected}}})
		if err != nil {
			return err
		}
		recorded, err := tx.RecordTags(ctx, store.RecordTags{RegistryID: f.registry.ID, RepositoryID: ids[repository], Analyzer: analyzer, Now: f.now, Tags: tags})
		if err != nil {
			return err
		}
		for i := range recorded {
			if err := f.addImage(ctx, tx, recorded[i].TagID, first+i, repository, content, layers); err != nil {
				return err
			}
		}
		return nil
	})
}

func (f *fleet) addImage(ctx context.Context, tx *store.Tx, tagID int64, n int, repository string, content *tidewaiter.Content, layers []string) error {
	img := &tidewaiter.Image{Digest: digest(n), ConfigDigest: digest(n + 1_000_000), Platform: tidewaiter.Platform{OS: "linux", Architecture: "amd64"},
		CreatedAt: noon.Add(time.Duration(n) * time.Second),
		Config: tidewaiter.ImageConfig{User: "app", Labels: map[string]string{"team": "blue"}, Env: []string{"PATH=/bin"},
			History: []tidewaiter.HistoryEntry{{CreatedBy: "FROM scratch"}, {CreatedBy: "COPY app /app"}}}}
	for _, l := range layers {
		img.Layers = append(img.Layers, tidewaiter.LayerRef{Digest: l, DiffID: l})
	}
	outcome, err := tx.IndexTag(ctx, store.IndexTag{TagID: tagID, Digest: img.Digest, Images: []*tidewaiter.Image{img},
		Source: store.Source{RegistryID: f.registry.ID, Repository: repository}, Analyzer: analyzer, Now: f.now})
	if err != nil {
		return err
	}
	for _, l := range outcome.MissingLayers {
		if _, err := tx.LayerDone(ctx, l.DiffID, analyzer, &tidewaiter.Analysis{DiffID: l.DiffID, Analyzer: analyzer}, f.now); err != nil {
			return err
		}
	}
	_, err = tx.SaveJudgement(ctx, store.SaveJudgement{ImageID: img.ID, Content: content, Now: f.now,
		Checks:    []tidewaiter.Check{{ID: 41, Title: "root", Severity: tidewaiter.SeverityHigh, Passed: true}},
		Judgement: &tidewaiter.Judgement{Advisories: advisories, Analyzer: analyzer, JudgedAt: f.now, Packages: len(content.Installed)}})
	return err
}

// packages makes a content of packages, each in a layer, and stores findings of some severities for each.
func (f *fleet) packages(n, layer int, prefix string, severities ...tidewaiter.Severity) *tidewaiter.Content {
	f.Helper()
	c := &tidewaiter.Content{}
	var list []*tidewaiter.Package
	for i := range n {
		p := &tidewaiter.Package{Ecosystem: tidewaiter.EcosystemNPM, Name: fmt.Sprintf("%s-%d", prefix, i), Version: "1.0.0", Licenses: []string{"MIT"}}
		c.Installed = append(c.Installed, tidewaiter.Installed{Package: p, Layer: layer})
		list = append(list, p)
	}
	f.update(func(ctx context.Context, tx *store.Tx) error {
		if err := tx.InternPackages(ctx, list); err != nil {
			return err
		}
		findings, details := map[int64][]tidewaiter.Finding{}, map[string]*tidewaiter.Vulnerability{}
		for i, p := range list {
			for j, s := range severities {
				id := fmt.Sprintf("CVE-2024-%s%d%d", prefix, i, j)
				findings[p.ID] = append(findings[p.ID], tidewaiter.Finding{Vulnerability: id, Severity: s, FixedIn: "2.0.0"})
				details[id] = &tidewaiter.Vulnerability{ID: id, Severity: s, Score: 7.5, Vector: "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H",
					Description: strings.Repeat("A flaw lets a remote attacker do what they should not. ", 12), References: []string{"https://example.com/" + id}}
			}
		}
		return tx.SaveFindings(ctx, advisories, findings, details, f.now)
	})
	return c
}

// put stores a vulnerability policy and counts it, as control does.
func (f *fleet) put(rules ...tidewaiter.Rule) {
	f.Helper()
	f.update(func(ctx context.Context, tx *store.Tx) error {
		if _, err := tx.NextGeneration(ctx, policy.GenerationKey, f.now); err != nil {
			return err
		}
		return tx.PutPolicy(ctx, &tidewaiter.Policy{Kind: tidewaiter.PolicyVulnerability, Rules: rules, UpdatedAt: f.now})
	})
}

// work does a job of the pipeline.
func (f *fleet) work(job tidewaiter.Job) {
	f.Helper()
	f.must(f.try(job))
}

// verdicts returns the effect on each image by name.
func (f *fleet) verdicts() map[string]tidewaiter.Effect {
	f.Helper()
	rows, _, err := f.db.Results(context.Background(), store.ResultFilter{Page: store.Page{Limit: store.MaxLimit}})
	f.must(err)
	out := map[string]tidewaiter.Effect{}
	for _, row := range rows {
		out[row.Tag.Repository.Name+":"+row.Tag.Name] = row.Image.Judgement.Verdict.Effect
	}
	return out
}

func blockFrom(s tidewaiter.Severity) tidewaiter.Rule {
	return tidewaiter.Rule{Name: "strict", Collections: []string{tidewaiter.CollectionAll}, Alert: tidewaiter.Threshold{Enabled: true},
		Block: tidewaiter.Threshold{Enabled: true, Severity: s}}
}
