package advisory

import (
	"compress/gzip"
	"context"
	"errors"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// Where the makers of the feeds publish them.
const (
	DefaultEPSSSource = "https://epss.empiricalsecurity.com/epss_scores-current.csv.gz"
	DefaultKEVSource  = "https://www.cisa.gov/sites/default/files/feeds/known_exploited_vulnerabilities.json"
)

// seen is what a source said of the version we have, so that it need not send that again.
type seen struct {
	Source       string `json:"source"` // without a password
	ETag         string `json:"etag,omitempty"`
	LastModified string `json:"lastModified,omitempty"`
	Digest       string `json:"digest,omitempty"` // of an artifact's layer
}

// fetchFeed returns what a source has: a URL of http or https, the path of a file, which begins with / or ., ends in
// .csv, .json or .gz or names a file there is, or else the reference of an OCI artifact with one layer. body is nil when the source has what was seen before.
func (f *Feeds) fetchFeed(ctx context.Context, source string, before seen) (body io.ReadCloser, now seen, err error) {
	if u, err := url.Parse(source); err == nil && (u.Scheme == "http" || u.Scheme == "https") {
		return f.fetchURL(ctx, u, before)
	}
	if isPath(source) {
		body, err := openFile(source)
		return body, seen{Source: source}, err
	}
	return f.fetchArtifact(ctx, source, before)
}

func isPath(source string) bool {
	if filepath.IsAbs(source) || strings.HasPrefix(source, ".") {
		return true
	}
	if ext := filepath.Ext(source); ext == ".csv" || ext == ".json" || ext == ".gz" {
		return true
	}
	_, err := os.Stat(source)
	return err == nil
}

func openFile(path string) (io.ReadCloser, error) {
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, tidewaiter.Errorf(tidewaiter.ErrNotFound, "there is no file %s", path)
	case err != nil:
		return nil, onDisk(err)
	case !info.Mode().IsRegular():
		return nil, tidewaiter.Errorf(tidewaiter.ErrInvalid, "%s is not a file", path)
	}
	file, err := os.Open(path)
	if err != nil {
		return nil, onDisk(err)
	}
	return file, nil
}

func (f *Feeds) fetchURL(ctx context.Context, u *url.URL, before seen) (io.ReadCloser, seen, error) {
	now := seen{Source: u.Redacted()}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return nil, now, tidewaiter.Invalid("source", "%s is not an address", now.Source)
	}
	req.Header.Set("User-Agent", f.options.UserAgent)
	if before.Source == now.Source {
		if before.ETag != "" {
			req.Header.Set("If-None-Match", before.ETag)
		}
		if before.LastModified != "" {
			req.Header.Set("If-Modified-Since", before.LastModified)
		}
	}
	res, err := f.options.HTTP.Do(req)
	if err != nil {
		return nil, now, tidewaiter.Errorf(tidewaiter.ErrUnreachable, "%w", err) // without the password, net/http sees to that
	}
	if res.StatusCode == http.StatusOK {
		now.ETag, now.LastModified = res.Header.Get("ETag"), res.Header.Get("Last-Modified")
		return res.Body, now, nil
	}
	_ = res.Body.Close() // not read
	if res.StatusCode == http.StatusNotModified {
		return nil, before, nil
	}
	return nil, now, refused(res)
}

// refused makes an error of an answer that is not the file.
func refused(res *http.Response) error {
	e := tidewaiter.Errorf(tidewaiter.ErrUnsupported, "%s answered %s", res.Request.URL.Host, res.Status)
	switch code := res.StatusCode; {
	case code == http.StatusUnauthorized, code == http.StatusForbidden:
		e.Kind = tidewaiter.ErrDenied
	case code == http.StatusNotFound, code == http.StatusGone:
		e.Kind = tidewaiter.ErrGone
	case code == http.StatusTooManyRequests:
		e.Kind = tidewaiter.ErrLimit
		if seconds, err := strconv.Atoi(res.Header.Get("Retry-After")); err == nil && seconds > 0 {
			e.RetryAfter = time.Duration(min(seconds, 24*3600)) * time.Second
		}
	case code >= 500, code == http.StatusRequestTimeout:
		e.Kind = tidewaiter.ErrTransient
	}
	return e
}

func (f *Feeds) fetchArtifact(ctx context.Context, reference string, before seen) (io.ReadCloser, seen, error) {
	now := seen{Source: reference}
	m, err := f.options.Artifacts.Manifest(ctx, reference)
	if err != nil {
		return nil, now, err
	}
	if m.Kind == tidewaiter.ManifestIndex || len(m.Layers) != 1 || !sha256Digest.MatchString(m.Layers[0].Digest) {
		return nil, now, tidewaiter.Errorf(tidewaiter.ErrUnsupported, "%s is not an artifact of one file", reference).
			WithFix("push the file as the only layer of an artifact, as `oras push` does")
	}
	layer := m.Layers[0]
	if layer.Size > f.options.MaxFile {
		return nil, now, tooLarge(f.options.MaxFile)
	}
	if now.Digest = layer.Digest; now == before {
		return nil, now, nil
	}
	blob, err := f.options.Artifacts.Blob(ctx, reference, layer)
	if err != nil {
		return nil, now, err
	}
	return &verified{newMeter(ctx, blob, layer.Size), blob, layer}, now, nil
}

// verified ends with an error instead of io.EOF when what was read is not what the manifest says.
type verified struct {
	*meter
	io.Closer
	layer tidewaiter.Descriptor
}

// Read reads on.
func (v *verified) Read(p []byte) (int, error) {
	n, err := v.meter.Read(p)
	if errors.Is(err, io.EOF) {
		if _, wrong := v.verify(v.layer); wrong != nil {
			return n, wrong
		}
	}
	return n, err
}

func tooLarge(limit int64) error {
	return tidewaiter.Errorf(tidewaiter.ErrTooLarge, "the file is larger than %d bytes", limit)
}

// feedClient is for the makers' servers: a proxy of the environment is used, and what was asked for with TLS is not followed to
// where there is none.
func feedClient() *http.Client {
	return &http.Client{CheckRedirect: func(req *http.Request, via []*http.Request) error {
		if len(via) >= 5 {
			return errors.New("there are more than 5 redirects")
		}
		if via[0].URL.Scheme == "https" && req.URL.Scheme != "https" {
			return errors.New("a redirect leads away from TLS")
		}
		return nil
	}}
}

// FeedIn tells by how a file begins which feed it is, gzipped or not; ok is false for what is none, as an advisory database.
func FeedIn(file string) (kind tidewaiter.FeedKind, ok bool) {
	if info, err := os.Stat(file); err != nil || !info.Mode().IsRegular() {
		return "", false
	}
	f, err := os.Open(file)
	if err != nil {
		return "", false
	}
	defer f.Close()
	var in io.Reader = f
	if z, err := gzip.NewReader(f); err == nil {
		in = z
	} else if _, err := f.Seek(0, io.SeekStart); err != nil {
		return "", false
	}
	head := make([]byte, 64)
	n, _ := io.ReadFull(in, head) // a short file is one, too
	switch text := strings.TrimLeft(string(head[:n]), " \t\r\n\ufeff"); {
	case strings.HasPrefix(text, "#"), strings.HasPrefix(text, "cve,"):
		return tidewaiter.FeedEPSS, true
	case strings.HasPrefix(text, "{"):
		return tidewaiter.FeedKEV, true
	}
	return "", false
}
