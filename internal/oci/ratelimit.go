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

// rateHeaders reads the limit, what is left of it (-1 when unknown) and the time until it is renewed (0 when unknown)
// from RateLimit-*, Docker Hub's "100;w=21600" values included, or X-RateLimit-* headers.
func rateHeaders(h http.Header, now time.Time) (limit, left int64, reset time.Duration) {
	limit, left = -1, -1
	for _, prefix := range []string{"X-Ratelimit-", "Ratelimit-"} {
		if n, ok := number(h.Get(prefix + "Limit")); ok {
			limit = n
		}
		if n, ok := number(h.Get(prefix + "Remaining")); ok {
			left = n
		}
		if d, ok := seconds(h.Get(prefix+"Reset"), now); ok {
			reset = d
		}
	}
	return limit, left, reset
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
