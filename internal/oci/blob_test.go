package oci_test

import (
	"bytes"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/tidewaiter/tidewaiter/internal/oci"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
	"pgregory.net/rapid"
)

func describe(content []byte) tidewaiter.Descriptor {
	sum := sha256.Sum256(content)
	return tidewaiter.Descriptor{Digest: "sha256:" + hex.EncodeToString(sum[:]), Size: int64(len(content))}
}

// cutter serves content and cuts the connection after so many bytes of each answer.
func cutter(t *testing.T, content []byte, after int, ranges bool, requests *atomic.Int64) *httptest.Server {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		requests.Add(1)
		rest := content
		if h := r.Header.Get("Range"); h != "" && ranges {
			from, _ := strconv.Atoi(strings.TrimSuffix(strings.TrimPrefix(h, "bytes="), fmt.Sprintf("-%d", len(content)-1)))
			w.Header().Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", from, len(content)-1, len(content)))
			rest = content[from:]
			w.Header().Set("Content-Length", strconv.Itoa(len(rest)))
			w.WriteHeader(http.StatusPartialContent)
		} else {
			w.Header().Set("Content-Length", strconv.Itoa(len(rest)))
		}
		if len(rest) <= after {
			_, _ = w.Write(rest)
			return
		}
		_, _ = w.Write(rest[:after])
		panic(http.ErrAbortHandler)
	}))
	t.Cleanup(s.Close)
	return s
}

func readBlob(t *testing.T, r *oci.Registry, d tidewaiter.Descriptor) ([]byte, error) {
	t.Helper()
	b, err := r.Blob(t.Context(), "app", d)
	if err != nil {
		return nil, err
	}
	defer b.Close()
	return io.ReadAll(b)
}

func TestBlobIsResumedAfterACut(t *testing.T) {
	content := bytes.Repeat([]byte("0123456789abcdef"), 64<<10)
	var requests atomic.Int64
	s := cutter(t, content, 300<<10, true, &requests)
	got, err := readBlob(t, open(t, local(t), oci.Endpoint{URL: s.URL}), describe(content))
	if err != nil || !bytes.Equal(got, content) {
		t.Fatalf("%d bytes, %v", len(got), err)
	}
	if n := requests.Load(); n != 4 {
		t.Errorf("%d requests, want 4", n)
	}
}

func TestBlobResumesAreBounded(t *testing.T) {
	content := bytes.Repeat([]byte("x"), 1<<20)
	var requests atomic.Int64
	s := cutter(t, content, 10<<10, true, &requests)
	_, err := readBlob(t, open(t, local(t), oci.Endpoint{URL: s.URL}), describe(content))
	wantKind(t, err, tidewaiter.ErrTransient, "cut the connection")
	if n := requests.Load(); n != 5 {
		t.Errorf("%d requests, want the first and 4 more", n)
	}
}

func TestBlobWithoutRangesFailsInsteadOfStartingOver(t *testing.T) {
	content := bytes.Repeat([]byte("x"), 1<<20)
	var requests atomic.Int64
	s := cutter(t, content, 10<<10, false, &requests)
	_, err := readBlob(t, open(t, local(t), oci.Endpoint{URL: s.URL}), describe(content))
	wantKind(t, err, tidewaiter.ErrTransient)
}

func TestBlobIsVerified(t *testing.T) {
	content := []byte("the layer")
	chunked := func(body string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, body[:1])
			w.(http.Flusher).Flush()
			_, _ = io.WriteString(w, body[1:])
		}
	}
	for name, c := range map[string]struct {
		handler http.HandlerFunc
		kind    tidewaiter.ErrorKind
	}{
		"right":               {text(200, "the layer"), ""},
		"right and chunked":   {chunked("the layer"), ""},
		"other content":       {text(200, "the LAYER"), tidewaiter.ErrMalformed},
		"too long":            {text(200, "the layer!"), tidewaiter.ErrMalformed},
		"too long, chunked":   {chunked("the layer and more"), tidewaiter.ErrMalformed},
		"too short":           {text(200, "the"), tidewaiter.ErrMalformed},
		"ends early, chunked": {chunked("the"), tidewaiter.ErrTransient},
		"gone":                {text(404, `{"errors":[{"code":"BLOB_UNKNOWN"}]}`), tidewaiter.ErrGone},
	} {
		t.Run(name, func(t *testing.T) {
			s := httptest.NewServer(c.handler)
			defer s.Close()
			got, err := readBlob(t, open(t, local(t), oci.Endpoint{URL: s.URL}), describe(content))
			wantKind(t, err, c.kind)
			if c.kind == "" && string(got) != "the layer" {
				t.Errorf("got %q", got)
			}
		})
	}
}

func TestBlobOfUnknownSizeAndSHA512(t *testing.T) {
	sum := sha512.Sum512([]byte("the layer"))
	n := &network{hosts: map[string]http.Handler{"registry.example.com": text(200, "the layer")}}
	r := n.registry(t, oci.Endpoint{URL: home})
	got, err := readBlob(t, r, tidewaiter.Descriptor{Digest: "sha512:" + hex.EncodeToString(sum[:]), Size: -1})
	if err != nil || string(got) != "the layer" {
		t.Fatalf("%q %v", got, err)
	}
	_, err = readBlob(t, r, tidewaiter.Descriptor{Digest: "sha512:" + strings.Repeat("0", 128), Size: -1})
	wantKind(t, err, tidewaiter.ErrMalformed)
	_, err = readBlob(t, r, tidewaiter.Descriptor{Digest: "md5:00", Size: -1})
	wantKind(t, err, tidewaiter.ErrMalformed)
}

// However the bytes are cut up on the way, io.EOF comes exactly when they are the right ones.
func TestBlobEOFMeansVerified(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		content := rapid.SliceOfN(rapid.Byte(), 1, 200).Draw(rt, "content")
		sent := bytes.Clone(content)
		damage := rapid.SampledFrom([]string{"none", "flip", "drop", "add"}).Draw(rt, "damage")
		switch at := rapid.IntRange(0, len(content)-1).Draw(rt, "at"); damage {
		case "flip":
			sent[at] ^= 1
		case "drop":
			sent = append(sent[:at], sent[at+1:]...)
		case "add":
			sent = append(sent, 'x')
		}
		n := &network{hosts: map[string]http.Handler{"registry.example.com": text(200, string(sent))}}
		got, err := readBlob(t, n.registry(t, oci.Endpoint{URL: home}), describe(content))
		if (damage == "none") != (err == nil) || err == nil && !bytes.Equal(got, content) {
			rt.Fatalf("damage %s: %v", damage, err)
		}
	})
}
