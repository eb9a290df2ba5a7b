package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestDocumentKeepsOtherTables writes three tables, one of them twice.
func TestDocumentKeepsOtherTables(t *testing.T) {
	path := filepath.Join(t.TempDir(), "figures.md")
	for _, now := range []table{
		{title: "One", about: "a", columns: []string{"x"}, rows: [][]string{{"1"}}},
		{title: "Two", about: "b", columns: []string{"x"}, rows: [][]string{{"2"}}, notes: []string{"two"}},
		{title: "One", about: "c", columns: []string{"x"}, rows: [][]string{{"3"}}, notes: []string{"three"}},
		{title: "Three", about: "d", columns: []string{"x"}, rows: [][]string{{"4"}}},
	} {
		d, err := openDocument(path)
		if err != nil {
			t.Fatal(err)
		}
		if err := d.put(&now); err != nil {
			t.Fatal(err)
		}
	}
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	_, got, _ := strings.Cut(string(raw), "memory is in MiB.\n")
	want := "\n## One\n\nc\n\n| x |\n|---|\n| 3 |\n\n- three\n\n## Two\n\nb\n\n| x |\n|---|\n| 2 |\n\n- two\n\n## Three\n\nd\n\n| x |\n|---|\n| 4 |\n"
	if got != want {
		t.Errorf("%q", got)
	}
}
