package api

import (
	"context"

	"github.com/tidewaiter/tidewaiter/client"
	"github.com/tidewaiter/tidewaiter/internal/control"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

func (s *server) images() {
	handle(s, operation{noun: "images", id: "list-images", method: "GET", path: "/images", may: tidewaiter.MayReadImages,
		summary: "Images that a tag points to, newest first."}, s.listImages)
	handle(s, operation{noun: "images", id: "get-image", method: "GET", path: "/images/{digest}", may: tidewaiter.MayReadImages,
		summary: "One image with its packages' findings, failed checks and verdict."}, s.getImage)
}

type imageQuery struct {
	Paging
	Registry   string `query:"registry" doc:"Id of the registry that has it in scope."`
	Host       string `query:"host"`
	Repository string `query:"repository" doc:"Its whole name."`
	Tag        string `query:"tag"`
	Search     string `query:"search" maxLength:"512" doc:"Part of a full name, in any case."`
	State      string `query:"state" enum:"waiting,judged,failed"`
	Sort       string `query:"sort" enum:"created,updated" default:"created"`
	Oldest     bool   `query:"oldest" doc:"Oldest first."`
}

func (s *server) listImages(ctx context.Context, q *imageQuery) (*body[client.Page[client.Image]], error) {
	f := control.ImageFilter{Host: q.Host, Repository: q.Repository, Tag: q.Tag, Search: q.Search,
		Sort: control.ImageSort(q.Sort), Asc: q.Oldest, Page: q.page()}
	if q.Registry != "" {
		f.RegistryIDs = []string{q.Registry}
	}
	if q.State != "" {
		f.States = []tidewaiter.ImageState{tidewaiter.ImageState(q.State)}
	}
	rows, next, err := s.Control.Images(ctx, f)
	if err != nil {
		return nil, err
	}
	out := client.Page[client.Image]{Items: make([]client.Image, len(rows)), Next: next}
	for i, row := range rows {
		out.Items[i] = imageOf(row.Image, row.Tags, row.RegistryIDs)
	}
	return reply(out), nil
}

type imageAsked struct {
	Digest string `path:"digest" maxLength:"256" doc:"Of the image's manifest: sha256:…"`
}

func (s *server) getImage(ctx context.Context, in *imageAsked) (*body[client.ImageDetails], error) {
	image, err := s.Control.ImageByDigest(ctx, in.Digest)
	if err != nil {
		return nil, err
	}
	r, err := s.Control.Result(ctx, image.ID)
	if err != nil {
		return nil, err
	}
	return reply(detailsOf(r)), nil
}

func imageOf(img *tidewaiter.Image, tags []tidewaiter.Tag, registries []string) client.Image {
	out := client.Image{Digest: img.Digest, Platform: img.Platform.String(), Size: img.Size, CreatedAt: img.CreatedAt,
		FirstSeen: img.FirstSeen, State: string(img.State), ErrorKind: string(img.ErrorKind), Error: img.Error,
		Names: make([]string, len(tags)), Registries: registries}
	for i := range tags {
		out.Names[i] = tags[i].Reference()
	}
	if j := img.Judgement; j != nil {
		out.Judgement = &client.Judgement{Advisories: j.Advisories, JudgedAt: j.JudgedAt, EndOfLife: j.EndOfLife, Packages: j.Packages,
			Vulnerabilities: countsOf(j.Vulnerabilities), Fixable: j.Fixable, Secrets: j.Secrets, FailedChecks: countsOf(j.Checks),
			Incomplete: j.Incomplete, Verdict: verdictOf(j.Verdict)}
		if d := j.Distribution; d != nil {
			out.Judgement.Distribution = d.Family + " " + d.Release
		}
	}
	return out
}

func countsOf(c tidewaiter.Counts) client.Counts {
	return client.Counts{Critical: c.Critical, High: c.High, Medium: c.Medium, Low: c.Low, Negligible: c.Negligible, Unknown: c.Unknown}
}

func verdictOf(v tidewaiter.Verdict) client.Verdict {
	out := client.Verdict{Effect: string(v.Effect), Rules: v.Rules, Alerts: v.Alerts, Blocks: v.Blocks}
	for _, r := range v.Reasons {
		out.Reasons = append(out.Reasons, client.Reason{Effect: string(r.Effect), Rule: r.Rule, Vulnerability: r.Vulnerability,
			Package: r.Package, FixedIn: r.FixedIn, Check: r.Check, License: r.License, Severity: r.Severity.String(), Why: r.Why, GraceDays: r.GraceDays})
	}
	return out
}

func detailsOf(r *tidewaiter.Result) client.ImageDetails {
	out := client.ImageDetails{Image: imageOf(r.Image, r.Tags, r.RegistryIDs), ImageContent: contentOf(r), Findings: []client.Finding{}, Checks: []client.Check{}}
	for _, in := range r.Content.Installed {
		p := in.Package
		for _, f := range r.Findings[p.ID] {
			found := client.Finding{Vulnerability: f.Vulnerability, Severity: f.Severity.String(), Package: p.Name, Version: p.FullVersion(),
				Ecosystem: string(p.Ecosystem), Layer: in.Layer, Path: in.Path, FixedIn: f.FixedIn, Status: f.Status, URL: f.URL,
				FirstFound: r.FirstFound[tidewaiter.FindingKey{PackageID: p.ID, Vulnerability: f.Vulnerability}]}
			if v := r.Vulnerabilities[f.Vulnerability]; v != nil {
				found.Title, found.Score = v.Title, v.Score
			}
			found.EPSS, found.KEV = threatOf(r.Threats[f.Vulnerability])
			out.Findings = append(out.Findings, found)
		}
	}
	for _, c := range r.Checks {
		out.Checks = append(out.Checks, client.Check{ID: c.ID, Title: c.Title, Severity: c.Severity.String(), Passed: c.Passed, Cause: c.Cause})
	}
	return out
}
