package control

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/tidewaiter/tidewaiter/internal/oci"
	"github.com/tidewaiter/tidewaiter/internal/store"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// VerdictQuery asks whether an image may be used.
type VerdictQuery struct {
	Image    string // a name as Docker takes it, or a bare digest
	Platform string // os/architecture[/variant]; "" is the worst of the platforms in scope

	// Wait has the image scanned when there is no verdict for it, or an outdated one, and waits for that as long, at most
	// MaxVerdictWait. 0 answers from what is stored.
	Wait time.Duration
	// MaxAge is how long ago we may have looked where a tag points; a longer time is outdated. 0 is DefaultVerdictAge when
	// Wait is set, and any age when it is not. A digest always points to the same.
	MaxAge time.Duration
}

// The bounds of a VerdictQuery.
const (
	MaxVerdictWait    = time.Minute
	DefaultVerdictAge = time.Minute
)

// ImageVerdict is what policy makes of the image behind a name.
type ImageVerdict struct {
	Reference string // the full name; of a bare digest, that
	Digest    string // what the name points to, as far as we know; "" when we do not
	Effect    tidewaiter.Effect
	Platforms []PlatformVerdict // never empty when Unknown is nil

	// Current reports that the verdict is of what the name pointed to when we last looked, at SeenAt. When it is false the tag
	// has moved, and the verdict is of what it pointed to before.
	Current bool
	SeenAt  time.Time // zero for a digest

	Unknown *UnknownVerdict // why there is no verdict; nil when there is one
	Failure string          // of the last attempt to scan it, beside an earlier verdict; "" when it went well
}

// PlatformVerdict is the verdict on the image of one platform.
type PlatformVerdict struct {
	Platform  tidewaiter.Platform
	Digest    string // of the image's manifest
	Judgement *tidewaiter.Judgement
	Age       time.Duration // since it was judged
}

// UnknownReason says in a word why there is no verdict.
type UnknownReason string

// The reasons.
const (
	UnknownNotDeclared  UnknownReason = "not_declared"  // no declared registry has the host
	UnknownNotInScope   UnknownReason = "not_in_scope"  // the registries of the host leave the name out
	UnknownNotScanned   UnknownReason = "not_scanned"   // in scope, but not scanned yet
	UnknownFailed       UnknownReason = "failed"        // the scan failed, and there is no earlier result
	UnknownGone         UnknownReason = "gone"          // the registry no longer has the tag
	UnknownNoImage      UnknownReason = "no_image"      // it is something else than an image
	UnknownNoPlatform   UnknownReason = "no_platform"   // there is no image for the platform
	UnknownNoAdvisories UnknownReason = "no_advisories" // it was judged when there were no advisories
)

// UnknownVerdict says why there is no verdict.
type UnknownVerdict struct {
	Reason UnknownReason
	Detail string               // a sentence
	Fix    string               // what to do about it; may be empty
	Kind   tidewaiter.ErrorKind // of a failure; "" otherwise
}

// Verdict says what policy makes of an image, from what is stored: two or three reads by index. With Wait it has an unknown
// or outdated image scanned first, once for all who wait for it. An image without a verdict is no error: Unknown says why.
// Errors: ErrInvalid names the parameter.
func (c *Control) Verdict(ctx context.Context, q VerdictQuery) (*ImageVerdict, error) {
	name, want, err := q.read()
	if err != nil {
		return nil, err
	}
	v, err := c.standing(ctx, name, want)
	if err != nil || q.Wait <= 0 || !c.outdated(v, name, q.MaxAge) {
		return v, err
	}
	ended, err := c.waitForScan(ctx, name, want, q)
	if err != nil {
		return nil, err
	}
	if v, err = c.standing(ctx, name, want); err == nil && ended != nil {
		failed(v, ended)
	}
	return v, err
}

// read checks the query.
func (q *VerdictQuery) read() (name oci.Reference, want *tidewaiter.Platform, err error) {
	switch {
	case q.Wait < 0 || q.Wait > MaxVerdictWait:
		return name, nil, tidewaiter.Invalid("wait", "the wait must be between 0 and %s", MaxVerdictWait)
	case q.MaxAge < 0:
		return name, nil, tidewaiter.Invalid("maxAge", "the age must not be negative")
	}
	if q.Platform != "" {
		p, err := tidewaiter.ParsePlatform(q.Platform)
		if err != nil {
			return name, nil, err
		}
		want = &p
	}
	name, err = readName(q.Image)
	return name, want, err
}

// nameOf is the full name of a reference, or its digest when it has no name.
func nameOf(r oci.Reference) string {
	if r.Repository == "" {
		return r.Digest
	}
	return r.String()
}

// standing answers from what is stored.
func (c *Control) standing(ctx context.Context, name oci.Reference, want *tidewaiter.Platform) (*ImageVerdict, error) {
	v := &ImageVerdict{Reference: nameOf(name), Digest: name.Digest}
	s, err := c.lookUp(ctx, name)
	switch {
	case tidewaiter.KindOf(err) == tidewaiter.ErrNotFound:
		v.Unknown, err = c.whyUnknown(ctx, name)
		return v, err
	case err != nil:
		return nil, err
	}
	c.fill(v, s, want)
	return v, nil
}

// lookUp finds what is stored of a name. A digest nothing is known of may have failed: then it is known by its name.
func (c *Control) lookUp(ctx context.Context, name oci.Reference) (*store.Standing, error) {
	if name.Digest == "" {
		return c.store.TagStanding(ctx, name.String())
	}
	s, err := c.store.DigestStanding(ctx, name.Digest)
	if tidewaiter.KindOf(err) == tidewaiter.ErrNotFound && name.Repository != "" {
		return c.store.TagStanding(ctx, name.Host+"/"+name.Repository+":"+name.Digest)
	}
	return s, err
}

// fill turns what is stored into a verdict.
func (c *Control) fill(v *ImageVerdict, s *store.Standing, want *tidewaiter.Platform) {
	v.Current = true
	if t := s.Tag; t != nil {
		v.Digest, v.SeenAt = t.Digest, t.LastSeen
		if t.ErrorKind != "" {
			v.Failure = t.Error
		}
		if !t.GoneAt.IsZero() {
			v.Unknown = &UnknownVerdict{Reason: UnknownGone, Detail: "the registry no longer had the tag on " + t.GoneAt.Format(time.RFC3339)}
			return
		}
		if s.Skipped != nil {
			v.Unknown = skipped(s.Skipped)
			return
		}
	}
	images, current := shownImages(s)
	v.Current = current
	serving := serving(images, want)
	c.judged(v, serving)
	if len(serving) == 0 && len(images) > 0 {
		v.Unknown = noPlatform(images, want)
	} else {
		v.Unknown = whyNot(s, v, len(serving))
	}
	if v.Unknown != nil {
		v.Effect, v.Platforms, v.Failure = "", nil, ""
	}
}

// shownImages returns the images a tag shows, and whether these are of what it points to.
func shownImages(s *store.Standing) (images []store.StandingImage, current bool) {
	current = true
	for _, img := range s.Images {
		if !img.Shown {
			current = current && s.Tag != nil && img.Digest != s.Tag.Digest
			continue
		}
		if s.Tag != nil && img.Digest != s.Tag.Digest {
			current = false
		}
		images = append(images, img)
	}
	return images, current
}

// serving returns the images for a platform; nil is any.
func serving(images []store.StandingImage, want *tidewaiter.Platform) []store.StandingImage {
	if want == nil {
		return images
	}
	var out []store.StandingImage
	for _, img := range images {
		if img.Platform.Matches(*want) {
			out = append(out, img)
		}
	}
	return out
}

// judged takes the images that have a judgement, and the strongest effect of these.
func (c *Control) judged(v *ImageVerdict, images []store.StandingImage) {
	for _, img := range images {
		if img.Judgement == nil {
			continue
		}
		v.Platforms = append(v.Platforms, PlatformVerdict{Platform: img.Platform, Digest: img.Image.Digest, Judgement: img.Judgement,
			Age: max(0, c.now().Sub(img.Judgement.JudgedAt))})
		if strength(img.Judgement.Verdict.Effect) > strength(v.Effect) {
			v.Effect = img.Judgement.Verdict.Effect
		}
	}
	slices.SortStableFunc(v.Platforms, func(a, b PlatformVerdict) int {
		if d := strength(b.Judgement.Verdict.Effect) - strength(a.Judgement.Verdict.Effect); d != 0 {
			return d
		}
		return strings.Compare(a.Platform.String(), b.Platform.String())
	})
}

// strength orders effects.
func strength(e tidewaiter.Effect) int {
	return slices.Index([]tidewaiter.Effect{"", tidewaiter.EffectIgnore, tidewaiter.EffectAlert, tidewaiter.EffectBlock}, e)
}

// whyNot says why so many images give no verdict; nil when they do. One that is not judged may be the worst.
func whyNot(s *store.Standing, v *ImageVerdict, images int) *UnknownVerdict {
	for _, p := range v.Platforms {
		if p.Judgement.Advisories == "" {
			return &UnknownVerdict{Reason: UnknownNoAdvisories, Detail: "the image was judged when there were no advisories",
				Fix: "fetch the advisories; it is judged again when they are there"}
		}
	}
	if images > 0 && len(v.Platforms) == images {
		return nil
	}
	if t := s.Tag; t != nil && t.ErrorKind != "" {
		return &UnknownVerdict{Reason: UnknownFailed, Kind: t.ErrorKind, Detail: "the image could not be scanned: " + t.Error}
	}
	for _, img := range s.Images {
		if img.ErrorKind != "" {
			return &UnknownVerdict{Reason: UnknownFailed, Kind: img.ErrorKind, Detail: "the image could not be scanned: " + img.Error}
		}
	}
	return &UnknownVerdict{Reason: UnknownNotScanned, Detail: "the image is known, but not judged yet", Fix: "ask again later, or wait for it"}
}

func noPlatform(images []store.StandingImage, want *tidewaiter.Platform) *UnknownVerdict {
	var there []string
	for _, img := range images {
		there = append(there, img.Platform.String())
	}
	return &UnknownVerdict{Reason: UnknownNoPlatform, Detail: fmt.Sprintf("there is no image for %s, only for %s", want, strings.Join(there, ", ")),
		Fix: "add the platform to the registry's scope"}
}

func skipped(why *tidewaiter.Decision) *UnknownVerdict {
	if why.Reason == tidewaiter.ReasonPlatform {
		return &UnknownVerdict{Reason: UnknownNoPlatform, Detail: "there is no image for a platform in scope: " + why.Detail,
			Fix: "add the platform to the registry's scope"}
	}
	return &UnknownVerdict{Reason: UnknownNoImage, Detail: "it is not an image but some other artifact"}
}

// whyUnknown says why nothing is stored of a name.
func (c *Control) whyUnknown(ctx context.Context, name oci.Reference) (*UnknownVerdict, error) {
	if name.Repository == "" {
		return &UnknownVerdict{Reason: UnknownNotScanned, Detail: "no image with this digest is known", Fix: "ask by name, so that it can be scanned"}, nil
	}
	covering, declared, err := c.covering(ctx, name)
	switch {
	case err != nil:
		return nil, err
	case declared == 0:
		return &UnknownVerdict{Reason: UnknownNotDeclared, Detail: "no registry is declared for " + name.Host, Fix: "declare the registry"}, nil
	case covering == nil:
		return &UnknownVerdict{Reason: UnknownNotInScope, Detail: "the registries declared for " + name.Host + " leave it out",
			Fix: "widen the scope of the registry"}, nil
	}
	return &UnknownVerdict{Reason: UnknownNotScanned, Detail: "the image is in scope, but has not been seen yet", Fix: "ask again later, or wait for it"}, nil
}

// covering returns the first declared registry that has a name in scope, nil for none, and how many are declared for its host.
func (c *Control) covering(ctx context.Context, name oci.Reference) (first *tidewaiter.Registry, declared int, err error) {
	rs, err := every(func(p store.Page) ([]*tidewaiter.Registry, string, error) {
		return c.store.Registries(ctx, store.RegistryFilter{Host: name.Host, Page: p})
	})
	if err != nil {
		return nil, 0, err
	}
	for _, r := range rs {
		if covers(r, targetOf(name)) {
			return r, len(rs), nil
		}
	}
	return nil, len(rs), nil
}

func targetOf(name oci.Reference) tidewaiter.Target {
	if name.Digest != "" {
		return tidewaiter.Target{Repository: name.Repository, Digest: name.Digest}
	}
	return tidewaiter.Target{Repository: name.Repository, Tag: name.Tag}
}
