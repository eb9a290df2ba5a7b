package tidewaiter

import (
	"cmp"
	"strings"
	"time"
)

// Keys of a registry's settings that have results pushed into it. Every kind of registry takes them; without them nothing is
// pushed anywhere.
const (
	SettingPublishSBOM   = "publishSBOM"   // PublishCycloneDX or PublishSPDX
	SettingPublishReport = "publishReport" // PublishSARIF or PublishJSON
)

// PublicationKind is the form of a document that is pushed.
type PublicationKind string

// The kinds.
const (
	PublishCycloneDX PublicationKind = "cyclonedx" // bill of materials, CycloneDX 1.6 JSON
	PublishSPDX      PublicationKind = "spdx"      // bill of materials, SPDX 2.3 JSON
	PublishSARIF     PublicationKind = "sarif"     // findings, SARIF 2.1.0
	PublishJSON      PublicationKind = "json"      // everything, in the JSON of our own
)

// Publications returns the kinds of document that a registry's settings ask for, none as a rule. A value that cannot be read is
// an ErrInvalid that names the setting.
func (r *Registry) Publications() ([]PublicationKind, error) {
	var out []PublicationKind
	for _, s := range []struct {
		key   string
		kinds []PublicationKind
	}{{SettingPublishSBOM, []PublicationKind{PublishCycloneDX, PublishSPDX}}, {SettingPublishReport, []PublicationKind{PublishSARIF, PublishJSON}}} {
		text := strings.TrimSpace(r.Settings[s.key])
		kind := PublicationKind(strings.ToLower(text))
		switch {
		case text == "":
		case kind == s.kinds[0] || kind == s.kinds[1]:
			out = append(out, kind)
		default:
			return nil, Invalid("settings."+s.key, "%q is no form of document", text).WithFix("%s or %s; leave it out to push none", s.kinds[0], s.kinds[1])
		}
	}
	return out, nil
}

// Publication is what became of pushing a document about an image into a repository. It is known by its first four fields.
type Publication struct {
	ImageID      int64
	RegistryID   string
	RepositoryID int64
	Kind         PublicationKind

	Host       string // filled in when it is read; likewise the next
	Repository string

	Change     int64     // the last ImageChange of the image that was known when it was tried
	Digest     string    // of the manifest that was pushed last; "" when none was
	Document   string    // digest of the document in it
	JudgedAt   time.Time // of the judgement the document was made of
	Advisories string    // likewise
	PushedAt   time.Time

	Error     string // why the last attempt failed; "" when it went well
	ErrorKind ErrorKind
	Attempts  int       // that failed, one after the other, since the change
	TriedAt   time.Time // the last attempt
	RetryAt   time.Time // of one that failed; zero when it is given up until something changes
}

// Due reports whether the document has to be looked at: something changed for the image since, or the last attempt failed and
// it is time for the next, or the registry's declaration or credential was changed after it.
func (p *Publication) Due(change int64, mended, now time.Time) bool {
	if p.Change < change || p.TriedAt.IsZero() {
		return true
	}
	return p.Error != "" && (p.TriedAt.Before(mended) || !p.RetryAt.IsZero() && !p.RetryAt.After(now))
}

// maxPublishAttempts is how often a document is tried to be pushed until something changes.
const maxPublishAttempts = 6

// Failed notes that an attempt to push failed. It is tried again after a minute, then after longer and longer, six times in all;
// what waiting seldom mends only every six hours.
func (p *Publication) Failed(err error, now time.Time) {
	p.Error, p.ErrorKind, p.TriedAt = err.Error(), KindOf(err), now
	p.Attempts++
	wait := min(time.Minute<<(2*(p.Attempts-1)), 6*time.Hour)
	switch p.ErrorKind {
	case ErrDenied, ErrAuth, ErrUnsupported, ErrInvalid, ErrTooLarge, ErrConflict, ErrGone:
		wait = 6 * time.Hour
	}
	p.RetryAt = time.Time{}
	if p.Attempts < maxPublishAttempts {
		p.RetryAt = now.Add(wait)
	}
}

// Succeeded notes that an attempt went well: the document is in the repository, behind a manifest with this digest.
func (p *Publication) Succeeded(digest string, now time.Time) {
	p.Error, p.ErrorKind, p.Attempts, p.RetryAt, p.TriedAt = "", "", 0, time.Time{}, now
	if digest != p.Digest {
		p.PushedAt = now
	}
	p.Digest = cmp.Or(digest, p.Digest)
}
