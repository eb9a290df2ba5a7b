package connector

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/tidewaiter/tidewaiter/internal/oci"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// looseTime is a time that may be absent, a number of seconds or milliseconds since 1970, or written in one of the ways
// registries write times. One that cannot be read is zero: a listing does not fail for it.
type looseTime struct{ time.Time }

// UnmarshalJSON implements json.Unmarshaler.
func (t *looseTime) UnmarshalJSON(b []byte) error {
	text := strings.Trim(string(b), `"`)
	t.Time = time.Time{}
	if n, err := strconv.ParseFloat(text, 64); err == nil {
		if n > 1e11 { // milliseconds: as seconds this would be after the year 5000
			n /= 1e3
		}
		if n > 0 && n < 1e11 {
			t.Time = time.UnixMilli(int64(n * 1e3)).UTC()
		}
		return nil
	}
	for _, layout := range []string{time.RFC3339Nano, "2006-01-02T15:04:05.999999999Z0700", time.RFC1123Z, time.RFC1123, "2006-01-02T15:04:05.999999999"} {
		if at, err := time.Parse(layout, text); err == nil {
			t.Time = at.UTC()
			return nil
		}
	}
	return nil
}

// queryOf returns the query of the address of a next page: the only part of it that is ever followed.
func queryOf(address string) (string, error) {
	u, err := url.Parse(address)
	if err != nil || u.RawQuery == "" || len(u.RawQuery) > 16<<10 {
		return "", tidewaiter.Errorf(tidewaiter.ErrMalformed, "the address of the next page cannot be read: %q", oci.CleanText(address, 200))
	}
	return u.RawQuery, nil
}

// usableToken returns a token that may be put in a header.
func usableToken(token, host string) (string, error) {
	if token == "" || len(token) > 64<<10 || strings.ContainsFunc(token, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return "", tidewaiter.Errorf(tidewaiter.ErrMalformed, "%s answered without a usable token", host)
	}
	return token, nil
}

// jwtExpiry reads when a token expires, if it is a JSON Web Token that says so. Nothing is trusted for it: the worst it can
// do is to be renewed at the wrong time.
func jwtExpiry(token string) time.Time {
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return time.Time{}
	}
	raw, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		return time.Time{}
	}
	var claims struct {
		Expires looseTime `json:"exp"`
	}
	if json.Unmarshal(raw, &claims) != nil {
		return time.Time{}
	}
	return claims.Expires.Time
}

// expiresIn turns seconds to live into a time; zero for none.
func expiresIn(now time.Time, seconds float64) time.Time {
	if seconds <= 0 {
		return time.Time{}
	}
	return now.Add(time.Duration(min(seconds, 30*86400)) * time.Second)
}

// loginRefused words a token server's refusal. A 400 is one too: OAuth 2 answers so to a wrong credential (RFC 6749 5.2).
func loginRefused(who string, err error) error {
	e, ok := errors.AsType[*tidewaiter.Error](err)
	if !ok {
		return err
	}
	switch e.Kind {
	case tidewaiter.ErrAuth, tidewaiter.ErrDenied, tidewaiter.ErrUnsupported, tidewaiter.ErrGone:
		c := *e
		c.Kind, c.Msg, c.Err = tidewaiter.ErrAuth, "log in to "+who+": "+e.Msg, err
		c.Fix = "check the credential, and whether it expired"
		return &c
	}
	return oci.Prefix("log in to "+who, err)
}

func sorted(names []string) []string {
	slices.Sort(names)
	return names
}

// afterHost returns what follows the host in an image's address, without tag and digest.
func afterHost(address string) string {
	_, path, ok := strings.Cut(address, "/")
	if !ok {
		return ""
	}
	path, _, _ = strings.Cut(path, "@")
	if i := strings.LastIndexByte(path, ':'); i > strings.LastIndexByte(path, '/') {
		path = path[:i]
	}
	return path
}
