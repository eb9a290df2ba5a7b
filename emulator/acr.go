package emulator

import (
	"net/http"
	"strconv"
	"strings"
	"time"
)

// acrUser is the user name that goes with a refresh token as the password. Azure: "Authenticate with an Azure container
// registry".
const acrUser = "00000000-0000-0000-0000-000000000000"

// acr is Azure Container Registry: registry, its own listing API and its token service on one address, Entra ID and the
// metadata service of a virtual machine on another. Azure: "Container Registry REST API", docs/AAD-OAuth.md.
func (e *Emulator) acr() surface {
	registry := e.distribution(gate{
		realm: func(r *http.Request) string { return base(r) + "/oauth2/token" }, service: e.Host(), basic: e.acrBasic,
	})
	mux := http.NewServeMux()
	mux.Handle("/v2/", registry)
	mux.HandleFunc("POST /oauth2/exchange", e.acrExchange)
	mux.HandleFunc("POST /oauth2/token", e.acrToken)
	mux.HandleFunc("GET /oauth2/token", e.acrToken)
	g := registry.gate
	mux.HandleFunc("GET /acr/v1/_catalog", func(w http.ResponseWriter, r *http.Request) {
		if g.admit(w, r, "registry:catalog:*") {
			e.acrCatalog(w, r)
		}
	})
	mux.HandleFunc("GET /acr/v1/", func(w http.ResponseWriter, r *http.Request) {
		path := strings.TrimPrefix(r.URL.Path, "/acr/v1/")
		at := max(strings.LastIndexByte(path, '/'), 0)
		name, what := path[:at], path[at:]
		label(r, e, "GET /acr/v1/{name}"+what)
		if what != "/_tags" && what != "/_manifests" {
			registryError(w, r, http.StatusNotFound, "NAME_UNKNOWN", "not found")
			return
		}
		if !g.admit(w, r, "repository:"+name+":metadata_read") {
			return
		}
		repo, ok := e.fleet.find(name)
		if !ok {
			registryError(w, r, http.StatusNotFound, "NAME_UNKNOWN", "repository name not known to registry")
			return
		}
		if what == "/_tags" {
			e.acrTags(w, r, name, repo)
		} else {
			e.acrManifests(w, r, name, repo)
		}
	})
	api := http.NewServeMux()
	e.entra(api)
	return surface{registry: mux, api: api, endpoints: map[string]string{
		"azure-authority": e.API, "azure-metadata": e.API, "acr": e.URL, "registry": e.URL,
	}}
}

// acrBasic takes the admin user, a service principal, and a refresh token.
func (e *Emulator) acrBasic(user, password string) bool {
	l := e.Login()
	if user == acrUser {
		_, err := e.check("acr-refresh", password)
		return err == nil
	}
	return e.basicLogin(user, password) || user == l.ClientID && same(password, l.ClientSecret)
}

func acrRefused(w http.ResponseWriter, r *http.Request) {
	registryError(w, r, http.StatusUnauthorized, "UNAUTHORIZED",
		"authentication required, visit https://aka.ms/acr/authorization for more information.")
}

// acrExchange turns a token of Entra ID into one of the registry.
func (e *Emulator) acrExchange(w http.ResponseWriter, r *http.Request) {
	label(r, e, "POST /oauth2/exchange")
	if err := r.ParseForm(); err != nil || r.PostForm.Get("grant_type") != "access_token" || r.PostForm.Get("service") != r.Host {
		registryError(w, r, http.StatusBadRequest, "UNSUPPORTED", "grant type or service is not supported")
		return
	}
	c, err := e.check("entra", r.PostForm.Get("access_token"))
	tenant := r.PostForm.Get("tenant")
	if err != nil || tenant != "" && tenant != e.Login().TenantID {
		acrRefused(w, r)
		return
	}
	writeJSON(w, r, http.StatusOK, document{"refresh_token": e.issue("acr-refresh", c.Subject, nil, e.life(3*time.Hour))})
}

// acrToken turns a refresh token, or a user and password, into a token for a scope.
func (e *Emulator) acrToken(w http.ResponseWriter, r *http.Request) {
	label(r, e, r.Method+" /oauth2/token")
	if err := r.ParseForm(); err != nil || r.Form.Get("service") != r.Host {
		registryError(w, r, http.StatusBadRequest, "UNSUPPORTED", "unknown service")
		return
	}
	user, password, ok := r.BasicAuth()
	switch grant := r.PostForm.Get("grant_type"); {
	case r.Method == http.MethodGet && ok:
	case grant == "refresh_token":
		user, password = acrUser, r.PostForm.Get("refresh_token")
	case grant == "password":
		user, password = r.PostForm.Get("username"), r.PostForm.Get("password")
	case r.Method == http.MethodPost:
		registryError(w, r, http.StatusBadRequest, "UNSUPPORTED", "grant type is not supported")
		return
	}
	if !e.acrBasic(user, password) {
		acrRefused(w, r)
		return
	}
	writeJSON(w, r, http.StatusOK, document{"access_token": e.issue("registry", user, granted(r.Form["scope"]), e.life(75*time.Minute))})
}

// acrCatalog lists repositories; 100 a page where n is missing.
func (e *Emulator) acrCatalog(w http.ResponseWriter, r *http.Request) {
	label(r, e, "GET /acr/v1/_catalog")
	size, last := number(r, "n", 100, 1, 1000), r.URL.Query().Get("last")
	names := []string{}
	more := false
	for repo := range e.o.Repositories {
		if name := e.fleet.name(repo); name > last {
			if more = len(names) == size; more {
				break
			}
			names = append(names, name)
		}
	}
	if more && !endsEarly(r) {
		linkNext(w, with(r, "n", strconv.Itoa(size), "last", names[len(names)-1]))
	}
	writeJSON(w, r, http.StatusOK, document{"repositories": names})
}

// acrList is a page of a repository's tags, in the order of names or, with orderby=timedesc or timeasc, of time; the next
// page begins after the last tag of this one.
func (e *Emulator) acrList(r *http.Request, v view) ([]tag, bool) {
	size, last := number(r, "n", 100, 1, 1000), r.URL.Query().Get("last")
	order := r.URL.Query().Get("orderby")
	if order != "timedesc" && order != "timeasc" {
		return v.byName(last, size)
	}
	pick, from := v.newest, 0
	if order == "timeasc" {
		pick = v.oldest
	}
	if t, ok := v.find(last); ok {
		from = v.position(t) + 1
		if order == "timeasc" {
			from = v.total - v.position(t)
		}
	}
	return pick(from, size), from+size < v.total
}

func (e *Emulator) acrNext(w http.ResponseWriter, r *http.Request, more bool, last string) {
	if more && !endsEarly(r) {
		linkNext(w, with(r, "n", strconv.Itoa(number(r, "n", 100, 1, 1000)), "last", last))
	}
}

func (e *Emulator) acrTags(w http.ResponseWriter, r *http.Request, name string, repo int) {
	list, more := e.acrList(r, e.fleet.view(repo))
	tags := []document{}
	for _, t := range list {
		tags = append(tags, document{
			"name": t.name, "digest": e.fleet.object(t.key).digest, "createdTime": t.pushed, "lastUpdateTime": t.pushed, "signed": false,
			"changeableAttributes": document{"deleteEnabled": true, "writeEnabled": true, "readEnabled": true, "listEnabled": true},
		})
	}
	if len(list) > 0 {
		e.acrNext(w, r, more, list[len(list)-1].name)
	}
	writeJSON(w, r, http.StatusOK, document{"registry": r.Host, "imageName": name, "tags": tags})
}

// acrManifests lists manifests, untagged children included, newest first; the next page is named by a digest.
func (e *Emulator) acrManifests(w http.ResponseWriter, r *http.Request, name string, repo int) {
	offset, size := number(r, "last", 0, 0, 1<<30), number(r, "n", 100, 1, 1000)
	page, more := e.fleet.view(repo).entries(offset, size, true, nil)
	manifests := []document{}
	for _, x := range page {
		doc := document{
			"digest": x.digest, "imageSize": x.size, "createdTime": x.pushed, "lastUpdateTime": x.pushed, "mediaType": x.mediaType,
			"configMediaType": x.configType, "tags": x.tags,
		}
		if x.architecture != "" {
			doc["architecture"], doc["os"] = x.architecture, "linux"
		}
		manifests = append(manifests, doc)
	}
	e.acrNext(w, r, more, strconv.Itoa(offset+len(page)))
	writeJSON(w, r, http.StatusOK, document{"registry": r.Host, "imageName": name, "manifests": manifests})
}
