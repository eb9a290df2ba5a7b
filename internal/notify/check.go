package notify

import (
	"crypto/rand"
	"encoding/base64"
	"net/textproto"
	"net/url"
	"slices"
	"strings"

	"github.com/tidewaiter/tidewaiter/internal/secret"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// The bounds of what a webhook is given.
const (
	maxURL       = 2048
	minSigning   = 16
	maxSigning   = 512
	maxHeaders   = 20
	maxHeaderLen = 4096
)

// Address checks a receiver's URL and returns what of it may be shown: scheme and host. ErrInvalid on field "url" never
// holds more of it than that.
func Address(raw secret.Value, checkHost func(string) error) (string, error) {
	s := strings.TrimSpace(raw.Reveal())
	u, err := url.Parse(s)
	switch {
	case err != nil || u.Host == "" || u.Hostname() == "":
		return "", tidewaiter.Invalid("url", "not an address").WithFix("write it as https://host[:port]/path")
	case u.Scheme != "https" && u.Scheme != "http":
		return "", tidewaiter.Invalid("url", "the address is neither https nor http")
	case u.User != nil:
		return "", tidewaiter.Invalid("url", "the address must not hold a user or password").WithFix("give an Authorization header instead")
	case u.Fragment != "":
		return "", tidewaiter.Invalid("url", "the address must not hold a fragment")
	case len(s) > maxURL:
		return "", tidewaiter.Invalid("url", "the address is longer than %d characters", maxURL)
	case s != raw.Reveal() || strings.ContainsAny(u.Host, " \t\r\n\"'<>\\^`{|}"):
		return "", tidewaiter.Invalid("url", "the address holds characters it must not hold")
	}
	if err := checkHost(u.Hostname()); err != nil {
		return "", tidewaiter.Invalid("url", "%s", err)
	}
	return u.Scheme + "://" + strings.ToLower(u.Host), nil
}

// reserved are headers that are not the caller's to set.
var reserved = []string{"Host", "Content-Length", "Content-Type", "Content-Encoding", "Transfer-Encoding", "Connection", "Upgrade", "Te",
	"Trailer", "Expect", "Keep-Alive", "Proxy-Authorization", "Proxy-Connection", "User-Agent"}

// CheckHeaders checks custom headers and returns them under their usual spelling. ErrInvalid on field "headers".
func CheckHeaders(headers map[string]secret.Value) (map[string]secret.Value, error) {
	if len(headers) > maxHeaders {
		return nil, tidewaiter.Invalid("headers", "more than %d headers", maxHeaders)
	}
	out := map[string]secret.Value{}
	for name, v := range headers {
		usual := textproto.CanonicalMIMEHeaderKey(name)
		switch {
		case name == "" || len(name) > 100 || strings.ContainsFunc(name, notInToken):
			return nil, tidewaiter.Invalid("headers", "%q is not the name of a header", clip(name, 100))
		case slices.Contains(reserved, usual) || strings.HasPrefix(usual, "X-Tidewaiter-"):
			return nil, tidewaiter.Invalid("headers", "the header %s cannot be chosen", usual)
		case len(v.Reveal()) > maxHeaderLen || strings.ContainsFunc(v.Reveal(), notInValue):
			return nil, tidewaiter.Invalid("headers", "the value of %s is longer than %d bytes, or holds a line break or another character that cannot be sent",
				usual, maxHeaderLen)
		}
		if _, twice := out[usual]; twice {
			return nil, tidewaiter.Invalid("headers", "the header %s is there twice", usual)
		}
		out[usual] = v
	}
	return out, nil
}

// notInToken reports whether RFC 9110 has no such character in a token.
func notInToken(r rune) bool {
	return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && !strings.ContainsRune("!#$%&'*+-.^_`|~", r)
}

func notInValue(r rune) bool { return r < ' ' && r != '\t' || r >= 0x7f }

// CheckSigning checks a signing secret; a zero one is none. ErrInvalid on field "secret".
func CheckSigning(s secret.Value) error {
	if n := len(s.Reveal()); n > 0 && (n < minSigning || n > maxSigning) {
		return tidewaiter.Invalid("secret", "the secret has %d bytes", n).WithFix("%d to %d, or none to have one made up", minSigning, maxSigning)
	}
	return nil
}

// NewSigningSecret makes up a signing secret.
func NewSigningSecret() secret.Value {
	fresh := make([]byte, 32)
	_, _ = rand.Read(fresh) // never fails
	return secret.New("whsec_" + base64.RawURLEncoding.EncodeToString(fresh))
}
