package emulator_test

import (
	"net/http"
	"net/url"
	"testing"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/cloud"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"

	"github.com/tidewaiter/tidewaiter/emulator"
)

func TestAzureIdentityLogsIn(t *testing.T) {
	e := start(t, emulator.Options{Kind: emulator.ACR, TLS: true})
	l, c := e.Login(), newClient(t, e)
	options := azcore.ClientOptions{
		Cloud: cloud.Configuration{ActiveDirectoryAuthorityHost: e.Endpoints()["azure-authority"]}, Transport: c.http,
		Retry: policy.RetryOptions{MaxRetries: -1},
	}
	bySecret := func(secret string) azcore.TokenCredential {
		credential, err := azidentity.NewClientSecretCredential(l.TenantID, l.ClientID, secret, &azidentity.ClientSecretCredentialOptions{
			ClientOptions: options, DisableInstanceDiscovery: true,
		})
		if err != nil {
			t.Fatal(err)
		}
		return credential
	}
	byCertificate := func(pem []byte) azcore.TokenCredential {
		certificates, key, err := azidentity.ParseCertificates(pem, nil)
		if err != nil {
			t.Fatal(err)
		}
		credential, err := azidentity.NewClientCertificateCredential(l.TenantID, l.ClientID, certificates, key, &azidentity.ClientCertificateCredentialOptions{
			ClientOptions: options, DisableInstanceDiscovery: true,
		})
		if err != nil {
			t.Fatal(err)
		}
		return credential
	}
	other := start(t, emulator.Options{Kind: emulator.ACR})
	for name, x := range map[string]struct {
		credential azcore.TokenCredential
		right      bool
	}{
		"secret": {bySecret(l.ClientSecret), true}, "wrong secret": {bySecret("x"), false},
		"certificate": {byCertificate(l.ClientCertificate), true}, "unknown certificate": {byCertificate(other.Login().ClientCertificate), false},
	} {
		token, err := x.credential.GetToken(t.Context(), policy.TokenRequestOptions{Scopes: []string{"https://containerregistry.azure.net/.default"}})
		if (err == nil) != x.right {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if !x.right {
			continue
		}
		a := c.form(e.URL+"/oauth2/exchange", url.Values{"grant_type": {"access_token"}, "service": {e.Host()}, "tenant": {l.TenantID}, "access_token": {token.Token}})
		var doc struct {
			Refresh string `json:"refresh_token"`
		}
		a.decode(t, &doc)
		if _, status := registryToken(t, e, e.URL+"/v2/acme/app-00000/tags/list", "00000000-0000-0000-0000-000000000000", doc.Refresh); status != http.StatusOK {
			t.Errorf("%s: the refresh token as a password: status %d", name, status)
		}
	}
}

func TestACRTakesItsOwnTokensOnly(t *testing.T) {
	e := start(t, emulator.Options{Kind: emulator.ACR})
	host := e.Host()
	for name, values := range map[string]url.Values{
		"exchange of a foreign token": {"grant_type": {"access_token"}, "service": {host}, "access_token": {"x.y.z"}},
		"a refresh token made up":     {"grant_type": {"refresh_token"}, "service": {host}, "refresh_token": {"x.y.z"}, "scope": {"registry:catalog:*"}},
	} {
		path := "/oauth2/exchange"
		if values.Has("refresh_token") {
			path = "/oauth2/token"
		}
		if a := newClient(t, e).form(e.URL+path, values); a.status != http.StatusUnauthorized {
			t.Errorf("%s: status %d: %s", name, a.status, a.body)
		}
	}
}
