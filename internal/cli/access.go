package cli

import (
	"context"
	"io"
	"strings"

	"github.com/tidewaiter/tidewaiter/internal/oci"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// maxPasswordBytes bounds what is read from standard input.
const maxPasswordBytes = 64 << 10

// auth returns what to log in with: the given user and password, else what `docker login` stored, else nothing.
func (f accessFlags) auth(_ context.Context, s streams, _ string) (oci.Auth, error) {
	if f.Username == "" {
		if f.PasswordStdin {
			return nil, tidewaiter.Invalid("password-stdin", "a password needs a user").WithFix("give --username too")
		}
		return oci.DockerConfig("")
	}
	if !f.PasswordStdin {
		return nil, tidewaiter.Invalid("username", "a user needs a password").WithFix("give --password-stdin and write the password to standard input")
	}
	password, err := io.ReadAll(io.LimitReader(s.in, maxPasswordBytes))
	if err != nil {
		return nil, err
	}
	return oci.Basic(f.Username, strings.TrimRight(string(password), "\r\n")), nil
}
