package oci

import (
	"net"
	"net/netip"
	"regexp"
	"strconv"
	"strings"

	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// Reference is a full image name.
type Reference struct {
	Host       string // lower case; "docker.io" for Docker Hub
	Repository string // "library/alpine"
	Tag        string // "latest" when neither tag nor digest was given; "" when only a digest was
	Digest     string // "sha256:…" or ""
}

// The grammar of names (OCI distribution-spec "Pulling manifests"; Docker's reference grammar agrees).
var (
	repositoryGrammar = regexp.MustCompile(`^[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*(?:/[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*)*$`)
	tagGrammar        = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9._-]{0,127}$`)
	digestGrammar     = regexp.MustCompile(`^(?:sha256:[0-9a-f]{64}|sha512:[0-9a-f]{128})$`)
	hostLabels        = regexp.MustCompile(`^(?:[a-zA-Z0-9](?:[a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?)(?:\.[a-zA-Z0-9](?:[a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?)*$`)
	// pathSegment is laxer than the grammar: registries list names with capitals, and those can be asked for.
	pathSegment = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9._-]*$`)
)

// ParseReference reads an image name as Docker does: "alpine" is docker.io/library/alpine:latest, and the first part is a
// host when it holds a dot or a colon or is "localhost". A name may have tag and digest both. It returns ErrInvalid on
// field "reference" for anything else.
func ParseReference(s string) (Reference, error) {
	if len(s) > 1024 {
		return Reference{}, tidewaiter.Invalid("reference", "the image name is longer than 1024 characters")
	}
	bad := func(why string) (Reference, error) {
		return Reference{}, tidewaiter.Invalid("reference", "%q is not an image name: %s", clip(plainText(s), 200), why).
			WithFix("write it as [host/]repository[:tag][@sha256:…]")
	}
	var r Reference
	rest, digest, hasDigest := strings.Cut(s, "@")
	if hasDigest {
		if !digestGrammar.MatchString(digest) {
			return bad("its digest is not sha256 with 64 or sha512 with 128 lower-case hexadecimal digits")
		}
		r.Digest = digest
	}
	first, path, hasPath := strings.Cut(rest, "/")
	if hasPath && (strings.ContainsAny(first, ".:") || first == "localhost") {
		host, ok := parseHost(first)
		if !ok {
			return bad("its host is not valid")
		}
		r.Host, rest = host, path
	} else {
		r.Host = "docker.io"
	}
	if i := strings.LastIndexByte(rest, ':'); i >= 0 {
		rest, r.Tag = rest[:i], rest[i+1:]
		if !tagGrammar.MatchString(r.Tag) {
			return bad("its tag is not valid")
		}
	} else if !hasDigest {
		r.Tag = "latest"
	}
	if r.Host == "docker.io" && !strings.Contains(rest, "/") {
		rest = "library/" + rest
	}
	if len(rest) > 255 || !repositoryGrammar.MatchString(rest) {
		return bad("its repository may hold lower-case letters, digits and single separators only")
	}
	r.Repository = rest
	return r, nil
}

func parseHost(s string) (string, bool) {
	host, port := s, ""
	if strings.HasPrefix(s, "[") || strings.Count(s, ":") == 1 {
		if h, p, err := net.SplitHostPort(s); err == nil {
			n, err := strconv.ParseUint(p, 10, 16)
			if err != nil || n == 0 || p[0] == '+' {
				return "", false
			}
			host, port = h, ":"+strconv.FormatUint(n, 10)
		} else if !strings.HasSuffix(s, "]") {
			return "", false
		} else {
			host = s[1 : len(s)-1]
		}
	}
	if strings.Contains(host, ":") || strings.HasPrefix(s, "[") {
		addr, err := netip.ParseAddr(host)
		if err != nil || !addr.Is6() || addr.Zone() != "" || !strings.HasPrefix(s, "[") {
			return "", false
		}
		return "[" + addr.String() + "]" + port, true
	}
	if len(host) > 253 || !hostLabels.MatchString(host) {
		return "", false
	}
	host = strings.ToLower(host) + port
	if tidewaiter.IsDockerHub(host) {
		host = "docker.io"
	}
	return host, true
}

// String returns the full name; ParseReference reads it back.
func (r Reference) String() string {
	s := r.Host + "/" + r.Repository
	if r.Tag != "" {
		s += ":" + r.Tag
	}
	if r.Digest != "" {
		s += "@" + r.Digest
	}
	return s
}

// Identifier returns what the registry is to be asked for: the digest when there is one, else the tag.
func (r Reference) Identifier() string {
	if r.Digest != "" {
		return r.Digest
	}
	return r.Tag
}

// URL returns the address of the registry the reference belongs to, by https unless plain is set.
func (r Reference) URL(plain bool) string {
	switch {
	case r.Host == "docker.io":
		return tidewaiter.DockerHubURL
	case plain:
		return "http://" + r.Host
	}
	return "https://" + r.Host
}

// checkRepository refuses what must not become part of a path.
func checkRepository(name string) error {
	ok := name != "" && len(name) <= maxName
	for segment := range strings.SplitSeq(name, "/") {
		ok = ok && pathSegment.MatchString(segment)
	}
	if !ok {
		return tidewaiter.Invalid("repository", "%q is not a repository name", clip(plainText(name), 200))
	}
	return nil
}

// checkIdentifier refuses what is neither a tag nor a digest.
func checkIdentifier(s string) error {
	if tagGrammar.MatchString(s) || digestGrammar.MatchString(s) {
		return nil
	}
	return tidewaiter.Invalid("reference", "%q is neither a tag nor a digest", clip(plainText(s), 200))
}
