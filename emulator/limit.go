package emulator

import (
	"net/http"
	"strconv"
	"sync"
	"time"
)

// Pause is the way an answer says when to come back.
type Pause string

// The ways. They differ between registries as they do here.
const (
	PauseSeconds   Pause = "seconds"   // Retry-After: 30
	PauseDate      Pause = "date"      // Retry-After: Wed, 21 Oct 2026 07:28:00 GMT
	PauseUnix      Pause = "unix"      // X-Retry-After: 1792567680 (Docker Hub)
	PauseXReset    Pause = "x-reset"   // X-RateLimit-Remaining: 0, X-RateLimit-Reset: 1792567680 (GitHub, Docker Hub)
	PauseReset     Pause = "reset"     // RateLimit-Remaining: 0, RateLimit-Reset: 30 (IETF draft, GitLab)
	PauseUnspoken  Pause = "unspoken"  // no header says anything
	PauseAWS       Pause = "aws"       // 400 ThrottlingException without a time
	PauseRemaining Pause = "remaining" // ratelimit-remaining: 0;w=30 (Docker Hub's registry)
)

// Limit is how many requests are answered in a time; more get 429 Too Many Requests.
type Limit struct {
	Requests int
	Window   time.Duration // windows follow each other from the first request on
	Pause    Pause         // PauseSeconds where empty
}

// limiter counts the requests of the present window.
type limiter struct {
	Limit
	mu    sync.Mutex
	start time.Time
	used  int
}

func newLimiter(l *Limit) *limiter {
	if l == nil || l.Requests <= 0 {
		return nil
	}
	made := &limiter{Limit: *l}
	set(&made.Pause, PauseSeconds)
	set(&made.Window, time.Minute)
	return made
}

// take counts a request. It returns what is left and when the window ends; less than nothing means refused.
func (l *limiter) take(now time.Time) (left int, wait time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if now.Sub(l.start) >= l.Window || l.start.IsZero() {
		l.start, l.used = now, 0
	}
	l.used++
	return l.Requests - l.used, l.start.Add(l.Window).Sub(now)
}

// refuses answers 429 where the limit is reached; otherwise it adds the headers that tell what is left.
func (l *limiter) refuses(e *Emulator, w http.ResponseWriter, r *http.Request) bool {
	if l == nil {
		return false
	}
	left, wait := l.take(e.now())
	if left >= 0 {
		limit, rest := strconv.Itoa(l.Requests), strconv.Itoa(left)
		switch l.Pause {
		case PauseUnix, PauseXReset:
			w.Header().Set("X-Ratelimit-Limit", limit)
			w.Header().Set("X-Ratelimit-Remaining", rest)
			w.Header().Set("X-Ratelimit-Reset", strconv.FormatInt(e.now().Add(wait).Unix(), 10))
		case PauseReset:
			w.Header().Set("Ratelimit-Limit", limit)
			w.Header().Set("Ratelimit-Remaining", rest)
			w.Header().Set("Ratelimit-Reset", seconds(wait))
		case PauseRemaining:
			w.Header().Set("Ratelimit-Limit", limit+";w="+seconds(l.Window))
			w.Header().Set("Ratelimit-Remaining", rest+";w="+seconds(l.Window))
		}
		return false
	}
	e.announce(w, l.Pause, wait)
	if l.Pause == PauseAWS {
		e.problem(w, r, http.StatusBadRequest, "ThrottlingException", "Rate exceeded")
		return true
	}
	e.problem(w, r, http.StatusTooManyRequests, "TOOMANYREQUESTS", "too many requests")
	return true
}

// announce writes the headers of a refusal and remembers until when clients have to stay away. Times are rounded up to
// whole seconds, as all of these headers are.
func (e *Emulator) announce(w http.ResponseWriter, p Pause, wait time.Duration) {
	until := e.now().Add(wait)
	if rounded := until.Truncate(time.Second); rounded.Before(until) {
		until = rounded.Add(time.Second)
	}
	unix := strconv.FormatInt(until.Unix(), 10)
	switch p {
	case PauseSeconds:
		w.Header().Set("Retry-After", seconds(wait))
		until = e.now().Add(wait)
	case PauseDate:
		w.Header().Set("Retry-After", until.UTC().Format(http.TimeFormat))
	case PauseUnix:
		w.Header().Set("X-Retry-After", unix)
	case PauseXReset:
		w.Header().Set("X-Ratelimit-Remaining", "0")
		w.Header().Set("X-Ratelimit-Reset", unix)
	case PauseReset:
		w.Header().Set("Ratelimit-Remaining", "0")
		w.Header().Set("Ratelimit-Reset", seconds(wait))
		until = e.now().Add(wait)
	case PauseRemaining:
		w.Header().Set("Ratelimit-Remaining", "0;w="+seconds(wait))
		until = e.now().Add(wait)
	default:
		return // nothing was said that could be disobeyed
	}
	e.record.pause(until)
}

func seconds(d time.Duration) string {
	return strconv.FormatInt(int64((d+time.Second-1)/time.Second), 10)
}
