package cli

import (
	"context"
	"encoding/json"

	"github.com/tidewaiter/tidewaiter/client"
)

type imagePublicationsCommand struct{ namedImage }

// Run tells what was pushed about an image.
func (c imagePublicationsCommand) Run(ctx context.Context, s streams) error {
	server, err := c.client(s)
	if err != nil {
		return err
	}
	_, image, err := c.find(ctx, server)
	if err != nil {
		return err
	}
	list, err := server.ImagePublications(ctx, image.Digest)
	if err != nil {
		return refused(err)
	}
	if c.Output == "json" {
		return json.NewEncoder(s.out).Encode(list.Items)
	}
	t := newColumns("REPOSITORY", "KIND", "PUSHED", "MANIFEST", "ERROR")
	for i := range list.Items {
		t.row(publicationCells(&list.Items[i])...)
	}
	return t.write(s.out)
}

func publicationCells(p *client.Publication) []string {
	return []string{p.Repository, p.Kind, when(p.PushedAt), p.Digest, p.Error}
}
