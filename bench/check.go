package main

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
)

// ratioColumn is the heading of figures that are relative to something measured in the same run: they mean the same on any machine,
// which times do not.
const ratioColumn = "ratio"

// defaultTolerance is how many times larger a ratio may be than the one written down. Processor time of the same work varies by
// less.
const defaultTolerance = 1.15

// check compares the ratios of tables with those in a file written before. What is only on one side is passed over; that nothing
// is on both is an error, as is a ratio that has grown.
func check(file string, tables []table) error {
	raw, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	before := ratiosIn(string(raw))
	var errs []error
	compared := 0
	for i := range tables {
		t := &tables[i]
		for _, row := range t.rows {
			now, ok := ratioOf(t.columns, row)
			was, had := before[ratioKey(t.title, t.columns, row, max(1, t.keys))]
			if !ok || !had {
				continue
			}
			compared++
			tolerance := t.tolerance
			if tolerance == 0 {
				tolerance = defaultTolerance
			}
			if now > was*tolerance {
				errs = append(errs, fmt.Errorf("%s, %s: the ratio is %.2f, and was %.2f", t.title, strings.Join(row[:max(1, t.keys)], ", "), now, was))
			}
		}
	}
	if compared == 0 {
		return fmt.Errorf("%s has no ratio that was measured now: write it with the same measures first", file)
	}
	if len(errs) == 0 {
		fmt.Fprintf(os.Stderr, "%d ratios are no larger than in %s\n", compared, file)
	}
	return errors.Join(errs...)
}

// ratiosIn reads the ratios out of tables as table.write writes them. As it is not known how many columns tell the rows of one
// apart, each is there under any number of them.
func ratiosIn(markdown string) map[string]float64 {
	out := map[string]float64{}
	var title string
	var columns []string
	for line := range strings.SplitSeq(markdown, "\n") {
		switch {
		case strings.HasPrefix(line, "## "):
			title, columns = line[3:], nil
		case !strings.HasPrefix(line, "| "):
			if !strings.HasPrefix(line, "|--") {
				columns = nil
			}
		case columns == nil:
			columns = cellsOf(line)
		default:
			row := cellsOf(line)
			if ratio, ok := ratioOf(columns, row); ok {
				for n := range columns {
					out[ratioKey(title, columns, row, n+1)] = ratio
				}
			}
		}
	}
	return out
}

func cellsOf(line string) []string {
	cells := strings.Split(strings.Trim(line, "| "), " | ")
	for i := range cells {
		cells[i] = strings.TrimSpace(cells[i])
	}
	return cells
}

func ratioOf(columns, row []string) (float64, bool) {
	for i, column := range columns {
		if column == ratioColumn && i < len(row) {
			ratio, err := strconv.ParseFloat(row[i], 64)
			return ratio, err == nil
		}
	}
	return 0, false
}

// ratioKey tells the rows of all tables apart by their first cells.
func ratioKey(title string, columns, row []string, keys int) string {
	return strings.Join(append([]string{title, strconv.Itoa(len(columns))}, row[:min(keys, len(row))]...), "\x00")
}
