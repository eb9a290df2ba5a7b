// Command bench measures what Tidewaiter promises, on images and fleets it makes itself, and writes the results down.
//
//	go run ./bench [-write BENCHMARKS.md] [-only first,shared] [-full] [-small] [-check]
//
// What is written keeps the tables of measures that were not taken; each table is written as soon as it is there.
//
// Every figure is taken in a process of its own. Where Tidewaiter is compared with Trivy, both run in turn on the same
// images from the same registry, in the same run. The environment variable TIDEWAITER_BENCH_ADVISORIES names a directory
// with a trivy.db of real size; without it the advisories of the samples are used, and the tables say so.
package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"
)

// measure is one table of results.
type measure struct {
	name string
	run  func(context.Context, *lab) (table, error)
}

func measures() []measure {
	return []measure{
		{"first", firstScan}, {"shared", sharedLayers}, {"memory", peakMemory}, {"rematch", rematch},
		{"specifications", specifications}, {"requests", discoveryRequests}, {"waiting", interactiveStart},
		{"million", millionTagsDiscovered},
		{"events", pushEvents}, {"pushed", pushed}, {"verdicts", verdicts},
		{"lists", lists(postgresFleet)}, {"lists-sqlite", lists(sqliteFleet)},
		{"lists-registries", lists(registriesFleet)}, {"growth", growth}, {"workers", workerGrowth},
	}
}

// child runs one of the processes figures are taken in.
func child(ctx context.Context, name string, args []string) error {
	switch name {
	case "scan":
		return scanChild(ctx, args)
	case "serve":
		return serveChild(ctx, args)
	case "rematch":
		return rematchChild(ctx, args)
	}
	return fmt.Errorf("no child process is called %q", name)
}

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run() error {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if len(os.Args) > 2 && os.Args[1] == childFlag {
		return child(ctx, os.Args[2], os.Args[3:])
	}
	return bench(ctx)
}

func bench(ctx context.Context) (err error) {
	write := flag.String("write", "", "write the results into `FILE` as Markdown, in place of those it has of the same measures")
	var names []string
	for _, m := range measures() {
		names = append(names, m.name)
	}
	only := flag.String("only", "", "take these measures alone: "+strings.Join(names, ", "))
	full := flag.Bool("full", false, "also what takes minutes: an image of 6 GB")
	eventSeconds := flag.Int("events-seconds", 60, "how long events are sent")
	small := flag.Bool("small", false, "lists of fleets a tenth as large")
	compare := flag.Bool("check", false, "compare the ratios with those in BENCHMARKS.md, and fail when one has grown")
	flag.Parse()
	l, err := newLab(ctx, *full)
	if err != nil {
		return err
	}
	l.seconds = *eventSeconds
	defer func() { err = errors.Join(err, l.close()) }()
	l.small = *small

	var doc *document
	if *write == "" {
		fmt.Print(heading())
	} else if doc, err = openDocument(*write); err != nil {
		return err
	}
	var tables []table
	for _, m := range measures() {
		if *only != "" && !slices.Contains(strings.Split(*only, ","), m.name) {
			continue
		}
		began, when := time.Now(), occasion(ctx, m.name)
		t, err := m.run(ctx, l)
		if err != nil {
			return fmt.Errorf("%s: %w", m.name, err)
		}
		t.notef("%s", when)
		tables = append(tables, t)
		if *write != "" {
			err = doc.put(&t)
		} else {
			var out bytes.Buffer
			t.write(&out)
			_, err = os.Stdout.Write(out.Bytes())
		}
		if err != nil {
			return err
		}
		fmt.Fprintf(os.Stderr, "%s: measured in %.0f s\n", m.name, time.Since(began).Seconds())
	}
	if *compare && *write == "" {
		return check("BENCHMARKS.md", tables)
	}
	return nil
}
