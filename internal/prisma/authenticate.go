package prisma

import (
	"context"
	"net/http"

	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// authentication is Prisma's AuthenticationResponse.
type authentication struct {
	Token string `json:"token"`
}

// authenticate trades a password, or a token that is still good, for a new token. Whatever Authorization header comes with
// the request is ignored: Terraform sends "Bearer" with nothing behind it.
func (s *server) authenticate(w http.ResponseWriter, r *http.Request) error {
	var login struct {
		Username string `json:"username"`
		Password string `json:"password"`
		Token    string `json:"token"`
	}
	if err := decodeBody(w, r, &login); err != nil {
		return err
	}
	var user tidewaiter.User
	var err error
	switch {
	case login.Username != "":
		user, err = s.auth.Login(r.Context(), login.Username, login.Password, r.RemoteAddr)
	case login.Token != "":
		user, err = s.auth.Verify(r.Context(), login.Token)
	default:
		return tidewaiter.Invalid("username", "the user name is missing").WithFix("send username and password")
	}
	if err != nil {
		return err
	}
	return s.issue(w, user)
}

// renew answers with a new token for the user who asks.
func (s *server) renew(w http.ResponseWriter, r *http.Request) error {
	return s.issue(w, userOf(r.Context()))
}

func (s *server) issue(w http.ResponseWriter, user tidewaiter.User) error {
	token, err := s.auth.IssuePrisma(user)
	if err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, authentication{Token: token})
	return nil
}

// ping answers that the server is there.
func (s *server) ping(http.ResponseWriter, *http.Request) error { return nil }

func (s *server) getVersion(w http.ResponseWriter, _ *http.Request) error {
	writeJSON(w, http.StatusOK, s.version)
	return nil
}

type userKey struct{}

func withUser(ctx context.Context, u tidewaiter.User) context.Context {
	return context.WithValue(ctx, userKey{}, u)
}

func userOf(ctx context.Context) tidewaiter.User {
	u, _ := ctx.Value(userKey{}).(tidewaiter.User)
	return u
}
