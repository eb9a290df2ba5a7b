package connector

import (
	"context"
	"encoding/json"
	"net/url"
	"strconv"
	"strings"
	"sync"

	"github.com/tidewaiter/tidewaiter/internal/oci"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

func gitLabKind() kind {
	token := CredentialForm{Kind: tidewaiter.CredentialGitLab, Title: "Personal, group or project access token", Fields: []Field{
		{Key: "username", Title: "User name, for a deploy token"},
		{Key: "secret", Title: "Token with read_registry and read_api", Secret: true, Required: true},
	}}
	return kind{
		Capabilities: Capabilities{
			Kind: tidewaiter.KindGitLab, Title: "GitLab", URLExample: "https://registry.gitlab.com", Anonymous: true,
			Credentials: []CredentialForm{token, tokenForm("Access token"), basicForm("User name and access token")},
			Settings: []Field{
				{Key: "apiDomainName", Title: "Host of GitLab itself; empty is the registry's without \"registry.\""},
				{Key: "groupIDs", Title: "Groups to list, with their subgroups"}, {Key: "excludedGroupIDs", Title: "Groups to leave out"},
				{Key: "projectIDs", Title: "Projects to list"}, {Key: "userID", Title: "User whose projects to list"},
			},
			Repositories: ListingNative, Tags: ListingDistribution, Needs: "a token with read_api; without groups, projects or user all the token's projects are listed",
			PushEvents: []string{"webhook"}, TokenLife: 0,
		},
		open: openGitLab,
	}
}

func openGitLab(o *opening) (*connection, error) {
	conn := &connection{endpoint: o.endpoint(o.loginAs("tidewaiter"))} // GitLab wants some user name beside a token
	if o.credential == nil {
		return conn, nil
	}
	base := o.setting("apiDomainName")
	if base == "" {
		host := strings.TrimPrefix(o.address().Hostname(), "registry.")
		if port := o.address().Port(); port != "" && host == o.address().Hostname() {
			host = o.address().Host
		}
		base = host
	}
	if !strings.Contains(base, "://") {
		base = o.address().Scheme + "://" + base
	}
	a, err := o.api(strings.TrimRight(o.base("gitlab", base), "/")+"/api/v4", true)
	if err != nil {
		return nil, err
	}
	a.header("PRIVATE-TOKEN", "", o.secret.Reveal())
	g := &gitLab{api: a, excluded: o.settings("excludedGroupIDs")}
	for _, id := range o.settings("groupIDs") {
		g.parts = append(g.parts, "groups/"+id)
	}
	for _, id := range o.settings("projectIDs") {
		g.parts = append(g.parts, "projects/"+id)
	}
	if id := o.setting("userID"); id != "" {
		g.parts = append(g.parts, "users/"+id)
	}
	if len(g.parts) == 0 {
		g.parts = []string{"member"}
	}
	conn.list = func(r *oci.Registry) lister {
		return &gitLabRegistry{distribution: distribution{r}, gitLab: g}
	}
	return conn, nil
}

// gitLabRegistry lists repositories by GitLab's API. Its list of tags holds no digests and costs a request for each tag to
// get them, so tags come from the distribution API.
type gitLabRegistry struct {
	distribution

	gitLab *gitLab
}

type gitLab struct {
	api      *api
	parts    []string // groups/ID, projects/ID, users/ID, or member
	excluded []string

	mu    sync.Mutex
	paths []string // of the excluded groups, once asked for
	asked bool
}

// gitLabPlace is where the projects of a user go on: a page of projects, the ID of the one before on that page, and a page
// of the next one's repositories.
type gitLabPlace struct {
	Page  string `json:"p,omitempty"`
	After int64  `json:"a,omitempty"`
	Inner string `json:"i,omitempty"`
}

func (r *gitLabRegistry) repositories(ctx context.Context, cursor string) ([]string, string, error) {
	g := r.gitLab
	excluded, err := g.excludedPaths(ctx)
	if err != nil {
		return nil, "", err
	}
	names, next, err := inParts(g.parts, cursor, func(part, cursor string) ([]string, string, error) {
		what, id, _ := strings.Cut(part, "/")
		switch what {
		case "groups", "projects":
			return g.repositoryPage(ctx, what, id, cursor)
		case "users":
			return g.ofProjects(ctx, "/users/"+escape(id)+"/projects", cursor)
		}
		return g.ofProjects(ctx, "/projects", cursor)
	})
	kept := names[:0]
	for _, name := range names {
		if !below(name, excluded) {
			kept = append(kept, name)
		}
	}
	return kept, next, err
}

// excludedPaths looks up, once, what the names of the excluded groups' repositories begin with.
func (g *gitLab) excludedPaths(ctx context.Context) ([]string, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.asked {
		return g.paths, nil
	}
	var paths []string
	for _, id := range g.excluded {
		var group struct {
			Path string `json:"full_path"`
		}
		_, err := g.api.get(ctx, "/groups/"+escape(id), url.Values{"with_projects": {"false"}}, &group)
		if tidewaiter.KindOf(err) == tidewaiter.ErrGone {
			continue // what is not there need not be left out
		}
		if err != nil {
			return nil, oci.Prefix("excluded group "+id, err)
		}
		paths = append(paths, strings.ToLower(group.Path)+"/")
	}
	g.paths, g.asked = paths, true
	return paths, nil
}

func below(name string, prefixes []string) bool {
	for _, p := range prefixes {
		if strings.HasPrefix(strings.ToLower(name)+"/", p) {
			return true
		}
	}
	return false
}

func (g *gitLab) repositoryPage(ctx context.Context, what, id, cursor string) ([]string, string, error) {
	var page []struct {
		Path string `json:"path"`
	}
	next, err := g.page(ctx, "/"+what+"/"+escape(id)+"/registry/repositories", cursor, url.Values{}, &page)
	names := make([]string, len(page))
	for i, r := range page {
		names[i] = r.Path
	}
	return names, next, err
}

// ofProjects reads one page of repositories of the next project that may have any. The page of projects is read again for
// each, so that the cursor stays small.
func (g *gitLab) ofProjects(ctx context.Context, path, cursor string) ([]string, string, error) {
	var at gitLabPlace
	if cursor != "" && json.Unmarshal([]byte(cursor), &at) != nil {
		return nil, "", badCursor()
	}
	var projects []struct {
		ID     int64  `json:"id"`
		Access string `json:"container_registry_access_level"`
	}
	query := url.Values{"order_by": {"id"}, "sort": {"asc"}, "simple": {"false"}}
	if path == "/projects" {
		query.Set("membership", "true")
	}
	nextPage, err := g.page(ctx, path, at.Page, query, &projects)
	if err != nil {
		return nil, "", err
	}
	for _, p := range projects {
		if p.ID <= at.After || p.Access == "disabled" {
			continue
		}
		names, more, err := g.repositoryPage(ctx, "projects", strconv.FormatInt(p.ID, 10), at.Inner)
		if kind := tidewaiter.KindOf(err); kind == tidewaiter.ErrGone || kind == tidewaiter.ErrDenied {
			names, more, err = nil, "", nil // a project whose registry is off, or not for this token
		}
		if err != nil {
			return nil, "", err
		}
		next := gitLabPlace{Page: at.Page, After: p.ID}
		if more != "" {
			next = gitLabPlace{Page: at.Page, After: at.After, Inner: more}
		}
		text, err := json.Marshal(next)
		return names, string(text), err
	}
	if nextPage == "" {
		return nil, "", nil
	}
	text, err := json.Marshal(gitLabPlace{Page: nextPage})
	return nil, string(text), err
}

// page reads one page; the link to the next has its query.
func (g *gitLab) page(ctx context.Context, path, cursor string, first url.Values, into any) (string, error) {
	first.Set("per_page", "100")
	header, err := g.api.do(ctx, request{path: path, query: firstQuery(cursor, first)}, into)
	if err != nil {
		return "", err
	}
	next, more, err := oci.NextQuery(header)
	if number := header.Get("X-Next-Page"); err == nil && !more && number != "" {
		first.Set("page", number)
		next = first.Encode()
	}
	return next, err
}
