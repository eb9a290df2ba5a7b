package cli

import (
	"context"
	"fmt"
	"strings"

	"github.com/tidewaiter/tidewaiter/client"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// namedImage is a command about one image, by whatever name the user has for it.
type namedImage struct {
	Image    string `arg:"" help:"The image: name[:tag], name@digest or a digest, of its manifest or of an index."`
	Platform string `help:"The platform, where the name leads to images of several; the one with the worst verdict otherwise." placeholder:"OS/ARCH[/VARIANT]"`
	remoteFlags
}

// find asks the server which images the name leads to, and chooses one.
func (n namedImage) find(ctx context.Context, server *client.Client) (*client.ImageName, *client.NamedImage, error) {
	name, err := server.ImageName(ctx, n.Image)
	if err != nil {
		return nil, nil, refused(err)
	}
	if len(name.Images) == 0 {
		return nil, nil, tidewaiter.Errorf(tidewaiter.ErrNotFound, "%s", nothingOf(name))
	}
	if n.Platform == "" {
		return name, &name.Images[0], nil
	}
	want, err := tidewaiter.ParsePlatform(n.Platform)
	if err != nil {
		return nil, nil, err
	}
	var there []string
	for i := range name.Images {
		is, err := tidewaiter.ParsePlatform(name.Images[i].Platform)
		if err == nil && is.Matches(want) {
			return name, &name.Images[i], nil
		}
		there = append(there, name.Images[i].Platform)
	}
	return nil, nil, tidewaiter.Invalid("platform", "there is no image for %s", n.Platform).WithFix("one of %s", strings.Join(there, ", "))
}

// nothingOf says why a name that is known leads to no image.
func nothingOf(name *client.ImageName) string {
	switch {
	case !name.GoneAt.IsZero():
		return fmt.Sprintf("%s: the registry no longer had the tag on %s", name.Name, when(name.GoneAt))
	case name.Skipped != "":
		return name.Name + ": " + name.Skipped
	case name.Error != "":
		return name.Name + ": it could not be scanned: " + name.Error
	}
	return name.Name + ": it is known, but was not looked into yet"
}
