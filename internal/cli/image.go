package cli

import (
	"context"
	"encoding/json"
	"strconv"

	"github.com/tidewaiter/tidewaiter/client"
)

type imageCommand struct {
	List    imageListCommand    `cmd:"" help:"List the images a server knows."`
	Show    imageShowCommand    `cmd:"" help:"Show one image: verdict and why, findings, failed checks, secrets, what changed last, what was pushed about it."`
	Changes imageChangesCommand `cmd:"" help:"Tell what changed for an image: findings, verdict, and why."`

	Publications imagePublicationsCommand `cmd:"" help:"Tell what was pushed about an image into its registries, and what failed."`
	Opinions     imageOpinionsCommand     `cmd:"" help:"Tell what other scanners say of an image, and what they find otherwise than we do."`
}

type imageListCommand struct {
	Registry   string `help:"Only of this declared registry." placeholder:"ID"`
	Repository string `help:"Only of this repository, by its whole name." placeholder:"NAME"`
	Search     string `help:"Only those with this in their full name." placeholder:"TEXT"`
	State      string `help:"Only in this state: ${enum}." enum:",waiting,judged,failed" default:"" placeholder:"STATE"`
	Limit      int    `help:"At most so many; 0 is all." default:"100" placeholder:"N"`
	remoteFlags
}

// Run lists images, newest first.
func (c imageListCommand) Run(ctx context.Context, s streams) error {
	server, err := c.client(s)
	if err != nil {
		return err
	}
	q := client.ImageQuery{Registry: c.Registry, Repository: c.Repository, Search: c.Search, State: c.State}
	images, err := pages(c.Limit, func(limit int, after string) (*client.Page[client.Image], error) {
		q.Limit, q.After = limit, after
		return server.Images(ctx, q)
	})
	if err != nil {
		return refused(err)
	}
	if c.Output == "json" {
		return json.NewEncoder(s.out).Encode(images)
	}
	t := newColumns("IMAGE", "PLATFORM", "STATE", "CRIT", "HIGH", "MED", "LOW", "FIXABLE", "VERDICT")
	for _, i := range images {
		name := i.Digest
		if len(i.Names) > 0 {
			name = i.Names[0]
		}
		row := []string{name, i.Platform, i.State, "", "", "", "", "", ""}
		if j := i.Judgement; j != nil {
			v, n := j.Vulnerabilities, strconv.Itoa
			row = append(row[:3], n(v.Critical), n(v.High), n(v.Medium), n(v.Low), n(j.Fixable), j.Verdict.Effect)
		}
		t.row(row...)
	}
	return t.write(s.out)
}

// pages reads a list page by page until it ends or has limit items; 0 is no limit.
func pages[T any](limit int, read func(limit int, after string) (*client.Page[T], error)) ([]T, error) {
	all := []T{}
	for after := ""; ; {
		size := 1000
		if limit > 0 {
			size = min(size, limit-len(all))
		}
		p, err := read(size, after)
		if err != nil {
			return nil, err
		}
		all = append(all, p.Items...)
		if after = p.Next; after == "" || limit > 0 && len(all) >= limit {
			return all, nil
		}
	}
}
