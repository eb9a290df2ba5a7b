package tidewaiter

import "time"

// CredentialKind says what a credential consists of.
type CredentialKind string

// The credential kinds.
const (
	CredentialBasic       CredentialKind = "basic"       // Username, Secret
	CredentialToken       CredentialKind = "token"       // Secret is a bearer or access token
	CredentialAWS         CredentialKind = "aws"         // Username is the key id, Secret the key; or a role
	CredentialAzure       CredentialKind = "azure"       // service principal, certificate or managed identity
	CredentialGCP         CredentialKind = "gcp"         // Secret is a service account's JSON
	CredentialIBM         CredentialKind = "ibm"         // Secret is an API key
	CredentialOCI         CredentialKind = "oci"         // Oracle: Username is the user's OCID, Secret the private key
	CredentialGitLab      CredentialKind = "gitlab"      // Secret is an access token
	CredentialKubeconfig  CredentialKind = "kubeconfig"  // Secret is a kubeconfig
	CredentialCertificate CredentialKind = "certificate" // Secret is a client certificate and key in PEM
	CredentialDTR         CredentialKind = "dtr"         // like basic
)

// Credential is something to log in with. Its secret is sealed: the value here cannot be read, printed or marshalled;
// only package secret opens it, for the one host it is sent to.
type Credential struct {
	ID       string // free text for Prisma ("IAM Role"), a UUID or number elsewhere
	Kind     CredentialKind
	Name     string
	Username string // not secret
	Sealed   []byte `json:"-"` // ciphertext bound to ID; empty when there is no secret
	Origin   Origin

	// Settings holds what is not secret and differs by kind (roleArn, tenantId, projectId, region, …).
	Settings map[string]string
	// Declaration is what the declaring surface needs to show the credential again as it was sent, without secrets.
	Declaration []byte

	CreatedAt time.Time
	UpdatedAt time.Time
	Owner     string
}
