package doctor

import (
	"context"
	"fmt"

	"github.com/tidewaiter/tidewaiter/internal/connector"
	"github.com/tidewaiter/tidewaiter/internal/oci"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// rights finds out what the credential may do, and on the way how the lists come and how long tokens live.
func (x *examination) rights(ctx context.Context) {
	r := x.report
	credential, err := x.login()
	if err != nil {
		r.add(Right{Name: RightLogin}, err, x.registry.Kind)
		return
	}
	if r.As = "nobody"; credential != nil {
		r.As = string(credential.Kind)
		if credential.Username != "" {
			r.As += " " + oci.CleanText(credential.Username, 200)
		}
	} else if x.options.Connector.Anonymous != nil {
		r.As = "what docker login stored, if anything"
	}
	source, err := connector.NewWithOptions(x.client, nil, nil, x.options.Connector).Connect(x.registry, credential, x.secret, x.trace)
	if err == nil {
		err = source.Ping(ctx)
	}
	r.add(Right{Name: RightLogin, By: "GET /v2/"}, err, x.registry.Kind)
	if source == nil {
		return
	}
	x.lists(ctx, source)
	if life, from, ok := source.Registry().TokenLife(); ok {
		r.Token = &Token{Life: life, From: from}
	}
}

func (x *examination) lists(ctx context.Context, source *connector.Source) {
	r, kind := x.report, x.registry.Kind
	names, next, err := source.Repositories(ctx, "")
	right := Right{Name: RightRepositories, By: string(source.ListsBy()) + " API"}
	if err == nil {
		right.Detail = counted(len(names), "repositories", next)
	}
	r.add(right, err, kind)
	candidates := names[:min(len(names), maxCandidates)]
	if named, ok := x.registry.Scope.Named(); ok {
		candidates = named
	}
	if len(candidates) == 0 {
		for _, name := range []string{RightTags, RightPull} {
			r.Rights = append(r.Rights, Right{Name: name, Untried: true, Detail: "there is no repository to try it with: name one with --repository"})
		}
		return
	}
	repository, tag := x.tags(ctx, source, candidates)
	x.pages(ctx, source, repository)
	x.pull(ctx, source, repository, tag)
}

// maxCandidates bounds in how many repositories a tag is looked for.
const maxCandidates = 5

// tags lists the tags of the first repository that has any.
func (x *examination) tags(ctx context.Context, source *connector.Source, candidates []string) (repository, tag string) {
	right := Right{Name: RightTags, By: string(source.ListsBy()) + " API"}
	var err error
	for _, name := range candidates {
		var tags []tidewaiter.ListedTag
		var next string
		tags, next, err = source.Tags(ctx, name, "")
		if tidewaiter.KindOf(err) == tidewaiter.ErrGone || err == nil && len(tags) == 0 {
			continue
		}
		if repository = name; err == nil {
			tag = tags[0].Name
			right.Detail = counted(len(tags), "tags", next) + " in " + oci.CleanText(name, 300)
			if tags[0].Digest == "" {
				right.Detail += "; the list does not say where a tag points"
			}
		}
		break
	}
	if err == nil && repository == "" {
		right.Detail = "no tags in the first repositories"
	}
	x.report.add(right, err, x.registry.Kind)
	return repository, tag
}

func counted(n int, what, next string) string {
	if next != "" {
		return fmt.Sprintf("%d %s and more", n, what)
	}
	return fmt.Sprintf("%d %s", n, what)
}

// pages tries how the lists of the distribution API come.
func (x *examination) pages(ctx context.Context, source *connector.Source, repository string) {
	for _, name := range []string{"", repository} {
		if name == "" || repository != "" {
			if p, err := source.Registry().Pages(ctx, name); err == nil {
				x.report.Pages = append(x.report.Pages, p)
			}
		}
		if repository == "" {
			return
		}
	}
}

// pull reads a manifest and what it points to first, a few kilobytes.
func (x *examination) pull(ctx context.Context, source *connector.Source, repository, tag string) {
	right := Right{Name: RightPull, By: "manifest"}
	if tag == "" {
		right.Untried, right.Detail = true, "there is no tag to try it with"
		x.report.Rights = append(x.report.Rights, right)
		return
	}
	m, _, err := source.Manifest(ctx, repository, tag)
	if err == nil {
		right.Detail = oci.CleanText(fmt.Sprintf("%s of %s:%s", m.Kind, repository, tag), 600)
		if m.Kind == tidewaiter.ManifestIndex && len(m.Manifests) > 0 {
			m, _, err = source.Manifest(ctx, repository, m.Manifests[0].Digest)
		}
	}
	if err == nil && m.Kind == tidewaiter.ManifestImage {
		right.By = "manifest and configuration"
		_, _, err = source.Config(ctx, repository, m.Config)
	}
	if tidewaiter.KindOf(err) == tidewaiter.ErrUnsupported { // readable, though not for us
		right.Detail, err = "the manifest is none of an image, and was given out", nil
	}
	x.report.add(right, err, x.registry.Kind)
}
