package report

import (
	"encoding/json"
	"fmt"
	"io"
	"time"

	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// Document is the JSON form of a report. Fields are only ever added to it; a change that would break a reader raises
// SchemaVersion. Lists are never null. The image's environment is left out: it holds secrets too often.
type Document struct {
	SchemaVersion int       `json:"schemaVersion"` // 1
	Tool          Tool      `json:"tool"`
	CreatedAt     time.Time `json:"createdAt,omitzero"`
	Reference     string    `json:"reference"`
	Image         ImageInfo `json:"image"`

	Distribution *tidewaiter.Distribution `json:"distribution,omitempty"`
	EndOfLife    bool                     `json:"endOfLife,omitempty"` // the distribution gets no more security updates
	Advisories   string                   `json:"advisories,omitempty"`
	Analyzer     string                   `json:"analyzer,omitempty"`
	JudgedAt     time.Time                `json:"judgedAt,omitzero"`
	Incomplete   bool                     `json:"incomplete,omitempty"` // see Notices

	Summary         Summary             `json:"summary"`
	Verdict         tidewaiter.Verdict  `json:"verdict"`
	Vulnerabilities []Vulnerable        `json:"vulnerabilities"` // gravest first
	Packages        []PackageInfo       `json:"packages"`
	Secrets         []SecretInfo        `json:"secrets"`
	Checks          []tidewaiter.Check  `json:"checks"`
	Notices         []tidewaiter.Notice `json:"notices"`
}

// Tool names what made a document.
type Tool struct {
	Name    string `json:"name"`
	Version string `json:"version,omitempty"`
}

// ImageInfo describes the image.
type ImageInfo struct {
	Digest       string              `json:"digest"`
	ConfigDigest string              `json:"configDigest,omitempty"`
	MediaType    string              `json:"mediaType,omitempty"`
	Platform     tidewaiter.Platform `json:"platform"`
	Size         int64               `json:"size"` // bytes, compressed
	CreatedAt    time.Time           `json:"createdAt,omitzero"`
	Tags         []string            `json:"tags"` // every name that shows it
	User         string              `json:"user,omitempty"`
	ExposedPorts []string            `json:"exposedPorts,omitempty"`
	Labels       map[string]string   `json:"labels,omitempty"`
	Layers       []LayerInfo         `json:"layers"` // bottom first
}

// LayerInfo is one layer of the image.
type LayerInfo struct {
	Digest    string `json:"digest"`
	DiffID    string `json:"diffID"`
	Size      int64  `json:"size"` // bytes, compressed
	CreatedBy string `json:"createdBy,omitempty"`
}

// Summary is the report in numbers.
type Summary struct {
	Packages        int                     `json:"packages"`
	Vulnerabilities tidewaiter.Counts       `json:"vulnerabilities"`
	Fixable         int                     `json:"fixable"`
	Secrets         int                     `json:"secrets"`
	FailedChecks    tidewaiter.Counts       `json:"failedChecks"`
	RiskFactors     []tidewaiter.RiskFactor `json:"riskFactors"`
}

// Vulnerable is one vulnerability of one occurrence of a package.
type Vulnerable struct {
	ID          string              `json:"id"`
	Severity    tidewaiter.Severity `json:"severity"`
	Status      string              `json:"status,omitempty"`
	Title       string              `json:"title,omitempty"`
	Description string              `json:"description,omitempty"`
	Score       float64             `json:"score,omitempty"`
	Vector      string              `json:"vector,omitempty"`
	CWEs        []string            `json:"cwes,omitempty"`
	Package     string              `json:"package"`
	Version     string              `json:"version"`
	FixedIn     string              `json:"fixedIn,omitempty"`
	PURL        string              `json:"purl,omitempty"`
	Path        string              `json:"path,omitempty"`
	LayerDigest string              `json:"layerDigest,omitempty"`
	Source      string              `json:"source,omitempty"` // whose severity and status these are
	Advisories  []string            `json:"advisories,omitempty"`
	URL         string              `json:"url,omitempty"`
	References  []string            `json:"references,omitempty"`
	Published   time.Time           `json:"published,omitzero"`
	Modified    time.Time           `json:"modified,omitzero"`
	FirstFound  time.Time           `json:"firstFound,omitzero"` // on this image
}

// PackageInfo is one occurrence of a package.
type PackageInfo struct {
	Name          string               `json:"name"`
	Version       string               `json:"version"`
	Ecosystem     tidewaiter.Ecosystem `json:"ecosystem"`
	Type          string               `json:"type,omitempty"`
	Arch          string               `json:"arch,omitempty"`
	Source        string               `json:"source,omitempty"`
	SourceVersion string               `json:"sourceVersion,omitempty"`
	Licenses      []string             `json:"licenses,omitempty"`
	PURL          string               `json:"purl,omitempty"`
	Path          string               `json:"path,omitempty"`
	LayerDigest   string               `json:"layerDigest,omitempty"`
}

// SecretInfo is a credential left in the image; Match is censored.
type SecretInfo struct {
	Rule        string              `json:"rule"`
	Category    string              `json:"category,omitempty"`
	Title       string              `json:"title"`
	Severity    tidewaiter.Severity `json:"severity"`
	Path        string              `json:"path"`
	StartLine   int                 `json:"startLine,omitempty"`
	EndLine     int                 `json:"endLine,omitempty"`
	Match       string              `json:"match,omitempty"`
	LayerDigest string              `json:"layerDigest,omitempty"`
}

const schemaVersion = 1

// JSON writes a report as a Document.
func JSON(w io.Writer, r *tidewaiter.Result, o Options) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	if err := e.Encode(NewDocument(r, o)); err != nil {
		return fmt.Errorf("write JSON: %w", err)
	}
	return nil
}

// NewDocument returns a result in the form JSON writes.
func NewDocument(r *tidewaiter.Result, o Options) *Document {
	s := prepare(r, o)
	d := &Document{
		SchemaVersion: schemaVersion, Tool: Tool{toolName, s.Version}, CreatedAt: s.Now.UTC(), Reference: s.Reference,
		Image: s.imageInfo(), Distribution: s.distribution, EndOfLife: s.judgement.EndOfLife,
		Advisories: s.judgement.Advisories, Analyzer: s.judgement.Analyzer, JudgedAt: s.judgement.JudgedAt,
		Incomplete: s.judgement.Incomplete, Verdict: s.judgement.Verdict,
		Vulnerabilities: make([]Vulnerable, 0, len(s.findings)), Packages: make([]PackageInfo, 0, len(s.packages)),
		Secrets: make([]SecretInfo, 0, len(s.secrets)), Checks: nonNil(s.checks), Notices: nonNil(s.notices),
	}
	d.Summary = Summary{Packages: len(s.packages), Secrets: len(s.secrets), RiskFactors: nonNil(s.judgement.RiskFactors)}
	d.Summary.Vulnerabilities, d.Summary.Fixable = s.counts()
	for _, c := range s.checks {
		if !c.Passed {
			d.Summary.FailedChecks.Add(c.Severity)
		}
	}
	for i := range s.findings {
		d.Vulnerabilities = append(d.Vulnerabilities, s.vulnerable(&s.findings[i]))
	}
	for _, in := range s.packages {
		d.Packages = append(d.Packages, s.packageInfo(in))
	}
	for _, x := range s.secrets {
		d.Secrets = append(d.Secrets, SecretInfo{Rule: x.Rule, Category: x.Category, Title: x.Title, Severity: x.Severity,
			Path: x.Path, StartLine: x.StartLine, EndLine: x.EndLine, Match: x.Match, LayerDigest: s.layer(x.Layer).Digest})
	}
	return d
}

func (s *source) imageInfo() ImageInfo {
	out := ImageInfo{
		Digest: s.image.Digest, ConfigDigest: s.image.ConfigDigest, MediaType: s.image.MediaType, Platform: s.image.Platform,
		Size: s.image.Size, CreatedAt: s.image.CreatedAt, Tags: nonNil(s.tags), User: s.image.Config.User,
		ExposedPorts: s.image.Config.ExposedPorts, Labels: s.image.Config.Labels, Layers: make([]LayerInfo, 0, len(s.image.Layers)),
	}
	for _, l := range s.image.Layers {
		out.Layers = append(out.Layers, LayerInfo{l.Digest, l.DiffID, l.Size, l.CreatedBy})
	}
	return out
}

func (s *source) vulnerable(f *finding) Vulnerable {
	return Vulnerable{
		ID: f.Vulnerability, Severity: f.Severity, Status: f.Status, Title: f.details.Title, Description: f.details.Description,
		Score: f.details.Score, Vector: f.details.Vector, CWEs: f.details.CWEs, Package: f.installed.Package.Name,
		Version: f.installed.Package.FullVersion(), FixedIn: f.FixedIn, PURL: f.installed.Package.PURL, Path: f.installed.Path,
		LayerDigest: s.layer(f.installed.Layer).Digest, Source: f.Source, Advisories: f.Advisories, URL: f.URL,
		References: f.details.References, Published: f.details.Published, Modified: f.details.Modified, FirstFound: f.firstFound,
	}
}

func (s *source) packageInfo(in tidewaiter.Installed) PackageInfo {
	p := in.Package
	return PackageInfo{
		Name: p.Name, Version: p.FullVersion(), Ecosystem: p.Ecosystem, Type: p.Type, Arch: p.Arch, Source: p.Source,
		SourceVersion: p.FullSourceVersion(), Licenses: p.Licenses, PURL: p.PURL, Path: in.Path,
		LayerDigest: s.layer(in.Layer).Digest,
	}
}

func nonNil[T any](list []T) []T {
	if list == nil {
		return []T{}
	}
	return list
}
