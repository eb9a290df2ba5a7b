package cli

import (
	"context"
	"errors"
	"net/http"
	"strings"

	"github.com/tidewaiter/tidewaiter/client"
	"github.com/tidewaiter/tidewaiter/internal/control"
	"github.com/tidewaiter/tidewaiter/internal/oci"
	"github.com/tidewaiter/tidewaiter/internal/secret"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

func isNotFound(err error) bool {
	e, ok := errors.AsType[*client.Error](err)
	return ok && e.Status == http.StatusNotFound
}

// serverToAsk is a server that may be asked in place of the registry itself.
type serverToAsk struct {
	Server   string       `help:"Have this server look, in place of this machine." env:"TIDEWAITER_SERVER" placeholder:"URL"`
	User     string       `help:"Whom to log in to the server as." default:"admin" env:"TIDEWAITER_USER" placeholder:"NAME"`
	Password secret.Value `help:"The password; better in the variable than on the command line." env:"TIDEWAITER_PASSWORD" placeholder:"…"`
	Token    secret.Value `help:"A token instead of user and password." env:"TIDEWAITER_TOKEN" placeholder:"…"`
}

// remote has a server look: at a declared registry, by its id or name, or at a draft, by its address.
func (c previewCommand) remote(ctx context.Context, s streams, scope tidewaiter.Scope) error {
	server, err := remoteFlags{Server: c.Server, User: c.User, Password: c.Password, Token: c.Token}.client(s)
	if err != nil {
		return err
	}
	req := client.PreviewRequest{Repositories: c.Limit, Tags: c.ShowTags, Requests: c.MaxRequests, After: c.After}
	var p *client.Preview
	if strings.Contains(c.URL, "://") {
		p, err = c.remoteDraft(ctx, s, server, scope, req)
	} else {
		var r *client.Registry
		if r, err = findRegistry(ctx, server, c.URL); err == nil {
			if given := wireScope(scope); c.anyScope() {
				req.Scope = &given
			}
			p, err = server.PreviewRegistry(ctx, r.ID, req)
		}
	}
	if err != nil {
		return refused(err)
	}
	out := previewWriter(s.out, c.Output)
	for _, one := range p.Repositories {
		if err := out.repository(repositoryFrom(one)); err != nil {
			return err
		}
	}
	return out.summary(summaryFrom(p.Summary))
}

func (c previewCommand) remoteDraft(ctx context.Context, s streams, server *client.Client, scope tidewaiter.Scope, req client.PreviewRequest) (*client.Preview, error) {
	e, err := c.endpointAt(c.URL)
	if err != nil {
		return nil, err
	}
	draft := client.DraftPreviewRequest{PreviewRequest: req}
	draft.Registry = client.RegistryDraft{Kind: c.Kind, URL: e.URL, TLS: client.RegistryTLS(e.TLS), Scope: wireScope(scope), Settings: c.Setting}
	plain, err := c.readSecret(s)
	if err != nil {
		return nil, err
	}
	can, err := capabilities(c.Kind)
	if err != nil {
		return nil, err
	}
	cred, err := c.credential(can, !plain.IsZero())
	if err != nil {
		return nil, err
	}
	if cred != nil {
		draft.Login = &client.CredentialDraft{Kind: string(cred.Kind), Username: cred.Username, Secret: plain.Reveal(), Settings: cred.Settings}
	}
	return server.PreviewDraft(ctx, draft)
}

func repositoryFrom(r client.PreviewedRepository) control.PreviewedRepository {
	out := control.PreviewedRepository{Name: r.Name, Decision: decisionFrom(r.Decision), TagsSeen: r.TagsSeen, TagsSelected: r.TagsSelected,
		LeftOut: byKey[tidewaiter.Reason](r.LeftOut), CutShort: r.CutShort, ErrorKind: tidewaiter.ErrorKind(r.ErrorKind), Error: r.Error}
	for _, t := range r.Tags {
		out.Tags = append(out.Tags, control.PreviewedTag{Name: t.Name, Digest: t.Digest, UpdatedAt: t.UpdatedAt, Decision: decisionFrom(t.Decision)})
	}
	return out
}

func decisionFrom(d client.Decision) tidewaiter.Decision {
	return tidewaiter.Decision{Included: d.Included, Reason: tidewaiter.Reason(d.Reason), Detail: d.Detail}
}

func summaryFrom(s client.PreviewSummary) control.PreviewSummary {
	return control.PreviewSummary{
		Repositories: s.Repositories, RepositoriesSelected: s.RepositoriesSelected, RepositoriesListed: s.RepositoriesListed,
		RepositoriesFailed: s.RepositoriesFailed, RepositoriesLeftOut: byKey[tidewaiter.Reason](s.RepositoriesLeftOut), Tags: s.Tags,
		TagsSelected: s.TagsSelected, TagsLeftOut: byKey[tidewaiter.Reason](s.TagsLeftOut), Requests: costFrom(s.Requests),
		FirstPass: costFrom(s.FirstPass), SecondPass: costFrom(s.SecondPass), Rotation: s.Rotation, RotationWithin: s.RotationWithin,
		CutShort: s.CutShort, Next: s.Next, Notes: s.Notes,
	}
}

func costFrom(c client.Cost) control.Cost {
	return control.Cost{Requests: c.Requests, By: byKey[oci.RequestKind](c.By), Estimated: c.Estimated, AtLeast: c.AtLeast}
}

func byKey[K ~string](counts map[string]int) map[K]int {
	out := make(map[K]int, len(counts))
	for k, n := range counts {
		out[K(k)] = n
	}
	return out
}
