package qualys

import (
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// login is a user name and a password, or what a client of the OAuth variants sends in their place.
type login struct{ name, password string }

// authenticate trades a password for a token. Qualys: a form with username, password, token=true and perhaps
// permissions=true is answered with 201 and the bare token. Ours: token=true may be missing, for nothing else is given out.
func (s *server) authenticate(w http.ResponseWriter, r *http.Request) error {
	body, err := readBody(w, r)
	if err != nil {
		return err
	}
	if client, ok := clientOf(r, "client_id", "client_secret"); ok {
		token, err := s.tokenFor(r, client)
		if err != nil {
			return err
		}
		writeJSON(w, http.StatusOK, struct {
			AccessToken string `json:"access_token"`
			TokenType   string `json:"token_type"`
		}{token, "Bearer"})
		return nil
	}
	logins := loginsOf(string(body))
	if len(logins) == 0 {
		return tidewaiter.Invalid("username", "the user name is missing").
			WithFix("send username, password and token=true as a form")
	}
	token, err := s.tokenFor(r, logins...)
	if err != nil {
		return err
	}
	writeToken(w, http.StatusCreated, token)
	return nil
}

// authenticateClient is the OAuth variant of a CI plugin: an empty body, and the headers clientId and clientSecret. Ours: a
// client is a user.
func (s *server) authenticateClient(w http.ResponseWriter, r *http.Request) error {
	client, ok := clientOf(r, "clientId", "clientSecret")
	if !ok {
		return tidewaiter.Invalid("clientId", "the header is missing").WithFix("send clientId and clientSecret as headers")
	}
	token, err := s.tokenFor(r, client)
	if err != nil {
		return err
	}
	writeToken(w, http.StatusOK, token)
	return nil
}

// clientOf reads a login from two headers.
func clientOf(r *http.Request, id, secret string) (login, bool) {
	l := login{r.Header.Get(id), r.Header.Get(secret)}
	return l, l.name != "" && l.password != ""
}

// tokenFor returns a token for the first login that is right.
func (s *server) tokenFor(r *http.Request, logins ...login) (string, error) {
	var failed error
	for _, l := range logins {
		user, err := s.auth.Login(r.Context(), l.name, l.password, r.RemoteAddr)
		if err == nil {
			return s.auth.IssueQualys(user, r.RemoteAddr)
		}
		failed = err
		if tidewaiter.KindOf(err) != tidewaiter.ErrUnauthorized {
			break
		}
	}
	return "", failed
}

func writeToken(w http.ResponseWriter, status int, token string) {
	w.Header().Set("Content-Type", "text/plain;charset=UTF-8")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_, _ = io.WriteString(w, token) //nolint:gosec // a token we made, as plain text
}

// formFields are the names that begin a field of a login form; anything else between two "&" belongs to the value before.
var formFields = []string{"username", "password", "token", "permissions", "grant_type"}

// loginsOf reads a login form the ways it may be meant, most likely first: as a form has to be encoded, and as clients send
// it that forget to. (Qualys: some put the user name and password into the body as they are.)
func loginsOf(body string) []login {
	var out []login
	add := func(name, password string) {
		if l := (login{name, password}); name != "" && !slices.Contains(out, l) {
			out = append(out, l)
		}
	}
	if form, err := url.ParseQuery(body); err == nil {
		add(form.Get("username"), form.Get("password"))
	}
	raw := map[string]string{}
	last := ""
	for part := range strings.SplitSeq(body, "&") {
		name, value, _ := strings.Cut(part, "=")
		switch {
		case slices.Contains(formFields, name):
			raw[name], last = value, name
		case last != "":
			raw[last] += "&" + part
		}
	}
	add(raw["username"], raw["password"])
	return out
}
