package connector

import (
	"context"
	"net/url"
	"strings"

	"github.com/tidewaiter/tidewaiter/internal/oci"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

func nexusKind() kind {
	return kind{
		Capabilities: Capabilities{
			Kind: tidewaiter.KindNexus, Title: "Sonatype Nexus Repository 3", URLExample: "https://nexus.example.com/repository/docker-hosted", Anonymous: true,
			Credentials: []CredentialForm{basicForm("User name and password, or user token name and pass code")},
			Settings: []Field{
				{Key: "repository", Title: "Name of the repository the address leads to; empty where the address says it"},
				{Key: "apiURL", Title: "Address of Nexus itself, where the address is a connector's port"},
			},
			Repositories: ListingDistribution, Tags: ListingNative, Needs: "an address below /repository/, or repository and apiURL",
			DigestInListing: true, TimeInListing: TimeUpdated, PushEvents: []string{"webhook"},
		},
		open: openNexus,
	}
}

func openNexus(o *opening) (*connection, error) {
	conn := &connection{endpoint: o.endpoint(o.login())}
	base, key := o.setting("apiURL"), o.setting("repository")
	if before, name, ok := strings.Cut(o.registry.URL, "/repository/"); ok {
		name, _, _ = strings.Cut(name, "/")
		if key == "" {
			key = name
		}
		if base == "" {
			base = before
		}
	}
	if base == "" || key == "" {
		return conn, nil // a connector's port does not say where Nexus is
	}
	a, err := o.api(base, true)
	if err != nil {
		return nil, err
	}
	o.authorize(a)
	conn.list = func(r *oci.Registry) lister { return &nexus{distribution: distribution{r}, api: a, key: key} }
	return conn, nil
}

// nexus lists repositories by the distribution API, in one request, and tags by Nexus' search: its small pages are still
// fewer requests than one for each tag.
type nexus struct {
	distribution

	api *api
	key string
}

func (n *nexus) tags(ctx context.Context, repository, cursor string) ([]tidewaiter.ListedTag, string, error) {
	q := url.Values{"repository": {n.key}, "format": {"docker"}, "name": {repository}}
	if cursor != "" {
		q.Set("continuationToken", cursor)
	}
	var page struct {
		Items []struct {
			Name    string `json:"name"`
			Version string `json:"version"`
			Assets  []struct {
				Path        string    `json:"path"`
				ContentType string    `json:"contentType"`
				Modified    looseTime `json:"lastModified"`
				Checksum    struct {
					SHA256 string `json:"sha256"`
				} `json:"checksum"`
			} `json:"assets"`
		} `json:"items"`
		Next string `json:"continuationToken"`
	}
	if _, err := n.api.get(ctx, "/service/rest/v1/search", q, &page); err != nil {
		return nil, "", err
	}
	var tags []tidewaiter.ListedTag
	for _, item := range page.Items {
		if item.Name != repository || !oci.IsTag(item.Version) { // a search for "a" may find "ab"; digests are versions too
			continue
		}
		t := tidewaiter.ListedTag{Name: item.Version}
		for _, asset := range item.Assets {
			if strings.HasSuffix(asset.Path, "/manifests/"+item.Version) {
				t.UpdatedAt, t.MediaType = asset.Modified.Time, asset.ContentType
				if asset.Checksum.SHA256 != "" {
					t.Digest = "sha256:" + asset.Checksum.SHA256
				}
			}
		}
		tags = append(tags, t)
	}
	return tags, page.Next, nil
}
