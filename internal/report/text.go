package report

import (
	"fmt"
	"strconv"
	"strings"
	"unicode"

	"charm.land/lipgloss/v2"

	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// maxCell is the longest text shown in one cell of a table, in characters.
const maxCell = 160

// Visible makes foreign text fit for a terminal: on one line, and without the control and formatting characters that
// could move the cursor, change colours or reverse the direction of what follows. What is not UTF-8 is replaced, too.
func Visible(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case unicode.IsSpace(r):
			return ' '
		case !unicode.IsPrint(r):
			return unicode.ReplacementChar
		}
		return r
	}, s)
}

// cell makes foreign text fit for a cell of a table: visible, and not too long.
func cell(s string) string {
	s = Visible(s)
	n := 0
	for i := range s {
		if n == maxCell {
			return s[:i] + "…"
		}
		n++
	}
	return s
}

// count writes a number with its noun.
func count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return strconv.Itoa(n) + " " + noun + "s"
}

// size writes a number of bytes.
func size(n int64) string {
	const unit = 1000
	if n < unit {
		return fmt.Sprintf("%d B", n)
	}
	value, i := float64(n)/unit, 0
	for value >= unit && i < 4 {
		value /= unit
		i++
	}
	return fmt.Sprintf("%.1f %cB", value, "kMGTP"[i])
}

// breakdown writes counts by severity, leaving out those that do not occur.
func breakdown(c tidewaiter.Counts) string {
	var parts []string
	for _, s := range []struct {
		n    int
		name string
	}{{c.Critical, "critical"}, {c.High, "high"}, {c.Medium, "medium"}, {c.Low, "low"}, {c.Negligible, "negligible"}, {c.Unknown, "unknown"}} {
		if s.n > 0 {
			parts = append(parts, strconv.Itoa(s.n)+" "+s.name)
		}
	}
	return fmt.Sprintf("%d (%s)", c.Total(), strings.Join(parts, ", "))
}

// The colours are of the basic sixteen, which every terminal and theme has.
const (
	red     = "9"
	darkRed = "1"
	yellow  = "3"
	green   = "2"
	blue    = "4"
)

func severityStyle(style lipgloss.Style, s tidewaiter.Severity) lipgloss.Style {
	switch s {
	case tidewaiter.SeverityCritical:
		return style.Bold(true).Foreground(lipgloss.Color(red))
	case tidewaiter.SeverityHigh:
		return style.Foreground(lipgloss.Color(darkRed))
	case tidewaiter.SeverityMedium:
		return style.Foreground(lipgloss.Color(yellow))
	case tidewaiter.SeverityLow:
		return style.Foreground(lipgloss.Color(blue))
	}
	return style.Faint(true)
}

func verdictStyle(e tidewaiter.Effect) lipgloss.Style {
	style := lipgloss.NewStyle().Bold(true)
	switch e {
	case tidewaiter.EffectBlock:
		return style.Foreground(lipgloss.Color(red))
	case tidewaiter.EffectAlert:
		return style.Foreground(lipgloss.Color(yellow))
	}
	return style.Foreground(lipgloss.Color(green))
}
