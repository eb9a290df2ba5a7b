package testkit

import (
	"context"
	"io"
	"net/http"
	"time"
)

func withFault(r *http.Request, fault *Fault) context.Context {
	return context.WithValue(r.Context(), faultKey{}, fault)
}

// harm puts a broken body in place of the registry's where the request's fault wants one.
func (f *Faults) harm(answer *http.Response) error {
	fault, ok := answer.Request.Context().Value(faultKey{}).(*Fault)
	if !ok {
		return nil
	}
	if fault.Cut > 0 || fault.Corrupt || fault.Slow > 0 {
		answer.Body = &brokenBody{ReadCloser: answer.Body, fault: fault, ctx: answer.Request.Context()}
	}
	return nil
}

// brokenBody is a body as a fault wants it.
type brokenBody struct {
	io.ReadCloser
	fault *Fault
	ctx   context.Context // of the request, to stop waiting when its client goes
	sent  int64
}

// Read passes on what the fault lets through.
func (b *brokenBody) Read(p []byte) (int, error) {
	if b.fault.Slow > 0 {
		timer := time.NewTimer(b.fault.Slow)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-b.ctx.Done():
			return 0, b.ctx.Err()
		}
	}
	if b.fault.Cut > 0 {
		if b.sent >= b.fault.Cut {
			return 0, errCut
		}
		p = p[:min(int64(len(p)), b.fault.Cut-b.sent)]
	}
	n, err := b.ReadCloser.Read(p)
	if b.fault.Corrupt && b.sent == 0 && n > 0 {
		p[0] ^= 0xff
	}
	b.sent += int64(n)
	return n, err
}
