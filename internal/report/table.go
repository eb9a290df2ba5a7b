package report

import (
	"bytes"
	"fmt"
	"io"
	"strconv"
	"strings"

	"charm.land/lipgloss/v2"
	"charm.land/lipgloss/v2/table"

	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// Table writes a report for people: the verdict and its reasons, then vulnerabilities by kind of package, secrets, failed
// checks and notices, each gravest first. With Options.Color it draws lines and colours for a terminal; without, it writes
// plain columns. Tables are no wider than Options.Width, down to narrowest columns.
func Table(w io.Writer, r *tidewaiter.Result, o Options) error {
	t := &tableWriter{source: prepare(r, o)}
	t.heading()
	t.verdict()
	t.vulnerabilities()
	t.secretsTable()
	t.checksTable()
	t.noticesList()
	if _, err := w.Write(t.out.Bytes()); err != nil {
		return fmt.Errorf("write the table: %w", err)
	}
	return nil
}

type tableWriter struct {
	*source
	out bytes.Buffer
}

func (t *tableWriter) linef(format string, args ...any) { fmt.Fprintf(&t.out, format+"\n", args...) }

// sectionf starts a part of the report with an empty line and a title.
func (t *tableWriter) sectionf(format string, args ...any) {
	title := fmt.Sprintf(format, args...)
	if t.Color {
		title = lipgloss.NewStyle().Bold(true).Render(title)
	}
	t.linef("\n%s", title)
}

func (t *tableWriter) heading() {
	name := Visible(t.Reference)
	if t.Color {
		name = lipgloss.NewStyle().Bold(true).Render(name)
	}
	t.linef("%s", name)
	if t.image.Digest != "" && t.Reference != t.image.Digest {
		t.linef("%s", Visible(t.image.Digest))
	}
	facts := []string{t.image.Platform.String()}
	if t.image.Size > 0 {
		facts = append(facts, size(t.image.Size))
	}
	if d := t.distribution; d != nil {
		name := d.PrettyName
		if name == "" {
			name = strings.TrimSpace(d.Family + " " + d.Release)
		}
		if t.judgement.EndOfLife {
			name += " (end of life: no more security updates)"
		}
		facts = append(facts, Visible(name))
	}
	facts = append(facts, count(len(t.packages), "package"))
	t.linef("%s", strings.Join(facts, ", "))
}

func (t *tableWriter) verdict() {
	v := t.judgement.Verdict
	if v.Effect == "" {
		return
	}
	word := map[tidewaiter.Effect]string{tidewaiter.EffectBlock: "BLOCK", tidewaiter.EffectAlert: "ALERT", tidewaiter.EffectIgnore: "PASS"}[v.Effect]
	if t.Color {
		word = verdictStyle(v.Effect).Render(word)
	}
	t.sectionf("Verdict: %s", word)
	if v.Blocks+v.Alerts > 0 {
		t.linef("%d blocking, %d alerting", v.Blocks, v.Alerts)
	}
	if len(v.Rules) > 0 {
		t.linef("by %s", Visible(strings.Join(v.Rules, "; ")))
	}
	rows := make([][]string, 0, len(v.Reasons))
	severities := make([]tidewaiter.Severity, 0, len(v.Reasons))
	for _, r := range v.Reasons {
		what := r.Vulnerability
		switch {
		case r.Check != 0:
			what = "check " + strconv.Itoa(r.Check)
		case r.License != "":
			what = "licence " + r.License
		}
		rows = append(rows, []string{r.Severity.String(), string(r.Effect), what, r.Package, r.Why})
		severities = append(severities, r.Severity)
	}
	t.table([]string{"Severity", "Effect", "What", "Package", "Why"}, rows, severities)
}

func (t *tableWriter) vulnerabilities() {
	counts, fixable := t.counts()
	if len(t.findings) == 0 {
		t.sectionf("Vulnerabilities: none")
		return
	}
	t.sectionf("Vulnerabilities: %s; %d with a fix", breakdown(counts), fixable)
	groups := make(map[string][]*finding)
	var order []string
	for _, in := range t.packages { // the packages' order: the distribution's first
		if g := group(in.Package); groups[g] == nil {
			groups[g] = []*finding{}
			order = append(order, g)
		}
	}
	for i := range t.findings {
		g := group(t.findings[i].installed.Package)
		groups[g] = append(groups[g], &t.findings[i])
	}
	for _, g := range order {
		if len(groups[g]) > 0 {
			t.group(g, groups[g])
		}
	}
}

// group names the kind of package a vulnerability is listed under.
func group(p *tidewaiter.Package) string {
	if p.Ecosystem.OS() {
		return strings.TrimSpace(p.Distribution.Family+" "+p.Distribution.Release) + " packages"
	}
	return string(p.Ecosystem) + " packages"
}

func (t *tableWriter) group(name string, findings []*finding) {
	t.linef("\n%s: %d", Visible(strings.TrimSpace(name)), len(findings))
	place := !findings[0].installed.Package.Ecosystem.OS()
	head := []string{"Severity", "Vulnerability", "Package", "Installed", "Fixed in", "Title"}
	if place {
		head[5] = "Path"
	}
	rows := make([][]string, 0, len(findings))
	severities := make([]tidewaiter.Severity, 0, len(findings))
	for _, f := range findings {
		last := f.details.Title
		if place {
			last = f.installed.Path
		}
		fixed := f.FixedIn
		if fixed == "" && f.Status != "" {
			fixed = "(" + strings.ReplaceAll(f.Status, "_", " ") + ")"
		}
		rows = append(rows, []string{f.Severity.String(), f.Vulnerability, f.installed.Package.Name, f.installed.Package.FullVersion(), fixed, last})
		severities = append(severities, f.Severity)
	}
	t.table(head, rows, severities)
}

func (t *tableWriter) secretsTable() {
	if len(t.secrets) == 0 {
		t.sectionf("Secrets: none")
		return
	}
	t.sectionf("Secrets: %d", len(t.secrets))
	var rows [][]string
	var severities []tidewaiter.Severity
	for _, s := range t.secrets {
		place := s.Path
		if s.StartLine > 0 {
			place += ":" + strconv.Itoa(s.StartLine)
		}
		rows = append(rows, []string{s.Severity.String(), s.Title, place, s.Match})
		severities = append(severities, s.Severity)
	}
	t.table([]string{"Severity", "Secret", "Place", "Match"}, rows, severities)
}

func (t *tableWriter) checksTable() {
	var rows [][]string
	var severities []tidewaiter.Severity
	for _, c := range t.checks {
		if !c.Passed {
			rows = append(rows, []string{c.Severity.String(), strconv.Itoa(c.ID), c.Title, c.Cause})
			severities = append(severities, c.Severity)
		}
	}
	if len(t.checks) == 0 {
		return
	}
	t.sectionf("Checks: %d of %d failed", len(rows), len(t.checks))
	t.table([]string{"Severity", "Check", "Title", "Cause"}, rows, severities)
}

func (t *tableWriter) noticesList() {
	if len(t.notices) == 0 {
		return
	}
	t.sectionf("Incomplete: %s", count(len(t.notices), "notice"))
	for _, n := range t.notices {
		text := Visible(n.Text)
		if n.Path != "" {
			text = Visible(n.Path) + ": " + text
		}
		t.linef("%s", lipgloss.Wrap(text, max(t.Width, 0), ""))
	}
}

// table draws rows under a header; severities colour them.
func (t *tableWriter) table(head []string, rows [][]string, severities []tidewaiter.Severity) {
	if len(rows) == 0 {
		return
	}
	for _, row := range rows {
		for i := range row {
			row[i] = cell(row[i])
		}
	}
	draw := table.New().Headers(head...).Rows(rows...).StyleFunc(func(row, col int) lipgloss.Style {
		style := lipgloss.NewStyle().PaddingRight(2)
		if !t.Color {
			return style
		}
		style = lipgloss.NewStyle().Padding(0, 1)
		if row == table.HeaderRow {
			return style.Bold(true)
		}
		if col == 0 {
			return severityStyle(style, severities[row])
		}
		return style
	})
	if t.Color {
		draw.Border(lipgloss.RoundedBorder())
	} else {
		draw.BorderTop(false).BorderBottom(false).BorderLeft(false).BorderRight(false).BorderColumn(false).BorderHeader(false)
	}
	text := draw.String()
	if t.Width > 0 && lipgloss.Width(text) > t.Width {
		text = draw.Width(max(t.Width, narrowest)).String()
	}
	for l := range strings.Lines(text) {
		t.linef("%s", strings.TrimRight(l, " \n"))
	}
}

// narrowest is the width below which columns are no longer squeezed.
const narrowest = 60
