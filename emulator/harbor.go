package emulator

import (
	"net/http"
	"net/url"
	"sort"
	"strconv"
	"strings"
	"time"
)

const harborService = "harbor-registry"

// harbor is Harbor 2. A project is a namespace of the fleet. Harbor: its API's own description, version 2.0.
func (e *Emulator) harbor() surface {
	registry := e.distribution(gate{realm: func(r *http.Request) string { return base(r) + "/service/token" }, service: harborService, basic: e.basicLogin})
	mux := http.NewServeMux()
	mux.Handle("/service/token", tokenService{e: e, service: harborService, check: e.basicLogin, life: 30 * time.Minute, realm: "harbor"})
	mux.Handle("/v2/", registry)
	mux.HandleFunc("GET /api/v2.0/ping", func(w http.ResponseWriter, r *http.Request) {
		writeBody(w, r, http.StatusOK, "text/plain", []byte("Pong"))
	})
	mux.HandleFunc("GET /api/v2.0/systeminfo", func(w http.ResponseWriter, r *http.Request) {
		writeJSON(w, r, http.StatusOK, document{"auth_mode": "db_auth", "harbor_version": "v2.13.0", "registry_url": r.Host})
	})
	mux.HandleFunc("GET /api/v2.0/projects", e.harborOnly(e.harborProjects))
	mux.HandleFunc("GET /api/v2.0/repositories", e.harborOnly(func(w http.ResponseWriter, r *http.Request) {
		e.harborRepositories(w, r, 0, e.o.Repositories)
	}))
	mux.HandleFunc("GET /api/v2.0/projects/{project}/repositories", e.harborOnly(func(w http.ResponseWriter, r *http.Request) {
		from, to := e.fleet.in(r.PathValue("project"))
		if from == to {
			registryError(w, r, http.StatusForbidden, "FORBIDDEN", "forbidden")
			return
		}
		e.harborRepositories(w, r, from, to)
	}))
	mux.HandleFunc("GET /api/v2.0/projects/{project}/repositories/{repository}/artifacts", e.harborOnly(e.harborArtifacts))
	return surface{registry: mux, endpoints: map[string]string{"harbor": e.URL}}
}

func (e *Emulator) harborOnly(next http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if !e.isBasic(r) {
			registryError(w, r, http.StatusUnauthorized, "UNAUTHORIZED", "unauthorized")
			return
		}
		next(w, r)
	}
}

// harborPage answers with a page. Harbor: page_size is 10 where it is missing; more than 100 is an error.
func (e *Emulator) harborPage(w http.ResponseWriter, r *http.Request, total int, items func(offset, limit int) []document) {
	if n, err := strconv.Atoi(r.URL.Query().Get("page_size")); err == nil && n > 100 {
		registryError(w, r, http.StatusUnprocessableEntity, "UNPROCESSABLE_ENTITY", "validation failure list: page_size in query should be less than or equal to 100")
		return
	}
	size, page := number(r, "page_size", 10, 1, 100), number(r, "page", 1, 1, 1<<30)
	w.Header().Set("X-Total-Count", strconv.Itoa(total))
	var links []string
	if page > 1 {
		links = append(links, "<"+with(r, "page", strconv.Itoa(page-1), "page_size", strconv.Itoa(size))+`>; rel="prev"`)
	}
	if page*size < total && !endsEarly(r) {
		links = append(links, "<"+with(r, "page", strconv.Itoa(page+1), "page_size", strconv.Itoa(size))+`>; rel="next"`)
	}
	if len(links) > 0 {
		w.Header().Set("Link", strings.Join(links, " , "))
	}
	list := items((page-1)*size, size)
	if list == nil {
		list = []document{}
	}
	writeJSON(w, r, http.StatusOK, list)
}

func (e *Emulator) harborProjects(w http.ResponseWriter, r *http.Request) {
	e.harborPage(w, r, len(e.o.Namespaces), func(offset, limit int) (list []document) {
		for i := offset; i < len(e.o.Namespaces) && len(list) < limit; i++ {
			from, to := e.fleet.in(e.o.Namespaces[i])
			list = append(list, document{"project_id": i + 1, "name": e.o.Namespaces[i], "repo_count": to - from, "metadata": document{"public": "false"}})
		}
		return list
	})
}

func (e *Emulator) harborRepositories(w http.ResponseWriter, r *http.Request, from, to int) {
	e.harborPage(w, r, to-from, func(offset, limit int) (list []document) {
		for repo := from + offset; repo < to && len(list) < limit; repo++ {
			v := e.fleet.view(repo)
			list = append(list, document{
				"id": repo + 1, "name": e.fleet.name(repo), "project_id": repo/e.fleet.block + 1, "artifact_count": v.manifests(),
				"update_time": v.newest(0, 1)[0].pushed, "creation_time": e.fleet.original(repo, 0).pushed, "pull_count": 1,
			})
		}
		return list
	})
}

// harborArtifacts lists manifests with their tags. Harbor: the name is escaped twice, and one that was escaped once only
// leads nowhere.
func (e *Emulator) harborArtifacts(w http.ResponseWriter, r *http.Request) {
	once := r.PathValue("repository")
	short, err := url.PathUnescape(once)
	repo, ok := e.fleet.find(r.PathValue("project") + "/" + short)
	if err != nil || !ok || strings.Contains(once, "/") {
		registryError(w, r, http.StatusNotFound, "NOT_FOUND", "repository "+r.PathValue("project")+"/"+once+" not found")
		return
	}
	q := r.URL.Query()
	within, ok := harborSpan(q.Get("q"))
	if !ok {
		registryError(w, r, http.StatusBadRequest, "BAD_REQUEST", "invalid query string")
		return
	}
	v := e.fleet.view(repo)
	time := func(p int) entry { _, x := v.manifest(p); return x }
	n := v.manifests()
	first := sort.Search(n, func(p int) bool { return within.to.IsZero() || !time(p).pushed.After(within.to) })
	end := sort.Search(n, func(p int) bool { return !within.from.IsZero() && time(p).pushed.Before(within.from) })
	total := max(end-first, 0)
	rising := q.Get("sort") == "push_time" || q.Get("sort") == "creation_time"
	e.harborPage(w, r, total, func(offset, limit int) (list []document) {
		for i := offset; i < total && len(list) < limit; i++ {
			p := first + i
			if rising {
				p = end - 1 - i
			}
			k, x := v.manifest(p)
			x.object = e.fleet.object(k)
			list = append(list, e.harborArtifact(repo, x, q.Get("with_tag") != "false"))
		}
		return list
	})
}

func (e *Emulator) harborArtifact(repo int, x entry, withTags bool) document {
	kind, references := "IMAGE", []document{}
	if x.artifactType != "" {
		kind = "CHART"
	}
	for _, c := range x.children {
		references = append(references, document{
			"child_digest": c.digest, "platform": document{"architecture": c.architecture, "os": "linux", "OsFeatures": nil},
		})
	}
	doc := document{
		"id": repo*1000 + 1, "digest": x.digest, "type": kind, "media_type": x.configType, "manifest_media_type": x.mediaType,
		"push_time": x.pushed, "pull_time": "0001-01-01T00:00:00.000Z", "size": x.size, "references": references, "accessories": nil,
		"repository_name": e.fleet.name(repo), "project_id": repo/e.fleet.block + 1, "tags": nil,
	}
	if x.architecture != "" {
		doc["extra_attrs"] = document{"architecture": x.architecture, "os": "linux", "created": x.created}
	}
	if withTags {
		tags := []document{}
		for i, t := range x.tags {
			tags = append(tags, document{"id": i + 1, "name": t, "push_time": x.pushed, "pull_time": "0001-01-01T00:00:00.000Z", "immutable": false})
		}
		doc["tags"] = tags
	}
	return doc
}

// harborSpan reads the range of push_time out of q. Harbor: "push_time=[a~b]"; either end may be missing.
func harborSpan(q string) (span, bool) {
	var s span
	for len(q) > 0 {
		name, rest, ok := strings.Cut(q, "=")
		if !ok {
			return s, false
		}
		value, after, _ := strings.Cut(rest, ",")
		if strings.HasPrefix(rest, "[") {
			if value, after, ok = strings.Cut(rest[1:], "]"); !ok {
				return s, false
			}
			after = strings.TrimPrefix(after, ",")
		}
		if name == "push_time" {
			from, to, _ := strings.Cut(value, "~")
			var fine, good bool
			if s.from, fine = harborTime(from); !fine {
				return s, false
			}
			if s.to, good = harborTime(to); !good {
				return s, false
			}
		}
		q = after
	}
	return s, true
}

func harborTime(text string) (time.Time, bool) {
	text = strings.Trim(text, `"`)
	if text == "" {
		return time.Time{}, true
	}
	for _, layout := range []string{time.RFC3339Nano, "2006-01-02T15:04:05", time.DateTime, time.DateOnly} {
		if t, err := time.Parse(layout, text); err == nil {
			return t, true
		}
	}
	return time.Time{}, false
}
