package oci

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"
)

// errStalled is the cause of a request cancelled because the other side went silent.
var errStalled = errors.New("no data within the time allowed")

// meter is the innermost round tripper: it lets a request through when the guard and the budget do, bounds its silences,
// records it, and teaches the budget what came back. It holds the budget's place until the body is closed.
type meter struct {
	next       http.RoundTripper
	guard      guard
	budget     *Budget
	credential string
	trace      *Trace
	opts       *Options
}

type tryKey struct{}

// try is what the retry around the meter tells it through the context.
type try struct {
	number   int
	patience time.Duration // what may still be waited
	waited   time.Duration // what was waited here; filled in by the meter
}

type slowKey struct{}

// slow marks requests whose answer may take long to begin.
func slow(ctx context.Context) context.Context { return context.WithValue(ctx, slowKey{}, true) }

// RoundTrip implements http.RoundTripper.
func (m *meter) RoundTrip(req *http.Request) (*http.Response, error) {
	if err := m.guard.checkHost(req.URL.Hostname()); err != nil {
		return nil, err
	}
	t, ok := req.Context().Value(tryKey{}).(*try)
	if !ok {
		t = &try{number: 1, patience: maxWaiting}
	}
	key := laneKey{host: strings.ToLower(req.URL.Host), credential: m.credential}
	release, w, err := m.budget.acquire(req.Context(), key, t.patience)
	t.waited = w.time
	entry := m.trace.add(TraceEntry{
		At: m.opts.Now(), Method: req.Method, URL: displayURL(req.URL), Try: t.number,
		Waited: w.time, WaitedOn: strings.Join(w.on, ", "),
	})
	if err != nil {
		m.note(entry, err)
		return nil, err
	}
	resp, err := m.send(req, entry, release)
	if err != nil {
		return nil, err
	}
	if spent(resp) {
		resp.StatusCode = http.StatusTooManyRequests
	}
	if m.opts.Observe != nil {
		m.opts.Observe(resp)
	}
	if err := m.budget.observe(req.Context(), key, resp.StatusCode, resp.Header); err != nil {
		m.trace.add(TraceEntry{At: m.opts.Now(), Error: plainText(err.Error())})
	}
	return resp, nil
}

// send makes the request; from here on release is called by the body's Close, or here when there is no body.
func (m *meter) send(req *http.Request, entry *TraceEntry, release func()) (*http.Response, error) {
	ctx, cancel := context.WithCancelCause(req.Context())
	wait := m.opts.Timeout
	if req.Context().Value(slowKey{}) != nil {
		wait *= 4
	}
	timer := time.AfterFunc(wait, func() { cancel(errStalled) })
	start := m.opts.Now()
	m.trace.count(askedFor(ctx))
	resp, err := m.next.RoundTrip(req.WithContext(ctx))
	timer.Stop()
	if err != nil {
		if cause := context.Cause(ctx); cause != nil {
			err = cause
		}
		cancel(nil)
		release()
		m.note(entry, err)
		return nil, err
	}
	m.trace.amend(entry, func(e *TraceEntry) {
		e.Status = resp.StatusCode
		e.Duration = m.opts.Now().Sub(start)
	})
	timer = time.AfterFunc(m.opts.Timeout, func() { cancel(errStalled) })
	timer.Stop()
	resp.Body = &meteredBody{
		ReadCloser: resp.Body, ctx: ctx, timer: timer, timeout: m.opts.Timeout,
		done: func(n int64, err error) {
			cancel(nil)
			release()
			m.trace.amend(entry, func(e *TraceEntry) {
				e.Bytes = n
				if err != nil {
					e.Error = plainText(netError(err, req.URL.Hostname()).Error())
				}
			})
		},
	}
	return resp, nil
}

func (m *meter) note(entry *TraceEntry, err error) {
	text := plainText(netError(err, "the registry").Error())
	m.trace.amend(entry, func(e *TraceEntry) { e.Error = text })
}

// meteredBody counts, ends a read that stalls, and says when it is closed. Reads come from one goroutine at a time.
type meteredBody struct {
	io.ReadCloser

	ctx     context.Context
	timer   *time.Timer
	timeout time.Duration
	n       int64
	err     error
	once    sync.Once
	done    func(n int64, err error)
}

func (b *meteredBody) Read(p []byte) (int, error) {
	b.timer.Reset(b.timeout)
	n, err := b.ReadCloser.Read(p)
	b.timer.Stop()
	b.n += int64(n)
	if err != nil && !errors.Is(err, io.EOF) {
		if cause := context.Cause(b.ctx); cause != nil {
			err = cause
		}
		b.err = err
	}
	return n, err
}

func (b *meteredBody) Close() error {
	err := b.ReadCloser.Close()
	b.timer.Stop()
	b.once.Do(func() { b.done(b.n, b.err) })
	return err
}
