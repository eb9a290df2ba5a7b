package prisma_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

func TestRuleMeaning(t *testing.T) {
	everything := tidewaiter.Threshold{Enabled: true}
	at := func(s tidewaiter.Severity) tidewaiter.Threshold {
		return tidewaiter.Threshold{Enabled: true, Severity: s}
	}
	for name, tt := range map[string]struct {
		sent string
		want tidewaiter.Rule
	}{
		"alert on everything": {`"alertThreshold":{"disabled":false,"enabled":false}`, tidewaiter.Rule{Alert: everything}},
		"alerts off":          {`"alertThreshold":{"disabled":true,"value":0}`, tidewaiter.Rule{}},
		"thresholds": {`"alertThreshold":{"value":4},"blockThreshold":{"enabled":true,"value":9.0}`,
			tidewaiter.Rule{Alert: at(tidewaiter.SeverityMedium), Block: at(tidewaiter.SeverityCritical)}},
		"block value without enabled": {`"blockThreshold":{"enabled":false,"value":7}`,
			tidewaiter.Rule{Alert: everything, Block: tidewaiter.Threshold{Severity: tidewaiter.SeverityHigh}}},
		"block at 0 is off": {`"blockThreshold":{"enabled":true,"value":0}`, tidewaiter.Rule{Alert: everything}},
		"flags": {`"disabled":true,"onlyFixed":true,"excludeBaseImageVulns":true,"allCompliance":true,"effect":"alert, block"`,
			tidewaiter.Rule{Alert: everything, Disabled: true, OnlyFixed: true, ExcludeBase: true, AllChecks: true}},
		"grace": {`"graceDays":5`, tidewaiter.Rule{Alert: everything, Grace: tidewaiter.Grace{Days: 5}}},
		"grace by severity": {`"graceDays":5,"graceDaysPolicy":{"enabled":true,"critical":1,"high":2,"medium":3}`,
			tidewaiter.Rule{Alert: everything, Grace: tidewaiter.Grace{BySeverity: map[tidewaiter.Severity]int{tidewaiter.SeverityCritical: 1,
				tidewaiter.SeverityHigh: 2, tidewaiter.SeverityMedium: 3, tidewaiter.SeverityLow: 0}}}},
		"exceptions": {`"cveRules":[{"id":"CVE-1","effect":"ignore","description":"d","expiration":{"enabled":true,"date":"2030-01-01T00:00:00Z"}},
			{"id":"CVE-2","effect":"block","expiration":{"enabled":false,"date":"2020-01-01T00:00:00Z"}}],"tags":[{"name":"t","effect":"alert"}]`,
			tidewaiter.Rule{Alert: everything, Exceptions: []tidewaiter.Exception{
				{Vulnerability: "CVE-1", Effect: "ignore", Description: "d", Expires: time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)},
				{Vulnerability: "CVE-2", Effect: "block"}, {Tag: "t", Effect: "alert"}}}},
		"risk factors": {`"riskFactorsEffects":[{"riskFactor":"Has fix","effect":"block"},{"riskFactor":"DoS","effect":"alert"},{"riskFactor":"Host access","effect":"alert"}]`,
			tidewaiter.Rule{Alert: everything, RiskFactors: []tidewaiter.RiskFactorRule{{Factor: tidewaiter.RiskHasFix, Effect: "block"},
				{Factor: tidewaiter.RiskDoSLow, Effect: "alert"}, {Factor: tidewaiter.RiskDoSHigh, Effect: "alert"}, {Factor: "Host access", Effect: "alert"}}}},
		"package types": {`"pkgTypesThresholds":[{"type":"nodejs","alertThreshold":{"value":1},"blockThreshold":{"enabled":true,"value":7}}]`,
			tidewaiter.Rule{Alert: everything, Ecosystems: []tidewaiter.EcosystemRule{{Type: "nodejs", Alert: at(tidewaiter.SeverityLow), Block: at(tidewaiter.SeverityHigh)}}}},
		"licences": {`"license":{"alertThreshold":{"enabled":true,"value":4},"blockThreshold":{"enabled":true,"value":9},"critical":["AGPL-3.0"],"low":["MIT"]}`,
			tidewaiter.Rule{Alert: everything, Licenses: tidewaiter.LicenseRule{Alert: at(tidewaiter.SeverityMedium), Block: at(tidewaiter.SeverityCritical),
				Severities: map[string]tidewaiter.Severity{"AGPL-3.0": tidewaiter.SeverityCritical, "MIT": tidewaiter.SeverityLow}}}},
		"checks": {`"condition":{"vulnerabilities":[{"id":41,"block":true},{"id":406,"minSeverity":"high"},{"id":425,"minSeverity":7},{"id":426,"minSeverity":null}]}`,
			tidewaiter.Rule{Alert: everything, Checks: map[int]tidewaiter.CheckEffect{41: {Block: true}, 406: {MinSeverity: tidewaiter.SeverityHigh},
				425: {MinSeverity: tidewaiter.SeverityHigh}, 426: {}}}},
	} {
		t.Run(name, func(t *testing.T) {
			c := start(t)
			for path, kind := range map[string]tidewaiter.PolicyKind{"/policies/vulnerability/images": tidewaiter.PolicyVulnerability,
				"/policies/compliance/images": tidewaiter.PolicyCompliance} {
				c.ok("PUT", path, `{"rules":[{"name":"r","collections":[{"name":"All","hosts":["*"]}],`+tt.sent+`}]}`)
				p, err := c.control.Policy(t.Context(), kind)
				c.must(err)
				got := p.Rules[0]
				got.Declaration = nil
				want := tt.want
				want.Name, want.Collections, want.Owner, want.Modified = "r", []string{"All"}, "admin", c.clock.Now()
				if diff := cmp.Diff(want, got); diff != "" {
					t.Errorf("%s (-want +got):\n%s", kind, diff)
				}
			}
		})
	}
}

func TestPolicyRoundTripChangesNothing(t *testing.T) {
	c := filled(t)
	for _, path := range []string{"/policies/vulnerability/images", "/policies/compliance/container"} {
		c.ok("PUT", path, c.call("GET", path, "").body)
		once := c.call("GET", path, "").body
		c.ok("PUT", path, once)
		if again := c.call("GET", path, "").body; again != once {
			t.Errorf("%s changed:\n%s", path, cmp.Diff(once, again))
		}
	}
	if a, b := c.call("GET", "/policies/compliance/container", "").body, c.call("GET", "/policies/compliance/images", "").body; a != b {
		t.Error("the alias answers something else")
	}
}

func TestDefaultPolicies(t *testing.T) {
	c := start(t)
	type policy struct {
		ID    string `json:"_id"`
		Rules []struct{ Name string }
	}
	for path, want := range map[string][3]string{
		"/policies/vulnerability/images": {"containerVulnerability", "Default - ignore Twistlock components", "Default - alert all components"},
		"/policies/compliance/container": {"containerCompliance", "Default - ignore Twistlock components", "Default - alert on critical and high"},
	} {
		got := get[policy](c, path)
		if len(got.Rules) != 2 || [3]string{got.ID, got.Rules[0].Name, got.Rules[1].Name} != want {
			t.Errorf("%s: %+v", path, got)
		}
		c.ok("PUT", path, `{}`)
		if left := get[policy](c, path).Rules; left == nil || len(left) != 0 {
			t.Errorf("%s: {} left %v", path, left)
		}
	}
}

func TestPolicyShowsInResults(t *testing.T) {
	c := filled(t)
	type shown struct {
		Vulnerabilities []struct {
			CVE             string
			Block           bool
			GracePeriodDays int
		}
	}
	read := func() shown { return get[[]shown](c, "/registry?name=r.example.com/team/app:v1")[0] }
	if v := read().Vulnerabilities[0]; v.CVE != "CVE-2026-0001" || v.Block || v.GracePeriodDays != 3 {
		t.Errorf("within the grace period: %+v", v)
	}
	c.clock.forward(4 * 24 * time.Hour)
	if v := read().Vulnerabilities[0]; !v.Block || v.GracePeriodDays != 0 {
		t.Errorf("after it: %+v", v)
	}
}

func TestCollections(t *testing.T) {
	c := start(t)
	c.ok("POST", "/collections", `{"name":"a:b_c-1","images":["x*"]}`)
	type named struct {
		Name, Color, Owner, Description string
		Hosts, Images                   []string
		System                          bool
	}
	list := get[[]named](c, "/collections")
	if len(list) != 3 || list[0].Name != "All" || list[0].Color != "#3FA2F7" || !list[0].System || list[1].Name != "Prisma Cloud resources" || list[1].Color != "#021745" {
		t.Fatalf("collections: %+v", list)
	}
	mine := list[2]
	if diff := cmp.Diff(named{Name: "a:b_c-1", Color: mine.Color, Owner: "admin", Hosts: []string{"*"}, Images: []string{"x*"}}, mine); diff != "" || len(mine.Color) != 7 {
		t.Errorf("(-want +got):\n%s", diff)
	}
	for query, want := range map[string]int{"?system=true": 2, "?system=false": 1, "?prisma=true": 0, "?excludePrisma=true": 3} {
		if n := len(get[[]named](c, "/collections"+query)); n != want {
			t.Errorf("%s: %d, want %d", query, n, want)
		}
	}
	c.ok("PUT", "/collections/a:b_c-1", `{"name":"a:b_c-1","hosts":["h"],"description":"d"}`)
	if got := get[[]named](c, "/collections?system=false")[0]; got.Images[0] != "*" || got.Hosts[0] != "h" || got.Description != "d" {
		t.Errorf("replaced: %+v", got)
	}
	c.ok("PUT", "/policies/vulnerability/images", `{"rules":[{"name":"r","collections":[{"name":"a:b_c-1"}]}]}`)
	c.ok("PUT", "/settings/registry?scanLater=true", `{"specifications":[{"version":"2","repository":"library/*","collections":["a:b_c-1"]}]}`)
	if got := c.call("GET", "/collections/a:b_c-1/usages", "").body; got != `[{"name":"r","type":"policy"},{"name":"library/*","type":"registryScan"}]` {
		t.Errorf("usages: %s", got)
	}
	for _, undo := range [][2]string{{"/policies/vulnerability/images", `{}`}, {"/settings/registry", ``}} {
		if a := c.call("DELETE", "/collections/a:b_c-1", ""); a.status != 409 {
			t.Errorf("deleted while in use: %d %s", a.status, a.body)
		}
		c.ok("PUT", undo[0], undo[1])
	}
	c.ok("DELETE", "/collections/a:b_c-1", "")
	if n := len(get[[]named](c, "/collections")); n != 2 {
		t.Errorf("%d collections are left", n)
	}
}
