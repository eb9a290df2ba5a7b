package emulator

import (
	"net/http"
	"strconv"
	"time"
)

// dtr is Docker Trusted Registry, today Mirantis Secure Registry 2. Mirantis: "MSR API", version 0.
func (e *Emulator) dtr() surface {
	registry := e.distribution(gate{realm: func(r *http.Request) string { return base(r) + "/auth/token" }, service: e.Host()})
	registry.tagsMax = 1000
	mux := http.NewServeMux()
	mux.Handle("/auth/token", tokenService{e: e, service: e.Host(), check: e.basicLogin, life: 5 * time.Minute, realm: "DTR"})
	mux.Handle("/v2/", registry)
	mux.HandleFunc("GET /api/v0/repositories", e.dtrOnly(func(w http.ResponseWriter, r *http.Request) {
		list := e.dtrPage(w, r, e.o.Repositories, e.dtrRepository)
		writeJSON(w, r, http.StatusOK, document{"repositories": list})
	}))
	mux.HandleFunc("GET /api/v0/repositories/{namespace}", e.dtrOnly(func(w http.ResponseWriter, r *http.Request) {
		from, to := e.fleet.in(r.PathValue("namespace"))
		list := e.dtrPage(w, r, to-from, func(i int) document { return e.dtrRepository(from + i) })
		writeJSON(w, r, http.StatusOK, document{"repositories": list})
	}))
	mux.HandleFunc("GET /api/v0/repositories/{namespace}/{repository}/tags", e.dtrOnly(e.dtrTags))
	return surface{registry: mux, endpoints: map[string]string{"dtr": e.URL}}
}

func (e *Emulator) dtrOnly(next http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if !e.isBasic(r) {
			registryError(w, r, http.StatusUnauthorized, "NOT_AUTHENTICATED", "The client is not authenticated.")
			return
		}
		next(w, r)
	}
}

// dtrPage returns a page and puts the start of the next one into a header. DTR: pageSize is 10 where it is missing.
func (e *Emulator) dtrPage(w http.ResponseWriter, r *http.Request, total int, item func(i int) document) []document {
	start, _ := e.offset(r.URL.Query().Get("pageStart")) // one that was made up begins at the beginning
	size := number(r, "pageSize", 10, 1, 100)
	list := []document{}
	for i := start; i < total && len(list) < size; i++ {
		list = append(list, item(i))
	}
	if r.URL.Query().Get("count") == "true" {
		w.Header().Set("X-Resource-Count", strconv.Itoa(total))
	}
	if start+len(list) < total && !endsEarly(r) {
		w.Header().Set("X-Next-Page-Start", e.token(start+len(list)))
	}
	return list
}

func (e *Emulator) dtrRepository(repo int) document {
	return document{
		"id": strconv.Itoa(repo + 1), "namespace": e.fleet.namespaceOf(repo), "namespaceType": "organization", "name": e.fleet.short(repo),
		"visibility": "private", "shortDescription": "", "scanOnPush": false, "immutableTags": false,
	}
}

func (e *Emulator) dtrTags(w http.ResponseWriter, r *http.Request) {
	repo, ok := e.fleet.find(r.PathValue("namespace") + "/" + r.PathValue("repository"))
	if !ok {
		registryError(w, r, http.StatusNotFound, "NO_SUCH_REPOSITORY", "A repository with the given name does not exist")
		return
	}
	v := e.fleet.view(repo)
	writeJSON(w, r, http.StatusOK, e.dtrPage(w, r, v.total, func(i int) document {
		t := v.at(i)
		o := e.fleet.object(t.key)
		manifest := document{"digest": o.digest, "mediaType": o.mediaType, "createdAt": t.pushed, "size": o.size, "os": "", "architecture": ""}
		if o.architecture != "" {
			manifest["os"], manifest["architecture"] = "linux", o.architecture
		}
		return document{
			"name": t.name, "digest": o.digest, "author": "emulator", "updatedAt": t.pushed, "createdAt": t.pushed,
			"hashMismatch": false, "inNotary": false, "manifest": manifest,
		}
	}))
}
