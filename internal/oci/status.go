package oci

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
	"oras.land/oras-go/v2/registry/remote/errcode"
)

const (
	maxErrorBody  = 64 << 10
	maxErrorQuote = 300 // bytes of a registry's own words in an error of ours

	// paginationNumberInvalid is the code of distribution registries for an n over their maximum; it is not in the
	// specification's list.
	paginationNumberInvalid = "PAGINATION_NUMBER_INVALID"
)

// refusal is an answer that is an error, with what its body says.
type refusal struct {
	status int
	code   string // the first error code of the body, upper case, "" when there is none
	words  string // the registry's own words, cut and cleaned
	body   []byte
	header http.Header
	host   string
}

// readRefusal reads and closes the body of an answer that is an error.
func readRefusal(resp *http.Response) *refusal {
	body, _ := io.ReadAll(io.LimitReader(resp.Body, maxErrorBody)) // a body cut short changes nothing about the status
	resp.Body.Close()
	r := &refusal{status: resp.StatusCode, body: body, header: resp.Header, host: resp.Request.URL.Host}
	r.code, r.words = parseErrorBody(body)
	return r
}

// parseErrorBody reads the error documents of registries ({"errors":[{code,message}]}, OCI distribution-spec "Error
// Codes") and token servers ({"error","error_description"}, RFC 6749 5.2; {"message"} or {"details"} elsewhere).
func parseErrorBody(body []byte) (code, words string) {
	var registry errcode.ErrorResponse
	if json.Unmarshal(body, &registry) == nil && len(registry.Errors) > 0 {
		first := registry.Errors[0]
		code = clip(plainText(strings.ToUpper(first.Code)), 64)
		return code, quote(first.Code, first.Message)
	}
	var other struct {
		Error       any    `json:"error"`
		Description string `json:"error_description"`
		Message     any    `json:"message"`
		Details     any    `json:"details"`
	}
	if json.Unmarshal(body, &other) != nil {
		return "", ""
	}
	text := func(v any) string { s, _ := v.(string); return s }
	rest := other.Description
	for _, s := range []string{text(other.Message), text(other.Details)} {
		if rest == "" {
			rest = s
		}
	}
	return "", quote(text(other.Error), rest)
}

func quote(code, message string) string {
	code, message = plainText(code), plainText(message)
	switch {
	case code == "" || strings.EqualFold(code, message):
		return clip(message, maxErrorQuote)
	case message == "":
		return clip(code, maxErrorQuote)
	}
	return clip(code+": "+message, maxErrorQuote)
}

// said is ": " and the registry's words, or nothing.
func (r *refusal) said() string {
	if r.words == "" {
		return ""
	}
	return ": " + r.words
}

// err gives the refusal its meaning; what names the thing asked for ("manifest library/alpine:3").
func (r *refusal) err(what string, anonymous bool, now time.Time) error {
	newError := func(kind tidewaiter.ErrorKind, text string) *tidewaiter.Error {
		return &tidewaiter.Error{
			Kind: kind, Msg: fmt.Sprintf("%s: %s %s%s", what, r.host, text, r.said()),
			Err: &statusError{status: r.status, code: r.code},
		}
	}
	switch {
	case r.status == http.StatusUnauthorized && anonymous:
		return newError(tidewaiter.ErrAuth, "wants a login").WithFix("give the registry a credential")
	case r.status == http.StatusUnauthorized && insufficientScope(r.header):
		return newError(tidewaiter.ErrDenied, "does not let this credential do that").WithFix("grant the account read access, or check the name")
	case r.status == http.StatusUnauthorized:
		return newError(tidewaiter.ErrAuth, "refused the credential").WithFix("check user name and password or token, and whether it expired")
	case r.status == http.StatusForbidden:
		return newError(tidewaiter.ErrDenied, "forbids it").WithFix("grant the account read access")
	case r.status == http.StatusTooManyRequests:
		e := newError(tidewaiter.ErrLimit, "asks for fewer requests")
		e.RetryAfter, _ = retryAfter(r.header, now)
		if e.RetryAfter == 0 {
			e.RetryAfter = rateHeaders(r.header, now).wait(-1)
		}
		return e
	case r.status == http.StatusServiceUnavailable && r.header.Get("Retry-After") != "":
		e := newError(tidewaiter.ErrLimit, "is unavailable for now")
		e.RetryAfter, _ = retryAfter(r.header, now)
		return e
	case r.status >= 500 && r.status != http.StatusNotImplemented || r.status == http.StatusRequestTimeout:
		return newError(tidewaiter.ErrTransient, fmt.Sprintf("answered %d", r.status))
	case r.status == http.StatusNotFound || r.status == http.StatusGone:
		return newError(tidewaiter.ErrGone, "does not have it")
	case speaksTLSOnly(r.status, r.body):
		return plainToTLS(r.host)
	case r.status >= 300 && r.status < 400:
		return newError(tidewaiter.ErrUnsupported, fmt.Sprintf("redirects (%d) where that is not followed", r.status))
	}
	return newError(tidewaiter.ErrUnsupported, fmt.Sprintf("answered %d", r.status))
}

// insufficientScope reports RFC 6750's error code: the token is right, but does not reach that far.
func insufficientScope(h http.Header) bool {
	for _, c := range parseChallenges(h.Values("WWW-Authenticate")) {
		if c.params["error"] == "insufficient_scope" {
			return true
		}
	}
	return false
}

// plainText makes text of a stranger fit for logs and terminals: control and format characters and invalid UTF-8 become
// spaces, runs of spaces one.
func plainText(s string) string {
	s = strings.Map(func(r rune) rune {
		if r == utf8.RuneError || unicode.IsControl(r) || unicode.Is(unicode.Cf, r) || r == '\u2028' || r == '\u2029' {
			return ' '
		}
		return r
	}, s)
	return strings.Join(strings.Fields(s), " ")
}

// clip cuts s to max bytes at a character's edge and marks the cut.
func clip(s string, max int) string {
	if len(s) <= max {
		return s
	}
	for max > 0 && !utf8.RuneStart(s[max]) {
		max--
	}
	return s[:max] + "…"
}
