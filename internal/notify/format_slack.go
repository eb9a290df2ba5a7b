package notify

import (
	"encoding/json"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// Slack's limits, and how much of them is used. A message over a limit is refused as a whole, and so are blocks of 13,000
// characters together, whatever the documents say.
const (
	slackHeader  = 150
	slackSection = 3000
	slackTotal   = 9000 // of all sections
	slackLines   = 15   // findings, names or errors; the rest is counted
	slackName    = 300
	slackValue   = 120
)

type slackMessage struct {
	Text   string       `json:"text"` // what notifications and old clients show
	Blocks []slackBlock `json:"blocks"`
}

type slackBlock struct {
	Type     string      `json:"type"`
	Text     *slackText  `json:"text,omitempty"`
	Elements []slackText `json:"elements,omitempty"`
}

type slackText struct {
	Type     string `json:"type"`
	Text     string `json:"text"`
	Emoji    *bool  `json:"emoji,omitempty"`    // of plain text: whether :smile: becomes a picture
	Verbatim *bool  `json:"verbatim,omitempty"` // of mrkdwn: whether names and addresses stay text
}

var slackHeaders = map[tidewaiter.Topic]string{
	tidewaiter.TopicScanFinished:      "Scan finished",
	tidewaiter.TopicFindingNew:        "New vulnerabilities",
	tidewaiter.TopicVerdictChanged:    "Verdict changed",
	tidewaiter.TopicRegistryFailing:   "Registry failing",
	tidewaiter.TopicRegistryRecovered: "Registry recovered",
	tidewaiter.TopicSummary:           "More changes",
	tidewaiter.TopicTest:              "Test",
}

// slack writes a message as an incoming webhook takes it: a header, what there is to say line by line, and the id.
//
// Names of images, packages and registries come from outside. They stand in code spans, where nothing is formatted, with
// the characters that begin a mention or a link written as entities, and nothing else of a message is from outside.
func slack(m *tidewaiter.WebhookMessage) (string, []byte, error) {
	off := false
	on := true
	lines := slackBody(m)
	out := slackMessage{
		Text:   slackEscape(clip(m.Title, slackName)),
		Blocks: []slackBlock{{Type: "header", Text: &slackText{Type: "plain_text", Text: clip(slackHeaders[m.Topic], slackHeader), Emoji: &off}}},
	}
	for _, text := range slackSections(lines) {
		out.Blocks = append(out.Blocks, slackBlock{Type: "section", Text: &slackText{Type: "mrkdwn", Text: text, Verbatim: &on}})
	}
	out.Blocks = append(out.Blocks, slackBlock{Type: "context", Elements: []slackText{{Type: "mrkdwn", Verbatim: &on,
		Text: m.Time.UTC().Format("2006-01-02 15:04:05 MST") + " · " + slackCode(m.ID, slackValue)}}})
	body, err := json.Marshal(out)
	return "application/json; charset=utf-8", body, err
}

// slackSections joins lines into texts that fit into a section each.
func slackSections(lines []string) []string {
	var out []string
	now, total := "", 0
	for i, line := range lines {
		if total += utf8.RuneCountInString(line) + 1; total > slackTotal {
			return append(append(out, now), "and "+plural(len(lines)-i, "more line"))
		}
		if now != "" && utf8.RuneCountInString(now)+1+utf8.RuneCountInString(line) > slackSection {
			out, now = append(out, now), ""
		}
		if now != "" {
			now += "\n"
		}
		now += line
	}
	if now != "" {
		out = append(out, now)
	}
	return out
}

// slackBody says what there is to say, in lines of less than slackSection characters.
func slackBody(m *tidewaiter.WebhookMessage) []string {
	var out []string
	add := func(format string, args ...any) { out = append(out, fmt.Sprintf(format, args...)) }
	d := &m.Data
	if r := d.Registry; r != nil {
		add("*Registry:* %s", slackCode(registryName(r), slackName))
	}
	if !d.Since.IsZero() {
		add("*Failing since:* %s", d.Since.UTC().Format("2006-01-02 15:04 MST"))
	}
	if s := d.Scan; s != nil {
		out = append(out, slackScan(s)...)
	}
	if i := d.Image; i != nil {
		out = append(out, slackImage(i)...)
	}
	if v := d.Verdict; v != nil {
		if v.Before == "" {
			add("*Verdict:* %s", v.After)
		} else if v.Before != v.After {
			add("*Verdict:* %s, before: %s", v.After, v.Before)
		}
	}
	if f := d.Findings; f != nil {
		out = append(out, slackFindings(f)...)
	}
	if s := d.Summary; s != nil {
		add("*%s* about images since %s, with %s: %s", plural(s.Messages, "more message"), s.From.UTC().Format("15:04 MST"),
			plural(s.Findings, "new finding"), countsText(s.Counts))
		if s.Verdicts > 0 {
			add("%s of verdicts", plural(s.Verdicts, "change"))
		}
		out = append(out, slackNames(s.Images, s.More, "message")...)
	}
	if w := d.Webhook; w != nil {
		add("This is a test of the webhook %s. It works.", slackCode(w.Name, slackName))
	}
	return out
}

func slackScan(s *tidewaiter.MessageScan) []string {
	out := []string{fmt.Sprintf("*Scan:* %s; images judged: %s of %s, failed: %s", s.State, thousands(s.ImagesDone), thousands(s.ImagesTotal),
		thousands(s.ImagesFailed))}
	if t := s.Target; t != nil {
		out = append(out, "*Of:* "+slackCode(targetName(t), slackName))
	}
	if s.Error != "" {
		out = append(out, "*Error:* "+slackCode(s.Error, slackName))
	}
	for i, e := range s.Errors {
		if i == slackLines {
			break
		}
		out = append(out, "• "+slackCode(e.Repository+": "+e.Text, slackName))
	}
	return out
}

func slackImage(i *tidewaiter.MessageImage) []string {
	out := []string{"*Image:* " + slackCode(i.Digest, slackValue) + " " + slackCode(i.Platform, slackValue)}
	return append(out, slackNames(i.Names, i.MoreNames, "name")...)
}

func slackNames(names []string, more int, noun string) []string {
	var out []string
	for _, name := range names[:min(len(names), slackLines)] {
		out = append(out, "• "+slackCode(name, slackName))
	}
	if more += max(0, len(names)-slackLines); more > 0 {
		out = append(out, "and "+plural(more, "more "+noun))
	}
	return out
}

func slackFindings(f *tidewaiter.MessageFindings) []string {
	atLeast := ""
	if f.AtLeast {
		atLeast = "at least "
	}
	out := []string{fmt.Sprintf("*Findings:* %s%s (%s)", atLeast, thousands(f.Total), countsText(f.Counts))}
	listed := min(len(f.List), slackLines)
	for _, v := range f.List[:listed] {
		line := fmt.Sprintf("• *%s* %s in %s", v.Severity, slackCode(v.Vulnerability, slackValue), slackCode(v.Package+" "+v.Version, slackValue))
		if v.FixedIn != "" {
			line += ", fixed in " + slackCode(v.FixedIn, slackValue)
		}
		out = append(out, line)
	}
	if more := f.Total - listed; more > 0 {
		out = append(out, "and "+plural(more, "more finding"))
	}
	return out
}

// slackCode puts text from outside into a code span. What Slack would take for the end of the span, or the beginning of
// a mention, is written otherwise.
func slackCode(s string, n int) string {
	s = strings.TrimSpace(strings.ReplaceAll(clip(s, n), "`", "'"))
	if s == "" {
		s = "-"
	}
	return "`" + slackEscape(s) + "`"
}

// slackEscape writes the three control characters of Slack's as entities.
func slackEscape(s string) string {
	return strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;").Replace(s)
}

// countsText writes the counts that are not nothing, the gravest first.
func countsText(c tidewaiter.Counts) string {
	var out []string
	for _, n := range []struct {
		n    int
		what tidewaiter.Severity
	}{{c.Critical, tidewaiter.SeverityCritical}, {c.High, tidewaiter.SeverityHigh}, {c.Medium, tidewaiter.SeverityMedium},
		{c.Low, tidewaiter.SeverityLow}, {c.Negligible, tidewaiter.SeverityNegligible}, {c.Unknown, tidewaiter.SeverityUnknown}} {
		if n.n > 0 {
			out = append(out, thousands(n.n)+" "+n.what.String())
		}
	}
	if len(out) == 0 {
		return "none"
	}
	return strings.Join(out, ", ")
}
