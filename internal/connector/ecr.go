package connector

import (
	"context"
	"encoding/base64"
	"regexp"
	"strings"
	"time"

	"github.com/tidewaiter/tidewaiter/internal/oci"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

func ecrKind() kind {
	role := []Field{
		{Key: "roleArn", Title: "Role to assume; several with commas are assumed one after the other"},
		{Key: "externalId", Title: "External ID the role asks for"},
	}
	return kind{
		Capabilities: Capabilities{
			Kind: tidewaiter.KindECR, Title: "Amazon ECR", URLPattern: ecrHost.String(),
			URLExample: "https://123456789012.dkr.ecr.eu-central-1.amazonaws.com", Anonymous: true, // ECR Public
			Credentials: []CredentialForm{
				{Kind: tidewaiter.CredentialAWS, Title: "Access key", Fields: append([]Field{
					{Key: "username", Title: "Access key ID", Required: true},
					{Key: "secret", Title: "Secret access key", Secret: true, Required: true},
				}, role...)},
				{Kind: tidewaiter.CredentialAWS, Title: "Role of the machine this runs on", Fields: append([]Field{
					{Key: "useAWSRole", Title: "Use the role of the machine, pod or task", Required: true, Values: []string{"true"}},
				}, role...)},
				basicForm("A password from get-login-password, which lives 12 hours"),
			},
			Settings: []Field{
				{Key: "region", Title: "Region; empty is the one in the address"},
				{Key: "accountId", Title: "Account; empty is the one in the address"},
				{Key: "stsEndpoints", Title: "Address of the STS to assume roles with; empty is the region's"},
			},
			Repositories: ListingNative, Tags: ListingNative, Needs: "an aws credential; tags of ECR Public come from the distribution API",
			DigestInListing: true, TimeInListing: TimePushed, PushEvents: []string{"webhook", "queue"}, TokenLife: 12 * time.Hour,
		},
		open: openECR,
	}
}

// ecrHost is where AWS's registries are: account, FIPS, region and the partition's domain.
var ecrHost = regexp.MustCompile(`^https://([0-9]{12})\.dkr[.-]ecr(-fips)?\.([a-z0-9-]+)\.(amazonaws\.com|amazonaws\.com\.cn|on\.aws|on\.amazonwebservices\.com\.cn|c2s\.ic\.gov|sc2s\.sgov\.gov|cloud\.adc-e\.uk|csp\.hci\.ic\.gov)$`)

const ecrPublic = "public.ecr.aws"

func openECR(o *opening) (*connection, error) {
	place, err := o.ecrPlace()
	if err != nil {
		return nil, err
	}
	if o.kind() != tidewaiter.CredentialAWS {
		return &connection{endpoint: o.endpoint(o.login()), list: place.unlisted}, nil
	}
	identity, err := o.awsIdentity(place.region)
	if err != nil {
		return nil, err
	}
	calls, err := o.awsCalls(identity, place)
	if err != nil {
		return nil, err
	}
	password := keep(o.client.Now, calls.password)
	conn := &connection{endpoint: o.endpoint(func(ctx context.Context, _ string) (oci.Credential, error) { return password.get(ctx) })}
	conn.endpoint.Refused = password.drop
	conn.list = func(r *oci.Registry) lister {
		if place.public {
			return &ecrPublicRegistry{distribution{r}, calls}
		}
		return &ecr{calls}
	}
	return conn, nil
}

// ecrPlace is what an ECR registry's address says.
type ecrPlace struct {
	account, region string
	api             string // base URL
	public          bool
}

func (o *opening) ecrPlace() (ecrPlace, error) {
	p := ecrPlace{account: o.setting("accountId"), region: o.setting("region")}
	if o.address().Host == ecrPublic {
		p.public, p.region = true, "us-east-1" // AWS: the only region ECR Public's API is in
		p.api = o.base("ecr-public", "https://api.ecr-public.us-east-1.amazonaws.com")
		return p, nil
	}
	m := ecrHost.FindStringSubmatch(o.root())
	switch {
	case m != nil:
		if p.account == "" {
			p.account = m[1]
		}
		p.region = m[3] // an address leads to one region whatever else is said
		api := "https://api.ecr."
		if m[2] != "" {
			api = "https://ecr-fips."
		}
		domain := map[string]string{"on.aws": "amazonaws.com", "on.amazonwebservices.com.cn": "amazonaws.com.cn"}[m[4]]
		if domain == "" {
			domain = m[4]
		}
		p.api = o.base("ecr", api+p.region+"."+domain)
	case o.replaced("ecr"):
		p.api = o.base("ecr", "")
		if p.region == "" {
			p.region = "us-east-1"
		}
	default:
		return p, tidewaiter.Invalid("url", "%s is not the address of an ECR registry", o.root()).
			WithFix("write it as https://account.dkr.ecr.region.amazonaws.com, or https://%s", ecrPublic)
	}
	return p, nil
}

// unlisted lists without an AWS credential: tags alone.
func (ecrPlace) unlisted(r *oci.Registry) lister { return distribution{r} }

// ecr lists a private registry by AWS's own API: a thousand repositories, or images with all their tags, at once.
type ecr struct{ calls *ecrCalls }

func (e *ecr) repositories(ctx context.Context, cursor string) ([]string, string, error) {
	page, err := e.calls.describeRepositories(ctx, cursor)
	names := make([]string, len(page.Repositories))
	for i, r := range page.Repositories {
		names[i] = r.Name
	}
	return names, page.Next, err
}

func (e *ecr) tags(ctx context.Context, repository, cursor string) ([]tidewaiter.ListedTag, string, error) {
	page, err := e.calls.describeImages(ctx, repository, cursor)
	var tags []tidewaiter.ListedTag
	for _, image := range page.Images {
		for _, tag := range image.Tags {
			tags = append(tags, tidewaiter.ListedTag{
				Name: tag, Digest: image.Digest, UpdatedAt: image.Pushed.Time, MediaType: image.MediaType,
			})
		}
	}
	return tags, page.Next, err
}

// ecrPublicRegistry lists the account's own repositories of ECR Public. Tags come from the distribution API: AWS's own
// knows repositories by names without alias, and another alias's repository may have the same.
type ecrPublicRegistry struct {
	distribution

	calls *ecrCalls
}

func (e *ecrPublicRegistry) repositories(ctx context.Context, cursor string) ([]string, string, error) {
	page, err := e.calls.describeRepositories(ctx, cursor)
	names := make([]string, len(page.Repositories))
	for i, r := range page.Repositories {
		names[i] = afterHost(r.URI)
	}
	return names, page.Next, err
}

// ecrPassword reads the token both services give out: user and password in base64.
func ecrPassword(token string) (oci.Credential, error) {
	raw, err := base64.StdEncoding.DecodeString(token)
	user, password, ok := strings.Cut(string(raw), ":")
	if err != nil || !ok || password == "" {
		return oci.Credential{}, tidewaiter.Errorf(tidewaiter.ErrMalformed, "AWS answered without a usable authorization token")
	}
	return oci.Credential{Username: user, Password: password}, nil
}
