package samples_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/tidewaiter/tidewaiter/internal/samples"
)

func TestGzipBombUnpacksToItsSize(t *testing.T) {
	const size = 100<<20 + 3
	l, err := samples.GzipBomb(size)
	if err != nil {
		t.Fatal(err)
	}
	if len(l.Data) > size/500 {
		t.Errorf("%d bytes packed", len(l.Data))
	}
	z, err := gzip.NewReader(bytes.NewReader(l.Data))
	if err != nil {
		t.Fatal(err)
	}
	r := tar.NewReader(z)
	if h, err := r.Next(); err != nil || h.Size != size {
		t.Fatalf("%+v, %v", h, err)
	}
	if n, err := io.Copy(io.Discard, r); err != nil || n != size {
		t.Errorf("%d bytes, %v", n, err)
	}
	if _, err := r.Next(); !errors.Is(err, io.EOF) {
		t.Errorf("end: %v", err)
	}
}

func TestEntriesAreAsManyAsAskedFor(t *testing.T) {
	for _, want := range []int64{0, 1, 128, 100_001} {
		r := tar.NewReader(samples.Entries(want))
		var n int64
		for {
			_, err := r.Next()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
			n++
		}
		if n != want {
			t.Errorf("%d entries, want %d", n, want)
		}
	}
}

func TestEscapesKeepTheirNames(t *testing.T) {
	l, err := samples.NewLayer(samples.Gzip, samples.Escapes()...)
	if err != nil {
		t.Fatal(err)
	}
	got := names(t, l)
	if len(got) != len(samples.Escapes()) || got[0] != "../../etc/os-release" {
		t.Errorf("%d entries, the first is %q", len(got), got[0])
	}
}

func TestBrokenLayersAreBroken(t *testing.T) {
	m, err := samples.WrongDiffID()
	if err != nil {
		t.Fatal(err)
	}
	l := m.Layers[0]
	if digest(l.Data) != l.Digest || digest(unpack(t, l)) == l.DiffID {
		t.Error("only the diffID ought to be wrong")
	}
	cut, err := samples.Truncated()
	if err != nil {
		t.Fatal(err)
	}
	z, err := gzip.NewReader(bytes.NewReader(cut.Data))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(io.Discard, z); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("truncated: %v", err)
	}
	if _, err := gzip.NewReader(bytes.NewReader(samples.Garbage().Data)); err == nil {
		t.Error("garbage is no gzip")
	}
}

func TestHugeHeaderIsWellFormed(t *testing.T) {
	for _, size := range []int{1 << 10, 512 << 10} {
		l, err := samples.HugeHeader(size)
		if err != nil {
			t.Fatal(err)
		}
		got := names(t, l)
		if len(got) != 1 || len(got[0]) < size-20 || strings.Trim(got[0], "x") != "" {
			t.Errorf("%d names", len(got))
		}
	}
	l, err := samples.HugeHeader(8 << 20)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tar.NewReader(bytes.NewReader(unpack(t, l))).Next(); !errors.Is(err, tar.ErrHeader) && !errors.Is(err, tar.ErrFieldTooLong) {
		t.Errorf("archive/tar reads a header of 8 MB: %v", err)
	}
}

// names lists a layer's entries.
func names(t *testing.T, l samples.Layer) []string {
	t.Helper()
	var list []string
	for r := tar.NewReader(bytes.NewReader(unpack(t, l))); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return list
		}
		if err != nil && !errors.Is(err, tar.ErrInsecurePath) {
			t.Fatal(err)
		}
		list = append(list, h.Name)
	}
}
