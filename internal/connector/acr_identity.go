package connector

import (
	"context"
	"encoding/base64"
	"errors"
	"net/http"
	"strings"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/cloud"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"

	"github.com/tidewaiter/tidewaiter/internal/oci"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// acrScope is what a token for registries is asked for. Azure: "Azure Container Registry AAD OAuth".
const acrScope = "https://containerregistry.azure.net/.default"

// signedAlready is the login of a request whose body holds the credential, so that a refusal is worded as one.
func signedAlready(context.Context, *http.Request) error { return nil }

// azureIdentity returns what gets tokens of Entra ID for a service principal or a managed identity. They are kept until they
// expire, unless a fresh one is asked for.
func (o *opening) azureIdentity() (func(ctx context.Context, fresh bool) (string, error), error) {
	options, err := o.azureClient()
	if err != nil {
		return nil, err
	}
	source, err := o.azureCredential(options)
	if err != nil {
		return nil, tidewaiter.Invalid("credential", "the azure credential cannot be used: %s", oci.CleanText(firstLine(err), 200))
	}
	return func(ctx context.Context, fresh bool) (string, error) {
		source := source
		if fresh { // the SDK has no other way past what it keeps
			var err error
			if source, err = o.azureCredential(options); err != nil {
				return "", err
			}
		}
		token, err := source.GetToken(ctx, policy.TokenRequestOptions{Scopes: []string{acrScope}})
		if err != nil {
			return "", azureLoginError(err, o.client, o.secret.Reveal())
		}
		return token.Token, nil
	}, nil
}

func (o *opening) azureCredential(options policy.ClientOptions) (azcore.TokenCredential, error) {
	tenant, client, plain := o.setting("tenantId"), o.setting("clientId"), o.secret.Reveal()
	if client == "" {
		client = o.username()
	}
	switch kind := o.setting("miType"); {
	case kind != "":
		managed := &azidentity.ManagedIdentityCredentialOptions{ClientOptions: policy.ClientOptions{Cloud: options.Cloud}}
		if kind == "user-assigned" {
			managed.ID = azidentity.ClientID(client)
		}
		return azidentity.NewManagedIdentityCredential(managed) // asks the metadata service itself, at an address no registry may have
	case tenant == "" || client == "" || plain == "":
		return nil, errors.New("a service principal needs tenantId, clientId and a secret; a managed identity needs miType")
	}
	own := o.replaced("azure-authority")
	if certificate, ok := certificateOf(plain); ok {
		certs, key, err := azidentity.ParseCertificates(certificate, nil)
		if err != nil {
			return nil, errors.New("the certificate or its key cannot be read")
		}
		return azidentity.NewClientCertificateCredential(tenant, client, certs, key,
			&azidentity.ClientCertificateCredentialOptions{ClientOptions: options, DisableInstanceDiscovery: own})
	}
	return azidentity.NewClientSecretCredential(tenant, client, plain,
		&azidentity.ClientSecretCredentialOptions{ClientOptions: options, DisableInstanceDiscovery: own})
}

// certificateOf tells a certificate, in PEM or as PKCS #12 in base64, from a client secret.
func certificateOf(plain string) ([]byte, bool) {
	if strings.Contains(plain, "-----BEGIN ") {
		return []byte(plain), true
	}
	if len(plain) < 512 {
		return nil, false
	}
	raw, err := base64.StdEncoding.DecodeString(strings.Join(strings.Fields(plain), ""))
	return raw, err == nil
}

// azureClient makes Entra ID's client go through guard, budget and trace like everything else, and chooses the cloud the
// registry is in.
func (o *opening) azureClient() (policy.ClientOptions, error) {
	options := policy.ClientOptions{Cloud: cloud.AzurePublic, Retry: policy.RetryOptions{MaxRetries: -1}}
	switch host := o.address().Host; {
	case o.replaced("azure-authority"):
		options.Cloud = cloud.Configuration{ActiveDirectoryAuthorityHost: o.base("azure-authority", "")}
	case strings.HasSuffix(host, ".azurecr.cn"):
		options.Cloud = cloud.AzureChina
	case strings.HasSuffix(host, ".azurecr.us"):
		options.Cloud = cloud.AzureGovernment
	}
	a, err := o.api(options.Cloud.ActiveDirectoryAuthorityHost, false)
	if err != nil {
		return options, err
	}
	options.Transport = a.client
	return options, nil
}

// azureLoginError says why Entra ID gave no token.
func azureLoginError(err error, client *oci.Client, secret string) error {
	if failed, ok := errors.AsType[*azidentity.AuthenticationFailedError](err); ok && failed.RawResponse != nil && failed.RawResponse.Request != nil {
		return loginRefused("Entra ID", oci.Refused(failed.RawResponse, "get a token", false, client.Now(), secret))
	}
	if e, ok := errors.AsType[*tidewaiter.Error](err); ok {
		return e
	}
	text := firstLine(err)
	if strings.Contains(text, "context deadline exceeded") || strings.Contains(text, "connection") {
		return tidewaiter.Errorf(tidewaiter.ErrTransient, "log in to Entra ID: %s", oci.CleanText(text, 300))
	}
	return tidewaiter.Errorf(tidewaiter.ErrAuth, "log in to Entra ID: %s", oci.CleanText(strings.ReplaceAll(text, secretOr(secret), "***"), 300)).
		WithFix("check tenant, client ID and secret; a managed identity exists only on the machines it was given to")
}

func secretOr(s string) string {
	if s == "" {
		return "\x00"
	}
	return s
}

func firstLine(err error) string {
	line, _, _ := strings.Cut(err.Error(), "\n")
	return line
}
