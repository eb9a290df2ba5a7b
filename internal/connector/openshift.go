package connector

import (
	"context"
	"net/http"
	"net/url"
	"strings"

	"github.com/tidewaiter/tidewaiter/internal/oci"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

func openShiftKind() kind {
	return kind{
		Capabilities: Capabilities{
			Kind: tidewaiter.KindOpenShift, Title: "Red Hat OpenShift", URLExample: "https://image-registry.openshift-image-registry.svc:5000",
			Credentials: []CredentialForm{
				{Kind: tidewaiter.CredentialToken, Title: "Token of a service account", Fields: []Field{
					{Key: "secret", Title: "Token", Secret: true}, {Key: "tokenFile", Title: "File with a token that changes, in place of one; below /var/run/secrets"},
				}},
				{Kind: tidewaiter.CredentialKubeconfig, Title: "kubeconfig", Fields: []Field{
					{Key: "secret", Title: "kubeconfig with a token", Secret: true, Required: true},
				}},
				basicForm("User name and token"),
			},
			Settings: []Field{
				{Key: "apiURL", Title: "Address of the cluster's API; empty takes the kubeconfig's, or this pod's cluster with tokenFile"},
				{Key: "namespace", Title: "Projects to list, with commas; empty is all"},
			},
			Repositories: ListingNative, Tags: ListingNative, Needs: "apiURL, a kubeconfig, or tokenFile, and leave to list image streams (registry-viewer)",
			DigestInListing: true, TimeInListing: TimeCreated,
		},
		open: openOpenShift,
	}
}

func openOpenShift(o *opening) (*connection, error) {
	login, err := o.clusterLogin()
	if err != nil {
		return nil, err
	}
	conn := &connection{endpoint: o.endpoint(nil)}
	if login.token == nil {
		return conn, nil
	}
	conn.endpoint.Auth = func(context.Context, string) (oci.Credential, error) {
		token, err := login.token()
		return oci.Credential{Username: "tidewaiter", Password: token}, err // OpenShift: any user name goes with a token
	}
	base := o.base("kubernetes", login.server)
	if base == "" {
		return conn, nil
	}
	a, err := o.clusterAPI(base, login.ca)
	if err != nil {
		return nil, err
	}
	a.login = func(_ context.Context, r *http.Request) error {
		token, err := login.token()
		if err == nil {
			r.Header.Set("Authorization", "Bearer "+token)
		}
		return err
	}
	namespaces := o.settings("namespace")
	conn.list = func(*oci.Registry) lister { return &openShift{a, namespaces} }
	return conn, nil
}

// clusterAPI trusts the cluster's own authority beside the registry's.
func (o *opening) clusterAPI(base, ca string) (*api, error) {
	cluster := *o
	registry := *o.registry
	if ca != "" {
		registry.TLS.CACert += "\n" + ca
	}
	cluster.registry = &registry
	return cluster.api(base, true)
}

// openShift lists image streams: a repository is a stream, and what its status shows of each tag is what the tag points to
// now.
type openShift struct {
	api        *api
	namespaces []string
}

type imageStream struct {
	Metadata struct {
		Name      string `json:"name"`
		Namespace string `json:"namespace"`
	} `json:"metadata"`
	Status struct {
		Tags []struct {
			Tag   string `json:"tag"`
			Items []struct {
				Created looseTime `json:"created"`
				Image   string    `json:"image"`
			} `json:"items"`
		} `json:"tags"`
	} `json:"status"`
}

const imageAPI = "/apis/image.openshift.io/v1"

func (s *openShift) repositories(ctx context.Context, cursor string) ([]string, string, error) {
	if len(s.namespaces) == 0 {
		return s.page(ctx, imageAPI+"/imagestreams", cursor)
	}
	return inParts(s.namespaces, cursor, func(namespace, cursor string) ([]string, string, error) {
		return s.page(ctx, imageAPI+"/namespaces/"+escape(namespace)+"/imagestreams", cursor)
	})
}

func (s *openShift) page(ctx context.Context, path, cursor string) ([]string, string, error) {
	query := url.Values{"limit": {"100"}}
	if cursor != "" {
		query.Set("continue", cursor)
	}
	var page struct {
		Metadata struct {
			Continue string `json:"continue"`
		} `json:"metadata"`
		Items []imageStream `json:"items"`
	}
	// Names are enough here; an API server that cannot leave out the rest sends whole image streams.
	accept := http.Header{"Accept": {"application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1, application/json"}}
	if _, err := s.api.do(ctx, request{path: path, query: query.Encode(), header: accept}, &page); err != nil {
		return nil, "", expired(err, cursor)
	}
	names := make([]string, len(page.Items))
	for i, item := range page.Items {
		names[i] = item.Metadata.Namespace + "/" + item.Metadata.Name
	}
	return names, page.Metadata.Continue, nil
}

// expired words Kubernetes' 410 for a list that was left for too long: what was listed is not gone.
func expired(err error, cursor string) error {
	if tidewaiter.KindOf(err) == tidewaiter.ErrGone && cursor != "" {
		return tidewaiter.Invalid("cursor", "the cluster no longer remembers this listing").WithFix("start the listing over")
	}
	return err
}

func (s *openShift) tags(ctx context.Context, repository, _ string) ([]tidewaiter.ListedTag, string, error) {
	namespace, name, _ := strings.Cut(repository, "/")
	var stream imageStream
	if _, err := s.api.get(ctx, imageAPI+"/namespaces/"+escape(namespace)+"/imagestreams/"+escape(name), nil, &stream); err != nil {
		return nil, "", err
	}
	var tags []tidewaiter.ListedTag
	for _, t := range stream.Status.Tags {
		if len(t.Items) == 0 {
			continue // an import that never succeeded
		}
		tags = append(tags, tidewaiter.ListedTag{Name: t.Tag, Digest: t.Items[0].Image, UpdatedAt: t.Items[0].Created.Time})
	}
	return tags, "", nil
}
