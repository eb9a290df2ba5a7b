package report

import (
	"net/url"
	"strings"
)

// purl returns the package URL of the image itself. purl-spec, type oci: the name is the last part of the repository in
// lower case, the version is the digest, and the repository and tag are qualifiers. "" while there is no digest.
func (s *source) purl() string {
	if s.image.Digest == "" {
		return ""
	}
	repository, tag := s.Reference, ""
	if at := strings.IndexByte(repository, '@'); at >= 0 {
		repository = repository[:at]
	}
	if colon := strings.LastIndexByte(repository, ':'); colon > strings.LastIndexByte(repository, '/') {
		repository, tag = repository[:colon], repository[colon+1:]
	}
	name := strings.ToLower(repository[strings.LastIndexByte(repository, '/')+1:])
	if name == "" || repository == "sha256" {
		return ""
	}
	var qualifiers []string // in the order of their names
	add := func(key, value string) {
		if value != "" {
			qualifiers = append(qualifiers, key+"="+escape(value))
		}
	}
	add("arch", s.image.Platform.Architecture)
	add("repository_url", repository)
	add("tag", tag)
	purl := "pkg:oci/" + url.PathEscape(name) + "@" + url.QueryEscape(s.image.Digest)
	if len(qualifiers) > 0 {
		purl += "?" + strings.Join(qualifiers, "&")
	}
	return purl
}

// escape percent-encodes a qualifier's value. purl-spec: a slash stays, a space is %20.
func escape(value string) string {
	return strings.NewReplacer("%2F", "/", "+", "%20").Replace(url.QueryEscape(value))
}
