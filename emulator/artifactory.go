package emulator

import (
	"net/http"
	"slices"
	"strings"
	"time"
)

// The repositories of the emulated Artifactory. All lead to the same images, as a local repository, the cache of a remote
// one and a virtual one in front of both do.
const (
	artifactoryLocal   = "docker-local"
	artifactoryRemote  = "docker-remote"
	artifactoryCache   = "docker-remote-cache"
	artifactoryVirtual = "docker-virtual"
)

// artifactory is JFrog Artifactory. JFrog: "Artifactory REST APIs".
func (e *Emulator) artifactory() surface {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /artifactory/api/system/ping", func(w http.ResponseWriter, r *http.Request) {
		writeBody(w, r, http.StatusOK, "text/plain", []byte("OK"))
	})
	mux.HandleFunc("GET /artifactory/api/system/version", e.artifactoryOnly(func(w http.ResponseWriter, r *http.Request) {
		writeJSON(w, r, http.StatusOK, document{"version": "7.111.4", "revision": "81104900", "license": "emulated"})
	}))
	mux.HandleFunc("GET /artifactory/api/repositories", e.artifactoryOnly(e.artifactoryRepositories))
	mux.HandleFunc("POST /artifactory/api/search/aql", e.artifactoryOnly(e.aql))
	mux.HandleFunc("/artifactory/api/docker/", func(w http.ResponseWriter, r *http.Request) {
		key, _, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/artifactory/api/docker/"), "/")
		e.artifactoryDocker(w, r, "/artifactory/api/docker/"+key, key, "")
	})
	mux.HandleFunc("/v2/", e.artifactoryHost)
	return surface{registry: mux, endpoints: map[string]string{"artifactory": e.URL}}
}

func artifactoryKeys() []string {
	return []string{artifactoryLocal, artifactoryRemote, artifactoryCache, artifactoryVirtual}
}

// artifactoryHost serves pulls by host, in the naming mode that was chosen: path, subdomain or port.
func (e *Emulator) artifactoryHost(w http.ResponseWriter, r *http.Request) {
	switch e.o.Layout {
	case "subdomain":
		key, _, _ := strings.Cut(r.Host, ".")
		if !slices.Contains(artifactoryKeys(), key) {
			e.problem(w, r, http.StatusNotFound, "NAME_UNKNOWN", "the host names no repository key")
			return
		}
		e.artifactoryDocker(w, r, "", key, "")
	case "port":
		e.artifactoryDocker(w, r, "", artifactoryLocal, "")
	default:
		key, _, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/v2/"), "/")
		if !slices.Contains(artifactoryKeys(), key) {
			key = artifactoryLocal
		}
		e.artifactoryDocker(w, r, "", key, key+"/")
	}
}

// artifactoryDocker serves one repository key's registry API; in names, before stands in front of the image.
func (e *Emulator) artifactoryDocker(w http.ResponseWriter, r *http.Request, path, key, before string) {
	if !slices.Contains(artifactoryKeys(), key) {
		e.problem(w, r, http.StatusNotFound, "NAME_UNKNOWN", "no repository has the key "+key)
		return
	}
	realm := func(r *http.Request) string { return base(r) + path + "/v2/token" }
	if r.URL.Path == path+"/v2/token" {
		tokenService{e: e, service: r.Host, check: e.artifactoryBasic, life: time.Hour, realm: "Artifactory Realm"}.ServeHTTP(w, r)
		return
	}
	d := e.distribution(gate{
		realm: realm, service: r.Host, basic: e.artifactoryBasic,
		bearer: func(token, _ string) bool { return same(token, e.Login().Token) },
	})
	d.prefix = path
	d.name = func(repo int) string { return before + e.fleet.name(repo) }
	d.find = func(name string) (int, bool) {
		rest, ok := strings.CutPrefix(name, before)
		if !ok {
			return 0, false
		}
		return e.fleet.find(rest)
	}
	d.ServeHTTP(w, r)
}

// artifactoryBasic takes the password, or a token in its place.
func (e *Emulator) artifactoryBasic(user, password string) bool {
	l := e.Login()
	return e.basicLogin(user, password) || user == l.Username && same(password, l.Token)
}

func (e *Emulator) artifactoryOnly(next http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		user, password, ok := r.BasicAuth()
		// JFrog: the header X-JFrog-Art-Api takes an API key, and an access token as well.
		known := ok && e.artifactoryBasic(user, password)
		if !known && !e.isToken(r) && !same(r.Header.Get("X-Jfrog-Art-Api"), e.Login().Token) {
			w.Header().Set("WWW-Authenticate", `Basic realm="Artifactory Realm"`)
			writeJSON(w, r, http.StatusUnauthorized, document{"errors": []document{{"status": 401, "message": "Bad credentials"}}})
			return
		}
		next(w, r)
	}
}

func (e *Emulator) artifactoryRepositories(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	list := []document{}
	for _, x := range [][3]string{
		{artifactoryLocal, "LOCAL", "Docker"}, {artifactoryRemote, "REMOTE", "Docker"}, {artifactoryVirtual, "VIRTUAL", "Docker"},
		{"libs-release", "LOCAL", "Maven"},
	} {
		if t := q.Get("type"); t != "" && !strings.EqualFold(t, x[1]) {
			continue
		}
		if p := q.Get("packageType"); p != "" && !strings.EqualFold(p, x[2]) {
			continue
		}
		list = append(list, document{"key": x[0], "type": x[1], "description": "", "url": base(r) + "/artifactory/" + x[0], "packageType": x[2]})
	}
	writeJSON(w, r, http.StatusOK, list)
}
