package prisma_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tidewaiter/tidewaiter/internal/control"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

func TestEveryCredentialType(t *testing.T) {
	const pemText = `-----BEGIN PRIVATE KEY-----\nx\n-----END PRIVATE KEY-----`
	for name, tt := range map[string]struct {
		sent     string
		kind     tidewaiter.CredentialKind
		username string
		settings map[string]string
		secret   string
		in       string // where encrypted appears
	}{
		"basic": {`"accountID":"u","secret":{"plain":"s"}`, tidewaiter.CredentialBasic, "u", nil, "s", "secret"},
		"aws": {`"accountID":"AKIA","roleArn":"arn:x","useSTSRegionalEndpoint":true,"stsEndpoints":["a","b"],"cloudProviderAccountID":"12","secret":{"plain":"s"}`,
			tidewaiter.CredentialAWS, "AKIA", map[string]string{"roleArn": "arn:x", "useSTSRegionalEndpoint": "true", "stsEndpoints": "a,b", "cloudProviderAccountID": "12"}, "s", "secret"},
		"azure": {`"secret":{"plain":"{\"clientId\":\"c\",\"clientSecret\":\"s\",\"tenantId\":\"t\",\"subscriptionId\":\"u\"}"}`,
			tidewaiter.CredentialAzure, "c", map[string]string{"clientId": "c", "tenantId": "t", "subscriptionId": "u"}, "s", "secret"},
		"gcp": {`"global":true,"secret":{"plain":"{\"type\":\"service_account\"}"}`, tidewaiter.CredentialGCP, "", map[string]string{"global": "true"},
			`{"type":"service_account"}`, "secret"},
		"ibmCloud":    {`"accountGUID":"g","apiToken":{"plain":"s"}`, tidewaiter.CredentialIBM, "", map[string]string{"accountGUID": "g"}, "s", "apiToken"},
		"oci":         {`"accountID":"ocid1","ociCred":{"tenancyId":"t","fingerprint":"f"},"secret":{"plain":"` + pemText + `"}`, tidewaiter.CredentialOCI, "ocid1", map[string]string{"tenancyId": "t", "fingerprint": "f"}, strings.ReplaceAll(pemText, `\n`, "\n"), "secret"},
		"apiToken":    {`"apiToken":{"plain":"s"}`, tidewaiter.CredentialToken, "", nil, "s", "apiToken"},
		"gitlabToken": {`"apiToken":{"encrypted":"","plain":"s"}`, tidewaiter.CredentialGitLab, "", nil, "s", "apiToken"},
		"dtr":         {`"accountID":"u","url":"https://dtr","secret":{"plain":"s"}`, tidewaiter.CredentialDTR, "u", map[string]string{"url": "https://dtr"}, "s", "secret"},
		"kubeconfig":  {`"skipVerify":true,"secret":{"plain":"apiVersion: v1"}`, tidewaiter.CredentialKubeconfig, "", map[string]string{"skipVerify": "true"}, "apiVersion: v1", "secret"},
		"certificate": {`"caCert":"ca","secret":{"plain":"` + pemText + `"}`, tidewaiter.CredentialCertificate, "", map[string]string{"caCert": "ca"}, strings.ReplaceAll(pemText, `\n`, "\n"), "secret"},
	} {
		t.Run(name, func(t *testing.T) {
			c := start(t)
			sent := `{"_id":"one","type":"` + name + `","description":"d",` + tt.sent + `}`
			c.ok("POST", "/credentials", sent)
			cred, err := c.control.Credential(t.Context(), "one")
			c.must(err)
			if cred.Kind != tt.kind || cred.Username != tt.username || cred.Owner != "admin" || cred.Origin != tidewaiter.OriginPrisma {
				t.Errorf("stored as %s %q by %s of %s", cred.Kind, cred.Username, cred.Owner, cred.Origin)
			}
			if diff := cmp.Diff(tt.settings, cred.Settings); diff != "" && len(tt.settings)+len(cred.Settings) > 0 {
				t.Errorf("settings (-want +got):\n%s", diff)
			}
			if got := c.reveal("one"); got != tt.secret {
				t.Errorf("secret is %q, want %q", got, tt.secret)
			}
			shown := get[[]map[string]any](c, "/credentials?ids=one")[0]
			for field, value := range fields(t, sent) {
				if field == "secret" || field == "apiToken" {
					continue
				}
				if diff := cmp.Diff(value, shown[field]); diff != "" {
					t.Errorf("%s: %s", field, diff)
				}
			}
			if shown[tt.in].(map[string]any)["encrypted"] == "" || shown["tokens"] != nil {
				t.Errorf("shown as %v", shown)
			}
			again, err := json.Marshal(shown)
			c.must(err)
			c.ok("POST", "/credentials", string(again))
			if got := c.reveal("one"); got != tt.secret {
				t.Errorf("after a round trip the secret is %q", got)
			}
			after, err := c.control.Credential(t.Context(), "one")
			c.must(err)
			cred.Declaration, after.Declaration = nil, nil // the order of names may differ
			if diff := cmp.Diff(cred, after); diff != "" {
				t.Errorf("a round trip changed the credential:\n%s", diff)
			}
		})
	}
}

func TestBuiltInCredential(t *testing.T) {
	c := start(t)
	list := get[[]map[string]any](c, "/credentials")
	want := fields(t, `{"_id":"IAM Role","type":"aws","accountID":"","accountName":"","accountGUID":"","secret":{"encrypted":""},
		"apiToken":{"encrypted":""},"useAWSRole":true,"lastModified":"2026-11-20T12:00:00Z","created":"2026-11-20T12:00:00Z","owner":"system",
		"tokens":null,"prismaLastModified":0}`)
	if diff := cmp.Diff([]map[string]any{want}, list); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	fresh := start(t)
	fresh.ok("PUT", "/settings/registry?scanLater=true", `{"specifications":[{"version":"aws","registry":"x.example.com","credentialID":"IAM Role"}]}`)
	if a := fresh.call("DELETE", "/credentials/IAM%20Role", ""); a.status != 409 {
		t.Errorf("deleted the built-in credential: %d %s", a.status, a.body)
	}
}

func TestCredentialInUse(t *testing.T) {
	c := start(t)
	c.ok("POST", "/credentials", `{"_id":"my cred/1","type":"basic","accountID":"u","secret":{"plain":"p"}}`)
	c.ok("PUT", "/settings/registry?scanLater=true", `{"specifications":[{"version":"2","repository":"library/alpine","credentialID":"my cred/1"},
		{"version":"2","registry":"r.example.com","credentialID":"my cred/1"}]}`)
	usages := get[[]map[string]string](c, "/credentials/my%20cred%2F1/usages")
	want := map[string]bool{"library/alpine": true, "r.example.com": true}
	for _, u := range usages {
		if u["type"] != "Registry Scan" || !want[u["description"]] {
			t.Errorf("usage %v", u)
		}
	}
	if len(usages) != 2 {
		t.Errorf("%d usages", len(usages))
	}
	if a := c.call("DELETE", "/credentials/my%20cred%2F1", ""); a.status != 409 {
		t.Errorf("deleted a credential in use: %d %s", a.status, a.body)
	}
	if spec := c.specs()[0]; spec["credential"].(map[string]any)["accountID"] != "u" {
		t.Errorf("the credential is not expanded: %v", spec["credential"])
	}
	c.ok("PUT", "/settings/registry", ``)
	c.ok("DELETE", "/credentials/my%20cred%2F1", "")
	if a := c.call("DELETE", "/credentials/my%20cred%2F1", ""); a.status != 404 || a.body != `{"err":"credential id does not exist"}` {
		t.Errorf("deleted twice: %d %s", a.status, a.body)
	}
}

func TestCredentialListFilters(t *testing.T) {
	c := start(t)
	for _, body := range []string{`{"_id":"b","type":"basic"}`, `{"_id":"a","type":"gcp"}`, `{"_id":"d","type":"gitlabToken"}`, `{"_id":"c","type":"aws"}`} {
		c.ok("POST", "/credentials", body)
	}
	for query, want := range map[string]string{
		"":                                "IAM Role,a,b,c,d",
		"?cloud=true":                     "IAM Role,a,c",
		"?cloud=false":                    "b,d",
		"?ids=a&ids=b":                    "a,b",
		"?ids=a,d":                        "a,d",
		"?external=true":                  "",
		"?autoImported=true":              "",
		"?autoImported=false":             "IAM Role,a,b,c,d",
		"?limit=2":                        "IAM Role,a",
		"?limit=2&offset=3":               "c,d",
		"?offset=4":                       "d",
		"?offset=9":                       "",
		"?reverse=true&limit=1":           "d",
		"?sort=type&cloud=false":          "b,d",
		"?sort=type&reverse=true&limit=1": "d",
	} {
		var ids []string
		for _, cred := range get[[]map[string]any](c, "/credentials"+query) {
			ids = append(ids, cred["_id"].(string))
		}
		if got := strings.Join(ids, ","); got != want {
			t.Errorf("%s: %s, want %s", query, got, want)
		}
	}
}

func TestChangingTheTypeDropsTheSecret(t *testing.T) {
	c := start(t)
	c.ok("POST", "/credentials", `{"_id":"one","type":"basic","accountID":"u","secret":{"plain":"p"}}`)
	c.ok("POST", "/credentials", `{"_id":"one","type":"aws","useAWSRole":true}`)
	if got := c.reveal("one"); got != "" {
		t.Errorf("the secret is still there: %q", got)
	}
}

func TestCredentialsOfOtherSurfacesAreShown(t *testing.T) {
	c := start(t)
	c.must(c.control.PutCredential(t.Context(), &tidewaiter.Credential{ID: "native", Kind: tidewaiter.CredentialToken, Username: "u",
		Origin: tidewaiter.OriginNative, Declaration: []byte("not ours")}, nil))
	shown := get[[]map[string]any](c, "/credentials?ids=native")[0]
	if shown["type"] != "apiToken" || shown["accountID"] != "u" {
		t.Errorf("shown as %v", shown)
	}
	if _, err := c.control.Credential(control.WithActor(t.Context(), "x"), "native"); err != nil {
		t.Error(err)
	}
}
