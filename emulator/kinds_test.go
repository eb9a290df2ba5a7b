package emulator_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tidewaiter/tidewaiter/emulator"
)

// kind is how the tests use one kind.
type kind struct {
	list   func(*testing.T, *emulator.Emulator) fleet
	refuse func(*testing.T, *emulator.Emulator, emulator.Login) answer // asks with a login that may be out of date
	status int                                                         // of that answer
	says   string                                                      // in its body
	docker func(*testing.T, *emulator.Emulator) (user, password string)
}

func withBearer(path string, api bool) func(*testing.T, *emulator.Emulator, emulator.Login) answer {
	return func(t *testing.T, e *emulator.Emulator, l emulator.Login) answer {
		base := e.URL
		if api {
			base = e.API
		}
		return newClient(t, e, "Authorization", "Bearer "+l.Token).get(base + path)
	}
}

func withBasic(path string, api bool) func(*testing.T, *emulator.Emulator, emulator.Login) answer {
	return func(t *testing.T, e *emulator.Emulator, l emulator.Login) answer {
		base := e.URL
		if api {
			base = e.API
		}
		return newClient(t, e).basic(l.Username, l.Password).get(base + path)
	}
}

func userPassword(_ *testing.T, e *emulator.Emulator) (string, string) {
	return e.Login().Username, e.Login().Password
}

func userToken(_ *testing.T, e *emulator.Emulator) (string, string) {
	return e.Login().Username, e.Login().Token
}

func kinds() map[emulator.Kind]kind {
	return map[emulator.Kind]kind{
		emulator.OCI:         {listOCI, withBasic("/token?service=emulator", false), 401, `"code":"UNAUTHORIZED"`, userPassword},
		emulator.DockerHub:   {listHub, hubRefused, 401, `"message":"Incorrect authentication credentials"`, userPassword},
		emulator.ECR:         {listECR, ecrRefused, 400, `InvalidSignatureException`, ecrLogin},
		emulator.ACR:         {listACR, acrRefused, 401, `AADSTS7000215`, userPassword},
		emulator.GAR:         {listGAR, garRefused, 400, `"error":"invalid_grant"`, garLogin},
		emulator.Artifactory: {listArtifactory, withBearer("/artifactory/api/repositories", false), 401, `"message":"Bad credentials","status":401`, userPassword},
		emulator.Nexus:       {listNexus, withBasic("/service/rest/v1/repositories", true), 401, ``, userPassword},
		emulator.Quay:        {listQuay, withBearer("/api/v1/repository?namespace=acme", false), 401, `"error_type":"invalid_token"`, userPassword},
		emulator.Harbor:      {listHarbor, withBasic("/api/v2.0/projects", false), 401, `"code":"UNAUTHORIZED"`, userPassword},
		emulator.GitLab:      {listGitLab, withBearer("/api/v4/groups", true), 401, `"message":"401 Unauthorized"`, userToken},
		emulator.GHCR:        {listGHCR, withBearer("/orgs/acme/packages?package_type=container", true), 401, `"message":"Bad credentials"`, userToken},
		emulator.OpenShift:   {listOpenShift, withBearer("/apis/image.openshift.io/v1/imagestreams", true), 401, `"kind":"Status"`, userToken},
		emulator.DTR:         {listDTR, withBasic("/api/v0/repositories", false), 401, `"code":"NOT_AUTHENTICATED"`, userPassword},
		emulator.IBM:         {listIBM, ibmRefused, 400, `BXNIM0415E`, userToken},
		emulator.OCIR:        {listOCIR, ocirRefused, 401, `"code":"NotAuthenticated"`, userPassword},
	}
}

func hubRefused(t *testing.T, e *emulator.Emulator, l emulator.Login) answer {
	return hubToken(t, e, l.Username, l.Password)
}

func ecrRefused(t *testing.T, e *emulator.Emulator, l emulator.Login) answer {
	_, err := ecrClient(e, staticKeys(l)).DescribeRepositories(t.Context(), nil)
	if err == nil {
		return answer{status: http.StatusOK}
	}
	return answer{status: http.StatusBadRequest, body: []byte(`"` + codeOf(err) + `"`)}
}

func ecrLogin(t *testing.T, e *emulator.Emulator) (string, string) { return "AWS", ecrPassword(t, e) }

func acrRefused(t *testing.T, e *emulator.Emulator, l emulator.Login) answer {
	return newClient(t, e).form(e.API+"/"+l.TenantID+"/oauth2/v2.0/token", map[string][]string{"grant_type": {"client_credentials"},
		"client_id": {l.ClientID}, "client_secret": {l.ClientSecret}, "scope": {"https://containerregistry.azure.net/.default"}})
}

func garRefused(t *testing.T, e *emulator.Emulator, l emulator.Login) answer {
	return googleAssertion(t, e, l.ServiceAccountJSON)
}

func garLogin(_ *testing.T, e *emulator.Emulator) (string, string) {
	return "_json_key", string(e.Login().ServiceAccountJSON)
}

func ibmRefused(t *testing.T, e *emulator.Emulator, l emulator.Login) answer {
	return newClient(t, e).form(e.API+"/identity/token", map[string][]string{"grant_type": {"urn:ibm:params:oauth:grant-type:apikey"}, "apikey": {l.Token}})
}

func ocirRefused(t *testing.T, e *emulator.Emulator, l emulator.Login) answer {
	return oracleGet(t, e, l, e.API+"/20160918/container/repositories?compartmentId="+l.TenancyOCID)
}

func TestEveryKindIsTested(t *testing.T) {
	if got := len(kinds()); got != len(emulator.Kinds()) {
		t.Errorf("%d kinds of %d", got, len(emulator.Kinds()))
	}
}

func TestNativeAPIListsTheWholeFleet(t *testing.T) {
	for name, k := range kinds() {
		t.Run(string(name), func(t *testing.T) {
			e := start(t, emulator.Options{Kind: name})
			if diff := cmp.Diff(truth(e, tagNames()), k.list(t, e)); diff != "" {
				t.Error(diff)
			}
			total := 0
			for _, n := range e.Counts() {
				total += n
			}
			if seen, err := e.Requests(""); err != nil || total != e.Count() || len(seen) != total || e.MaxConcurrent() != 1 {
				t.Errorf("%d requests by endpoint, %d in all, %d remembered, %d at once, %v", total, e.Count(), len(seen), e.MaxConcurrent(), err)
			}
		})
	}
}

func TestListingFollowsChanges(t *testing.T) {
	for name, k := range kinds() {
		t.Run(string(name), func(t *testing.T) {
			e := start(t, emulator.Options{Kind: name})
			want := truth(e, tagNames())
			repository := e.Repositories()[3]
			for _, tag := range []string{"1.1000.105", "latest", "new"} {
				digest, err := e.Move(repository, tag)
				if err != nil || digest == want[repository][tag] {
					t.Fatalf("moved %s to %q, %v", tag, digest, err)
				}
				want[repository][tag] = digest
			}
			if err := e.Delete(repository, "1.1000.110"); err != nil {
				t.Fatal(err)
			}
			delete(want[repository], "1.1000.110")
			if diff := cmp.Diff(want, k.list(t, e)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestOldSecretsAreRefusedInTheKindsOwnWords(t *testing.T) {
	for name, k := range kinds() {
		t.Run(string(name), func(t *testing.T) {
			e := start(t, emulator.Options{Kind: name})
			old := e.Login()
			if a := k.refuse(t, e, old); a.status != http.StatusOK {
				t.Fatalf("right login: status %d: %s", a.status, a.body)
			}
			fresh, err := e.Rotate()
			if err != nil {
				t.Fatal(err)
			}
			a := k.refuse(t, e, old)
			if a.status != k.status || !strings.Contains(string(a.body), k.says) {
				t.Errorf("old login: status %d: %s", a.status, a.body)
			}
			if k.says != "" && !isJSON(a.body) {
				t.Errorf("no JSON: %s", a.body)
			}
			if a := k.refuse(t, e, fresh); a.status != http.StatusOK {
				t.Errorf("new login: status %d: %s", a.status, a.body)
			}
		})
	}
}
