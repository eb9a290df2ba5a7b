package samples

import (
	"embed"
	"fmt"
	"strings"
)

// content holds the tables the samples are made from. Each file explains its columns.
//
//go:embed content
var content embed.FS

// table reads a file of content: one row a line, columns separated by "|", "#" begins a comment, "[name]" a section.
func table(file string) ([]row, error) {
	b, err := content.ReadFile("content/" + file)
	if err != nil {
		return nil, fmt.Errorf("read samples: %w", err)
	}
	var rows []row
	section := ""
	for line := range strings.Lines(string(b)) {
		line = strings.TrimSpace(line)
		switch {
		case line == "" || line[0] == '#':
			continue
		case line[0] == '[':
			section = strings.Trim(line, "[]")
			continue
		}
		r := row{section: section}
		for col := range strings.SplitSeq(line, "|") {
			r.cols = append(r.cols, strings.TrimSpace(col))
		}
		rows = append(rows, r)
	}
	return rows, nil
}

// row is one line of a table.
type row struct {
	section string
	cols    []string
}

// col returns a column, "" when the row is shorter.
func (r row) col(i int) string {
	if i < len(r.cols) {
		return r.cols[i]
	}
	return ""
}

// list returns the values of a column that may hold several.
func (r row) list(i int) []string {
	if r.col(i) == "" {
		return nil
	}
	list := strings.Split(r.col(i), ";")
	for i := range list {
		list[i] = strings.TrimSpace(list[i])
	}
	return list
}

// sets returns the rows whose first column is one of names.
func sets(file string, names ...string) ([]row, error) {
	rows, err := table(file)
	if err != nil {
		return nil, err
	}
	var chosen []row
	for _, r := range rows {
		for _, n := range names {
			if r.col(0) == n {
				chosen = append(chosen, r)
			}
		}
	}
	if len(chosen) == 0 {
		return nil, fmt.Errorf("no rows of %s belong to %s", file, strings.Join(names, ", "))
	}
	return chosen, nil
}
