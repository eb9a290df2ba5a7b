// Package samples makes container images with real content: package databases of three distributions, libraries of five
// languages, leaked credentials, unusual formats. It makes an advisory database that knows their packages, and pushes all
// of it to a registry. The demo shows itself on them, and tests know beforehand what has to be found.
//
// Everything is made in memory from small tables, on any operating system, without a network, and has the same digests
// every time. Nothing in the images can run.
package samples

import (
	"context"
	"fmt"

	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// The compliance checks samples fail. Prisma: the numbers of its image checks.
const (
	CheckUser   = 41  // a user other than root is set
	CheckHealth = 406 // a HEALTHCHECK is set
	CheckEnv    = 424 // no sensitive information in environment variables
	CheckKey    = 425 // no private keys in the image
)

// Sample is an image, an index or an artifact under the names it is pushed to.
type Sample struct {
	Repository string
	Tags       []string
	About      string // one sentence on what it is there to show
	Manifest   *Manifest
	Expect     Expectation
}

// Expectation is what has to be known of a sample once it is analysed, and judged by the first edition of the sample
// advisories. Of an index it speaks of the image for linux/amd64.
type Expectation struct {
	Kind         tidewaiter.ManifestKind
	Distribution string    // family and release
	Packages     []Package // all of them
	Findings     int       // distinct pairs of package and vulnerability
	Notable      []Finding // some of them
	Absent       []Finding // what an analysis finds that overlooks how layers and owners hide packages
	Secrets      []string  // rules that have to speak up, sorted, each once
	SetID        int       // set-id programs
	FailedChecks []int     // of those named above, sorted
}

// Finding is a vulnerability of a package, by name.
type Finding struct {
	Package       string
	Vulnerability string
}

// Catalogue makes all samples. The error is never about the caller's input: there is none.
func Catalogue(ctx context.Context) ([]Sample, error) {
	var all []Sample
	for _, group := range []func(context.Context) ([]Sample, error){baseSamples, shopSamples, opsSamples, artifactSamples} {
		samples, err := group(ctx)
		if err != nil {
			return nil, fmt.Errorf("make samples: %w", err)
		}
		all = append(all, samples...)
	}
	return all, nil
}

// Find returns the sample of a repository and tag, nil when there is none.
func Find(catalogue []Sample, repository, tag string) *Sample {
	for i, s := range catalogue {
		for _, t := range s.Tags {
			if s.Repository == repository && t == tag {
				return &catalogue[i]
			}
		}
	}
	return nil
}

// collect makes several samples, stopping at the first error.
func collect(makers ...func() (Sample, error)) ([]Sample, error) {
	var list []Sample
	for _, maker := range makers {
		s, err := maker()
		if err != nil {
			return nil, err
		}
		list = append(list, s)
	}
	return list, nil
}
