package connector

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

const (
	googleScope    = "https://www.googleapis.com/auth/cloud-platform"
	googleMetadata = "http://metadata.google.internal"
	// metadataTime bounds a question to the metadata service, which is on this machine or not there at all.
	metadataTime = 5 * time.Second
)

// serviceAccount is the part of a service account's key file that is needed.
type serviceAccount struct {
	Type        string `json:"type"`
	ProjectID   string `json:"project_id"`
	KeyID       string `json:"private_key_id"`
	PrivateKey  string `json:"private_key"`
	ClientEmail string `json:"client_email"`
	TokenURI    string `json:"token_uri"`
}

// googleTokens returns the access tokens of the credential and the project it belongs to; nil when it has none to give.
func (o *opening) googleTokens() (tokens *kept[string], project string, err error) {
	plain := o.secret.Reveal()
	switch {
	case o.credential == nil:
		return nil, "", nil
	case o.kind() == tidewaiter.CredentialToken, o.username() == "oauth2accesstoken":
		return keep(o.client.Now, func(context.Context) (string, time.Time, error) { return plain, time.Time{}, nil }), "", nil
	case o.kind() == tidewaiter.CredentialGCP && plain == "":
		return o.machineAccount()
	case o.kind() == tidewaiter.CredentialGCP, o.username() == "_json_key":
		return o.keyFile([]byte(plain))
	}
	return nil, "", nil
}

func (o *opening) keyFile(raw []byte) (*kept[string], string, error) {
	var account serviceAccount
	if json.Unmarshal(raw, &account) != nil || account.Type != "service_account" || account.ClientEmail == "" {
		return nil, "", tidewaiter.Invalid("credential.secret", "the secret is not the key file of a service account").
			WithFix("paste the JSON that Google Cloud gave for the key, with \"type\": \"service_account\"")
	}
	key, err := jwt.ParseRSAPrivateKeyFromPEM([]byte(account.PrivateKey))
	if err != nil {
		return nil, "", tidewaiter.Invalid("credential.secret", "the private key in the service account's key file cannot be read")
	}
	u, err := url.Parse(account.TokenURI)
	known := err == nil && u.Scheme == "https" && (u.Host == "googleapis.com" || strings.HasSuffix(u.Host, ".googleapis.com"))
	if !known && !o.replaced("gar") {
		account.TokenURI, u = "https://oauth2.googleapis.com/token", &url.URL{Scheme: "https", Host: "oauth2.googleapis.com", Path: "/token"}
	} else if err != nil {
		return nil, "", tidewaiter.Invalid("credential.secret", "the token_uri of the service account's key file is no address")
	}
	a, err := o.api(u.Scheme+"://"+u.Host, false)
	if err != nil {
		return nil, "", err
	}
	a.login = signedAlready
	return keep(o.client.Now, func(ctx context.Context) (string, time.Time, error) {
		now := o.client.Now()
		// RFC 7523; Google: "Using OAuth 2.0 for Server to Server Applications".
		claims := jwt.NewWithClaims(jwt.SigningMethodRS256, jwt.MapClaims{
			"iss": account.ClientEmail, "scope": googleScope, "aud": account.TokenURI, "iat": now.Unix(), "exp": now.Add(time.Hour).Unix(),
		})
		claims.Header["kid"] = account.KeyID
		assertion, err := claims.SignedString(key)
		if err != nil {
			return "", time.Time{}, err
		}
		return googleToken(ctx, a, request{method: http.MethodPost, path: u.EscapedPath(), form: url.Values{
			"grant_type": {"urn:ietf:params:oauth:grant-type:jwt-bearer"}, "assertion": {assertion},
		}})
	}), account.ProjectID, nil
}

func googleToken(ctx context.Context, a *api, q request) (string, time.Time, error) {
	var answer struct {
		AccessToken string  `json:"access_token"`
		ExpiresIn   float64 `json:"expires_in"`
	}
	if _, err := a.do(ctx, q, &answer); err != nil {
		return "", time.Time{}, loginRefused("Google", err)
	}
	token, err := usableToken(answer.AccessToken, a.base.Host)
	return token, expiresIn(a.now(), answer.ExpiresIn), err
}

// machineAccount uses the identity of the machine: the key file GOOGLE_APPLICATION_CREDENTIALS names, else the service
// account of the instance or pod. Google: "How Application Default Credentials works".
func (o *opening) machineAccount() (*kept[string], string, error) {
	if path := os.Getenv("GOOGLE_APPLICATION_CREDENTIALS"); path != "" {
		raw, err := os.ReadFile(path) //nolint:gosec // the operator names it
		if err != nil {
			return nil, "", tidewaiter.Errorf(tidewaiter.ErrAuth, "the file GOOGLE_APPLICATION_CREDENTIALS names cannot be read")
		}
		return o.keyFile(raw)
	}
	a, err := o.api(o.base("google-metadata", googleMetadata), false)
	if err != nil {
		return nil, "", err
	}
	// Not the guarded client: the metadata service is at an address no registry may have.
	a.client = &http.Client{Timeout: metadataTime, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	a.login = signedAlready
	return keep(o.client.Now, func(ctx context.Context) (string, time.Time, error) {
		return googleToken(ctx, a, request{
			path:   "/computeMetadata/v1/instance/service-accounts/default/token",
			header: http.Header{"Metadata-Flavor": {"Google"}},
		})
	}), "", nil
}
