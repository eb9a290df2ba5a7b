package report

import (
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	cdx "github.com/CycloneDX/cyclonedx-go"

	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// CycloneDX writes a bill of materials in CycloneDX 1.6 JSON, vulnerabilities included.
func CycloneDX(w io.Writer, r *tidewaiter.Result, o Options) error {
	return encodeBOM(cdx.NewBOMEncoder(w, cdx.BOMFileFormatJSON), cdx.SpecVersion1_6, r, o)
}

// CycloneDXXML writes a bill of materials in CycloneDX 1.4 XML, the form older tools read.
func CycloneDXXML(w io.Writer, r *tidewaiter.Result, o Options) error {
	return encodeBOM(cdx.NewBOMEncoder(w, cdx.BOMFileFormatXML), cdx.SpecVersion1_4, r, o)
}

func encodeBOM(e cdx.BOMEncoder, version cdx.SpecVersion, r *tidewaiter.Result, o Options) error {
	if err := e.SetPretty(true).SetEscapeHTML(false).EncodeVersion(bom(prepare(r, o)), version); err != nil {
		return fmt.Errorf("write CycloneDX %s: %w", version, err)
	}
	return nil
}

func bom(s *source) *cdx.BOM {
	b := cdx.NewBOM()
	b.SerialNumber = "urn:uuid:" + s.id("cyclonedx")
	root := s.container()
	b.Metadata = &cdx.Metadata{
		Timestamp: stamp(s.Now), Component: &root,
		Tools: &cdx.ToolsChoice{Components: &[]cdx.Component{
			{Type: cdx.ComponentTypeApplication, Name: toolName, Version: s.Version, Publisher: toolName},
		}},
	}
	components := []cdx.Component{}
	if d := s.distribution; d != nil {
		components = append(components, cdx.Component{BOMRef: "os", Type: cdx.ComponentTypeOS, Name: d.Family, Version: d.Release,
			Description: d.PrettyName})
	}
	refs := make(map[*tidewaiter.Package]string, len(s.packages)) // the first occurrence of each
	used := make(map[string]int, len(s.packages))
	for _, in := range s.packages {
		c := s.component(in)
		used[c.BOMRef]++
		if n := used[c.BOMRef]; n > 1 {
			c.BOMRef += "-" + strconv.Itoa(n)
		}
		if refs[in.Package] == "" {
			refs[in.Package] = c.BOMRef
		}
		components = append(components, c)
	}
	depends := make([]string, 0, len(components))
	for i := range components {
		depends = append(depends, components[i].BOMRef)
	}
	b.Components = &components
	b.Dependencies = &[]cdx.Dependency{{Ref: root.BOMRef, Dependencies: &depends}}
	vulnerabilities := s.vulnerabilities(refs)
	b.Vulnerabilities = &vulnerabilities
	return b
}

func (s *source) container() cdx.Component {
	c := cdx.Component{BOMRef: "image", Type: cdx.ComponentTypeContainer, Name: s.Reference, Version: s.image.Digest,
		PackageURL: s.purl()}
	props := []cdx.Property{{Name: "tidewaiter:platform", Value: s.image.Platform.String()}}
	if s.image.ConfigDigest != "" {
		props = append(props, cdx.Property{Name: "tidewaiter:configDigest", Value: s.image.ConfigDigest})
	}
	for _, t := range s.tags {
		props = append(props, cdx.Property{Name: "tidewaiter:tag", Value: t})
	}
	for _, l := range s.image.Layers {
		props = append(props, cdx.Property{Name: "tidewaiter:layer", Value: l.Digest + " " + l.DiffID})
	}
	if s.judgement.Incomplete {
		props = append(props, cdx.Property{Name: "tidewaiter:incomplete", Value: "true"})
	}
	c.Properties = &props
	return c
}

// component describes one occurrence of a package. Its reference is the package's identity, so that it stays the same
// from one report to the next.
func (s *source) component(in tidewaiter.Installed) cdx.Component {
	p := in.Package
	c := cdx.Component{BOMRef: p.Key(), Type: cdx.ComponentTypeLibrary, Name: p.Name, Version: p.FullVersion(), PackageURL: p.PURL}
	if p.Maintainer != "" {
		c.Supplier = &cdx.OrganizationalEntity{Name: p.Maintainer}
	}
	c.Licenses = cdxLicenses(p.Licenses)
	var props []cdx.Property
	add := func(name, value string) {
		if value != "" {
			props = append(props, cdx.Property{Name: "tidewaiter:" + name, Value: value})
		}
	}
	l := s.layer(in.Layer)
	add("ecosystem", string(p.Ecosystem))
	add("type", p.Type)
	add("source", strings.TrimSpace(p.Source+" "+p.FullSourceVersion()))
	add("path", in.Path)
	add("layerDigest", l.Digest)
	add("layerDiffID", l.DiffID)
	if len(props) > 0 {
		c.Properties = &props
	}
	return c
}

// cdxLicenses lists licences. CycloneDX: either licences, by id or name, or one expression; never both.
func cdxLicenses(list []string) *cdx.Licenses {
	licenses := licensesOf(list)
	if len(licenses) == 0 {
		return nil
	}
	if len(licenses) == 1 && licenses[0].expression != "" {
		return &cdx.Licenses{{Expression: licenses[0].expression}}
	}
	var out cdx.Licenses
	for _, l := range licenses {
		out = append(out, cdx.LicenseChoice{License: &cdx.License{ID: l.id, Name: l.name + l.expression}})
	}
	return &out
}

// vulnerabilities lists each vulnerability once, with every component it affects.
func (s *source) vulnerabilities(refs map[*tidewaiter.Package]string) []cdx.Vulnerability {
	out := []cdx.Vulnerability{}
	index := make(map[string]int)
	seen := make(map[string]bool) // vulnerability and component
	for i := range s.findings {
		f := &s.findings[i]
		at, ok := index[f.Vulnerability]
		if !ok {
			at = len(out)
			index[f.Vulnerability] = at
			out = append(out, cdxVulnerability(f))
		}
		v := &out[at]
		ref := refs[f.installed.Package]
		if seen[f.Vulnerability+" "+ref] {
			continue
		}
		seen[f.Vulnerability+" "+ref] = true
		*v.Affects = append(*v.Affects, cdx.Affects{Ref: ref, Range: &[]cdx.AffectedVersions{
			{Version: f.installed.Package.FullVersion(), Status: cdx.VulnerabilityStatusAffected}}})
		if r := recommendation(f); r != "" && !strings.Contains(v.Recommendation, r) {
			v.Recommendation = strings.TrimPrefix(v.Recommendation+"; "+r, "; ")
		}
		respond(v, f)
	}
	return out
}

func cdxVulnerability(f *finding) cdx.Vulnerability {
	v := cdx.Vulnerability{
		BOMRef: "vulnerability/" + f.Vulnerability, ID: f.Vulnerability, Description: f.details.Title, Detail: f.details.Description,
		Published: stamp(f.details.Published), Updated: stamp(f.details.Modified), Affects: &[]cdx.Affects{},
	}
	if f.Source != "" || link(f.URL) != "" {
		v.Source = &cdx.Source{Name: f.Source, URL: link(f.URL)}
	}
	ratings := []cdx.VulnerabilityRating{{Severity: cdxSeverity(f.Severity)}}
	if f.Source != "" {
		ratings[0].Source = &cdx.Source{Name: f.Source}
	}
	ratings = append(ratings, rating(f.details.Score, f.details.Vector)...)
	ratings = append(ratings, rating(f.details.ScoreV2, f.details.VectorV2)...)
	v.Ratings = &ratings
	if cwes := cweNumbers(f.details.CWEs); len(cwes) > 0 {
		v.CWEs = &cwes
	}
	var advisories []cdx.Advisory
	for _, r := range f.details.References {
		if u := link(r); u != "" && !slices.ContainsFunc(advisories, func(a cdx.Advisory) bool { return a.URL == u }) {
			advisories = append(advisories, cdx.Advisory{URL: u})
		}
	}
	if len(advisories) > 0 {
		v.Advisories = &advisories
	}
	return v
}

func rating(score float64, vector string) []cdx.VulnerabilityRating {
	if score <= 0 {
		return nil
	}
	method := cdx.ScoringMethodCVSSv2
	severity := tidewaiter.SeverityOfScore(score)
	switch {
	case strings.HasPrefix(vector, "CVSS:4"):
		method = cdx.ScoringMethodCVSSv4
	case strings.HasPrefix(vector, "CVSS:3.1"):
		method = cdx.ScoringMethodCVSSv31
	case strings.HasPrefix(vector, "CVSS:3"):
		method = cdx.ScoringMethodCVSSv3
	case vector == "":
		method = cdx.ScoringMethodOther
	}
	return []cdx.VulnerabilityRating{{Score: &score, Severity: cdxSeverity(severity), Method: method, Vector: vector}}
}

// cdxSeverity maps to the words CycloneDX has.
func cdxSeverity(s tidewaiter.Severity) cdx.Severity {
	if s == tidewaiter.SeverityNegligible {
		return cdx.SeverityInfo
	}
	return cdx.Severity(s.String())
}

func recommendation(f *finding) string {
	if f.FixedIn == "" {
		return ""
	}
	return "update " + f.installed.Package.Name + " to " + f.FixedIn
}

// respond says what the supplier does about it, where that is known.
func respond(v *cdx.Vulnerability, f *finding) {
	var response cdx.ImpactAnalysisResponse
	switch {
	case f.FixedIn != "":
		response = cdx.IARUpdate
	case f.Status == "will_not_fix" || f.Status == "end_of_life":
		response = cdx.IARWillNotFix
	default:
		return
	}
	if v.Analysis == nil {
		v.Analysis = &cdx.VulnerabilityAnalysis{Response: &[]cdx.ImpactAnalysisResponse{}}
	}
	if !slices.Contains(*v.Analysis.Response, response) {
		*v.Analysis.Response = append(*v.Analysis.Response, response)
	}
}

func cweNumbers(cwes []string) (out []int) {
	for _, c := range cwes {
		if n, err := strconv.Atoi(strings.TrimPrefix(strings.ToUpper(c), "CWE-")); err == nil && n > 0 {
			out = append(out, n)
		}
	}
	return out
}
