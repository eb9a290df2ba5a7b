package opinion

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

const about = "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

var noon = time.Date(2026, 11, 3, 12, 0, 0, 0, time.UTC)

func TestReport(t *testing.T) {
	body := `{"generated_at":"2026-11-03T11:00:00+01:00","artifact":{"digest":"` + about + `","tag":null},"scanner":{"name":"A\u0007b","vendor":"V","version":"1"},
		"severity":"Critical","more":{"deep":[1,{}]},"vulnerabilities":[
		{"id":"CVE-2024-2","package":"b","version":"1","severity":"Low","preferred_cvss":null,"links":null,"layer":null,"cwe_ids":["x"],"vendor_attributes":{"a":{}}},
		{"id":"GHSA-1111-2222-3333","package":"a","version":"2","fix_version":"3","severity":"important","links":["javascript:x","https://x.example/1","https://nvd.nist.gov/vuln/detail/CVE-2024-3000"],
			"preferred_cvss":{"score_v3":null,"score_v2":6.44}},
		{"id":"GHSA-1111-2222-4444","package":"a","severity":"Of its own","links":["https://nvd.nist.gov/vuln/detail/CVE-2024-3000","https://nvd.nist.gov/vuln/detail/CVE-2024-4000"]},
		{"id":"CVE-2024-2","package":"b","version":"1","severity":"High"},{"id":"","package":"x"},{"id":"CVE-2024-9","package":" "}]}`
	head, found, err := parseReport([]byte(body), about, noon)
	if err != nil {
		t.Fatal(err)
	}
	want := []tidewaiter.OpinionFinding{
		{Vulnerability: "GHSA-1111-2222-3333", Alias: "CVE-2024-3000", Package: "a", Version: "2", FixedIn: "3", Severity: tidewaiter.SeverityHigh, Score: 6.4, Link: "https://x.example/1"},
		{Vulnerability: "CVE-2024-2", Package: "b", Version: "1", Severity: tidewaiter.SeverityLow},
		{Vulnerability: "GHSA-1111-2222-4444", Package: "a", Link: "https://nvd.nist.gov/vuln/detail/CVE-2024-3000"},
	}
	if !slices.Equal(found, want) {
		t.Errorf("%+v", found)
	}
	if strings.ContainsFunc(head.ScannerName, unicode.IsControl) || head.Findings != 3 || head.Cut || head.Counts.Total() != 3 || !head.GeneratedAt.Equal(noon.Add(-2*time.Hour)) {
		t.Errorf("%+v", head)
	}
}

func TestNoReport(t *testing.T) {
	for _, body := range []string{
		``, `null`, `[]`, `"x"`, `{}`, `{"vulnerabilities":{}}`, `{"vulnerabilities":[1]}`, `{"vulnerabilities":[null,`, `{"vulnerabilities":[]} {}`,
		`{"vulnerabilities":[],"vulnerabilities":[]}`, `{"vulnerabilities":[{"id":7}]}`, `{"artifact":7,"vulnerabilities":[]}`, `{"Vulnerabilities":[]}`,
		`{"artifact":{"digest":"sha256:ffff"},"vulnerabilities":[]}`, `{"vulnerabilities":` + strings.Repeat("[", 20_000),
		`{"a":` + strings.Repeat(`{"a":`, 20_000),
	} {
		if _, _, err := parseReport([]byte(body), about, noon); tidewaiter.KindOf(err) != tidewaiter.ErrMalformed {
			t.Errorf("%.60s: %v", body, err)
		}
	}
	for _, body := range []string{`{"vulnerabilities":null}`, `{"vulnerabilities":[]}`, ` {"vulnerabilities" : [ null ] } `} {
		if head, found, err := parseReport([]byte(body), about, noon); err != nil || head.Findings != 0 || len(found) != 0 || head.ReadAt.IsZero() {
			t.Errorf("%s: %+v %v", body, head, err)
		}
	}
}

// TestLongReport keeps the worst of more findings than are kept.
func TestLongReport(t *testing.T) {
	var b strings.Builder
	b.WriteString(`{"vulnerabilities":[`)
	const n = 3*MaxFindings + 10
	for i := range n {
		severity := "Low"
		if i%3 == 0 {
			severity = "Critical"
		}
		fmt.Fprintf(&b, `{"id":"CVE-2024-%06d","package":"p","version":"1","severity":%q},`, i, severity)
	}
	b.WriteString(`{"id":"CVE-1999-0001","package":"p","version":"1","severity":"Critical"}]}`)
	head, found, err := parseReport([]byte(b.String()), about, noon)
	if err != nil || !head.Cut || len(found) != MaxFindings || head.Findings != MaxFindings {
		t.Fatalf("%+v %d %v", head, len(found), err)
	}
	if head.Counts.Critical != MaxFindings {
		t.Errorf("%+v", head.Counts)
	}
	if found[0].Vulnerability != "CVE-1999-0001" {
		t.Errorf("the last of the list is lost: %+v", found[0])
	}
}

// FuzzReport makes sure that whatever a scanner sends is either refused or within bounds and fit to be shown.
func FuzzReport(f *testing.F) {
	f.Add([]byte(`{"vulnerabilities":[{"id":"CVE-2024-1","package":"a","version":"1","fix_version":"2","severity":"High","links":["https://x"],"preferred_cvss":{"score_v3":9.8}}]}`))
	f.Add([]byte(`{"generated_at":"x","scanner":{"name":"\u0000"},"artifact":null,"vulnerabilities":null}`))
	f.Add([]byte(`{"vulnerabilities":[{"id":"\ud800","package":"\u202e"}]}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		head, found, err := parseReport(body, about, noon)
		if err != nil {
			if kind := tidewaiter.KindOf(err); kind != tidewaiter.ErrMalformed && kind != tidewaiter.ErrTooLarge {
				t.Errorf("%v", err)
			}
			return
		}
		if head.Findings != len(found) || head.Counts.Total() != len(found) || len(found) > MaxFindings {
			t.Errorf("%+v, %d findings", head, len(found))
		}
		for _, o := range found {
			for _, s := range []string{o.Vulnerability, o.Alias, o.Package, o.Version, o.FixedIn, o.Link} {
				if len(s) > maxLinkLength || !utf8.ValidString(s) || strings.ContainsFunc(s, unicode.IsControl) {
					t.Errorf("%q", s)
				}
			}
			if o.Vulnerability == "" || o.Package == "" || o.Score < 0 || o.Score > 10 || o.Severity < 0 || o.Severity > tidewaiter.SeverityCritical {
				t.Errorf("%+v", o)
			}
		}
	})
}

// FuzzMetadata does the same with what a scanner says of itself.
func FuzzMetadata(f *testing.F) {
	f.Add([]byte(`{"scanner":{"name":"x"},"capabilities":[{"consumes_mime_types":["a"],"produces_mime_types":["` + typeReport + `"]}],"properties":{"harbor.scanner-adapter/vulnerability-database-updated-at":"2026-01-01T00:00:00Z"}}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		about, err := parseMetadata(body, noon)
		if err != nil {
			return
		}
		if _, ok := reportOf(about); !ok || len(about.Consumes) > maxNames || len(about.Name) > maxNameLength || strings.ContainsFunc(about.Name+about.Version, unicode.IsControl) {
			t.Errorf("%+v", about)
		}
	})
}
