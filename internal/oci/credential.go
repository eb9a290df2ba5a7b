package oci

import (
	"context"
	"encoding/base64"
	"fmt"
	"log/slog"
)

// Credential is something to log in to a registry with. The zero Credential is anonymous. It prints as "***".
type Credential struct {
	Username string
	Password string

	// IdentityToken is an OAuth 2 refresh token: it is exchanged at the token server and never sent to the registry.
	IdentityToken string

	// AccessToken is sent to the registry as it is, as a Bearer token.
	AccessToken string
}

// Auth returns the credential for a registry's host[:port]. It is called for every request, from many goroutines, so that
// a credential may change at any time: one that is expensive to get should be kept by the function. An error without a
// kind counts as ErrAuth.
type Auth func(ctx context.Context, host string) (Credential, error)

// Static always gives the same credential.
func Static(c Credential) Auth {
	return func(context.Context, string) (Credential, error) { return c, nil }
}

// Basic logs in with a user name and a password.
func Basic(username, password string) Auth {
	return Static(Credential{Username: username, Password: password})
}

// Bearer sends a token as it is.
func Bearer(token string) Auth { return Static(Credential{AccessToken: token}) }

// IdentityToken exchanges a refresh token at the registry's token server.
func IdentityToken(token string) Auth { return Static(Credential{IdentityToken: token}) }

// Anonymous logs in with nothing. A nil Auth does the same.
func Anonymous(context.Context, string) (Credential, error) { return Credential{}, nil }

const hidden = "***"

// Format implements fmt.Formatter: no verb shows a secret.
func (c Credential) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(hidden)) }

// LogValue implements slog.LogValuer.
func (c Credential) LogValue() slog.Value { return slog.StringValue(hidden) }

// MarshalText keeps secrets out of encoders.
func (c Credential) MarshalText() ([]byte, error) { return []byte(hidden), nil }

func (c Credential) anonymous() bool { return c == Credential{} }

// direct returns the Authorization header for a registry that names no token server, "" when the credential has none.
func (c Credential) direct() string {
	switch {
	case c.AccessToken != "":
		return "Bearer " + c.AccessToken
	case c.Username != "" || c.Password != "":
		return c.basic()
	}
	return ""
}

func (c Credential) basic() string {
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(c.Username+":"+c.Password))
}
