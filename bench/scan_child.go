package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"

	"github.com/tidewaiter/tidewaiter/bench/cost"
	"github.com/tidewaiter/tidewaiter/internal/engine"
	"github.com/tidewaiter/tidewaiter/internal/oci"
	"github.com/tidewaiter/tidewaiter/internal/scan"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// scanChild scans images with Tidewaiter's engine, each distinct layer once, and prints what was found and what it took.
// As with Trivy, the cost includes making the scanner, not the start of the program.
func scanChild(ctx context.Context, args []string) (err error) {
	flags := flag.NewFlagSet("scan", flag.ContinueOnError)
	advisories := flags.String("advisories", "", "directory with trivy.db")
	secrets := flags.Bool("secrets", false, "look for secrets too")
	if err := flags.Parse(args); err != nil {
		return err
	}
	matcher := engine.NewMatcher()
	if err := matcher.Open(*advisories, tidewaiter.Advisories{Version: "bench"}); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, matcher.Close()) }()
	client := oci.New(oci.Options{AllowLoopback: true})
	defer client.Close()

	meter, err := cost.Start()
	if err != nil {
		return err
	}
	analyzer, err := engine.New(engine.Options{Secrets: *secrets})
	if err != nil {
		return err
	}
	s := scanner{client: client, engine: analyzer, matcher: matcher, secrets: *secrets, layers: map[string]*tidewaiter.Analysis{}}
	for _, image := range flags.Args() {
		if err := s.scan(ctx, image); err != nil {
			return fmt.Errorf("scan %s: %w", image, err)
		}
	}
	if s.out.Cost, err = meter.Stop(); err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(s.out)
}

// scanner is the engine's way from an image's name to its findings, without the server around it.
type scanner struct {
	client  *oci.Client
	engine  *engine.Engine
	matcher *engine.Matcher
	secrets bool
	layers  map[string]*tidewaiter.Analysis // by diffID
	out     scanned
}

func (s *scanner) scan(ctx context.Context, image string) error {
	ref, err := oci.ParseReference(image)
	if err != nil {
		return err
	}
	source, err := s.client.Registry(oci.Endpoint{URL: ref.URL(true)})
	if err != nil {
		return err
	}
	resolver := scan.Resolver{Source: source}
	found, err := resolver.Resolve(ctx, ref.Repository, ref.Identifier(), nil)
	if err != nil {
		return err
	}
	for _, img := range found.Images {
		analyses := make([]*tidewaiter.Analysis, len(img.Layers))
		for i, l := range img.Layers {
			if analyses[i], err = s.layer(ctx, source, ref.Repository, l); err != nil {
				return err
			}
		}
		content := engine.Merge(analyses)
		if s.secrets {
			content.Secrets = append(content.Secrets, s.engine.ConfigSecrets(found.Configs[img.Digest])...)
		}
		if err := s.match(ctx, content); err != nil {
			return err
		}
	}
	return nil
}

func (s *scanner) layer(ctx context.Context, source *oci.Registry, repository string, l tidewaiter.LayerRef) (*tidewaiter.Analysis, error) {
	if a := s.layers[l.DiffID]; a != nil {
		return a, nil
	}
	blob, err := source.Blob(ctx, repository, tidewaiter.Descriptor{MediaType: l.MediaType, Digest: l.Digest, Size: l.Size})
	if err != nil {
		return nil, err
	}
	defer blob.Close()
	a, err := s.engine.Analyze(ctx, l.DiffID, blob)
	s.layers[l.DiffID] = a
	return a, err
}

func (s *scanner) match(ctx context.Context, content *tidewaiter.Content) error {
	packages := make([]*tidewaiter.Package, len(content.Installed))
	for i := range content.Installed {
		packages[i] = content.Installed[i].Package
	}
	answer, err := s.matcher.Match(ctx, packages)
	if err != nil {
		return err
	}
	for _, findings := range answer.Findings {
		s.out.Findings += len(findings)
	}
	s.out.Images++
	s.out.Packages += len(packages)
	s.out.Secrets += len(content.Secrets)
	return nil
}
