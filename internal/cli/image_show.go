package cli

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/tidewaiter/tidewaiter/client"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

type imageShowCommand struct {
	Findings int `help:"Show at most so many findings; 0 is all." default:"20" placeholder:"N"`
	Changes  int `help:"Show at most so many of what changed last; 0 is all." default:"5" placeholder:"N"`
	namedImage
}

// imagePage is everything the page of an image shows, and what --output json prints.
type imagePage struct {
	Name client.ImageName `json:"name"` // as it was asked for
	client.ImageDetails
	Changes      []client.ImageChange `json:"changes"`
	Publications []client.Publication `json:"publications"`
}

// Run shows one image. In JSON every finding is there, whatever the limit.
func (c imageShowCommand) Run(ctx context.Context, s streams) error {
	server, err := c.client(s)
	if err != nil {
		return err
	}
	name, image, err := c.find(ctx, server)
	if err != nil {
		return err
	}
	details, err := server.Image(ctx, image.Digest)
	if err != nil {
		return refused(err)
	}
	p := imagePage{Name: *name, ImageDetails: *details}
	p.Changes, err = pages(c.Changes, func(limit int, after string) (*client.Page[client.ImageChange], error) {
		return server.ImageChanges(ctx, image.Digest, limit, after)
	})
	if err != nil {
		return refused(err)
	}
	publications, err := server.ImagePublications(ctx, image.Digest)
	if err != nil {
		return refused(err)
	}
	p.Publications = publications.Items
	if c.Output == "json" {
		return json.NewEncoder(s.out).Encode(p)
	}
	return p.write(s.out, c.Findings)
}

// write shows the page to people, section by section; one that has nothing to say is left out.
func (p *imagePage) write(w io.Writer, findings int) error {
	if err := p.facts().write(w); err != nil {
		return err
	}
	for _, section := range []struct {
		title string
		table *columns
	}{
		{"Why this verdict", p.reasons()},
		{fmt.Sprintf("Findings (%d)", len(p.Findings)), p.findings(findings)},
		{"Failed checks", p.checks()},
		{"Secrets", p.secrets()},
		{"What changed last", p.changes()},
		{"Pushed into registries", p.publications()},
		{"Left out of the analysis", p.notices()},
	} {
		if len(section.table.rows) < 2 {
			continue
		}
		sayf(w, "\n%s\n", section.title)
		if err := section.table.write(w); err != nil {
			return err
		}
	}
	return nil
}

// facts says what the image is and how it stands.
func (p *imagePage) facts() *columns {
	t := &columns{}
	fact := func(name, value string) {
		if value != "" {
			t.row(name, value)
		}
	}
	fact("image", p.Name.Name)
	for i := range p.Tags {
		tag := &p.Tags[i]
		seen := tag.Name + "  seen " + when(tag.FirstSeen) + " to " + when(tag.LastSeen)
		if !tag.GoneAt.IsZero() {
			seen += ", gone " + when(tag.GoneAt)
		}
		fact("name", seen)
	}
	fact("platform", p.Platform)
	for i := range p.Name.Images {
		if other := &p.Name.Images[i]; other.Digest != p.Digest {
			fact("other platform", other.Platform+"  "+other.Digest)
		}
	}
	fact("digest", p.Digest)
	fact("config", p.ConfigDigest)
	fact("size", fmt.Sprintf("%s in %d layers", size(p.Size), len(p.Layers)))
	fact("built", when(p.CreatedAt))
	fact("first seen", when(p.FirstSeen))
	if !p.Name.Current {
		fact("outdated", "the tag points to "+p.Name.Digest+" now, which is not judged yet")
	}
	if j := p.Judgement; j == nil {
		fact("state", p.State)
	} else {
		p.judged(j, fact)
	}
	fact("error", cmp.Or(p.Error, p.Name.Error))
	return t
}

// judged says how the image was judged.
func (p *imagePage) judged(j *client.Judgement, fact func(name, value string)) {
	v := j.Vulnerabilities
	system := j.Distribution
	if j.EndOfLife {
		system += " (gets no more updates)"
	}
	fact("system", system)
	fact("judged", when(j.JudgedAt)+" by advisories "+cmp.Or(j.Advisories, "none: nothing was looked up"))
	fact("packages", strconv.Itoa(j.Packages))
	fact("vulnerabilities", fmt.Sprintf("%d critical, %d high, %d medium, %d low, %d negligible, %d unknown; %d can be fixed",
		v.Critical, v.High, v.Medium, v.Low, v.Negligible, v.Unknown, j.Fixable))
	fact("risk factors", strings.Join(p.RiskFactors, ", "))
	fact("verdict", fmt.Sprintf("%s (%d blocked, %d alerted on) %s", j.Verdict.Effect, j.Verdict.Blocks, j.Verdict.Alerts, strings.Join(j.Verdict.Rules, ", ")))
}

func (p *imagePage) reasons() *columns {
	t := newColumns("EFFECT", "SEVERITY", "WHAT", "PACKAGE", "FIXED IN", "RULE", "WHY")
	if p.Judgement == nil {
		return t
	}
	for _, r := range p.Judgement.Verdict.Reasons {
		t.row(r.Effect, r.Severity, whatOf(r), r.Package, r.FixedIn, r.Rule, r.Why)
	}
	return t
}

// findings shows the gravest: by severity, then what is exploited, then what is likely to be.
func (p *imagePage) findings(limit int) *columns {
	t := newColumns("SEVERITY", "VULNERABILITY", "PACKAGE", "VERSION", "FIXED IN", "CVSS", "EPSS", "EXPLOITED", "FOUND", "TITLE")
	gravest := slices.Clone(p.Findings)
	slices.SortStableFunc(gravest, func(a, b client.Finding) int {
		return cmp.Or(cmp.Compare(severityRank(b.Severity), severityRank(a.Severity)), cmp.Compare(exploitation(b.KEV), exploitation(a.KEV)),
			cmp.Compare(likelihood(b.EPSS), likelihood(a.EPSS)), cmp.Compare(b.Score, a.Score), cmp.Compare(a.Vulnerability, b.Vulnerability))
	})
	if limit > 0 && len(gravest) > limit {
		gravest = gravest[:limit]
	}
	for i := range gravest {
		f := &gravest[i]
		t.row(f.Severity, f.Vulnerability, f.Package, f.Version, f.FixedIn, scoreText(f.Score), epssText(f.EPSS), exploitedText(f.KEV), when(f.FirstFound), shortened(f.Title, 60))
	}
	return t
}

func severityRank(name string) int {
	s, err := tidewaiter.ParseSeverity(name)
	if err != nil {
		return -1
	}
	return int(s)
}

func exploitation(k *client.KEV) int {
	if k == nil {
		return 0
	}
	return 1
}

func likelihood(e *client.EPSS) float64 {
	if e == nil {
		return 0
	}
	return e.Score
}

func (p *imagePage) checks() *columns {
	t := newColumns("SEVERITY", "CHECK", "TITLE", "CAUSE")
	for _, c := range p.Checks {
		if !c.Passed {
			t.row(c.Severity, strconv.Itoa(c.ID), c.Title, c.Cause)
		}
	}
	return t
}

func (p *imagePage) secrets() *columns {
	t := newColumns("SEVERITY", "SECRET", "WHERE", "LAYER", "MATCH")
	for _, s := range p.Secrets {
		where := s.Path
		if s.Line > 0 {
			where += ":" + strconv.Itoa(s.Line)
		}
		t.row(s.Severity, cmp.Or(s.Title, s.Rule), where, strconv.Itoa(s.Layer), shortened(s.Match, 60))
	}
	return t
}

func (p *imagePage) changes() *columns {
	t := newColumns("WHEN", "CAUSE", "VERDICT", "FINDINGS", "IN ALL")
	for i := range p.Changes {
		ch := &p.Changes[i]
		t.row(when(ch.At), ch.Cause, verdictChange(ch), countsChange(ch), strconv.Itoa(total(ch.After.Vulnerabilities)))
	}
	return t
}

func (p *imagePage) publications() *columns {
	t := newColumns("REPOSITORY", "KIND", "PUSHED", "MANIFEST", "ERROR")
	for i := range p.Publications {
		t.row(publicationCells(&p.Publications[i])...)
	}
	return t
}

func (p *imagePage) notices() *columns {
	t := newColumns("KIND", "PATH", "WHY")
	for _, n := range p.Notices {
		t.row(n.Kind, n.Path, n.Text)
	}
	return t
}

// size writes a number of bytes for people.
func size(n int64) string {
	if n < 1<<20 {
		return fmt.Sprintf("%.1f KiB", float64(n)/(1<<10))
	}
	return fmt.Sprintf("%.1f MiB", float64(n)/(1<<20))
}

// shortened cuts a text for a cell.
func shortened(s string, most int) string {
	if r := []rune(s); len(r) > most {
		return string(r[:most-1]) + "…"
	}
	return s
}
