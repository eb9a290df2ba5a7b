package qualys

import (
	"context"

	"github.com/tidewaiter/tidewaiter/internal/control"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// registrySummary is what a list entry and the details of a registry have in common.
type registrySummary struct {
	RegistryUUID          string         `json:"registryUuid"`
	RegistryName          string         `json:"registryName"`
	RegistryURI           string         `json:"registryUri"`
	RegistryType          string         `json:"registryType"`
	RepoCount             int            `json:"repoCount"`
	TotalImages           int            `json:"totalImages"`
	TotalScannedImages    int            `json:"totalScannedImages"`
	TotalVulnerableImages int            `json:"totalVulnerableImages"`
	ScheduleStatusList    map[string]int `json:"scheduleStatusList"` // how many schedules have which status; {} when there are none
	Created               millis         `json:"created"`
	Updated               millis         `json:"updated"`
	LastScanned           millis         `json:"lastScanned"`
	DockerHubOrg          *string        `json:"dockerHubOrg"`
	ProviderType          *string        `json:"providerType"`
}

// listedRegistry is Qualys' Registry: an entry of a list.
type listedRegistry struct {
	registrySummary
	AWSAccountID *string `json:"awsAccountId"`
	AWSRegion    *string `json:"awsRegion"`
}

// registryDetails is Qualys' RegistryDetails. What does not apply is null, but for credential, which is always an object.
type registryDetails struct {
	registrySummary
	AWS        *shownAWS       `json:"aws"`
	Credential shownCredential `json:"credential"`
	Connectors []shownAWSRole  `json:"connectors"`
	GCAR       *shownGCAR      `json:"gcar"`
	GCP        *shownGCP       `json:"gcp"`
	ACR        *acrConnector   `json:"acr"`
}

// shownCredential never holds a password.
type shownCredential struct {
	Username *string `json:"username"`
}

type shownAWS struct {
	AccountID   string `json:"accountId"`
	ARN         string `json:"arn"`
	Name        string `json:"name"`
	Description string `json:"description"`
	Region      string `json:"region"`
	AccountType string `json:"accountType"` // ours
}

// shownAWSRole is Qualys' AwsConnector.
type shownAWSRole struct {
	Name        string `json:"name"`
	Description string `json:"description"`
	ARN         string `json:"arn"`
}

type shownGCAR struct {
	gcpConnector
	GCPRegistry string `json:"gcpRegistry"`
}

type shownGCP struct {
	gcpConnector
	Location string `json:"location"`
}

// gcpConnector is Qualys' GcpConnector.
type gcpConnector struct {
	Name           string `json:"name"`
	Description    string `json:"description"`
	GCPConnectorID string `json:"gcpConnectorId"`
	GCPProjectID   string `json:"gcpProjectId"`
}

// acrConnector is Qualys' AcrConnector.
type acrConnector struct {
	Name           string `json:"name"`
	Description    string `json:"description"`
	ACRConnectorID string `json:"acrConnectorId"`
	ApplicationID  string `json:"applicationId"` // ours: one client compares it
}

// summaries describes registries with their roll-ups, in their order.
func (s *server) summaries(ctx context.Context, registries []*tidewaiter.Registry) ([]registrySummary, []declared, error) {
	ids := make([]string, len(registries))
	for i, r := range registries {
		ids[i] = r.ID
	}
	if len(ids) == 0 {
		return nil, nil, nil
	}
	totals, err := s.control.RegistryTotals(ctx, ids)
	if err != nil {
		return nil, nil, err
	}
	counts, err := s.control.ScheduleCounts(ctx, ids)
	if err != nil {
		return nil, nil, err
	}
	out, kept := make([]registrySummary, len(ids)), make([]declared, len(ids))
	for i, r := range registries {
		if kept[i], err = declaredOf(r); err != nil {
			return nil, nil, err
		}
		out[i] = summaryOf(r, kept[i], totals[r.ID], statusList(counts[r.ID]))
	}
	return out, kept, nil
}

func summaryOf(r *tidewaiter.Registry, d declared, totals control.Totals, status map[string]int) registrySummary {
	return registrySummary{
		RegistryUUID: r.ID, RegistryName: nameOf(r), RegistryURI: d.RegistryURI, RegistryType: d.RegistryType,
		RepoCount: totals.Repositories, TotalImages: totals.Images, TotalScannedImages: totals.Scanned,
		TotalVulnerableImages: totals.Vulnerable, ScheduleStatusList: status, Created: millis{r.CreatedAt},
		Updated: millis{r.UpdatedAt}, LastScanned: millis{totals.LastScanned}, DockerHubOrg: orNull(d.DockerHubOrg),
		ProviderType: providerOf(d.RegistryType),
	}
}

// nameOf returns a registry's name; one declared where names are not asked for goes by its host.
func nameOf(r *tidewaiter.Registry) string {
	if r.Name == "" {
		return r.Host()
	}
	return r.Name
}

func listed(summary registrySummary, d declared) listedRegistry {
	out := listedRegistry{registrySummary: summary}
	if d.AWS != nil {
		out.AWSAccountID, out.AWSRegion = &d.AWS.AccountID, &d.AWS.Region
	}
	return out
}

// details describes one registry in full.
func (s *server) details(ctx context.Context, r *tidewaiter.Registry) (*registryDetails, error) {
	summaries, kept, err := s.summaries(ctx, []*tidewaiter.Registry{r})
	if err != nil {
		return nil, err
	}
	out := &registryDetails{registrySummary: summaries[0]}
	if r.CredentialID == "" {
		return out, nil
	}
	c, err := s.control.Credential(ctx, r.CredentialID)
	if tidewaiter.KindOf(err) == tidewaiter.ErrNotFound {
		return out, nil
	}
	if err != nil {
		return nil, err
	}
	out.describeLogin(r.CredentialID == r.ID, c, kept[0])
	return out, nil
}

// describeLogin fills in who the registry is logged in to as: a user of its own, or a connector.
func (out *registryDetails) describeLogin(own bool, c *tidewaiter.Credential, d declared) {
	switch {
	case d.AWS != nil:
		role := shownAWSOf(c)
		out.AWS = &shownAWS{AccountID: d.AWS.AccountID, ARN: d.AWS.ARN, Name: role.Name, Description: role.Description,
			Region: d.AWS.Region, AccountType: d.AWS.AccountType}
		out.Connectors = []shownAWSRole{role}
	case d.GCAR != nil:
		out.GCAR = &shownGCAR{gcpConnectorOf(c), d.GCAR.Registry}
		out.GCAR.GCPProjectID = d.GCAR.ProjectID
	case d.GCP != nil:
		out.GCP = &shownGCP{gcpConnectorOf(c), d.GCP.Location}
		out.GCP.GCPProjectID = d.GCP.ProjectID
	case c.Kind == tidewaiter.CredentialAzure && !own:
		connector := acrConnectorOf(c)
		out.ACR = &connector
	default:
		out.Credential.Username = orNull(c.Username)
	}
}

func shownAWSOf(c *tidewaiter.Credential) shownAWSRole {
	return shownAWSRole{Name: c.Name, Description: c.Settings["description"], ARN: c.Settings["roleArn"]}
}

func gcpConnectorOf(c *tidewaiter.Credential) gcpConnector {
	return gcpConnector{Name: c.Name, Description: c.Settings["description"], GCPConnectorID: c.ID, GCPProjectID: c.Settings["projectId"]}
}

func acrConnectorOf(c *tidewaiter.Credential) acrConnector {
	return acrConnector{Name: c.Name, Description: c.Settings["description"], ACRConnectorID: c.ID, ApplicationID: c.Username}
}
