package emulator

import (
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// ghcr is GitHub's container registry: GitHub's API on one address, the registry with its token service on another.
// GitHub: "REST API endpoints for packages".
func (e *Emulator) ghcr() surface {
	// GitHub: with a personal token any user name will do.
	login := func(_, password string) bool { return same(password, e.Login().Token) }
	registry := e.distribution(gate{realm: func(r *http.Request) string { return base(r) + "/token" }, service: "ghcr.io"})
	registry.noCatalog, registry.tagsDefault, registry.tagsMax = true, 100, 1000
	mux := http.NewServeMux()
	mux.Handle("/token", tokenService{e: e, service: "ghcr.io", check: login, life: 5 * time.Minute, realm: "ghcr.io"})
	mux.Handle("/v2/", registry)
	api := http.NewServeMux()
	for _, owner := range []string{"/orgs/{owner}", "/users/{owner}", "/user"} {
		api.HandleFunc("GET "+owner+"/packages", e.githubOnly(e.githubPackages))
		api.HandleFunc("GET "+owner+"/packages/container/{package}/versions", e.githubOnly(e.githubVersions))
	}
	return surface{registry: mux, api: api, endpoints: map[string]string{"github": e.API, "registry": e.URL}}
}

func (e *Emulator) githubOnly(next http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		_, token, _ := strings.Cut(r.Header.Get("Authorization"), " ") // GitHub: "Bearer" and "token" mean the same
		if !same(token, e.Login().Token) {
			githubError(w, r, http.StatusUnauthorized, "Bad credentials")
			return
		}
		next(w, r)
	}
}

func githubError(w http.ResponseWriter, r *http.Request, status int, message string) {
	writeJSON(w, r, status, document{"message": message, "documentation_url": "https://docs.github.com/rest", "status": strconv.Itoa(status)})
}

// githubOwner returns the owner a path names; without one it is the user's own name, the first namespace.
func (e *Emulator) githubOwner(r *http.Request) string {
	owner := r.PathValue("owner")
	set(&owner, e.o.Namespaces[0])
	return owner
}

// githubPage answers with a page. GitHub: per_page is 30 where it is missing and at most 100.
func (e *Emulator) githubPage(w http.ResponseWriter, r *http.Request, items func(offset, limit int) ([]document, bool)) {
	size, page := number(r, "per_page", 30, 1, 100), number(r, "page", 1, 1, 1<<30)
	list, more := items((page-1)*size, size)
	if list == nil {
		list = []document{}
	}
	var links []string
	if page > 1 {
		links = append(links, "<"+base(r)+with(r, "page", strconv.Itoa(page-1))+`>; rel="prev"`)
	}
	if more && !endsEarly(r) {
		links = append(links, "<"+base(r)+with(r, "page", strconv.Itoa(page+1))+`>; rel="next"`)
	}
	if len(links) > 0 {
		w.Header().Set("Link", strings.Join(links, ", "))
	}
	writeJSON(w, r, http.StatusOK, list)
}

func (e *Emulator) githubPackages(w http.ResponseWriter, r *http.Request) {
	if r.URL.Query().Get("package_type") == "" {
		githubError(w, r, http.StatusBadRequest, "Invalid argument: package_type is required.")
		return
	}
	owner := e.githubOwner(r)
	if !slices.Contains(e.o.Namespaces, owner) {
		githubError(w, r, http.StatusNotFound, "Not Found")
		return
	}
	from, to := e.fleet.in(owner)
	if r.URL.Query().Get("package_type") != "container" {
		from = to
	}
	e.githubPage(w, r, func(offset, limit int) (list []document, more bool) {
		for repo := from + offset; repo < to && len(list) < limit; repo++ {
			list = append(list, document{
				"id": repo + 1, "name": e.fleet.short(repo), "package_type": "container", "visibility": "private",
				"owner": document{"login": owner, "type": "Organization"}, "version_count": e.fleet.view(repo).count(true),
				"created_at": e.fleet.original(repo, 0).pushed, "updated_at": e.fleet.view(repo).newest(0, 1)[0].pushed,
			})
		}
		return list, from+offset+limit < to
	})
}

// githubVersions lists manifests, newest first. GitHub: every member of an index is a version too, without tags.
func (e *Emulator) githubVersions(w http.ResponseWriter, r *http.Request) {
	repo, ok := e.fleet.find(e.githubOwner(r) + "/" + r.PathValue("package"))
	if !ok {
		githubError(w, r, http.StatusNotFound, "Package not found.")
		return
	}
	v := e.fleet.view(repo)
	e.githubPage(w, r, func(offset, limit int) ([]document, bool) {
		if r.URL.Query().Get("state") == "deleted" {
			return nil, false
		}
		page, more := v.entries(offset, limit, true, nil)
		var list []document
		for i, x := range page {
			tags := x.tags
			if tags == nil {
				tags = []string{}
			}
			list = append(list, document{
				"id": (repo+1)*10_000_000 + offset + i, "name": x.digest, "created_at": x.pushed, "updated_at": x.pushed,
				"metadata": document{"package_type": "container", "container": document{"tags": tags}},
			})
		}
		return list, more
	})
}
