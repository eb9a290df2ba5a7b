package event

import (
	"net/url"
	"regexp"
	"strings"
	"time"

	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// OCI distribution-spec, "Pulling manifests": the grammar of repositories, tags and digests.
var (
	repositoryForm = regexp.MustCompile(`^[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*(/[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*)*$`)
	tagForm        = regexp.MustCompile(`^[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}$`)
	digestForm     = regexp.MustCompile(`^(sha256:[0-9a-f]{64}|sha512:[0-9a-f]{128})$`)
	hostForm       = regexp.MustCompile(`^([a-z0-9]([a-z0-9.-]{0,252}[a-z0-9])?|\[[0-9a-f:.]{2,45}\])(:[0-9]{1,5})?$`)
	signatureForm  = regexp.MustCompile(`^sha256-[0-9a-f]{64}(\.[a-z]{1,16})?$`)
)

// checked brings the fields of an event into shape and notes when nothing can follow from it.
func checked(e PushEvent) PushEvent {
	e.Host = host(e.Host)
	e.DeliveryID, e.MediaType = short(e.DeliveryID), short(e.MediaType)
	if digestForm.MatchString(e.Tag) { // Harbor's proxy caches put the digest there
		e.Digest, e.Tag = e.Tag, ""
	}
	if !digestForm.MatchString(e.Digest) {
		e.Digest = ""
	}
	var others []string
	for _, name := range e.OtherNames {
		if validRepository(name) && name != e.Repository && len(others) < 4 {
			others = append(others, name)
		}
	}
	e.OtherNames = others
	why := unusable(&e)
	if !validRepository(e.Repository) {
		e.Repository = ""
	}
	if !tagForm.MatchString(e.Tag) {
		e.Tag = ""
	}
	if e.Unusable == "" {
		e.Unusable = why
	}
	return e
}

func unusable(e *PushEvent) string {
	switch {
	case e.Unusable != "":
		return e.Unusable
	case !validRepository(e.Repository):
		return "the event names no valid repository"
	case e.Tag != "" && !tagForm.MatchString(e.Tag):
		return "the event names no valid tag"
	case signatureForm.MatchString(e.Tag):
		return "the tag is that of a signature, attestation or SBOM, not of an image"
	case e.MediaType != "" && !isManifest(e.MediaType):
		return "it is a " + e.MediaType + ", not an image"
	case e.Tag == "" && e.Digest == "":
		return "the event names neither tag nor digest"
	case e.Tag == "" && e.Action == Push:
		return "it was pushed by digest, and no tag points to it"
	}
	return ""
}

func validRepository(name string) bool {
	return len(name) <= maxRepository && repositoryForm.MatchString(name)
}

// isManifest reports whether a media type is one a tag can have that may lead to an image.
func isManifest(mediaType string) bool {
	mediaType, _, _ = strings.Cut(mediaType, ";")
	switch strings.TrimSpace(mediaType) {
	case "application/vnd.docker.distribution.manifest.v2+json", "application/vnd.docker.distribution.manifest.list.v2+json",
		"application/vnd.oci.image.manifest.v1+json", "application/vnd.oci.image.index.v1+json",
		"application/vnd.docker.distribution.manifest.v1+json", "application/vnd.docker.distribution.manifest.v1+prettyjws":
		return true
	}
	return false
}

// host brings a host or URL into the form image names begin with; "" when it is none.
func host(s string) string {
	if len(s) > 2048 || s == "" {
		return ""
	}
	if !strings.Contains(s, "://") {
		s = strings.TrimSuffix(s, "/")
	}
	if h := tidewaiter.HostOf(s); hostForm.MatchString(h) {
		return h
	}
	return ""
}

// hostOfURL returns the host of an address in an event; "" when it is none. Nothing else of the address is used.
func hostOfURL(s string) string {
	u, err := url.Parse(s)
	if err != nil || len(s) > 2048 {
		return ""
	}
	return u.Host
}

// when reads a time of RFC 3339; zero when it is none.
func when(s string) time.Time {
	t, err := time.Parse(time.RFC3339Nano, s)
	if err != nil {
		return time.Time{}
	}
	return t.UTC()
}

// seconds reads seconds since 1970; zero when out of range.
func seconds(n float64) time.Time {
	if n <= 0 || n > 1<<33 {
		return time.Time{}
	}
	return time.Unix(int64(n), 0).UTC()
}
