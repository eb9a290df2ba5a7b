package qualys

import (
	"bytes"
	"encoding/base64"
	"errors"
	"regexp"
	"strings"
	"unicode/utf8"

	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// registryRequest is Qualys' RegistryRequest: the body of create, update and validate.
type registryRequest struct {
	RegistryName     string           `json:"registryName"`
	RegistryType     string           `json:"registryType"`
	RegistryURI      string           `json:"registryUri"`
	RegistryUUID     string           `json:"registryUuid"`
	CredentialType   string           `json:"credentialType"`
	DockerHubOrgName string           `json:"dockerHubOrgName"`
	AccessToken      string           `json:"accessToken"`
	Credential       *loginRequest    `json:"credential"`
	AWS              *awsRequest      `json:"aws"`
	ACR              *acrRequest      `json:"acrRequest"`
	GCP              *gcpRequest      `json:"gcpRequest"`
	GCAR             *artifactRequest `json:"gcarRequest"`

	v11 bool
}

// loginRequest holds user name and password in base64. Ours: accessToken may stand here too; no sample shows where it goes.
type loginRequest struct {
	Username    string `json:"username"`
	Password    string `json:"password"`
	AccessToken string `json:"accessToken"`
}

type awsRequest struct {
	AccountID   string `json:"accountId"`
	ARN         string `json:"arn"`
	Region      string `json:"region"`
	AccountType string `json:"accountType"`
}

type acrRequest struct {
	ConnectorID string `json:"connectorId"`
}

type gcpRequest struct {
	ConnectorID string `json:"connectorId"`
	Location    string `json:"location"`
	ProjectID   string `json:"projectId"`
}

type artifactRequest struct {
	ConnectorID string `json:"connectorId"`
	ProjectID   string `json:"projectId"`
	Registry    string `json:"registry"`
}

// maxNameLength is how long a registry's name may be. Qualys: "up to 63 characters".
const maxNameLength = 63

// Qualys: "alphanumeric character which can also include -, _ and ."; no whitespace.
var registryName = regexp.MustCompile(`^[A-Za-z0-9._-]{1,63}$`)

// Docker: names of organizations.
var organization = regexp.MustCompile(`^[A-Za-z0-9_-]{1,255}$`)

// parseRequest reads and checks a body on its own: what can be said without looking at anything stored. It replaces what was
// sent with how it is kept: types spelled as on the wire, URLs checked. The name may be missing in v1.1, and of a registry that
// exists.
func parseRequest(body []byte, v11, exists bool) (*registryRequest, error) {
	q := registryRequest{v11: v11}
	if err := decode(body, &q); err != nil {
		return nil, err
	}
	var err error
	if q.RegistryType, err = registryTypeOf(q.RegistryType); err != nil {
		return nil, err
	}
	q.RegistryURI = strings.TrimSpace(q.RegistryURI)
	if q.RegistryURI == "" {
		return nil, tidewaiter.Invalid("registryUri", "the URL of the registry is missing").WithFix("write it as https://host[:port]")
	}
	address, err := tidewaiter.ParseRegistryURL(q.RegistryURI)
	if err != nil {
		return nil, named("registryUri", err)
	}
	if q.CredentialType, err = credentialTypeOf(q.CredentialType, q.RegistryType); err != nil {
		return nil, err
	}
	if optional := v11 || exists || q.RegistryUUID != ""; optional && q.RegistryName == "" {
		return &q, q.checkParts(address)
	}
	if !registryName.MatchString(q.RegistryName) {
		return nil, badName(q.RegistryName)
	}
	return &q, q.checkParts(address)
}

func badName(name string) error {
	why := "holds a character that is not allowed"
	switch {
	case name == "":
		why = "is missing"
	case len(name) > maxNameLength:
		why = "is longer than 63 characters"
	}
	return tidewaiter.Invalid("registryName", "the name %s", why).WithFix("use 1 to 63 letters, digits, -, _ or .")
}

// named says that an error of the domain is about a field of the request.
func named(field string, err error) error {
	if e, ok := errors.AsType[*tidewaiter.Error](err); ok {
		renamed := *e
		renamed.Field = field
		return &renamed
	}
	return err
}

// checkParts checks what belongs to one registry type. address is registryUri as ParseRegistryURL returns it.
func (q *registryRequest) checkParts(address string) error {
	if q.DockerHubOrgName != "" {
		switch {
		case q.RegistryType != typeDockerHub:
			return tidewaiter.Invalid("dockerHubOrgName", "an organization goes with registry type DockerHub only")
		case !organization.MatchString(q.DockerHubOrgName):
			return tidewaiter.Invalid("dockerHubOrgName", "the name of the organization holds a character that is not allowed")
		}
	}
	if q.token() != "" && q.RegistryType != typePrivate && q.RegistryType != typeV2 && q.RegistryType != typeDockerHub {
		return tidewaiter.Invalid("accessToken", "it goes with registry type V2_PRIVATE only")
	}
	switch q.RegistryType {
	case typeDockerHub:
		if address != tidewaiter.DockerHubURL {
			return tidewaiter.Invalid("registryUri", "this is not Docker Hub").WithFix("use https://registry-1.docker.io or type V2_PRIVATE")
		}
	case typeAWS:
		return q.checkAWS()
	case typeAzure:
		if q.ACR == nil || q.ACR.ConnectorID == "" {
			return missing("acrRequest.connectorId")
		}
	case typeGCP:
		return q.checkGCP()
	case typeGAR:
		return q.checkGAR()
	}
	return nil
}

func missing(field string) error { return tidewaiter.Invalid(field, "it is mandatory") }

// part is a field of a block and what it holds.
type part struct{ name, value string }

// firstEmpty returns an error for the first part of a block without a value.
func firstEmpty(block string, parts ...part) error {
	for _, p := range parts {
		if strings.TrimSpace(p.value) == "" {
			return missing(block + "." + p.name)
		}
	}
	return nil
}

var (
	awsAccount = regexp.MustCompile(`^[0-9]{12}$`)
	awsARN     = regexp.MustCompile(`^arn:aws[a-z-]*:iam::([0-9]{12}):role/[\w+=,.@/-]{1,576}$`)
	awsRegion  = regexp.MustCompile(`^[a-z]{2}(-[a-z]+)+-[0-9]$`)
	project    = regexp.MustCompile(`^[a-z0-9.:-]{1,63}$`)
	location   = regexp.MustCompile(`^[a-z0-9-]{1,40}$`)
	repository = regexp.MustCompile(`^[a-z0-9._-]{1,128}$`)
)

// checkAWS checks the AWS block. Qualys: accountId, arn and region are required; an account of type US_Gov needs a GovCloud
// region. Ours: Global is meant when the type is missing.
func (q *registryRequest) checkAWS() error {
	if q.AWS == nil {
		return missing("aws")
	}
	a := q.AWS
	if err := firstEmpty("aws", part{"accountId", a.AccountID}, part{"arn", a.ARN}, part{"region", a.Region}); err != nil {
		return err
	}
	switch {
	case !awsAccount.MatchString(a.AccountID):
		return tidewaiter.Invalid("aws.accountId", "it is not an account id").WithFix("12 digits")
	case !awsARN.MatchString(a.ARN):
		return tidewaiter.Invalid("aws.arn", "it is not the ARN of a role").WithFix("arn:aws:iam::<account>:role/<name>")
	case !awsRegion.MatchString(a.Region):
		return tidewaiter.Invalid("aws.region", "it is not a region").WithFix("for example us-east-2")
	}
	gov := strings.HasPrefix(a.Region, "us-gov-")
	switch a.AccountType {
	case "", "Global":
		if a.AccountType = "Global"; gov {
			return tidewaiter.Invalid("aws.accountType", "a GovCloud region needs account type US_Gov")
		}
	case "US_Gov":
		if !gov {
			return tidewaiter.Invalid("aws.region", "account type US_Gov needs a GovCloud region").WithFix("us-gov-east-1 or us-gov-west-1")
		}
	default:
		return tidewaiter.Invalid("aws.accountType", "unknown account type %q", cut(a.AccountType, 40)).WithFix("Global or US_Gov")
	}
	return nil
}

func (q *registryRequest) checkGCP() error {
	if q.GCP == nil {
		return missing("gcpRequest")
	}
	g := q.GCP
	if err := firstEmpty("gcpRequest", part{"connectorId", g.ConnectorID}, part{"location", g.Location}, part{"projectId", g.ProjectID}); err != nil {
		return err
	}
	if !project.MatchString(g.ProjectID) {
		return tidewaiter.Invalid("gcpRequest.projectId", "it is not the id of a project")
	}
	if !location.MatchString(g.Location) {
		return tidewaiter.Invalid("gcpRequest.location", "it is not a location").WithFix("for example us")
	}
	return nil
}

// checkGAR checks the Artifact Registry block. Qualys: registry is required from v1.2 on; without it all repositories of the
// project count.
func (q *registryRequest) checkGAR() error {
	if q.GCAR == nil {
		return missing("gcarRequest")
	}
	g := q.GCAR
	if err := firstEmpty("gcarRequest", part{"connectorId", g.ConnectorID}, part{"projectId", g.ProjectID}); err != nil {
		return err
	}
	if g.Registry == "" && !q.v11 {
		return missing("gcarRequest.registry")
	}
	if !project.MatchString(g.ProjectID) {
		return tidewaiter.Invalid("gcarRequest.projectId", "it is not the id of a project")
	}
	if g.Registry != "" && !repository.MatchString(g.Registry) {
		return tidewaiter.Invalid("gcarRequest.registry", "it is not the name of a repository")
	}
	return nil
}

// token returns the access token, wherever it stands.
func (q *registryRequest) token() string {
	if q.AccessToken == "" && q.Credential != nil {
		return q.Credential.AccessToken
	}
	return q.AccessToken
}

// fromBase64 reads a user name or password. Qualys: "It must be in base64 format". With or without padding, in either
// alphabet.
func fromBase64(field, text string) (string, error) {
	text = strings.TrimRight(strings.TrimSpace(text), "=")
	b, err := base64.RawStdEncoding.DecodeString(text)
	if err != nil {
		b, err = base64.RawURLEncoding.DecodeString(text)
	}
	if err != nil || !utf8.Valid(b) || bytes.ContainsAny(b, "\r\n\x00") {
		return "", tidewaiter.Invalid(field, "it is not in base64").WithFix("encode it, without a line break")
	}
	return string(b), nil
}
