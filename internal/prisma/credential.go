package prisma

import (
	"encoding/base64"
	"encoding/json"
	"strconv"
	"strings"
	"time"

	"github.com/tidewaiter/tidewaiter/internal/secret"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// credentialFields is the caller's part of Prisma's Credential, without anything secret. In this form it is kept with the
// credential and shown again.
type credentialFields struct {
	ID                     string                `json:"_id"`
	Type                   string                `json:"type"`
	AccountID              string                `json:"accountID"`
	AccountName            string                `json:"accountName"`
	AccountGUID            string                `json:"accountGUID"`
	UseAWSRole             bool                  `json:"useAWSRole"`
	AzureSPInfo            verbatim[azureSPInfo] `json:"azureSPInfo,omitzero"`
	CACert                 string                `json:"caCert,omitempty"`
	CloudProviderAccountID string                `json:"cloudProviderAccountID,omitempty"`
	Description            string                `json:"description,omitempty"`
	Global                 bool                  `json:"global,omitempty"`
	OCICred                verbatim[ociCred]     `json:"ociCred,omitzero"`
	RoleArn                string                `json:"roleArn,omitempty"`
	SkipVerify             bool                  `json:"skipVerify,omitempty"`
	STSEndpoints           []string              `json:"stsEndpoints,omitzero"`
	URL                    string                `json:"url,omitempty"`
	UseSTSRegionalEndpoint bool                  `json:"useSTSRegionalEndpoint,omitempty"`
}

type azureSPInfo struct {
	ClientID       string `json:"clientId"`
	MIType         string `json:"miType"`
	SubscriptionID string `json:"subscriptionId"`
	TenantID       string `json:"tenantId"`
}

type ociCred struct {
	Fingerprint string `json:"fingerprint"`
	TenancyID   string `json:"tenancyId"`
}

// credential is Prisma's Credential as it is shown: encrypted holds an opaque token, never the secret.
type credential struct {
	credentialFields
	Secret             shownSecret `json:"secret"`
	APIToken           shownSecret `json:"apiToken"`
	LastModified       time.Time   `json:"lastModified"`
	Created            time.Time   `json:"created"`
	Owner              string      `json:"owner"`
	Tokens             *struct{}   `json:"tokens"` // null: the specification says object, Terraform decodes an array
	PrismaLastModified int64       `json:"prismaLastModified"`
}

type shownSecret struct {
	Encrypted string `json:"encrypted"`
}

// withoutSecrets returns the credential without its encrypted secrets, for those who may see registries but no credentials.
func (c credential) withoutSecrets() credential {
	c.Secret, c.APIToken = shownSecret{}, shownSecret{}
	return c
}

// sentCredential is a credential as it is sent. Temporary tokens are not kept, and everything the server owns is ignored.
type sentCredential struct {
	credentialFields
	Secret   sentSecret `json:"secret"`
	APIToken sentSecret `json:"apiToken"`
}

// sentSecret is Prisma's Secret as it is sent: the plain text of a new one, or what was shown of the one that is to stay.
type sentSecret struct {
	Encrypted string `json:"encrypted"`
	Plain     string `json:"plain"`
}

// credentialTypes pairs Prisma's credential types with kinds, and says in which of the two secrets each keeps its own.
var credentialTypes = []struct {
	name  string
	kind  tidewaiter.CredentialKind
	token bool // in apiToken
	cloud bool // of a cloud provider's account
}{
	{"basic", tidewaiter.CredentialBasic, false, false},
	{"aws", tidewaiter.CredentialAWS, false, true},
	{"azure", tidewaiter.CredentialAzure, false, true},
	{"gcp", tidewaiter.CredentialGCP, false, true},
	{"ibmCloud", tidewaiter.CredentialIBM, true, true},
	{"oci", tidewaiter.CredentialOCI, false, true},
	{"apiToken", tidewaiter.CredentialToken, true, false},
	{"gitlabToken", tidewaiter.CredentialGitLab, true, false},
	{"dtr", tidewaiter.CredentialDTR, false, false},
	{"kubeconfig", tidewaiter.CredentialKubeconfig, false, false},
	{"certificate", tidewaiter.CredentialCertificate, false, false},
}

const knownTypes = "one of basic, aws, azure, gcp, ibmCloud, oci, apiToken, gitlabToken, dtr, kubeconfig, certificate"

// domain translates what was sent. plain is the new secret; nil when the stored one stays.
func (c *sentCredential) domain() (cred *tidewaiter.Credential, plain *secret.Value, err error) {
	if err := c.check(); err != nil {
		return nil, nil, err
	}
	cred = &tidewaiter.Credential{
		ID: c.ID, Name: c.AccountName, Username: c.AccountID, Origin: tidewaiter.OriginPrisma, Settings: c.settings(),
	}
	for _, t := range credentialTypes {
		if t.name == c.Type {
			cred.Kind = t.kind
		}
	}
	if cred.Kind == "" {
		return nil, nil, tidewaiter.Invalid("type", "unknown credential type %q", cut(c.Type, 40)).WithFix(knownTypes)
	}
	if text := c.Secret.Plain + c.APIToken.Plain; text != "" { // check: at most one of them is there
		v := secret.New(azureSecret(cred, text))
		plain = &v
	}
	if cred.Declaration, err = json.Marshal(c.credentialFields); err != nil {
		return nil, nil, err
	}
	return cred, plain, nil
}

// maxCredentialID bounds names of credentials; they stand in paths.
const maxCredentialID = 256

func (c *sentCredential) check() error {
	mi := c.AzureSPInfo.Value.MIType
	switch {
	case strings.TrimSpace(c.ID) == "":
		return tidewaiter.Invalid("_id", "the credential needs a name")
	case len(c.ID) > maxCredentialID || strings.ContainsFunc(c.ID, func(r rune) bool { return r < ' ' || r == 0x7f }):
		return tidewaiter.Invalid("_id", "a credential's name has at most %d characters and no control characters", maxCredentialID)
	case c.Secret.Plain != "" && c.APIToken.Plain != "":
		return tidewaiter.Invalid("apiToken", "a credential has either secret or apiToken").WithFix("send one of them empty")
	case mi != "" && mi != "user-assigned" && mi != "system-assigned":
		return tidewaiter.Invalid("azureSPInfo.miType", "unknown managed identity type %q", cut(mi, 40)).
			WithFix("one of user-assigned, system-assigned")
	}
	return nil
}

// settings collects what is not secret and differs by type, under the vendor's names.
func (c *sentCredential) settings() map[string]string {
	out := map[string]string{}
	for name, value := range map[string]string{
		"accountGUID": c.AccountGUID, "caCert": c.CACert, "cloudProviderAccountID": c.CloudProviderAccountID,
		"roleArn": c.RoleArn, "stsEndpoints": strings.Join(c.STSEndpoints, ","), "url": c.URL,
		"clientId": c.AzureSPInfo.Value.ClientID, "miType": c.AzureSPInfo.Value.MIType,
		"subscriptionId": c.AzureSPInfo.Value.SubscriptionID, "tenantId": c.AzureSPInfo.Value.TenantID,
		"fingerprint": c.OCICred.Value.Fingerprint, "tenancyId": c.OCICred.Value.TenancyID,
	} {
		if value != "" {
			out[name] = value
		}
	}
	for name, value := range map[string]bool{
		"useAWSRole": c.UseAWSRole, "global": c.Global, "skipVerify": c.SkipVerify, "useSTSRegionalEndpoint": c.UseSTSRegionalEndpoint,
	} {
		if value {
			out[name] = strconv.FormatBool(value)
		}
	}
	return out
}

// azureSecret takes an Azure service key apart. Prisma: the secret is the JSON that creating a service principal prints;
// inside, a service principal is its client and tenant with a secret of their own. Anything else stays as it is.
func azureSecret(c *tidewaiter.Credential, text string) string {
	if c.Kind != tidewaiter.CredentialAzure {
		return text
	}
	var key struct {
		ClientID       string `json:"clientId"`
		ClientSecret   string `json:"clientSecret"`
		SubscriptionID string `json:"subscriptionId"`
		TenantID       string `json:"tenantId"`
	}
	if json.Unmarshal([]byte(text), &key) != nil || key.ClientID == "" || key.ClientSecret == "" {
		return text
	}
	c.Username = key.ClientID
	for name, value := range map[string]string{"clientId": key.ClientID, "subscriptionId": key.SubscriptionID, "tenantId": key.TenantID} {
		if value != "" {
			c.Settings[name] = value
		}
	}
	return key.ClientSecret
}

// shownCredential returns how a stored credential is shown; one declared elsewhere is described by what is known of it.
func shownCredential(c *tidewaiter.Credential) (credential, error) {
	out := credential{LastModified: c.UpdatedAt.UTC(), Created: c.CreatedAt.UTC(), Owner: c.Owner}
	if len(c.Declaration) > 0 && c.Origin == tidewaiter.OriginPrisma {
		if err := json.Unmarshal(c.Declaration, &out.credentialFields); err != nil {
			return out, tidewaiter.Errorf(tidewaiter.ErrBug, "declaration of credential %s: %w", c.ID, err)
		}
	} else {
		out.AccountID, out.AccountName, out.URL = c.Username, c.Name, c.Settings["url"]
		out.RoleArn, out.UseAWSRole = c.Settings["roleArn"], c.Settings["useAWSRole"] == "true"
	}
	out.ID = c.ID
	for _, t := range credentialTypes {
		if t.kind != c.Kind {
			continue
		}
		out.Type = t.name
		if token := base64.StdEncoding.EncodeToString(c.Sealed); t.token {
			out.APIToken.Encrypted = token
		} else {
			out.Secret.Encrypted = token
		}
	}
	return out, nil
}
