package connector

import (
	"context"
	"net/url"
	"regexp"
	"strings"
	"time"

	"github.com/tidewaiter/tidewaiter/internal/oci"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

func ocirKind() kind {
	return kind{
		Capabilities: Capabilities{
			Kind: tidewaiter.KindOCIR, Title: "Oracle Cloud Infrastructure Registry", URLPattern: ocirHost.String(),
			URLExample: "https://ocir.eu-frankfurt-1.oci.oraclecloud.com", Anonymous: true,
			Credentials: []CredentialForm{
				{Kind: tidewaiter.CredentialOCI, Title: "API signing key", Fields: []Field{
					{Key: "username", Title: "OCID of the user", Required: true}, {Key: "tenancyId", Title: "OCID of the tenancy", Required: true},
					{Key: "fingerprint", Title: "Fingerprint of the key", Required: true},
					{Key: "secret", Title: "Private key in PEM", Secret: true, Required: true},
				}},
				basicForm("namespace/user and auth token"),
			},
			Settings: []Field{
				{Key: "region", Title: "Region, where the address has the region's short key"},
				{Key: "compartmentId", Title: "OCID of the compartment to list; empty is the whole tenancy"},
			},
			Repositories: ListingNative, Tags: ListingNative, Needs: "an API signing key",
			DigestInListing: true, TimeInListing: TimeCreated, NewestFirst: true, TokenLife: time.Hour,
		},
		open: openOCIR,
	}
}

var ocirHost = regexp.MustCompile(`^https://([a-z0-9]+\.ocir\.io|ocir\.([a-z0-9-]+)\.oci\.[a-z0-9.-]*oraclecloud[a-z0-9]*\.com)$`)

func openOCIR(o *opening) (*connection, error) {
	conn := &connection{endpoint: o.endpoint(o.login())}
	if o.kind() != tidewaiter.CredentialOCI {
		return conn, nil
	}
	region, err := o.ocirRegion()
	if err != nil {
		return nil, err
	}
	signer, err := o.oracleSigner()
	if err != nil {
		return nil, err
	}
	a, err := o.api(o.base("ocir", "https://artifacts."+region+".oci.oraclecloud.com"), false)
	if err != nil {
		return nil, err
	}
	a.login = signer.sign
	registry, err := o.api(o.root(), true)
	if err != nil {
		return nil, err
	}
	registry.login = signer.sign
	token := keep(o.client.Now, func(ctx context.Context) (oci.Credential, time.Time, error) {
		var answer struct {
			Token     string  `json:"token"`
			ExpiresIn float64 `json:"expires_in"`
		}
		if _, err := registry.get(ctx, "/20180419/docker/token", nil, &answer); err != nil {
			return oci.Credential{}, time.Time{}, loginRefused("the registry with a signed request", err)
		}
		text, err := usableToken(answer.Token, registry.base.Host)
		return oci.Credential{Username: "BEARER_TOKEN", Password: text}, expiresIn(a.now(), answer.ExpiresIn), err
	})
	conn.endpoint.Auth = func(ctx context.Context, _ string) (oci.Credential, error) { return token.get(ctx) }
	conn.endpoint.Refused = token.drop
	compartment := o.setting("compartmentId")
	if compartment == "" {
		compartment = o.setting("tenancyId")
	}
	conn.list = func(r *oci.Registry) lister {
		return &ocir{registry: distribution{r}, api: a, compartment: compartment, subtree: compartment == o.setting("tenancyId")}
	}
	return conn, nil
}

// ocirRegion says where the API is. Oracle: a registry's host has the region's name or its short key.
func (o *opening) ocirRegion() (string, error) {
	m := ocirHost.FindStringSubmatch(o.root())
	switch {
	case o.replaced("ocir"):
		return o.setting("region"), nil
	case m == nil:
		return "", tidewaiter.Invalid("url", "%s is not the address of an Oracle registry, and a signing key is used for no other", o.root()).
			WithFix("write it as https://ocir.region.oci.oraclecloud.com")
	case m[2] != "":
		return m[2], nil
	case regionName.MatchString(o.setting("region")):
		return o.setting("region"), nil
	}
	return "", tidewaiter.Invalid("settings.region", "the address %s does not name its region in full", o.root()).
		WithFix("set region, like eu-frankfurt-1, or write the address as https://ocir.region.oci.oraclecloud.com")
}

var regionName = regexp.MustCompile(`^[a-z]+(-[a-z0-9]+)+$`)

// ocir lists by Oracle's artifacts API. It shows an image under its newest tag only, so what it says is followed by the
// distribution API's list, in which every tag is: what was said first counts.
type ocir struct {
	registry    distribution
	api         *api
	compartment string
	subtree     bool // Oracle: only the root compartment can be listed with all below it
}

func (r *ocir) query(cursor string) url.Values {
	q := url.Values{"compartmentId": {r.compartment}, "limit": {"1000"}, "sortBy": {"TIMECREATED"}, "sortOrder": {"DESC"}}
	if r.subtree {
		q.Set("compartmentIdInSubtree", "true")
	}
	if cursor != "" {
		q.Set("page", cursor)
	}
	return q
}

func (r *ocir) repositories(ctx context.Context, cursor string) ([]string, string, error) {
	var page struct {
		Items []struct {
			Name      string `json:"displayName"`
			Namespace string `json:"namespace"`
		} `json:"items"`
	}
	header, err := r.api.get(ctx, "/20160918/container/repositories", r.query(cursor), &page)
	if err != nil {
		return nil, "", err
	}
	names := make([]string, len(page.Items))
	for i, item := range page.Items {
		names[i] = item.Namespace + "/" + item.Name
	}
	return names, header.Get("Opc-Next-Page"), nil
}

// throughV2 begins the cursors of the second half of a list of tags.
const throughV2 = "v2:"

func (r *ocir) tags(ctx context.Context, repository, cursor string) ([]tidewaiter.ListedTag, string, error) {
	if rest, ok := strings.CutPrefix(cursor, throughV2); ok {
		tags, next, err := r.registry.tags(ctx, repository, rest)
		if next != "" {
			next = throughV2 + next
		}
		return tags, next, err
	}
	_, name, _ := strings.Cut(repository, "/") // the namespace is the tenancy's
	query := r.query(cursor)
	query.Set("repositoryName", name)
	var page struct {
		Items []struct {
			Repository string    `json:"repositoryName"`
			Version    string    `json:"version"`
			Digest     string    `json:"digest"`
			Created    looseTime `json:"timeCreated"`
		} `json:"items"`
	}
	header, err := r.api.get(ctx, "/20160918/container/images", query, &page)
	if err != nil {
		return nil, "", err
	}
	var tags []tidewaiter.ListedTag
	for _, item := range page.Items {
		if item.Repository == name && oci.IsTag(item.Version) && item.Version != "unknown" { // what Oracle calls an image without a tag
			tags = append(tags, tidewaiter.ListedTag{Name: item.Version, Digest: item.Digest, UpdatedAt: item.Created.Time})
		}
	}
	next := header.Get("Opc-Next-Page")
	if next == "" {
		next = throughV2
	}
	return tags, next, nil
}
