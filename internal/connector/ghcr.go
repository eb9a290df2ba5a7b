package connector

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/url"
	"strings"

	"github.com/tidewaiter/tidewaiter/internal/oci"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

func ghcrKind() kind {
	return kind{
		Capabilities: Capabilities{
			Kind: tidewaiter.KindGHCR, Title: "GitHub Packages", URLExample: "https://ghcr.io", Anonymous: true,
			Credentials: []CredentialForm{tokenForm("Personal access token (classic) with read:packages"), basicForm("User name and personal access token")},
			Settings: []Field{
				{Key: "organization", Title: "Organisations or users to list, with commas; empty is the token's own user"},
				{Key: "apiURL", Title: "Address of the API of GitHub Enterprise Server, with /api/v3"},
			},
			Repositories: ListingNative, Tags: ListingNative, Needs: "a token",
			DigestInListing: true, TimeInListing: TimeUpdated, NewestFirst: true, PushEvents: []string{"webhook"}, TokenLife: 0,
		},
		open: openGHCR,
	}
}

func openGHCR(o *opening) (*connection, error) {
	conn := &connection{endpoint: o.endpoint(o.loginAs("tidewaiter"))} // GitHub looks at the token alone
	if o.credential == nil {
		return conn, nil // its API tells nothing to the anonymous, even of what is public
	}
	base := "https://api.github.com"
	if host, enterprise := strings.CutPrefix(o.address().Host, "containers."); enterprise {
		base = "https://" + host + "/api/v3"
	} else if o.address().Host != "ghcr.io" && o.setting("apiURL") == "" && !o.replaced("github") {
		return nil, tidewaiter.Invalid("url", "%s is not GitHub's registry", o.address().Host).WithFix("use https://ghcr.io, or set apiURL for GitHub Enterprise Server")
	}
	if u := o.setting("apiURL"); u != "" {
		base = u
	}
	a, err := o.wrappedAPI(o.base("github", base), false, limitedByGitHub)
	if err != nil {
		return nil, err
	}
	a.bearer(o.secret.Reveal())
	owners := o.settings("organization")
	conn.list = func(*oci.Registry) lister { return &ghcr{a, owners} }
	return conn, nil
}

// ghcr lists packages and their versions by GitHub's API. A version is a manifest: the platforms of an index are versions
// too, without tags, and no images of their own.
type ghcr struct {
	api    *api
	owners []string // none: the token's user
}

func (g *ghcr) repositories(ctx context.Context, cursor string) ([]string, string, error) {
	list := func(path, cursor string) ([]string, string, error) {
		var page []struct {
			Name  string `json:"name"`
			Owner struct {
				Login string `json:"login"`
			} `json:"owner"`
		}
		next, err := g.page(ctx, path+"/packages", cursor, url.Values{"package_type": {"container"}}, &page)
		names := make([]string, len(page))
		for i, p := range page {
			names[i] = strings.ToLower(p.Owner.Login + "/" + p.Name)
		}
		return names, next, err
	}
	if len(g.owners) == 0 {
		return list("/user", cursor)
	}
	return inParts(g.owners, cursor, func(owner, cursor string) ([]string, string, error) {
		return ofOwner(owner, cursor, list)
	})
}

func (g *ghcr) tags(ctx context.Context, repository, cursor string) ([]tidewaiter.ListedTag, string, error) {
	owner, name, _ := strings.Cut(repository, "/")
	return ofOwner(owner, cursor, func(path, cursor string) ([]tidewaiter.ListedTag, string, error) {
		var page []struct {
			Digest   string    `json:"name"`
			Updated  looseTime `json:"updated_at"`
			Metadata struct {
				Container struct {
					Tags []string `json:"tags"`
				} `json:"container"`
			} `json:"metadata"`
		}
		next, err := g.page(ctx, path+"/packages/container/"+escape(name)+"/versions", cursor, url.Values{"state": {"active"}}, &page)
		var tags []tidewaiter.ListedTag
		for _, v := range page {
			for _, tag := range v.Metadata.Container.Tags {
				tags = append(tags, tidewaiter.ListedTag{Name: tag, Digest: v.Digest, UpdatedAt: v.Updated.Time})
			}
		}
		return tags, next, err
	})
}

// ofOwner lists something of an owner that is an organisation or, where GitHub knows none of that name, a user. The cursor
// remembers which.
func ofOwner[T any](owner, cursor string, list func(path, cursor string) ([]T, string, error)) ([]T, string, error) {
	kinds := []string{"orgs", "users"}
	if kind, rest, ok := strings.Cut(cursor, ":"); ok && (kind == "orgs" || kind == "users") {
		kinds, cursor = []string{kind}, rest
	} else if cursor != "" {
		return nil, "", badCursor()
	}
	var items []T
	var next string
	var err error
	for _, kind := range kinds {
		items, next, err = list("/"+kind+"/"+escape(owner), cursor)
		if next != "" {
			next = kind + ":" + next
		}
		if tidewaiter.KindOf(err) != tidewaiter.ErrGone {
			break
		}
	}
	return items, next, err
}

func (g *ghcr) page(ctx context.Context, path, cursor string, first url.Values, into any) (string, error) {
	first.Set("per_page", "100")
	header, err := g.api.do(ctx, request{path: path, query: firstQuery(cursor, first),
		header: http.Header{"Accept": {"application/vnd.github+json"}, "X-Github-Api-Version": {"2022-11-28"}}}, into)
	if err != nil {
		return "", err
	}
	next, _, err := oci.NextQuery(header)
	return next, err
}

// limitedByGitHub turns GitHub's 403 for too many requests into the usual 429. GitHub: "Rate limits for the REST API":
// X-RateLimit-Remaining is 0, or Retry-After is there, or a secondary limit is named.
func limitedByGitHub(next http.RoundTripper) http.RoundTripper { return gitHubLimit{next} }

type gitHubLimit struct{ next http.RoundTripper }

// RoundTrip implements http.RoundTripper.
func (g gitHubLimit) RoundTrip(req *http.Request) (*http.Response, error) {
	resp, err := g.next.RoundTrip(req)
	if err != nil || resp.StatusCode != http.StatusForbidden {
		return resp, err
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxRefusal))
	resp.Body.Close()
	if err != nil {
		return nil, err
	}
	resp.Body = io.NopCloser(bytes.NewReader(body))
	if resp.Header.Get("Retry-After") != "" || resp.Header.Get("X-Ratelimit-Remaining") == "0" || bytes.Contains(body, []byte("secondary rate limit")) {
		resp.StatusCode = http.StatusTooManyRequests
	}
	return resp, nil
}
