package prisma

import (
	"encoding/csv"
	"net/http"
	"strings"
	"time"
)

// table writes a download, line by line. The Content-Type has no charset, because a client compares it with text/csv
// exactly. Nothing is sent before the first line, so that an error up to then still has a status.
type table struct {
	w       http.ResponseWriter
	csv     *csv.Writer
	file    string
	columns []string
	began   bool
}

func newTable(w http.ResponseWriter, file string, columns ...string) *table {
	return &table{w: w, csv: csv.NewWriter(w), file: file, columns: columns}
}

// add writes a line, its cells made harmless.
func (t *table) add(cells ...string) {
	if !t.began {
		t.began = true
		t.w.Header().Set("Content-Type", "text/csv")
		t.w.Header().Set("Content-Disposition", `attachment; filename="`+t.file+`"`)
		_ = t.csv.Write(t.columns)
	}
	for i := range cells {
		cells[i] = safeCell(cells[i])
	}
	_ = t.csv.Write(cells)
}

// broken returns the error while it still can be told, and cuts the connection afterwards.
func (t *table) broken(err error) error {
	if t.began {
		panic(http.ErrAbortHandler)
	}
	return err
}

// end completes the file. Prisma: a download of nothing reads "no data.".
func (t *table) end() error {
	if t.began {
		t.csv.Flush()
		return nil
	}
	t.w.Header().Set("Content-Type", "text/csv")
	_, _ = t.w.Write([]byte("no data.\n"))
	return nil
}

const csvTimeLayout = "2006-01-02 15:04:05.000"

func csvTime(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(csvTimeLayout)
}

func csvUnix(seconds int64) string {
	if seconds == 0 {
		return ""
	}
	return csvTime(time.Unix(seconds, 0))
}

// maxCell is what a spreadsheet takes into one cell.
const maxCell = 32_000

// safeCell makes text from images and feeds harmless to spreadsheets: what would be a formula gets a quote in front, what
// is too long for a cell is cut.
func safeCell(s string) string {
	if s != "" && strings.ContainsRune("=+-@\t\r", rune(s[0])) {
		s = "'" + s
	}
	return cut(strings.ReplaceAll(s, "\x00", ""), maxCell)
}
