package emulator_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/credentials/ec2rolecreds"
	"github.com/aws/aws-sdk-go-v2/feature/ec2/imds"
	"github.com/google/go-cmp/cmp"

	"github.com/tidewaiter/tidewaiter/emulator"
)

func TestInstanceRoleOpensECR(t *testing.T) {
	e := start(t, emulator.Options{Kind: emulator.ECR, RequireRole: true})
	role := ec2rolecreds.New(func(o *ec2rolecreds.Options) { o.Client = imds.New(imds.Options{Endpoint: e.Endpoints()["imds"]}) })
	out, err := ecrClient(e, role).DescribeRepositories(t.Context(), nil)
	if err != nil || len(out.Repositories) != 9 {
		t.Errorf("%v, %v", out, err)
	}
	if a := newClient(t, e).get(e.API + "/latest/meta-data/iam/security-credentials/emulator-role"); a.status != http.StatusUnauthorized {
		t.Errorf("without a session: status %d", a.status)
	}
}

func TestManagedIdentityOpensACR(t *testing.T) {
	e := start(t, emulator.Options{Kind: emulator.ACR})
	address := e.Endpoints()["azure-metadata"] + "/metadata/identity/oauth2/token?api-version=2018-02-01&resource=https://containerregistry.azure.net"
	if a := newClient(t, e).get(address); a.status != http.StatusBadRequest {
		t.Errorf("without the header: status %d", a.status)
	}
	var token struct {
		Access string `json:"access_token"`
	}
	newClient(t, e, "Metadata", "true").json(address, &token)
	a := newClient(t, e).form(e.URL+"/oauth2/exchange", map[string][]string{"grant_type": {"access_token"}, "service": {e.Host()}, "access_token": {token.Access}})
	if a.status != http.StatusOK {
		t.Errorf("status %d: %s", a.status, a.body)
	}
	if a := newClient(t, e, "Metadata", "true").get(strings.Replace(address, "containerregistry", "vault", 1)); a.status != http.StatusBadRequest {
		t.Errorf("for another resource: status %d", a.status)
	}
}

func TestGoogleMetadataOpensGAR(t *testing.T) {
	e := start(t, emulator.Options{Kind: emulator.GAR})
	address := e.Endpoints()["google-metadata"] + "/computeMetadata/v1/instance/service-accounts/default/token"
	if a := newClient(t, e).get(address); a.status != http.StatusForbidden {
		t.Errorf("without the header: status %d", a.status)
	}
	var token struct {
		Access string `json:"access_token"`
	}
	newClient(t, e, "Metadata-Flavor", "Google").json(address, &token)
	c := newClient(t, e, "Authorization", "Bearer "+token.Access)
	for project, want := range map[string]int{"acme-project": 200, "other-project": 403} {
		if a := c.get(e.API + "/v1/projects/" + project + "/locations/-/repositories"); a.status != want {
			t.Errorf("%s: status %d", project, a.status)
		}
	}
	if _, status := registryToken(t, e, e.URL+"/v2/acme-project/acme/app-00000/tags/list", "oauth2accesstoken", token.Access); status != http.StatusOK {
		t.Errorf("as a password: status %d", status)
	}
}

func TestACRListsInBothDirectionsOfTime(t *testing.T) {
	e := start(t, emulator.Options{Kind: emulator.ACR})
	for _, tag := range []string{"1.1000.103", "fresh"} {
		if _, err := e.Move("acme/app-00000", tag); err != nil {
			t.Fatal(err)
		}
	}
	if err := e.Delete("acme/app-00000", "1.1000.104"); err != nil {
		t.Fatal(err)
	}
	c := newClient(t, e).basic(e.Login().Username, e.Login().Password)
	read := func(query string) (names []string) {
		for at := e.URL + "/acr/v1/acme/app-00000/_tags?n=5" + query; at != ""; {
			var doc struct{ Tags []struct{ Name string } }
			a := c.json(at, &doc)
			for _, x := range doc.Tags {
				names = append(names, x.Name)
			}
			at = a.next(t, at)
		}
		return names
	}
	falling, rising := read("&orderby=timedesc"), read("&orderby=timeasc")
	for i, j := 0, len(rising)-1; i < j; i, j = i+1, j-1 {
		rising[i], rising[j] = rising[j], rising[i]
	}
	if diff := cmp.Diff(falling, rising); diff != "" || len(falling) != 27 || len(read("")) != 27 {
		t.Errorf("%d tags: %s", len(falling), diff)
	}
	untagged, total := 0, 0
	for at := e.URL + "/acr/v1/acme/app-00000/_manifests?n=5"; at != ""; {
		var doc struct{ Manifests []struct{ Tags []string } }
		a := c.json(at, &doc)
		for _, m := range doc.Manifests {
			if total++; len(m.Tags) == 0 {
				untagged++
			}
		}
		at = a.next(t, at)
	}
	if untagged != 6 || total < 30 {
		t.Errorf("%d manifests, %d untagged", total, untagged)
	}
}
