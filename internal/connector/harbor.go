package connector

import (
	"context"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/tidewaiter/tidewaiter/internal/oci"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

func harborKind() kind {
	return kind{
		Capabilities: Capabilities{
			Kind: tidewaiter.KindHarbor, Title: "Harbor", URLExample: "https://harbor.example.com", Anonymous: true,
			Credentials:  []CredentialForm{basicForm("Robot account, or user name with password or CLI secret")},
			Settings:     []Field{{Key: "project", Title: "Projects to list, with commas; empty is every one the account sees"}},
			Repositories: ListingNative, Tags: ListingNative, DigestInListing: true, TimeInListing: TimePushed, NewestFirst: true,
			Since: true, Platforms: true, PushEvents: []string{"webhook"}, TokenLife: 0,
		},
		open: func(o *opening) (*connection, error) {
			a, err := o.api(o.root()+"/api/v2.0", true)
			if err != nil {
				return nil, err
			}
			o.authorize(a)
			projects := o.settings("project")
			return &connection{
				endpoint: o.endpoint(o.login()),
				list:     func(*oci.Registry) lister { return &harbor{a, projects} },
			}, nil
		},
	}
}

// harborPage is the largest page Harbor gives. It gives ten when not asked.
const harborPage = 100

// harbor lists by Harbor's own API.
type harbor struct {
	api      *api
	projects []string
}

func (h *harbor) repositories(ctx context.Context, cursor string) ([]string, string, error) {
	if len(h.projects) == 0 {
		return h.repositoryPage(ctx, "/repositories", cursor)
	}
	return inParts(h.projects, cursor, func(project, cursor string) ([]string, string, error) {
		return h.repositoryPage(ctx, "/projects/"+escape(project)+"/repositories", cursor)
	})
}

func (h *harbor) repositoryPage(ctx context.Context, path, cursor string) ([]string, string, error) {
	var page []struct {
		Name string `json:"name"`
	}
	next, err := h.page(ctx, path, cursor, url.Values{"sort": {"name"}}, &page, func() int { return len(page) })
	names := make([]string, len(page))
	for i, r := range page {
		names[i] = r.Name
	}
	return names, next, err
}

func (h *harbor) tags(ctx context.Context, repository, cursor string) ([]tidewaiter.ListedTag, string, error) {
	project, name, _ := strings.Cut(repository, "/")
	var page []struct {
		Digest    string    `json:"digest"`
		MediaType string    `json:"manifest_media_type"`
		Pushed    looseTime `json:"push_time"`
		Tags      []struct {
			Name   string    `json:"name"`
			Pushed looseTime `json:"push_time"`
		} `json:"tags"`
	}
	// Harbor: a slash in a repository's name is escaped twice.
	path := "/projects/" + escape(project) + "/repositories/" + escape(escape(name)) + "/artifacts"
	next, err := h.page(ctx, path, cursor, url.Values{"with_tag": {"true"}, "sort": {"-push_time"}, "q": {"tags=*"}}, &page, func() int { return len(page) })
	var tags []tidewaiter.ListedTag
	for _, artifact := range page {
		for _, t := range artifact.Tags {
			at := t.Pushed.Time
			if at.IsZero() {
				at = artifact.Pushed.Time
			}
			tags = append(tags, tidewaiter.ListedTag{Name: t.Name, Digest: artifact.Digest, UpdatedAt: at, MediaType: artifact.MediaType})
		}
	}
	return tags, next, err
}

// page reads one page. The next one is there when this one is full, unless Harbor says that it was the last; one that is
// not full although Harbor says there is more is an error.
func (h *harbor) page(ctx context.Context, path, cursor string, query url.Values, into any, size func() int) (string, error) {
	number, err := pageNumber(cursor)
	if err != nil {
		return "", err
	}
	query.Set("page", strconv.Itoa(number))
	query.Set("page_size", strconv.Itoa(harborPage))
	header, err := h.api.get(ctx, path, query, into)
	if err != nil {
		return "", err
	}
	more := size() >= harborPage
	if total, ok := totalOf(header); ok {
		more = total > number*harborPage
		if more && size() == 0 {
			return "", tidewaiter.Errorf(tidewaiter.ErrTransient, "%s says there are %d and shows none on page %d", h.api.base.Host, total, number)
		}
	}
	if !more {
		return "", nil
	}
	return strconv.Itoa(number + 1), nil
}

func totalOf(h http.Header) (int, bool) {
	n, err := strconv.Atoi(h.Get("X-Total-Count"))
	return n, err == nil && n >= 0
}
