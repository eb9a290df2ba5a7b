package prisma

import (
	"bytes"
	"io"
	"net/http"
	"strconv"

	"github.com/tidewaiter/tidewaiter/internal/control"
	"github.com/tidewaiter/tidewaiter/internal/report"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// sbomFormats are the formats of a bill of materials: how it is written, and what it is sent as.
var sbomFormats = map[string]struct {
	write               func(io.Writer, *tidewaiter.Result, report.Options) error
	contentType, suffix string
}{
	"cyclonedx_json": {report.CycloneDX14, "application/json", "json"},
	"cyclonedx_xml":  {report.CycloneDXXML, "application/xml", "xml"},
}

// downloadSBOM answers with the bill of materials of one image in CycloneDX 1.4, JSON unless XML is asked for.
func (s *server) downloadSBOM(w http.ResponseWriter, r *http.Request) error {
	ctx, q := r.Context(), queryOf(r.URL)
	name := q.text("sbomFormat")
	if name == "" {
		name = "cyclonedx_json"
	}
	format, ok := sbomFormats[name]
	if !ok {
		return tidewaiter.Invalid("sbomFormat", "unknown format %q", cut(name, 40)).WithFix("one of cyclonedx_json, cyclonedx_xml")
	}
	ids := q.list("id")
	if len(ids) != 1 {
		return tidewaiter.Invalid("id", "%d images are named", len(ids)).WithFix("send the _id of one scan result as id")
	}
	f := filterOf(query{values: map[string][]string{"id": ids}})
	f.Judged, f.Page = true, control.Page{Limit: 1}
	rows, _, err := s.control.Results(ctx, f)
	if err != nil {
		return err
	}
	if len(rows) == 0 || rows[0].Image == nil {
		return plain(tidewaiter.ErrNotFound, "no scan result of "+cut(ids[0], 300))
	}
	result, err := s.control.Result(ctx, rows[0].Image.ID)
	if err != nil {
		return err
	}
	var body bytes.Buffer
	if err := format.write(&body, result, report.Options{Reference: rows[0].Tag.Reference(), Now: s.now(), Version: s.program}); err != nil {
		return err
	}
	w.Header().Set("Content-Type", format.contentType)
	w.Header().Set("Content-Disposition", `attachment; filename="sbom.`+format.suffix+`"`)
	w.Header().Set("Content-Length", strconv.Itoa(body.Len()))
	_, _ = w.Write(body.Bytes())
	return nil
}
