package emulator

import (
	"crypto/subtle"
	"errors"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// claims is what an issued token says. Tokens hold all that is needed to check them, so that none are stored.
type claims struct {
	jwt.RegisteredClaims
	Use        string   `json:"use"` // what the token is for: a registry token is no API token
	Scopes     []string `json:"scopes,omitempty"`
	Generation int      `json:"gen"`
	GrantType  string   `json:"grant_type,omitempty"`
}

// life returns how long tokens live: as the options say, or as the kind has it.
func (e *Emulator) life(usual time.Duration) time.Duration {
	if e.o.TokenLife > 0 {
		return e.o.TokenLife
	}
	return usual
}

// issue makes a token.
func (e *Emulator) issue(use, subject string, scopes []string, life time.Duration) string {
	now := e.now()
	e.mu.RLock()
	generation := e.generation
	e.mu.RUnlock()
	signed, err := jwt.NewWithClaims(jwt.SigningMethodHS256, claims{
		RegisteredClaims: jwt.RegisteredClaims{
			Subject: subject, IssuedAt: jwt.NewNumericDate(now), ExpiresAt: jwt.NewNumericDate(now.Add(life)),
		},
		Use: use, Scopes: scopes, Generation: generation,
	}).SignedString(e.keys.token[:])
	if err != nil {
		return "" // an HMAC over plain claims cannot fail; an empty token opens nothing
	}
	return signed
}

var errToken = errors.New("the token is not valid")

// check reads a token of the emulator's own that serves a use.
func (e *Emulator) check(use, token string) (*claims, error) {
	c := &claims{}
	_, err := jwt.ParseWithClaims(token, c, func(*jwt.Token) (any, error) { return e.keys.token[:], nil },
		jwt.WithValidMethods([]string{"HS256"}), jwt.WithTimeFunc(e.now), jwt.WithExpirationRequired())
	if err != nil {
		return nil, err
	}
	e.mu.RLock()
	defer e.mu.RUnlock()
	if c.Use != use || c.Generation != e.generation {
		return nil, errToken
	}
	return c, nil
}

// bearer returns the token of a request.
func bearer(r *http.Request) string {
	scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return ""
	}
	return token
}

// same compares secrets. An empty one is never right.
func same(a, b string) bool {
	return a != "" && subtle.ConstantTimeCompare([]byte(a), []byte(b)) == 1
}

// basicLogin is the check for kinds that take the configured user and password.
func (e *Emulator) basicLogin(user, password string) bool {
	l := e.Login()
	return user == l.Username && same(password, l.Password)
}

// isBasic reports whether a request carries the configured user and password.
func (e *Emulator) isBasic(r *http.Request) bool {
	user, password, ok := r.BasicAuth()
	return ok && e.basicLogin(user, password)
}

// isToken reports whether a request carries the configured token as a bearer.
func (e *Emulator) isToken(r *http.Request) bool { return same(bearer(r), e.Login().Token) }

// tokenService is a server of registry tokens. CNCF distribution: "Token Authentication Specification".
type tokenService struct {
	e       *Emulator
	service string
	check   func(user, password string) bool
	life    time.Duration
	realm   string // of the challenge where the login is refused
}

// ServeHTTP answers GET with basic authentication and POST with a form.
func (s tokenService) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	label(r, s.e, "token")
	if err := r.ParseForm(); err != nil {
		registryError(w, r, http.StatusBadRequest, "UNSUPPORTED", err.Error())
		return
	}
	user, password, ok := r.BasicAuth()
	if r.Method == http.MethodPost {
		if grant := r.PostForm.Get("grant_type"); grant != "password" {
			registryError(w, r, http.StatusBadRequest, "UNSUPPORTED", "grant type "+grant+" is not supported")
			return
		}
		user, password, ok = r.PostForm.Get("username"), r.PostForm.Get("password"), true
	}
	anonymous := !ok && s.e.o.Anonymous
	if !anonymous && !s.check(user, password) {
		w.Header().Set("WWW-Authenticate", `Basic realm="`+s.realm+`"`)
		registryError(w, r, http.StatusUnauthorized, "UNAUTHORIZED", "incorrect username or password")
		return
	}
	if service := r.Form.Get("service"); service != s.service {
		registryError(w, r, http.StatusBadRequest, "UNSUPPORTED", "unknown service "+service)
		return
	}
	life := s.e.life(s.life)
	token := s.e.issue("registry", user, granted(r.Form["scope"]), life)
	writeJSON(w, r, http.StatusOK, document{
		"token": token, "access_token": token, "expires_in": int(life / time.Second),
		"issued_at": s.e.now().UTC().Format(time.RFC3339),
	})
}

// granted reads scopes and keeps what may be granted: pulling and listing.
func granted(scopes []string) []string {
	var list []string
	for _, many := range scopes {
		for scope := range strings.FieldsSeq(many) {
			at := strings.LastIndexByte(scope, ':')
			if at < 0 {
				continue
			}
			name, actions := scope[:at], strings.Split(scope[at+1:], ",")
			switch {
			case name == "registry:catalog" && slices.Contains(actions, "*"):
				list = append(list, "registry:catalog:*")
			case strings.HasPrefix(name, "repository:"):
				for _, a := range []string{"pull", "metadata_read"} {
					if slices.Contains(actions, a) {
						list = append(list, name+":"+a)
					}
				}
			}
		}
	}
	return list
}

// holds reports whether a token allows something. Scopes are made by granted.
func (c *claims) holds(scope string) bool { return scope == "" || slices.Contains(c.Scopes, scope) }

// expired reports whether a token would be valid had it not ended.
func (e *Emulator) expired(use, token string) bool {
	c := &claims{}
	_, err := jwt.ParseWithClaims(token, c, func(*jwt.Token) (any, error) { return e.keys.token[:], nil },
		jwt.WithValidMethods([]string{"HS256"}), jwt.WithTimeFunc(e.now))
	return errors.Is(err, jwt.ErrTokenExpired) && c.Use == use
}
