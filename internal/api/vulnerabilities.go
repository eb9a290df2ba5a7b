package api

import (
	"context"

	"github.com/tidewaiter/tidewaiter/client"
	"github.com/tidewaiter/tidewaiter/internal/control"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

func (s *server) vulnerabilities() {
	handle(s, operation{noun: "vulnerabilities", id: "list-vulnerabilities", method: "GET", path: "/vulnerabilities", may: tidewaiter.MayReadImages,
		summary: "Vulnerabilities that images have, the worst first.",
		about:   "How many images have each is counted in the background: countedAt says when. EPSS and KEV are what is known now."},
		s.listVulnerabilities)
	handle(s, operation{noun: "vulnerabilities", id: "get-vulnerability", method: "GET", path: "/vulnerabilities/{name}", may: tidewaiter.MayReadImages,
		summary: "One vulnerability: what is known of it, and which images have it.",
		about:   "limit and after are of the page of images."}, s.getVulnerability)
}

type vulnerabilityQuery struct {
	Paging
	Search   string  `query:"search" maxLength:"128" doc:"Part of the name, in any case."`
	Severity string  `query:"severity" enum:"negligible,low,medium,high,critical" doc:"At least this one."`
	EPSS     float64 `query:"epss" minimum:"0" maximum:"1" doc:"An EPSS score of at least this."`
	KEV      bool    `query:"kev" doc:"Only those known to be exploited."`
	Fixable  bool    `query:"fixable" doc:"Only those some package has a fix for."`
	Sort     string  `query:"sort" enum:"severity,epss,score,images,published" default:"severity"`
	Least    bool    `query:"least" doc:"The least first."`
}

func (s *server) listVulnerabilities(ctx context.Context, q *vulnerabilityQuery) (*body[client.VulnerabilityPage], error) {
	f := control.VulnerabilityFilter{Search: q.Search, MinEPSS: q.EPSS, KEV: q.KEV, Fixable: q.Fixable,
		Sort: control.VulnerabilitySort(q.Sort), Asc: q.Least, Page: q.page()}
	if q.Severity != "" {
		severity, err := tidewaiter.ParseSeverity(q.Severity)
		if err != nil {
			return nil, err
		}
		f.MinSeverity = severity
	}
	list, next, counted, err := s.Control.FleetVulnerabilities(ctx, f)
	if err != nil {
		return nil, err
	}
	out := client.VulnerabilityPage{Page: client.Page[client.Vulnerability]{Items: make([]client.Vulnerability, len(list)), Next: next}, CountedAt: counted}
	for i := range list {
		out.Items[i] = vulnerabilityOf(&list[i])
	}
	return reply(out), nil
}

type vulnerabilityAsked struct {
	Paging
	Name string `path:"name" maxLength:"256" doc:"CVE-2024-1234, GHSA-…"`
}

// maxFoundIn is how many packages an answer names.
const maxFoundIn = 500

func (s *server) getVulnerability(ctx context.Context, in *vulnerabilityAsked) (*body[client.VulnerabilityDetails], error) {
	v, details, packages, err := s.Control.FleetVulnerability(ctx, in.Name)
	if err != nil {
		return nil, err
	}
	rows, next, err := s.Control.ImagesWithVulnerability(ctx, in.Name, in.page())
	if err != nil {
		return nil, err
	}
	out := client.VulnerabilityDetails{Vulnerability: vulnerabilityOf(v), FoundIn: []client.VulnerablePackage{},
		ImagesPage: client.Page[client.Image]{Items: make([]client.Image, len(rows)), Next: next}}
	for i, row := range rows {
		out.ImagesPage.Items[i] = imageOf(row.Image, row.Tags, row.RegistryIDs)
	}
	if details != nil {
		out.Title, out.Description, out.Vector = details.Title, details.Description, details.Vector
		out.CWEs, out.References = details.CWEs, details.References
	}
	for _, p := range packages[:min(maxFoundIn, len(packages))] {
		out.FoundIn = append(out.FoundIn, client.VulnerablePackage{Name: p.Name, Version: p.Version, Severity: p.Severity.String(), Status: p.Status, FixedIn: p.FixedIn})
	}
	return reply(out), nil
}

func vulnerabilityOf(v *control.FleetVulnerability) client.Vulnerability {
	out := client.Vulnerability{Name: v.Name, Severity: v.Severity.String(), Score: v.Score, Published: v.Published,
		Images: v.Images, Packages: v.Packages, Fixable: v.Fixable}
	out.EPSS, out.KEV = threatOf(v.Threat)
	return out
}

func threatOf(t tidewaiter.Threat) (*client.EPSS, *client.KEV) {
	var epss *client.EPSS
	var kev *client.KEV
	if e := t.EPSS; e != nil {
		epss = &client.EPSS{Score: e.Score, Percentile: e.Percentile, Date: e.Date}
	}
	if k := t.KEV; k != nil {
		kev = &client.KEV{Added: k.Added, Due: k.Due, Ransomware: k.Ransomware}
	}
	return epss, kev
}
