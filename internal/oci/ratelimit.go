package oci

import (
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// epoch tells a unix timestamp from a number of seconds to wait: no wait is 15 years long.
const epoch = 500_000_000

// retryAfter reads how long an answer asks to wait: Retry-After in seconds or as a date (RFC 9110 10.2.3), and Docker
// Hub's X-Retry-After, a unix timestamp. ok is false when there is neither or they cannot be read; the result is
// between 0 and 24 h.
func retryAfter(h http.Header, now time.Time) (d time.Duration, ok bool) {
	for _, name := range []string{"Retry-After", "X-Retry-After"} {
		v := strings.TrimSpace(h.Get(name))
		if v == "" {
			continue
		}
		if d, ok := seconds(v, now); ok {
			return d, true
		}
		if at, err := http.ParseTime(v); err == nil {
			return clampWait(at.Sub(now)), true
		}
	}
	return 0, false
}

// rateAccount is what a registry says of its limit.
type rateAccount struct {
	limit, left int64         // -1 when unknown
	reset       time.Duration // until it is renewed; 0 when unknown
	window      time.Duration // the time the limit is for; 0 when unknown
}

// wait is how long to stay away when nothing is left and nothing says until when: until one request's share of the window
// has passed, where the limit is known, else the whole of it.
func (r rateAccount) wait(limit int64) time.Duration {
	if r.reset > 0 || r.left != 0 || r.window == 0 {
		return r.reset
	}
	if r.limit > 0 {
		limit = r.limit
	}
	if limit > 0 && r.window > time.Hour { // a window that slides: Docker Hub's is six hours long
		return max(r.window/time.Duration(limit), maxHold)
	}
	return r.window
}

// rateHeaders reads X-RateLimit-* and RateLimit-* headers, Docker Hub's "100;w=21600" values included, and the single
// RateLimit header of later drafts ("default";r=50;t=30, with RateLimit-Policy "default";q=100;w=60).
func rateHeaders(h http.Header, now time.Time) rateAccount {
	a := rateAccount{limit: -1, left: -1}
	for _, prefix := range []string{"X-Ratelimit-", "Ratelimit-"} {
		if n, ok := number(h.Get(prefix + "Limit")); ok {
			a.limit = n
		}
		if n, ok := number(h.Get(prefix + "Remaining")); ok {
			a.left = n
		}
		if d, ok := seconds(h.Get(prefix+"Reset"), now); ok {
			a.reset = d
		}
		for _, name := range []string{"Limit", "Remaining"} {
			if d, ok := seconds(parameter(h.Get(prefix+name), "w"), now); ok {
				a.window = d
			}
		}
	}
	if v := h.Get("Ratelimit"); v != "" {
		if n, ok := number(parameter(v, "r")); ok {
			a.left = n
		}
		if d, ok := seconds(parameter(v, "t"), now); ok {
			a.reset = d
		}
	}
	if v := h.Get("Ratelimit-Policy"); v != "" {
		if n, ok := number(parameter(v, "q")); ok {
			a.limit = n
		}
		if d, ok := seconds(parameter(v, "w"), now); ok {
			a.window = d
		}
	}
	return a
}

// parameter returns a parameter of the first item of a header's value: of `"default";r=50;t=30` by "r" the 50.
func parameter(v, name string) string {
	first, _, _ := strings.Cut(v, ",")
	for part := range strings.SplitSeq(first, ";") {
		if key, value, ok := strings.Cut(strings.TrimSpace(part), "="); ok && key == name {
			return value
		}
	}
	return ""
}

// spent reports a 403 that means what others say with 429: GitHub's, where nothing is left or a time to come back is named.
func spent(resp *http.Response) bool {
	return resp.StatusCode == http.StatusForbidden && (resp.Header.Get("Retry-After") != "" || resp.Header.Get("X-Ratelimit-Remaining") == "0")
}

func number(v string) (int64, bool) {
	v, _, _ = strings.Cut(v, ";")
	v, _, _ = strings.Cut(v, ",")
	n, err := strconv.ParseInt(strings.TrimSpace(v), 10, 64)
	return n, err == nil && n >= 0
}

// seconds reads seconds to wait, whole or not, or a unix timestamp.
func seconds(v string, now time.Time) (time.Duration, bool) {
	v, _, _ = strings.Cut(v, ";")
	n, err := strconv.ParseFloat(strings.TrimSpace(v), 64)
	if err != nil || n < 0 || math.IsNaN(n) || math.IsInf(n, 0) {
		return 0, false
	}
	if n >= epoch {
		n -= float64(now.UnixNano()) / 1e9
	}
	return clampWait(time.Duration(min(n, maxPause.Seconds()) * float64(time.Second))), true
}

func clampWait(d time.Duration) time.Duration { return min(max(d, 0), maxPause) }
