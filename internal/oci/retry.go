package oci

import (
	"context"
	"io"
	"net/http"
	"time"

	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

const (
	maxTries   = 4                // of one request
	maxWaiting = 30 * time.Second // inside one request; longer waits go back to the caller as ErrLimit
)

// retry repeats requests that failed for a reason that may pass. Only requests that may be made twice come here: GET,
// HEAD, POSTs to token endpoints, and what pushes and deletes, which writes the same twice. For a 429 it does not wait itself:
// the meter's budget holds everybody back.
type retry struct {
	next http.RoundTripper
	opts *Options
}

// RoundTrip implements http.RoundTripper.
func (r *retry) RoundTrip(req *http.Request) (*http.Response, error) {
	t := &try{patience: maxWaiting}
	ctx := context.WithValue(req.Context(), tryKey{}, t)
	backoff := r.opts.Backoff
	for {
		t.number++
		attempt := req.WithContext(ctx)
		if t.number > 1 && req.Body != nil && req.Body != http.NoBody {
			body, err := req.GetBody()
			if err != nil {
				return nil, err
			}
			attempt.Body = body
		}
		resp, err := r.next.RoundTrip(attempt)
		t.patience -= t.waited
		wait, again := r.verdict(req, resp, err, backoff)
		if !again || t.number >= maxTries || wait > t.patience {
			return resp, err
		}
		if resp != nil {
			_, _ = io.CopyN(io.Discard, resp.Body, 64<<10) // so that the connection can be used again
			resp.Body.Close()
			if d, named := retryAfter(resp.Header, r.opts.Now()); named && held(resp.StatusCode) && d <= t.patience {
				continue // the budget waits until then
			}
		}
		if err := sleep(ctx, wait); err != nil {
			return nil, err
		}
		t.patience -= wait
		backoff *= 2
	}
}

// held reports whether the budget pauses the lane after an answer of this status that names a time.
func held(status int) bool {
	return status == http.StatusTooManyRequests || status == http.StatusServiceUnavailable
}

// verdict says whether to try again and after what wait.
func (r *retry) verdict(req *http.Request, resp *http.Response, err error, backoff time.Duration) (time.Duration, bool) {
	if req.Context().Err() != nil || req.Body != nil && req.Body != http.NoBody && req.GetBody == nil {
		return 0, false
	}
	wait := backoff/2 + time.Duration(r.opts.Jitter()*float64(backoff))
	if err != nil {
		return wait, tidewaiter.KindOf(netError(err, req.URL.Hostname())) == tidewaiter.ErrTransient
	}
	if d, named := retryAfter(resp.Header, r.opts.Now()); named && held(resp.StatusCode) {
		return d, true
	}
	switch resp.StatusCode {
	case http.StatusTooManyRequests:
		return 0, true // the budget knows how long
	case http.StatusRequestTimeout, http.StatusInternalServerError, http.StatusBadGateway,
		http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return wait, true
	}
	return 0, false
}
