package engine

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"sync"
	"sync/atomic"

	"github.com/aquasecurity/trivy/pkg/detector/library"
	_ "github.com/aquasecurity/trivy/pkg/detector/library/all" // the vendors that patch other people's packages
	detectos "github.com/aquasecurity/trivy/pkg/detector/ospkg"
	ftypes "github.com/aquasecurity/trivy/pkg/fanal/types"
	"github.com/aquasecurity/trivy/pkg/types"
	"github.com/aquasecurity/trivy/pkg/vulnerability"

	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// MatcherVersion identifies what makes findings of packages and advisories. It changes whenever the same advisories may say
// something else of the same package.
const MatcherVersion = "1.trivy0.74.0"

// Matcher answers which advisories apply to packages, under the advisory database that is open at the moment. Trivy keeps
// its database in a package-global, so there is one Matcher a process. All methods may be called concurrently; matching
// in parallel scales with the processors.
type Matcher struct {
	mu         sync.RWMutex // held for reading by every match, for writing while databases are swapped
	opened     bool
	dir        string
	advisories tidewaiter.Advisories
	severities *severities
	damaged    *atomic.Bool      // the open file was torn under us: no call into it may follow
	drivers    []detectos.Option // ours in the place of Trivy's
}

// NewMatcher returns a Matcher without advisories and silences Trivy's logging, which goes to the process's default
// slog logger (see QuietTrivy).
func NewMatcher() *Matcher {
	silenceTrivy()
	return &Matcher{drivers: redHatDrivers()}
}

// Matches is what one call of Match found, all of it under one version of the advisories.
type Matches struct {
	Advisories tidewaiter.Advisories
	Findings   [][]tidewaiter.Finding // one list a package, in the order asked; sorted by vulnerability, each once
	EndOfLife  map[Release]bool       // every distribution release asked about: does it get no more security updates?
	Unmatched  map[int]error          // packages nothing can be said of, by index; ErrUnsupported for what no advisory covers
}

// Release is one release of a distribution.
type Release struct {
	Family  string
	Version string // as the distribution writes it: Distribution.Release
}

// Match looks each package up. What it says of a package depends on the package and the advisories alone, never on the
// packages beside it. It fails with ErrNotFound while there are no advisories, and with ErrCanceled when ctx ends; what
// goes wrong with one package is told in Unmatched and stops nothing else.
//
// New advisories wait for running matches, and matches that come later wait for both: ask for some thousand packages at
// a time.
func (m *Matcher) Match(ctx context.Context, pkgs []*tidewaiter.Package) (Matches, error) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	if err := m.usable(); err != nil {
		return Matches{}, err
	}
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true)) // a torn file is a fault in mapped memory

	ms := Matches{
		Advisories: m.advisories,
		Findings:   make([][]tidewaiter.Finding, len(pkgs)),
		EndOfLife:  map[Release]bool{},
		Unmatched:  map[int]error{},
	}
	for i, p := range pkgs {
		if err := ctx.Err(); err != nil {
			return Matches{}, tidewaiter.Errorf(tidewaiter.ErrCanceled, "match packages: %w", err)
		}
		findings, err := m.match(ctx, p)
		if err != nil {
			ms.Unmatched[i] = err
		}
		ms.Findings[i] = findings
		if p != nil && p.Ecosystem.OS() {
			r := Release{Family: p.Distribution.Family, Version: p.Distribution.Release}
			if _, known := ms.EndOfLife[r]; !known {
				ms.EndOfLife[r] = endOfLife(ctx, r)
			}
		}
	}
	return ms, nil
}

// match looks one package up. Trivy's detectors are given one package at a time on purpose: some of them choose how to
// match a package by looking at the others of the same call.
func (m *Matcher) match(ctx context.Context, p *tidewaiter.Package) (findings []tidewaiter.Finding, err error) {
	defer func() {
		if r := recover(); r != nil {
			findings, err = nil, m.recovered(fmt.Sprintf("match %s", nameOf(p)), r)
		}
	}()
	if err := m.usable(); err != nil {
		return nil, err
	}
	var vulns []types.DetectedVulnerability
	if p.Ecosystem.OS() {
		vulns, err = matchOS(ctx, p, m.drivers)
	} else {
		vulns, err = matchLanguage(ctx, p)
	}
	if err != nil || len(vulns) == 0 {
		return nil, err
	}
	vulnerability.NewClient(m.severities).FillInfo(vulns, autoSeverity)
	return convertFindings(p, vulns), nil
}

func matchOS(ctx context.Context, p *tidewaiter.Package, drivers []detectos.Option) ([]types.DetectedVulnerability, error) {
	detector, err := detectos.NewDetector(convertTarget(p), drivers...)
	if err != nil {
		return nil, unsupported(p, err)
	}
	vulns, _, err := detector.Detect(ctx)
	if err != nil {
		return nil, failed(p, err)
	}
	return vulns, nil
}

func matchLanguage(ctx context.Context, p *tidewaiter.Package) ([]types.DetectedVulnerability, error) {
	kind := convertType(p)
	if _, known := library.NewDriver(kind); !known {
		return nil, unsupported(p, nil)
	}
	if p.Version == "" {
		return nil, tidewaiter.Errorf(tidewaiter.ErrUnsupported, "match %s: its version is not known", nameOf(p))
	}
	vulns, err := library.Detect(ctx, kind, []ftypes.Package{convertPackage(p)})
	if err != nil {
		return nil, failed(p, err)
	}
	return vulns, nil
}

// endOfLife asks without any package, so that no vendor of patched packages vouches for the release.
func endOfLife(ctx context.Context, r Release) (eol bool) {
	defer func() {
		if recover() != nil {
			eol = false // a release Trivy cannot even parse is one it knows no end of
		}
	}()
	detector, err := detectos.NewDetector(types.ScanTarget{OS: ftypes.OS{Family: ftypes.OSType(r.Family), Name: r.Version}})
	if err != nil {
		return false
	}
	_, eol, err = detector.Detect(ctx)
	return err == nil && eol
}

func errNoAdvisories() error {
	return tidewaiter.Errorf(tidewaiter.ErrNotFound, "there are no advisories yet").
		WithFix("wait for the first update or import a database")
}

func unsupported(p *tidewaiter.Package, cause error) error {
	what := string(p.Ecosystem)
	if p.Ecosystem.OS() {
		what = "distribution " + p.Distribution.Family
	} else if p.Type != "" {
		what = p.Type
	}
	return &tidewaiter.Error{Kind: tidewaiter.ErrUnsupported, Err: cause,
		Msg: fmt.Sprintf("match %s: no advisories cover %s packages", nameOf(p), what)}
}

// failed tells advisories that do not cover a package from advisories that cannot be read.
func failed(p *tidewaiter.Package, err error) error {
	if errors.Is(err, errNoContentSets) {
		return tidewaiter.Errorf(tidewaiter.ErrUnsupported, "match %s: %w", nameOf(p), err)
	}
	return tidewaiter.Errorf(tidewaiter.ErrMalformed, "match %s: %w", nameOf(p), err)
}

func nameOf(p *tidewaiter.Package) string {
	if p == nil {
		return "a missing package"
	}
	return fmt.Sprintf("%s package %s %s", p.Ecosystem, p.Name, p.FullVersion())
}
