package engine

import (
	"archive/tar"
	"bufio"
	"context"
	"errors"
	"io"
	"path"
	"strings"

	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// The names by which a layer removes what lower layers hold (OCI image-spec, layer.md, "Whiteouts").
const (
	whiteoutPrefix = ".wh."
	opaqueName     = ".wh..wh..opq"
	metaPrefix     = ".wh..wh." // of the aufs driver's own files
)

// walker goes through a layer's archive once.
type walker struct {
	engine *Engine
	doc    *document
	limits Limits
	buf    *[smallFile]byte // reused from file to file; nil before the first, and after one a parser did not let go of
}

func (w *walker) walk(ctx context.Context, c *content) error {
	archive := tar.NewReader(bufio.NewReaderSize(c, 64<<10))
	for {
		h, err := archive.Next()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		if w.doc.a.Files++; w.doc.a.Files > w.limits.Entries {
			return tidewaiter.Errorf(tidewaiter.ErrTooLarge, "it has more than %d entries", w.limits.Entries)
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := w.entry(ctx, h, archive); err != nil {
			return err
		}
	}
}

// entry handles one entry of the archive. Names are only ever compared, never opened; one that points out of the root is
// read as the container runtimes read it, from the root.
func (w *walker) entry(ctx context.Context, h *tar.Header, r io.Reader) error {
	if len(h.Name) > w.limits.Path || len(h.Linkname) > w.limits.Path {
		w.doc.noticef(tidewaiter.ErrTooLarge, h.Name, "left out: its name is longer than %d bytes", w.limits.Path)
		return nil
	}
	p, escaped := cleanPath(h.Name)
	if escaped {
		w.doc.noticef(tidewaiter.ErrMalformed, p, "its name in the archive points out of the root")
	}
	if removed, err := w.whiteout(p); removed || err != nil {
		return err
	}
	switch h.Typeflag {
	case tar.TypeReg, tar.TypeGNUSparse:
		if err := w.setID(p, h); err != nil {
			return err
		}
		return w.file(ctx, p, h, r)
	case tar.TypeLink:
		if err := w.setID(p, h); err != nil {
			return err
		}
		return w.hardLink(p, h)
	case tar.TypeSymlink:
		if k := kindOf(p, 0); k != nil {
			return w.doc.add(p, nothing(p, k)) // whatever the file declared below, it is a link now
		}
	}
	return nil // directories, devices and pipes hold nothing
}

// cleanPath returns a name as an absolute, clean path, and whether it pointed out of the root.
func cleanPath(name string) (p string, escaped bool) {
	name = strings.ToValidUTF8(name, "\uFFFD")
	relative := path.Clean(strings.TrimLeft(name, "/"))
	return path.Clean("/" + name), relative == ".." || strings.HasPrefix(relative, "../")
}

// whiteout records the removal a name stands for.
func (w *walker) whiteout(p string) (bool, error) {
	dir, base := path.Split(p)
	name, is := strings.CutPrefix(base, whiteoutPrefix)
	switch {
	case !is:
		return false, nil
	case base == opaqueName:
		dir = path.Clean(dir)
		w.doc.a.OpaqueDirs = append(w.doc.a.OpaqueDirs, dir)
		return true, w.doc.keep(dir)
	case strings.HasPrefix(base, metaPrefix):
		return true, nil
	case name == "" || name == "." || name == "..":
		w.doc.noticef(tidewaiter.ErrMalformed, p, "a whiteout of no file")
		return true, nil
	}
	p = dir + name
	w.doc.a.Whiteouts = append(w.doc.a.Whiteouts, p)
	return true, w.doc.keep(p)
}

// setID records executables with somebody else's rights, and those known to usually have them that here have not: what
// "chmod a-s" in an upper layer leaves behind.
func (w *walker) setID(p string, h *tar.Header) error {
	mode := uint32(h.Mode & 0o7777)
	if mode&0o6000 == 0 && !usuallySetID[path.Base(p)] {
		return nil
	}
	w.doc.setID[p] = mode
	return w.doc.keep(p)
}

// hardLink remembers another name of a file. A hard link to a file of interest is one too; the file itself came earlier.
func (w *walker) hardLink(p string, h *tar.Header) error {
	target, escaped := cleanPath(h.Linkname)
	if escaped || target == p {
		w.doc.noticef(tidewaiter.ErrMalformed, p, "a hard link that points out of the root or to itself")
		return nil
	}
	if _, known := w.doc.inventories[target]; !known {
		return nil
	}
	w.doc.links = append(w.doc.links, link{path: p, target: target})
	return w.doc.keep(p + target)
}

// file reads a regular file that may declare packages or hold secrets.
func (w *walker) file(ctx context.Context, p string, h *tar.Header, r io.Reader) error {
	k := kindOf(p, h.Mode)
	looked := w.engine.secrets.wants(p, h.Size)
	if k == nil && !looked {
		return nil
	}
	head, err := w.peek(r, h.Size)
	if err != nil {
		return err
	}
	if k != nil && !k.accepts(head) {
		k = nil
	}
	looked = looked && w.engine.secrets.accepts(p, head)
	r = io.MultiReader(strings.NewReader(head), r)
	switch {
	case k == nil && !looked:
		return nil
	case k == nil:
		return w.scanSecrets(ctx, p, r)
	}
	return w.parse(ctx, k, p, h.Size, r, looked)
}

// parse reads a file that declares packages, and looks for secrets in it while it is at hand.
func (w *walker) parse(ctx context.Context, k *kind, p string, size int64, r io.Reader, looked bool) error {
	if limit := k.limit(w.limits); size > limit {
		w.doc.noticef(tidewaiter.ErrTooLarge, p, "not parsed: it is %d bytes, more than %d", size, limit)
		if looked {
			return w.scanSecrets(ctx, p, r)
		}
		return nil
	}
	f, err := w.load(p, size, r, k)
	if err != nil {
		return err
	}
	if looked {
		if err := w.scanSecrets(ctx, p, io.NewSectionReader(f.at, 0, size)); err != nil {
			f.close()
			return err
		}
	}
	out := new(found)
	done, err := w.engine.guard(ctx, w.limits.FileTime, func(ctx context.Context) error { return k.parse(ctx, w.engine, f, out) }, f.close)
	if !done {
		w.buf = nil // the parser may still be reading it
	}
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case errors.Is(err, errNothing):
		return nil
	case err != nil:
		w.doc.noticef(kindOfParseError(err), p, "not parsed: %s", clip(err.Error(), 300))
		return w.doc.add(p, nothing(p, k))
	}
	return w.doc.add(p, out)
}

func kindOfParseError(err error) tidewaiter.ErrorKind {
	if k := tidewaiter.KindOf(err); k != tidewaiter.ErrBug {
		return k
	}
	return tidewaiter.ErrMalformed
}
