package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/tidewaiter/tidewaiter/internal/app"
	"github.com/tidewaiter/tidewaiter/internal/control"
	"github.com/tidewaiter/tidewaiter/internal/oci"
	"github.com/tidewaiter/tidewaiter/internal/report"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// scopeFlags say which repositories and tags count.
type scopeFlags struct {
	Repository     []string `help:"Repositories to take, as team/*; without it all." sep:"none" placeholder:"PATTERN"`
	Tag            []string `help:"Tags to take in them, as v*; without it all." sep:"none" placeholder:"PATTERN"`
	Exclude        []string `help:"Repositories to leave out." sep:"none" placeholder:"PATTERN"`
	ExcludeTag     []string `help:"Tags to leave out." sep:"none" placeholder:"PATTERN"`
	Newest         int      `help:"Take only so many of each repository, the most recent; 0 is all." default:"0" placeholder:"N"`
	VersionPattern string   `help:"Take only tags of this form, and order them by it." placeholder:"PATTERN"`
	MaxAge         int      `help:"Take only tags not older than so many days; 0 is any age." name:"max-age" default:"0" placeholder:"DAYS"`
}

func (f scopeFlags) scope() (tidewaiter.Scope, error) {
	s := tidewaiter.Scope{ExcludeRepositories: f.Exclude, ExcludeTags: f.ExcludeTag, Newest: f.Newest, VersionPattern: f.VersionPattern, MaxAgeDays: f.MaxAge}
	for _, r := range f.Repository {
		s.Select = append(s.Select, tidewaiter.Selector{Repository: r, Tags: f.Tag})
	}
	if len(f.Repository) == 0 && len(f.Tag) > 0 {
		s.Select = []tidewaiter.Selector{{Tags: f.Tag}}
	}
	return s, s.Validate()
}

// anyScope reports whether any of the flags is given.
func (f scopeFlags) anyScope() bool {
	return len(f.Repository)+len(f.Tag)+len(f.Exclude)+len(f.ExcludeTag)+f.Newest+f.MaxAge > 0 || f.VersionPattern != ""
}

type previewCommand struct {
	URL         string        `arg:"" name:"registry" help:"The registry: https://host[:port], or a bare host; with --server also the id or name of a declared one."`
	Limit       int           `help:"List the tags of at most so many repositories." default:"50" placeholder:"N"`
	ShowTags    int           `help:"Show at most so many tags of each repository." default:"5" placeholder:"N"`
	MaxRequests int           `help:"Make at most about so many requests." default:"500" placeholder:"N"`
	Time        time.Duration `help:"Take no longer than this." default:"60s"`
	After       string        `help:"Go on where an earlier preview was cut short." placeholder:"CURSOR"`
	Output      string        `help:"${enum}." enum:"table,json" default:"table" short:"o"`
	scopeFlags
	draftFlags
	serverToAsk
}

// Help gives an example.
func (previewCommand) Help() string {
	return `Asks the registry itself, reads only, stores nothing and needs no server. What is not looked at within the bounds is said.

With --server that server looks, at a declared registry with its stored credential or at a draft.

    tidewaiter registry preview https://harbor.example.com --kind harbor -u 'robot$scan' --password-stdin \
        --repository 'team/*' --exclude-tag '*-dev' --newest 5`
}

// Run shows each repository as soon as it is known.
func (c previewCommand) Run(ctx context.Context, s streams) error {
	scope, err := c.scope()
	if err != nil {
		return err
	}
	if c.Server != "" {
		return c.remote(ctx, s, scope)
	}
	client := oci.New(oci.Options{AllowLoopback: true, UserAgent: "tidewaiter/" + version})
	defer client.Close()
	d, err := c.open(ctx, s, client, c.URL)
	if err != nil {
		return err
	}
	d.registry.Scope = scope
	req := control.PreviewRequest{After: c.After, Limits: control.PreviewLimits{
		Repositories: c.Limit, Tags: c.ShowTags, Requests: c.MaxRequests, Time: c.Time,
	}}
	out := previewWriter(s.out, c.Output)
	sum, err := app.Previewer{Connections: d.connections}.Preview(ctx, d.registry, d.credential, d.secret, req, out.repository)
	if err != nil {
		return explained(err)
	}
	return out.summary(sum)
}

// previewOutput shows a preview while it comes in.
type previewOutput interface {
	repository(control.PreviewedRepository) error
	summary(control.PreviewSummary) error
}

func previewWriter(w io.Writer, format string) previewOutput {
	if format == "json" {
		return &previewJSON{w: w}
	}
	return &previewTable{w: w}
}

// previewJSON writes one document, {"repositories":[…],"summary":{…}}, piece by piece.
type previewJSON struct {
	w io.Writer
	n int
}

func (p *previewJSON) repository(r control.PreviewedRepository) error {
	lead := ",\n"
	if p.n == 0 {
		lead = `{"repositories":[` + "\n"
	}
	p.n++
	return p.write(lead, r, "")
}

func (p *previewJSON) summary(sum control.PreviewSummary) error {
	lead := "\n],\"summary\":"
	if p.n == 0 {
		lead = `{"repositories":[],"summary":`
	}
	return p.write(lead, sum, "}\n")
}

func (p *previewJSON) write(lead string, v any, tail string) error {
	b, err := json.Marshal(v)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(p.w, "%s%s%s", lead, b, tail)
	return err
}

// previewTable writes lines for people.
type previewTable struct {
	w io.Writer
	n int
}

func (p *previewTable) repository(r control.PreviewedRepository) error {
	if p.n == 0 {
		if _, err := fmt.Fprintf(p.w, "%-48s %13s  %s\n", "REPOSITORY", "TAGS", ""); err != nil {
			return err
		}
	}
	p.n++
	counted, what := "-", "left out: "+reasonText(r.Decision)
	switch {
	case r.Error != "":
		counted, what = "?", "FAILED: "+r.Error
	case r.Decision.Included:
		counted, what = fmt.Sprintf("%d of %d", r.TagsSelected, r.TagsSeen), tagsText(r)
	}
	_, err := fmt.Fprintf(p.w, "%-48s %13s  %s\n", report.Visible(r.Name), counted, report.Visible(what))
	return err
}

// reasonText says why something is in or out: "repository_excluded (team/old*)".
func reasonText(d tidewaiter.Decision) string {
	if d.Detail == "" {
		return string(d.Reason)
	}
	return string(d.Reason) + " (" + d.Detail + ")"
}

func tagsText(r control.PreviewedRepository) string {
	var names []string
	for _, t := range r.Tags {
		if t.Decision.Included {
			names = append(names, t.Name)
		}
	}
	text := strings.Join(names, ", ")
	if len(names) < r.TagsSelected {
		text += ", …"
	}
	if out := countsText(r.LeftOut); out != "" {
		text += "  (left out: " + out + ")"
	}
	if r.CutShort != "" {
		text += "  (cut short " + r.CutShort + ")"
	}
	return strings.TrimSpace(text)
}

// countsText shows counts by what they count, in its order: "not_newest 3, tag_pattern 12".
func countsText[K ~string](counts map[K]int) string {
	var parts []string
	for _, key := range slices.Sorted(maps.Keys(counts)) {
		parts = append(parts, fmt.Sprintf("%s %d", key, counts[key]))
	}
	return strings.Join(parts, ", ")
}

func (p *previewTable) summary(s control.PreviewSummary) error {
	var b strings.Builder
	line := func(name, format string, args ...any) {
		fmt.Fprintf(&b, "%-14s "+format+"\n", append([]any{name}, args...)...)
	}
	b.WriteString("\n")
	line("repositories", "%d selected of %d%s", s.RepositoriesSelected, s.Repositories, leftOut(s.RepositoriesLeftOut))
	line("tags", "%d selected of %d, in %d repositories%s", s.TagsSelected, s.Tags, s.RepositoriesListed, leftOut(s.TagsLeftOut))
	if s.RepositoriesFailed > 0 {
		line("failed", "%d repositories could not be listed", s.RepositoriesFailed)
	}
	line("requests", "%s for this preview", costText(s.Requests))
	line("first scan", "%s to list", costText(s.FirstPass))
	line("next scan", "%s to list, when nothing changed", costText(s.SecondPass))
	if s.Rotation > 0 {
		line("", "and %d more within %s, to ask known tags where they point", s.Rotation, s.RotationWithin)
	}
	for _, note := range s.Notes {
		line("note", "%s", note)
	}
	if s.CutShort != "" {
		line("CUT SHORT", "%s: what is said here is not the whole registry", s.CutShort)
	}
	if s.Next != "" {
		line("go on with", "--after=%s", s.Next)
	}
	_, err := io.WriteString(p.w, b.String())
	return err
}

func leftOut(counts map[tidewaiter.Reason]int) string {
	if len(counts) == 0 {
		return ""
	}
	return " (left out: " + countsText(counts) + ")"
}

// costText shows a number of requests and what for: "at least 120 (login 1, repositories 2, tags 117)".
func costText(c control.Cost) string {
	text := fmt.Sprint(c.Requests)
	switch {
	case c.AtLeast:
		text = "at least " + text
	case c.Estimated:
		text = "about " + text
	}
	if by := countsText(c.By); by != "" {
		text += " (" + by + ")"
	}
	return text
}
