package opinion

import (
	"mime"
	"slices"
)

// The media types of the API. The shapes are the same in all its versions: what is sent is what Harbor sends, and the newer version only to
// who refuses that.
const (
	baseMetadata = "application/vnd.scanner.adapter.metadata+json"
	baseRequest  = "application/vnd.scanner.adapter.scan.request+json"
	baseResponse = "application/vnd.scanner.adapter.scan.response+json"

	typeReport   = "application/vnd.security.vulnerability.report; version=1.1"
	typeReport10 = "application/vnd.scanner.adapter.vuln.report.harbor+json; version=1.0"
	typeSBOM     = "application/vnd.security.sbom.report+json; version=1.0"
)

func versions() []string { return []string{"; version=1.0", "; version=1.1"} }

// sameType compares media types with their versions, whatever their spacing, case and quotes.
func sameType(a, b string) bool {
	typeA, paramsA, errA := mime.ParseMediaType(a)
	typeB, paramsB, errB := mime.ParseMediaType(b)
	return errA == nil && errB == nil && typeA == typeB && paramsA["version"] == paramsB["version"]
}

// isType reports whether an answer is of a media type, in whatever version. Some adapters call everything plain JSON.
func isType(header string, bases ...string) bool {
	t, _, err := mime.ParseMediaType(header)
	return err == nil && (t == "application/json" || slices.Contains(bases, t))
}

// baseOf returns a media type without its version.
func baseOf(t string) string {
	base, _, err := mime.ParseMediaType(t)
	if err != nil {
		return t
	}
	return base
}
