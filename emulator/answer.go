package emulator

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strconv"
)

// document is a JSON object.
type document = map[string]any

func hostOf(base string) string {
	u, err := url.Parse(base)
	if err != nil {
		return base
	}
	return u.Host
}

// writeJSON answers with a document.
func writeJSON(w http.ResponseWriter, r *http.Request, status int, doc any) {
	b, err := json.Marshal(doc)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	contentType := w.Header().Get("Content-Type")
	if contentType == "" {
		contentType = "application/json"
	}
	writeBody(w, r, status, contentType, b)
}

func writeBody(w http.ResponseWriter, r *http.Request, status int, contentType string, b []byte) {
	if contentType != "" {
		w.Header().Set("Content-Type", contentType)
	}
	w.Header().Set("Content-Length", strconv.Itoa(len(b)))
	w.WriteHeader(status)
	if r.Method != http.MethodHead {
		_, _ = w.Write(b) // the client may have gone
	}
}

// number reads a number from the query: def where it is missing or no number, between low and high.
func number(r *http.Request, name string, def, low, high int) int {
	n, err := strconv.Atoi(r.URL.Query().Get(name))
	if err != nil {
		return def
	}
	return min(max(n, low), high)
}

// with returns the request's own path and query with some parameters set.
func with(r *http.Request, pairs ...string) string {
	q := r.URL.Query()
	for i := 0; i+1 < len(pairs); i += 2 {
		q.Set(pairs[i], pairs[i+1])
	}
	return r.URL.EscapedPath() + "?" + q.Encode()
}

// base is the address a request was sent to.
func base(r *http.Request) string {
	if r.TLS != nil {
		return "https://" + r.Host
	}
	return "http://" + r.Host
}

// linkNext adds a Link header to the next page. RFC 8288.
func linkNext(w http.ResponseWriter, target string) {
	w.Header().Add("Link", "<"+target+`>; rel="next"`)
}

// problem answers with an error in the form of the kind's own API; the form of the registry API for requests of that.
func (e *Emulator) problem(w http.ResponseWriter, r *http.Request, status int, code, message string) {
	if code == "" {
		code = map[int]string{401: "UNAUTHORIZED", 403: "DENIED", 404: "NAME_UNKNOWN", 429: "TOOMANYREQUESTS"}[status]
		set(&code, "UNKNOWN")
	}
	native := !isRegistryPath(r.URL.Path)
	if e.o.Kind == DockerHub && r.Host == hostOf(e.API) {
		native = true
	}
	if !native {
		registryError(w, r, status, code, message)
		return
	}
	switch e.o.Kind {
	case ECR:
		awsError(w, r, status, code, message)
	case GAR:
		googleError(w, r, status, message)
	case Artifactory:
		writeJSON(w, r, status, document{"errors": []document{{"status": status, "message": message}}})
	case Nexus:
		writeBody(w, r, status, "", nil)
	case Quay:
		quayError(w, r, status, message)
	case OpenShift:
		kubernetesError(w, r, status, message)
	case DockerHub, GitLab, GHCR:
		writeJSON(w, r, status, document{"message": message})
	case IBM, OCIR:
		writeJSON(w, r, status, document{"code": code, "message": message})
	default:
		registryError(w, r, status, code, message)
	}
}
