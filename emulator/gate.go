package emulator

import "net/http"

// gate decides who may use a registry API, and tells the others how to log in.
type gate struct {
	e         *Emulator
	anonymous bool
	basic     func(user, password string) bool // nil where user and password are not taken directly
	bearer    func(token, scope string) bool   // a further kind of bearer token; nil for none
	realm     func(r *http.Request) string     // the token service; nil where there is none
	service   string
	name      string // the realm of basic authentication
}

// admit reports whether a request may go on; otherwise it has been answered.
func (g gate) admit(w http.ResponseWriter, r *http.Request, scope string) bool {
	if g.anonymous {
		return true
	}
	if user, password, ok := r.BasicAuth(); ok && g.basic != nil && g.basic(user, password) {
		return true
	}
	reason := ""
	if token := bearer(r); token != "" {
		if g.realm != nil {
			if c, err := g.e.check("registry", token); err != nil {
				reason = `,error="invalid_token"`
			} else if c.holds(scope) {
				return true
			} else {
				reason = `,error="insufficient_scope"`
			}
		}
		if g.bearer != nil && g.bearer(token, scope) {
			return true
		}
	}
	if g.realm != nil {
		challenge := `Bearer realm="` + g.realm(r) + `",service="` + g.service + `"`
		if scope != "" {
			challenge += `,scope="` + scope + `"`
		}
		w.Header().Add("WWW-Authenticate", challenge+reason)
	} else {
		w.Header().Add("WWW-Authenticate", `Basic realm="`+g.name+`"`)
	}
	registryError(w, r, http.StatusUnauthorized, "UNAUTHORIZED", "authentication required")
	return false
}
