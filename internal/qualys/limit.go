package qualys

import (
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// limitWindow is how long a count lasts. Qualys: 60 seconds.
const limitWindow = time.Minute

// limits counts calls in windows that begin with the first call. Qualys: the limits are those of a subscription, not of a
// user; here the whole server is one.
type limits struct {
	now func() time.Time

	mu      sync.Mutex
	windows map[string]*window
}

type window struct {
	ends  time.Time
	calls int
}

func newLimits(now func() time.Time) *limits {
	return &limits{now: now, windows: map[string]*window{}}
}

// classOf says which limit a path falls under. Qualys: 120 calls a minute of images/list, 5000 of the other image calls,
// 1000 of the registry calls.
func classOf(path string) (class string, most int) {
	switch parts := strings.Split(path, "/"); {
	case len(parts) > 4 && parts[3] == "images" && parts[4] == "list":
		return "images/list", 120
	case len(parts) > 3 && parts[3] == "images":
		return "images", 5000
	}
	return "registry", 1000
}

// admit counts a call and sets the headers that tell how many are left. It fails with ErrLimit when none is. A nil limits
// lets everything in and says nothing.
func (l *limits) admit(w http.ResponseWriter, path string) error {
	if l == nil {
		return nil
	}
	class, most := classOf(path)
	now := l.now()
	l.mu.Lock()
	in := l.windows[class]
	if in == nil || !now.Before(in.ends) {
		in = &window{ends: now.Add(limitWindow)}
		l.windows[class] = in
	}
	in.calls++
	left, wait := most-in.calls, in.ends.Sub(now)
	l.mu.Unlock()

	h := w.Header()
	h.Set("X-Ratelimit-Limit", strconv.Itoa(most))
	h.Set("X-Ratelimit-Window-Sec", strconv.Itoa(int(limitWindow/time.Second)))
	h.Set("X-Ratelimit-Remaining", strconv.Itoa(max(0, left)))
	if left >= 0 {
		return nil
	}
	h.Set("X-Ratelimit-Towait-Sec", strconv.Itoa(int(wait.Seconds()+0.999)))
	return &tidewaiter.Error{Kind: tidewaiter.ErrLimit, Msg: "too many requests: the limit is " + strconv.Itoa(most) + " a minute",
		RetryAfter: wait}
}
