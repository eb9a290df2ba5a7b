package harbor

import (
	"compress/gzip"
	"mime"
	"net/http"
	"strings"
)

// packed returns a writer that compresses an answer for who accepts that, and what ends it. Reports are megabytes of text
// that packs ten to one.
func packed(w http.ResponseWriter, r *http.Request) (out http.ResponseWriter, done func()) {
	w.Header().Add("Vary", "Accept-Encoding")
	if !acceptsGzip(r.Header) {
		return w, func() {}
	}
	p := &packer{ResponseWriter: w}
	return p, p.close
}

// acceptsGzip reads Accept-Encoding. RFC 9110, 12.5.3: a weight of 0 means not acceptable.
func acceptsGzip(h http.Header) bool {
	for _, header := range h.Values("Accept-Encoding") {
		for part := range strings.SplitSeq(header, ",") {
			name, params, err := mime.ParseMediaType(strings.TrimSpace(part))
			if err == nil && name == "gzip" {
				return strings.Trim(params["q"], "0.") != "" || params["q"] == ""
			}
		}
	}
	return false
}

// packer compresses what has a body.
type packer struct {
	http.ResponseWriter
	z *gzip.Writer
}

// WriteHeader implements http.ResponseWriter.
func (p *packer) WriteHeader(status int) {
	if status != http.StatusFound && p.Header().Get("Content-Length") != "0" {
		p.Header().Del("Content-Length")
		p.Header().Set("Content-Encoding", "gzip")
		p.z = gzip.NewWriter(p.ResponseWriter)
	}
	p.ResponseWriter.WriteHeader(status)
}

// Write implements http.ResponseWriter.
func (p *packer) Write(b []byte) (int, error) {
	if p.z == nil {
		return p.ResponseWriter.Write(b)
	}
	return p.z.Write(b)
}

func (p *packer) close() {
	if p.z != nil {
		_ = p.z.Close() // who asked may have gone
	}
}
