package main

import (
	"bytes"
	"fmt"
	"strings"
)

// table is the result of one measure.
type table struct {
	title   string
	about   string // what was done, in a few sentences
	columns []string
	rows    [][]string
	notes   []string // what a reader has to know beside the figures

	keys      int     // how many of the first columns tell rows apart; 0 is one
	tolerance float64 // how many times larger a ratio may be than the one written down; 0 is the default
}

func (t *table) add(cells ...string) { t.rows = append(t.rows, cells) }

func (t *table) notef(format string, args ...any) {
	t.notes = append(t.notes, fmt.Sprintf(format, args...))
}

// write writes the table as Markdown.
func (t *table) write(w *bytes.Buffer) {
	fmt.Fprintf(w, "\n## %s\n\n%s\n\n| %s |\n|%s\n", t.title, t.about, strings.Join(t.columns, " | "),
		strings.Repeat("---|", len(t.columns)))
	for _, r := range t.rows {
		fmt.Fprintf(w, "| %s |\n", strings.Join(r, " | "))
	}
	for i, n := range t.notes {
		if i == 0 {
			fmt.Fprintln(w)
		}
		fmt.Fprintf(w, "- %s\n", n)
	}
}

// The forms figures are shown in.

func seconds(s float64) string { return fmt.Sprintf("%.2f", s) }

func megabytes(b int64) string { return fmt.Sprintf("%.1f", float64(b)/1e6) }

// mebibytes is for memory, which comes in powers of two.
func mebibytes(b int64) string { return fmt.Sprintf("%.0f", float64(b)/(1<<20)) }

func count[N int | int64](n N) string {
	s := fmt.Sprint(n)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// against compares a figure with a target that is an upper bound; unit may be empty.
func against(value, target float64, unit string) string {
	if value <= target {
		return fmt.Sprintf("≤ %g%s: met", target, unit)
	}
	return fmt.Sprintf("≤ %g%s: **missed**", target, unit)
}

// atLeast compares a figure with a target that is a lower bound.
func atLeast(value float64, target int) string {
	if value >= float64(target) {
		return "≥ " + count(target) + ": met"
	}
	return "≥ " + count(target) + ": **missed**"
}
