package cli

import (
	"context"
	"encoding/json"
	"strconv"

	"github.com/tidewaiter/tidewaiter/client"
)

type imageOpinionsCommand struct {
	Scanner    string `help:"Show what this scanner, by id or name, found." placeholder:"NAME" xor:"scanner"`
	Difference string `help:"Show what this scanner, by id or name, finds otherwise than we do." placeholder:"NAME" xor:"scanner"`
	Both       bool   `help:"With --difference: list what both find and agree about too."`
	namedImage
}

// Run tells what other scanners say of an image.
func (c imageOpinionsCommand) Run(ctx context.Context, s streams) error {
	server, err := c.client(s)
	if err != nil {
		return err
	}
	_, image, err := c.find(ctx, server)
	if err != nil {
		return err
	}
	switch {
	case c.Scanner != "":
		return c.findings(ctx, s, server, image.Digest)
	case c.Difference != "":
		return c.difference(ctx, s, server, image.Digest)
	}
	list, err := server.Opinions(ctx, image.Digest)
	if err != nil {
		return refused(err)
	}
	if c.Output == "json" {
		return json.NewEncoder(s.out).Encode(list)
	}
	t := newColumns("SCANNER", "STATE", "READ", "DATABASE OF", "CRIT", "HIGH", "MED", "LOW", "OTHER", "ERROR")
	for _, o := range list {
		row := []string{o.Scanner, o.State, "", "", "", "", "", "", "", o.Error}
		if r := o.Report; r != nil {
			n, k := strconv.Itoa, r.Counts
			row = []string{o.Scanner, o.State, when(r.ReadAt), when(r.DatabaseAt), n(k.Critical), n(k.High), n(k.Medium), n(k.Low), n(k.Negligible + k.Unknown), o.Error}
		}
		t.row(row...)
	}
	return t.write(s.out)
}

func (c imageOpinionsCommand) findings(ctx context.Context, s streams, server *client.Client, digest string) error {
	o, err := server.Opinion(ctx, digest, c.Scanner)
	if err != nil {
		return refused(err)
	}
	if c.Output == "json" {
		return json.NewEncoder(s.out).Encode(o)
	}
	t := newColumns("SEVERITY", "VULNERABILITY", "PACKAGE", "VERSION", "FIXED IN")
	for _, f := range o.Findings {
		t.row(f.Severity, f.ID, f.Package, f.Version, f.FixedIn)
	}
	return t.write(s.out)
}

func (c imageOpinionsCommand) difference(ctx context.Context, s streams, server *client.Client, digest string) error {
	d, err := server.OpinionDifference(ctx, digest, c.Difference, c.Both)
	if err != nil {
		return refused(err)
	}
	if c.Output == "json" {
		return json.NewEncoder(s.out).Encode(d)
	}
	sayf(s.out, "Both find %d and agree. Of %d they do not; %d only we find, %d only %s.\n", d.Both, len(d.Differing), len(d.OnlyOurs), len(d.OnlyTheirs), c.Difference)
	t := newColumns("WHO", "VULNERABILITY", "PACKAGE", "VERSION", "OUR SEVERITY", "THEIRS", "OUR FIX", "THEIRS")
	row := func(who string, f client.DifferenceFinding, ours, theirs *client.DifferenceFinding) {
		cells := []string{who, f.ID, f.Package, f.Version, "", "", "", ""}
		if ours != nil {
			cells[4], cells[6] = ours.Severity, ours.FixedIn
		}
		if theirs != nil {
			cells[5], cells[7] = theirs.Severity, theirs.FixedIn
		}
		t.row(cells...)
	}
	for _, f := range d.OnlyOurs {
		row("ours", f, &f, nil)
	}
	for _, f := range d.OnlyTheirs {
		row("theirs", f, nil, &f)
	}
	for _, p := range d.Differing {
		row("differ", p.Ours, &p.Ours, &p.Theirs)
	}
	for _, p := range d.BothFindings {
		row("both", p.Ours, &p.Ours, &p.Theirs)
	}
	return t.write(s.out)
}
