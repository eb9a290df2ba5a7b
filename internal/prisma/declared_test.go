package prisma_test

import (
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tidewaiter/tidewaiter/internal/policy"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// shownResult is what these tests read of a result.
type shownResult struct {
	ID                     string `json:"_id"`
	BaseImage              string
	VulnerabilitiesCount   int
	VulnerabilityRiskScore int
	Vulnerabilities        []struct {
		CVE          string
		Block        bool
		VulnTagInfos []struct{ Name, Color, Comment string }
	}
	History []struct {
		BaseLayer, EmptyLayer bool
	}
	AllCompliance struct {
		Enabled    bool
		Compliance []struct{ ID int }
	}
}

func (c *console) result(query string) shownResult {
	c.Helper()
	list := get[[]shownResult](c, "/registry?name=r.example.com/team/app:v1"+query)
	if len(list) != 1 {
		c.Fatalf("%d results", len(list))
	}
	return list[0]
}

func (r *shownResult) cves() (out []string) {
	for _, v := range r.Vulnerabilities {
		out = append(out, v.CVE)
	}
	slices.Sort(out)
	return out
}

func TestBaseImages(t *testing.T) { onBoth(t, baseImages) }

func baseImages(t *testing.T, c *console) {
	all := c.result("")
	if all.BaseImage != "r.example.com/toolbox/base:12" || !all.History[0].BaseLayer || all.History[len(all.History)-1].BaseLayer {
		t.Errorf("base image %q, history %+v", all.BaseImage, all.History)
	}
	own := c.result("&filterBaseImage=true")
	if diff := cmp.Diff([]string{"GHSA-aaaa-bbbb-cccc"}, own.cves()); diff != "" || own.VulnerabilitiesCount != 1 || own.VulnerabilityRiskScore != 10_000 {
		t.Errorf("without the base image: %d, %d %s", own.VulnerabilitiesCount, own.VulnerabilityRiskScore, diff)
	}
	if compact := c.result("&filterBaseImage=true&compact=true"); compact.VulnerabilitiesCount != 1 || compact.Vulnerabilities != nil {
		t.Errorf("compact: %+v", compact)
	}
	const rule = `{"rules":[{"name":"r","collections":[{"name":"All"}],"excludeBaseImageVulns":true,"blockThreshold":{"enabled":true,"value":7}}]}`
	c.ok("PUT", "/policies/vulnerability/images", rule)
	for _, v := range c.result("").Vulnerabilities {
		if v.Block != (v.CVE == "GHSA-aaaa-bbbb-cccc") {
			t.Errorf("%s blocks: %v", v.CVE, v.Block)
		}
	}
	c.ok("POST", "/policies/vulnerability/base-images", `{"_id":"r.example.com/toolbox/base:*","description":"other words"}`)
	c.ok("DELETE", "/policies/vulnerability/base-images/r.example.com%2Ftoolbox%2Fbase:*", "")
	if got := c.result("&filterBaseImage=true"); got.BaseImage != "" || len(got.Vulnerabilities) != len(all.Vulnerabilities) {
		t.Errorf("after the declaration was taken back: %q, %d", got.BaseImage, len(got.Vulnerabilities))
	}
	if a := c.call("GET", "/policies/vulnerability/base-images/download", ""); a.body != "no data.\n" || a.header.Get("Content-Type") != "text/csv" {
		t.Errorf("download of nothing: %q", a.body)
	}
}

func TestTagsAreShownAndMakeExceptions(t *testing.T) { onBoth(t, tagsAreShownAndMakeExceptions) }

func tagsAreShownAndMakeExceptions(t *testing.T, c *console) {
	tagsOf := func(cve string) (out []string) {
		for _, v := range c.result("").Vulnerabilities {
			if v.CVE == cve {
				for _, info := range v.VulnTagInfos {
					out = append(out, info.Name+" "+info.Comment)
				}
			}
		}
		return out
	}
	const lodash = "GHSA-aaaa-bbbb-cccc"
	check := func(what string, want ...string) {
		t.Helper()
		if got := tagsOf(lodash); !slices.Equal(got, want) {
			t.Errorf("%s: %q, want %q", what, got, want)
		}
	}
	check("on the image", "t soon")
	c.ok("POST", "/tags", `{"name":"a tag","color":""}`)
	for what, body := range map[string]string{
		"another package":    `{"id":"GHSA-aaaa-bbbb-cccc","packageName":"express"}`,
		"another image":      `{"id":"GHSA-aaaa-bbbb-cccc","packageName":"lodash","resourceType":"image","resources":["other/*"]}`,
		"hosts":              `{"id":"GHSA-aaaa-bbbb-cccc","resourceType":"host","resources":["*"]}`,
		"another base image": `{"id":"GHSA-aaaa-bbbb-cccc","resourceType":"image","resources":["*:11"],"checkBaseLayer":true}`,
	} {
		c.ok("POST", "/tags/a%20tag/vuln", body)
		check(what, "t soon")
	}
	c.ok("POST", "/tags/a%20tag/vuln", `{"id":"ghsa-aaaa-bbbb-cccc","resourceType":"image","resources":["*base:12"],"checkBaseLayer":true,"comment":"base"}`)
	check("this base image", "t soon", "a tag base")
	c.ok("PUT", "/tags/a%20tag", `{"name":"renamed"}`)
	check("renamed", "t soon", "renamed base")

	c.ok("PUT", "/policies/vulnerability/images", `{"rules":[{"name":"r","collections":[{"name":"All"}],"tags":[{"name":"renamed","effect":"block"}]}]}`)
	for _, v := range c.result("").Vulnerabilities {
		if v.Block != (v.CVE == lodash) {
			t.Errorf("%s blocks: %v", v.CVE, v.Block)
		}
	}
	c.ok("DELETE", "/tags/t/vuln", `{"id":"GHSA-aaaa-bbbb-cccc","packageName":"lodash"}`)
	c.ok("DELETE", "/tags/renamed", "")
	check("taken off")
}

func TestChangesHaveImagesJudgedAgain(t *testing.T) {
	c := filled(t)
	c.jobs.take()
	for _, w := range [][3]string{
		{"PUT", "/policies/vulnerability/images", `{}`},
		{"PUT", "/policies/compliance/container", `{}`},
		{"PUT", "/collections/blue", `{"images":["x"]}`},
		{"DELETE", "/collections/blue", ""},
		{"POST", "/tags", `{"name":"n"}`},
		{"POST", "/policies/vulnerability/base-images", `{"_id":"a/b:c"}`},
		{"DELETE", "/policies/vulnerability/base-images/a/b:c", ""},
	} {
		if w[0] == "DELETE" && w[1] == "/collections/blue" {
			c.ok("PUT", "/settings/registry?scanLater=true", "")
			c.jobs.take()
		}
		c.ok(w[0], w[1], w[2])
		jobs := c.jobs.take()
		if len(jobs) != 1 || jobs[0].Kind != policy.JobApply || jobs[0].UniqueKey == "" || jobs[0].Lane != tidewaiter.LaneSystem {
			t.Errorf("%s %s queued %+v", w[0], w[1], jobs)
		}
	}
	c.ok("PUT", "/policies/vulnerability/ci/images", `{"rules":[{"name":"ci","collections":[{"name":"All"}]}]}`)
	if jobs := c.jobs.take(); len(jobs) != 0 {
		t.Errorf("a policy for images on their way queued %+v", jobs)
	}
}

func TestImpactedIsWhatTheRuleDecidesOn(t *testing.T) { onBoth(t, impactedIsWhatTheRuleDecidesOn) }

func impactedIsWhatTheRuleDecidesOn(t *testing.T, c *console) {
	c.ok("PUT", "/policies/vulnerability/images", `{"rules":[{"name":"off","disabled":true,"collections":[{"name":"All"}]},
		{"name":"blue","collections":[{"name":"blue"}]},{"name":"all","collections":[{"name":"All"}]}]}`)
	for rule, want := range map[string][]string{
		"blue": {"r.example.com/team/app:v1", "r.example.com/team/app:v2", "r.example.com/team/web:v1"},
		"all":  {"r.example.com/toolbox/base:12"}, "off": nil, "none": nil,
	} {
		a := c.call("GET", "/policies/vulnerability/images/impacted?compact=true&ruleName="+rule, "")
		var got []string
		for _, r := range get[[]shownResult](c, "/policies/vulnerability/images/impacted?compact=true&ruleName="+rule) {
			got = append(got, r.ID)
		}
		if !slices.Equal(got, want) || a.header.Get("Total-Count") != string(rune('0'+len(want))) {
			t.Errorf("%s: %q of %s, want %q", rule, got, a.header.Get("Total-Count"), want)
		}
	}
}

func TestAllComplianceShowsWhatPassed(t *testing.T) {
	c := filled(t)
	const rule = `{"rules":[{"name":"r","allCompliance":true,"collections":[{"name":"All"}],"condition":{"vulnerabilities":[{"id":41}]}}]}`
	if got := c.result("").AllCompliance; got.Enabled || got.Compliance != nil {
		t.Errorf("not asked for: %+v", got)
	}
	c.ok("PUT", "/policies/compliance/container", rule)
	if got := c.result("").AllCompliance; !got.Enabled || len(got.Compliance) != 1 || got.Compliance[0].ID != 406 {
		t.Errorf("asked for: %+v", got)
	}
}

func TestStatistics(t *testing.T) { onBoth(t, statistics) }

func statistics(t *testing.T, c *console) {
	type stats struct {
		RegistryImages struct {
			Count           int
			CVEs, Impacted  struct{ Critical, High, Total int }
			Vulnerabilities []struct {
				CVE                  string
				ImpactedResourcesCnt int
				ImpactedPkgs         []string
			}
		}
	}
	names := func(query string) (out []string) {
		t.Helper()
		for _, v := range get[[]stats](c, "/stats/vulnerabilities"+query)[0].RegistryImages.Vulnerabilities {
			out = append(out, v.CVE)
		}
		return out
	}
	all := []string{"CVE-2026-0001", "GHSA-aaaa-bbbb-cccc", "CVE-2020-0002"}
	for query, want := range map[string][]string{
		"": all, "?limit=1": all[:1], "?limit=1&offset=1": all[1:2], "?offset=9": nil, "?sort=cve": {all[2], all[0], all[1]},
		"?sort=cve&reverse=true": {all[1], all[0], all[2]}, "?cve=cve-20": {all[0], all[2]}, "?severityThreshold=high": all[:2],
		"?cvssThreshold=9": all[:1], "?packages=lodash": all[1:2], "?riskFactors=Has%20fix": all[:2], "?resourceType=host": nil,
	} {
		if got := names(query); !slices.Equal(got, want) {
			t.Errorf("%s: %q, want %q", query, got, want)
		}
	}
	first := get[[]stats](c, "/stats/vulnerabilities")[0].RegistryImages
	if first.Count != 3 || first.CVEs.Total != 3 || first.Impacted.Critical != 4 || first.Vulnerabilities[0].ImpactedResourcesCnt != 4 ||
		!slices.Equal(first.Vulnerabilities[1].ImpactedPkgs, []string{"lodash"}) || first.Vulnerabilities[1].ImpactedResourcesCnt != 3 {
		t.Errorf("numbers: %+v", first)
	}
	c.seed("team/more:v1")
	if n := get[[]stats](c, "/stats/vulnerabilities")[0].RegistryImages.Vulnerabilities[0].ImpactedResourcesCnt; n != 4 {
		t.Errorf("counted anew at once: %d", n)
	}
	c.ok200("POST", "/stats/vulnerabilities/refresh")
	if n := get[[]stats](c, "/stats/vulnerabilities")[0].RegistryImages.Impacted.Critical; n != 4 {
		t.Errorf("a name more is no image more: %d", n)
	}
	c.clock.forward(time.Minute)
	type compliance struct {
		IDs   []struct{ ID, Failed, Total int }
		Rules []struct {
			Name          string
			Failed, Total int
		}
	}
	got := get[compliance](c, "/stats/compliance")
	want := compliance{IDs: []struct{ ID, Failed, Total int }{{41, 4, 4}, {425, 4, 4}}}
	want.Rules = append(want.Rules, struct {
		Name          string
		Failed, Total int
	}{"Default - alert on critical and high", 8, 8})
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("compliance: %s", diff)
	}
	for query, n := range map[string]int{"?collections=blue": 3, "?ruleName=none": 0, "?policyType=hostCompliance": 0, "?category=Docker": 4, "?template=PCI": 0} {
		failed := 0
		for _, id := range get[compliance](c, "/stats/compliance"+query).IDs {
			if id.ID == 41 {
				failed = id.Failed
			}
		}
		if failed != n {
			t.Errorf("%s: check 41 failed on %d images, want %d", query, failed, n)
		}
	}
	c.ok200("POST", "/stats/compliance/refresh")
}

// ok200 calls what answers with a body.
func (c *console) ok200(method, path string) {
	c.Helper()
	if a := c.call(method, path, ""); a.status != 200 || a.body == "" {
		c.Errorf("%s %s: %d %q", method, path, a.status, a.body)
	}
}
