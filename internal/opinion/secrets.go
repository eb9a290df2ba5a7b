package opinion

import (
	"encoding/json"
	"fmt"
	"net/url"
	"strings"

	"github.com/tidewaiter/tidewaiter/internal/secret"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// Secrets is what of a scanner is sealed. It is never shown again.
type Secrets struct {
	URL    secret.Value // whole: some scanners' addresses are their passwords
	Secret secret.Value // password, token or key; zero for none
}

type sealedSecrets struct {
	URL    string `json:"url"`
	Secret string `json:"secret,omitempty"`
}

// Seal seals the secrets of the scanner with an id.
func (s *Secrets) Seal(k *secret.Keyring, id string) ([]byte, error) {
	b, err := json.Marshal(sealedSecrets{URL: s.URL.Reveal(), Secret: s.Secret.Reveal()})
	if err != nil {
		return nil, err
	}
	return k.Seal(b, id)
}

// OpenSecrets opens what Seal made.
func OpenSecrets(k *secret.Keyring, s *tidewaiter.Scanner) (*Secrets, error) {
	v, err := k.Open(s.Sealed, s.ID)
	if err != nil {
		return nil, fmt.Errorf("open the secrets of scanner %s: %w", s.ID, err)
	}
	var plain sealedSecrets
	if err := json.Unmarshal([]byte(v.Reveal()), &plain); err != nil {
		return nil, tidewaiter.Errorf(tidewaiter.ErrMalformed, "the secrets of scanner %s cannot be read", s.ID)
	}
	return &Secrets{URL: secret.New(plain.URL), Secret: secret.New(plain.Secret)}, nil
}

// The bounds of what is sealed.
const (
	maxURL    = 2048
	maxSecret = 8192
)

// Address checks a scanner's URL and returns what of it may be shown: scheme and host. ErrInvalid on field "url" never holds more
// of it than that.
func Address(raw secret.Value, checkHost func(string) error) (string, error) {
	s := raw.Reveal()
	u, err := url.Parse(s)
	switch {
	case err != nil || u.Hostname() == "":
		return "", tidewaiter.Invalid("url", "not an address").WithFix("write it as https://host[:port][/path]")
	case u.Scheme != "https" && u.Scheme != "http":
		return "", tidewaiter.Invalid("url", "the address is neither https nor http")
	case u.User != nil:
		return "", tidewaiter.Invalid("url", "the address must not hold a user or password").WithFix("set login, username and secret instead")
	case u.Fragment != "" || u.RawQuery != "" || u.ForceQuery:
		return "", tidewaiter.Invalid("url", "the address must not hold a query or fragment").WithFix("give what comes before /api/v1/metadata")
	case len(s) > maxURL:
		return "", tidewaiter.Invalid("url", "the address is longer than %d characters", maxURL)
	case s != strings.TrimSpace(s) || strings.ContainsAny(u.Host, " \t\r\n\"'<>\\^`{|}"):
		return "", tidewaiter.Invalid("url", "the address holds characters it must not hold")
	}
	if err := checkHost(u.Hostname()); err != nil {
		return "", tidewaiter.Invalid("url", "%s", err)
	}
	return u.Scheme + "://" + strings.ToLower(u.Host), nil
}

// CheckSecret checks what a scanner is logged in to with. ErrInvalid on field "secret".
func CheckSecret(login tidewaiter.ScannerLogin, s secret.Value) error {
	plain := s.Reveal()
	switch {
	case login == tidewaiter.LoginNone && plain != "":
		return tidewaiter.Invalid("secret", "there is a secret and no way to log in with it").WithFix("set login to basic, bearer or apikey")
	case login != tidewaiter.LoginNone && plain == "":
		return tidewaiter.Invalid("secret", "%s needs a secret", login).WithFix("give the password, token or key, or set login to none")
	case len(plain) > maxSecret || strings.ContainsFunc(plain, func(r rune) bool { return r < ' ' || r >= 0x7f }) && login != tidewaiter.LoginBasic:
		return tidewaiter.Invalid("secret", "the secret is longer than %d bytes, or holds a character that cannot be sent", maxSecret)
	}
	return nil
}

// hide replaces what is secret in words of the other side, should it repeat some of it.
func hide(words string, secrets ...string) string {
	for _, s := range secrets {
		if len(s) >= 4 {
			words = strings.ReplaceAll(words, s, "***")
		}
	}
	return words
}

// known lists everything of a scanner that must not be shown.
func (s *Secrets) known() []string {
	out := []string{s.URL.Reveal(), s.Secret.Reveal()}
	if u, err := url.Parse(s.URL.Reveal()); err == nil {
		out = append(out, strings.Trim(u.Path, "/"))
		for part := range strings.SplitSeq(u.Path, "/") {
			if len(part) >= 16 { // shorter ones are names, like "harbor", and no secrets
				out = append(out, part)
			}
		}
	}
	return out
}
