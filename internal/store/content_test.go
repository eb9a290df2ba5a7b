package store_test

import (
	"bytes"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"github.com/tidewaiter/tidewaiter/internal/store"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

func drawContent(t *rapid.T) *store.StoredContent {
	c := &store.StoredContent{Installed: rapid.SliceOfN(rapid.Custom(func(t *rapid.T) store.InstalledRef {
		return store.InstalledRef{
			PackageID: rapid.Int64().Draw(t, "package"), Layer: rapid.IntRange(0, 200).Draw(t, "layer"),
			Path: rapid.SampledFrom([]string{"", "a", "usr/lib/x", "\x00\xff"}).Draw(t, "path"),
		}
	}), 0, 20).Draw(t, "installed")}
	if rapid.Bool().Draw(t, "more") {
		c.Distribution = &tidewaiter.Distribution{Family: "debian", Release: "12"}
		c.SetID = []tidewaiter.SetIDFile{{Path: "/bin/su", Mode: 0o4755}}
		c.Checks = []tidewaiter.Check{{ID: 41, Severity: tidewaiter.SeverityHigh}}
	}
	return c
}

func TestContent(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		want := drawContent(t)
		b, err := store.EncodeContent(want)
		if err != nil {
			t.Fatal(err)
		}
		again, err := store.EncodeContent(want)
		if err != nil || !bytes.Equal(b, again) {
			t.Fatalf("equal contents give different bytes: %v", err)
		}
		got, err := store.DecodeContent(b)
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(want, got, cmpopts.EquateEmpty()); d != "" {
			t.Fatal(d)
		}
	})
}

func FuzzDecodeContent(f *testing.F) {
	full, err := store.EncodeContent(&store.StoredContent{
		Installed: []store.InstalledRef{{PackageID: 1 << 40, Layer: 3, Path: "a"}, {PackageID: 2}},
		Secrets:   []tidewaiter.Secret{{Rule: "r"}}, Notices: []tidewaiter.Notice{{Kind: tidewaiter.ErrTooLarge}},
	})
	if err != nil {
		f.Fatal(err)
	}
	for _, seed := range [][]byte{
		full, full[:len(full)/2], nil, {1}, {2, 0, 0}, {1, 0, 0, '{', '}'}, {1, 0, 1, 2, 0, 0, '{', '}'},
		{1, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1}, {1, 0, 0xff, 0xff, 0xff, 0xff, 0x0f, '{', '}'},
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		c, err := store.DecodeContent(b)
		if err != nil {
			if tidewaiter.KindOf(err) != tidewaiter.ErrMalformed || c != nil {
				t.Errorf("content %v, error %v", c, err)
			}
			return
		}
		// What can be read can be written and read again.
		again, err := store.EncodeContent(c)
		if err != nil {
			t.Fatal(err)
		}
		back, err := store.DecodeContent(again)
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(c, back, cmpopts.EquateEmpty()); d != "" {
			t.Error(d)
		}
	})
}
