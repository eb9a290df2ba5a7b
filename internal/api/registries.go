package api

import (
	"context"

	"github.com/tidewaiter/tidewaiter/client"
	"github.com/tidewaiter/tidewaiter/internal/control"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

func (s *server) registries() {
	const noun = "registries"
	handle(s, operation{noun: noun, id: "list-kinds", method: "GET", path: "/kinds", may: tidewaiter.MayReadRegistries,
		summary: "Every kind of registry: its address, credentials, settings, and what its lists say."}, s.listKinds)
	handle(s, operation{noun: noun, id: "list-registries", method: "GET", path: "/registries", may: tidewaiter.MayReadRegistries,
		summary: "The declared registries, through whichever API."}, s.listRegistries)
	handle(s, operation{noun: noun, id: "declare-registry", method: "POST", path: "/registries", may: tidewaiter.MayWriteRegistries, status: 201,
		summary: "Declare a registry, and scan it."}, s.declareRegistry)
	handle(s, operation{noun: noun, id: "get-registry", method: "GET", path: "/registries/{id}", may: tidewaiter.MayReadRegistries,
		summary: "One registry with its latest scans."}, s.getRegistry)
	handle(s, operation{noun: noun, id: "update-registry", method: "PUT", path: "/registries/{id}", may: tidewaiter.MayWriteRegistries,
		summary: "Replace a registry's declaration.", about: "Results and history stay. One that another API has declared is changed there: 409."}, s.updateRegistry)
	handle(s, operation{noun: noun, id: "delete-registry", method: "DELETE", path: "/registries/{id}", may: tidewaiter.MayWriteRegistries,
		summary: "Remove a registry and what only it led to."}, s.deleteRegistry)
	handle(s, operation{noun: noun, id: "scan-registry", method: "POST", path: "/registries/{id}/scan", may: tidewaiter.MayScan, status: 202,
		summary: "Start a scan.", about: "When one of all of the registry is on its way already, that one is returned."}, s.scanRegistry)
	handle(s, operation{noun: noun, id: "list-registry-repositories", method: "GET", path: "/registries/{id}/repositories", may: tidewaiter.MayReadRegistries,
		summary: "The repositories the last listings saw, in scope or not and why, by name."}, s.listRepositories)
	handle(s, operation{noun: noun, id: "list-registry-tags", method: "GET", path: "/registries/{id}/tags", may: tidewaiter.MayReadRegistries,
		summary: "The tags in scope of one repository, by name, with when the registry last said where each points."}, s.listTags)
}

func (s *server) listKinds(context.Context, *struct{}) (*body[client.Page[client.RegistryKind]], error) {
	var out client.Page[client.RegistryKind]
	for _, k := range control.RegistryKinds() {
		shown := client.RegistryKind{Kind: string(k.Kind), Title: k.Title, URLPattern: k.URLPattern, URLExample: k.URLExample, Anonymous: k.Anonymous,
			Repositories: string(k.Repositories), Tags: string(k.Tags), Needs: k.Needs, DigestInListing: k.DigestInListing,
			TimeInListing: string(k.TimeInListing), NewestFirst: k.NewestFirst, Platforms: k.Platforms, Since: k.Since, PushEvents: k.PushEvents,
			TokenSeconds: int(k.TokenLife.Seconds())}
		for _, f := range k.Settings {
			shown.Settings = append(shown.Settings, client.FormField(f))
		}
		for _, form := range k.Credentials {
			c := client.CredentialForm{Kind: string(form.Kind), Title: form.Title}
			for _, f := range form.Fields {
				c.Fields = append(c.Fields, client.FormField(f))
			}
			shown.Credentials = append(shown.Credentials, c)
		}
		out.Items = append(out.Items, shown)
	}
	return reply(out), nil
}

type registryQuery struct {
	Paging
	Kind   string `query:"kind"`
	Origin string `query:"origin" enum:"native,prisma,qualys" doc:"The API it was declared through."`
	Host   string `query:"host"`
	Name   string `query:"name" doc:"Its whole name."`
}

func (s *server) listRegistries(ctx context.Context, q *registryQuery) (*body[client.Page[client.Registry]], error) {
	f := control.RegistryFilter{Kind: tidewaiter.RegistryKind(q.Kind), Origin: tidewaiter.Origin(q.Origin), Name: q.Name, Page: q.page()}
	if q.Host != "" {
		f.Host = tidewaiter.HostOf(q.Host)
	}
	list, next, err := s.Control.Registries(ctx, f)
	if err != nil {
		return nil, err
	}
	items, err := s.registriesOf(ctx, list)
	return reply(client.Page[client.Registry]{Items: items, Next: next}), err
}

// registriesOf shows registries with their numbers and scans.
func (s *server) registriesOf(ctx context.Context, list []*tidewaiter.Registry) ([]client.Registry, error) {
	ids := make([]string, len(list))
	for i, r := range list {
		ids[i] = r.ID
	}
	totals, err := s.Control.RegistryTotals(ctx, ids)
	if err != nil {
		return nil, err
	}
	scans, err := s.Control.LatestScans(ctx, ids)
	if err != nil {
		return nil, err
	}
	holds, err := s.Control.RegistryHolds(ctx, list)
	if err != nil {
		return nil, err
	}
	out := make([]client.Registry, len(list))
	for i, r := range list {
		t := totals[r.ID]
		out[i] = client.Registry{ID: r.ID, Origin: string(r.Origin), Host: r.Host(), RegistryDraft: draftOf(r), CreatedAt: r.CreatedAt, UpdatedAt: r.UpdatedAt,
			PausedAt: r.PausedAt,
			Totals:   client.RegistryTotals{Repositories: t.Repositories, Images: t.Images, Scanned: t.Scanned, Vulnerable: t.Vulnerable, LastScanned: t.LastScanned},
			Finished: scanOf(scans[r.ID].Finished), Current: scanOf(scans[r.ID].Current)}
		if hold, waits := holds[r.ID]; waits {
			out[i].Waiting = hold.Text()
		}
	}
	return out, nil
}

func (s *server) registryOf(ctx context.Context, r *tidewaiter.Registry) (*body[client.Registry], error) {
	shown, err := s.registriesOf(ctx, []*tidewaiter.Registry{r})
	if err != nil {
		return nil, err
	}
	return reply(shown[0]), nil
}

func scanOf(s *tidewaiter.Scan) *client.Scan {
	if s == nil {
		return nil
	}
	return &client.Scan{ID: s.ID, Registry: s.RegistryID, State: string(s.State), Complete: s.Complete, Repositories: s.Repositories,
		Listed: s.RepositoriesListed, TagsSeen: s.TagsSeen, TagsSelected: s.TagsSelected, Images: s.ImagesTotal, Done: s.ImagesDone,
		Failed: s.ImagesFailed, Error: s.Error, CreatedAt: s.CreatedAt, StartedAt: s.StartedAt, EndedAt: s.EndedAt}
}

// DeclareInput is a declaration. It is exported, as OfRegistry is, because huma reads exported embedded structs only.
type DeclareInput struct {
	Scan string `query:"scan" enum:"true,false" default:"true" doc:"Scan it at once; after an update when it means something else than before."`
	Body client.RegistryDraft
}

func (s *server) declareRegistry(ctx context.Context, in *DeclareInput) (*body[client.Registry], error) {
	draft, err := registryFrom(in.Body)
	if err != nil {
		return nil, err
	}
	r, err := s.Control.DeclareRegistry(ctx, draft, in.Scan == "true")
	if err != nil {
		return nil, err
	}
	return s.registryOf(ctx, r)
}

// OfRegistry names the registry a path is about.
type OfRegistry struct {
	ID string `path:"id" maxLength:"256"`
}

func (s *server) getRegistry(ctx context.Context, in *OfRegistry) (*body[client.Registry], error) {
	r, err := s.Control.Registry(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	return s.registryOf(ctx, r)
}

type registryChanged struct {
	OfRegistry
	DeclareInput
}

func (s *server) updateRegistry(ctx context.Context, in *registryChanged) (*body[client.Registry], error) {
	draft, err := registryFrom(in.Body)
	if err != nil {
		return nil, err
	}
	r, err := s.Control.RedeclareRegistry(ctx, in.ID, draft, in.Scan == "true")
	if err != nil {
		return nil, err
	}
	return s.registryOf(ctx, r)
}

func (s *server) deleteRegistry(ctx context.Context, in *OfRegistry) (*struct{}, error) {
	return nil, s.Control.WithdrawRegistry(ctx, in.ID)
}

type registryScanned struct {
	OfRegistry
	Body client.ScanRequest
}

func (s *server) scanRegistry(ctx context.Context, in *registryScanned) (*body[client.Scan], error) {
	req := control.ScanRequest{Lane: tidewaiter.LaneInteractive, OnDemand: true, Force: in.Body.Force}
	switch b := in.Body; {
	case b.Repository != "" && (b.Tag == "") == (b.Digest == ""):
		return nil, tidewaiter.Invalid("tag", "one image is named by its repository and a tag or a digest")
	case b.Repository == "" && (b.Tag != "" || b.Digest != ""):
		return nil, tidewaiter.Invalid("repository", "a tag or digest needs its repository")
	case b.Repository != "":
		req.Target = &tidewaiter.Target{Repository: b.Repository, Tag: b.Tag, Digest: b.Digest}
	}
	scan, err := s.Control.StartScan(ctx, in.ID, req)
	if err != nil {
		return nil, err
	}
	return reply(*scanOf(scan)), nil
}

type repositoriesAsked struct {
	OfRegistry
	Paging
	Search string `query:"search" maxLength:"512" doc:"Part of the name, in any case."`
	Scope  string `query:"scope" enum:"in,out" doc:"Only those in scope, or out of it."`
	Gone   bool   `query:"gone" doc:"Those that are gone as well."`
}

func (s *server) listRepositories(ctx context.Context, q *repositoriesAsked) (*body[client.Page[client.RegistryRepository]], error) {
	if _, err := s.Control.Registry(ctx, q.ID); err != nil {
		return nil, err
	}
	f := control.RepositoryFilter{Search: q.Search, Gone: q.Gone, Page: q.page()}
	if q.Scope != "" {
		in := q.Scope == "in"
		f.Included = &in
	}
	list, next, err := s.Control.RegistryRepositories(ctx, q.ID, f)
	out := client.Page[client.RegistryRepository]{Items: make([]client.RegistryRepository, len(list)), Next: next}
	for i, r := range list {
		out.Items[i] = client.RegistryRepository{Name: r.Name, Decision: decisionOf(r.Decision), TagsSeen: r.TagsSeen, TagsSelected: r.TagsSelected,
			ListedAt: r.ListedAt, GoneAt: r.GoneAt, Images: r.Images, Scanned: r.Scanned, Vulnerable: r.Vulnerable}
	}
	return reply(out), err
}

type tagsAsked struct {
	OfRegistry
	Paging
	Repository string `query:"repository" required:"true" maxLength:"512"`
}

func (s *server) listTags(ctx context.Context, q *tagsAsked) (*body[client.Page[client.RegistryTag]], error) {
	if _, err := s.Control.Registry(ctx, q.ID); err != nil {
		return nil, err
	}
	list, next, err := s.Control.RegistryTags(ctx, q.ID, q.Repository, q.page())
	out := client.Page[client.RegistryTag]{Items: make([]client.RegistryTag, len(list)), Next: next}
	for i, t := range list {
		out.Items[i] = client.RegistryTag{Name: t.Name, Digest: t.Digest, FirstSeen: t.FirstSeen, LastSeen: t.LastSeen, CheckedAt: t.CheckedAt,
			ChangedAt: t.ChangedAt, ErrorKind: string(t.ErrorKind), Error: t.Error}
	}
	return reply(out), err
}
