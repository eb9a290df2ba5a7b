package emulator_test

import (
	"net/url"
	"strconv"
	"strings"
	"testing"

	"github.com/tidewaiter/tidewaiter/emulator"
)

// The listers read a whole emulator through its native API, in small pages, each as its vendor documents it.

func listRegistry(t *testing.T, e *emulator.Emulator, user, password string) fleet {
	t.Helper()
	c, _ := registryToken(t, e, e.URL+"/v2/_catalog?n=4", user, password)
	f := fleet{}
	for at := e.URL + "/v2/_catalog?n=4"; at != ""; {
		var doc struct{ Repositories []string }
		a := c.json(at, &doc)
		for _, name := range doc.Repositories {
			address := e.URL + "/v2/" + name + "/tags/list?n=10"
			rc, _ := registryToken(t, e, address, user, password)
			for page := address; page != ""; {
				var tags struct{ Tags []string }
				b := rc.json(page, &tags)
				for _, tag := range tags.Tags {
					rc.header.Set("Accept", "*/*")
					f.add(name, tag, rc.do("HEAD", e.URL+"/v2/"+name+"/manifests/"+tag, "", nil).header.Get("Docker-Content-Digest"))
				}
				page = b.next(t, page)
			}
		}
		at = a.next(t, at)
	}
	return f
}

func listOCI(t *testing.T, e *emulator.Emulator) fleet {
	return listRegistry(t, e, e.Login().Username, e.Login().Password)
}

func listArtifactory(t *testing.T, e *emulator.Emulator) fleet {
	c := newClient(t, e, "Authorization", "Bearer "+e.Login().Token)
	var keys []struct{ Key, Type string }
	c.json(e.URL+"/artifactory/api/repositories?packageType=docker&type=local", &keys)
	if len(keys) != 1 {
		t.Fatalf("local repositories: %v", keys)
	}
	f := fleet{}
	for offset := 0; ; offset += 50 {
		var doc struct {
			Results []struct{ Repo, Path, Name, SHA256, Modified string }
		}
		c.do("POST", e.URL+"/artifactory/api/search/aql", "text/plain", []byte(`items.find({"repo":"`+keys[0].Key+
			`","name":{"$in":["manifest.json","list.manifest.json"]},"modified":{"$gt":"2025-01-01T00:00:00.000Z"}})`+
			`.include("repo","path","name","sha256","modified","created").sort({"$asc":["modified"]}).offset(`+strconv.Itoa(offset)+`).limit(50)`)).decode(t, &doc)
		for _, x := range doc.Results {
			at := strings.LastIndexByte(x.Path, '/')
			if tag := x.Path[at+1:]; !strings.HasPrefix(tag, "sha256:") {
				f.add(x.Repo+"/"+x.Path[:at], tag, "sha256:"+x.SHA256)
			}
		}
		if len(doc.Results) < 50 {
			return f
		}
	}
}

func listNexus(t *testing.T, e *emulator.Emulator) fleet {
	c := newClient(t, e).basic(e.Login().Username, e.Login().Password)
	f := fleet{}
	for token := ""; ; {
		var doc struct {
			Items []struct {
				Name, Version string
				Assets        []struct{ Checksum struct{ SHA256 string } }
			}
			ContinuationToken *string
		}
		c.json(e.API+"/service/rest/v1/components?repository=docker-hosted&continuationToken="+token, &doc)
		if len(doc.Items) > 10 {
			t.Fatalf("%d items", len(doc.Items))
		}
		for _, x := range doc.Items {
			f.add(x.Name, x.Version, "sha256:"+x.Assets[0].Checksum.SHA256)
		}
		if doc.ContinuationToken == nil {
			return f
		}
		token = url.QueryEscape(*doc.ContinuationToken)
	}
}

func listQuay(t *testing.T, e *emulator.Emulator) fleet {
	c := newClient(t, e, "Authorization", "Bearer "+e.Login().Token)
	f := fleet{}
	for _, namespace := range []string{"acme", "beta"} {
		var doc struct {
			Repositories []struct{ Namespace, Name string }
		}
		c.json(e.URL+"/api/v1/repository?namespace="+namespace+"&last_modified=true", &doc)
		for _, r := range doc.Repositories {
			for page, more := 1, true; more; page++ {
				var tags struct {
					Tags []struct {
						Name   string
						Digest string `json:"manifest_digest"`
					}
					More bool `json:"has_additional"`
				}
				c.json(e.URL+"/api/v1/repository/"+r.Namespace+"/"+r.Name+"/tag/?limit=10&onlyActiveTags=true&page="+strconv.Itoa(page), &tags)
				for _, x := range tags.Tags {
					f.add(r.Namespace+"/"+r.Name, x.Name, x.Digest)
				}
				more = tags.More
			}
		}
	}
	return f
}

func listHarbor(t *testing.T, e *emulator.Emulator) fleet {
	c := newClient(t, e).basic(e.Login().Username, e.Login().Password)
	f := fleet{}
	for at := e.URL + "/api/v2.0/repositories?page_size=4"; at != ""; {
		var repositories []struct{ Name string }
		a := c.json(at, &repositories)
		for _, r := range repositories {
			project, name, _ := strings.Cut(r.Name, "/")
			address := e.URL + "/api/v2.0/projects/" + project + "/repositories/" + url.PathEscape(url.PathEscape(name)) + "/artifacts?with_tag=true"
			for page := address; page != ""; {
				var artifacts []struct {
					Digest string
					Tags   []struct{ Name string }
				}
				b := c.json(page, &artifacts)
				if len(artifacts) > 10 {
					t.Fatalf("%d artifacts where the page size is 10", len(artifacts))
				}
				for _, x := range artifacts {
					for _, tag := range x.Tags {
						f.add(r.Name, tag.Name, x.Digest)
					}
				}
				page = b.next(t, page)
			}
		}
		at = a.next(t, at)
	}
	return f
}

func listGitLab(t *testing.T, e *emulator.Emulator) fleet {
	c := newClient(t, e, "PRIVATE-TOKEN", e.Login().Token)
	f := fleet{}
	var groups []struct{ ID int }
	c.json(e.API+"/api/v4/groups", &groups)
	for _, g := range groups {
		var repositories []struct {
			ID      int
			Project int `json:"project_id"`
			Path    string
		}
		c.json(e.API+"/api/v4/groups/"+strconv.Itoa(g.ID)+"/registry/repositories?tags_count=true&per_page=100", &repositories)
		for _, r := range repositories {
			path := e.API + "/api/v4/projects/" + strconv.Itoa(r.Project) + "/registry/repositories/" + strconv.Itoa(r.ID) + "/tags"
			for page := "1"; page != ""; {
				var tags []map[string]any
				a := c.json(path+"?page="+page, &tags)
				for _, tag := range tags {
					if tag["digest"] != nil {
						t.Fatal("a list of tags has digests")
					}
					var detail struct{ Digest string }
					c.json(path+"/"+tag["name"].(string), &detail)
					f.add(r.Path, tag["name"].(string), detail.Digest)
				}
				page = a.header.Get("X-Next-Page")
			}
		}
	}
	return f
}

func listDTR(t *testing.T, e *emulator.Emulator) fleet {
	c := newClient(t, e).basic(e.Login().Username, e.Login().Password)
	f := fleet{}
	for start := ""; ; {
		var doc struct {
			Repositories []struct{ Namespace, Name string }
		}
		a := c.json(e.URL+"/api/v0/repositories?pageSize=4&pageStart="+start, &doc)
		for _, r := range doc.Repositories {
			for at := ""; ; {
				var tags []struct{ Name, Digest string }
				b := c.json(e.URL+"/api/v0/repositories/"+r.Namespace+"/"+r.Name+"/tags?pageStart="+at, &tags)
				for _, x := range tags {
					f.add(r.Namespace+"/"+r.Name, x.Name, x.Digest)
				}
				if at = b.header.Get("X-Next-Page-Start"); at == "" {
					break
				}
			}
		}
		if start = a.header.Get("X-Next-Page-Start"); start == "" {
			return f
		}
	}
}
