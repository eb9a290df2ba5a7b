package cli

import (
	"context"
	"encoding/json"
	"time"
)

type imagePublicationsCommand struct {
	Digest string `arg:"" help:"Digest of the image's manifest: sha256:…"`
	remoteFlags
}

// Run tells what was pushed about an image.
func (c imagePublicationsCommand) Run(ctx context.Context, s streams) error {
	server, err := c.client(s)
	if err != nil {
		return err
	}
	list, err := server.ImagePublications(ctx, c.Digest)
	if err != nil {
		return refused(err)
	}
	if c.Output == "json" {
		return json.NewEncoder(s.out).Encode(list.Items)
	}
	t := newColumns("REPOSITORY", "KIND", "PUSHED", "MANIFEST", "ERROR")
	for _, p := range list.Items {
		pushed := ""
		if !p.PushedAt.IsZero() {
			pushed = p.PushedAt.Local().Format(time.DateTime)
		}
		t.row(p.Repository, p.Kind, pushed, p.Digest, p.Error)
	}
	return t.write(s.out)
}
