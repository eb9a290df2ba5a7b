package emulator_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"

	"github.com/tidewaiter/tidewaiter/emulator"
)

// Whatever is sent, the emulator answers, and never that it broke.
func FuzzRequests(f *testing.F) {
	for _, path := range []string{
		"/v2/", "/v2/_catalog?n=-1", "/v2/a/manifests/sha256:0", "/v2/acme/app-00000/blobs/x", "/acr/v1/_tags", "/acr/v1//_tags?last=latest&orderby=timeasc",
		"/api/v2.0/projects/acme/repositories/%25/artifacts?q=push_time=[~", "/artifactory/api/docker//v2/", "/artifactory/api/search/aql",
		"/api/v1/repository?namespace=acme&next_page=AAAA", "/service/rest/v1/components?continuationToken=a.b", "/user/packages?page=-3&per_page=0",
		"/20160918/container/images?compartmentId=x&page=1.2", "/api/v0/repositories?pageStart=zz", "/token?scope=repository::pull",
	} {
		f.Add(uint8(0), path, "Bearer x", "items.find({\"repo\":{\"$in\":[]}})")
	}
	f.Add(uint8(4), "/", `AWS4-HMAC-SHA256 Credential=a/b/c/d/aws4_request, SignedHeaders=host, Signature=0`, "Action=AssumeRole")
	f.Add(uint8(9), "/20160918/container/images", `Signature keyId="`, "")
	var all []*emulator.Emulator
	for _, name := range emulator.Kinds() {
		e, err := emulator.New(emulator.Options{Kind: name, Repositories: 2, Tags: 3, Layers: 1})
		if err != nil {
			f.Fatal(err)
		}
		f.Cleanup(func() { _ = e.Close() })
		all = append(all, e)
	}
	f.Fuzz(func(t *testing.T, which uint8, path, authorization, body string) {
		e := all[int(which)%len(all)]
		for _, base := range []string{e.URL, e.API} {
			for _, right := range []bool{false, true} {
				r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, base+path, strings.NewReader(body))
				if err != nil || !strings.HasPrefix(path, "/") {
					return
				}
				r.Header.Set("Authorization", authorization)
				if right {
					r.SetBasicAuth(e.Login().Username, e.Login().Password)
					r.Method = http.MethodGet
				}
				resp, err := http.DefaultTransport.RoundTrip(r)
				if err != nil {
					if strings.Contains(err.Error(), "invalid header") {
						return
					}
					t.Fatal(err)
				}
				_ = resp.Body.Close()
				if resp.StatusCode >= 500 {
					t.Errorf("%s: status %d", path, resp.StatusCode)
				}
			}
		}
	})
}

func TestFaultsLeadClientsAstray(t *testing.T) {
	var got []string
	attacker := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { got = append(got, r.URL.Path) }))
	defer attacker.Close()
	e, c := open(t, emulator.Options{MaxPage: 3})
	inject(t, e, emulator.Fault{Pattern: "_catalog", Header: http.Header{"Link": {"<" + attacker.URL + `/link>; rel="next"`}}})
	inject(t, e, emulator.Fault{Pattern: "blobs", Status: 307, Header: http.Header{"Location": {attacker.URL + "/blob"}}})
	if next := c.get(e.URL+"/v2/_catalog").next(t, e.URL); next != attacker.URL+"/link" {
		t.Errorf("next page %q", next)
	}
	if c.get(e.URL + "/v2/acme/app-00000/blobs/sha256:0"); len(got) != 1 || got[0] != "/blob" {
		t.Errorf("the attacker got %v", got)
	}
}

func TestBlobStoreWantsItsAddressOnly(t *testing.T) {
	for _, name := range []emulator.Kind{emulator.OCI, emulator.GHCR} { // with and without a second address of its own
		e := start(t, emulator.Options{Kind: name, RedirectBlobs: true})
		user, password := kinds()[name].docker(t, e)
		base := e.URL + "/v2/acme/app-00000"
		c, _ := registryToken(t, e, base+"/tags/list", user, password)
		pull(t, c, base, "latest") // the client drops its token where the host changes
		var m manifest
		c.json(base+"/manifests/latest", &m)
		c.http.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
		location := c.get(base + "/blobs/" + m.Config.Digest).header.Get("Location")
		if a := c.get(location); a.status != http.StatusBadRequest {
			t.Errorf("%s: with the registry's token: status %d", name, a.status)
		}
		if a := newClient(t, e).get(location); a.status != http.StatusOK {
			t.Errorf("%s: status %d", name, a.status)
		}
		if a := newClient(t, e).get(location + "x"); a.status != http.StatusForbidden {
			t.Errorf("%s: changed address: status %d", name, a.status)
		}
	}
}

func TestPublicECR(t *testing.T) {
	e := start(t, emulator.Options{Kind: emulator.ECR, Public: true})
	l := e.Login()
	call := func(target, service string) answer {
		body := "{}"
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, e.Endpoints()["ecr-public"]+"/", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("X-Amz-Target", target)
		keys, err := staticKeys(l).Retrieve(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		if err := v4.NewSigner().SignHTTP(t.Context(), keys, r, strings.TrimPrefix(digestOf([]byte(body)), "sha256:"), service, "us-east-1", time.Now()); err != nil {
			t.Fatal(err)
		}
		c := newClient(t, e)
		c.header = r.Header
		return c.do("POST", r.URL.String(), "", []byte(body))
	}
	var token struct {
		AuthorizationData struct{ AuthorizationToken string }
	}
	call("SpencerFrontendService.GetAuthorizationToken", "ecr-public").decode(t, &token)
	if a := call("SpencerFrontendService.DescribeRepositories", "ecr"); a.status != http.StatusBadRequest {
		t.Errorf("signed for the private registry: status %d", a.status)
	}
	var repositories struct {
		Repositories []struct{ RepositoryURI string }
	}
	call("SpencerFrontendService.DescribeRepositories", "ecr-public").decode(t, &repositories)
	if len(repositories.Repositories) != 9 || repositories.Repositories[0].RepositoryURI != e.Host()+"/emulated/acme/app-00000" {
		t.Errorf("%+v", repositories)
	}
	address := e.URL + "/v2/emulated/acme/app-00000/tags/list"
	c := newClient(t, e, "Authorization", "Bearer "+token.AuthorizationData.AuthorizationToken)
	if a := c.get(address); a.status != http.StatusOK {
		t.Errorf("status %d", a.status)
	}
	var anybody struct{ Token string }
	newClient(t, e).json(e.URL+"/token/?service=public.ecr.aws&scope=repository:emulated/acme/app-00000:pull", &anybody)
	if a := newClient(t, e, "Authorization", "Bearer "+anybody.Token).get(address); a.status != http.StatusOK {
		t.Errorf("anybody: status %d", a.status)
	}
}
