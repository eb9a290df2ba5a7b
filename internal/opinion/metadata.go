package opinion

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"time"

	"github.com/tidewaiter/tidewaiter/internal/oci"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// The bounds of what a scanner may say of itself.
const (
	maxNames        = 32 // capabilities, and media types of each sort
	maxNameLength   = 128
	propertyPrefix  = "harbor.scanner-adapter/"
	ofVulnerability = "vulnerability"
	ofSBOM          = "sbom"
)

type metadataAnswer struct {
	Scanner *struct {
		Name    string `json:"name"`
		Vendor  string `json:"vendor"`
		Version string `json:"version"`
	} `json:"scanner"`
	Capabilities []struct {
		Type     string   `json:"type"`
		Consumes []string `json:"consumes_mime_types"`
		Produces []string `json:"produces_mime_types"`
	} `json:"capabilities"`
	Properties map[string]any `json:"properties"`
}

// metadata asks a scanner what it is and can do. ErrUnsupported when it makes no report that is known here.
func (c *client) metadata(ctx context.Context) (tidewaiter.ScannerAbout, error) {
	var a *answer
	for _, version := range versions() {
		var err error
		if a, err = c.do(ctx, http.MethodGet, "/api/v1/metadata", http.Header{"Accept": {baseMetadata + version}}, nil, maxAnswer, shortTime); err != nil {
			return tidewaiter.ScannerAbout{}, err
		}
		if a.status != http.StatusNotAcceptable {
			break
		}
	}
	if a.status != http.StatusOK {
		return tidewaiter.ScannerAbout{}, c.refused("what it is", a)
	}
	if t := a.header.Get("Content-Type"); !isType(t, baseMetadata) {
		return tidewaiter.ScannerAbout{}, tidewaiter.Errorf(tidewaiter.ErrUnsupported, "what is at %s says what it is as %q, and not as a scanner does", c.base.Host, oci.CleanText(t, maxQuote)).
			WithFix("give the address that Harbor would be given: what comes before /api/v1/metadata")
	}
	about, err := parseMetadata(a.body, c.now())
	if e, ok := errors.AsType[*tidewaiter.Error](err); ok {
		e.Msg = "the scanner at " + c.base.Host + " " + e.Msg
	}
	return about, err
}

// parseMetadata reads what a scanner says of itself.
func parseMetadata(body []byte, now time.Time) (tidewaiter.ScannerAbout, error) {
	var in metadataAnswer
	if err := json.Unmarshal(body, &in); err != nil || in.Scanner == nil {
		return tidewaiter.ScannerAbout{}, tidewaiter.Errorf(tidewaiter.ErrMalformed, "does not say what it is in the way of scanners")
	}
	out := tidewaiter.ScannerAbout{Name: clean(in.Scanner.Name), Vendor: clean(in.Scanner.Vendor), Version: clean(in.Scanner.Version), CheckedAt: now}
	property := func(name string) string {
		text, _ := in.Properties[propertyPrefix+name].(string)
		return clean(text)
	}
	out.WantsLogin = property("registry-authorization-type")
	if at, err := time.Parse(time.RFC3339, property("vulnerability-database-updated-at")); err == nil && plausible(at, now) {
		out.DatabaseAt = at.UTC()
	}
	for _, capability := range in.Capabilities[:min(len(in.Capabilities), maxNames)] {
		switch capability.Type {
		case ofVulnerability, "": // before 1.2 of the API there are no types
			out.Typed = out.Typed || capability.Type != ""
			out.Consumes = appendClean(out.Consumes, capability.Consumes)
			out.Reports = appendClean(out.Reports, capability.Produces)
			out.SBOM = out.SBOM || has(capability.Produces, typeSBOM)
		case ofSBOM:
			out.Typed, out.SBOM = true, true
		}
	}
	if _, ok := reportOf(out); !ok {
		return out, tidewaiter.Errorf(tidewaiter.ErrUnsupported, "makes no report on vulnerabilities that is known here").
			WithFix("it has to make %s or %s", typeReport, typeReport10)
	}
	return out, nil
}

// reportOf chooses the best report a scanner makes.
func reportOf(about tidewaiter.ScannerAbout) (string, bool) {
	for _, t := range []string{typeReport, typeReport10} {
		if has(about.Reports, t) {
			return t, true
		}
	}
	return "", false
}

func has(list []string, mediaType string) bool {
	for _, t := range list {
		if sameType(t, mediaType) {
			return true
		}
	}
	return false
}

func appendClean(to, names []string) []string {
	for _, n := range names {
		if n = clean(n); n != "" && len(to) < maxNames {
			to = append(to, n)
		}
	}
	return to
}

func clean(s string) string { return oci.CleanText(s, maxNameLength) }

// plausible reports whether a time that a stranger names can be meant.
func plausible(at, now time.Time) bool {
	return at.Year() >= 2000 && at.Before(now.Add(7*24*time.Hour))
}
