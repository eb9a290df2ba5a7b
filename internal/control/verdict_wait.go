package control

import (
	"context"
	"sync"
	"time"

	"github.com/tidewaiter/tidewaiter/internal/oci"
	"github.com/tidewaiter/tidewaiter/internal/store"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// maxFlights bounds how many different images are waited for at once.
const maxFlights = 200

// flights are the scans that somebody waits for, each once, however many do. The zero value is usable.
type flights struct {
	mu     sync.Mutex
	byName map[string]*flight
}

// flight is one scan that is waited for.
type flight struct {
	done chan struct{} // closed when what follows is set
	scan *tidewaiter.Scan
	err  error
}

// join returns the flight for a name, and whether the caller is the first and has to fly it; nil when there are too many.
func (f *flights) join(name string) (of *flight, first bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if of = f.byName[name]; of != nil {
		return of, false
	}
	if len(f.byName) >= maxFlights {
		return nil, false
	}
	if f.byName == nil {
		f.byName = map[string]*flight{}
	}
	of = &flight{done: make(chan struct{})}
	f.byName[name] = of
	return of, true
}

func (f *flights) land(name string, of *flight, scan *tidewaiter.Scan, err error) {
	f.mu.Lock()
	delete(f.byName, name)
	f.mu.Unlock()
	of.scan, of.err = scan, err
	close(of.done)
}

// outdated reports whether a scan could make a better answer.
func (c *Control) outdated(v *ImageVerdict, name oci.Reference, maxAge time.Duration) bool {
	if v.Unknown != nil {
		switch v.Unknown.Reason {
		case UnknownNotScanned, UnknownFailed, UnknownGone:
			return name.Repository != ""
		case UnknownNoImage, UnknownNoPlatform: // it may be something else by now
		default:
			return false
		}
	}
	if name.Digest != "" {
		return false
	}
	if maxAge == 0 {
		maxAge = DefaultVerdictAge
	}
	return !v.Current || c.now().Sub(v.SeenAt) > maxAge
}

// waitForScan has an image scanned, unless a scan of it is on its way, and waits until that ends or the wait is over. It
// returns the scan when it has ended, and nil when it is still on its way or no declared registry covers the image. Errors:
// ErrLimit when too many images are waited for.
func (c *Control) waitForScan(ctx context.Context, name oci.Reference, want *tidewaiter.Platform, q VerdictQuery) (ended *tidewaiter.Scan, err error) {
	key := nameOf(name)
	f, first := c.waits.join(key)
	if f == nil {
		return nil, &tidewaiter.Error{Kind: tidewaiter.ErrLimit, Msg: "too many images are being waited for", RetryAfter: 5 * time.Second}
	}
	if first {
		// The scan goes on when the first who asked goes away: others may wait for it.
		detached, cancel := context.WithTimeout(context.WithoutCancel(ctx), MaxVerdictWait)
		go func() {
			defer cancel()
			// A scan may have ended since the caller looked.
			var scan *tidewaiter.Scan
			v, err := c.standing(detached, name, want)
			if err == nil && c.outdated(v, name, q.MaxAge) {
				scan, err = c.scanNow(detached, name)
			}
			c.waits.land(key, f, scan, err)
		}()
	}
	timer := time.NewTimer(q.Wait)
	defer timer.Stop()
	select {
	case <-f.done:
		if f.scan != nil && f.scan.State.Done() {
			ended = f.scan
		}
		return ended, f.err
	case <-timer.C:
		return nil, nil
	case <-ctx.Done():
		return nil, tidewaiter.Errorf(tidewaiter.ErrCanceled, "the request was given up: %w", ctx.Err())
	}
}

// scanNow starts a scan of one image, or joins the one that is on its way, and waits until it ends.
func (c *Control) scanNow(ctx context.Context, name oci.Reference) (*tidewaiter.Scan, error) {
	r, _, err := c.covering(ctx, name)
	if err != nil || r == nil {
		return nil, err
	}
	target := targetOf(name)
	var scan *tidewaiter.Scan
	err = c.store.Update(ctx, func(tx *store.Tx) error {
		scan, err = tx.UnfinishedTarget(ctx, r.ID, target, tidewaiter.LaneInteractive)
		if err != nil || scan != nil {
			return err
		}
		scan = c.newScan(r, ScanRequest{Lane: tidewaiter.LaneInteractive, OnDemand: true, Target: &target})
		if err := c.insertScans(ctx, tx, []*tidewaiter.Scan{scan}); err != nil {
			return err
		}
		return c.audit(ctx, tx, "scan.start", r.ID, name.String())
	})
	if err != nil {
		return nil, err
	}
	ended, err := c.store.AwaitScan(ctx, scan.ID)
	if tidewaiter.KindOf(err) == tidewaiter.ErrNotFound {
		return scan, nil // the registry was removed meanwhile, and the scan with it
	}
	return ended, err
}

// failed puts the failure of the scan that was waited for into the answer: a registry that could not be asked leaves nothing
// behind that the image's own rows would tell.
func failed(v *ImageVerdict, s *tidewaiter.Scan) {
	if len(s.Errors) == 0 {
		return
	}
	e := s.Errors[0]
	switch {
	case v.Unknown == nil:
		v.Failure = e.Text
	case v.Unknown.Reason == UnknownNotScanned:
		v.Unknown = &UnknownVerdict{Reason: UnknownFailed, Kind: e.Kind, Detail: "the image could not be scanned: " + e.Text}
	}
	if e.Kind == tidewaiter.ErrGone && e.Tag == "" {
		v.Unknown = &UnknownVerdict{Reason: UnknownGone, Detail: "the registry does not have it", Kind: e.Kind}
		v.Effect, v.Platforms = "", nil
	}
}
