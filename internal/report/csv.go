package report

import (
	"encoding/csv"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

var csvHeader = []string{
	"Image", "Digest", "Platform", "Vulnerability", "Severity", "Score", "Package", "Version", "Type", "Fixed in", "Status",
	"Path", "Layer", "Title", "Link", "Published", "First found",
}

// CSV writes one line for each vulnerability of each occurrence of a package, gravest first, with a header. A cell that a
// spreadsheet would take for a formula is prefixed with an apostrophe.
func CSV(w io.Writer, r *tidewaiter.Result, o Options) error {
	s := prepare(r, o)
	out := csv.NewWriter(w)
	_ = out.Write(csvHeader) // errors are kept until Flush
	for i := range s.findings {
		f := &s.findings[i]
		p := f.installed.Package
		score := ""
		if f.details.Score > 0 {
			score = strconv.FormatFloat(f.details.Score, 'f', 1, 64)
		}
		cells := []string{
			s.Reference, s.image.Digest, s.image.Platform.String(), f.Vulnerability, f.Severity.String(), score, p.Name,
			p.FullVersion(), string(p.Ecosystem), f.FixedIn, f.Status, f.installed.Path, s.layer(f.installed.Layer).Digest,
			f.details.Title, f.URL, stamp(f.details.Published), stamp(f.firstFound),
		}
		for i, c := range cells {
			cells[i] = harmless(c)
		}
		_ = out.Write(cells)
	}
	out.Flush()
	if err := out.Error(); err != nil {
		return fmt.Errorf("write CSV: %w", err)
	}
	return nil
}

// harmless keeps a cell from being read as a formula. OWASP, CSV injection: those begin with = + - @ tab or return.
func harmless(cell string) string {
	if cell != "" && strings.IndexByte("=+-@\t\r", cell[0]) >= 0 {
		return "'" + cell
	}
	return cell
}
