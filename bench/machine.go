package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"time"
)

// heading says where and when the figures were taken.
func heading(ctx context.Context, w io.Writer, args []string) error {
	commit, err := exec.CommandContext(ctx, "git", "describe", "--always", "--dirty", "--abbrev=12").Output()
	if err != nil {
		commit = []byte("unknown")
	}
	command := "go run ./bench"
	if len(args) > 0 {
		command += " " + strings.Join(args, " ")
	}
	_, err = fmt.Fprintf(w, `# Benchmarks

Written by %s; do not edit. CONTRIBUTING.md says how to run it.

| | |
|---|---|
| command | %s |
| date | %s |
| commit | %s |
| Go | %s %s/%s |
| processor | %s, %d cores |
| memory | %s |
| load when it began | %s |

CPU is user and system time of all threads of a process, from getrusage; memory is its high-water mark (VmHWM), mapped files
included; "written" is what it wrote to files (write_bytes), removed or not. One gigabyte is 10^9 bytes, memory is in MiB.
`, "`make bench`", "`"+command+"`", time.Now().UTC().Format("2006-01-02"), strings.TrimSpace(string(commit)),
		runtime.Version(), runtime.GOOS, runtime.GOARCH, procLine("/proc/cpuinfo", "model name"), runtime.NumCPU(),
		procLine("/proc/meminfo", "MemTotal"), load())
	return err
}

// procLine returns what stands after the first "name:" in a file of /proc, "unknown" when it is not there.
func procLine(path, name string) string {
	f, err := os.Open(path)
	if err != nil {
		return "unknown"
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		key, value, ok := strings.Cut(lines.Text(), ":")
		if ok && strings.TrimSpace(key) == name {
			return strings.TrimSpace(value)
		}
	}
	return "unknown"
}

// load is the number of processes that wanted to run in the last minute: others that do make figures worse.
func load() string {
	b, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return "unknown"
	}
	average, _, _ := strings.Cut(string(b), " ")
	return average
}
