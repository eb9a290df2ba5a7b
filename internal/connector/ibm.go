package connector

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/tidewaiter/tidewaiter/internal/oci"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

func ibmKind() kind {
	return kind{
		Capabilities: Capabilities{
			Kind: tidewaiter.KindIBM, Title: "IBM Cloud Container Registry", URLPattern: ibmHost.String(), URLExample: "https://de.icr.io",
			Credentials: []CredentialForm{{Kind: tidewaiter.CredentialIBM, Title: "API key", Fields: []Field{
				{Key: "secret", Title: "API key", Secret: true, Required: true}, {Key: "accountGUID", Title: "Account ID, to list images"},
			}}, basicForm("iamapikey and an API key")},
			Settings:     []Field{{Key: "namespace", Title: "Namespaces to list, with commas; empty is all"}},
			Repositories: ListingNative, Tags: ListingNative, Needs: "an API key and the account's ID (accountGUID)",
			DigestInListing: true, TimeInListing: TimeCreated, TokenLife: time.Hour,
		},
		open: openIBM,
	}
}

var ibmHost = regexp.MustCompile(`^https://([a-z0-9-]+\.)*icr\.io$`)

func openIBM(o *opening) (*connection, error) {
	const user = "iamapikey" // IBM: the registry takes an API key under this user name
	if o.kind() == tidewaiter.CredentialIBM && !ibmHost.MatchString(o.root()) && !o.replaced("iam") {
		return nil, tidewaiter.Invalid("url", "%s is not the address of a registry of IBM Cloud, and its API keys go to no other", o.root()).
			WithFix("write it as https://region.icr.io")
	}
	conn := &connection{endpoint: o.endpoint(o.loginAs(user))}
	if o.kind() == tidewaiter.CredentialIBM {
		conn.endpoint.Auth = oci.Basic(user, o.secret.Reveal())
	} else if o.username() != user {
		return conn, nil
	}
	account := o.setting("accountGUID")
	if account == "" {
		return conn, nil
	}
	iam, err := o.api(o.base("iam", "https://iam.cloud.ibm.com"), false)
	if err != nil {
		return nil, err
	}
	a, err := o.api(o.root(), true)
	if err != nil {
		return nil, err
	}
	iam.login = signedAlready
	iam.secrets = []string{o.secret.Reveal()}
	tokens := keep(o.client.Now, func(ctx context.Context) (string, time.Time, error) {
		var answer struct {
			AccessToken string  `json:"access_token"`
			ExpiresIn   float64 `json:"expires_in"`
		}
		form := url.Values{"grant_type": {"urn:ibm:params:oauth:grant-type:apikey"}, "apikey": {o.secret.Reveal()}}
		if _, err := iam.do(ctx, request{method: http.MethodPost, path: "/identity/token", form: form}, &answer); err != nil {
			return "", time.Time{}, loginRefused("IBM Cloud", err)
		}
		token, err := usableToken(answer.AccessToken, iam.base.Host)
		return token, expiresIn(iam.now(), answer.ExpiresIn), err
	})
	a.bearerFrom(tokens)
	namespaces := o.settings("namespace")
	conn.list = func(*oci.Registry) lister { return &ibm{a, account, namespaces} }
	return conn, nil
}

// ibm lists by IBM's API, which has no pages: one answer holds the images of a whole account.
type ibm struct {
	api        *api
	account    string
	namespaces []string
}

type ibmImage struct {
	Tags    []string            `json:"RepoTags"`
	Digests []string            `json:"RepoDigests"`
	ByHash  map[string][]string `json:"DigestTags"`
	Created looseTime           `json:"Created"`
}

// images reads the account's images one after the other: the answer has no pages and may be long.
func (i *ibm) images(ctx context.Context, query url.Values, each func(*ibmImage)) error {
	query.Set("includeIBM", "false")
	query.Set("includeManifestLists", "true")
	q := request{path: "/api/v1/images", query: query.Encode(), header: http.Header{"Account": {i.account}}}
	return i.api.stream(ctx, q, func(dec *json.Decoder) error {
		if _, err := dec.Token(); err != nil {
			return err
		}
		for dec.More() {
			var image ibmImage
			if err := dec.Decode(&image); err != nil {
				return err
			}
			each(&image)
		}
		_, err := dec.Token() // the closing bracket: without it the answer was cut
		return err
	})
}

func (i *ibm) repositories(ctx context.Context, cursor string) ([]string, string, error) {
	if cursor != "" {
		return nil, "", badCursor()
	}
	query := url.Values{}
	if len(i.namespaces) == 1 {
		query.Set("namespace", i.namespaces[0])
	}
	seen := map[string]bool{}
	var names []string
	err := i.images(ctx, query, func(image *ibmImage) {
		for _, address := range image.addresses() {
			name := afterHost(address)
			namespace, _, _ := strings.Cut(name, "/")
			if name != "" && !seen[name] && (len(i.namespaces) == 0 || slices.Contains(i.namespaces, namespace)) {
				seen[name] = true
				names = append(names, name)
			}
		}
	})
	return names, "", err
}

// addresses returns everything the image is called, tags first.
func (i *ibmImage) addresses() []string {
	all := slices.Clone(i.Tags)
	for _, tags := range i.ByHash {
		all = append(all, tags...)
	}
	return all
}

func (i *ibm) tags(ctx context.Context, repository, cursor string) ([]tidewaiter.ListedTag, string, error) {
	if cursor != "" {
		return nil, "", badCursor()
	}
	seen := map[string]bool{}
	var tags []tidewaiter.ListedTag
	err := i.images(ctx, url.Values{"repository": {repository}}, func(image *ibmImage) {
		for _, address := range image.addresses() {
			tag := address[strings.LastIndexByte(address, ':')+1:]
			if afterHost(address) != repository || !oci.IsTag(tag) || seen[tag] {
				continue
			}
			seen[tag] = true
			tags = append(tags, tidewaiter.ListedTag{Name: tag, Digest: image.digest(address), UpdatedAt: image.Created.Time})
		}
	})
	return tags, "", err
}

// digest returns the digest one of the image's addresses has.
func (i *ibmImage) digest(address string) string {
	for digest, tags := range i.ByHash {
		if slices.Contains(tags, address) {
			return digest
		}
	}
	for _, d := range i.Digests {
		if afterHost(d) == afterHost(address) {
			return d[strings.LastIndexByte(d, '@')+1:]
		}
	}
	return ""
}
