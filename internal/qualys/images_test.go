package qualys_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

func hexOf(n int) string { return strings.TrimPrefix(digestOf(n), "sha256:") }

// filled has a registry with three images under four names.
func filled(t *testing.T) (c *console, registryID string) {
	t.Helper()
	c = start(t)
	id := c.create(private("r1", "https://r.example.com", "robot", "p"))
	c.seed("team/app:v1", "team/app:v2", "team/web:v1")
	c.clock.forward(time.Minute)
	c.endScan(id, "")
	return c, id
}

type imageList struct {
	Data []struct {
		SHA             string
		ImageID         string
		Repo            []struct{ Registry, Repository, Tag string }
		RegistryUUID    []string
		ScanStatus      string
		LastScanned     string
		Vulnerabilities map[string]int
	}
	Count, Limit int
}

func (l imageList) names() []string {
	var out []string
	for _, i := range l.Data {
		for _, r := range i.Repo {
			out = append(out, r.Repository+":"+r.Tag)
		}
	}
	return out
}

func TestImageFilters(t *testing.T) {
	c, id := filled(t)
	all := []string{"team/web:v1", "team/app:v2", "team/app:v1"} // one creation time: newest row first
	scanned := c.clock.Now().Add(-time.Minute).UnixMilli()
	for filter, names := range map[string][]string{
		"":                           all,
		`repo.repository:"team/app"`: {"team/app:v2", "team/app:v1"},
		"repo.repository:`team/app`": {"team/app:v2", "team/app:v1"},
		`repo.repository:"team/ap"`:  nil,
		`repo.repository:ap`:         {"team/app:v2", "team/app:v1"},
		`repo.repository:*/web`:      {"team/web:v1"},
		`repo.repository:"team/app" AND repo.tag:"v2"`:                 {"team/app:v2"},
		`repo.repository:"team/app" and repo.registry:"r.example.com"`: {"team/app:v2", "team/app:v1"},
		`repo.registry:"https://R.example.com"`:                        all,
		`registryUri:"https://r.example.com"`:                          all,
		`registryUri:"https://other.example.com"`:                      nil,
		`registryUuid:` + id:                                           all,
		`registryUuid:[x,` + id + `] and repo.repository:"team/web"`:   {"team/web:v1"},
		`registryUuid:none`:                                            nil,
		`sha:` + hexOf(2001):                                           {"team/app:v2"},
		`sha:sha256:` + hexOf(2001):                                    {"team/app:v2"},
		`sha:` + hexOf(1001):                                           {"team/app:v2"}, // the manifest's
		`sha:` + hexOf(2001) + ` and lastScanned: [now-600s ... now]`:  {"team/app:v2"},
		`sha:` + hexOf(2001) + ` and lastScanned: [now-10s ... now]`:   nil,
		`imageId:` + hexOf(2001)[:12]:                                  all, // these digests begin alike
		`not lastScanned is null AND updated>1571077800000`:            all,
		`lastScanned is null`:                                          nil,
		`updated:[1700000000 ..]`:                                      all,
		`updated>4102444800000`:                                        nil,
		fmt.Sprintf(`updated>=%d`, scanned):                            all,
		fmt.Sprintf(`updated>%d`, scanned):                             nil,
		fmt.Sprintf(`lastScanned:%d`, scanned):                         all,
		`created:2026-01-02`:                                           all,
		`created:2026-01-03`:                                           nil,
		`vulnerabilities.severity:5`:                                   all,
		`vulnerabilities.severity:2`:                                   nil,
		`vulnerabilities.severity>=4 and repo.tag:v1`:                  {"team/web:v1", "team/app:v1"},
		`scanStatus:SUCCESS and operatingSystem:debian`:                all,
		`imagesInUse:'[now-7d ... now]'`:                               nil,
		`repo.tag:"v2" or repo.repository:"team/web"`:                  {"team/web:v1", "team/app:v2"},
	} {
		query := "/images?filter=" + strings.NewReplacer("%", "%25", "+", "%2B", " ", "+", `"`, "%22", "&", "%26", "`", "%60", ">", "%3E").Replace(filter)
		status := http.StatusOK
		if len(names) == 0 {
			status = http.StatusNoContent
		}
		got := want[imageList](c, status, "GET", query, "")
		if diff := cmp.Diff(names, got.names()); diff != "" || got.Count != len(names) {
			t.Errorf("%s: count %d %s", filter, got.Count, diff)
		}
	}
}

func TestImageSortAndPages(t *testing.T) {
	c, _ := filled(t)
	for query, names := range map[string][]string{
		"sort=created:asc":                           {"team/app:v1", "team/app:v2", "team/web:v1"},
		"sort=created:desc":                          {"team/web:v1", "team/app:v2", "team/app:v1"},
		"sort=updated:asc&pageSize=2":                {"team/app:v1", "team/app:v2"},
		"pageSize=2&pageNo=2":                        {"team/app:v1"},
		"pageSize=1&pageNumber=2":                    {"team/app:v2"},
		"pageSize=1&pageNumber=2&filter=repo.tag:v1": {"team/app:v1"},
	} {
		if diff := cmp.Diff(names, get[imageList](c, "/images?"+query).names()); diff != "" {
			t.Errorf("%s: %s", query, diff)
		}
	}
}

func TestImageListPagesByCursor(t *testing.T) {
	c, _ := filled(t)
	for _, query := range []string{"limit=1", "limit=2", "limit=2&filter=repo.tag:v1", "limit=50"} {
		var names []string
		path := "/csapi/v1.3/images/list?" + query
		for n := 0; path != ""; n++ {
			if n > 5 {
				t.Fatalf("%s does not end", query)
			}
			a := c.call("GET", path, "")
			list := get[imageList](c, path)
			names = append(names, list.names()...)
			link := a.header.Get("Link")
			if path = ""; link != "null" {
				next, rel, ok := strings.Cut(strings.TrimPrefix(link, "<"), ">;")
				if !ok || rel != "rel=next" || !strings.HasPrefix(next, c.url) {
					t.Fatalf("link %q", link)
				}
				path = strings.TrimPrefix(next, c.url)
			}
		}
		wanted := []string{"team/app:v1", "team/app:v2", "team/web:v1"}
		if strings.Contains(query, "v1") {
			wanted = []string{"team/app:v1", "team/web:v1"}
		}
		if diff := cmp.Diff(wanted, names); diff != "" {
			t.Errorf("%s: %s", query, diff)
		}
	}
	one := get[imageList](c, "/images/list?filter=sha:"+hexOf(2000))
	if diff := cmp.Diff([]string{"team/app:v1"}, one.names()); diff != "" || one.Limit != 50 {
		t.Error(diff)
	}
}

func TestImageNames(t *testing.T) {
	c, _ := filled(t)
	for path, status := range map[string]int{
		hexOf(2000): 200, "sha256:" + hexOf(2000): 200, "sha256%3A" + hexOf(2000): 200, strings.ToUpper(hexOf(2000)): 200,
		hexOf(1000): 200, hexOf(9999): 404, "team": 400, "nginx:latest": 400, hexOf(2000)[:12]: 400, "sha256:": 400,
	} {
		a := want[map[string]any](c, status, "GET", "/images/"+path, "")
		switch {
		case status == 200 && (a["sha"] != hexOf(2000) || a["imageId"] != hexOf(2000)[:12]):
			t.Errorf("%s: %v %v", path, a["sha"], a["imageId"])
		case status == 400 && a["message"] != "Invalid Image SHA provided":
			t.Errorf("%s: %v", path, a)
		}
	}
}

func TestVulnerabilities(t *testing.T) {
	c, _ := filled(t)
	type vuln struct {
		QID, Severity  int
		Title          string
		CVEIDs         []string
		PatchAvailable bool
		Result         string
		Software       []struct{ Name, Version, FixVersion string }
	}
	type answer struct {
		Details, Data []vuln
		VulnSummary   map[string]any
	}
	path := "/images/" + hexOf(2000) + "/vuln"
	all := get[answer](c, path)
	if len(all.Details) != 3 || len(all.Data) != 3 || all.VulnSummary == nil {
		t.Fatalf("%+v", all)
	}
	qids := []int{}
	for _, v := range all.Details {
		qids = append(qids, v.QID)
	}
	if qids[1] != 300000002 || qids[2] != 360000001 || qids[0] < 10_000_000 || qids[0] > 89_999_999 {
		t.Errorf("%v", qids)
	}
	worst := all.Details[2]
	if worst.Severity != 5 || worst.Title != "Overflow" || !worst.PatchAvailable || len(worst.Software) != 1 || worst.Software[0].FixVersion != "3.0.12-1" ||
		worst.Result != "#table cols=\"3\"\nPackage Installed_Version Required_Version\nlibssl3 3.0.11-1 3.0.12-1\n" {
		t.Errorf("%+v", worst)
	}
	if s := get[answer](c, path+"?type=SUMMARY"); s.Details != nil || s.Data != nil || s.VulnSummary == nil {
		t.Errorf("%+v", s)
	}
	if d := get[answer](c, path+"?type=details"); len(d.Details) != 3 || d.VulnSummary != nil {
		t.Errorf("%+v", d)
	}
	if d := get[answer](c, path+"?filter=severity:[4,5]&sort=severity:desc"); len(d.Details) != 2 || d.Details[0].Severity != 5 {
		t.Errorf("%+v", d)
	}
	counts := get[map[string]int](c, path+"/count")
	if diff := cmp.Diff(map[string]int{"severity5Count": 1, "severity4Count": 1, "severity3Count": 0, "severity2Count": 0, "severity1Count": 1}, counts); diff != "" {
		t.Error(diff)
	}
	want[map[string]any](c, 400, "GET", path+"?type=NONE", "")
	want[map[string]any](c, 404, "GET", "/images/"+hexOf(3)+"/vuln", "")
}

func TestExceptions(t *testing.T) {
	c, _ := filled(t)
	c.must(c.control.PutCollection(t.Context(), &tidewaiter.Collection{Name: "All", Images: []string{"*"}, Labels: []string{"*"}}))
	c.must(c.control.PutPolicy(t.Context(), &tidewaiter.Policy{Kind: tidewaiter.PolicyVulnerability, Rules: []tidewaiter.Rule{{
		Name: "rule", Collections: []string{"All"}, Alert: tidewaiter.Threshold{Enabled: true},
		Exceptions: []tidewaiter.Exception{{Vulnerability: "CVE-2026-0001", Effect: tidewaiter.EffectIgnore, Description: "not reached"}},
	}}}))
	path := "/images/" + hexOf(2000)
	for query, n := range map[string]int{"": 2, "?applyException=true": 2, "?applyException=false": 3} {
		if got := len(get[struct{ Details []any }](c, path+"/vuln"+query).Details); got != n {
			t.Errorf("%q: %d, want %d", query, got, n)
		}
	}
	got := get[map[string]any](c, path+"/exceptions")
	if got["count"] != 1.0 || got["groups"] != nil {
		t.Errorf("%v", got)
	}
	first := got["data"].([]any)[0].(map[string]any)
	if first["vulnerability"] != "CVE-2026-0001" || first["reason"] != "not reached" || first["qids"].([]any)[0] != 360000001.0 {
		t.Errorf("%v", first)
	}
}

func TestPartsOfAnImage(t *testing.T) {
	c, id := filled(t)
	path := "/images/" + hexOf(2000)
	software := get[struct {
		Count int
		Data  []struct {
			Name            string
			FixVersion      *string
			Vulnerabilities []any
		}
	}](c, path+"/software")
	if software.Count != 3 || software.Data[0].Name != "apt" || software.Data[0].FixVersion != nil || len(software.Data[1].Vulnerabilities) != 2 {
		t.Errorf("%+v", software)
	}
	if n := get[struct{ Count int }](c, path+"/software?filter=name:%22lodash%22").Count; n != 1 {
		t.Errorf("%d", n)
	}
	for _, kind := range []string{"", "?type=HOST", "?type=container"} {
		if a := c.call("GET", path+"/association"+kind, ""); a.body != `{"containers":[],"driftContainers":[],"hosts":[]}` {
			t.Errorf("%+v", a)
		}
	}
	if diff := cmp.Diff([]map[string]string{{"registryUuid": id, "registry": "r.example.com", "repo": "team/app", "tag": "v1"}},
		get[[]map[string]string](c, path+"/associatedRegistries")); diff != "" {
		t.Error(diff)
	}
	repositories := get[map[string]any](c, "/registry/"+id+"/repository")
	if repositories["count"] != 2.0 {
		t.Errorf("%v", repositories)
	}
	if a := c.call("GET", "/registry/"+id+"/repository?filter=repoName:%22nothing%22", ""); a.status != 204 {
		t.Errorf("%+v", a)
	}
	if got := get[struct{ Data []struct{ RepoName string } }](c, "/registry/"+id+"/repository?sort=totalImages:desc&pageSize=1").Data; len(got) != 1 || got[0].RepoName != "team/app" {
		t.Errorf("%+v", got)
	}
}

func TestRollUp(t *testing.T) {
	c, id := filled(t)
	got := get[map[string]any](c, "/registry/"+id)
	for key, value := range map[string]any{"repoCount": 2.0, "totalImages": 3.0, "totalScannedImages": 3.0, "totalVulnerableImages": 3.0} {
		if got[key] != value {
			t.Errorf("%s: %v", key, got[key])
		}
	}
	if diff := cmp.Diff(map[string]any{"Finished": 1.0}, got["scheduleStatusList"]); diff != "" {
		t.Error(diff)
	}
	if got["lastScanned"] != fmt.Sprint(c.clock.Now().UnixMilli()) || got["created"] != fmt.Sprint(c.clock.Now().Add(-time.Minute).UnixMilli()) {
		t.Errorf("%v %v", got["lastScanned"], got["created"])
	}
}
