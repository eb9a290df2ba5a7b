package tidewaiter

import (
	"cmp"
	"regexp"
	"strings"
)

// VersionPattern picks the newest tags by their names alone, without asking the registry for dates. Prisma: tokens %d
// (digits) and %Y %M %D %H %m %s (year, month, day, hour, minute, second), wildcards allowed; tags that do not conform
// are ignored; where a tag holds both a date and a version, the date wins. Ours: numbers are compared left to right.
type VersionPattern struct {
	re     *regexp.Regexp
	tokens []byte // the token of each group, in order
}

const dateTokens = "YMDHms" // most significant first

var tokenExpr = map[byte]string{
	'd': `(\d+)`, 'Y': `(\d{4})`, 'M': `(\d{1,2})`, 'D': `(\d{1,2})`, 'H': `(\d{1,2})`, 'm': `(\d{1,2})`, 's': `(\d{1,2})`,
}

// ParseVersionPattern reads a pattern such as "*-%d.%d.%d" or "%Y-%M-%D". It returns nil for an empty one and an
// ErrInvalid on field "versionPattern" for an unknown token or a pattern over 256 characters.
func ParseVersionPattern(s string) (*VersionPattern, error) {
	if s == "" {
		return nil, nil
	}
	if len(s) > 256 {
		return nil, Invalid("versionPattern", "the version pattern is longer than 256 characters")
	}
	var expr strings.Builder
	var tokens []byte
	expr.WriteString(`(?is)^`)
	for i := 0; i < len(s); i++ {
		switch s[i] {
		case '*':
			expr.WriteString(`.*?`)
		case '%':
			i++
			if i == len(s) || tokenExpr[s[i]] == "" {
				return nil, Invalid("versionPattern", "unknown token in version pattern %q", s).
					WithFix("use %%d for a number, %%Y %%M %%D %%H %%m %%s for a date, * for anything")
			}
			expr.WriteString(tokenExpr[s[i]])
			tokens = append(tokens, s[i])
		default:
			expr.WriteString(regexp.QuoteMeta(s[i : i+1]))
		}
	}
	expr.WriteString(`$`)
	re, err := regexp.Compile(expr.String())
	if err != nil {
		return nil, Invalid("versionPattern", "version pattern %q cannot be used", s)
	}
	return &VersionPattern{re: re, tokens: tokens}, nil
}

// Key returns what a tag sorts by, and false when the tag does not conform.
func (v *VersionPattern) Key(tag string) (VersionKey, bool) {
	m := v.re.FindStringSubmatch(tag)
	if m == nil {
		return VersionKey{}, false
	}
	var k VersionKey
	for i, token := range v.tokens {
		n := strings.TrimLeft(m[i+1], "0")
		if at := strings.IndexByte(dateTokens, token); at >= 0 {
			k.date[at] = n
		} else {
			k.numbers = append(k.numbers, n)
		}
	}
	return k, true
}

// VersionKey is what a tag's name says about its age.
type VersionKey struct {
	date    [len(dateTokens)]string // decimal digits without leading zeros
	numbers []string
}

// Compare orders keys from old to new: by date first, then number by number.
func (k VersionKey) Compare(o VersionKey) int {
	for i := range k.date {
		if c := compareDigits(k.date[i], o.date[i]); c != 0 {
			return c
		}
	}
	for i := range min(len(k.numbers), len(o.numbers)) {
		if c := compareDigits(k.numbers[i], o.numbers[i]); c != 0 {
			return c
		}
	}
	return cmp.Compare(len(k.numbers), len(o.numbers))
}

// compareDigits compares decimal numbers of any length without leading zeros.
func compareDigits(a, b string) int {
	return cmp.Or(cmp.Compare(len(a), len(b)), strings.Compare(a, b))
}
