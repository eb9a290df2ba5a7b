package opinion

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/tidewaiter/tidewaiter/internal/oci"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// The bounds of one request.
const (
	shortTime   = 10 * time.Second // from dialling to the end of the answer
	reportTime  = time.Minute      // likewise, of a report
	maxAnswer   = 1 << 20          // bytes of an answer, unpacked
	maxReport   = 32 << 20         // likewise, of a report
	maxRefusal  = 64 << 10
	maxQuote    = 200 // characters of the other side's words that are kept
	maxScanName = 256
)

// client speaks to one scanner. Every request goes to its address and nowhere else, so what it is logged in to with does too.
type client struct {
	base    *url.URL
	http    *http.Client
	agent   string
	login   func(*http.Request)
	secrets []string // never quoted
	now     func() time.Time
}

func (a *Asker) client(s *tidewaiter.Scanner, secrets *Secrets) (*client, error) {
	transport, err := a.Outbound.Transport(s.TLS)
	if err != nil {
		return nil, err
	}
	base, err := url.Parse(strings.TrimRight(secrets.URL.Reveal(), "/"))
	if err != nil {
		return nil, tidewaiter.Invalid("url", "not an address") // the error would show it
	}
	c := &client{base: base, agent: a.UserAgent, secrets: secrets.known(), now: a.Now, login: func(*http.Request) {},
		http: &http.Client{Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}}
	plain := secrets.Secret.Reveal()
	switch s.Login {
	case tidewaiter.LoginBasic:
		c.login = func(r *http.Request) { r.SetBasicAuth(s.Username, plain) }
	case tidewaiter.LoginBearer:
		c.login = func(r *http.Request) { r.Header.Set("Authorization", "Bearer "+plain) }
	case tidewaiter.LoginAPIKey:
		c.login = func(r *http.Request) { r.Header["X-ScannerAdapter-API-Key"] = []string{plain} }
	}
	return c, nil
}

// answer is what came back, whole.
type answer struct {
	status int
	header http.Header
	body   []byte
}

// do makes one request below the scanner's address and reads the answer, whatever its status.
func (c *client) do(ctx context.Context, method, path string, header http.Header, body []byte, limit int64, within time.Duration) (*answer, error) {
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, c.base.String()+path, bytes.NewReader(body))
	if err != nil {
		return nil, tidewaiter.Invalid("url", "the scanner's address cannot be used") // the error would show it
	}
	maps.Copy(req.Header, header)
	req.Header.Set("User-Agent", c.agent)
	req.Header.Set("Accept-Encoding", "gzip")
	c.login(req)
	res, err := c.http.Do(req)
	if err != nil {
		return nil, c.unreachable(ctx, err, within)
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK && res.StatusCode != http.StatusAccepted {
		limit = min(limit, maxRefusal)
	}
	text, err := read(res, limit)
	if err != nil {
		if tidewaiter.KindOf(err) != tidewaiter.ErrBug {
			return nil, err
		}
		return nil, c.unreachable(ctx, err, within)
	}
	return &answer{status: res.StatusCode, header: res.Header, body: text}, nil
}

// read reads a body, which may be packed, up to a limit that counts unpacked. A refusal's words are cut instead.
func read(res *http.Response, limit int64) ([]byte, error) {
	var r io.Reader = res.Body
	if strings.EqualFold(strings.TrimSpace(res.Header.Get("Content-Encoding")), "gzip") {
		z, err := gzip.NewReader(res.Body)
		if errors.Is(err, io.EOF) {
			return nil, nil // a body that is packed and empty: there is none
		}
		if err != nil {
			return nil, tidewaiter.Errorf(tidewaiter.ErrMalformed, "the scanner's answer is not packed as it says")
		}
		r = z
	}
	body, err := io.ReadAll(io.LimitReader(r, limit+1))
	good := res.StatusCode/100 == 2
	switch {
	case good && errors.Is(err, gzip.ErrHeader), good && errors.Is(err, gzip.ErrChecksum):
		return nil, tidewaiter.Errorf(tidewaiter.ErrMalformed, "the scanner's answer is not packed as it says")
	case good && err != nil:
		return nil, err
	case good && int64(len(body)) > limit:
		return nil, tidewaiter.Errorf(tidewaiter.ErrTooLarge, "the scanner answers more than %d MiB", limit>>20)
	}
	return body[:min(int64(len(body)), limit)], nil
}

// unreachable says why there was no answer, without the URL.
func (c *client) unreachable(ctx context.Context, err error, within time.Duration) error {
	switch {
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		return tidewaiter.Errorf(tidewaiter.ErrTransient, "the scanner at %s did not answer within %s", c.base.Host, within).
			WithFix("see whether it works and has enough room")
	case ctx.Err() != nil:
		return tidewaiter.Errorf(tidewaiter.ErrCanceled, "asking the scanner was stopped: %w", ctx.Err())
	}
	e, ok := errors.AsType[*tidewaiter.Error](oci.NetError(err, c.base.Host))
	if !ok {
		return tidewaiter.Errorf(tidewaiter.ErrTransient, "the scanner at %s cannot be asked", c.base.Host).WithFix("see whether it works")
	}
	said := &tidewaiter.Error{Kind: e.Kind, Msg: "the scanner cannot be asked: " + hide(e.Msg, c.secrets...), Fix: e.Fix}
	switch e.Kind {
	case tidewaiter.ErrUnreachable:
		said.Fix = "see whether the scanner runs, and whether its address is right and open from here"
	case tidewaiter.ErrTLS:
		said.Fix = "give the scanner's CA certificate, or have it not verified"
	case tidewaiter.ErrBug: // something on the wire that has no name
		said.Kind = tidewaiter.ErrTransient
	}
	return said
}

// refused says what an answer that is no answer to what was asked means.
func (c *client) refused(what string, a *answer) error {
	status := strings.TrimSpace(strconv.Itoa(a.status) + " " + http.StatusText(a.status))
	if said := c.said(a); said != "" {
		status += ": " + said
	}
	e := &tidewaiter.Error{Msg: "the scanner at " + c.base.Host + " answers " + what + " with " + status}
	switch {
	case a.status == http.StatusUnauthorized:
		e.Kind, e.Fix = tidewaiter.ErrAuth, "check how the scanner is to be logged in to, and with what"
	case a.status == http.StatusForbidden:
		e.Kind, e.Fix = tidewaiter.ErrDenied, "check what the login may do at the scanner"
	case a.status/100 == 3:
		e.Kind, e.Fix = tidewaiter.ErrUnsupported, "redirects are not followed: give the address it points to"
	case a.status == http.StatusNotFound, a.status == http.StatusMethodNotAllowed:
		e.Kind, e.Fix = tidewaiter.ErrUnsupported, "give the address that Harbor would be given: what comes before /api/v1/metadata"
	case a.status == http.StatusTooManyRequests, a.status == http.StatusServiceUnavailable:
		e.Kind, e.RetryAfter = tidewaiter.ErrLimit, retryAfter(a.header.Get("Retry-After"), c.now())
	case a.status >= 500:
		e.Kind, e.Fix = tidewaiter.ErrTransient, "see the scanner's log"
	default:
		e.Kind, e.Fix = tidewaiter.ErrUnsupported, "see the scanner's log"
	}
	return e
}

// said returns the other side's words: the message of an error as the API has it, else the beginning of a text.
func (c *client) said(a *answer) string {
	var e struct {
		Error struct {
			Message string `json:"message"`
		} `json:"error"`
	}
	words := ""
	if json.Unmarshal(a.body, &e) == nil {
		words = e.Error.Message
	} else if isText(a.header.Get("Content-Type")) {
		words = string(a.body)
	}
	return oci.CleanText(logins.ReplaceAllString(hide(words, c.secrets...), "***"), maxQuote)
}

// logins are what a scanner may repeat of what it was lent earlier, which is not kept here to compare with.
var logins = regexp.MustCompile(`(?i)\b(basic|bearer)[\s:=]+[A-Za-z0-9+/=._~-]{8,}`)

func isText(contentType string) bool { return baseOf(contentType) == "text/plain" }

func retryAfter(header string, now time.Time) time.Duration {
	wait := time.Duration(0)
	if seconds, err := strconv.ParseInt(header, 10, 32); err == nil {
		wait = time.Duration(seconds) * time.Second
	} else if at, err := http.ParseTime(header); err == nil {
		wait = at.Sub(now)
	}
	return max(0, min(wait, maxPause))
}
