package report

import (
	"io"

	cdx "github.com/CycloneDX/cyclonedx-go"

	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// CycloneDX14 writes a bill of materials in CycloneDX 1.4 JSON, the form older tools read.
func CycloneDX14(w io.Writer, r *tidewaiter.Result, o Options) error {
	return encodeBOM(cdx.NewBOMEncoder(w, cdx.BOMFileFormatJSON), cdx.SpecVersion1_4, r, o)
}
