package harbor

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"strconv"
	"time"

	"github.com/tidewaiter/tidewaiter/internal/control"
	"github.com/tidewaiter/tidewaiter/internal/report"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// head begins every report.
type head struct {
	GeneratedAt time.Time `json:"generated_at"`
	Artifact    artifact  `json:"artifact"`
	Scanner     scanner   `json:"scanner"`
}

type artifact struct {
	Repository string `json:"repository"`
	Tag        string `json:"tag,omitempty"`
	Digest     string `json:"digest"`
	MediaType  string `json:"mime_type"`
}

// The bounds of the time Harbor is asked to wait for a report.
const (
	minRefresh = time.Second
	maxRefresh = 15 * time.Second // Harbor reads the seconds as an 8-bit integer: never above 127
)

// report answers with a report of the kind asked for, or says when to ask again.
func (s *server) report(w http.ResponseWriter, r *http.Request) error {
	as, ok := accepted(r.Header, reportTypes())
	if !ok {
		return &statusError{http.StatusNotAcceptable, "there is no report of this type"}
	}
	form := r.URL.Query().Get("sbom_media_type")
	if form == "" {
		form = typeSPDX
	}
	form, ok = oneOf(form, sbomForms())
	if !ok {
		return &statusError{http.StatusBadRequest, "sbom_media_type: there is no bill of materials of this type"}
	}
	scan, err := s.control.HarborScan(r.Context(), r.PathValue("id"))
	if err != nil {
		return notHere(err)
	}
	switch scan.State {
	case control.HarborWaiting:
		s.notReady(w, r, scan)
		return nil
	case control.HarborFailed:
		return &statusError{http.StatusInternalServerError, "the image could not be scanned: " + scan.Error}
	}
	result, err := s.control.Result(r.Context(), scan.ImageID)
	if err != nil {
		return notHere(err)
	}
	if as == typeSBOM {
		return s.sbom(w, scan, result, form)
	}
	return s.vulnerabilities(w, scan, result, as)
}

// notHere words "not found" for somebody who asked for a scan.
func notHere(err error) error {
	if tidewaiter.KindOf(err) == tidewaiter.ErrNotFound {
		return tidewaiter.Errorf(tidewaiter.ErrNotFound, "there is no such scan")
	}
	return err
}

// notReady asks to come back, the later the longer the scan has taken already.
func (s *server) notReady(w http.ResponseWriter, r *http.Request, scan *control.HarborScan) {
	after := min(max(s.now().Sub(scan.CreatedAt)/4, minRefresh), maxRefresh)
	w.Header().Set("Refresh-After", strconv.Itoa(int(after.Seconds())))
	w.Header().Set("Location", r.URL.RequestURI())
	w.WriteHeader(http.StatusFound)
}

func (s *server) head(scan *control.HarborScan) head {
	return head{GeneratedAt: s.now().UTC(), Scanner: s.scanner(),
		Artifact: artifact{Repository: scan.Repository, Tag: scan.Tag, Digest: scan.Digest, MediaType: scan.MediaType}}
}

type sbomReport struct {
	head
	MediaType string          `json:"media_type"`
	SBOM      json.RawMessage `json:"sbom"`
}

// sbom answers with a bill of materials.
func (s *server) sbom(w http.ResponseWriter, scan *control.HarborScan, result *tidewaiter.Result, form string) error {
	write := map[string]func(io.Writer, *tidewaiter.Result, report.Options) error{
		typeSPDX: report.SPDX, typeCycloneDX: report.CycloneDX,
	}[form]
	reference := tidewaiter.HostOf(scan.URL) + "/" + scan.Repository + "@" + scan.Digest
	var document bytes.Buffer
	if err := write(&document, result, report.Options{Reference: reference, Now: s.now(), Version: s.version}); err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, typeSBOM, sbomReport{s.head(scan), form, document.Bytes()})
	return nil
}
