package emulator

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"regexp"
	"strconv"
	"sync"
	"time"
)

// Fault says what goes wrong with some requests. What is left zero does not.
type Fault struct {
	Pattern string // regular expression that "METHOD /path?query" has to match; "" for every request
	After   int    // matching requests that pass unharmed first
	Times   int    // matching requests harmed after that; 0 for all

	Delay   time.Duration // before anything else; ends early when the client goes
	Status  int           // answer this instead of what was asked for
	Pause   Pause         // with Status: how the answer says when to come back
	Wait    time.Duration // with Pause: after how long
	Header  http.Header   // headers put in place of the answer's own: another Link, Location or WWW-Authenticate
	Body    string        // its body; the kind's own error where empty
	Cut     int64         // drop the connection after so many bytes of the body; negative: before the header
	Slow    time.Duration // wait so long before each 256 bytes of the body
	Corrupt bool          // change the first byte of the body
	Early   bool          // the page claims to be the last one
}

// faults is what goes wrong at present.
type faults struct {
	mu    sync.Mutex
	rules []*rule
}

type rule struct {
	Fault
	match *regexp.Regexp
	seen  int
}

// Inject makes a fault happen from now on. Where several match a request, the one injected first harms it.
func (e *Emulator) Inject(f Fault) error {
	match, err := regexp.Compile(f.Pattern)
	if err != nil {
		return fmt.Errorf("pattern of a fault: %w", err)
	}
	e.faults.mu.Lock()
	defer e.faults.mu.Unlock()
	e.faults.rules = append(e.faults.rules, &rule{Fault: f, match: match})
	return nil
}

// Heal ends all faults.
func (e *Emulator) Heal() {
	e.faults.mu.Lock()
	defer e.faults.mu.Unlock()
	e.faults.rules = nil
}

// pick returns the fault that is to harm a request, nil for none.
func (f *faults) pick(r *http.Request) *Fault {
	f.mu.Lock()
	defer f.mu.Unlock()
	var chosen *Fault
	line := r.Method + " " + r.URL.RequestURI()
	for _, rule := range f.rules {
		if !rule.match.MatchString(line) {
			continue
		}
		rule.seen++
		if n := rule.seen - rule.After; chosen == nil && n > 0 && (rule.Times == 0 || n <= rule.Times) {
			chosen = &rule.Fault
		}
	}
	return chosen
}

type earlyKey struct{}

// endsEarly reports whether a page has to claim to be the last one.
func endsEarly(r *http.Request) bool { return r.Context().Value(earlyKey{}) != nil }

// observe records every request and applies limit and faults before a kind's own handler sees it.
func (e *Emulator) observe(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		seen := e.record.begin(r, e.now())
		ctx := context.WithValue(r.Context(), requestKey{}, seen)
		out := &harmed{ResponseWriter: w, r: r}
		out.finish = sync.OnceFunc(func() { e.record.end(seen, out.status, out.r.Pattern) })
		defer out.finish()
		fault := e.faults.pick(r)
		if fault != nil {
			if !sleep(ctx, fault.Delay) {
				return
			}
			if fault.Cut < 0 {
				panic(http.ErrAbortHandler)
			}
			if fault.Early {
				ctx = context.WithValue(ctx, earlyKey{}, true)
			}
			if fault.Status != 0 {
				e.fail(out, r, *fault)
				return
			}
			out.cut, out.slow, out.corrupt, out.header = fault.Cut, fault.Slow, fault.Corrupt, fault.Header
		}
		r.Body = http.MaxBytesReader(w, r.Body, 1<<20)
		if e.limit.refuses(e, out, r) {
			return
		}
		r = r.WithContext(ctx)
		out.r = r
		next.ServeHTTP(out, r)
	})
}

func (e *Emulator) fail(w http.ResponseWriter, r *http.Request, f Fault) {
	maps.Copy(w.Header(), f.Header)
	if f.Pause != "" {
		e.announce(w, f.Pause, f.Wait)
	}
	if f.Body != "" {
		writeBody(w, r, f.Status, w.Header().Get("Content-Type"), []byte(f.Body))
		return
	}
	e.problem(w, r, f.Status, "", http.StatusText(f.Status))
}

// sleep reports false when the client went meanwhile.
func sleep(ctx context.Context, d time.Duration) bool {
	if d <= 0 {
		return true
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// harmed is an answer that may be cut, slowed or changed on its way. It notes the status.
type harmed struct {
	http.ResponseWriter
	r       *http.Request
	status  int
	cut     int64 // bytes left before the connection is dropped; 0 for never
	slow    time.Duration
	corrupt bool
	header  http.Header
	left    int64  // bytes the announced body has left
	finish  func() // ends the request's record: before the last byte, since the client's next request may come right after
}

// WriteHeader notes the status and sends it.
func (w *harmed) WriteHeader(status int) {
	if w.status == 0 {
		w.status = status
		maps.Copy(w.Header(), w.header)
		w.left, _ = strconv.ParseInt(w.Header().Get("Content-Length"), 10, 64)
	}
	w.ResponseWriter.WriteHeader(status)
}

// Write sends a body as the fault says. It panics with http.ErrAbortHandler where the connection is to be dropped.
func (w *harmed) Write(b []byte) (int, error) {
	if w.status == 0 {
		w.status = http.StatusOK
	}
	if w.corrupt && len(b) > 0 {
		b = append([]byte{b[0] ^ 1}, b[1:]...)
		w.corrupt = false
	}
	if w.cut == 0 && w.slow == 0 {
		return w.pass(b)
	}
	done := 0
	for done < len(b) {
		piece := b[done:min(done+256, len(b))]
		if w.cut > 0 {
			piece = piece[:min(int64(len(piece)), w.cut)]
		}
		if !sleep(w.r.Context(), w.slow) {
			return done, w.r.Context().Err()
		}
		n, err := w.pass(piece)
		done += n
		if err != nil {
			return done, err
		}
		if w.slow > 0 || w.cut > 0 {
			_ = http.NewResponseController(w.ResponseWriter).Flush() // a client that has gone shows at the next write
		}
		if w.cut > 0 {
			if w.cut -= int64(n); w.cut == 0 {
				panic(http.ErrAbortHandler)
			}
		}
	}
	return done, nil
}

// pass writes to the client.
func (w *harmed) pass(b []byte) (int, error) {
	if w.left > 0 {
		if w.left -= int64(len(b)); w.left <= 0 {
			w.finish()
		}
	}
	return w.ResponseWriter.Write(b)
}

// Unwrap gives access to the connection.
func (w *harmed) Unwrap() http.ResponseWriter { return w.ResponseWriter }
