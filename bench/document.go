package main

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"slices"
	"strings"
)

// document is the file results are kept in: a heading and a section for each table, told apart by its title.
type document struct {
	path     string
	sections []section
}

type section struct{ title, text string }

// openDocument reads what was measured before. A file that is not there has nothing.
func openDocument(path string) (*document, error) {
	raw, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	d := &document{path: path}
	for _, text := range strings.Split(string(raw), "\n## ")[1:] {
		title, _, _ := strings.Cut(text, "\n")
		d.sections = append(d.sections, section{title, "\n## " + strings.TrimRight(text, "\n") + "\n"})
	}
	return d, nil
}

// put takes a table in, in place of the one of that title, and writes the file.
func (d *document) put(t *table) error {
	var text bytes.Buffer
	t.write(&text)
	fresh := section{t.title, text.String()}
	if i := slices.IndexFunc(d.sections, func(s section) bool { return s.title == t.title }); i >= 0 {
		d.sections[i] = fresh
	} else {
		d.sections = append(d.sections, fresh)
	}
	var out bytes.Buffer
	out.WriteString(heading())
	for _, s := range d.sections {
		out.WriteString(s.text)
	}
	return os.WriteFile(d.path, out.Bytes(), 0o644) //nolint:gosec // it is there to be read by everybody
}
