package emulator

import (
	"encoding/json"
	"net/http"
	"slices"
	"time"
)

// openshift is OpenShift's internal registry: the cluster's API with its image streams on one address, the registry on
// another. Both take the token of a service account. Red Hat: "ImageStream [image.openshift.io/v1]".
func (e *Emulator) openshift() surface {
	login := func(_, password string) bool { return same(password, e.Login().Token) } // any user name will do
	registry := e.distribution(gate{
		realm: func(r *http.Request) string { return base(r) + "/openshift/token" }, name: "openshift", basic: login,
		bearer: func(token, _ string) bool { return login("", token) },
	})
	mux := http.NewServeMux()
	mux.HandleFunc("/openshift/token", func(w http.ResponseWriter, r *http.Request) {
		label(r, e, "token")
		user, password, ok := r.BasicAuth()
		if !ok || !login(user, password) {
			w.Header().Set("WWW-Authenticate", `Basic realm="openshift"`)
			registryError(w, r, http.StatusUnauthorized, "UNAUTHORIZED", "authentication required")
			return
		}
		// OpenShift: what the registry wants is the very token that was sent.
		writeJSON(w, r, http.StatusOK, document{"access_token": password, "expires_in": 3600})
	})
	mux.Handle("/v2/", registry)
	api := http.NewServeMux()
	const group = "/apis/image.openshift.io/v1"
	api.HandleFunc("GET "+group+"/imagestreams", e.clusterOnly(func(w http.ResponseWriter, r *http.Request) {
		e.imageStreams(w, r, 0, e.o.Repositories)
	}))
	api.HandleFunc("GET "+group+"/namespaces/{namespace}/imagestreams", e.clusterOnly(func(w http.ResponseWriter, r *http.Request) {
		from, to := e.fleet.in(r.PathValue("namespace"))
		e.imageStreams(w, r, from, to)
	}))
	api.HandleFunc("GET "+group+"/namespaces/{namespace}/imagestreams/{name}", e.clusterOnly(func(w http.ResponseWriter, r *http.Request) {
		repo, ok := e.fleet.find(r.PathValue("namespace") + "/" + r.PathValue("name"))
		if !ok {
			kubernetesError(w, r, http.StatusNotFound, `imagestreams.image.openshift.io "`+r.PathValue("name")+`" not found`)
			return
		}
		writeJSON(w, r, http.StatusOK, e.imageStream(repo))
	}))
	return surface{registry: mux, api: api, endpoints: map[string]string{"kubernetes": e.API, "registry": e.URL}}
}

func kubernetesError(w http.ResponseWriter, r *http.Request, status int, message string) {
	reason := map[int]string{401: "Unauthorized", 403: "Forbidden", 404: "NotFound", 410: "Expired", 429: "TooManyRequests"}[status]
	set(&reason, "InternalError")
	writeJSON(w, r, status, document{
		"kind": "Status", "apiVersion": "v1", "metadata": document{}, "status": "Failure", "message": message, "reason": reason, "code": status,
	})
}

func (e *Emulator) clusterOnly(next http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if !e.isToken(r) {
			kubernetesError(w, r, http.StatusUnauthorized, "Unauthorized")
			return
		}
		next(w, r)
	}
}

// imageStreams lists in pages of limit, all at once where it is missing. Kubernetes: "API Concepts", retrieving large
// results in chunks. The answer is written item by item.
func (e *Emulator) imageStreams(w http.ResponseWriter, r *http.Request, from, to int) {
	if r.URL.Query().Get("watch") == "true" {
		e.watchImageStreams(w, r, from, to)
		return
	}
	offset, ok := e.offset(r.URL.Query().Get("continue"))
	if !ok {
		kubernetesError(w, r, http.StatusGone, "The provided continue parameter is too old")
		return
	}
	limit := number(r, "limit", 0, 0, 1<<30)
	if limit == 0 {
		limit = to - from
	}
	end := min(from+offset+limit, to)
	metadata := document{"resourceVersion": e.version()}
	if end < to && !endsEarly(r) {
		metadata["continue"], metadata["remainingItemCount"] = e.token(end-from), to-end
	}
	head, err := json.Marshal(metadata)
	if err != nil {
		kubernetesError(w, r, http.StatusInternalServerError, err.Error())
		return
	}
	w.Header().Set("Content-Type", "application/json")
	write := func(b []byte) { _, _ = w.Write(b) } // the client may have gone
	write([]byte(`{"kind":"ImageStreamList","apiVersion":"image.openshift.io/v1","metadata":` + string(head) + `,"items":[`))
	for repo := from + offset; repo < end; repo++ {
		if repo > from+offset {
			write([]byte(","))
		}
		item, err := json.Marshal(e.imageStream(repo))
		if err != nil || r.Context().Err() != nil {
			return
		}
		write(item)
	}
	write([]byte(`]}`))
}

func (e *Emulator) imageStream(repo int) document {
	v, name := e.fleet.view(repo), e.fleet.name(repo)
	repository := e.Host() + "/" + name
	tags := []document{}
	for _, t := range v.newest(0, v.total) {
		items := []document{e.tagEvent(repository, t)}
		if slices.Contains(v.gone, t.number) && t.number < e.o.Tags { // where it pointed before
			items = append(items, e.tagEvent(repository, e.fleet.original(repo, t.number)))
		}
		tags = append(tags, document{"tag": t.name, "items": items})
	}
	return document{
		"kind": "ImageStream", "apiVersion": "image.openshift.io/v1",
		"metadata": document{
			"name": e.fleet.short(repo), "namespace": e.fleet.namespaceOf(repo), "resourceVersion": e.version(),
			"creationTimestamp": e.fleet.original(repo, 0).pushed.Truncate(time.Second),
		},
		"spec":   document{"lookupPolicy": document{"local": false}},
		"status": document{"dockerImageRepository": repository, "publicDockerImageRepository": repository, "tags": tags},
	}
}

func (e *Emulator) tagEvent(repository string, t tag) document {
	digest := e.fleet.object(t.key).digest
	return document{
		"created": t.pushed.Truncate(time.Second), "dockerImageReference": repository + "@" + digest, "image": digest, "generation": 1,
	}
}
