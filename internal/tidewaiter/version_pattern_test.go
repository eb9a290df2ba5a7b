package tidewaiter_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// newestFirst sorts the tags that conform to the pattern.
func newestFirst(t *testing.T, pattern string, tags ...string) []string {
	t.Helper()
	p, err := tidewaiter.ParseVersionPattern(pattern)
	if err != nil {
		t.Fatal(err)
	}
	keys := map[string]tidewaiter.VersionKey{}
	var conform []string
	for _, tag := range tags {
		if k, ok := p.Key(tag); ok {
			keys[tag] = k
			conform = append(conform, tag)
		}
	}
	slices.SortFunc(conform, func(a, b string) int { return keys[b].Compare(keys[a]) })
	return conform
}

func TestVersionPatternOrders(t *testing.T) {
	for _, c := range []struct {
		pattern    string
		tags, want []string
	}{
		{"%d.%d.%d", []string{"1.2.3", "1.10.0", "1.9.9", "latest", "1.2"}, []string{"1.10.0", "1.9.9", "1.2.3"}},
		{"*-%d.%d.%d", []string{"api-1.0.0", "web-2.0.0", "3.0.0"}, []string{"web-2.0.0", "api-1.0.0"}},
		{"v%d", []string{"v9", "v10", "V11"}, []string{"V11", "v10", "v9"}},
		{"*%d", []string{"build12", "build9"}, []string{"build12", "build9"}},
		{"%Y-%M-%D", []string{"2024-01-31", "2023-12-31", "24-01-31"}, []string{"2024-01-31", "2023-12-31"}},
		{"%D.%M.%Y", []string{"31.01.2024", "01.02.2024", "30.12.2023"}, []string{"01.02.2024", "31.01.2024", "30.12.2023"}},
		{"%d-%Y%M%D", []string{"9-20230101", "1-20240101", "2-20240101"}, []string{"2-20240101", "1-20240101", "9-20230101"}},
		{"%d", []string{"99999999999999999999999", "100000000000000000000000", "007"}, []string{"100000000000000000000000", "99999999999999999999999", "007"}},
	} {
		if diff := cmp.Diff(c.want, newestFirst(t, c.pattern, c.tags...)); diff != "" {
			t.Errorf("%s: %s", c.pattern, diff)
		}
	}
}

func TestVersionPatternErrors(t *testing.T) {
	for _, bad := range []string{"%", "%x", "1.%", strings.Repeat("a", 300)} {
		if _, err := tidewaiter.ParseVersionPattern(bad); tidewaiter.KindOf(err) != tidewaiter.ErrInvalid {
			t.Errorf("ParseVersionPattern(%.20q): %v", bad, err)
		}
	}
	if p, err := tidewaiter.ParseVersionPattern(""); p != nil || err != nil {
		t.Errorf("empty pattern: %v, %v", p, err)
	}
}

func TestVersionKeyOrderIsTotal(t *testing.T) {
	p, err := tidewaiter.ParseVersionPattern("%d.%d*")
	if err != nil {
		t.Fatal(err)
	}
	rapid.Check(t, func(t *rapid.T) {
		key := func(label string) tidewaiter.VersionKey {
			k, _ := p.Key(rapid.StringMatching(`[0-9]{1,3}\.[0-9]{1,3}`).Draw(t, label))
			return k
		}
		a, b, c := key("a"), key("b"), key("c")
		if a.Compare(b) != -b.Compare(a) {
			t.Fatal("not antisymmetric")
		}
		if a.Compare(b) <= 0 && b.Compare(c) <= 0 && a.Compare(c) > 0 {
			t.Fatal("not transitive")
		}
	})
}

func FuzzVersionPattern(f *testing.F) {
	f.Add("*-%d.%d.%d", "api-1.2.3")
	f.Add("%Y-%M-%D", "2024-01-31")
	f.Fuzz(func(t *testing.T, pattern, tag string) {
		p, err := tidewaiter.ParseVersionPattern(pattern)
		if err != nil || p == nil {
			return
		}
		if k, ok := p.Key(tag); ok && k.Compare(k) != 0 {
			t.Errorf("%q under %q is not equal to itself", tag, pattern)
		}
	})
}
