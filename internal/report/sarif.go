package report

import (
	"fmt"
	"io"
	"net/url"
	"strconv"
	"strings"

	"github.com/owenrumney/go-sarif/v3/pkg/report"
	"github.com/owenrumney/go-sarif/v3/pkg/report/v210/sarif"

	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// rootBase is the name of the base that locations are relative to: the root of the image's file system.
const rootBase = "ROOTPATH"

// SARIF writes a report in SARIF 2.1.0: a rule for each vulnerability, secret rule and failed check, a result for each
// occurrence. A result is located at the file that shows it; what no file shows is located at the image's name.
func SARIF(w io.Writer, r *tidewaiter.Result, o Options) error {
	s := prepare(r, o)
	b := &sarifBuilder{source: s, run: sarif.NewRunWithInformationURI(toolName, toolURI), index: make(map[string]int)}
	if s.Version != "" {
		b.run.Tool.Driver.WithVersion(s.Version)
	}
	b.run.WithOriginalUriBaseIds(map[string]sarif.ArtifactLocation{rootBase: *sarif.NewSimpleArtifactLocation("file:///").WithIndex(-1)})
	b.run.WithProperties(b.properties())
	for i := range s.findings {
		b.finding(&s.findings[i])
	}
	for i := range s.secrets {
		b.secret(&s.secrets[i])
	}
	for i := range s.checks {
		if !s.checks[i].Passed {
			b.check(&s.checks[i])
		}
	}
	doc := report.NewV210Report()
	doc.AddRun(b.run)
	if err := doc.PrettyWrite(w); err != nil {
		return fmt.Errorf("write SARIF: %w", err)
	}
	if _, err := io.WriteString(w, "\n"); err != nil {
		return fmt.Errorf("write SARIF: %w", err)
	}
	return nil
}

type sarifBuilder struct {
	*source
	run   *sarif.Run
	index map[string]int // of rules
}

func (b *sarifBuilder) properties() *sarif.PropertyBag {
	return sarif.NewPropertyBag().Add("reference", b.Reference).Add("digest", b.image.Digest).
		Add("platform", b.image.Platform.String()).Add("verdict", string(b.judgement.Verdict.Effect))
}

// rule returns the index of a rule, made by fill when it is new.
func (b *sarifBuilder) rule(id string, fill func(*sarif.ReportingDescriptor)) int {
	if i, ok := b.index[id]; ok {
		return i
	}
	d := sarif.NewReportingDescriptor().WithID(id)
	fill(d)
	b.index[id] = len(b.run.Tool.Driver.Rules)
	b.run.Tool.Driver.AddRule(d)
	return b.index[id]
}

// result adds a result of a rule.
func (b *sarifBuilder) result(ruleID string, rule int, severity tidewaiter.Severity, text string, at *sarif.Location) *sarif.Result {
	res := sarif.NewResult().WithRuleID(ruleID).WithRuleIndex(rule).WithLevel(level(severity)).
		WithMessage(sarif.NewTextMessage(text)).WithLocations([]*sarif.Location{at})
	b.run.AddResult(res)
	return res
}

func (b *sarifBuilder) finding(f *finding) {
	p := f.installed.Package
	rule := b.rule(f.Vulnerability, func(d *sarif.ReportingDescriptor) {
		title := f.details.Title
		if title == "" {
			title = f.Vulnerability
		}
		describe(d, title, f.details.Description, f.Severity, f.details.Score, "vulnerability")
		if u := link(f.URL); u != "" {
			d.WithHelpURI(u)
		}
	})
	text := fmt.Sprintf("%s: %s is affected by %s", b.Reference, nameVersion(p), f.Vulnerability)
	if f.FixedIn != "" {
		text += "; fixed in " + f.FixedIn
	}
	path := f.installed.Path
	res := b.result(f.Vulnerability, rule, f.Severity, text, b.location(path, 0, 0, nameVersion(p)))
	res.WithProperties(sarif.NewPropertyBag().Add("package", p.Name).Add("version", p.FullVersion()).
		Add("fixedIn", f.FixedIn).Add("purl", p.PURL).Add("layer", b.layer(f.installed.Layer).Digest))
	res.WithPartialFingerprints(map[string]string{"finding/v1": fingerprint(f.Vulnerability, p.Name, path)})
}

func (b *sarifBuilder) secret(x *tidewaiter.Secret) {
	id := "secret/" + x.Rule
	rule := b.rule(id, func(d *sarif.ReportingDescriptor) { describe(d, x.Title, "", x.Severity, 0, "secret") })
	res := b.result(id, rule, x.Severity, fmt.Sprintf("%s: %s in %s", b.Reference, x.Title, x.Path),
		b.location(x.Path, x.StartLine, x.EndLine, x.Path))
	res.WithPartialFingerprints(map[string]string{"finding/v1": fingerprint(id, x.Path, strconv.Itoa(x.StartLine))})
}

func (b *sarifBuilder) check(c *tidewaiter.Check) {
	id := "check/" + strconv.Itoa(c.ID)
	rule := b.rule(id, func(d *sarif.ReportingDescriptor) { describe(d, c.Title, c.Detail, c.Severity, 0, "compliance") })
	text := b.Reference + ": " + c.Title
	if c.Cause != "" {
		text += ": " + c.Cause
	}
	res := b.result(id, rule, c.Severity, text, b.location("", 0, 0, ""))
	res.WithPartialFingerprints(map[string]string{"finding/v1": fingerprint(id, b.Reference)})
}

// location points to a file of the image, or to the image as such when there is none.
func (b *sarifBuilder) location(path string, startLine, endLine int, name string) *sarif.Location {
	artifact := sarif.NewArtifactLocation()
	if path = strings.TrimLeft(path, "/"); path != "" {
		artifact.WithURI((&url.URL{Path: path}).String()).WithURIBaseID(rootBase)
	} else {
		artifact.WithURI((&url.URL{Path: b.Reference}).String())
	}
	place := sarif.NewPhysicalLocation().WithArtifactLocation(artifact)
	region := sarif.NewRegion().WithStartLine(max(startLine, 1)).WithEndLine(max(endLine, startLine, 1))
	place.WithRegion(region)
	at := sarif.NewLocation().WithPhysicalLocation(place)
	if name != "" {
		at.WithLogicalLocations([]*sarif.LogicalLocation{sarif.NewLogicalLocation().WithFullyQualifiedName(name)})
	}
	return at
}

// describe fills in a rule. GitHub: security-severity, a number as text, decides how an alert is ranked.
func describe(d *sarif.ReportingDescriptor, title, text string, severity tidewaiter.Severity, score float64, tag string) {
	if text == "" {
		text = title
	}
	if score == 0 {
		score = typicalScore(severity)
	}
	d.WithName(title)
	d.WithShortDescription(sarif.NewMultiformatMessageString().WithText(title))
	d.WithFullDescription(sarif.NewMultiformatMessageString().WithText(text))
	d.WithDefaultConfiguration(sarif.NewReportingConfiguration().WithLevel(level(severity)))
	d.WithProperties(sarif.NewPropertyBag().Add("security-severity", strconv.FormatFloat(score, 'f', 1, 64)).
		Add("precision", "very-high").WithTags([]string{"security", tag, severity.String()}))
}

func level(s tidewaiter.Severity) string {
	switch {
	case s >= tidewaiter.SeverityHigh:
		return "error"
	case s == tidewaiter.SeverityMedium:
		return "warning"
	}
	return "note"
}

// typicalScore stands in for a score nobody gave: within the range CVSS has for the severity.
func typicalScore(s tidewaiter.Severity) float64 {
	switch s {
	case tidewaiter.SeverityCritical:
		return 9.5
	case tidewaiter.SeverityHigh:
		return 8
	case tidewaiter.SeverityMedium:
		return 5.5
	case tidewaiter.SeverityLow:
		return 2
	}
	return 0
}

// link returns an address if it is one for the web, so that no viewer is led elsewhere.
func link(s string) string {
	u, err := url.Parse(s)
	if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" {
		return ""
	}
	return u.String()
}
