package qualys

import (
	"regexp"
	"strings"

	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// The registry types as they are on the wire.
const (
	typeAWS       = "AWS"
	typeAzure     = "Azure"
	typeGCP       = "GCP"
	typeGAR       = "GOOGLE_ARTIFACT_REGISTRY"
	typeDockerHub = "DockerHub"
	typeV2        = "V2"
	typePrivate   = "V2_PRIVATE"
)

// kinds pairs Qualys' registry types with kinds and with the credential types that go with them. The first line of a type
// is what it means, the first line of a kind how it is shown.
var kinds = []struct {
	name        string
	labels      string // how the documentation's tables spell it, accepted as well
	kind        tidewaiter.RegistryKind
	credentials string // credentialType values, the first is meant when there is none
	provider    bool   // shown as providerType, which only these two have
}{
	{typeAWS, "AWS ECR", tidewaiter.KindECR, "AWS", true},
	{typeAzure, "ACR", tidewaiter.KindACR, "Azure None", false},
	{typeGAR, "GCAR", tidewaiter.KindGAR, "GCP None", false},
	{typeGCP, "GCR", tidewaiter.KindGAR, "GCP None", false},
	{typeDockerHub, "Docker Hub", tidewaiter.KindDockerHub, "DockerHub BasicAuth Token None", true},
	{typeV2, "Docker V2", tidewaiter.KindOCI, "None BasicAuth Token", false},
	{typePrivate, "Docker V2-Private", tidewaiter.KindOCI, "BasicAuth Token None", false},
	{typePrivate, "", tidewaiter.KindArtifactory, "Token BasicAuth None", false}, // the vendor has no types for the others
}

// logins pairs Qualys' credential types with kinds of credentials, those of connectors included.
var logins = []struct {
	name string
	kind tidewaiter.CredentialKind
}{
	{"None", ""},
	{"Token", tidewaiter.CredentialToken},
	{"BasicAuth", tidewaiter.CredentialBasic},
	{"DockerHub", tidewaiter.CredentialBasic},
	{"AWS", tidewaiter.CredentialAWS},
	{"GCP", tidewaiter.CredentialGCP},
	{"Azure", tidewaiter.CredentialAzure},
	{"Oauth", tidewaiter.CredentialToken}, // in documents of the vendor, with no registry type
}

// connectorKind returns the kind of credential a connector of a registry type holds.
func connectorKind(registryType string) tidewaiter.CredentialKind {
	for _, k := range kinds {
		for _, l := range logins {
			if name, _, _ := strings.Cut(k.credentials, " "); k.name == registryType && l.name == name {
				return l.kind
			}
		}
	}
	return ""
}

const knownTypes = "one of AWS, Azure, GCP, DockerHub, V2, V2_PRIVATE, GOOGLE_ARTIFACT_REGISTRY"

// registryTypeOf reads a registry type in any case, as the wire or as the documentation spells it.
func registryTypeOf(text string) (string, error) {
	text = strings.TrimSpace(text)
	if text == "" {
		return "", tidewaiter.Invalid("registryType", "the registry type is missing").WithFix(knownTypes)
	}
	for _, k := range kinds {
		if strings.EqualFold(k.name, text) || k.labels != "" && strings.EqualFold(k.labels, text) {
			return k.name, nil
		}
	}
	return "", tidewaiter.Invalid("registryType", "unknown registry type %q", cut(text, 40)).WithFix(knownTypes)
}

// kindOf returns the kind of registry a type means.
func kindOf(registryType string) tidewaiter.RegistryKind {
	for _, k := range kinds {
		if k.name == registryType {
			return k.kind
		}
	}
	return tidewaiter.KindOCI
}

// typeOf returns how a registry that was declared elsewhere is shown.
func typeOf(r *tidewaiter.Registry) string {
	if r.Kind == tidewaiter.KindGAR && strings.HasSuffix(r.Host(), "gcr.io") {
		return typeGCP
	}
	if r.Kind == tidewaiter.KindOCI && r.CredentialID == "" {
		return typeV2
	}
	for _, k := range kinds {
		if k.kind == r.Kind && k.name != typeV2 {
			return k.name
		}
	}
	return typePrivate
}

// providerOf returns the providerType of a registry type. Qualys: DockerHub and AWS; null otherwise, for old clients know no
// other.
func providerOf(registryType string) *string {
	for _, k := range kinds {
		if k.name == registryType && k.provider {
			return &registryType
		}
	}
	return nil
}

// credentialTypeOf reads a credential type, in any case. "" stays "".
func credentialTypeOf(text, registryType string) (string, error) {
	text = strings.TrimSpace(text)
	if text == "" {
		return "", nil
	}
	var allowed []string
	for _, k := range kinds {
		if k.name == registryType {
			allowed = strings.Fields(k.credentials)
			break
		}
	}
	for _, name := range allowed {
		if strings.EqualFold(name, text) {
			return name, nil
		}
	}
	for _, l := range logins {
		if strings.EqualFold(l.name, text) {
			return "", tidewaiter.Invalid("credentialType", "%s does not go with registry type %s", l.name, registryType).
				WithFix("one of %s", strings.Join(allowed, ", "))
		}
	}
	return "", tidewaiter.Invalid("credentialType", "unknown type %q", cut(text, 40)).WithFix("one of %s", strings.Join(allowed, ", "))
}

// hosts are where the cloud providers' registries are. A connector's secret is sent to these only, whatever address somebody
// gives a registry that uses it.
var hosts = map[string]*regexp.Regexp{
	typeAWS:   regexp.MustCompile(`^https://[0-9]{12}\.dkr[.-]ecr(-fips)?\.[a-z0-9-]+\.(amazonaws\.com|amazonaws\.com\.cn|on\.aws)$`),
	typeAzure: regexp.MustCompile(`^https://[a-z0-9-]+(\.[a-z0-9-]+)?\.azurecr\.(io|cn|us)$`),
	typeGCP:   regexp.MustCompile(`^https://([a-z0-9-]+\.)?gcr\.io$`),
	typeGAR:   regexp.MustCompile(`^https://[a-z0-9-]+-docker\.pkg\.dev$`),
}

// hostGoesWith reports whether an address as ParseRegistryURL returns it can be one of a registry type.
func hostGoesWith(registryType, address string) bool {
	host := hosts[registryType]
	return host == nil || host.MatchString(address)
}
