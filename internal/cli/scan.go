package cli

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"runtime"
	"time"

	"github.com/tidewaiter/tidewaiter/internal/engine"
	"github.com/tidewaiter/tidewaiter/internal/oci"
	"github.com/tidewaiter/tidewaiter/internal/report"
	"github.com/tidewaiter/tidewaiter/internal/scan"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

type scanCommand struct {
	Image    string `arg:"" help:"What to scan: name[:tag] or name@digest, with or without a host."`
	Output   string `help:"${enum}." enum:"table,json,sarif,cyclonedx,spdx,csv" default:"table" short:"o"`
	File     string `help:"Write the report to a file." type:"path" placeholder:"FILE"`
	FailOn   string `help:"Exit with 2 when there is a vulnerability of this severity or a worse one: ${enum}." enum:"none,low,medium,high,critical" default:"none"`
	Platform string `help:"Which image to take out of an index." placeholder:"OS/ARCH[/VARIANT]"`
	advisoryFlags
	accessFlags
	NoSecrets bool `help:"Do not look for secrets in files. The configuration of an image is looked at all the same."`
}

// Help tells what the exit codes mean to a pipeline.
func (scanCommand) Help() string {
	return `Pulls the image's layers, analyses them without writing them to disk, and prints what it found. Advisories are kept in the data
folder and fetched when they are missing or due; --offline uses what is there.

Exit codes: 0 scanned, 1 something failed, 2 scanned and found what --fail-on names, 77 the registry refused us.`
}

// Run scans one image and prints the report.
func (c scanCommand) Run(ctx context.Context, s streams, log *slog.Logger) error {
	ref, err := oci.ParseReference(c.Image)
	if err != nil {
		return err
	}
	platform, err := parsePlatform(c.Platform)
	if err != nil {
		return err
	}
	client := oci.New(oci.Options{AllowLoopback: true, UserAgent: "tidewaiter/" + version})
	defer client.Close()
	endpoint, err := c.endpoint(ctx, s, client, ref.Host)
	if err != nil {
		return err
	}
	source, err := client.Registry(endpoint)
	if err != nil {
		return err
	}
	analyzer, err := engine.New(engine.Options{Secrets: !c.NoSecrets})
	if err != nil {
		return err
	}
	matcher, err := c.advisories(ctx, client, log)
	if err != nil {
		return err
	}
	defer matcher.Close()

	bars := newLayerBars(s.err)
	direct := scan.Direct{
		Engine: analyzer, Matcher: matcher, Rules: scan.DefaultRules(), Parallel: runtime.NumCPU(), Now: time.Now,
		Begin: bars.begin, Progress: bars.add,
	}
	result, err := direct.Scan(ctx, source, ref.Repository, ref.Identifier(), platform)
	bars.end()
	if err != nil {
		return explained(fmt.Errorf("scan %s: %w", ref, err))
	}
	if err := c.write(s.out, ref.String(), result); err != nil {
		return err
	}
	return c.judge(result)
}

func (c scanCommand) write(stdout io.Writer, name string, r *tidewaiter.Result) (err error) {
	out := stdout
	if c.File != "" {
		f, err := os.Create(c.File)
		if err != nil {
			return err
		}
		defer func() {
			if e := f.Close(); err == nil {
				err = e
			}
		}()
		out = f
	}
	o := report.Options{Reference: name, Now: time.Now(), Version: version, Color: isTerminal(out)}
	if o.Color {
		o.Width = width(out)
	}
	write := map[string]func(io.Writer, *tidewaiter.Result, report.Options) error{
		"table": report.Table, "json": report.JSON, "sarif": report.SARIF, "cyclonedx": report.CycloneDX, "spdx": report.SPDX, "csv": report.CSV,
	}[c.Output]
	return write(out, r, o)
}

// judge compares what was found with --fail-on.
func (c scanCommand) judge(r *tidewaiter.Result) error {
	if c.FailOn == "none" {
		return nil
	}
	if r.Image.Judgement.Advisories == "" {
		return tidewaiter.Errorf(tidewaiter.ErrNotFound, "there are no advisories, so nothing can be said about --fail-on").
			WithFix("run `tidewaiter advisories update` first")
	}
	limit, err := tidewaiter.ParseSeverity(c.FailOn)
	if err != nil {
		return err
	}
	if r.Image.Judgement.Vulnerabilities.Worst() >= limit {
		return errFindings
	}
	return nil
}

func parsePlatform(s string) (*tidewaiter.Platform, error) {
	if s == "" {
		return nil, nil
	}
	p, err := tidewaiter.ParsePlatform(s)
	return &p, err
}
