// Command trivyscan scans images with the whole of Trivy and says what that cost, for comparison with Tidewaiter.
//
//	trivyscan -advisories DIR [-secrets] IMAGE …
//	trivyscan -advisories DIR -again FILE
//
// An image is the name of one in a registry, or a directory in OCI layout with one image in it. A file lists the packages of a
// fleet (package fleetfile): they are looked up as those of images Trivy has analysed before.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"

	tdb "github.com/aquasecurity/trivy/pkg/db"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/tidewaiter/tidewaiter/bench/cost"
	"github.com/tidewaiter/tidewaiter/bench/fleetfile"
	"github.com/tidewaiter/tidewaiter/test/parity/trivy"
)

// output is what is printed, as JSON. The costs are those of scanning, without the program's start.
type output struct {
	Images, Packages, Findings, Secrets int
	cost.Cost
}

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "trivyscan:", err)
		os.Exit(1)
	}
}

func run() (err error) {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	advisories := flag.String("advisories", "", "directory with trivy.db")
	secrets := flag.Bool("secrets", false, "look for secrets too")
	again := flag.String("again", "", "file with the packages of images that were analysed before")
	flag.Parse()
	if *advisories == "" || (flag.NArg() == 0) == (*again == "") {
		return errors.New("usage: trivyscan -advisories DIR [-secrets] IMAGE … | -again FILE")
	}
	if err := tdb.Init(*advisories); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, tdb.Close()) }()
	dir, err := os.MkdirTemp("", "trivyscan-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	if *again != "" {
		return lookUp(ctx, trivy.Options{Dir: dir}, *again)
	}
	return scan(ctx, trivy.Options{Secrets: *secrets, Dir: dir}, flag.Args())
}

// lookUp scans images again. Reading and keeping their packages is not part of the cost.
func lookUp(ctx context.Context, o trivy.Options, file string) error {
	fleet, err := fleetfile.Read(file)
	if err != nil {
		return err
	}
	scanner, err := trivy.New(o)
	if err != nil {
		return err
	}
	const base = "base"
	if err := scanner.Keep(ctx, base, fleet.Base); err != nil {
		return err
	}
	for i, packages := range fleet.Images {
		if err := scanner.Keep(ctx, fmt.Sprint(i), packages); err != nil {
			return err
		}
	}
	meter, err := cost.Start()
	if err != nil {
		return err
	}
	out := output{Images: len(fleet.Images)}
	for i := range fleet.Images {
		report, err := scanner.Again(ctx, fmt.Sprint("image-", i), base, fmt.Sprint(i))
		if err != nil {
			return err
		}
		out.Packages += len(report.Packages)
		out.Findings += len(report.Findings)
	}
	if out.Cost, err = meter.Stop(); err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(out)
}

func scan(ctx context.Context, o trivy.Options, images []string) error {
	meter, err := cost.Start()
	if err != nil {
		return err
	}
	scanner, err := trivy.New(o)
	if err != nil {
		return err
	}
	out := output{Images: len(images)}
	for _, image := range images {
		img, err := open(ctx, image)
		if err != nil {
			return fmt.Errorf("open %s: %w", image, err)
		}
		report, err := scanner.Scan(ctx, image, img)
		if err != nil {
			return err
		}
		out.Packages += len(report.Packages)
		out.Findings += len(report.Findings)
		out.Secrets += len(report.Secrets)
	}
	if out.Cost, err = meter.Stop(); err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(out)
}

// open finds an image in a directory or else in a registry, on this machine without TLS.
func open(ctx context.Context, image string) (v1.Image, error) {
	if _, err := os.Stat(filepath.Join(image, "index.json")); err == nil {
		return openLayout(image)
	}
	ref, err := name.ParseReference(image)
	if err != nil {
		return nil, err
	}
	return remote.Image(ref, remote.WithContext(ctx))
}

func openLayout(dir string) (v1.Image, error) {
	index, err := layout.ImageIndexFromPath(dir)
	if err != nil {
		return nil, err
	}
	list, err := index.IndexManifest()
	if err != nil {
		return nil, err
	}
	if len(list.Manifests) != 1 {
		return nil, fmt.Errorf("%d images in the layout, want one", len(list.Manifests))
	}
	return index.Image(list.Manifests[0].Digest)
}
