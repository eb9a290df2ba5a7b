package advisory

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"

	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// layerType is the media type of the one layer of a published database: a gzipped tar of trivy.db and metadata.json.
const layerType = "application/vnd.aquasec.trivy.db.layer.v1.tar+gzip"

// errNotOpened marks a database that came whole but could not be taken into use.
var errNotOpened = errors.New("the advisories were not taken into use")

// update is one run of Update that any number of callers wait for.
type update struct {
	done    chan struct{}
	changed bool
	err     error
}

// Update looks for newer advisories and takes them into use: at once when forced or when there are none, otherwise only
// when that is due (State.Next). It reports whether they changed. Calls that come while one runs wait for it and share
// its outcome.
//
// Its errors have the kind of what went wrong at the last reference tried; whatever it is, what was in use stays.
func (k *Keeper) Update(ctx context.Context, force bool) (changed bool, err error) {
	for {
		k.mu.Lock()
		u := k.update
		if u == nil {
			if !force && k.state.Current != nil && k.options.Now().Before(k.state.Next) {
				k.mu.Unlock()
				return false, nil
			}
			u = &update{done: make(chan struct{})}
			k.update = u
			k.mu.Unlock()
			k.run(ctx, u)
			return u.changed, u.err
		}
		k.mu.Unlock()
		select {
		case <-ctx.Done():
			return false, canceled(ctx.Err())
		case <-u.done:
		}
		if tidewaiter.KindOf(u.err) != tidewaiter.ErrCanceled {
			return u.changed, u.err
		}
		if ctx.Err() != nil {
			return false, canceled(ctx.Err())
		}
		// Whoever ran it was stopped; we were not.
	}
}

func (k *Keeper) run(ctx context.Context, u *update) {
	defer func() {
		k.mu.Lock()
		k.update = nil
		k.mu.Unlock()
		close(u.done)
	}()
	release, err := k.acquire(ctx)
	if err != nil {
		u.err = err
		return
	}
	defer release()
	started := k.options.Now()
	u.changed, u.err = k.fetch(ctx)
	if ctx.Err() != nil && u.err != nil {
		u.err = canceled(ctx.Err())
		return // being stopped says nothing about the registry
	}
	k.finish(started, u.err)
}

// fetch tries the references in order until one has the current advisories or newer ones that work.
func (k *Keeper) fetch(ctx context.Context) (changed bool, err error) {
	var failed []error
	for _, reference := range k.options.References {
		changed, err := k.fetchInTime(ctx, reference)
		if err == nil {
			return changed, nil
		}
		failed = append(failed, fmt.Errorf("%s: %w", reference, err))
		if ctx.Err() != nil || errors.Is(err, errNotOpened) {
			break
		}
	}
	if len(failed) == 0 {
		return false, tidewaiter.Invalid("references", "no reference to fetch advisories from is set")
	}
	return false, fmt.Errorf("update advisories: %w", together(failed))
}

// together makes one error of those of every reference. The last one, where all hope ended, gives it its kind.
func together(errs []error) error {
	if len(errs) == 1 {
		return errs[0]
	}
	texts := make([]string, len(errs))
	for i, err := range errs {
		texts[i] = err.Error()
	}
	e := &tidewaiter.Error{Kind: tidewaiter.KindOf(errs[len(errs)-1]), Msg: strings.Join(texts, "; "), Err: errors.Join(errs...)}
	if last, ok := errors.AsType[*tidewaiter.Error](errs[len(errs)-1]); ok {
		e.RetryAfter = last.RetryAfter
	}
	return e
}

// fetchInTime gives one reference its share of time.
func (k *Keeper) fetchInTime(ctx context.Context, reference string) (changed bool, err error) {
	limited, cancel := context.WithTimeout(ctx, k.options.Timeout)
	defer cancel()
	changed, err = k.fetchFrom(limited, reference)
	if err != nil && ctx.Err() == nil && limited.Err() != nil {
		err = tidewaiter.Errorf(tidewaiter.ErrTransient, "it took longer than %s", k.options.Timeout)
	}
	return changed, err
}

func (k *Keeper) fetchFrom(ctx context.Context, reference string) (changed bool, err error) {
	m, err := k.options.Source.Manifest(ctx, reference)
	if err != nil {
		return false, err
	}
	layer, err := k.layerOf(m)
	if err != nil {
		return false, err
	}
	if current := k.State().Current; current != nil && current.Version == layer.Digest {
		return false, nil
	}
	blob, err := k.options.Source.Blob(ctx, reference, layer)
	if err != nil {
		return false, err
	}
	defer blob.Close()
	adv := tidewaiter.Advisories{Version: layer.Digest, Reference: reference}
	return true, k.install(adv, func(to *staging) (string, error) {
		content := newMeter(ctx, blob, layer.Size)
		if err := to.unpackGzip(content); err != nil {
			return "", err
		}
		return content.verify(layer)
	})
}

var sha256Digest = regexp.MustCompile(`^sha256:[0-9a-f]{64}$`)

func (k *Keeper) layerOf(m *tidewaiter.Manifest) (tidewaiter.Descriptor, error) {
	if m.Kind == tidewaiter.ManifestIndex || len(m.Layers) != 1 || m.Layers[0].MediaType != layerType {
		return tidewaiter.Descriptor{}, tidewaiter.Errorf(tidewaiter.ErrUnsupported, "the artifact is not an advisory database").
			WithFix("the reference must lead to one layer of type %s", layerType)
	}
	layer := m.Layers[0]
	switch {
	case !sha256Digest.MatchString(layer.Digest):
		return layer, tidewaiter.Errorf(tidewaiter.ErrUnsupported, "the layer's digest is not a SHA-256 one")
	case layer.Size <= 0:
		return layer, tidewaiter.Errorf(tidewaiter.ErrMalformed, "the layer's size is %d bytes", layer.Size)
	case layer.Size > k.options.MaxArchive:
		return layer, tidewaiter.Errorf(tidewaiter.ErrTooLarge, "the layer is larger than %d bytes", k.options.MaxArchive)
	}
	return layer, nil
}
