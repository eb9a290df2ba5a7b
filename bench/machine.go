package main

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"time"
)

// heading says where the figures were taken.
func heading() string {
	return fmt.Sprintf(`# Benchmarks

Written by %s; do not edit. CONTRIBUTING.md says how to run it. Each table says when it was measured: %s measures
one anew and leaves the others.

| | |
|---|---|
| Go | %s %s/%s |
| processor | %s, %d cores |
| memory | %s |

CPU is user and system time of all threads of a process, from getrusage; memory is its high-water mark (VmHWM), mapped files
included; "written" is what it wrote to files (write_bytes), removed or not. One gigabyte is 10^9 bytes, memory is in MiB.
`, "`make bench`", "`make bench BENCH_ARGS='-only NAME'`", runtime.Version(), runtime.GOOS, runtime.GOARCH,
		procLine("/proc/cpuinfo", "model name"), runtime.NumCPU(), procLine("/proc/meminfo", "MemTotal"))
}

// occasion says when and of what figures are about to be taken.
func occasion(ctx context.Context, measure string) string {
	commit, err := exec.CommandContext(ctx, "git", "describe", "--always", "--dirty", "--abbrev=12").Output()
	if err != nil {
		commit = []byte("unknown")
	}
	return fmt.Sprintf("`-only %s` on %s, commit %s, load %s when it began.", measure, time.Now().UTC().Format("2006-01-02"),
		strings.TrimSpace(string(commit)), load())
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
