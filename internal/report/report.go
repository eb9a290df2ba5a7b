// Package report writes what is known of one image in the forms people and their tools read: a table for a terminal, JSON
// of our own, SARIF, CycloneDX, SPDX and CSV.
//
// Every writer is a pure function: the same result and options give the same bytes. What an image claims about itself
// (names, versions, paths, descriptions) is foreign text; each writer keeps it from acting on the reader's terminal,
// spreadsheet or parser.
package report

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// Options is what a report says beside the result.
type Options struct {
	Reference string    // the name the image was asked for; "" takes the first of its tags, or its digest
	Now       time.Time // when the report was made
	Version   string    // of tidewaiter
	Namespace string    // URI that SPDX documents are named under; "" takes the project's own

	Width int  // Table: columns of the terminal; 0 is as wide as it needs
	Color bool // Table: draw in colour and with lines, for a terminal
}

const (
	toolName         = "tidewaiter"
	toolURI          = "https://github.com/tidewaiter/tidewaiter"
	defaultNamespace = toolURI + "/spdx"
)

// source is a result made ready for a writer: what is missing is empty, and all lists are in a fixed order.
type source struct {
	Options
	image     *tidewaiter.Image
	judgement tidewaiter.Judgement // the zero one while the image is not judged
	tags      []string
	packages  []tidewaiter.Installed
	findings  []finding
	secrets   []tidewaiter.Secret
	checks    []tidewaiter.Check
	notices   []tidewaiter.Notice

	distribution *tidewaiter.Distribution // nil when there is none
}

// finding is one vulnerability of one occurrence of a package.
type finding struct {
	tidewaiter.Finding
	installed  tidewaiter.Installed
	details    tidewaiter.Vulnerability // the zero one when nothing is known
	firstFound time.Time
}

func prepare(r *tidewaiter.Result, o Options) *source {
	s := &source{Options: o, image: r.Image}
	if s.image == nil {
		s.image = &tidewaiter.Image{}
	}
	if s.image.Judgement != nil {
		s.judgement = *s.image.Judgement
	}
	for i := range r.Tags {
		s.tags = append(s.tags, r.Tags[i].Reference())
	}
	slices.Sort(s.tags)
	if s.Reference == "" {
		s.Reference = s.image.Digest
		if len(s.tags) > 0 {
			s.Reference = s.tags[0]
		}
	}
	if s.Namespace == "" {
		s.Namespace = defaultNamespace
	}
	s.distribution = s.judgement.Distribution
	if r.Content != nil {
		if s.distribution == nil {
			s.distribution = r.Content.Distribution
		}
		s.packages = packagesOf(r.Content)
		s.secrets = slices.Clone(r.Content.Secrets)
		s.notices = slices.Clone(r.Content.Notices)
	}
	s.findings = findingsOf(s.packages, r)
	slices.SortStableFunc(s.secrets, func(a, b tidewaiter.Secret) int {
		return cmp.Or(cmp.Compare(b.Severity, a.Severity), strings.Compare(a.Path, b.Path),
			cmp.Compare(a.StartLine, b.StartLine), strings.Compare(a.Rule, b.Rule))
	})
	s.checks = slices.Clone(r.Checks)
	slices.SortStableFunc(s.checks, func(a, b tidewaiter.Check) int {
		return cmp.Or(cmp.Compare(b.Severity, a.Severity), cmp.Compare(a.ID, b.ID))
	})
	return s
}

func packagesOf(c *tidewaiter.Content) []tidewaiter.Installed {
	out := make([]tidewaiter.Installed, 0, len(c.Installed))
	for _, in := range c.Installed {
		if in.Package != nil {
			out = append(out, in)
		}
	}
	slices.SortStableFunc(out, compareInstalled)
	return out
}

// compareInstalled puts a distribution's packages first, then orders by ecosystem, name, version and place.
func compareInstalled(a, b tidewaiter.Installed) int {
	if a.Package.Ecosystem.OS() != b.Package.Ecosystem.OS() {
		if a.Package.Ecosystem.OS() {
			return -1
		}
		return 1
	}
	return cmp.Or(cmp.Compare(a.Package.Ecosystem, b.Package.Ecosystem), strings.Compare(a.Package.Name, b.Package.Name),
		strings.Compare(a.Package.FullVersion(), b.Package.FullVersion()), strings.Compare(a.Path, b.Path),
		cmp.Compare(a.Layer, b.Layer), strings.Compare(a.Package.Arch, b.Package.Arch))
}

func findingsOf(packages []tidewaiter.Installed, r *tidewaiter.Result) []finding {
	var out []finding
	for _, in := range packages {
		for _, f := range r.Findings[in.Package.ID] {
			row := finding{Finding: f, installed: in,
				firstFound: r.FirstFound[tidewaiter.FindingKey{PackageID: in.Package.ID, Vulnerability: f.Vulnerability}]}
			if d := r.Vulnerabilities[f.Vulnerability]; d != nil {
				row.details = *d
			}
			out = append(out, row)
		}
	}
	slices.SortStableFunc(out, func(a, b finding) int {
		if c := cmp.Compare(b.Severity, a.Severity); c != 0 {
			return c
		}
		if c := strings.Compare(a.Vulnerability, b.Vulnerability); c != 0 {
			return c
		}
		return compareInstalled(a.installed, b.installed)
	})
	return out
}

// layer returns the layer an index refers to; the zero one for an index the image does not have.
func (s *source) layer(i int) tidewaiter.LayerRef {
	if i < 0 || i >= len(s.image.Layers) {
		return tidewaiter.LayerRef{}
	}
	return s.image.Layers[i]
}

// counts tallies the findings by severity.
func (s *source) counts() (c tidewaiter.Counts, fixable int) {
	for _, f := range s.findings {
		c.Add(f.Severity)
		if f.FixedIn != "" {
			fixable++
		}
	}
	return c, fixable
}

// id returns a UUID for a document of one kind: the same for the same image, name and time.
func (s *source) id(kind string) string {
	name := strings.Join([]string{kind, s.Namespace, s.Reference, s.image.Digest, stamp(s.Now)}, "\x00")
	return uuid.NewSHA1(uuid.NameSpaceURL, []byte(name)).String()
}

// fingerprint identifies a finding from one report to the next.
func fingerprint(parts ...string) string {
	sum := sha256.Sum256([]byte(strings.Join(parts, "\x00")))
	return hex.EncodeToString(sum[:16])
}

// stamp writes a time as every format here wants it; "" for the zero time.
func stamp(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339)
}

// nameVersion names a package.
func nameVersion(p *tidewaiter.Package) string {
	return strings.TrimSpace(p.Name + " " + p.FullVersion())
}
