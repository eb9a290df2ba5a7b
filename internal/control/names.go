package control

import (
	"context"
	"slices"
	"strings"

	"github.com/tidewaiter/tidewaiter/internal/oci"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// NamedImages is what is stored of the images behind a name.
type NamedImages struct {
	Reference string // the full name; of a bare digest, that
	Digest    string // what the name points to, as far as we know
	Current   bool   // the images shown are of that; false when the tag has moved and we have not looked into it yet
	Tag       *tidewaiter.Tag
	Skipped   string // why what it points to is not scanned; "" when it is

	// Images has one for each platform in scope, the worst first. Those a tag does not show yet come last.
	Images []NamedImage
}

// NamedImage is one of the images a name leads to, without layers and config.
type NamedImage struct {
	*tidewaiter.Image
	Shown bool
}

// NamedImages says which images a name leads to: [host/]repository[:tag][@digest] as Docker takes it, or a bare digest, which
// may be that of an index. It reads what is stored: two or three reads by index. Errors: ErrInvalid names the parameter;
// ErrNotFound says why nothing is known of it, and what to do.
func (c *Control) NamedImages(ctx context.Context, image string) (*NamedImages, error) {
	name, err := readName(image)
	if err != nil {
		return nil, err
	}
	s, err := c.lookUp(ctx, name)
	if tidewaiter.KindOf(err) == tidewaiter.ErrNotFound {
		why, err := c.whyUnknown(ctx, name)
		if err != nil {
			return nil, err
		}
		return nil, tidewaiter.Errorf(tidewaiter.ErrNotFound, "%s: %s", nameOf(name), why.Detail).WithFix("%s", why.Fix)
	}
	if err != nil {
		return nil, err
	}
	out := &NamedImages{Reference: nameOf(name), Digest: name.Digest, Current: true, Tag: s.Tag}
	if s.Skipped != nil {
		out.Skipped = skipped(s.Skipped).Detail
	}
	if s.Tag != nil {
		out.Digest = s.Tag.Digest
		_, out.Current = shownImages(s)
	}
	for _, img := range s.Images {
		out.Images = append(out.Images, NamedImage{Image: img.Image, Shown: img.Shown})
	}
	slices.SortStableFunc(out.Images, worstFirst)
	return out, nil
}

// worstFirst orders the images of a name: what it shows before what it will, then by verdict, then by platform.
func worstFirst(a, b NamedImage) int {
	if a.Shown != b.Shown {
		if a.Shown {
			return -1
		}
		return 1
	}
	if d := strength(effectOf(b)) - strength(effectOf(a)); d != 0 {
		return d
	}
	return strings.Compare(a.Platform.String(), b.Platform.String())
}

func effectOf(i NamedImage) tidewaiter.Effect {
	if i.Judgement == nil {
		return ""
	}
	return i.Judgement.Verdict.Effect
}

// readName reads the name of an image, or its bare digest.
func readName(image string) (oci.Reference, error) {
	if image == "" {
		return oci.Reference{}, tidewaiter.Invalid("image", "the image is missing").WithFix("write it as [host/]repository[:tag][@sha256:…]")
	}
	if oci.IsDigest(image) {
		return oci.Reference{Digest: image}, nil
	}
	name, err := oci.ParseReference(image)
	if err != nil {
		return name, tidewaiter.Invalid("image", "%s", err)
	}
	return name, nil
}
