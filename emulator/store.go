package emulator

import (
	"net/http"
	"strconv"
	"strings"
)

// storePath is where the blob store is on the second address.
const storePath = "/emulated-store/"

// store is an object store that holds the blobs, as most hosted registries have one. What opens it is in the address; like
// the clouds' own it refuses a request that carries a second login.
func (e *Emulator) store(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		digest, ok := strings.CutPrefix(r.URL.Path, storePath)
		if !ok {
			if next == nil {
				http.NotFound(w, r)
				return
			}
			next.ServeHTTP(w, r)
			return
		}
		label(r, e, "GET blob store")
		if r.Header.Get("Authorization") != "" {
			writeBody(w, r, http.StatusBadRequest, "application/xml",
				[]byte(`<Error><Code>InvalidArgument</Code><Message>Only one auth mechanism allowed</Message></Error>`))
			return
		}
		c, err := e.check("store", r.URL.Query().Get("signature"))
		if err != nil || c.Subject != digest || len(c.Scopes) != 1 {
			writeBody(w, r, http.StatusForbidden, "application/xml", []byte(`<Error><Code>AccessDenied</Code></Error>`))
			return
		}
		repo, err := strconv.Atoi(c.Scopes[0])
		if err != nil {
			http.NotFound(w, r)
			return
		}
		writeBlob(w, r, digest, e.fleet.blob(repo, digest))
	})
}

// storeURL is an address that opens one blob for a while. It names another host than the registry's where it can, as
// clients keep or drop a login by the host.
func (e *Emulator) storeURL(repo int, digest string) string {
	signature := e.issue("store", digest, []string{strconv.Itoa(repo)}, e.life(10*60*1e9))
	return strings.Replace(e.API, "//127.0.0.1:", "//localhost:", 1) + storePath + digest + "?signature=" + signature
}
