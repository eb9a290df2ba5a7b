package connector

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/tidewaiter/tidewaiter/internal/oci"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

func artifactoryKind() kind {
	return kind{
		Capabilities: Capabilities{
			Kind: tidewaiter.KindArtifactory, Title: "JFrog Artifactory", URLExample: "https://artifactory.example.com", Anonymous: true,
			Credentials: []CredentialForm{
				tokenForm("Access, identity or reference token"), basicForm("User name with password, token or API key"),
			},
			Settings: []Field{
				{Key: "repository", Title: "Repository keys, with commas; empty is all of the types chosen"},
				{Key: "repoTypes", Title: "Types to list, with commas; empty is local,federated", Values: []string{"local", "federated", "remote", "virtual"}},
				{Key: "namingMode", Title: "How images are addressed; empty is repository path", Values: []string{"path", "subdomain", "port"}},
				{Key: "apiURL", Title: "Address of Artifactory itself, where images have a host or port of their own"},
			},
			Repositories: ListingNative, Tags: ListingNative, Needs: "with namingMode port or subdomain, repository and apiURL",
			DigestInListing: true, TimeInListing: TimeUpdated, NewestFirst: true, Since: true, PushEvents: []string{"webhook"},
		},
		open: openArtifactory,
	}
}

func openArtifactory(o *opening) (*connection, error) {
	conn := &connection{endpoint: o.endpoint(o.login())}
	base, keys, mode := o.root(), o.settings("repository"), o.setting("namingMode")
	if before, key, ok := strings.Cut(o.registry.URL, "/artifactory/api/docker/"); ok { // the address of one repository's own API
		base, keys, mode = before, []string{strings.Trim(key, "/")}, "port"
	}
	if u := o.setting("apiURL"); u != "" {
		base = u
	} else if mode == "subdomain" {
		key, rest, ok := strings.Cut(o.address().Host, ".")
		if !ok {
			return nil, tidewaiter.Invalid("url", "%s has no subdomain for a repository key", o.address().Host).WithFix("set apiURL and repository")
		}
		base = o.address().Scheme + "://" + rest
		if len(keys) == 0 {
			keys = []string{key}
		}
	}
	if mode == "port" && len(keys) == 0 {
		return conn, nil // which repository a port leads to only Artifactory's configuration knows
	}
	if mode != "" && mode != "path" && len(keys) != 1 {
		return nil, tidewaiter.Invalid("settings.repository", "with namingMode %s an address leads to one repository", mode).WithFix("name one repository key")
	}
	a, err := o.api(strings.TrimSuffix(strings.TrimRight(base, "/"), "/artifactory")+"/artifactory", true)
	if err != nil {
		return nil, err
	}
	o.authorize(a)
	types := o.settings("repoTypes")
	if len(types) == 0 {
		types = []string{"local", "federated"}
	}
	conn.list = func(r *oci.Registry) lister {
		return &artifactory{api: a, registry: distribution{r}, keys: keys, types: types, inName: mode == "" || mode == "path"}
	}
	return conn, nil
}

// artifactory lists tags by AQL, which finds the manifests of a thousand tags with digest and time at once.
type artifactory struct {
	api      *api
	registry distribution
	keys     []string // none: all of types
	types    []string
	inName   bool // images are named key/image
}

func (a *artifactory) repositories(ctx context.Context, cursor string) ([]string, string, error) {
	keys, err := a.repositoryKeys(ctx)
	if err != nil {
		return nil, "", err
	}
	return inParts(keys, cursor, func(key, cursor string) ([]string, string, error) {
		var page struct {
			Repositories []string `json:"repositories"`
		}
		q := request{path: "/api/docker/" + escape(key) + "/v2/_catalog", query: firstQuery(cursor, url.Values{"n": {"1000"}})}
		header, err := a.api.do(ctx, q, &page)
		if err != nil {
			return nil, "", fmt.Errorf("repository %s: %w", key, err)
		}
		if a.inName {
			for i, name := range page.Repositories {
				page.Repositories[i] = key + "/" + name
			}
		}
		next, _, err := oci.NextQuery(header)
		return page.Repositories, next, err
	})
}

// repositoryKeys returns the repositories to list. A virtual one shows what is in others: where both local and remote ones
// are listed it would show everything twice, so it is left out.
func (a *artifactory) repositoryKeys(ctx context.Context) ([]string, error) {
	if len(a.keys) > 0 {
		return a.keys, nil
	}
	var all []struct {
		Key  string `json:"key"`
		Type string `json:"type"`
		Pkg  string `json:"packageType"`
	}
	if _, err := a.api.get(ctx, "/api/repositories", url.Values{"packageType": {"docker"}}, &all); err != nil {
		return nil, err
	}
	twice := slices.Contains(a.types, "local") && slices.Contains(a.types, "remote")
	var keys []string
	for _, r := range all {
		kind := strings.ToLower(r.Type)
		if r.Pkg != "" && !strings.EqualFold(r.Pkg, "docker") && !strings.EqualFold(r.Pkg, "oci") || !slices.Contains(a.types, kind) || kind == "virtual" && twice {
			continue
		}
		keys = append(keys, r.Key)
	}
	return sorted(keys), nil
}

const maxAQL = 1000

type aqlAnswer struct {
	Results []struct {
		Path     string    `json:"path"`
		Name     string    `json:"name"`
		SHA256   string    `json:"sha256"`
		Modified looseTime `json:"modified"`
	} `json:"results"`
}

// tags asks AQL for the manifests below an image: Artifactory keeps each in a folder named after the tag. Where it finds
// none the distribution API is asked, which knows the contents of virtual and remote repositories too.
func (a *artifactory) tags(ctx context.Context, repository, cursor string) ([]tidewaiter.ListedTag, string, error) {
	if rest, ok := strings.CutPrefix(cursor, "v2:"); ok {
		return a.plainTags(ctx, repository, rest)
	}
	offset := 0
	if cursor != "" {
		var err error
		if offset, err = strconv.Atoi(cursor); err != nil || offset < 1 {
			return nil, "", badCursor()
		}
	}
	key, image, _ := strings.Cut(repository, "/")
	if !a.inName {
		key, image = a.keys[0], repository
	}
	var answer aqlAnswer
	_, err := a.api.do(ctx, request{method: http.MethodPost, path: "/api/search/aql", body: []byte(aql(key, image, offset)),
		header: http.Header{"Content-Type": {"text/plain"}}}, &answer)
	if kind := tidewaiter.KindOf(err); offset == 0 && (kind == tidewaiter.ErrDenied || kind == tidewaiter.ErrUnsupported || kind == tidewaiter.ErrGone) {
		return a.plainTags(ctx, repository, "") // anonymous users and some tokens may not search
	}
	if err != nil {
		return nil, "", err
	}
	if offset == 0 && len(answer.Results) == 0 {
		return a.plainTags(ctx, repository, "")
	}
	tags := a.found(image, answer)
	if len(answer.Results) < maxAQL {
		return tags, "", nil
	}
	return tags, strconv.Itoa(offset + maxAQL), nil
}

func (a *artifactory) found(image string, answer aqlAnswer) []tidewaiter.ListedTag {
	var tags []tidewaiter.ListedTag
	for _, r := range answer.Results {
		tag, ok := strings.CutPrefix(r.Path, image+"/")
		if !ok || !oci.IsTag(tag) { // an image below this one, or a platform's manifest in a folder named by its digest
			continue
		}
		t := tidewaiter.ListedTag{Name: tag, UpdatedAt: r.Modified.Time}
		if r.SHA256 != "" {
			t.Digest = "sha256:" + r.SHA256
		}
		tags = append(tags, t)
	}
	return tags
}

func (a *artifactory) plainTags(ctx context.Context, repository, cursor string) ([]tidewaiter.ListedTag, string, error) {
	tags, next, err := a.registry.tags(ctx, repository, cursor)
	if next != "" {
		next = "v2:" + next
	}
	return tags, next, err
}

// aql is the question for a page of manifests, newest first. Names of images and keys hold nothing that would need more
// than quotes around it; what does is refused before.
func aql(key, image string, offset int) string {
	return fmt.Sprintf(`items.find({"repo":%q,"path":{"$match":%q},"name":{"$in":["manifest.json","list.manifest.json"]}})`+
		`.include("repo","path","name","sha256","modified","created").sort({"$desc":["modified","path"]}).offset(%d).limit(%d)`,
		key, image+"/*", offset, maxAQL)
}
