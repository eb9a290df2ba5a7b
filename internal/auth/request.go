package auth

import (
	"encoding/base64"
	"net"
	"net/http"
	"strings"

	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// maxHeader is the longest Authorization header that is looked at, in bytes.
const maxHeader = maxToken + 16

// Authenticate returns the user a request comes from, by its Authorization header: Basic, or Bearer with a token of
// either style. An empty "Bearer" counts as no credential at all. It fails with ErrUnauthorized, or ErrLimit while the
// name or the address has to wait.
//
// The address is the request's RemoteAddr; behind a proxy, whoever trusts the proxy sets that first.
func (s *Service) Authenticate(r *http.Request) (tidewaiter.User, error) {
	header := r.Header.Get("Authorization")
	if len(header) > maxHeader {
		return tidewaiter.User{}, errCredentials()
	}
	scheme, credential, _ := strings.Cut(strings.TrimSpace(header), " ")
	credential = strings.TrimSpace(credential)
	switch {
	case header == "", credential == "" && strings.EqualFold(scheme, "Bearer"):
		return tidewaiter.User{}, tidewaiter.Errorf(tidewaiter.ErrUnauthorized, "authentication is required").
			WithFix("send Basic credentials or a Bearer token")
	case strings.EqualFold(scheme, "Bearer"):
		return s.Verify(r.Context(), credential)
	case strings.EqualFold(scheme, "Basic"):
		name, password, ok := basic(credential)
		if !ok {
			return tidewaiter.User{}, errCredentials()
		}
		u, err := s.check(r.Context(), name, password, r.RemoteAddr)
		if err != nil {
			return tidewaiter.User{}, err
		}
		return *u, nil
	}
	return tidewaiter.User{}, tidewaiter.Errorf(tidewaiter.ErrUnauthorized, "the authentication scheme is not supported").
		WithFix("send Basic credentials or a Bearer token")
}

// basic reads Basic credentials, with or without padding: some clients leave it out.
func basic(credential string) (name, password string, ok bool) {
	b, err := base64.RawStdEncoding.DecodeString(strings.TrimRight(credential, "="))
	if err != nil {
		return "", "", false
	}
	return strings.Cut(string(b), ":")
}

// host returns an address without its port.
func host(remote string) string {
	if h, _, err := net.SplitHostPort(remote); err == nil {
		return h
	}
	return remote
}
