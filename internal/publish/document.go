package publish

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"time"

	"github.com/tidewaiter/tidewaiter/internal/oci"
	"github.com/tidewaiter/tidewaiter/internal/report"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// Annotations of what is pushed.
const (
	createdKey    = "org.opencontainers.image.created" // when the judgement was made
	documentKey   = "io.tidewaiter.document"           // digest of the document; marks a manifest as ours
	advisoriesKey = "io.tidewaiter.advisories"         // version of the advisories, of a report
)

// ours reports whether a referrer was pushed by a Tidewaiter.
func ours(r oci.Referrer) bool { return r.Annotations[documentKey] != "" }

// form is how a kind of document is written.
type form struct {
	artifactType string
	write        func(io.Writer, *tidewaiter.Result, report.Options) error
	findings     bool
}

func formOf(kind tidewaiter.PublicationKind) (form, error) {
	switch kind {
	case tidewaiter.PublishCycloneDX:
		return form{"application/vnd.cyclonedx+json", report.CycloneDX, false}, nil
	case tidewaiter.PublishSPDX:
		return form{"application/spdx+json", report.SPDX, false}, nil
	case tidewaiter.PublishSARIF:
		return form{"application/sarif+json", report.SARIF, true}, nil
	case tidewaiter.PublishJSON:
		return form{"application/vnd.tidewaiter.report+json", report.JSON, true}, nil
	}
	return form{}, tidewaiter.Errorf(tidewaiter.ErrBug, "there is no document of kind %q", kind)
}

// written is a document as of a judgement.
type written struct {
	oci.Artifact

	judgedAt   time.Time
	advisories string
}

// document writes what is known of an image. same says that it is what was pushed before, were it not for when it was judged and
// by which version of the advisories: neither is news.
func document(r *tidewaiter.Result, repository tidewaiter.Repository, before *tidewaiter.Publication) (made written, same bool, err error) {
	f, err := formOf(before.Kind)
	if err != nil {
		return written{}, false, err
	}
	reference := repository.Host + "/" + repository.Name + "@" + r.Image.Digest
	j := r.Image.Judgement
	if before.Document != "" {
		made, err := f.artifact(r, reference, before.JudgedAt, before.Advisories)
		if err != nil || made.Annotations[documentKey] == before.Document {
			return made, err == nil, err
		}
	}
	made, err = f.artifact(r, reference, j.JudgedAt, j.Advisories)
	return made, false, err
}

// artifact writes a document as of a judgement. The same result, time and version give the same bytes: tags that come and go, who
// else has the image, and our own version are left out.
func (f form) artifact(r *tidewaiter.Result, reference string, judgedAt time.Time, advisories string) (written, error) {
	image, judgement := *r.Image, *r.Image.Judgement
	judgement.JudgedAt, judgement.Advisories = judgedAt, advisories
	image.Judgement = &judgement
	shown := *r
	shown.Image, shown.Tags, shown.RegistryIDs = &image, nil, nil
	if !f.findings { // a bill of materials says what is in an image; what is wrong with it changes from day to day
		shown.Findings, shown.FirstFound, shown.Vulnerabilities = nil, nil, nil
	}
	var b bytes.Buffer
	if err := f.write(&b, &shown, report.Options{Reference: reference, Now: judgedAt}); err != nil {
		return written{}, err
	}
	sum := sha256.Sum256(b.Bytes())
	a := written{judgedAt: judgedAt, advisories: advisories}
	a.Artifact = oci.Artifact{Type: f.artifactType, Content: b.Bytes(), Annotations: map[string]string{
		createdKey: judgedAt.UTC().Format(time.RFC3339), documentKey: "sha256:" + hex.EncodeToString(sum[:]),
	}}
	if f.findings && advisories != "" {
		a.Annotations[advisoriesKey] = advisories
	}
	return a, nil
}
