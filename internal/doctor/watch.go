package doctor

import (
	"cmp"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/tidewaiter/tidewaiter/internal/oci"
)

// watch looks at the headers of every answer: what each host says of its limits and of the time. It is safe for concurrent
// use. It keeps nothing of a request but the host it went to.
type watch struct {
	now func() time.Time

	mu    sync.Mutex
	rates map[string]Limit
	skews []time.Duration
}

func (w *watch) see(resp *http.Response) {
	now := w.now()
	host := strings.ToLower(resp.Request.URL.Host)
	rate, ok := oci.RateOf(resp.Header, now)
	w.mu.Lock()
	defer w.mu.Unlock()
	if ok {
		if w.rates == nil {
			w.rates = map[string]Limit{}
		}
		w.rates[host] = Limit{Host: host, Rate: rate, Refused: w.rates[host].Refused || resp.StatusCode == http.StatusTooManyRequests}
	}
	if at, err := http.ParseTime(resp.Header.Get("Date")); err == nil {
		w.skews = append(w.skews, at.Sub(now.Truncate(time.Second)))
	}
}

func (w *watch) limits() []Limit {
	w.mu.Lock()
	defer w.mu.Unlock()
	var out []Limit
	for _, l := range w.rates {
		out = append(out, l)
	}
	slices.SortFunc(out, func(a, b Limit) int { return cmp.Compare(a.Host, b.Host) })
	return out
}

// clock returns by how much the others' clocks are ahead of ours: the median, so that one slow answer does not count.
func (w *watch) clock() *Clock {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.skews) == 0 {
		return nil
	}
	slices.Sort(w.skews)
	return &Clock{Ahead: w.skews[len(w.skews)/2]}
}
