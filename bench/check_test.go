package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestCheckComparesRatios(t *testing.T) {
	scan := func(seconds, small, large string) table {
		return table{title: "First scan", columns: []string{"image", "secrets", "CPU s", "ratio"}, keys: 2,
			rows: [][]string{{"small", "no", seconds, small}, {"small", "yes", seconds, large}, {"new", "no", "1", "9"}}}
	}
	lists := table{title: "Lists", columns: []string{"request", "p50 ms", "ratio"}, tolerance: 3, rows: [][]string{{"deep", "1", "2.00"}}}
	other := table{title: "Without ratios", columns: []string{"what", "s"}, rows: [][]string{{"x", "1"}}}
	var b bytes.Buffer
	for _, table := range []table{scan("1.0", "0.75", "0.90"), other, lists} {
		if table.title == "First scan" {
			table.rows = table.rows[:2]
		}
		table.write(&b)
	}
	file := filepath.Join(t.TempDir(), "BENCHMARKS.md")
	if err := os.WriteFile(file, b.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	slower := lists
	slower.rows = [][]string{{"deep", "500", "5.90"}}
	worse := lists
	worse.rows = [][]string{{"deep", "1", "6.10"}}
	for name, c := range map[string]struct {
		tables []table
		says   string
	}{
		"the same":           {[]table{scan("1.0", "0.75", "0.90"), other, lists}, ""},
		"slower, not worse":  {[]table{scan("9.0", "0.80", "0.90"), slower}, ""},
		"better":             {[]table{scan("1.0", "0.10", "0.10")}, ""},
		"worse in one":       {[]table{scan("1.0", "0.75", "1.10")}, "First scan, small, yes: the ratio is 1.10, and was 0.90"},
		"beyond its own":     {[]table{worse}, "Lists, deep"},
		"nothing to compare": {[]table{other}, "no ratio"},
	} {
		err := check(file, c.tables)
		if (err == nil) != (c.says == "") || err != nil && !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := check(filepath.Join(t.TempDir(), "missing"), nil); err == nil {
		t.Error("a file that is not there is no error")
	}
}
