package storetest

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/tidewaiter/tidewaiter/internal/store"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

func testResult(t *testing.T, db *store.DB) {
	w := newWorld(t, db)
	a, b := pkg("a"), pkg("b")
	w.intern(a, b)
	w.update(func(ctx context.Context, tx *store.Tx) error {
		return tx.SaveFindings(ctx, advisories, map[int64][]tidewaiter.Finding{
			a.ID: {finding("CVE-1", tidewaiter.SeverityHigh)}, b.ID: {finding("CVE-2", tidewaiter.SeverityLow)},
		}, nil, start.Add(-time.Hour))
	})
	img := image("one", "l")
	tag := w.tag("1")
	w.index(tag, img.Digest, img)
	w.layerDone("l")
	content := &tidewaiter.Content{
		Distribution: &tidewaiter.Distribution{Family: "debian", Release: "12", PrettyName: "Debian 12", ContentSets: []string{"c"}},
		Installed:    []tidewaiter.Installed{{Package: b, Layer: 2, Path: "x/y"}, {Package: a}, {Package: b, Layer: 1, Path: "z"}},
		Secrets:      []tidewaiter.Secret{{Rule: "r", Severity: tidewaiter.SeverityHigh, Path: "/p", Match: "***"}},
		SetID:        []tidewaiter.SetIDFile{{Path: "/bin/su", Mode: 0o4755}},
		Notices:      []tidewaiter.Notice{{Kind: tidewaiter.ErrTooLarge, Text: "cut"}},
	}
	checks := []tidewaiter.Check{{ID: 41, Title: "root", Severity: tidewaiter.SeverityHigh}}
	j := tidewaiter.Judgement{
		Advisories: advisories, Analyzer: analyzer, JudgedAt: start, Distribution: content.Distribution, EndOfLife: true, Packages: 2,
		Vulnerabilities: tidewaiter.Counts{Critical: 1, High: 2, Medium: 3, Low: 4, Negligible: 5, Unknown: 6}, Fixable: 7, Secrets: 8,
		Checks:      tidewaiter.Counts{Critical: 6, High: 5, Medium: 4, Low: 3, Negligible: 2, Unknown: 1},
		RiskFactors: []tidewaiter.RiskFactor{tidewaiter.RiskRoot}, Incomplete: true,
		Verdict: tidewaiter.Verdict{Effect: tidewaiter.EffectBlock, Rules: []string{"rule"}, Alerts: 2, Blocks: 1,
			Reasons: []tidewaiter.VerdictReason{{Effect: tidewaiter.EffectBlock, Rule: "rule", Vulnerability: "CVE-1", Severity: tidewaiter.SeverityHigh}}},
	}
	save := func(content *tidewaiter.Content) {
		w.update(func(ctx context.Context, tx *store.Tx) error {
			_, err := tx.SaveJudgement(ctx, store.SaveJudgement{ImageID: img.ID, Content: content, Checks: checks, Judgement: &j, Now: start})
			return err
		})
	}
	save(content)
	j.JudgedAt = start.Add(time.Hour)
	save(nil) // judged again on what is stored

	got := must(db.Result(t.Context(), img.ID))(t)
	want := image("one", "l")
	want.ID, want.State, want.FirstSeen, want.Judgement = img.ID, tidewaiter.ImageJudged, start, &j
	same(t, "image", got.Image, want)
	same(t, "content", got.Content, content)
	same(t, "checks", got.Checks, checks)
	same(t, "registries", got.RegistryIDs, []string{"reg"})
	if len(got.Tags) != 1 || got.Tags[0].ID != tag || len(got.Findings) != 2 || len(got.Vulnerabilities) != 2 {
		t.Errorf("result: %+v", got)
	}
	if first := got.FirstFound[tidewaiter.FindingKey{PackageID: a.ID, Vulnerability: "CVE-1"}]; !first.Equal(start) {
		t.Errorf("found on the image at %s, before it was judged", first)
	}
	_, err := db.Result(t.Context(), 999)
	kind(t, err, tidewaiter.ErrNotFound)

	same(t, "holders of a", w.holders(a.ID), []store.Holding{{PackageID: a.ID, ImageID: img.ID}})
	content.Installed = content.Installed[:1]
	save(content)
	same(t, "holders of a", w.holders(a.ID), nil)
}

func (w *world) holders(packages ...int64) (out []store.Holding) {
	w.Helper()
	if err := w.db.Holders(w.Context(), packages, 0, 1<<40, func(h store.Holding) bool { out = append(out, h); return true }); err != nil {
		w.Fatal(err)
	}
	return out
}

// fleet is three judged images under four names, and a tag that failed.
func fleet(w *world) {
	for i, n := range []struct {
		tag, image string
		critical   int
	}{{"b-1", "one", 1}, {"a-1", "two", 3}, {"c_1", "three", 0}} {
		j := judgement()
		j.Vulnerabilities = tidewaiter.Counts{Critical: n.critical, Low: 1}
		j.Checks = tidewaiter.Counts{High: i}
		j.JudgedAt = start.Add(time.Duration(i) * time.Hour)
		if n.critical == 3 {
			j.Verdict.Effect = tidewaiter.EffectBlock
		}
		img := image(n.image, "l")
		img.CreatedAt = start.Add(time.Duration(-i) * time.Hour)
		w.judged(n.tag, img, j)
	}
	img := image("one", "l")
	w.index(w.tag("d%1"), img.Digest, img)
	failed := w.tag("A-failed")
	w.update(func(ctx context.Context, tx *store.Tx) error {
		_, err := tx.TagFailed(ctx, failed, tidewaiter.ErrAuth, "refused", start)
		return err
	})
	w.tag("waiting")
}

func names(rows []store.Row) (out []string) {
	for _, r := range rows {
		out = append(out, r.Tag.Name)
	}
	return out
}

func testResults(t *testing.T, db *store.DB) {
	w := newWorld(t, db)
	fleet(w)
	for name, c := range map[string]struct {
		filter store.ResultFilter
		want   []string
	}{
		"all":               {store.ResultFilter{}, []string{"A-failed", "a-1", "b-1", "c_1", "d%1"}},
		"descending":        {store.ResultFilter{Desc: true}, []string{"d%1", "c_1", "b-1", "a-1", "A-failed"}},
		"risk":              {store.ResultFilter{Sort: store.SortVulnerabilityRisk, Desc: true}, []string{"a-1", "d%1", "b-1", "c_1", "A-failed"}},
		"compliance":        {store.ResultFilter{Sort: store.SortComplianceRisk}, []string{"b-1", "d%1", "a-1", "c_1", "A-failed"}},
		"scan time":         {store.ResultFilter{Sort: store.SortScanTime, Desc: true}, []string{"c_1", "a-1", "d%1", "b-1", "A-failed"}},
		"created":           {store.ResultFilter{Sort: store.SortCreated}, []string{"c_1", "a-1", "b-1", "d%1", "A-failed"}},
		"registry":          {store.ResultFilter{RegistryIDs: []string{"nobody"}}, nil},
		"host":              {store.ResultFilter{Hosts: []string{host}, Judged: true}, []string{"a-1", "b-1", "c_1", "d%1"}},
		"repository":        {store.ResultFilter{Repositories: []string{"team/app"}, Failed: true}, []string{"A-failed"}},
		"other repository":  {store.ResultFilter{Repositories: []string{"team"}}, nil},
		"tag":               {store.ResultFilter{Tags: []string{"a-1", "b-1", "z"}}, []string{"a-1", "b-1"}},
		"reference":         {store.ResultFilter{References: []string{host + "/team/app:a-1"}}, []string{"a-1"}},
		"config digest":     {store.ResultFilter{ImageIDs: []string{"sha256:config-one"}}, []string{"b-1", "d%1"}},
		"digest":            {store.ResultFilter{Digests: []string{"sha256:two"}}, []string{"a-1"}},
		"severity":          {store.ResultFilter{MinSeverity: tidewaiter.SeverityHigh}, []string{"a-1", "b-1", "d%1"}},
		"verdict":           {store.ResultFilter{Verdicts: []tidewaiter.Effect{tidewaiter.EffectBlock}}, []string{"a-1"}},
		"offset":            {store.ResultFilter{Page: store.Page{Offset: 4}}, []string{"d%1"}},
		"offset by risk":    {store.ResultFilter{Sort: store.SortVulnerabilityRisk, Page: store.Page{Offset: 3}}, []string{"a-1", "A-failed"}},
		"offset past risks": {store.ResultFilter{Sort: store.SortVulnerabilityRisk, Page: store.Page{Offset: 4}}, []string{"A-failed"}},
		"offset past all":   {store.ResultFilter{Sort: store.SortVulnerabilityRisk, Page: store.Page{Offset: 5}}, nil},
	} {
		got, _, err := db.Results(t.Context(), c.filter)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		same(t, name, names(got), c.want)
		for _, row := range got {
			if failed := row.Tag.Name == "A-failed"; failed != (row.Image == nil) || !slices.Equal(row.RegistryIDs, []string{"reg"}) {
				t.Errorf("%s: row %+v", name, row)
			}
		}
		if c.filter.Offset == 0 {
			same(t, name+" counted", must(db.CountResults(t.Context(), c.filter))(t), len(c.want))
		}
	}
	_, _, err := db.Results(t.Context(), store.ResultFilter{Sort: "colour"})
	kind(t, err, tidewaiter.ErrInvalid)
	full, _, err := db.Results(t.Context(), store.ResultFilter{Tags: []string{"a-1"}, Full: true})
	if err != nil || len(full) != 1 || len(full[0].Image.Layers) != 1 || full[0].Image.Config.User != "app" {
		t.Errorf("full: %+v, %v", full, err)
	}
}

// testResultPages reads every order page by page, while tags are added, and sees each row that was there exactly once.
func testResultPages(t *testing.T, db *store.DB) {
	w := newWorld(t, db)
	fleet(w)
	added := 0
	for _, sort := range []store.ResultSort{
		store.SortReference, store.SortScanTime, store.SortVulnerabilityRisk, store.SortComplianceRisk, store.SortCreated,
	} {
		for _, desc := range []bool{false, true} {
			for limit := 1; limit <= 3; limit++ {
				seen := map[string]int{}
				f := store.ResultFilter{Sort: sort, Desc: desc, Page: store.Page{Limit: limit}}
				for pages := range 100 {
					got, next, err := db.Results(t.Context(), f)
					if err != nil {
						t.Fatal(err)
					}
					for _, row := range got {
						seen[row.Tag.Name]++
					}
					if pages == 0 {
						added++
						w.judged("new-"+number(added), image("new-"+number(added), "l"), judgement())
					}
					if f.After = next; next == "" {
						break
					}
				}
				for _, name := range []string{"A-failed", "a-1", "b-1", "c_1", "d%1"} {
					if seen[name] != 1 {
						t.Errorf("sorted by %s, desc %t, %d a page: %s was seen %d times", sort, desc, limit, name, seen[name])
					}
				}
			}
		}
	}
}

func testSearch(t *testing.T, db *store.DB) {
	w := newWorld(t, db)
	fleet(w)
	for search, want := range map[string][]string{
		"APP:a": {"A-failed", "a-1"}, "_1": {"c_1"}, "%1": {"d%1"}, "%": {"d%1"}, "_": {"c_1"}, `\`: nil, "'": nil, "?": nil, "EXAMPLE.com/TEAM": {"A-failed", "a-1", "b-1", "c_1", "d%1"},
	} {
		got, _, err := db.Results(t.Context(), store.ResultFilter{Search: search})
		if err != nil {
			t.Errorf("search for %q: %v", search, err)
		}
		same(t, "search for "+search, names(got), want)
	}
}

func where(w store.ImageWhere) store.ImageFilter { return store.ImageFilter{Where: &w} }

func testImages(t *testing.T, db *store.DB) {
	w := newWorld(t, db)
	fleet(w)
	waiting := image("waiting", "not yet")
	waiting.CreatedAt = start.Add(time.Hour)
	w.index(w.tag("waiting"), waiting.Digest, waiting)
	for name, c := range map[string]struct {
		filter store.ImageFilter
		want   []string
	}{
		"all":         {store.ImageFilter{}, []string{"waiting", "one", "two", "three"}},
		"oldest":      {store.ImageFilter{Asc: true}, []string{"three", "two", "one", "waiting"}},
		"registry":    {store.ImageFilter{RegistryIDs: []string{"reg"}, States: []tidewaiter.ImageState{tidewaiter.ImageWaiting}}, []string{"waiting"}},
		"no registry": {store.ImageFilter{RegistryIDs: []string{"nobody"}}, nil},
		"tag":         {store.ImageFilter{Host: host, Repository: "team/app", Tag: "d%1"}, []string{"one"}},
		"digest":      {store.ImageFilter{Digest: "sha256:two"}, []string{"two"}},
		"config":      {store.ImageFilter{ConfigDigest: "sha256:config-two", Search: "A-1"}, []string{"two"}},
		"since":       {store.ImageFilter{UpdatedSince: start.Add(time.Second)}, nil},
		"where all":   {where(store.ImageWhere{All: []store.ImageWhere{{Name: &store.NameWhere{Hosts: []string{host}, RepositoryPattern: "*M/AP*"}}, {Created: &store.TimeRange{}}}}), []string{"waiting", "one", "two", "three"}},
		"where none":  {where(store.ImageWhere{Any: []store.ImageWhere{}}), nil},
		"where any":   {where(store.ImageWhere{Any: []store.ImageWhere{{DigestPrefix: "sha256:on"}, {Digests: []string{"sha256:config-two"}}}}), []string{"one", "two"}},
		"where not":   {where(store.ImageWhere{Not: &store.ImageWhere{States: []tidewaiter.ImageState{tidewaiter.ImageWaiting}}}), []string{"one", "two", "three"}},
		"names":       {where(store.ImageWhere{Name: &store.NameWhere{RegistryIDs: []string{"reg"}, Repositories: []string{"team/app"}, Tags: []string{"d%1"}}}), []string{"one"}},
		"part of tag": {where(store.ImageWhere{Name: &store.NameWhere{HostPattern: "*EXAMPLE*", TagPattern: "D%*"}}), []string{"one"}},
		"unjudged":    {where(store.ImageWhere{Not: &store.ImageWhere{Judged: &store.TimeRange{}}}), []string{"waiting"}},
		"judged":      {where(store.ImageWhere{Judged: &store.TimeRange{From: start, Before: start.Add(time.Second)}}), []string{"one"}},
		"before":      {where(store.ImageWhere{Updated: &store.TimeRange{Before: start}}), nil},
		"size":        {where(store.ImageWhere{Size: &[2]int64{12345, 12345}}), []string{"waiting", "one", "two", "three"}},
		"smaller":     {where(store.ImageWhere{Size: &[2]int64{0, 12344}}), nil},
		"arch":        {where(store.ImageWhere{All: []store.ImageWhere{{Architecture: "AMD64"}, {System: "nobody's"}}}), nil},
		"critical":    {where(store.ImageWhere{Severities: []tidewaiter.Severity{tidewaiter.SeverityCritical}}), []string{"one", "two"}},
		"updated":     {store.ImageFilter{UpdatedSince: start, Sort: store.ImagesByUpdated, Asc: true}, []string{"one", "two", "three", "waiting"}},
	} {
		var got []string
		f := c.filter
		f.Limit = 2
		for {
			list, next, err := db.Images(t.Context(), f)
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			for _, img := range list {
				got = append(got, img.Digest[len("sha256:"):])
				if img.Digest == "sha256:one" && (len(img.Tags) != 2 || !slices.Equal(img.RegistryIDs, []string{"reg"})) {
					t.Errorf("%s: %+v", name, img)
				}
			}
			if f.After = next; next == "" {
				break
			}
		}
		same(t, name, got, c.want)
		same(t, name+" counted", must(db.CountImages(t.Context(), c.filter))(t), len(c.want))
	}
	_, _, err := db.Images(t.Context(), store.ImageFilter{Sort: "colour"})
	kind(t, err, tidewaiter.ErrInvalid)
}

func testVulnerableImages(t *testing.T, db *store.DB) {
	w := newWorld(t, db)
	bad, good := pkg("bad"), pkg("good")
	w.intern(bad, good)
	w.update(func(ctx context.Context, tx *store.Tx) error {
		return tx.SaveFindings(ctx, advisories, map[int64][]tidewaiter.Finding{bad.ID: {finding("CVE-1", tidewaiter.SeverityHigh)}, good.ID: nil}, nil, start)
	})
	for i := range 5 {
		img := image(number(i), "l")
		w.judged(number(i), img, judgement())
		p := bad
		if i == 2 {
			p = good
		}
		w.update(func(ctx context.Context, tx *store.Tx) error {
			j := judgement()
			_, err := tx.SaveJudgement(ctx, store.SaveJudgement{ImageID: img.ID, Judgement: &j, Now: start,
				Content: &tidewaiter.Content{Installed: []tidewaiter.Installed{{Package: p}, {Package: p, Path: "twice"}}}})
			return err
		})
	}
	var got []string
	p := store.Page{Limit: 3}
	for {
		list, next, err := db.ImagesWithVulnerability(t.Context(), "CVE-1", p)
		if err != nil {
			t.Fatal(err)
		}
		for _, img := range list {
			got = append(got, img.Tags[0].Name)
		}
		if p.After = next; next == "" {
			break
		}
	}
	same(t, "images", got, []string{number(0), number(1), number(3), number(4)})
}
