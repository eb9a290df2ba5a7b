package api

import (
	"context"

	"github.com/tidewaiter/tidewaiter/client"
	"github.com/tidewaiter/tidewaiter/internal/control"
	"github.com/tidewaiter/tidewaiter/internal/secret"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

func (s *server) previews() {
	const noun = "registries"
	const bounds = "Reads only and stores nothing. It is bounded in requests and time; what it did not come to is said, with a cursor to go on."
	handle(s, operation{noun: noun, id: "validate-draft", method: "POST", path: "/registries/validate", may: tidewaiter.MayWriteRegistries,
		summary: "Ask a registry that is not stored, step by step, whether it lets us in."}, s.validateDraft)
	handle(s, operation{noun: noun, id: "validate-registry", method: "POST", path: "/registries/{id}/validate", may: tidewaiter.MayScan,
		summary: "Ask a declared registry, step by step, whether it lets us in."}, s.validateRegistry)
	handle(s, operation{noun: noun, id: "preview-draft", method: "POST", path: "/registries/preview", may: tidewaiter.MayWriteRegistries,
		summary: "What a registry that is not stored would have in scope, and what scans would take.", about: bounds}, s.previewDraft)
	handle(s, operation{noun: noun, id: "get-preview", method: "GET", path: "/registries/{id}/preview", may: tidewaiter.MayReadRegistries,
		summary: "What a declared registry has in scope now, and what scans take.", about: bounds}, s.getPreview)
	handle(s, operation{noun: noun, id: "preview-registry", method: "POST", path: "/registries/{id}/preview", may: tidewaiter.MayReadRegistries,
		summary: "The same with another scope or other bounds.", about: bounds}, s.previewRegistry)
}

type draftSent struct{ Body client.DraftRequest }

func (s *server) validateDraft(ctx context.Context, in *draftSent) (*body[client.Validation], error) {
	r, err := registryFrom(in.Body.Registry)
	if err != nil {
		return nil, err
	}
	if err := s.Control.CheckDraft(r); err != nil {
		return nil, err
	}
	return s.validate(ctx, r, loginFrom(in.Body.Login))
}

func (s *server) validateRegistry(ctx context.Context, in *OfRegistry) (*body[client.Validation], error) {
	r, err := s.Control.Registry(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	return s.validate(ctx, r, nil)
}

// validate answers 200 whatever the registry does: that is what was asked.
func (s *server) validate(ctx context.Context, r *tidewaiter.Registry, login *control.Login) (*body[client.Validation], error) {
	steps, err := s.Control.Validate(ctx, r, login)
	if len(steps) == 0 && err != nil {
		return nil, err
	}
	out := client.Validation{OK: err == nil, Steps: make([]client.Step, len(steps))}
	for i, step := range steps {
		out.Steps[i] = client.Step{Name: step.Name, OK: step.OK, TookMS: step.Duration.Milliseconds(), Detail: step.Detail,
			Kind: string(step.Kind), Error: step.Error, Fix: step.Fix}
	}
	return reply(out), nil
}

// loginFrom reads a credential that is not kept; nil is the stored one.
func loginFrom(d *client.CredentialDraft) *control.Login {
	if d == nil {
		return nil
	}
	return &control.Login{Secret: secret.New(d.Secret), Credential: &tidewaiter.Credential{
		Kind: tidewaiter.CredentialKind(d.Kind), Name: d.Name, Username: d.Username, Settings: d.Settings,
	}}
}

type draftPreviewSent struct{ Body client.DraftPreviewRequest }

func (s *server) previewDraft(ctx context.Context, in *draftPreviewSent) (*body[client.Preview], error) {
	r, err := registryFrom(in.Body.Registry)
	if err != nil {
		return nil, err
	}
	if err := s.Control.CheckDraft(r); err != nil {
		return nil, err
	}
	return s.preview(ctx, r, loginFrom(in.Body.Login), in.Body.PreviewRequest)
}

type previewAsked struct {
	OfRegistry
	Repositories int    `query:"repositories" minimum:"0" maximum:"1000"`
	Tags         int    `query:"tags" minimum:"0" maximum:"1000"`
	Requests     int    `query:"requests" minimum:"0" maximum:"10000"`
	After        string `query:"after" maxLength:"65536"`
}

func (s *server) getPreview(ctx context.Context, in *previewAsked) (*body[client.Preview], error) {
	return s.previewStored(ctx, in.ID, client.PreviewRequest{Repositories: in.Repositories, Tags: in.Tags, Requests: in.Requests, After: in.After})
}

type previewSent struct {
	OfRegistry
	Body client.PreviewRequest
}

func (s *server) previewRegistry(ctx context.Context, in *previewSent) (*body[client.Preview], error) {
	return s.previewStored(ctx, in.ID, in.Body)
}

func (s *server) previewStored(ctx context.Context, id string, req client.PreviewRequest) (*body[client.Preview], error) {
	r, err := s.Control.Registry(ctx, id)
	if err != nil {
		return nil, err
	}
	return s.preview(ctx, r, nil, req)
}

func (s *server) preview(ctx context.Context, r *tidewaiter.Registry, login *control.Login, req client.PreviewRequest) (*body[client.Preview], error) {
	draft := *r
	if req.Scope != nil {
		var err error
		if draft.Scope, err = scopeFrom(*req.Scope); err != nil {
			return nil, err
		}
	}
	p, err := s.Control.Preview(ctx, &draft, login, control.PreviewRequest{After: req.After, Limits: control.PreviewLimits{
		Repositories: req.Repositories, Tags: req.Tags, Requests: req.Requests,
	}})
	if err != nil {
		return nil, err
	}
	out := client.Preview{Repositories: make([]client.PreviewedRepository, len(p.Repositories)), Summary: summaryOf(p.Summary)}
	for i, one := range p.Repositories {
		shown := client.PreviewedRepository{Name: one.Name, Decision: decisionOf(one.Decision), TagsSeen: one.TagsSeen, TagsSelected: one.TagsSelected,
			LeftOut: byText(one.LeftOut), CutShort: one.CutShort, ErrorKind: string(one.ErrorKind), Error: one.Error}
		for _, t := range one.Tags {
			shown.Tags = append(shown.Tags, client.PreviewedTag{Name: t.Name, Digest: t.Digest, UpdatedAt: t.UpdatedAt, Decision: decisionOf(t.Decision)})
		}
		out.Repositories[i] = shown
	}
	return reply(out), nil
}

func summaryOf(s control.PreviewSummary) client.PreviewSummary {
	return client.PreviewSummary{
		Repositories: s.Repositories, RepositoriesSelected: s.RepositoriesSelected, RepositoriesListed: s.RepositoriesListed,
		RepositoriesFailed: s.RepositoriesFailed, RepositoriesLeftOut: byText(s.RepositoriesLeftOut), Tags: s.Tags, TagsSelected: s.TagsSelected,
		TagsLeftOut: byText(s.TagsLeftOut), Requests: costOf(s.Requests), FirstPass: costOf(s.FirstPass), SecondPass: costOf(s.SecondPass),
		Rotation: s.Rotation, RotationWithin: s.RotationWithin, CutShort: s.CutShort, Next: s.Next, Notes: s.Notes,
	}
}

func costOf(c control.Cost) client.Cost {
	return client.Cost{Requests: c.Requests, By: byText(c.By), Estimated: c.Estimated, AtLeast: c.AtLeast}
}

func byText[K ~string](counts map[K]int) map[string]int {
	if len(counts) == 0 {
		return nil
	}
	out := make(map[string]int, len(counts))
	for k, n := range counts {
		out[string(k)] = n
	}
	return out
}
