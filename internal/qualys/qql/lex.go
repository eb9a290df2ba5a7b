package qql

import (
	"strings"

	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// scanner reads a filter from left to right.
type scanner struct {
	text string
	at   int
}

func fault(format string, args ...any) error {
	return tidewaiter.Invalid("filter", format, args...).WithFix(`write it as token:value, for example repo.repository:"team/app"`)
}

func (s *scanner) space() {
	for s.at < len(s.text) && isSpace(s.text[s.at]) {
		s.at++
	}
}

func (s *scanner) peek() byte {
	if s.at < len(s.text) {
		return s.text[s.at]
	}
	return 0
}

func (s *scanner) done() bool { return s.at >= len(s.text) }

// take moves over a text if it comes next.
func (s *scanner) take(text string) bool {
	if strings.HasPrefix(s.text[s.at:], text) {
		s.at += len(text)
		return true
	}
	return false
}

// word moves over a word, in any case, if it comes next and ends there.
func (s *scanner) word(word string) bool {
	end := s.at + len(word)
	if end > len(s.text) || !strings.EqualFold(s.text[s.at:end], word) || end < len(s.text) && isName(s.text[end]) {
		return false
	}
	s.at = end
	return true
}

// name reads a token's name, "" when there is none.
func (s *scanner) name() string {
	start := s.at
	for s.at < len(s.text) && isName(s.text[s.at]) {
		s.at++
	}
	return s.text[start:s.at]
}

// bare reads a value without quotes. In a range it ends at "..".
func (s *scanner) bare(inRange bool) string {
	start := s.at
	for s.at < len(s.text) {
		c := s.text[s.at]
		if isSpace(c) || strings.IndexByte("()[],\"`", c) >= 0 || inRange && strings.HasPrefix(s.text[s.at:], "..") {
			break
		}
		s.at++
	}
	return s.text[start:s.at]
}

// quoted reads up to the closing quote. A backslash takes the next character as it is.
func (s *scanner) quoted(quote byte) (string, error) {
	var b strings.Builder
	for s.at++; s.at < len(s.text); s.at++ {
		switch c := s.text[s.at]; {
		case c == quote:
			s.at++
			return b.String(), nil
		case c == '\\' && s.at+1 < len(s.text):
			s.at++
			b.WriteByte(s.text[s.at])
		default:
			b.WriteByte(c)
		}
	}
	return "", fault("the quote %c is not closed", quote)
}

func isSpace(c byte) bool { return c == ' ' || c == '\t' || c == '\n' || c == '\r' }

func isName(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '.' || c == '_'
}
