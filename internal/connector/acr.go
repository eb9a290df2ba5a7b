package connector

import (
	"context"
	"encoding/json"
	"net/url"
	"regexp"
	"strings"
	"time"

	"github.com/tidewaiter/tidewaiter/internal/oci"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

func acrKind() kind {
	return kind{
		Capabilities: Capabilities{
			Kind: tidewaiter.KindACR, Title: "Azure Container Registry", URLPattern: acrHost.String(), URLExample: "https://example.azurecr.io", Anonymous: true,
			Credentials: []CredentialForm{
				{Kind: tidewaiter.CredentialAzure, Title: "Service principal", Fields: []Field{
					{Key: "tenantId", Title: "Tenant ID", Required: true}, {Key: "clientId", Title: "Application (client) ID", Required: true},
					{Key: "secret", Title: "Client secret, or certificate and key in PEM", Secret: true, Required: true},
				}},
				{Kind: tidewaiter.CredentialAzure, Title: "Managed identity of the machine this runs on", Fields: []Field{
					{Key: "miType", Title: "Which", Required: true, Values: []string{"system-assigned", "user-assigned"}},
					{Key: "clientId", Title: "Client ID of a user-assigned one"},
				}},
				basicForm("Admin user, service principal or repository-scoped token"),
			},
			Repositories: ListingNative, Tags: ListingNative,
			DigestInListing: true, TimeInListing: TimeUpdated, NewestFirst: true, PushEvents: []string{"webhook", "queue"}, TokenLife: 3 * time.Hour,
		},
		open: openACR,
	}
}

var acrHost = regexp.MustCompile(`^https://[a-z0-9-]+(\.[a-z0-9-]+)*\.azurecr\.(io|cn|us)$`)

func openACR(o *opening) (*connection, error) {
	conn := &connection{endpoint: o.endpoint(o.login()), list: func(r *oci.Registry) lister { return &acr{r} }}
	if o.kind() != tidewaiter.CredentialAzure {
		return conn, nil
	}
	if !acrHost.MatchString(o.root()) && !o.replaced("azure-authority") {
		return nil, tidewaiter.Invalid("url", "%s is not the address of an Azure registry, and an azure credential goes to no other", o.root()).
			WithFix("write it as https://name.azurecr.io")
	}
	if _, certificate := certificateOf(o.secret.Reveal()); o.setting("tenantId") == "" && o.setting("miType") == "" && o.setting("clientId") != "" && !certificate {
		// Without its tenant a service principal is as good as a user: registries take its id and secret themselves.
		conn.endpoint.Auth = oci.Basic(o.setting("clientId"), o.secret.Reveal())
		return conn, nil
	}
	identity, err := o.azureIdentity()
	if err != nil {
		return nil, err
	}
	a, err := o.api(o.root(), true)
	if err != nil {
		return nil, err
	}
	token := keep(o.client.Now, func(ctx context.Context) (oci.Credential, time.Time, error) {
		aad, err := identity(ctx, false)
		if err != nil {
			return oci.Credential{}, time.Time{}, err
		}
		cred, expires, err := exchangeForACR(ctx, a, o.address().Host, o.setting("tenantId"), aad)
		if tidewaiter.KindOf(err) != tidewaiter.ErrAuth {
			return cred, expires, err
		}
		fresh, fail := identity(ctx, true) // the token was kept from before, and may have been revoked
		if fail != nil || fresh == aad {
			return cred, expires, err
		}
		return exchangeForACR(ctx, a, o.address().Host, o.setting("tenantId"), fresh)
	})
	conn.endpoint.Auth = func(ctx context.Context, _ string) (oci.Credential, error) { return token.get(ctx) }
	conn.endpoint.Refused = token.drop
	return conn, nil
}

// exchangeForACR turns a token of Entra ID into the registry's refresh token, which its token server gives access tokens
// for. Azure: "Azure Container Registry AAD OAuth", POST /oauth2/exchange.
func exchangeForACR(ctx context.Context, a *api, service, tenant, aad string) (oci.Credential, time.Time, error) {
	form := url.Values{"grant_type": {"access_token"}, "service": {service}, "access_token": {aad}}
	if tenant != "" {
		form.Set("tenant", tenant)
	}
	var answer struct {
		RefreshToken string `json:"refresh_token"`
	}
	exchange := *a
	exchange.secrets = []string{aad}
	exchange.login = signedAlready
	if _, err := exchange.do(ctx, request{method: "POST", path: "/oauth2/exchange", form: form}, &answer); err != nil {
		return oci.Credential{}, time.Time{}, loginRefused("the registry with a token of Entra ID", err)
	}
	token, err := usableToken(answer.RefreshToken, service)
	return oci.Credential{IdentityToken: token}, jwtExpiry(token), err
}

// acr lists by Azure's own API, which is beside the distribution API and takes the same tokens.
type acr struct{ registry *oci.Registry }

func (a *acr) repositories(ctx context.Context, cursor string) ([]string, string, error) {
	var page struct {
		Repositories []string `json:"repositories"`
	}
	next, err := a.page(ctx, "/acr/v1/_catalog", firstQuery(cursor, url.Values{"n": {"1000"}}), "registry:catalog:*", &page)
	return page.Repositories, next, err
}

func (a *acr) tags(ctx context.Context, repository, cursor string) ([]tidewaiter.ListedTag, string, error) {
	var page struct {
		Tags []struct {
			Name    string    `json:"name"`
			Digest  string    `json:"digest"`
			Updated looseTime `json:"lastUpdateTime"`
		} `json:"tags"`
	}
	query := firstQuery(cursor, url.Values{"n": {"1000"}, "orderby": {"timedesc"}})
	next, err := a.page(ctx, "/acr/v1/"+escapeEach(repository)+"/_tags", query, "repository:"+repository+":metadata_read", &page)
	tags := make([]tidewaiter.ListedTag, len(page.Tags))
	for i, t := range page.Tags {
		tags[i] = tidewaiter.ListedTag{Name: t.Name, Digest: t.Digest, UpdatedAt: t.Updated.Time}
	}
	return tags, next, err
}

func (a *acr) page(ctx context.Context, path, query, scope string, into any) (next string, err error) {
	header, body, err := a.registry.Get(ctx, path, query, scope, strings.TrimPrefix(path, "/"))
	if err != nil {
		return "", err
	}
	if err := json.Unmarshal(body, into); err != nil {
		return "", oci.Undecodable(body, err)
	}
	next, _, err = oci.NextQuery(header)
	return next, err
}
