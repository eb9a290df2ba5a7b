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

func garKind() kind {
	return kind{
		Capabilities: Capabilities{
			Kind: tidewaiter.KindGAR, Title: "Google Artifact Registry", URLPattern: garHost.String(), URLExample: "https://europe-docker.pkg.dev", Anonymous: true,
			Credentials: []CredentialForm{
				{Kind: tidewaiter.CredentialGCP, Title: "Service account", Fields: []Field{
					{Key: "secret", Title: "Key file (JSON); empty uses the service account of the machine this runs on", Secret: true},
				}},
				tokenForm("OAuth access token"), basicForm("_json_key with the key file, or oauth2accesstoken with a token"),
			},
			Settings: []Field{
				{Key: "projectId", Title: "Projects, with commas; empty is the service account's"},
				{Key: "location", Title: "Location; empty is the one in the address"},
				{Key: "repository", Title: "Repositories of Artifact Registry, with commas; empty is all with images"},
			},
			Repositories: ListingNative, Tags: ListingNative, Needs: "a service account or access token, and a project to list repositories",
			DigestInListing: true, TimeInListing: TimePushed, PushEvents: []string{"webhook", "queue"}, TokenLife: time.Hour,
		},
		open: openGAR,
	}
}

var garHost = regexp.MustCompile(`^https://([a-z0-9-]+-docker\.pkg\.dev|([a-z0-9-]+\.)?gcr\.io)(/[^?#]*)?$`)

func openGAR(o *opening) (*connection, error) {
	if o.credential != nil && !garHost.MatchString(o.registry.URL) && !o.replaced("gar") {
		return nil, tidewaiter.Invalid("url", "%s is not the address of a registry of Google, and its credentials go to no other", o.root()).
			WithFix("write it as https://location-docker.pkg.dev or https://gcr.io")
	}
	tokens, project, err := o.googleTokens()
	if err != nil {
		return nil, err
	}
	g := &gar{gcr: strings.HasSuffix(o.address().Host, "gcr.io"), location: o.setting("location"),
		projects: o.settings("projectId"), parents: o.settings("repository")}
	path := strings.Split(strings.Trim(o.address().Path, "/"), "/") // people write project and repository into the address
	if len(g.projects) == 0 && path[0] != "" {
		g.projects = path[:1]
	}
	if len(g.parents) == 0 && len(path) > 1 && !g.gcr {
		g.parents = path[1:2]
	}
	if len(g.projects) == 0 && project != "" {
		g.projects = []string{project}
	}
	if g.location == "" {
		g.location = garLocation(o.address().Host)
	}
	conn := &connection{endpoint: oci.Endpoint{URL: o.root()}}
	if tokens != nil {
		if g.api, err = o.api(o.base("gar", "https://artifactregistry.googleapis.com"), false); err != nil {
			return nil, err
		}
		g.api.bearerFrom(tokens)
		conn.endpoint.Refused = tokens.drop
		conn.endpoint.Auth = func(ctx context.Context, _ string) (oci.Credential, error) {
			token, err := tokens.get(ctx)
			return oci.Credential{Username: "oauth2accesstoken", Password: token}, err
		}
	} else {
		conn.endpoint.Auth = o.login()
	}
	conn.list = func(r *oci.Registry) lister {
		listing := *g
		listing.registry = r
		return &listing
	}
	return conn, nil
}

// garLocation returns the location a host serves. Google: gcr.io names are kept by Artifact Registry in these.
func garLocation(host string) string {
	switch host {
	case "gcr.io", "us.gcr.io":
		return "us"
	case "eu.gcr.io":
		return "europe"
	case "asia.gcr.io":
		return "asia"
	}
	location, _, _ := strings.Cut(host, "-docker.")
	if location == host {
		return "-" // every location
	}
	return location
}

// gar lists repositories by Google's API and tags by its extension of the distribution API, whose list of tags tells
// digests and times of a whole repository at once.
type gar struct {
	registry *oci.Registry
	api      *api // nil when anonymous
	gcr      bool
	location string
	projects []string
	parents  []string // repositories of Artifact Registry; none is all
}

func (g *gar) repositories(ctx context.Context, cursor string) ([]string, string, error) {
	switch {
	case g.api == nil:
		return nil, "", nameRepositories("Google lists repositories to those who log in only", "give the registry a credential")
	case len(g.projects) == 0:
		return nil, "", nameRepositories("Google lists the repositories of one project at a time", "set projectId to the projects to look at")
	}
	return inParts(g.projects, cursor, func(project, cursor string) ([]string, string, error) {
		if len(g.parents) > 0 {
			return inParts(g.parents, cursor, func(parent, cursor string) ([]string, string, error) {
				return g.images(ctx, "projects/"+project+"/locations/"+g.location+"/repositories/"+parent, cursor)
			})
		}
		return g.project(ctx, project, cursor)
	})
}

// garPlace is where the list of a project's images goes on: a page of its repositories, the one before last that was done on
// that page, and a page of the next one's images.
type garPlace struct {
	Page   string `json:"p,omitempty"`
	After  string `json:"a,omitempty"`
	Images string `json:"i,omitempty"`
}

// project reads one page of images of the next repository that has any. The page of repositories is read again for each:
// next to the images it costs little, and the cursor stays small.
func (g *gar) project(ctx context.Context, project, cursor string) ([]string, string, error) {
	var at garPlace
	if cursor != "" && json.Unmarshal([]byte(cursor), &at) != nil {
		return nil, "", badCursor()
	}
	parents, nextPage, err := g.parentPage(ctx, project, at.Page)
	if err != nil {
		return nil, "", err
	}
	for i, parent := range parents {
		if parent <= at.After {
			continue
		}
		names, more, err := g.images(ctx, parent, at.Images)
		if err != nil {
			return nil, "", err
		}
		switch {
		case more != "":
			at.Images = more
		case i+1 < len(parents):
			at = garPlace{Page: at.Page, After: parent}
		case nextPage != "":
			at = garPlace{Page: nextPage}
		default:
			return names, "", nil
		}
		text, err := json.Marshal(at)
		return names, string(text), err
	}
	if nextPage == "" {
		return nil, "", nil
	}
	text, err := json.Marshal(garPlace{Page: nextPage})
	return nil, string(text), err
}

// parentPage reads one page of a project's repositories that hold images, by name.
func (g *gar) parentPage(ctx context.Context, project, token string) (parents []string, next string, err error) {
	var page struct {
		Repositories []struct {
			Name   string `json:"name"`
			Format string `json:"format"`
		} `json:"repositories"`
		Next string `json:"nextPageToken"`
	}
	path := "/v1/projects/" + escape(project) + "/locations/" + escape(g.location) + "/repositories"
	if _, err = g.api.get(ctx, path, googlePage(token), &page); err != nil {
		return nil, "", err
	}
	for _, r := range page.Repositories {
		if r.Format == "DOCKER" && g.serves(r.Name) {
			parents = append(parents, r.Name)
		}
	}
	return sorted(parents), page.Next, nil
}

// serves reports whether the registry's host serves a repository: gcr.io those of its name, pkg.dev all others.
func (g *gar) serves(parent string) bool {
	return g.gcr == strings.HasSuffix(parent, "gcr.io")
}

// images reads one page of the images of a repository of Artifact Registry; "packages" is what Google calls them.
func (g *gar) images(ctx context.Context, parent, token string) (names []string, next string, err error) {
	var page struct {
		Packages []struct {
			Name string `json:"name"`
		} `json:"packages"`
		Next string `json:"nextPageToken"`
	}
	if _, err = g.api.get(ctx, "/v1/"+escapeEach(parent)+"/packages", googlePage(token), &page); err != nil {
		return nil, "", err
	}
	parts := strings.Split(parent, "/") // projects/P/locations/L/repositories/R
	if len(parts) != 6 {
		return nil, "", tidewaiter.Errorf(tidewaiter.ErrMalformed, "Google names a repository %q", oci.CleanText(parent, 200))
	}
	prefix := parts[1] + "/" + parts[5] + "/"
	if g.gcr {
		prefix = parts[1] + "/"
	}
	for _, p := range page.Packages {
		_, name, ok := strings.Cut(p.Name, "/packages/")
		if name, err := url.PathUnescape(name); ok && err == nil {
			names = append(names, prefix+name)
		}
	}
	return names, page.Next, nil
}

func googlePage(token string) url.Values {
	q := url.Values{"pageSize": {"1000"}}
	if token != "" {
		q.Set("pageToken", token)
	}
	return q
}

// tags reads all tags of a repository: Google's list has no pages.
func (g *gar) tags(ctx context.Context, repository, cursor string) ([]tidewaiter.ListedTag, string, error) {
	header, body, err := g.registry.Get(ctx, "/v2/"+escapeEach(repository)+"/tags/list", cursor, "repository:"+repository+":pull", "list tags of "+repository)
	if err != nil {
		return nil, "", err
	}
	var page struct {
		Tags      []string `json:"tags"`
		Manifests map[string]struct {
			MediaType string    `json:"mediaType"`
			Uploaded  looseTime `json:"timeUploadedMs"`
			Tags      []string  `json:"tag"`
		} `json:"manifest"`
	}
	if err := json.Unmarshal(body, &page); err != nil {
		return nil, "", oci.Undecodable(body, err)
	}
	known := map[string]tidewaiter.ListedTag{}
	for digest, m := range page.Manifests {
		for _, tag := range m.Tags {
			known[tag] = tidewaiter.ListedTag{Name: tag, Digest: digest, UpdatedAt: m.Uploaded.Time, MediaType: m.MediaType}
		}
	}
	tags := make([]tidewaiter.ListedTag, len(page.Tags))
	for i, name := range page.Tags {
		if tags[i] = known[name]; tags[i].Name == "" {
			tags[i].Name = name
		}
	}
	next, _, err := oci.NextQuery(header)
	return tags, next, err
}
