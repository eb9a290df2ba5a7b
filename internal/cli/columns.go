package cli

import (
	"io"
	"strings"
	"text/tabwriter"

	"github.com/tidewaiter/tidewaiter/internal/report"
)

// columns writes lists for people: a heading, then rows. What came from elsewhere is made fit for a terminal.
type columns struct{ rows [][]string }

func newColumns(heading ...string) *columns { return &columns{[][]string{heading}} }

func (c *columns) row(cells ...string) { c.rows = append(c.rows, cells) }

func (c *columns) write(w io.Writer) error {
	out := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, row := range c.rows {
		for i := range row {
			if row[i] = report.Visible(row[i]); row[i] == "" {
				row[i] = "-"
			}
		}
		sayf(out, "%s\n", strings.Join(row, "\t"))
	}
	return out.Flush()
}
