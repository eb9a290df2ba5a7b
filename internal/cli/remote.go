package cli

import (
	"errors"
	"io"
	"net/http"
	"strings"

	"github.com/tidewaiter/tidewaiter/client"
	"github.com/tidewaiter/tidewaiter/internal/secret"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// remoteFlags say which server to ask, and as whom. Commands that ask a server embed them.
type remoteFlags struct {
	Server        string       `help:"Address of the server." default:"http://127.0.0.1:8080" env:"TIDEWAITER_SERVER" placeholder:"URL"`
	User          string       `help:"Whom to log in as." default:"admin" env:"TIDEWAITER_USER" placeholder:"NAME"`
	Password      secret.Value `help:"The password; better in the variable than on the command line." env:"TIDEWAITER_PASSWORD" placeholder:"…"`
	PasswordStdin bool         `help:"Read the password from standard input." name:"password-stdin"`
	Token         secret.Value `help:"A token instead of user and password." env:"TIDEWAITER_TOKEN" placeholder:"…"`
	Output        string       `help:"${enum}." enum:"table,json" default:"table" short:"o"`
}

// client returns a client of the server.
func (f remoteFlags) client(s streams) (*client.Client, error) {
	login := client.Basic(f.User, f.Password.Reveal())
	switch {
	case !f.Token.IsZero():
		login = client.Bearer(f.Token.Reveal())
	case f.PasswordStdin:
		password, err := io.ReadAll(io.LimitReader(s.in, maxPasswordBytes))
		if err != nil {
			return nil, err
		}
		login = client.Basic(f.User, strings.TrimRight(string(password), "\r\n"))
	case f.Password.IsZero():
		return nil, tidewaiter.Invalid("password", "the server wants to know who asks").
			WithFix("set TIDEWAITER_PASSWORD or TIDEWAITER_TOKEN, or give --password-stdin")
	}
	c, err := client.New(f.Server, login)
	if err != nil {
		return nil, tidewaiter.Invalid("server", "%s", err)
	}
	return c, nil
}

// refused gives an error of the server the kind that decides over the exit code.
func refused(err error) error {
	e, ok := errors.AsType[*client.Error](err)
	if !ok {
		return err
	}
	kind := tidewaiter.ErrTransient
	switch e.Status {
	case http.StatusUnauthorized, http.StatusForbidden:
		kind = tidewaiter.ErrDenied
	case http.StatusUnprocessableEntity, http.StatusBadRequest:
		kind = tidewaiter.ErrInvalid
	case http.StatusNotFound:
		kind = tidewaiter.ErrNotFound
	}
	return tidewaiter.Errorf(kind, "%w", err)
}
