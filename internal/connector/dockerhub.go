package connector

import (
	"context"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/tidewaiter/tidewaiter/internal/oci"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

func dockerHubKind() kind {
	return kind{
		Capabilities: Capabilities{
			Kind: tidewaiter.KindDockerHub, Title: "Docker Hub", URLPattern: `^https://registry-1\.docker\.io$`, URLExample: tidewaiter.DockerHubURL, Anonymous: true,
			Credentials:  []CredentialForm{basicForm("User or organisation, with password or access token"), tokenForm("Access token")},
			Settings:     []Field{{Key: "organization", Title: "Organisations or users to list, with commas; empty is the credential's own"}},
			Repositories: ListingNative, Tags: ListingNative, Needs: "nothing to list tags; an organisation or a user name to list repositories",
			DigestInListing: true, TimeInListing: TimePushed, NewestFirst: true, Platforms: true, PushEvents: []string{"webhook"}, TokenLife: 5 * time.Minute,
		},
		open: openDockerHub,
	}
}

func openDockerHub(o *opening) (*connection, error) {
	hub, err := o.api(o.base("hub", "https://hub.docker.com"), false)
	if err != nil {
		return nil, err
	}
	namespaces := o.settings("organization")
	switch {
	case o.credential == nil:
	case o.username() == "":
		hub.bearer(o.secret.Reveal())
	default:
		hub.secrets = append(hub.secrets, o.secret.Reveal())
		hub.bearerFrom(keep(o.client.Now, hubLogin(hub, o.username(), o.secret.Reveal())))
		if len(namespaces) == 0 {
			namespaces = []string{o.username()}
		}
	}
	return &connection{
		endpoint: o.endpoint(o.login()),
		list:     func(*oci.Registry) lister { return &dockerHub{hub: hub, namespaces: namespaces} },
		name:     hubName,
	}, nil
}

// hubName puts the official images where they are: under library/.
func hubName(name string) string {
	if name != "" && !strings.Contains(name, "/") {
		return "library/" + name
	}
	return name
}

// hubLogin exchanges a password, personal or organisation access token. Docker: "Create access token", POST /v2/auth/token.
func hubLogin(hub *api, username, password string) func(context.Context) (string, time.Time, error) {
	anonymous := *hub
	return func(ctx context.Context) (string, time.Time, error) {
		var answer struct {
			AccessToken string `json:"access_token"`
		}
		_, err := anonymous.do(ctx, request{method: http.MethodPost, path: "/v2/auth/token",
			json: map[string]string{"identifier": username, "secret": password}}, &answer)
		if err != nil {
			return "", time.Time{}, loginRefused("Docker Hub", err)
		}
		token, err := usableToken(answer.AccessToken, hub.base.Host)
		return token, jwtExpiry(token), err
	}
}

// dockerHub lists by Docker Hub's own API, which names digest, push time and platforms of a hundred tags at once. It is not
// asked for an order: newest first is what it does by itself, and its ordering parameter does the opposite of what it says.
type dockerHub struct {
	hub        *api
	namespaces []string
}

type hubPage[T any] struct {
	Next    string `json:"next"`
	Results []T    `json:"results"`
}

func (d *dockerHub) repositories(ctx context.Context, cursor string) ([]string, string, error) {
	if len(d.namespaces) == 0 {
		return nil, "", nameRepositories("Docker Hub cannot list all its repositories", "set organization to the organisations or users to list")
	}
	return inParts(d.namespaces, cursor, func(namespace, cursor string) ([]string, string, error) {
		var page hubPage[struct {
			Name string `json:"name"`
		}]
		next, err := d.page(ctx, "/v2/namespaces/"+escape(namespace)+"/repositories", cursor, &page, &page.Next)
		names := make([]string, len(page.Results))
		for i, r := range page.Results {
			names[i] = namespace + "/" + r.Name
		}
		return names, next, err
	})
}

func (d *dockerHub) tags(ctx context.Context, repository, cursor string) ([]tidewaiter.ListedTag, string, error) {
	var page hubPage[struct {
		Name        string    `json:"name"`
		Digest      string    `json:"digest"`
		MediaType   string    `json:"media_type"`
		Pushed      looseTime `json:"tag_last_pushed"`
		LastUpdated looseTime `json:"last_updated"`
		Images      []struct {
			Digest string `json:"digest"`
		} `json:"images"`
	}]
	namespace, name, _ := strings.Cut(repository, "/")
	next, err := d.page(ctx, "/v2/namespaces/"+escape(namespace)+"/repositories/"+escape(name)+"/tags", cursor, &page, &page.Next)
	tags := make([]tidewaiter.ListedTag, len(page.Results))
	for i, t := range page.Results {
		tags[i] = tidewaiter.ListedTag{Name: t.Name, Digest: t.Digest, UpdatedAt: t.Pushed.Time, MediaType: t.MediaType}
		if tags[i].UpdatedAt.IsZero() {
			tags[i].UpdatedAt = t.LastUpdated.Time
		}
		if t.Digest == "" && len(t.Images) == 1 { // pushed before Docker Hub kept a tag's own digest
			tags[i].Digest = t.Images[0].Digest
		}
	}
	return tags, next, err
}

// page reads one page. Of the address of the next one only the query is used.
func (d *dockerHub) page(ctx context.Context, path, cursor string, into any, next *string) (string, error) {
	q := request{path: path, query: firstQuery(cursor, url.Values{"page_size": {"100"}})}
	if _, err := d.hub.do(ctx, q, into); err != nil || *next == "" {
		return "", err
	}
	return queryOf(*next)
}
