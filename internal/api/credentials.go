package api

import (
	"context"

	"github.com/tidewaiter/tidewaiter/client"
	"github.com/tidewaiter/tidewaiter/internal/control"
	"github.com/tidewaiter/tidewaiter/internal/secret"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

func (s *server) credentials() {
	const noun = "credentials"
	handle(s, operation{noun: noun, id: "list-credentials", method: "GET", path: "/credentials", may: tidewaiter.MayReadCredentials,
		summary: "The stored credentials, without their secrets."}, s.listCredentials)
	handle(s, operation{noun: noun, id: "add-credential", method: "POST", path: "/credentials", may: tidewaiter.MayWriteCredentials, status: 201,
		summary: "Store a credential.", about: "Its secret is sealed, never shown again, and sent to the registries that use it alone."}, s.addCredential)
	handle(s, operation{noun: noun, id: "get-credential", method: "GET", path: "/credentials/{id}", may: tidewaiter.MayReadCredentials,
		summary: "One credential and the registries that use it."}, s.getCredential)
	handle(s, operation{noun: noun, id: "update-credential", method: "PUT", path: "/credentials/{id}", may: tidewaiter.MayWriteCredentials,
		summary: "Replace a credential; without a secret the one there is stays."}, s.updateCredential)
	handle(s, operation{noun: noun, id: "delete-credential", method: "DELETE", path: "/credentials/{id}", may: tidewaiter.MayWriteCredentials,
		summary: "Remove a credential that no registry uses."}, s.deleteCredential)
}

func credentialOf(c *tidewaiter.Credential) client.Credential {
	return client.Credential{ID: c.ID, Origin: string(c.Origin), Name: c.Name, Kind: string(c.Kind), Username: c.Username,
		HasSecret: len(c.Sealed) > 0, Settings: c.Settings, Owner: c.Owner, CreatedAt: c.CreatedAt, UpdatedAt: c.UpdatedAt}
}

type credentialQuery struct {
	Paging
	Kind   string `query:"kind"`
	Origin string `query:"origin" enum:"native,prisma,qualys"`
}

func (s *server) listCredentials(ctx context.Context, q *credentialQuery) (*body[client.Page[client.Credential]], error) {
	list, next, err := s.Control.Credentials(ctx, control.CredentialFilter{
		Kind: tidewaiter.CredentialKind(q.Kind), Origin: tidewaiter.Origin(q.Origin), Page: q.page(),
	})
	out := client.Page[client.Credential]{Items: make([]client.Credential, len(list)), Next: next}
	for i, c := range list {
		out.Items[i] = credentialOf(c)
	}
	return reply(out), err
}

// OfCredential names the credential a path is about. It is exported because huma reads exported embedded structs only.
type OfCredential struct {
	ID string `path:"id" maxLength:"256"`
}

func (s *server) getCredential(ctx context.Context, in *OfCredential) (*body[client.Credential], error) {
	c, err := s.Control.Credential(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	users, err := s.Control.CredentialUsages(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	out := credentialOf(c)
	for _, r := range users {
		out.Registries = append(out.Registries, r.ID)
	}
	return reply(out), nil
}

// CredentialInput is a credential as it is declared.
type CredentialInput struct{ Body client.CredentialDraft }

func (s *server) addCredential(ctx context.Context, in *CredentialInput) (*body[client.Credential], error) {
	return s.keepCredential(ctx, "", in.Body)
}

type credentialChanged struct {
	OfCredential
	CredentialInput
}

func (s *server) updateCredential(ctx context.Context, in *credentialChanged) (*body[client.Credential], error) {
	return s.keepCredential(ctx, in.ID, in.Body)
}

func (s *server) keepCredential(ctx context.Context, id string, d client.CredentialDraft) (*body[client.Credential], error) {
	c := loginFrom(&d).Credential
	c.ID = id
	var plain *secret.Value
	if d.Secret != "" {
		v := secret.New(d.Secret)
		plain = &v
	}
	if err := s.Control.KeepCredential(ctx, c, plain); err != nil {
		return nil, err
	}
	return s.getCredential(ctx, &OfCredential{ID: c.ID})
}

func (s *server) deleteCredential(ctx context.Context, in *OfCredential) (*struct{}, error) {
	return nil, s.Control.DropCredential(ctx, in.ID)
}
