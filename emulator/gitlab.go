package emulator

import (
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

const gitlabService = "container_registry"

// Numbers of the emulated GitLab: groups, projects and registry repositories count from these on.
const (
	gitlabGroup      = 100
	gitlabProject    = 1000
	gitlabRepository = 1
)

// gitlab is a self-managed GitLab: API and token service on one address, the registry on another. A namespace of the fleet
// is a group, each repository the registry of a project of its own. GitLab: "Container registry API".
func (e *Emulator) gitlab() surface {
	registry := e.distribution(gate{realm: func(*http.Request) string { return e.API + "/jwt/auth" }, service: gitlabService})
	registry.tagsMax, registry.tagsDefault = 1000, 100
	login := func(_, password string) bool { return same(password, e.Login().Token) } // GitLab: with a token any user name will do
	api := http.NewServeMux()
	api.Handle("/jwt/auth", tokenService{e: e, service: gitlabService, check: login, life: 5 * time.Minute, realm: "GitLab"})
	api.HandleFunc("GET /api/v4/version", e.gitlabOnly(func(w http.ResponseWriter, r *http.Request) {
		writeJSON(w, r, http.StatusOK, document{"version": "18.1.0", "revision": "emulated"})
	}))
	api.HandleFunc("GET /api/v4/groups", e.gitlabOnly(e.gitlabGroups))
	api.HandleFunc("GET /api/v4/groups/{group}/projects", e.gitlabOnly(e.gitlabInGroup(e.gitlabProjectOf)))
	api.HandleFunc("GET /api/v4/users/{group}/projects", e.gitlabOnly(e.gitlabInGroup(e.gitlabProjectOf)))
	api.HandleFunc("GET /api/v4/groups/{group}/registry/repositories", e.gitlabOnly(e.gitlabInGroup(e.gitlabRepositoryOf)))
	api.HandleFunc("GET /api/v4/groups/{group}/subgroups", e.gitlabOnly(func(w http.ResponseWriter, r *http.Request) {
		e.gitlabPage(w, r, 0, nil)
	}))
	api.HandleFunc("GET /api/v4/projects/{project}/registry/repositories", e.gitlabOnly(e.gitlabInProject(func(w http.ResponseWriter, r *http.Request, repo int) {
		e.gitlabPage(w, r, 1, func(int) any { return e.gitlabRepositoryOf(r, repo) })
	})))
	const tags = "GET /api/v4/projects/{project}/registry/repositories/{repository}/tags"
	api.HandleFunc(tags, e.gitlabOnly(e.gitlabInProject(e.gitlabTags)))
	api.HandleFunc(tags+"/{tag}", e.gitlabOnly(e.gitlabInProject(e.gitlabTag)))
	return surface{registry: registry, api: api, endpoints: map[string]string{"gitlab": e.API, "registry": e.URL}}
}

// gitlabOnly takes a token in either of the headers GitLab reads.
func (e *Emulator) gitlabOnly(next http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if !same(r.Header.Get("Private-Token"), e.Login().Token) && !e.isToken(r) {
			writeJSON(w, r, http.StatusUnauthorized, document{"message": "401 Unauthorized"})
			return
		}
		next(w, r)
	}
}

// gitlabPage answers with a page. GitLab: per_page is 20 where it is missing and at most 100.
func (e *Emulator) gitlabPage(w http.ResponseWriter, r *http.Request, total int, item func(i int) any) {
	size, page := number(r, "per_page", 20, 1, 100), number(r, "page", 1, 1, 1<<30)
	list := []any{}
	for i := (page - 1) * size; i < total && len(list) < size; i++ {
		list = append(list, item(i))
	}
	h := w.Header()
	h.Set("X-Page", strconv.Itoa(page))
	h.Set("X-Per-Page", strconv.Itoa(size))
	h.Set("X-Total", strconv.Itoa(total))
	h.Set("X-Total-Pages", strconv.Itoa((total+size-1)/size))
	h.Set("X-Next-Page", "")
	if page*size < total && !endsEarly(r) {
		h.Set("X-Next-Page", strconv.Itoa(page+1))
		linkNext(w, base(r)+with(r, "page", strconv.Itoa(page+1), "per_page", strconv.Itoa(size)))
	}
	writeJSON(w, r, http.StatusOK, list)
}

func (e *Emulator) gitlabGroups(w http.ResponseWriter, r *http.Request) {
	e.gitlabPage(w, r, len(e.o.Namespaces), func(i int) any {
		n := e.o.Namespaces[i]
		return document{"id": gitlabGroup + i, "name": n, "path": n, "full_path": n, "parent_id": nil, "visibility": "private"}
	})
}

// gitlabInGroup lists something of every project of a group, which is named by its number or its path.
func (e *Emulator) gitlabInGroup(item func(*http.Request, int) document) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		at := slices.Index(e.o.Namespaces, r.PathValue("group"))
		if id, err := strconv.Atoi(r.PathValue("group")); err == nil {
			at = id - gitlabGroup
		}
		if at < 0 || at >= len(e.o.Namespaces) {
			writeJSON(w, r, http.StatusNotFound, document{"message": "404 Group Not Found"})
			return
		}
		from, to := e.fleet.in(e.o.Namespaces[at])
		e.gitlabPage(w, r, to-from, func(i int) any { return item(r, from+i) })
	}
}

// gitlabInProject finds a project by its number or its path.
func (e *Emulator) gitlabInProject(next func(http.ResponseWriter, *http.Request, int)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		repo := -1
		if id, err := strconv.Atoi(r.PathValue("project")); err == nil {
			repo = id - gitlabProject
		} else if found, ok := e.fleet.find(r.PathValue("project")); ok {
			repo = found
		} else if found, ok := e.fleet.find(r.PathValue("project") + "/web"); ok {
			repo = found
		}
		if repo < 0 || repo >= e.o.Repositories {
			writeJSON(w, r, http.StatusNotFound, document{"message": "404 Project Not Found"})
			return
		}
		next(w, r, repo)
	}
}

// gitlabPath is the path of the project a repository belongs to; the rest of the name is the image's.
func (e *Emulator) gitlabPath(repo int) string { return strings.TrimSuffix(e.fleet.name(repo), "/web") }

func (e *Emulator) gitlabProjectOf(_ *http.Request, repo int) document {
	path := e.gitlabPath(repo)
	return document{
		"id": gitlabProject + repo, "path_with_namespace": path, "name": path[strings.LastIndexByte(path, '/')+1:], "container_registry_enabled": true,
		"container_registry_image_prefix": e.Host() + "/" + path, "last_activity_at": e.fleet.view(repo).newest(0, 1)[0].pushed,
	}
}

func (e *Emulator) gitlabRepositoryOf(r *http.Request, repo int) document {
	name, path := e.fleet.name(repo), e.gitlabPath(repo)
	doc := document{
		"id": gitlabRepository + repo, "name": strings.TrimPrefix(strings.TrimPrefix(name, path), "/"), "path": name, "project_id": gitlabProject + repo,
		"location": e.Host() + "/" + name, "created_at": e.fleet.original(repo, 0).pushed, "cleanup_policy_started_at": nil, "status": nil,
	}
	if r.URL.Query().Get("tags_count") == "true" {
		doc["tags_count"] = e.fleet.view(repo).total
	}
	return doc
}

func (e *Emulator) gitlabTags(w http.ResponseWriter, r *http.Request, repo int) {
	if r.PathValue("repository") != strconv.Itoa(gitlabRepository+repo) {
		writeJSON(w, r, http.StatusNotFound, document{"message": "404 Not Found"})
		return
	}
	size, page := number(r, "per_page", 20, 1, 100), number(r, "page", 1, 1, 1<<30)
	v := e.fleet.view(repo)
	name := e.fleet.name(repo)
	// Self-managed GitLab: the order is that of names, and a tag's digest is in the answer about that tag only.
	list, _ := v.byName("", page*size)
	e.gitlabPage(w, r, v.total, func(i int) any {
		t := list[i].name
		return document{"name": t, "path": name + ":" + t, "location": e.Host() + "/" + name + ":" + t}
	})
}

func (e *Emulator) gitlabTag(w http.ResponseWriter, r *http.Request, repo int) {
	t, ok := e.fleet.view(repo).find(r.PathValue("tag"))
	if !ok || r.PathValue("repository") != strconv.Itoa(gitlabRepository+repo) {
		writeJSON(w, r, http.StatusNotFound, document{"message": "404 Tag Not Found"})
		return
	}
	o, name := e.fleet.object(t.key), e.fleet.name(repo)
	revision := strings.TrimPrefix(o.configDigest, "sha256:")
	doc := document{
		"name": t.name, "path": name + ":" + t.name, "location": e.Host() + "/" + name + ":" + t.name, "digest": o.digest,
		"created_at": o.created, "total_size": o.size, "revision": revision, "short_revision": revision[:min(9, len(revision))],
	}
	writeJSON(w, r, http.StatusOK, doc)
}
