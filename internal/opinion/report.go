package opinion

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"io"
	"math"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/tidewaiter/tidewaiter/internal/oci"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// The bounds of a report.
const (
	MaxFindings     = 20_000  // that are kept; a report with more is marked
	maxElements     = 500_000 // that are looked at
	maxIDLength     = 128
	maxFieldLength  = 256
	maxLinkLength   = 512
	maxLinksLooked  = 200
	maxReportFields = 64
)

type reportHead struct {
	generatedAt time.Time
	digest      string
	scanner     reportScanner
	listed      bool // the report lists vulnerabilities, be it none
}

type reportScanner struct {
	Name    string `json:"name"`
	Vendor  string `json:"vendor"`
	Version string `json:"version"`
}

type reportFinding struct {
	ID         string   `json:"id"`
	Package    string   `json:"package"`
	Version    string   `json:"version"`
	FixVersion string   `json:"fix_version"`
	Severity   string   `json:"severity"`
	Links      []string `json:"links"`
	CVSS       *struct {
		V3 *float64 `json:"score_v3"`
		V2 *float64 `json:"score_v2"`
	} `json:"preferred_cvss"`
}

// parseReport reads a report on the image with a digest: its head, and the findings, each once, the worst first. ErrMalformed for what is
// no report, or is one on another image: it must not pass for one that found nothing.
func parseReport(body []byte, digest string, now time.Time) (tidewaiter.OpinionReport, []tidewaiter.OpinionFinding, error) {
	head, found, cut, err := readReport(body)
	switch {
	case err != nil:
		return tidewaiter.OpinionReport{}, nil, err
	case !head.listed:
		return tidewaiter.OpinionReport{}, nil, malformed("it lists no vulnerabilities")
	case head.digest != "" && head.digest != digest:
		return tidewaiter.OpinionReport{}, nil, malformed("it is about another image, " + oci.CleanText(head.digest, maxQuote))
	}
	slices.SortFunc(found, func(a, b tidewaiter.OpinionFinding) int {
		return cmp.Or(cmp.Compare(b.Severity, a.Severity), cmp.Compare(a.Vulnerability, b.Vulnerability), cmp.Compare(a.Package, b.Package),
			cmp.Compare(a.Version, b.Version))
	})
	if len(found) > MaxFindings {
		found, cut = found[:MaxFindings], true
	}
	out := tidewaiter.OpinionReport{ScannerName: clean(head.scanner.Name), Vendor: clean(head.scanner.Vendor), Version: clean(head.scanner.Version),
		ReadAt: now, Findings: len(found), Cut: cut}
	if plausible(head.generatedAt, now) {
		out.GeneratedAt = head.generatedAt.UTC()
	}
	for _, f := range found {
		out.Counts.Add(f.Severity)
	}
	return out, found, nil
}

func malformed(why string) error {
	return tidewaiter.Errorf(tidewaiter.ErrMalformed, "the scanner's report cannot be used: %s", why).WithFix("see the scanner's log and its version")
}

// readReport goes through a report without holding more of it than one finding at a time.
func readReport(body []byte) (head reportHead, found []tidewaiter.OpinionFinding, cut bool, err error) {
	d := json.NewDecoder(bytes.NewReader(body))
	if err := expect(d, '{'); err != nil {
		return head, nil, false, err
	}
	for fields := 0; d.More(); fields++ {
		name, err := d.Token()
		if err != nil || fields > maxReportFields {
			return head, nil, false, malformed("it is no JSON that could be one")
		}
		switch name {
		case "generated_at":
			var at string
			if err := decode(d, &at); err != nil {
				return head, nil, false, err
			}
			head.generatedAt, _ = time.Parse(time.RFC3339, at) // for people: what is no time is none
		case "artifact":
			var of struct {
				Digest string `json:"digest"`
			}
			err = decode(d, &of)
			head.digest = of.Digest
		case "scanner":
			err = decode(d, &head.scanner)
		case "vulnerabilities":
			if head.listed {
				return head, nil, false, malformed("it lists vulnerabilities twice")
			}
			head.listed = true
			found, cut, err = readFindings(d)
		default:
			err = decode(d, new(json.RawMessage))
		}
		if err != nil {
			return head, nil, false, err
		}
	}
	if err := expect(d, '}'); err != nil {
		return head, nil, false, err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return head, nil, false, malformed("something follows it")
	}
	return head, found, cut, nil
}

func expect(d *json.Decoder, want json.Delim) error {
	if t, err := d.Token(); err != nil || t != want {
		return malformed("it is no JSON that could be one")
	}
	return nil
}

func decode(d *json.Decoder, v any) error {
	if err := d.Decode(v); err != nil {
		return malformed("a part of it is not what it should be")
	}
	return nil
}

// readFindings reads the list of vulnerabilities; null is an empty one.
func readFindings(d *json.Decoder) (found []tidewaiter.OpinionFinding, cut bool, err error) {
	switch t, err := d.Token(); {
	case err == nil && t == nil:
		return nil, false, nil
	case err != nil || t != json.Delim('['):
		return nil, false, malformed("its vulnerabilities are no list")
	}
	type key struct{ id, name, version string }
	seen := map[key]bool{}
	for n := 0; d.More(); n++ {
		var f reportFinding
		if err := decode(d, &f); err != nil {
			return nil, false, err
		}
		if n >= maxElements {
			return nil, false, tidewaiter.Errorf(tidewaiter.ErrTooLarge, "the scanner's report lists more than %d vulnerabilities", maxElements)
		}
		o, ok := f.finding()
		if k := (key{o.Vulnerability, o.Package, o.Version}); ok && !seen[k] {
			seen[k] = true
			found = append(found, o)
		}
		if len(found) >= 2*MaxFindings { // the worst are kept, in little more memory than they take
			slices.SortStableFunc(found, func(a, b tidewaiter.OpinionFinding) int { return cmp.Compare(b.Severity, a.Severity) })
			found, cut = slices.Delete(found, MaxFindings, len(found)), true
		}
	}
	return found, cut, expect(d, ']')
}

// finding brings a finding into our form; ok is false for one that names no vulnerability or no package.
func (f *reportFinding) finding() (_ tidewaiter.OpinionFinding, ok bool) {
	out := tidewaiter.OpinionFinding{
		Vulnerability: oci.CleanText(strings.TrimSpace(f.ID), maxIDLength), Package: oci.CleanText(strings.TrimSpace(f.Package), maxFieldLength),
		Version: oci.CleanText(strings.TrimSpace(f.Version), maxFieldLength), FixedIn: oci.CleanText(strings.TrimSpace(f.FixVersion), maxFieldLength),
	}
	out.Severity, _ = tidewaiter.ParseSeverity(f.Severity) // a word nobody knows is unknown
	if f.CVSS != nil {
		for _, score := range []*float64{f.CVSS.V3, f.CVSS.V2} {
			if score != nil && *score > 0 && *score <= 10 && out.Score == 0 {
				out.Score = math.Round(*score*10) / 10
			}
		}
	}
	links := f.Links[:min(len(f.Links), maxLinksLooked)]
	for _, l := range links {
		if u, err := url.Parse(l); err == nil && (u.Scheme == "https" || u.Scheme == "http") && u.Host != "" && len(l) <= maxLinkLength {
			out.Link = oci.CleanText(l, maxLinkLength)
			break
		}
	}
	if !isCVE(out.Vulnerability) {
		out.Alias = cveIn(links)
	}
	return out, out.Vulnerability != "" && out.Package != ""
}

var (
	cveName = regexp.MustCompile(`^CVE-[0-9]{4}-[0-9]{4,19}$`)
	// cveLink is the page of a CVE where every CVE has one.
	cveLink = regexp.MustCompile(`^https?://(?:nvd\.nist\.gov/vuln/detail|www\.cve\.org/CVERecord\?id=|cve\.mitre\.org/cgi-bin/cvename\.cgi\?name=)/?(CVE-[0-9]{4}-[0-9]{4,19})/?$`)
)

func isCVE(id string) bool { return cveName.MatchString(strings.ToUpper(id)) }

// cveIn returns the CVE that links name, "" when they name none or several: then they are about more than one vulnerability.
func cveIn(links []string) string {
	found := ""
	for _, l := range links {
		m := cveLink.FindStringSubmatch(l)
		if m == nil || m[1] == found {
			continue
		}
		if found != "" {
			return ""
		}
		found = m[1]
	}
	return found
}
