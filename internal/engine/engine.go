// Package engine finds out what is in an image and which vulnerabilities it has. It is the only package that knows
// Trivy.
//
// The analysis half reads a layer once, as a stream, into a document of its own (Engine.Analyze), merges the documents of
// an image's layers (Merge) and judges the image's configuration (Checks). The matching half (Matcher) looks packages up
// in a database of advisories. Nothing of an image is needed to match it again.
//
// Every path in a document is absolute, clean and slash-separated.
package engine

import (
	"context"
	"fmt"
	"hash/maphash"
	"io"
	"os"
	"sync/atomic"

	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// analyzerVersion names the code that makes analyses: the document's schema, then the parsers' generation (own ones and
// Trivy's). Raise it with every change that can make another document out of the same layer.
const analyzerVersion = "1.trivy0.74.0"

// Options configure an Engine.
type Options struct {
	Secrets bool // look for secrets in files
	Limits  Limits
	Spool   string // directory for the few files that cannot be parsed in memory; "" = os.TempDir
}

// Engine analyses layers. It is safe for concurrent use.
type Engine struct {
	limits  Limits
	secrets *secretScanner // of files; nil when they are not looked for
	config  *secretScanner // of image configurations
	spool   string
	seed    maphash.Seed
	stuck   atomic.Int64 // parsers that outlived their time and are still running
}

// New makes an Engine. It fails with ErrInvalid when the spool directory does not exist.
func New(o Options) (*Engine, error) {
	silenceTrivy()
	e := &Engine{limits: o.Limits.withDefaults(), spool: o.Spool, seed: maphash.MakeSeed(), config: newSecretScanner()}
	if o.Secrets {
		e.secrets = e.config
	}
	if e.spool == "" {
		e.spool = os.TempDir()
	}
	if info, err := os.Stat(e.spool); err != nil || !info.IsDir() {
		return nil, tidewaiter.Invalid("spool", "%s is not a directory", e.spool)
	}
	return e, nil
}

// Version identifies what made an analysis. It changes whenever the same layer may yield another document, and is part of
// the key analyses are stored under.
func (e *Engine) Version() string {
	if e.secrets != nil {
		return analyzerVersion + "+secrets"
	}
	return analyzerVersion
}

// Analyze reads a layer's blob (a tar, plain or compressed with gzip or zstd) to its end and returns what it holds. When
// the archive is broken the blob is read on for a while, so that a reader that verifies the blob's own digest gets to say
// that it is the blob; that reader's error is the one returned. A layer that reaches a limit is left at once.
//
// It fails with ErrMalformed when the archive is broken or its uncompressed content does not hash to diffID ("" is not
// checked), with ErrTooLarge when a limit of the layer is reached, with ErrUnsupported when the compression is not known,
// with ErrCanceled with the context, and with ErrTransient when reading the blob fails in a way that has no kind.
func (e *Engine) Analyze(ctx context.Context, diffID string, blob io.Reader) (*tidewaiter.Analysis, error) {
	src := &source{ctx: ctx, r: blob}
	a, err := e.analyze(ctx, diffID, src)
	longer := tidewaiter.KindOf(err) != tidewaiter.ErrTooLarge && src.drain()
	switch {
	case src.err != nil:
		return nil, fmt.Errorf("read layer %s: %w", diffID, src.failure())
	case ctx.Err() != nil:
		return nil, tidewaiter.Errorf(tidewaiter.ErrCanceled, "analysis of layer %s: %w", diffID, context.Cause(ctx))
	case err != nil:
		return nil, fmt.Errorf("analyze layer %s: %w", diffID, err)
	case longer:
		return nil, tidewaiter.Errorf(tidewaiter.ErrMalformed, "layer %s goes on long after its archive has ended", diffID)
	}
	return a, nil
}

func (e *Engine) analyze(ctx context.Context, diffID string, src *source) (*tidewaiter.Analysis, error) {
	content, err := openLayer(src, e.limits)
	if err != nil {
		return nil, err
	}
	defer content.close()

	d := newDocument(e)
	w := &walker{engine: e, doc: d, limits: e.limits}
	defer w.close()
	if err := w.walk(ctx, content); err != nil {
		return nil, content.explain(err)
	}
	if err := content.finish(); err != nil {
		return nil, content.explain(err)
	}
	if got := content.digest(); diffID != "" && got != diffID {
		return nil, tidewaiter.Errorf(tidewaiter.ErrMalformed, "its content hashes to %s", got)
	}
	a := d.finish()
	a.DiffID, a.Analyzer, a.Bytes = content.digest(), e.Version(), content.n
	return a, nil
}
