package emulator_test

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/tidewaiter/tidewaiter/emulator"
)

func TestCatalogRefusesLargePagesWhereDistributionDoes(t *testing.T) {
	e, c := open(t, emulator.Options{MaxPage: 5})
	if a := c.get(e.URL + "/v2/_catalog?n=6"); a.status != http.StatusBadRequest || !strings.Contains(string(a.body), "PAGINATION_NUMBER_INVALID") {
		t.Errorf("status %d: %s", a.status, a.body)
	}
	a := c.get(e.URL + "/v2/_catalog")
	if link := a.header.Get("Link"); a.status != http.StatusOK || !strings.HasPrefix(link, "</v2/_catalog?") {
		t.Errorf("status %d, link %q", a.status, link)
	}
	var doc struct{ Tags []string }
	if c.json(e.URL+"/v2/acme/app-00000/tags/list", &doc); len(doc.Tags) != 27 {
		t.Errorf("%d tags at once", len(doc.Tags))
	}
}

func TestClosedCatalogs(t *testing.T) {
	for _, name := range []emulator.Kind{emulator.DockerHub, emulator.GHCR, emulator.GAR} {
		e := start(t, emulator.Options{Kind: name})
		if a := newClient(t, e).get(e.URL + "/v2/_catalog"); a.status != http.StatusNotFound {
			t.Errorf("%s: status %d", name, a.status)
		}
	}
}

func TestMadeUpCursorsAreRefused(t *testing.T) {
	e := start(t, emulator.Options{Kind: emulator.ECR})
	address := e.URL + "/v2/acme/app-00000/tags/list?n=10"
	c, _ := registryToken(t, e, address, "AWS", ecrPassword(t, e))
	if a := c.get(address + "&last=1.1000.109"); a.status != http.StatusMethodNotAllowed {
		t.Errorf("status %d", a.status)
	}
	if a := c.get(c.get(address).next(t, address)); a.status != http.StatusOK {
		t.Errorf("the link itself: status %d", a.status)
	}
}

func TestHubOrderingIsInverted(t *testing.T) {
	e := start(t, emulator.Options{Kind: emulator.DockerHub})
	var token struct {
		Access string `json:"access_token"`
	}
	hubToken(t, e, e.Login().Username, e.Login().Password).decode(t, &token)
	c := newClient(t, e, "Authorization", "Bearer "+token.Access)
	address := e.API + "/v2/namespaces/acme/repositories/app-00000/tags?page_size=500"
	for query, want := range map[string]string{"": "latest", "&ordering=-last_updated": "1.1000.100"} {
		var doc struct {
			Results []struct {
				Name   string
				Images []struct{ Architecture string }
			}
		}
		if c.json(address+query, &doc); doc.Results[0].Name != want || len(doc.Results) != 27 {
			t.Errorf("%q begins with %s, %d tags", query, doc.Results[0].Name, len(doc.Results))
		}
	}
	if a := c.get(address + "&page=2"); a.status != http.StatusNotFound {
		t.Errorf("past the end: status %d", a.status)
	}
	rc, _ := registryToken(t, e, e.URL+"/v2/acme/app-00000/tags/list?n=1", e.Login().Username, e.Login().Password)
	var all struct{ Tags []string }
	if rc.json(e.URL+"/v2/acme/app-00000/tags/list?n=1", &all); len(all.Tags) != 27 {
		t.Errorf("%d tags where n is ignored", len(all.Tags))
	}
}

func TestHarborWantsNamesEscapedTwice(t *testing.T) {
	e := start(t, emulator.Options{Kind: emulator.Harbor})
	c := newClient(t, e).basic(e.Login().Username, e.Login().Password)
	base := e.URL + "/api/v2.0/projects/acme/repositories/"
	for path, want := range map[string]int{
		"app-00003%252Fweb/artifacts": 200, "app-00003%2Fweb/artifacts": 404, "app-00000/artifacts": 200, "app-00000/artifacts?page_size=101": 422,
	} {
		if a := c.get(base + path); a.status != want {
			t.Errorf("%s: status %d, want %d", path, a.status, want)
		}
	}
}

func TestHarborSelectsByPushTime(t *testing.T) {
	newest := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	e := start(t, emulator.Options{Kind: emulator.Harbor, Newest: newest, Step: time.Hour, Repositories: 2, Tags: 50})
	c := newClient(t, e).basic(e.Login().Username, e.Login().Password)
	q := url.QueryEscape("push_time=[2025-12-31 12:00:00~2025-12-31 16:00:00],tags=*")
	var artifacts []struct {
		At time.Time `json:"push_time"`
	}
	a := c.json(e.URL+"/api/v2.0/projects/acme/repositories/app-00000/artifacts?sort=push_time&q="+q, &artifacts)
	if len(artifacts) != 5 || a.header.Get("X-Total-Count") != "5" || artifacts[0].At.Hour() != 12 || artifacts[4].At.Hour() != 16 {
		t.Errorf("%v of %s", artifacts, a.header.Get("X-Total-Count"))
	}
}

func TestQuayKeepsRobotsAndTokensApart(t *testing.T) {
	e := start(t, emulator.Options{Kind: emulator.Quay})
	l := e.Login()
	if a := newClient(t, e).basic(l.Username, l.Password).get(e.URL + "/api/v1/repository?namespace=acme"); a.status != http.StatusUnauthorized {
		t.Errorf("a robot at the API: status %d", a.status)
	}
	if _, status := registryToken(t, e, e.URL+"/v2/acme/app-00000/tags/list", l.Username, l.Token); status == http.StatusOK {
		t.Error("an API token as a robot's password")
	}
	if _, err := e.Move("acme/app-00000", "latest"); err != nil {
		t.Fatal(err)
	}
	c := newClient(t, e, "Authorization", "Bearer "+l.Token)
	for query, want := range map[string]int{"": 28, "&onlyActiveTags=true": 27} {
		var doc struct {
			Tags []struct {
				End int `json:"end_ts"`
			}
		}
		if c.json(e.URL+"/api/v1/repository/acme/app-00000/tag/?limit=100"+query, &doc); len(doc.Tags) != want {
			t.Errorf("%q: %d entries, want %d", query, len(doc.Tags), want)
		}
	}
}

func TestNexusConnectorSendsClientsElsewhere(t *testing.T) {
	e := start(t, emulator.Options{Kind: emulator.Nexus})
	c := newClient(t, e).basic(e.Login().Username, e.Login().Password)
	const path = "/v2/acme/app-00000/tags/list?n=10"
	next := c.get(e.URL+path).next(t, e.URL+path)
	if !strings.HasPrefix(next, e.API+"/v2/") || c.get(next).status != http.StatusNotFound {
		t.Errorf("connector: %q", next)
	}
	if a := c.get(e.API + "/repository/docker-hosted" + path); a.next(t, e.API) == "" {
		t.Error("hosted: no next page")
	}
	if a := c.get(e.API + "/repository/docker-group" + path); a.status != 200 || a.next(t, e.API) != "" {
		t.Errorf("group: status %d, %q", a.status, a.next(t, e.API))
	}
	if a := c.get(e.API + "/service/rest/v1/search?repository=docker-hosted&sort=lastModified"); a.status != http.StatusBadRequest {
		t.Errorf("sorted by time: status %d", a.status)
	}
}

func TestArtifactoryNamesImagesInThreeWays(t *testing.T) {
	for layout, host := range map[string]string{"path": "", "subdomain": "docker-local.localhost", "port": ""} {
		e := start(t, emulator.Options{Kind: emulator.Artifactory, Layout: layout})
		name := "acme/app-00000"
		if layout == "path" {
			name = "docker-local/" + name
		}
		if e.Repositories()[0] != name {
			t.Errorf("%s: %s", layout, e.Repositories()[0])
		}
		for path, want := range map[string]int{name: 200, "acme/app-09999": 404} {
			r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, e.URL+"/v2/"+path+"/tags/list", nil)
			if err != nil {
				t.Fatal(err)
			}
			r.Host = host
			r.SetBasicAuth(e.Login().Username, e.Login().Password)
			resp, err := newClient(t, e).http.Do(r)
			if err != nil {
				t.Fatal(err)
			}
			_ = resp.Body.Close()
			if resp.StatusCode != want {
				t.Errorf("%s, %s: status %d", layout, path, resp.StatusCode)
			}
		}
	}
}

func TestAQLSelects(t *testing.T) {
	e := start(t, emulator.Options{Kind: emulator.Artifactory, Repositories: 2, Tags: 50, Step: time.Hour})
	c := newClient(t, e, "X-JFrog-Art-Api", e.Login().Token)
	for query, want := range map[string]int{
		`items.find({"repo":"docker-local","name":"manifest.json","path":{"$match":"acme/app-00000/1.*"},"modified":{"$gte":"2025-12-31T20:00:00Z"}})`:     4,
		`items.find({"repo":"docker-local","name":"list.manifest.json"})`:                                                                                  12,
		`items.find({"repo":"docker-remote-cache","name":"list.manifest.json"})`:                                                                           12,
		`items.find({"name":"list.manifest.json"})`:                                                                                                        24,
		`items.find({"repo":"docker-local","name":"manifest.json","path":{"$nmatch":"*/sha256:*"}}).include("path").sort({"$desc":["modified"]}).limit(7)`: 7,
		`items.find({"repo":"docker-local","modified":{"$gt":"2026-01-01T00:00:00Z"}})`:                                                                    0,
	} {
		var doc struct{ Results []struct{ Path string } }
		c.do("POST", e.URL+"/artifactory/api/search/aql", "text/plain", []byte(query)).decode(t, &doc)
		if len(doc.Results) != want {
			t.Errorf("%s: %d results, want %d", query, len(doc.Results), want)
		}
	}
	for _, bad := range []string{"", "items.find(", `items.find({"size":{"$gt":1}})`, `builds.find({})`} {
		if a := c.do("POST", e.URL+"/artifactory/api/search/aql", "text/plain", []byte(bad)); a.status != http.StatusBadRequest {
			t.Errorf("%q: status %d", bad, a.status)
		}
	}
}

func TestGoogleTellsAllInOneListOfTags(t *testing.T) {
	e := start(t, emulator.Options{Kind: emulator.GAR})
	user, password := garLogin(t, e)
	var doc struct {
		Child    []string
		Tags     []string
		Manifest map[string]struct {
			Tag      []string
			Uploaded string `json:"timeUploadedMs"`
		}
	}
	address := e.URL + "/v2/acme-project/acme/app-00000/tags/list"
	c, _ := registryToken(t, e, address, user, password)
	if c.json(address, &doc); len(doc.Tags) != 27 || len(doc.Manifest) != 32 || doc.Manifest[e.Digest("acme-project/acme/app-00000", "latest")].Uploaded == "" {
		t.Errorf("%d tags, %d manifests", len(doc.Tags), len(doc.Manifest))
	}
	address = e.URL + "/v2/acme-project/acme/tags/list"
	c, _ = registryToken(t, e, address, user, password)
	if c.json(address, &doc); len(doc.Child) != 5 {
		t.Errorf("children %v", doc.Child)
	}
	ordered, plain := listGAROrdered(t, e, "update_time desc"), listGAROrdered(t, e, "")
	for name, tags := range plain {
		if len(ordered[name]) != len(tags) {
			t.Errorf("%s: %d tags in the order of time, %d otherwise", name, len(ordered[name]), len(tags))
		}
	}
}

func TestOpenShiftTellsOfChanges(t *testing.T) {
	e := start(t, emulator.Options{Kind: emulator.OpenShift})
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet,
		e.API+"/apis/image.openshift.io/v1/namespaces/acme/imagestreams?watch=true&resourceVersion=1000", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+e.Login().Token)
	resp, err := newClient(t, e).http.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	for _, name := range []string{"beta/app-00006", "acme/app-00001"} {
		if _, err := e.Move(name, "latest"); err != nil {
			t.Fatal(err)
		}
	}
	var event struct {
		Type   string
		Object struct{ Metadata struct{ Name string } }
	}
	if err := json.NewDecoder(resp.Body).Decode(&event); err != nil || event.Type != "MODIFIED" || event.Object.Metadata.Name != "app-00001" {
		t.Errorf("%+v, %v", event, err)
	}
}

func TestGitLabPagesAreSmall(t *testing.T) {
	e := start(t, emulator.Options{Kind: emulator.GitLab})
	c := newClient(t, e, "PRIVATE-TOKEN", e.Login().Token)
	var repositories []struct {
		Count int `json:"tags_count"`
	}
	c.json(e.API+"/api/v4/projects/acme%2Fapp-00003/registry/repositories?tags_count=true", &repositories)
	if len(repositories) != 1 || repositories[0].Count != 27 {
		t.Errorf("%+v", repositories)
	}
	var tags []any
	a := c.json(e.API+"/api/v4/projects/1000/registry/repositories/1/tags", &tags)
	if len(tags) != 20 || a.header.Get("X-Next-Page") != "2" || a.header.Get("X-Total") != "27" {
		t.Errorf("%d tags, %v", len(tags), a.header)
	}
}
