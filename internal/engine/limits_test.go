package engine_test

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/tidewaiter/tidewaiter/internal/engine"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// zeros yields n zero bytes.
func zeros(n int64) io.Reader { return io.LimitReader(zeroReader{}, n) }

type zeroReader struct{}

func (zeroReader) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

func TestCompressions(t *testing.T) {
	b := layerOf(t, entry{name: "etc/alpine-release", body: "3.20.1\n"})
	for name, blob := range map[string][]byte{
		"tar": b, "gzip": gzipped(t, b), "zstd": zstandard(t, b),
		"two gzip members": append(gzipped(t, b[:512]), gzipped(t, b[512:])...),
	} {
		t.Run(name, func(t *testing.T) {
			a, err := newEngine(t, engine.Options{}).Analyze(t.Context(), digestOf(b), bytes.NewReader(blob))
			if err != nil {
				t.Fatal(err)
			}
			if a.Distribution == nil || a.DiffID != digestOf(b) || a.Bytes != int64(len(b)) || a.Files != 1 {
				t.Errorf("got %+v", a)
			}
		})
	}
}

func TestRefusedLayers(t *testing.T) {
	ok := layerOf(t, entry{name: "etc/alpine-release", body: "3.20.1\n"}, entry{name: "big", body: strings.Repeat("x", 5000)})
	many := make([]entry, 100)
	for i := range many {
		many[i] = entry{name: fmt.Sprintf("%s/.wh.%d", strings.Repeat("d", 90), i)}
	}
	zipBomb := func() []byte {
		var buf bytes.Buffer
		w := tar.NewWriter(&buf)
		if err := w.WriteHeader(&tar.Header{Name: "zeros", Size: 8 << 20, Mode: 0o644}); err != nil {
			t.Fatal(err)
		}
		if _, err := io.Copy(w, zeros(8<<20)); err != nil {
			t.Fatal(err)
		}
		return gzipped(t, buf.Bytes())
	}()
	for _, tt := range []struct {
		name   string
		limits engine.Limits
		diffID string
		blob   []byte
		want   tidewaiter.ErrorKind
	}{
		{"larger than a layer may be", engine.Limits{LayerBytes: 4096}, "", gzipped(t, ok), tidewaiter.ErrTooLarge},
		{"compressed too well", engine.Limits{RatioFrom: 1 << 20}, "", zipBomb, tidewaiter.ErrTooLarge},
		{"too many entries", engine.Limits{Entries: 99}, "", layerOf(t, many...), tidewaiter.ErrTooLarge},
		{"too many whiteouts", engine.Limits{Document: 5000}, "", layerOf(t, many...), tidewaiter.ErrTooLarge},
		{"too much text", engine.Limits{Document: 300}, "", layerOf(t, node(strings.Repeat("a", 200), "1.0.0")), tidewaiter.ErrTooLarge},
		{"other content", engine.Limits{}, digestOf([]byte("x")), gzipped(t, ok), tidewaiter.ErrMalformed},
		{"cut gzip", engine.Limits{}, "", gzipped(t, ok)[:60], tidewaiter.ErrMalformed},
		{"cut tar", engine.Limits{}, "", ok[:1500], tidewaiter.ErrMalformed},
		{"cut in a file that is read", engine.Limits{}, "", ok[:514], tidewaiter.ErrMalformed},
		{"no tar", engine.Limits{}, "", []byte(strings.Repeat("hello ", 200)), tidewaiter.ErrMalformed},
		{"garbage after the archive", engine.Limits{}, "", append(gzipped(t, ok), "garbage"...), tidewaiter.ErrMalformed},
		{"xz", engine.Limits{}, "", []byte("\xfd7zXZ\x00 and so on"), tidewaiter.ErrUnsupported},
		{"broken zstd", engine.Limits{}, "", []byte("\x28\xb5\x2f\xfd broken, broken"), tidewaiter.ErrMalformed},
	} {
		t.Run(tt.name, func(t *testing.T) {
			blob := bytes.NewReader(tt.blob)
			_, err := newEngine(t, engine.Options{Secrets: true, Limits: tt.limits}).Analyze(t.Context(), tt.diffID, blob)
			if got := tidewaiter.KindOf(err); got != tt.want {
				t.Errorf("got %q (%v), want %q", got, err, tt.want)
			}
			if blob.Len() > 0 {
				t.Errorf("%d bytes were left unread", blob.Len())
			}
		})
	}
}

func TestEmptyBlob(t *testing.T) {
	// An empty stream is an archive without entries to archive/tar; its digest tells whether it should be.
	a, err := newEngine(t, engine.Options{}).Analyze(t.Context(), "", strings.NewReader(""))
	if err != nil || a.Files != 0 {
		t.Errorf("got %v, %v", a, err)
	}
}

// failingReader fails after its content.
type failingReader struct {
	io.Reader
	err error
}

func (r failingReader) Read(p []byte) (int, error) {
	n, err := r.Reader.Read(p)
	if err == io.EOF {
		err = r.err
	}
	return n, err
}

func TestReaderErrors(t *testing.T) {
	b := gzipped(t, layerOf(t, entry{name: "x", body: "y"}))
	digest := tidewaiter.Errorf(tidewaiter.ErrMalformed, "blob is not what its digest says")
	for _, tt := range []struct {
		name string
		n    int
		err  error
		want tidewaiter.ErrorKind
	}{
		{"cut connection", 40, io.ErrUnexpectedEOF, tidewaiter.ErrTransient},
		{"the registry's limit", 40, tidewaiter.Errorf(tidewaiter.ErrLimit, "slow down"), tidewaiter.ErrLimit},
		{"digest found wrong at the end", len(b), digest, tidewaiter.ErrMalformed},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := newEngine(t, engine.Options{}).Analyze(t.Context(), "", failingReader{bytes.NewReader(b[:tt.n]), tt.err})
			if !errors.Is(err, tt.err) || tidewaiter.KindOf(err) != tt.want {
				t.Errorf("got %v (%s)", err, tidewaiter.KindOf(err))
			}
		})
	}
	t.Run("digest checked although the archive is broken", func(t *testing.T) {
		_, err := newEngine(t, engine.Options{}).Analyze(t.Context(), "", failingReader{strings.NewReader(strings.Repeat("no tar", 200)), digest})
		if !errors.Is(err, digest) {
			t.Errorf("got %v", err)
		}
	})
	t.Run("canceled", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		_, err := newEngine(t, engine.Options{}).Analyze(ctx, "", bytes.NewReader(b))
		if tidewaiter.KindOf(err) != tidewaiter.ErrCanceled || !errors.Is(err, context.Canceled) {
			t.Errorf("got %v", err)
		}
	})
}

// manyEntries is an endless tar of empty files, made as it is read.
type manyEntries struct {
	header []byte
	off    int
}

func (m *manyEntries) Read(p []byte) (n int, _ error) {
	for n < len(p) {
		c := copy(p[n:], m.header[m.off:])
		n, m.off = n+c, (m.off+c)%len(m.header)
	}
	return n, nil
}

func TestMillionsOfEntries(t *testing.T) {
	header := layerOf(t, entry{name: "some/directory/with/a/file"})[:512]
	e := newEngine(t, engine.Options{Secrets: true, Limits: engine.Limits{Entries: 300_000}})
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	_, err := e.Analyze(t.Context(), "", io.LimitReader(&manyEntries{header: header}, 512*400_000))
	runtime.GC()
	runtime.ReadMemStats(&after)
	if tidewaiter.KindOf(err) != tidewaiter.ErrTooLarge {
		t.Errorf("got %v", err)
	}
	if grown := int64(after.HeapAlloc) - int64(before.HeapAlloc); grown > 8<<20 {
		t.Errorf("%d bytes are still held", grown)
	}
}

func TestNotices(t *testing.T) {
	deep := zipped(t, map[string]string{"META-INF/maven/g/a/pom.properties": "groupId=g\nartifactId=a\nversion=1\n"})
	for range 8 {
		deep = zipped(t, map[string]string{"inner.jar": deep})
	}
	bomb := zipped(t, map[string]string{"bomb.jar": strings.Repeat("\x00", 129<<20)})
	node := func(name string) entry { return entry{name: name, body: `{"name":"x","version":"1.0.0"}`} }
	for _, tt := range []struct {
		name    string
		limits  engine.Limits
		entries []entry
		want    tidewaiter.ErrorKind
		path    string
	}{
		{"out of the root", engine.Limits{}, []entry{node("../../etc/package.json")}, tidewaiter.ErrMalformed, "/etc/package.json"},
		{"long name", engine.Limits{Path: 50}, []entry{node(strings.Repeat("d/", 30) + "package.json")}, tidewaiter.ErrTooLarge, ""},
		{"broken manifest", engine.Limits{}, []entry{{name: "a/package.json", body: `{"name":`}}, tidewaiter.ErrMalformed, "/a/package.json"},
		{"large manifest", engine.Limits{Text: 20}, []entry{node("a/package.json")}, tidewaiter.ErrTooLarge, "/a/package.json"},
		{"large executable", engine.Limits{File: 20}, []entry{{name: "x", body: "\x7fELF" + strings.Repeat("x", 99), mode: 0o755}}, tidewaiter.ErrTooLarge, "/x"},
		{"archives in archives", engine.Limits{}, []entry{{name: "a.jar", body: deep}}, tidewaiter.ErrTooLarge, "/a.jar"},
		{"archive bomb", engine.Limits{}, []entry{{name: "a.jar", body: bomb}}, tidewaiter.ErrTooLarge, "/a.jar"},
		{"no time", engine.Limits{FileTime: time.Nanosecond}, []entry{{name: "a.jar", body: bomb}}, tidewaiter.ErrTooLarge, "/a.jar"},
		{"a name too long to be true", engine.Limits{}, []entry{node("a/package.json"), {name: "b/package.json", body: `{"name":"` + strings.Repeat("x", 2000) + `","version":"1"}`}}, tidewaiter.ErrTooLarge, "/b/package.json"},
		{"whiteout of nothing", engine.Limits{}, []entry{{name: "a/.wh."}}, tidewaiter.ErrMalformed, "/a/.wh."},
		{"whiteout of the parent", engine.Limits{}, []entry{{name: "a/.wh..."}}, tidewaiter.ErrMalformed, "/a/.wh..."},
		{"hard link out of the root", engine.Limits{}, []entry{{name: "a", kind: tar.TypeLink, link: "../../b"}}, tidewaiter.ErrMalformed, "/a"},
		{"too many packages", engine.Limits{Packages: 2}, []entry{node("a/package.json"), node("b/package.json"), node("c/package.json")}, tidewaiter.ErrTooLarge, "/c/package.json"},
		{"secrets of a large file", engine.Limits{Secrets: 100}, []entry{{name: "log", body: strings.Repeat("text ", 100)}}, tidewaiter.ErrTooLarge, "/log"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			a := analyze(t, newEngine(t, engine.Options{Secrets: true, Limits: tt.limits}), tt.entries...)
			if len(a.Notices) != 1 || a.Notices[0].Kind != tt.want || tt.path != "" && a.Notices[0].Path != tt.path {
				t.Errorf("got %+v, want one of kind %s for %s", a.Notices, tt.want, tt.path)
			}
			packages := 0
			for _, inv := range a.Inventories {
				packages += len(inv.Packages)
			}
			if packages > 2 {
				t.Errorf("%d packages", packages)
			}
			for _, w := range append(a.Whiteouts, a.OpaqueDirs...) {
				t.Errorf("hides %s", w)
			}
		})
	}
}

func TestNoticesAreBounded(t *testing.T) {
	entries := make([]entry, 50)
	for i := range entries {
		entries[i] = entry{name: fmt.Sprintf("%d/package.json", i), body: "{"}
	}
	a := analyze(t, newEngine(t, engine.Options{Limits: engine.Limits{Notices: 5}}), entries...)
	if len(a.Notices) != 6 || a.Notices[5].Text != "45 more notices of this kind" {
		t.Errorf("got %v", a.Notices)
	}
}

func TestDevicesAndLinksAreIgnored(t *testing.T) {
	a := analyze(t, newEngine(t, engine.Options{Secrets: true}),
		entry{name: "dev/package.json", kind: tar.TypeChar}, entry{name: "dev/x.jar", kind: tar.TypeBlock},
		entry{name: "dev/installed.json", kind: tar.TypeFifo}, entry{name: "etc/os-release", kind: tar.TypeSymlink, link: "../usr/lib/os-release"},
		entry{name: "app/package.json", kind: tar.TypeSymlink, link: "/etc/passwd"},
	)
	if got := names(a); len(got) > 0 || len(a.Notices) > 0 || a.Distribution != nil {
		t.Errorf("got %v, %v", got, a.Notices)
	}
}

func TestSpoolIsEmptied(t *testing.T) {
	dir := t.TempDir()
	e, err := engine.New(engine.Options{Spool: dir, Limits: engine.Limits{Memory: 10}})
	if err != nil {
		t.Fatal(err)
	}
	analyze(t, e, entry{name: "var/lib/rpm/rpmdb.sqlite", body: rpmSQLite(t, rpmSchema, bashHeader(t))},
		entry{name: "a/package.json", body: `{"name":"x","version":"1.0.0"}`})
	cut := layerOf(t, entry{name: "a/package.json", body: strings.Repeat("x", 2000)})[:1000]
	if _, err := e.Analyze(t.Context(), "", bytes.NewReader(cut)); tidewaiter.KindOf(err) != tidewaiter.ErrMalformed {
		t.Errorf("got %v", err)
	}
	left, err := os.ReadDir(dir)
	if err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

func TestNewWantsASpool(t *testing.T) {
	if _, err := engine.New(engine.Options{Spool: "/does/not/exist"}); tidewaiter.KindOf(err) != tidewaiter.ErrInvalid {
		t.Errorf("got %v", err)
	}
}

func TestVersion(t *testing.T) {
	with, without := newEngine(t, engine.Options{Secrets: true}), newEngine(t, engine.Options{})
	if with.Version() == without.Version() || with.Version() == "" {
		t.Errorf("%q, %q", with.Version(), without.Version())
	}
	if a := analyze(t, with); a.Analyzer != with.Version() {
		t.Errorf("made by %q", a.Analyzer)
	}
}
