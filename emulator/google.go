package emulator

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

const jwtBearer = "urn:ietf:params:oauth:grant-type:jwt-bearer" //nolint:gosec // a name, no secret

// googleGrant gives an access token for an assertion that a service account signed. Google: "Using OAuth 2.0 for Server to
// Server Applications"; RFC 7523.
func (e *Emulator) googleGrant(w http.ResponseWriter, r *http.Request) {
	label(r, e, "POST token_uri")
	if err := r.ParseForm(); err != nil || r.PostForm.Get("grant_type") != jwtBearer {
		writeJSON(w, r, http.StatusBadRequest, document{"error": "unsupported_grant_type", "error_description": "Invalid grant_type: " + r.PostForm.Get("grant_type")})
		return
	}
	e.mu.RLock()
	public, l := e.keys.client, e.login
	e.mu.RUnlock()
	var account struct {
		Email string `json:"client_email"`
	}
	_ = json.Unmarshal(l.ServiceAccountJSON, &account) // was read when the login was made
	var c struct {
		jwt.RegisteredClaims
		Scope string `json:"scope"`
	}
	_, err := jwt.ParseWithClaims(r.PostForm.Get("assertion"), &c, func(*jwt.Token) (any, error) { return public, nil },
		jwt.WithValidMethods([]string{"RS256"}), jwt.WithTimeFunc(e.now), jwt.WithExpirationRequired(), jwt.WithLeeway(time.Minute),
		jwt.WithIssuer(account.Email), jwt.WithAudience(base(r)+r.URL.Path))
	switch {
	case errors.Is(err, jwt.ErrTokenSignatureInvalid):
		writeJSON(w, r, http.StatusBadRequest, document{"error": "invalid_grant", "error_description": "Invalid JWT Signature."})
	case err != nil || c.IssuedAt == nil || c.ExpiresAt.Sub(c.IssuedAt.Time) > time.Hour:
		writeJSON(w, r, http.StatusBadRequest, document{"error": "invalid_grant", "error_description": "Invalid JWT: Token must be a short-lived token (60 minutes) and in a reasonable timeframe."})
	case c.Scope == "":
		writeJSON(w, r, http.StatusBadRequest, document{"error": "invalid_scope", "error_description": "Empty or missing scope not allowed."})
	default:
		e.googleAnswer(w, r, c.Issuer)
	}
}

func (e *Emulator) googleAnswer(w http.ResponseWriter, r *http.Request, account string) {
	life := e.life(time.Hour)
	writeJSON(w, r, http.StatusOK, document{
		"access_token": e.issue("google", account, nil, life), "expires_in": int(life / time.Second), "token_type": "Bearer",
	})
}

func (e *Emulator) googleToken(token string) bool {
	_, err := e.check("google", token)
	return err == nil
}

// garBasic takes what docker login takes. Google: "Configure authentication to Artifact Registry for Docker".
func (e *Emulator) garBasic(user, password string) bool {
	account := string(e.Login().ServiceAccountJSON)
	switch user {
	case "_json_key":
		return sameJSON(password, account)
	case "_json_key_base64":
		b, err := base64.StdEncoding.DecodeString(password)
		return err == nil && sameJSON(string(b), account)
	case "oauth2accesstoken":
		return e.googleToken(password)
	}
	return false
}

// sameJSON compares the private keys of two service account files.
func sameJSON(a, b string) bool {
	var x, y struct {
		Email string `json:"client_email"`
		Key   string `json:"private_key"`
	}
	return json.Unmarshal([]byte(a), &x) == nil && json.Unmarshal([]byte(b), &y) == nil && x.Email == y.Email && same(x.Key, y.Key)
}

// googleMetadata serves what a machine in Google's cloud learns about its service account.
func (e *Emulator) googleMetadata(api *http.ServeMux) {
	flavored := func(next http.HandlerFunc) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Metadata-Flavor", "Google")
			if r.Header.Get("Metadata-Flavor") != "Google" {
				http.Error(w, "Missing required header: Metadata-Flavor", http.StatusForbidden)
				return
			}
			next(w, r)
		}
	}
	const path = "GET /computeMetadata/v1/"
	api.HandleFunc(path+"instance/service-accounts/default/token", flavored(func(w http.ResponseWriter, r *http.Request) {
		e.googleAnswer(w, r, "default")
	}))
	api.HandleFunc(path+"project/project-id", flavored(func(w http.ResponseWriter, r *http.Request) {
		writeBody(w, r, http.StatusOK, "application/text", []byte(e.Login().Project))
	}))
}
