package emulator

import (
	"net/http"
	"strconv"
	"strings"
)

// The Docker repositories of the emulated Nexus. All lead to the same images.
const (
	nexusHosted = "docker-hosted"
	nexusProxy  = "docker-proxy"
	nexusGroup  = "docker-group"
)

// nexus is Sonatype Nexus Repository 3: the REST API and the path-based registries on one address, the connector port of
// the hosted registry on another. Sonatype: "REST API", "Docker Registry".
func (e *Emulator) nexus() surface {
	g := gate{name: "Sonatype Nexus Repository Manager", basic: e.basicLogin}
	connector := e.distribution(g)
	// Sonatype: behind a connector port the next page's address has the port of the REST API, where nothing answers it.
	connector.link = func(_ *http.Request, target string) string { return e.API + target }
	connector.tagsMax = 1000
	api := http.NewServeMux()
	api.HandleFunc("GET /service/rest/v1/status", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Server", "Nexus/3.75.1-01 (OSS)")
		writeBody(w, r, http.StatusOK, "", nil)
	})
	api.HandleFunc("GET /service/rest/v1/repositories", e.nexusOnly(e.nexusRepositories))
	api.HandleFunc("GET /service/rest/v1/components", e.nexusOnly(e.nexusComponents(10)))
	api.HandleFunc("GET /service/rest/v1/search", e.nexusOnly(e.nexusComponents(50)))
	for _, name := range []string{nexusHosted, nexusProxy, nexusGroup} {
		d := e.distribution(g)
		d.prefix, d.tagsMax = "/repository/"+name, 1000
		d.noLink = name == nexusGroup // Sonatype: pages of a group do not say that more follow
		api.Handle(d.prefix+"/v2/", d)
	}
	return surface{registry: connector, api: api, endpoints: map[string]string{"nexus": e.API, "registry": e.URL}}
}

func (e *Emulator) nexusOnly(next http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if !e.isBasic(r) {
			w.Header().Set("WWW-Authenticate", `BASIC realm="Sonatype Nexus Repository Manager"`)
			writeBody(w, r, http.StatusUnauthorized, "", nil)
			return
		}
		next(w, r)
	}
}

func (e *Emulator) nexusRepositories(w http.ResponseWriter, r *http.Request) {
	list := []document{}
	for _, x := range [][3]string{
		{nexusHosted, "docker", "hosted"}, {nexusProxy, "docker", "proxy"}, {nexusGroup, "docker", "group"}, {"maven-releases", "maven2", "hosted"},
	} {
		list = append(list, document{"name": x[0], "format": x[1], "type": x[2], "url": base(r) + "/repository/" + x[0], "attributes": document{}})
	}
	writeJSON(w, r, http.StatusOK, list)
}

// nexusComponents lists tags as components, in pages whose size the server alone decides.
func (e *Emulator) nexusComponents(size int) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		q := r.URL.Query()
		at, ok := e.place(q.Get("continuationToken"))
		if !ok {
			http.Error(w, "Invalid continuation token", http.StatusNotAcceptable)
			return
		}
		// Sonatype: results can be sorted by these only.
		if s := q.Get("sort"); s != "" && s != "group" && s != "name" && s != "version" && s != "repository" {
			http.Error(w, "Invalid sort field", http.StatusBadRequest)
			return
		}
		repository := q.Get("repository")
		if repository == "" && strings.HasSuffix(r.URL.Path, "/components") {
			http.Error(w, "Missing parameter: repository", http.StatusBadRequest)
			return
		}
		items := []document{}
		doc := document{"items": items, "continuationToken": nil}
		if known := repository == nexusHosted || repository == nexusProxy || repository == nexusGroup; !known && repository != "" {
			if repository != "maven-releases" {
				writeBody(w, r, http.StatusNotFound, "", nil)
				return
			}
			writeJSON(w, r, http.StatusOK, doc)
			return
		}
		set(&repository, nexusHosted)
		more := false
		from, to := e.nexusNamed(q.Get("name"))
		for repo := max(at.repo, from); repo < to && !more; repo++ {
			v := e.fleet.view(repo)
			for ; at.offset < v.total; at.offset++ {
				if more = len(items) == size; more {
					at.repo = repo
					break
				}
				// The order is that of an index: neither names nor times.
				order := scatter(v.total, e.o.Seed)
				p := at.offset
				if order != nil {
					p = order(p)
				}
				items = append(items, e.nexusComponent(r, repository, repo, v.at(p)))
			}
			if !more {
				at.offset = 0
			}
		}
		doc["items"] = items
		if more && !endsEarly(r) {
			doc["continuationToken"] = e.placeToken(at)
		}
		writeJSON(w, r, http.StatusOK, doc)
	}
}

// nexusNamed returns the repositories of a name to search for, all for none. Sonatype: "Search API", name.
func (e *Emulator) nexusNamed(name string) (from, to int) {
	if name == "" {
		return 0, e.o.Repositories
	}
	if repo, ok := e.fleet.find(name); ok {
		return repo, repo + 1
	}
	return 0, 0
}

func (e *Emulator) nexusComponent(r *http.Request, repository string, repo int, t tag) document {
	o, name := e.fleet.object(t.key), e.fleet.name(repo)
	path := "v2/" + name + "/manifests/" + t.name
	id := repository + ":" + strconv.Itoa(repo) + "." + strconv.Itoa(t.number)
	at := t.pushed.Format("2006-01-02T15:04:05.000-07:00")
	return document{
		"id": id, "repository": repository, "format": "docker", "group": nil, "name": name, "version": t.name,
		"assets": []document{{
			"downloadUrl": base(r) + "/repository/" + repository + "/" + path, "path": path, "id": id + ".asset", "repository": repository,
			"format": "docker", "checksum": document{"sha256": strings.TrimPrefix(o.digest, "sha256:")}, "contentType": o.mediaType,
			"lastModified": at, "blobCreated": at, "lastDownloaded": nil, "uploader": "emulator", "fileSize": len(o.data),
		}},
	}
}
