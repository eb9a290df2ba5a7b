package notify

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/tidewaiter/tidewaiter/internal/store"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// The bounds of one attempt.
const (
	sendTimeout = 10 * time.Second // from dialling to the end of the answer
	maxAnswer   = 4 << 10          // bytes read of an answer; no more is of interest
	maxQuote    = 200              // characters of it that are kept
	maxBody     = 256 << 10        // bytes sent; what messages may hold is bounded well below
)

// outcome is what came of one attempt.
type outcome struct {
	status     int // 0 when there was no answer
	failure    string
	retryAfter time.Duration // what the receiver asked for; 0 when it did not
	final      bool          // trying again would be no use
}

func (o outcome) ok() bool { return o.failure == "" }

// send makes one attempt.
func (n *Notifier) send(ctx context.Context, w *tidewaiter.Webhook, d *store.WebhookDelivery) outcome {
	secrets, err := OpenSecrets(n.Keyring, w)
	if err != nil {
		return outcome{failure: err.Error()}
	}
	contentType, body, err := Render(w, d.Message)
	if err == nil && len(body) > maxBody {
		err = fmt.Errorf("the message has %d bytes, more than %d", len(body), maxBody)
	}
	if err != nil {
		return outcome{failure: err.Error(), final: true}
	}
	ctx, cancel := context.WithTimeout(ctx, sendTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, secrets.URL.Reveal(), bytes.NewReader(body))
	if err != nil {
		return outcome{failure: "the URL cannot be used"} // the error would show it
	}
	for name, v := range secrets.Headers {
		req.Header.Set(name, v.Reveal())
	}
	req.Header.Set("Content-Type", contentType)
	req.Header.Set("User-Agent", n.UserAgent)
	req.Header.Set(HeaderDelivery, d.ID)
	req.Header.Set(HeaderTopic, string(d.Topic))
	req.Header.Set(HeaderAttempt, strconv.Itoa(d.Attempts))
	if by := secrets.signatures(n.Now()); len(by) > 0 {
		req.Header.Set(HeaderSignature, Sign(body, n.Now(), by...))
	}
	transport, err := n.Outbound.Transport(w.TLS)
	if err != nil {
		return outcome{failure: err.Error()}
	}
	client := &http.Client{Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	res, err := client.Do(req)
	if err != nil {
		return outcome{failure: secrets.hide(reason(ctx, err))}
	}
	defer res.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer))
	if err != nil && res.StatusCode/100 == 2 {
		// It has taken the message; what it wanted to say about it is lost.
		answer = nil
	}
	return judge(res, secrets.hide(string(answer)), n.Now())
}

// reason says why there was no answer, without the URL.
func reason(ctx context.Context, err error) string {
	if e, ok := errors.AsType[*tidewaiter.Error](err); ok {
		return e.Error()
	}
	if ctx.Err() != nil {
		return fmt.Sprintf("no answer within %s", sendTimeout)
	}
	if e, ok := errors.AsType[*url.Error](err); ok {
		err = e.Err
	}
	return clip(err.Error(), maxQuote)
}

// judge says what an answer means. Whatever is not 2xx is tried again, since what is wrong can be mended at the other end,
// but for 410: the receiver is gone and knows it.
func judge(res *http.Response, answer string, now time.Time) outcome {
	o := outcome{status: res.StatusCode}
	switch res.StatusCode / 100 {
	case 2:
		return o
	case 3:
		o.failure = fmt.Sprintf("the receiver answered %s; redirects are not followed: give the address it points to", status(res))
		return o
	}
	o.failure = "the receiver answered " + status(res)
	if words := strings.Join(strings.Fields(answer), " "); words != "" {
		o.failure += ": " + clip(words, maxQuote)
	}
	o.final = res.StatusCode == http.StatusGone
	if res.StatusCode == http.StatusTooManyRequests || res.StatusCode == http.StatusServiceUnavailable {
		o.retryAfter = retryAfter(res.Header.Get("Retry-After"), now)
	}
	return o
}

// status is the code with the words HTTP has for it; the receiver's own may be anything.
func status(res *http.Response) string {
	return strings.TrimSpace(strconv.Itoa(res.StatusCode) + " " + http.StatusText(res.StatusCode))
}

// maxRetryAfter bounds what a receiver can ask for.
const maxRetryAfter = 6 * time.Hour

func retryAfter(header string, now time.Time) time.Duration {
	var wait time.Duration
	if seconds, err := strconv.ParseInt(header, 10, 32); err == nil {
		wait = time.Duration(seconds) * time.Second
	} else if at, err := http.ParseTime(header); err == nil {
		wait = at.Sub(now)
	}
	return max(0, min(wait, maxRetryAfter))
}

// hide replaces what is secret in words of the other side, should it repeat some of it.
func (s *Secrets) hide(words string) string {
	known := []string{s.URL.Reveal(), s.Signing.Reveal(), s.Previous.Reveal()}
	if u, err := url.Parse(s.URL.Reveal()); err == nil {
		known = append(known, u.RequestURI(), u.Path)
	}
	for _, v := range s.Headers {
		known = append(known, v.Reveal())
		_, rest, _ := strings.Cut(v.Reveal(), " ") // "Bearer …"
		known = append(known, rest)
	}
	for _, k := range known {
		if len(k) >= 4 {
			words = strings.ReplaceAll(words, k, "***")
		}
	}
	return words
}
