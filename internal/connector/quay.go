package connector

import (
	"context"
	"encoding/json"
	"net/url"
	"strconv"
	"strings"

	"github.com/tidewaiter/tidewaiter/internal/oci"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

func quayKind() kind {
	return kind{
		Capabilities: Capabilities{
			Kind: tidewaiter.KindQuay, Title: "Red Hat Quay", URLExample: "https://quay.io", Anonymous: true,
			Credentials: []CredentialForm{
				{Kind: tidewaiter.CredentialToken, Title: "OAuth application token", Fields: []Field{
					{Key: "secret", Title: "Token with repo:read", Secret: true, Required: true},
				}},
				{Kind: tidewaiter.CredentialBasic, Title: "Robot account", Fields: []Field{
					{Key: "username", Title: "org+robot", Required: true},
					{Key: "secret", Title: `Password; or {"docker_cli_password": …, "oauth2_token": …} to list with a token and pull with the robot`, Secret: true, Required: true},
				}},
			},
			Settings:     []Field{{Key: "organization", Title: "Organisations or users to list, with commas; empty is the robot's"}},
			Repositories: ListingNative, Tags: ListingNative, Needs: "an OAuth token (robots may not use Quay's API), and organization to list repositories",
			DigestInListing: true, TimeInListing: TimePushed, NewestFirst: true, PushEvents: []string{"webhook"}, TokenLife: 0,
		},
		open: openQuay,
	}
}

// quayOAuthUser is the user name under which Quay takes an OAuth token as password.
const quayOAuthUser = "$oauthtoken"

func openQuay(o *opening) (*connection, error) {
	user, password, token := o.username(), o.secret.Reveal(), ""
	switch o.kind() {
	case tidewaiter.CredentialToken:
		token = password
		if user == "" {
			user = quayOAuthUser
		}
	case tidewaiter.CredentialBasic:
		var both struct {
			Account  string `json:"account_name"`
			Password string `json:"docker_cli_password"`
			Token    string `json:"oauth2_token"`
		}
		if strings.HasPrefix(strings.TrimSpace(password), "{") && json.Unmarshal([]byte(password), &both) == nil && both.Password != "" {
			password, token = both.Password, both.Token
			if user == "" {
				user = both.Account
			}
		} else if user == quayOAuthUser {
			token = password
		}
	}
	conn := &connection{endpoint: o.endpoint(nil)}
	if user != "" {
		conn.endpoint.Auth = oci.Basic(user, password)
	}
	if token == "" && o.credential != nil {
		return conn, nil
	}
	a, err := o.api(o.root(), true)
	if err != nil {
		return nil, err
	}
	if token != "" {
		a.bearer(token)
	}
	namespaces := o.settings("organization")
	if name, _, robot := strings.Cut(user, "+"); robot && len(namespaces) == 0 {
		namespaces = []string{name}
	}
	conn.list = func(r *oci.Registry) lister {
		return &quay{distribution: distribution{r}, api: a, namespaces: namespaces}
	}
	return conn, nil
}

// quay lists by Quay's own API. Without namespaces the catalog tells the repositories.
type quay struct {
	distribution

	api        *api
	namespaces []string
}

func (q *quay) repositories(ctx context.Context, cursor string) ([]string, string, error) {
	if len(q.namespaces) == 0 {
		return q.distribution.repositories(ctx, cursor)
	}
	return inParts(q.namespaces, cursor, func(namespace, cursor string) ([]string, string, error) {
		query := url.Values{"namespace": {namespace}}
		if cursor != "" {
			query.Set("next_page", cursor)
		}
		var page struct {
			Repositories []struct {
				Namespace string `json:"namespace"`
				Name      string `json:"name"`
				Kind      string `json:"kind"`
			} `json:"repositories"`
			Next string `json:"next_page"`
		}
		if _, err := q.api.get(ctx, "/api/v1/repository", query, &page); err != nil {
			return nil, "", err
		}
		var names []string
		for _, r := range page.Repositories {
			if r.Kind == "" || r.Kind == "image" { // the other kind holds applications
				names = append(names, r.Namespace+"/"+r.Name)
			}
		}
		return names, page.Next, nil
	})
}

func (q *quay) tags(ctx context.Context, repository, cursor string) ([]tidewaiter.ListedTag, string, error) {
	number, err := pageNumber(cursor)
	if err != nil {
		return nil, "", err
	}
	var page struct {
		Tags []struct {
			Name    string    `json:"name"`
			Digest  string    `json:"manifest_digest"`
			Started looseTime `json:"start_ts"`
			Changed looseTime `json:"last_modified"`
		} `json:"tags"`
		More bool `json:"has_additional"`
	}
	query := url.Values{"limit": {"100"}, "page": {strconv.Itoa(number)}, "onlyActiveTags": {"true"}}
	if _, err := q.api.get(ctx, "/api/v1/repository/"+escapeEach(repository)+"/tag/", query, &page); err != nil {
		return nil, "", err
	}
	tags := make([]tidewaiter.ListedTag, len(page.Tags))
	for i, t := range page.Tags {
		tags[i] = tidewaiter.ListedTag{Name: t.Name, Digest: t.Digest, UpdatedAt: t.Started.Time}
		if tags[i].UpdatedAt.IsZero() {
			tags[i].UpdatedAt = t.Changed.Time
		}
	}
	if page.More {
		return tags, strconv.Itoa(number + 1), nil
	}
	return tags, "", nil
}
