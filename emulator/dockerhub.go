package emulator

import (
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
	"time"
)

const hubService = "registry.docker.io"

// dockerHub is Docker Hub: the Hub API and the token service on one address, the registry on another. Docker: "Docker Hub
// API reference".
func (e *Emulator) dockerHub() surface {
	registry := e.distribution(gate{realm: func(*http.Request) string { return e.tokenHost() + "/token" }, service: hubService})
	registry.noCatalog, registry.ignoreN = true, true
	api := http.NewServeMux()
	api.HandleFunc("POST /v2/auth/token", e.hubLogin("identifier", "secret", "access_token"))
	api.HandleFunc("POST /v2/users/login", e.hubLogin("username", "password", "token"))
	api.HandleFunc("GET /v2/namespaces/{namespace}/repositories", e.hubOnly(e.hubRepositories))
	api.HandleFunc("GET /v2/namespaces/{namespace}/repositories/{repository}/tags", e.hubOnly(e.hubTags))
	api.HandleFunc("GET /v2/namespaces/{namespace}/repositories/{repository}/tags/{tag}", e.hubOnly(e.hubTag))
	api.Handle("/token", tokenService{e: e, service: hubService, check: e.basicLogin, life: 5 * time.Minute, realm: "Docker Hub"})
	return surface{registry: registry, api: api, endpoints: map[string]string{"hub": e.API, "hub-auth": e.API, "registry": e.URL}}
}

// tokenHost is where the token service is: on the API's address, or, for a registry with a name, beside it.
func (e *Emulator) tokenHost() string {
	if _, domain, ok := strings.Cut(e.o.Name, "."); ok {
		return "https://auth." + domain
	}
	return e.API
}

func (e *Emulator) hubLogin(user, secret, token string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		var doc map[string]string
		if err := json.NewDecoder(r.Body).Decode(&doc); err != nil {
			writeJSON(w, r, http.StatusBadRequest, document{"message": "invalid request"})
			return
		}
		if !e.basicLogin(doc[user], doc[secret]) {
			writeJSON(w, r, http.StatusUnauthorized, document{"message": "Incorrect authentication credentials", "detail": "Incorrect authentication credentials"})
			return
		}
		writeJSON(w, r, http.StatusOK, document{token: e.issue("hub", doc[user], nil, e.life(10*time.Minute))})
	}
}

// hubOnly lets those in who have a token of the Hub API.
func (e *Emulator) hubOnly(next http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if _, err := e.check("hub", bearer(r)); err != nil {
			writeJSON(w, r, http.StatusUnauthorized, document{"message": "unauthorized", "errinfo": document{}})
			return
		}
		next(w, r)
	}
}

func (e *Emulator) hubMissing(w http.ResponseWriter, r *http.Request) {
	writeJSON(w, r, http.StatusNotFound, document{"message": "object not found", "errinfo": document{}})
}

// hubPage answers with a page. Docker Hub: page_size is 10 where it is missing and at most 100; pages count from 1, and
// those past the end do not exist.
func (e *Emulator) hubPage(w http.ResponseWriter, r *http.Request, total int, items func(offset, limit int) []document) {
	size, page := number(r, "page_size", 10, 1, 100), number(r, "page", 1, 1, 1<<30)
	offset := (page - 1) * size
	if offset > 0 && offset >= total {
		e.hubMissing(w, r)
		return
	}
	doc := document{"count": total, "next": nil, "previous": nil, "results": items(offset, size)}
	if offset+size < total && !endsEarly(r) {
		doc["next"] = base(r) + with(r, "page", strconv.Itoa(page+1), "page_size", strconv.Itoa(size))
	}
	if page > 1 {
		doc["previous"] = base(r) + with(r, "page", strconv.Itoa(page-1), "page_size", strconv.Itoa(size))
	}
	writeJSON(w, r, http.StatusOK, doc)
}

func (e *Emulator) hubRepositories(w http.ResponseWriter, r *http.Request) {
	from, to := e.fleet.in(r.PathValue("namespace"))
	if from == to {
		e.hubMissing(w, r)
		return
	}
	e.hubPage(w, r, to-from, func(offset, limit int) []document {
		list := []document{}
		for repo := from + offset; repo < to && len(list) < limit; repo++ {
			list = append(list, document{
				"name": e.fleet.short(repo), "namespace": r.PathValue("namespace"), "repository_type": "image", "status": 1,
				"status_description": "active", "is_private": true, "star_count": 0, "pull_count": 12,
				"last_updated": e.fleet.view(repo).newest(0, 1)[0].pushed, "media_types": []string{dockerManifest}, "content_types": []string{"image"},
			})
		}
		return list
	})
}

func (e *Emulator) hubTags(w http.ResponseWriter, r *http.Request) {
	repo, ok := e.fleet.find(r.PathValue("namespace") + "/" + r.PathValue("repository"))
	if !ok {
		e.hubMissing(w, r)
		return
	}
	v := e.fleet.view(repo)
	pick := v.newest
	// Docker Hub: the sign of this ordering is the wrong way round, "-last_updated" begins with the oldest.
	if r.URL.Query().Get("ordering") == "-last_updated" {
		pick = v.oldest
	}
	e.hubPage(w, r, v.total, func(offset, limit int) []document {
		list := []document{}
		for _, t := range pick(offset, limit) {
			list = append(list, e.hubTagOf(t))
		}
		return list
	})
}

func (e *Emulator) hubTag(w http.ResponseWriter, r *http.Request) {
	if repo, ok := e.fleet.find(r.PathValue("namespace") + "/" + r.PathValue("repository")); ok {
		if t, ok := e.fleet.view(repo).find(r.PathValue("tag")); ok {
			writeJSON(w, r, http.StatusOK, e.hubTagOf(t))
			return
		}
	}
	e.hubMissing(w, r)
}

func (e *Emulator) hubTagOf(t tag) document {
	o := e.fleet.object(t.key)
	images := []document{}
	for _, m := range o.members() {
		if m.architecture != "" {
			images = append(images, document{
				"architecture": m.architecture, "os": "linux", "variant": nil, "features": "", "digest": m.digest, "size": m.size,
				"status": "active", "last_pushed": t.pushed, "last_pulled": nil,
			})
		}
	}
	contentType := "image"
	if o.artifactType != "" {
		contentType = "helm"
	}
	return document{
		"name": t.name, "digest": o.digest, "last_updated": t.pushed, "tag_last_pushed": t.pushed, "tag_last_pulled": nil,
		"full_size": o.size, "images": images, "media_type": o.mediaType, "content_type": contentType, "tag_status": "active",
		"id": t.number + 1, "v2": true,
	}
}
