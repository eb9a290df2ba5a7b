package connector

import (
	"context"
	"net/url"

	"github.com/tidewaiter/tidewaiter/internal/oci"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

func dtrKind() kind {
	dtr := basicForm("User name with password or access token")
	dtr.Kind = tidewaiter.CredentialDTR
	return kind{
		Capabilities: Capabilities{
			Kind: tidewaiter.KindDTR, Title: "Docker Trusted Registry, Mirantis Secure Registry 2 and 3", URLExample: "https://dtr.example.com", Anonymous: true,
			Credentials:  []CredentialForm{dtr, basicForm("User name with password or access token")},
			Settings:     []Field{{Key: "namespace", Title: "Namespaces to list, with commas; empty is every one the account sees"}},
			Repositories: ListingNative, Tags: ListingNative, DigestInListing: true, TimeInListing: TimeUpdated,
			PushEvents: []string{"webhook"}, TokenLife: 0,
		},
		open: func(o *opening) (*connection, error) {
			a, err := o.api(o.root()+"/api/v0", true)
			if err != nil {
				return nil, err
			}
			o.authorize(a)
			namespaces := o.settings("namespace")
			return &connection{
				endpoint: o.endpoint(o.login()),
				list:     func(*oci.Registry) lister { return &trusted{a, namespaces} },
			}, nil
		},
	}
}

// trusted lists by the API of Docker Trusted Registry, which names the start of the next page in a header.
type trusted struct {
	api        *api
	namespaces []string
}

func (d *trusted) repositories(ctx context.Context, cursor string) ([]string, string, error) {
	if len(d.namespaces) == 0 {
		return d.repositoryPage(ctx, "/repositories", cursor)
	}
	return inParts(d.namespaces, cursor, func(namespace, cursor string) ([]string, string, error) {
		return d.repositoryPage(ctx, "/repositories/"+escape(namespace), cursor)
	})
}

func (d *trusted) repositoryPage(ctx context.Context, path, cursor string) ([]string, string, error) {
	var page struct {
		Repositories []struct {
			Namespace string `json:"namespace"`
			Name      string `json:"name"`
		} `json:"repositories"`
	}
	next, err := d.page(ctx, path, cursor, &page)
	names := make([]string, len(page.Repositories))
	for i, r := range page.Repositories {
		names[i] = r.Namespace + "/" + r.Name
	}
	return names, next, err
}

func (d *trusted) tags(ctx context.Context, repository, cursor string) ([]tidewaiter.ListedTag, string, error) {
	var page []struct {
		Name    string    `json:"name"`
		Digest  string    `json:"digest"`
		Updated looseTime `json:"updatedAt"`
		Created looseTime `json:"createdAt"`
	}
	next, err := d.page(ctx, "/repositories/"+escapeEach(repository)+"/tags", cursor, &page)
	tags := make([]tidewaiter.ListedTag, len(page))
	for i, t := range page {
		tags[i] = tidewaiter.ListedTag{Name: t.Name, Digest: t.Digest, UpdatedAt: t.Updated.Time}
		if tags[i].UpdatedAt.IsZero() {
			tags[i].UpdatedAt = t.Created.Time
		}
	}
	return tags, next, err
}

func (d *trusted) page(ctx context.Context, path, start string, into any) (string, error) {
	query := url.Values{"pageSize": {"100"}}
	if start != "" {
		query.Set("pageStart", start)
	}
	header, err := d.api.get(ctx, path, query, into)
	if err != nil {
		return "", err
	}
	return header.Get("X-Next-Page-Start"), nil
}
