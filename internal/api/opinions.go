package api

import (
	"context"

	"github.com/tidewaiter/tidewaiter/client"
	"github.com/tidewaiter/tidewaiter/internal/control"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

func (s *server) opinions() {
	const noun, reads = "images", tidewaiter.MayReadImages
	handle(s, operation{noun: noun, id: "list-image-opinions", method: "GET", path: "/images/{digest}/opinions", may: reads,
		summary: "What other scanners say of an image.",
		about:   "They judge nothing: verdicts come of our own findings. The list is short and comes as a whole."}, s.listOpinions)
	handle(s, operation{noun: noun, id: "get-image-opinion", method: "GET", path: "/images/{digest}/opinions/{scanner}", may: reads,
		summary: "What one scanner, by id or name, says of an image, with its findings."}, s.getOpinion)
	handle(s, operation{noun: noun, id: "get-image-difference", method: "GET", path: "/images/{digest}/opinions/{scanner}/difference", may: reads,
		summary: "What only we or only another scanner finds on an image, and what both find and disagree about.",
		about: "A finding is the same when vulnerability, package and version are. A vulnerability is known by any of its names, a package by " +
			"its own and that of its source package."}, s.getDifference)
}

// OpinionAsked names an image and a scanner. It is exported as Paging is.
type OpinionAsked struct {
	Digest  string `path:"digest" maxLength:"256" doc:"Of the image's manifest: sha256:…"`
	Scanner string `path:"scanner" maxLength:"256" doc:"Its id or name."`
}

func (s *server) listOpinions(ctx context.Context, in *imageAsked) (*body[client.Page[client.Opinion]], error) {
	image, err := s.Control.ImageByDigest(ctx, in.Digest)
	if err != nil {
		return nil, err
	}
	list, err := s.Control.OpinionsOf(ctx, image.ID)
	if err != nil {
		return nil, err
	}
	out := client.Page[client.Opinion]{Items: make([]client.Opinion, len(list))}
	for i := range list {
		out.Items[i] = opinionOf(&list[i])
	}
	return reply(out), nil
}

func (s *server) getOpinion(ctx context.Context, in *OpinionAsked) (*body[client.OpinionDetails], error) {
	image, err := s.Control.ImageByDigest(ctx, in.Digest)
	if err != nil {
		return nil, err
	}
	o, err := s.Control.Opinion(ctx, image.ID, in.Scanner)
	if err != nil {
		return nil, err
	}
	found, err := s.Control.OpinionFindings(ctx, o)
	if err != nil {
		return nil, err
	}
	out := client.OpinionDetails{Opinion: opinionOf(o), Findings: make([]client.OpinionFinding, len(found))}
	for i, f := range found {
		out.Findings[i] = client.OpinionFinding{ID: f.Vulnerability, Alias: f.Alias, Package: f.Package, Version: f.Version, FixedIn: f.FixedIn,
			Severity: f.Severity.String(), Score: f.Score, Link: f.Link}
	}
	return reply(out), nil
}

func (s *server) getDifference(ctx context.Context, in *struct {
	OpinionAsked
	Both bool `query:"both" doc:"List what both find and agree about too."`
}) (*body[client.OpinionDifference], error) {
	image, err := s.Control.ImageByDigest(ctx, in.Digest)
	if err != nil {
		return nil, err
	}
	d, err := s.Control.OpinionDifference(ctx, image.ID, in.Scanner)
	if err != nil {
		return nil, err
	}
	out := client.OpinionDifference{Opinion: opinionOf(&d.Opinion), Advisories: d.Image.Judgement.Advisories, JudgedAt: d.Image.Judgement.JudgedAt,
		Both: len(d.Both), Differing: make([]client.DifferingFinding, len(d.Differing)), OnlyOurs: make([]client.DifferenceFinding, len(d.OnlyOurs)),
		OnlyTheirs: make([]client.DifferenceFinding, len(d.OnlyTheirs))}
	for i, p := range d.Differing {
		out.Differing[i] = client.DifferingFinding{Ours: ourFinding(&p.Ours), Theirs: theirFinding(&p.Theirs), Severity: p.Severity, Fix: p.Fix}
	}
	for i := range d.OnlyOurs {
		out.OnlyOurs[i] = ourFinding(&d.OnlyOurs[i])
	}
	for i := range d.OnlyTheirs {
		out.OnlyTheirs[i] = theirFinding(&d.OnlyTheirs[i])
	}
	if in.Both {
		for i := range d.Both {
			out.BothFindings = append(out.BothFindings, client.DifferenceAgreement{Ours: ourFinding(&d.Both[i].Ours), Theirs: theirFinding(&d.Both[i].Theirs)})
		}
	}
	return reply(out), nil
}

func ourFinding(f *control.OwnFinding) client.DifferenceFinding {
	return client.DifferenceFinding{ID: f.Vulnerability, Package: f.Package, Version: f.Version, FixedIn: f.FixedIn, Severity: f.Severity.String()}
}

func theirFinding(f *tidewaiter.OpinionFinding) client.DifferenceFinding {
	return client.DifferenceFinding{ID: f.Vulnerability, Package: f.Package, Version: f.Version, FixedIn: f.FixedIn, Severity: f.Severity.String()}
}

func opinionOf(o *tidewaiter.Opinion) client.Opinion {
	out := client.Opinion{Scanner: o.Scanner, ScannerID: o.ScannerID, State: string(o.State), AskedAt: o.AskedAt, TriedAt: o.TriedAt,
		ErrorKind: string(o.ErrorKind), Error: o.Error, Attempts: o.Attempts, RetryAt: o.RetryAt}
	if r := o.Report; !r.ReadAt.IsZero() {
		out.Report = &client.OpinionReport{Scanner: r.ScannerName, Vendor: r.Vendor, Version: r.Version, DatabaseAt: r.DatabaseAt,
			GeneratedAt: r.GeneratedAt, ReadAt: r.ReadAt, Findings: r.Findings, Counts: countsOf(r.Counts), Incomplete: r.Cut}
	}
	return out
}
