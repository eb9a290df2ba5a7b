package advisory

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// Import takes advisories from a file into use, for machines without a way out: the layer of a published database or any
// other .tar.gz, .tar.zst or .tar with trivy.db and metadata.json, a directory with the two, or the path of a trivy.db
// with its metadata.json beside it. It reports whether the advisories changed.
//
// It returns ErrNotFound when there is no such file, ErrMalformed or ErrUnsupported for what is no database, ErrTooLarge
// beyond the limits; what was in use stays then.
func (k *Keeper) Import(ctx context.Context, file string) (changed bool, err error) {
	release, err := k.acquire(ctx)
	if err != nil {
		return false, err
	}
	defer release()
	started := k.options.Now()
	before := k.State().Current
	err = k.importFile(ctx, file)
	if err != nil {
		err = fmt.Errorf("import advisories from %s: %w", file, err)
	}
	k.imported(started, err)
	after := k.State().Current
	return err == nil && (before == nil || before.Version != after.Version), err
}

// imported notes an import. It leaves open when the registry is looked at next, except that advisories fresh from a file
// need no hurry.
func (k *Keeper) imported(started time.Time, err error) {
	if err == nil {
		k.finish(started, nil)
		return
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.state.LastAttempt, k.state.LastError = started, err
}

func (k *Keeper) importFile(ctx context.Context, file string) error {
	info, err := os.Stat(file)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return tidewaiter.Errorf(tidewaiter.ErrNotFound, "there is no such file")
	case err != nil:
		return onDisk(err)
	case info.IsDir():
		return k.importDir(ctx, file)
	case !info.Mode().IsRegular():
		return tidewaiter.Errorf(tidewaiter.ErrInvalid, "it is neither a file nor a directory")
	case filepath.Base(file) == databaseFile:
		return k.importDir(ctx, filepath.Dir(file))
	}
	f, err := os.Open(file)
	if err != nil {
		return onDisk(err)
	}
	defer f.Close()
	return k.install(tidewaiter.Advisories{Reference: filepath.Base(file)}, func(to *staging) (string, error) {
		content := newMeter(ctx, f, k.options.MaxArchive)
		if err := to.unpackAny(content); err != nil {
			return "", err
		}
		return content.digest()
	})
}

// importDir copies the two files of an unpacked database. Its version is the digest of trivy.db.
func (k *Keeper) importDir(ctx context.Context, dir string) error {
	return k.install(tidewaiter.Advisories{Reference: filepath.Base(dir)}, func(to *staging) (digest string, err error) {
		for _, name := range []string{metadataFile, databaseFile} {
			if digest, err = to.copyFile(ctx, filepath.Join(dir, name)); err != nil {
				return "", err
			}
		}
		return digest, to.complete()
	})
}

func (s *staging) copyFile(ctx context.Context, file string) (digest string, err error) {
	f, err := os.Open(file)
	if errors.Is(err, fs.ErrNotExist) {
		return "", tidewaiter.Errorf(tidewaiter.ErrNotFound, "there is no %s", filepath.Base(file))
	} else if err != nil {
		return "", onDisk(err)
	}
	defer f.Close()
	if info, err := f.Stat(); err != nil || !info.Mode().IsRegular() {
		return "", tidewaiter.Errorf(tidewaiter.ErrMalformed, "%s is not a regular file", filepath.Base(file))
	}
	content := newMeter(ctx, f, s.maxDatabase)
	if err := s.write(filepath.Base(file), content); err != nil {
		return "", err
	}
	return content.digest()
}

// unpackAny tells the kinds of archive apart by how they begin.
func (s *staging) unpackAny(r io.Reader) error {
	in := bufio.NewReaderSize(r, 256<<10)
	head, err := in.Peek(512)
	if err != nil && !errors.Is(err, io.EOF) {
		return broken("cannot be read", err)
	}
	switch {
	case bytes.HasPrefix(head, []byte{0x1f, 0x8b}):
		return s.unpackGzip(in)
	case bytes.HasPrefix(head, []byte{0x28, 0xb5, 0x2f, 0xfd}):
		return s.unpackZstd(in)
	case len(head) >= 262 && string(head[257:262]) == "ustar":
		return s.unpackTar(in)
	}
	return tidewaiter.Errorf(tidewaiter.ErrUnsupported, "it is neither a tar nor one compressed with gzip or zstd")
}
