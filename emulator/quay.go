package emulator

import (
	"net/http"
	"strings"
	"time"
)

// quay is Red Hat Quay. Its API takes OAuth tokens only, its registry robots. Red Hat: "Red Hat Quay API reference".
func (e *Emulator) quay() surface {
	login := func(user, password string) bool {
		return e.basicLogin(user, password) || user == "$oauthtoken" && same(password, e.Login().Token)
	}
	registry := e.distribution(gate{realm: func(r *http.Request) string { return base(r) + "/v2/auth" }, service: e.Host()})
	registry.catalogMax, registry.tagsMax, registry.tagsDefault, registry.opaque = 100, 100, 100, true
	mux := http.NewServeMux()
	mux.Handle("/v2/auth", tokenService{e: e, service: e.Host(), check: login, life: time.Hour, realm: "Quay"})
	mux.Handle("/v2/", registry)
	mux.HandleFunc("GET /api/v1/discovery", func(w http.ResponseWriter, r *http.Request) {
		writeJSON(w, r, http.StatusOK, document{"info": document{"title": "Quay", "version": "v1"}, "apis": []document{}})
	})
	mux.HandleFunc("GET /api/v1/repository", e.quayOnly(e.quayRepositories))
	mux.HandleFunc("GET /api/v1/repository/{namespace}/{repository}/tag/", e.quayOnly(e.quayTags))
	return surface{registry: mux, endpoints: map[string]string{"quay": e.URL}}
}

func quayError(w http.ResponseWriter, r *http.Request, status int, message string) {
	kind := map[int]string{400: "invalid_request", 401: "invalid_token", 403: "insufficient_scope", 404: "not_found", 429: "too_many_requests"}[status]
	set(&kind, "internal_error")
	writeJSON(w, r, status, document{
		"detail": message, "error_message": message, "error_type": kind, "title": kind,
		"type": base(r) + "/api/v1/error/" + kind, "status": status,
	})
}

func (e *Emulator) quayOnly(next http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if !e.isToken(r) {
			quayError(w, r, http.StatusUnauthorized, "Invalid bearer token format")
			return
		}
		next(w, r)
	}
}

// quayRepositories lists a namespace in pages of 100. Quay: one of namespace, public and starred has to be there.
func (e *Emulator) quayRepositories(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	offset, ok := e.offset(q.Get("next_page"))
	if !ok || q.Get("namespace") == "" && q.Get("public") == "" && q.Get("starred") == "" {
		quayError(w, r, http.StatusBadRequest, "namespace, starred or public are required for this API call")
		return
	}
	from, to := e.fleet.in(q.Get("namespace"))
	if q.Get("namespace") == "" {
		from, to = 0, e.o.Repositories
	}
	list := []document{}
	doc := document{}
	for repo := from + offset; repo < to && len(list) < 100; repo++ {
		item := document{
			"namespace": e.fleet.namespaceOf(repo), "name": e.fleet.short(repo), "description": nil, "is_public": false, "kind": "image", "state": "NORMAL",
		}
		if q.Get("last_modified") == "true" {
			item["last_modified"] = e.fleet.view(repo).newest(0, 1)[0].pushed.Unix()
		}
		list = append(list, item)
	}
	if from+offset+len(list) < to && !endsEarly(r) {
		doc["next_page"] = e.token(offset + len(list))
	}
	doc["repositories"] = list
	writeJSON(w, r, http.StatusOK, doc)
}

// quayTags lists tags newest first: 50 a page where limit is missing, at most 100. Without onlyActiveTags the places a tag
// pointed to earlier are among them, with the time they ended.
func (e *Emulator) quayTags(w http.ResponseWriter, r *http.Request) {
	repo, ok := e.fleet.find(r.PathValue("namespace") + "/" + r.PathValue("repository"))
	if !ok || !strings.HasSuffix(r.URL.Path, "/tag/") {
		quayError(w, r, http.StatusNotFound, "Not Found")
		return
	}
	v := e.fleet.view(repo)
	all, total := v.newest, v.total
	if r.URL.Query().Get("onlyActiveTags") != "true" {
		history := e.quayHistory(v)
		total += len(history)
		all = func(offset, limit int) []tag {
			if offset >= v.total {
				return history[min(offset-v.total, len(history)):min(offset-v.total+limit, len(history))]
			}
			list := v.newest(offset, limit)
			return append(list, history[:min(limit-len(list), len(history))]...)
		}
	}
	size, page := number(r, "limit", 50, 1, 100), number(r, "page", 1, 1, 1<<30)
	tags := []document{}
	for i, t := range all((page-1)*size, size) {
		tags = append(tags, e.quayTag(t, (page-1)*size+i >= v.total))
	}
	writeJSON(w, r, http.StatusOK, document{"tags": tags, "page": page, "has_additional": page*size < total && !endsEarly(r)})
}

// quayHistory is where moved and deleted tags of the fleet pointed at first.
func (e *Emulator) quayHistory(v view) []tag {
	var list []tag
	for _, number := range v.gone {
		list = append(list, e.fleet.original(v.repo, number))
	}
	return list
}

func (e *Emulator) quayTag(t tag, ended bool) document {
	o := e.fleet.object(t.key)
	doc := document{
		"name": t.name, "reversion": false, "start_ts": t.pushed.Unix(), "manifest_digest": o.digest, "is_manifest_list": len(o.children) > 0,
		"size": o.size, "last_modified": t.pushed.Format(time.RFC1123Z),
	}
	if len(o.children) > 0 {
		doc["size"] = nil
	}
	if ended {
		doc["end_ts"] = t.pushed.Add(time.Hour).Unix()
		doc["expiration"] = t.pushed.Add(time.Hour).Format(time.RFC1123Z)
	}
	return doc
}
