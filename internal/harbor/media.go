package harbor

import (
	"mime"
	"net/http"
	"slices"
	"strings"
)

// The media types of the API, as Harbor writes them. Later editions of the specification raise the version of some; the
// shapes used here are the same in 1.0, 1.1 and 1.2.
const (
	typeMetadata     = "application/vnd.scanner.adapter.metadata+json; version=1.0"
	typeMetadata11   = "application/vnd.scanner.adapter.metadata+json; version=1.1"
	typeScanRequest  = "application/vnd.scanner.adapter.scan.request+json; version=1.0"
	typeScanRequest1 = "application/vnd.scanner.adapter.scan.request+json; version=1.1"
	typeScanResponse = "application/vnd.scanner.adapter.scan.response+json; version=1.0"
	typeError        = "application/vnd.scanner.adapter.error+json; version=1.0"

	typeVulnerabilities   = "application/vnd.security.vulnerability.report; version=1.1"
	typeVulnerabilities10 = "application/vnd.scanner.adapter.vuln.report.harbor+json; version=1.0"
	typeSBOM              = "application/vnd.security.sbom.report+json; version=1.0"
)

// The forms of a bill of materials.
const (
	typeSPDX      = "application/spdx+json"
	typeCycloneDX = "application/vnd.cyclonedx+json"
)

// The manifests that can be scanned. Indexes are left out: Harbor then asks for each image of one, and shows each its own.
const (
	typeOCIManifest    = "application/vnd.oci.image.manifest.v1+json"
	typeDockerManifest = "application/vnd.docker.distribution.manifest.v2+json"
)

func manifestTypes() []string      { return []string{typeOCIManifest, typeDockerManifest} }
func vulnerabilityTypes() []string { return []string{typeVulnerabilities, typeVulnerabilities10} }
func sbomTypes() []string          { return []string{typeSBOM} }
func sbomForms() []string          { return []string{typeSPDX, typeCycloneDX} }
func reportTypes() []string        { return append(vulnerabilityTypes(), sbomTypes()...) }

// sameType compares media types with their parameters, whatever their spacing, case and quotes.
func sameType(a, b string) bool {
	typeA, paramsA, errA := mime.ParseMediaType(a)
	typeB, paramsB, errB := mime.ParseMediaType(b)
	return errA == nil && errB == nil && typeA == typeB && paramsA["version"] == paramsB["version"]
}

// oneOf returns the media type of the list that is the same as t, in the list's writing.
func oneOf(t string, list []string) (string, bool) {
	i := slices.IndexFunc(list, func(known string) bool { return sameType(t, known) })
	if i < 0 {
		return "", false
	}
	return list[i], true
}

// accepted returns the first media type a request accepts that is in the list; the list's first when it accepts anything.
func accepted(h http.Header, list []string) (string, bool) {
	anything := true
	for _, header := range h.Values("Accept") {
		for part := range strings.SplitSeq(header, ",") {
			if part = strings.TrimSpace(part); part == "" {
				continue
			}
			if t, _, _ := mime.ParseMediaType(part); t == "*/*" || t == "application/*" {
				return list[0], true
			}
			if known, ok := oneOf(part, list); ok {
				return known, true
			}
			anything = false
		}
	}
	return list[0], anything
}
