package emulator

import (
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"sort"
	"strconv"
	"strings"
)

// distribution serves the registry API that clients pull by. OCI distribution-spec; CNCF distribution: "HTTP API V2".
type distribution struct {
	e      *Emulator
	prefix string // path before /v2/
	gate   gate

	name  func(repo int) string        // what a repository is called here, in the order of repositories
	find  func(string) (int, bool)     // the inverse
	extra func(repo int, doc document) // adds to the list of tags

	noCatalog      bool
	catalogDefault int                                         // page size without n; 100
	catalogMax     int                                         // largest n of the catalog; 1000
	refuseLarge    bool                                        // a larger n of the catalog is an error, not cut
	tagsDefault    int                                         // page size of tags without n; 0 for all at once
	tagsMax        int                                         // largest page of tags; 0 for no bound
	ignoreN        bool                                        // tags come all at once whatever n says
	opaque         bool                                        // the next page is named by something no client can make up
	link           func(r *http.Request, target string) string // changes the Link; nil for the relative path
	noLink         bool                                        // pages end without saying that more follow
}

var registryPath = regexp.MustCompile(`^(.+)/(tags/list|manifests/([^/]+)|blobs/([^/]+)|referrers/([^/]+))$`)

func isRegistryPath(path string) bool {
	return path == "/v2" || strings.Contains(path, "/v2/") && !strings.Contains(path, "/api/v2")
}

// ServeHTTP routes below /v2/.
func (d distribution) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Docker-Distribution-Api-Version", "registry/2.0")
	rest, ok := strings.CutPrefix(r.URL.Path, d.prefix+"/v2/")
	if !ok && r.URL.Path != d.prefix+"/v2" {
		http.NotFound(w, r)
		return
	}
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		registryError(w, r, http.StatusMethodNotAllowed, "UNSUPPORTED", "the operation is unsupported")
		return
	}
	switch m := registryPath.FindStringSubmatch(rest); {
	case rest == "":
		label(r, d.e, "GET /v2/")
		if d.gate.admit(w, r, "") {
			writeBody(w, r, http.StatusOK, "application/json", []byte(`{}`))
		}
	case rest == "_catalog":
		label(r, d.e, "GET /v2/_catalog")
		d.catalog(w, r)
	case m == nil:
		registryError(w, r, http.StatusNotFound, "NAME_INVALID", "not found")
	default:
		d.repository(w, r, m)
	}
}

func (d distribution) repository(w http.ResponseWriter, r *http.Request, m []string) {
	part, _, _ := strings.Cut(m[2], "/")
	label(r, d.e, r.Method+" /v2/{name}/"+part)
	if !d.gate.admit(w, r, "repository:"+m[1]+":pull") {
		return
	}
	repo, ok := d.find(m[1])
	if !ok {
		registryError(w, r, http.StatusNotFound, "NAME_UNKNOWN", "repository name not known to registry")
		return
	}
	switch part {
	case "tags":
		d.tags(w, r, m[1], repo)
	case "manifests":
		d.manifest(w, r, repo, m[3])
	case "blobs":
		d.blob(w, r, repo, m[4])
	case "referrers":
		d.referrers(w, r, repo, m[5])
	}
}

func (d distribution) catalog(w http.ResponseWriter, r *http.Request) {
	if d.noCatalog {
		registryError(w, r, http.StatusNotFound, "UNSUPPORTED", "the operation is unsupported")
		return
	}
	if !d.gate.admit(w, r, "registry:catalog:*") {
		return
	}
	largest, size := d.catalogMax, d.catalogDefault
	set(&largest, 1000)
	set(&size, min(100, largest))
	if text := r.URL.Query().Get("n"); text != "" {
		n, err := strconv.Atoi(text)
		// CNCF distribution 3: a page larger than catalog.maxentries is an error.
		if err != nil || n <= 0 || n > largest && d.refuseLarge {
			registryError(w, r, http.StatusBadRequest, "PAGINATION_NUMBER_INVALID", "invalid number of results requested")
			return
		}
		size = min(n, largest)
	}
	last, ok := d.cursor(r)
	if !ok {
		registryError(w, r, http.StatusMethodNotAllowed, "UNSUPPORTED", "the operation is unsupported")
		return
	}
	total := d.e.o.Repositories
	from := 0
	if last != "" {
		from = sort.Search(total, func(i int) bool { return d.name(i) > last })
	}
	names := []string{}
	for i := from; i < total && len(names) < size; i++ {
		names = append(names, d.name(i))
	}
	if from+len(names) < total && len(names) > 0 {
		d.next(w, r, size, names[len(names)-1])
	}
	writeJSON(w, r, http.StatusOK, document{"repositories": names})
}

func (d distribution) tags(w http.ResponseWriter, r *http.Request, name string, repo int) {
	size := d.tagsDefault
	if n, err := strconv.Atoi(r.URL.Query().Get("n")); err == nil && n > 0 {
		size = n
	}
	if d.tagsMax > 0 {
		size = min(size, d.tagsMax)
	}
	if d.ignoreN || size == 0 {
		size = d.e.o.Tags + maxTags
	}
	last, ok := d.cursor(r)
	if !ok {
		registryError(w, r, http.StatusMethodNotAllowed, "UNSUPPORTED", "the operation is unsupported")
		return
	}
	list, more := d.e.fleet.view(repo).byName(last, size)
	names := make([]string, len(list))
	for i, t := range list {
		names[i] = t.name
	}
	if more {
		d.next(w, r, size, names[len(names)-1])
	}
	doc := document{"name": name, "tags": names}
	if d.extra != nil {
		d.extra(repo, doc)
	}
	writeJSON(w, r, http.StatusOK, doc)
}

// cursor returns the name a page begins after. Where cursors are opaque, one that was made up is refused.
func (d distribution) cursor(r *http.Request) (string, bool) {
	last := r.URL.Query().Get("last")
	if !d.opaque || last == "" {
		return last, true
	}
	c, err := d.e.check("cursor", last)
	if err != nil {
		return "", false
	}
	return c.Subject, true
}

func (d distribution) next(w http.ResponseWriter, r *http.Request, size int, last string) {
	if d.noLink || endsEarly(r) {
		return
	}
	if d.opaque {
		last = d.e.issue("cursor", last, nil, d.e.life(24*60*60*1e9))
	}
	target := with(r, "n", strconv.Itoa(size), "last", last)
	if d.link != nil {
		target = d.link(r, target)
	}
	linkNext(w, target)
}

func (d distribution) manifest(w http.ResponseWriter, r *http.Request, repo int, reference string) {
	f := d.e.fleet
	var o *object
	if strings.Contains(reference, ":") {
		o = f.manifest(repo, reference)
	} else if t, ok := f.view(repo).find(reference); ok {
		o = f.object(t.key)
	}
	if o == nil {
		registryError(w, r, http.StatusNotFound, "MANIFEST_UNKNOWN", "manifest unknown")
		return
	}
	if !accepts(r, o.mediaType) {
		registryError(w, r, http.StatusNotFound, "MANIFEST_UNKNOWN", "OCI manifest found, but accept header does not support it")
		return
	}
	for _, m := range o.members() { // its config is what is asked for next
		if k, ok := f.seen.get(o.digest); ok && m.configDigest != "" {
			f.seen.put(m.configDigest, k)
		}
	}
	w.Header().Set("Docker-Content-Digest", o.digest)
	w.Header().Set("ETag", `"`+o.digest+`"`)
	writeBody(w, r, http.StatusOK, o.mediaType, o.data)
}

// accepts reports whether a client takes a media type. Without an Accept header it takes all.
func accepts(r *http.Request, mediaType string) bool {
	all := r.Header.Values("Accept")
	return len(all) == 0 || slices.ContainsFunc(all, func(line string) bool {
		for part := range strings.SplitSeq(line, ",") {
			name, _, _ := strings.Cut(part, ";")
			if name = strings.TrimSpace(name); name == mediaType || name == "*/*" || name == "application/*" {
				return true
			}
		}
		return false
	})
}

func (d distribution) blob(w http.ResponseWriter, r *http.Request, repo int, digest string) {
	b := d.e.fleet.blob(repo, digest)
	if b == nil {
		registryError(w, r, http.StatusNotFound, "BLOB_UNKNOWN", "blob unknown to registry")
		return
	}
	if d.e.o.RedirectBlobs {
		http.Redirect(w, r, d.e.storeURL(repo, digest), http.StatusTemporaryRedirect) //nolint:gosec // to the emulator itself
		return
	}
	writeBlob(w, r, digest, b)
}

// writeBlob answers with a blob, or with the part of it a Range header asks for.
func writeBlob(w http.ResponseWriter, r *http.Request, digest string, b []byte) {
	w.Header().Set("Docker-Content-Digest", digest)
	w.Header().Set("Accept-Ranges", "bytes")
	var from, to int
	if n, _ := fmt.Sscanf(r.Header.Get("Range"), "bytes=%d-%d", &from, &to); n > 0 && from >= 0 && from < len(b) {
		if n == 1 || to >= len(b) {
			to = len(b) - 1
		}
		if to >= from {
			w.Header().Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", from, to, len(b)))
			writeBody(w, r, http.StatusPartialContent, "application/octet-stream", b[from:to+1])
			return
		}
	}
	writeBody(w, r, http.StatusOK, "application/octet-stream", b)
}

func (d distribution) referrers(w http.ResponseWriter, r *http.Request, repo int, digest string) {
	list := []document{}
	wanted := r.URL.Query().Get("artifactType")
	if o := d.e.fleet.manifest(repo, digest); o != nil && len(o.children) > 0 && (wanted == "" || wanted == signatureType) {
		s := d.e.fleet.signature(o)
		list = append(list, document{"mediaType": s.mediaType, "digest": s.digest, "size": len(s.data), "artifactType": s.artifactType})
	}
	if wanted != "" {
		w.Header().Set("Oci-Filters-Applied", "artifactType")
	}
	w.Header().Set("Content-Type", ociIndex)
	writeJSON(w, r, http.StatusOK, document{"schemaVersion": 2, "mediaType": ociIndex, "manifests": list})
}

// registryError answers in the form of the registry API. OCI distribution-spec, "Error Codes".
func registryError(w http.ResponseWriter, r *http.Request, status int, code, message string) {
	writeJSON(w, r, status, document{"errors": []document{{"code": code, "message": message, "detail": nil}}})
}
