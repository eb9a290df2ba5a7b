package emulator

import (
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

const garLocation = "europe"

// gar is Google's Artifact Registry: API and token service on one address, the registry on another. A namespace of the
// fleet is a repository of Artifact Registry, a repository of the fleet an image in it. Google: "Artifact Registry API".
func (e *Emulator) gar() surface {
	registry := e.distribution(gate{
		realm: func(r *http.Request) string { return base(r) + "/v2/token" }, service: e.Host(),
		basic:  e.garBasic,
		bearer: func(token, _ string) bool { return e.googleToken(token) },
	})
	registry.extra = e.garManifests
	registry.noCatalog, registry.ignoreN = true, true // Google: one answer holds a whole image
	mux := http.NewServeMux()
	mux.Handle("/v2/token", tokenService{e: e, service: e.Host(), check: e.garBasic, life: time.Hour, realm: "Google"})
	mux.HandleFunc("/v2/", func(w http.ResponseWriter, r *http.Request) {
		if name, ok := strings.CutSuffix(strings.TrimPrefix(r.URL.Path, "/v2/"), "/tags/list"); ok {
			if children := e.garChildren(name); len(children) > 0 {
				label(r, e, "GET /v2/{name}/tags")
				if registry.gate.admit(w, r, "repository:"+name+":pull") {
					doc := document{"name": name, "tags": []string{}, "manifest": document{}, "child": children}
					if repo, ok := e.findName(name); ok {
						e.garManifests(repo, doc)
					}
					writeJSON(w, r, http.StatusOK, doc)
				}
				return
			}
		}
		registry.ServeHTTP(w, r)
	})
	api := http.NewServeMux()
	api.HandleFunc("POST /token", e.googleGrant)
	api.HandleFunc("GET /v1/projects/{project}/locations/{location}/repositories", e.googleOnly(e.garRepositories))
	api.HandleFunc("GET /v1/projects/{project}/locations/{location}/repositories/{repository}/dockerImages", e.googleOnly(e.garImages))
	api.HandleFunc("GET /v1/projects/{project}/locations/{location}/repositories/{repository}/packages", e.googleOnly(e.garPackages))
	api.HandleFunc("POST /v1/projects/{project}/subscriptions/{call}", e.googleOnly(e.pubSub))
	e.googleMetadata(api)
	return surface{registry: mux, api: api, endpoints: map[string]string{
		"gar": e.API, "google-token": e.API + "/token", "google-metadata": e.API, "pubsub": e.API, "registry": e.URL,
	}}
}

// googleOnly lets those in who have an access token and ask for the configured project.
func (e *Emulator) googleOnly(next http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if !e.googleToken(bearer(r)) {
			googleError(w, r, http.StatusUnauthorized, "Request had invalid authentication credentials. Expected OAuth 2 access token.")
			return
		}
		if p := r.PathValue("project"); p != e.Login().Project {
			googleError(w, r, http.StatusForbidden, "Permission 'artifactregistry.repositories.list' denied on resource '//artifactregistry.googleapis.com/projects/"+p+"'")
			return
		}
		next(w, r)
	}
}

func googleError(w http.ResponseWriter, r *http.Request, status int, message string) {
	name := map[int]string{400: "INVALID_ARGUMENT", 401: "UNAUTHENTICATED", 403: "PERMISSION_DENIED", 404: "NOT_FOUND", 429: "RESOURCE_EXHAUSTED", 503: "UNAVAILABLE"}[status]
	set(&name, "INTERNAL")
	writeJSON(w, r, status, document{"error": document{"code": status, "message": message, "status": name}})
}

func (e *Emulator) garRepositories(w http.ResponseWriter, r *http.Request) {
	offset, ok := e.offset(r.URL.Query().Get("pageToken"))
	if location := r.PathValue("location"); !ok || location != "-" && location != garLocation {
		googleError(w, r, http.StatusBadRequest, "Request contains an invalid argument.")
		return
	}
	all := []document{}
	filter := strings.ToUpper(strings.NewReplacer(`"`, "", " ", "").Replace(r.URL.Query().Get("filter")))
	parent := "projects/" + r.PathValue("project") + "/locations/" + garLocation + "/repositories/"
	for _, n := range e.o.Namespaces {
		all = append(all, document{"name": parent + n, "format": "DOCKER", "mode": "STANDARD_REPOSITORY", "createTime": e.o.Newest, "updateTime": e.o.Newest})
	}
	if filter != "FORMAT=DOCKER" {
		all = append(all, document{"name": parent + "maven-releases", "format": "MAVEN", "mode": "STANDARD_REPOSITORY", "createTime": e.o.Newest, "updateTime": e.o.Newest})
	}
	size := number(r, "pageSize", 100, 1, 1000)
	offset = min(offset, len(all))
	end := min(offset+size, len(all))
	doc := document{"repositories": all[offset:end]}
	if end < len(all) && !endsEarly(r) {
		doc["nextPageToken"] = e.token(end)
	}
	writeJSON(w, r, http.StatusOK, doc)
}

// garImages lists the manifests of all images of a repository, untagged ones included. Google: pageSize at most 1000;
// orderBy sorts by time.
func (e *Emulator) garImages(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	from, to := e.fleet.in(r.PathValue("repository"))
	if from == to {
		googleError(w, r, http.StatusNotFound, "Requested entity was not found.")
		return
	}
	size := number(r, "pageSize", 100, 1, 1000)
	order := strings.Fields(strings.ToLower(strings.ReplaceAll(q.Get("orderBy"), "_", "")))
	var list []row
	var next string
	var ok bool
	if len(order) > 0 && (order[0] == "uploadtime" || order[0] == "updatetime") {
		list, next, ok = e.timePage(from, to, len(order) == 1, withChildren, q.Get("pageToken"), size)
	} else {
		var at place
		var more bool
		if at, ok = e.place(q.Get("pageToken")); ok {
			if list, at, more = e.fleet.rows(from, to, at, size, true); more {
				next = e.placeToken(at)
			}
		}
	}
	if !ok {
		googleError(w, r, http.StatusBadRequest, "Invalid page token.")
		return
	}
	images := []document{}
	for _, x := range list {
		images = append(images, e.garImage(r, x))
	}
	doc := document{"dockerImages": images}
	if next != "" && !endsEarly(r) {
		doc["nextPageToken"] = next
	}
	writeJSON(w, r, http.StatusOK, doc)
}

// garPackages lists the images of a repository by name. Google: "Method: projects.locations.repositories.packages.list";
// a name with slashes is escaped.
func (e *Emulator) garPackages(w http.ResponseWriter, r *http.Request) {
	from, to := e.fleet.in(r.PathValue("repository"))
	if from == to {
		googleError(w, r, http.StatusNotFound, "Requested entity was not found.")
		return
	}
	offset, ok := e.offset(r.URL.Query().Get("pageToken"))
	if !ok {
		googleError(w, r, http.StatusBadRequest, "Invalid page token.")
		return
	}
	parent := "projects/" + r.PathValue("project") + "/locations/" + garLocation + "/repositories/" + r.PathValue("repository")
	packages := []document{}
	first := min(from+offset, to)
	end := min(first+number(r, "pageSize", 100, 1, 1000), to)
	for repo := first; repo < end; repo++ {
		packages = append(packages, document{
			"name": parent + "/packages/" + url.PathEscape(e.fleet.short(repo)), "createTime": e.o.Newest, "updateTime": e.o.Newest,
		})
	}
	doc := document{"packages": packages}
	if end < to && !endsEarly(r) {
		doc["nextPageToken"] = e.token(end - from)
	}
	writeJSON(w, r, http.StatusOK, doc)
}

func (e *Emulator) garImage(r *http.Request, x row) document {
	project, namespace, short := r.PathValue("project"), r.PathValue("repository"), e.fleet.short(x.repo)
	doc := document{
		"name": "projects/" + project + "/locations/" + garLocation + "/repositories/" + namespace + "/dockerImages/" +
			url.PathEscape(short) + "@" + x.digest,
		"uri":            e.Host() + "/" + project + "/" + namespace + "/" + short + "@" + x.digest,
		"imageSizeBytes": strconv.FormatInt(x.size, 10), "uploadTime": x.pushed, "updateTime": x.pushed, "mediaType": x.mediaType,
		"buildTime": x.created,
	}
	if len(x.tags) > 0 {
		doc["tags"] = x.tags
	}
	if x.artifactType != "" {
		doc["artifactType"] = x.artifactType
	}
	return doc
}

// garManifests adds what Google's registries tell beside the tags: every manifest with its times.
func (e *Emulator) garManifests(repo int, doc document) {
	manifests := document{}
	page, _ := e.fleet.view(repo).entries(0, maxTags, true, nil)
	for _, x := range page {
		tags := x.tags
		if tags == nil {
			tags = []string{}
		}
		ms := strconv.FormatInt(x.pushed.UnixMilli(), 10)
		manifests[x.digest] = document{
			"imageSizeBytes": strconv.FormatInt(x.size, 10), "mediaType": x.mediaType, "tag": tags, "timeUploadedMs": ms,
			"timeCreatedMs": strconv.FormatInt(x.created.UnixMilli(), 10),
		}
	}
	doc["manifest"] = manifests
	if doc["child"] == nil {
		doc["child"] = []string{}
	}
}

// garChildren returns the names one level below a name that is no image itself.
func (e *Emulator) garChildren(name string) []string {
	seen := map[string]bool{}
	var list []string
	for repo := range e.o.Repositories {
		rest, ok := strings.CutPrefix(e.registryName(repo), name+"/")
		if first, _, _ := strings.Cut(rest, "/"); ok && !seen[first] {
			seen[first] = true
			list = append(list, first)
		}
	}
	return list
}
