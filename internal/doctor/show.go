package doctor

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/tidewaiter/tidewaiter/internal/oci"
)

// Text returns the report for a terminal.
func (r *Report) Text() string {
	p := &printer{section: func(b *strings.Builder, title string) { fmt.Fprintf(b, "\n%s\n", strings.ToUpper(title)) },
		line: func(b *strings.Builder, name, value string) { fmt.Fprintf(b, "  %-18s %s\n", name, value) }}
	fmt.Fprintf(&p.b, "%s, looked at on %s%s\n", r.URL, r.At.Format(time.RFC3339), by(r.Version))
	r.print(p)
	return p.b.String()
}

// Markdown returns the report for a ticket.
func (r *Report) Markdown() string {
	p := &printer{section: func(b *strings.Builder, title string) { fmt.Fprintf(b, "\n### %s\n\n", title) },
		line: func(b *strings.Builder, name, value string) {
			fmt.Fprintf(b, "- %s%s\n", markdownName(name), escapeMarkdown(value))
		}}
	fmt.Fprintf(&p.b, "## Registry %s\n\nLooked at on %s%s.\n", escapeMarkdown(r.URL), r.At.Format(time.RFC3339), by(r.Version))
	r.print(p)
	return p.b.String()
}

func by(version string) string {
	if version == "" {
		return ""
	}
	return " by tidewaiter " + version
}

func markdownName(name string) string {
	if name == "" {
		return ""
	}
	return "**" + escapeMarkdown(name) + "**: "
}

// escapeMarkdown keeps what a stranger's text says from becoming markup.
func escapeMarkdown(s string) string {
	return strings.NewReplacer(`\`, `\\`, "`", "\\`", "*", `\*`, "_", `\_`, "<", "&lt;", ">", "&gt;", "[", `\[`, "]", `\]`, "|", `\|`, "#", `\#`, "@", "@\u200b").Replace(s)
}

type printer struct {
	b       strings.Builder
	section func(b *strings.Builder, title string)
	line    func(b *strings.Builder, name, value string)
}

func (p *printer) sayf(name, format string, args ...any) {
	p.line(&p.b, name, fmt.Sprintf(format, args...))
}

func (r *Report) print(p *printer) {
	r.printKind(p)
	r.printNetwork(p)
	p.section(&p.b, "Login")
	for _, c := range r.Login {
		p.sayf("offered", "%s%s%s", c.Scheme, with(" at ", c.Realm), with(" for ", c.Service))
	}
	p.sayf("as", "%s", cmp.Or(r.As, "nobody"))
	if r.Token != nil {
		p.sayf("tokens", "live %s, from %s", r.Token.Life, r.Token.From)
	}
	p.section(&p.b, "Rights")
	for _, right := range r.Rights {
		switch {
		case right.OK:
			p.sayf(right.Name, "yes%s%s", with(": ", right.Detail), with(", by ", right.By))
		case right.Untried:
			p.sayf(right.Name, "not tried: %s", right.Detail)
		default:
			p.sayf(right.Name, "NO: %s%s", right.Error, with("; ", right.Fix))
		}
	}
	r.printHabits(p)
	if len(r.Advice) > 0 {
		p.section(&p.b, "Advice")
		for _, a := range r.Advice {
			p.sayf("", "%s", a)
		}
	}
	r.printRequests(p)
}

func with(lead, text string) string {
	if text == "" {
		return ""
	}
	return lead + text
}

func (r *Report) printKind(p *printer) {
	p.section(&p.b, "Kind")
	if r.Kind.Kind == "" {
		p.sayf("kind", "no registry that is known")
		return
	}
	p.sayf("kind", "%s (%s), %s", r.Kind.Kind, r.Kind.Title, cmp.Or(r.Kind.Certainty, "as declared"))
	for _, why := range r.Kind.Because {
		p.sayf("because", "%s", why)
	}
	for _, name := range slices.Sorted(maps.Keys(r.Headers)) {
		p.sayf(name, "%s", r.Headers[name])
	}
}

func (r *Report) printNetwork(p *printer) {
	p.section(&p.b, "Network")
	if r.Network.Proxy != "" {
		p.sayf("proxy", "%s; what is behind it is not looked at one by one", r.Network.Proxy)
	}
	if r.Network.Error != "" {
		p.sayf("error", "%s", r.Network.Error)
	}
	for _, a := range r.Network.Addresses {
		if a.Connects {
			p.sayf(a.Family, "%s connects in %s", a.Address, a.Took.Round(time.Millisecond))
		} else {
			p.sayf(a.Family, "%s FAILED: %s", a.Address, a.Error)
		}
	}
	if s := r.Network.TLS; s != nil {
		trusted := "trusted"
		if !s.Trusted {
			trusted = "NOT TRUSTED: " + s.Error
		}
		p.sayf("TLS", "%s, %s", cmp.Or(s.Version, "no handshake"), trusted)
		for _, c := range s.Chain {
			p.sayf("certificate", "%s, signed by %s, until %s (%d days)", c.Subject, c.Issuer, c.NotAfter.Format(time.DateOnly), int(c.NotAfter.Sub(r.At).Hours()/24))
		}
	}
	if r.Clock != nil {
		p.sayf("clock", "%s ahead of this machine's", r.Clock.Ahead.Round(time.Second))
	}
}

func (r *Report) printHabits(p *printer) {
	p.section(&p.b, "Habits")
	for _, l := range r.Limits {
		p.sayf("limit", "%s: %s", l.Host, limitText(l.Rate))
	}
	if len(r.Limits) == 0 {
		p.sayf("limit", "no answer said any")
	}
	for _, pages := range r.Pages {
		what := fmt.Sprintf("answered %d", pages.Status)
		if pages.Status == 200 || pages.Largest > 0 {
			what = fmt.Sprintf("%d names on the first page", pages.Names)
		}
		if pages.Largest > 0 {
			what += fmt.Sprintf(", the largest page taken of those tried is %d", pages.Largest)
		}
		p.sayf(pages.List, "%s", strings.Join(append([]string{what}, pages.Quirks...), "; "))
	}
}

// limitText says what is known of a limit.
func limitText(r oci.Rate) string {
	var parts []string
	if r.Limit >= 0 {
		parts = append(parts, fmt.Sprintf("%d requests", r.Limit))
	}
	if r.Window > 0 {
		parts = append(parts, "in "+r.Window.String())
	}
	if r.Remaining >= 0 {
		parts = append(parts, fmt.Sprintf("%d left", r.Remaining))
	}
	if r.Reset > 0 {
		parts = append(parts, "renewed in "+r.Reset.Round(time.Second).String())
	}
	if r.RetryAfter > 0 {
		parts = append(parts, "asked to wait "+r.RetryAfter.Round(time.Second).String())
	}
	if len(parts) == 0 {
		return "fewer requests, it does not say how many"
	}
	return strings.Join(parts, ", ")
}

func (r *Report) printRequests(p *printer) {
	p.section(&p.b, "Requests")
	for _, a := range r.Asked {
		status := fmt.Sprint(a.Status)
		if a.Status == 0 {
			status = "no answer: " + a.Error
		}
		p.sayf(cmp.Or(a.Method, "remark"), "%s → %s in %s", a.URL, status, a.Took.Round(time.Millisecond))
	}
}
