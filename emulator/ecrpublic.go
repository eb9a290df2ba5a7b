package emulator

import (
	"encoding/base64"
	"net/http"
	"strings"
	"time"
)

// publicAlias is the alias of the emulated public registry, the first part of every name in it.
const publicAlias = "emulated"

// publicRegistry is Amazon ECR Public: no catalog, cursors that cannot be made up, tokens that anybody gets. AWS: "Amazon
// ECR Public API Reference".
func (e *Emulator) publicRegistry() distribution {
	d := e.distribution(gate{
		realm: func(r *http.Request) string { return base(r) + "/token/" }, service: "public.ecr.aws",
		bearer: func(token, _ string) bool { return e.publicLogin(token) },
	})
	d.noCatalog, d.tagsDefault, d.tagsMax, d.opaque = true, 1000, 1000, true
	return d
}

// publicPassword is what GetAuthorizationToken gives: user and password together, used as a bearer token as well.
func (e *Emulator) publicPassword(life time.Duration) string {
	return base64.StdEncoding.EncodeToString([]byte("AWS:" + e.issue("ecr", "AWS", nil, life)))
}

func (e *Emulator) publicLogin(token string) bool {
	b, err := base64.StdEncoding.DecodeString(token)
	if err != nil {
		return false
	}
	_, err = e.check("ecr", strings.TrimPrefix(string(b), "AWS:"))
	return err == nil
}

// publicToken gives a token to anybody; whoever sends a login has to send the right one.
func (e *Emulator) publicToken(w http.ResponseWriter, r *http.Request) {
	label(r, e, "token")
	if user, password, ok := r.BasicAuth(); ok {
		if _, err := e.check("ecr", password); user != "AWS" || err != nil {
			registryError(w, r, http.StatusUnauthorized, "DENIED", "Your authorization token is invalid or has expired.")
			return
		}
	}
	life := e.life(12 * time.Hour)
	writeJSON(w, r, http.StatusOK, document{"token": e.issue("registry", "anybody", granted(r.URL.Query()["scope"]), life)})
}
