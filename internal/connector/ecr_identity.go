package connector

import (
	"context"
	"errors"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/credentials/stscreds"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/smithy-go"

	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// awsIdentity says who asks: access keys, or the machine's own identity, and the roles assumed from there. Nothing is
// asked before it is needed.
func (o *opening) awsIdentity(region string) (aws.CredentialsProvider, error) {
	roles := o.settings("roleArn")
	var base aws.CredentialsProvider
	switch {
	case o.credential.Settings["useAWSRole"] == "true":
		base = aws.NewCredentialsCache(machineIdentity(region))
	case o.username() != "" && !o.secret.IsZero():
		base = credentials.NewStaticCredentialsProvider(o.username(), o.secret.Reveal(), "")
	default:
		return nil, tidewaiter.Invalid("credential.secret", "an aws credential needs an access key ID and its secret").
			WithFix("or set useAWSRole to use the identity of the machine this runs on")
	}
	for _, role := range roles {
		arn, err := o.roleARN(role, region)
		if err != nil {
			return nil, err
		}
		if base, err = o.assume(base, arn, region); err != nil {
			return nil, err
		}
	}
	return base, nil
}

// roleARN completes the name of a role to its ARN in the account of the registry and the partition of its region.
func (o *opening) roleARN(role, region string) (string, error) {
	if strings.HasPrefix(role, "arn:") {
		return role, nil
	}
	place, err := o.ecrPlace()
	if err != nil || place.account == "" {
		return "", tidewaiter.Invalid("credential.roleArn", "%q is not the ARN of a role", role).WithFix("write it as arn:aws:iam::account:role/name")
	}
	return "arn:" + awsPartition(region) + ":iam::" + place.account + ":role/" + role, nil
}

// awsPartition returns the partition a region belongs to. AWS: "Amazon Resource Names".
func awsPartition(region string) string {
	for _, p := range []struct{ prefix, partition string }{
		{"cn-", "aws-cn"}, {"us-gov-", "aws-us-gov"}, {"us-isob-", "aws-iso-b"}, {"us-isof-", "aws-iso-f"}, {"eu-isoe-", "aws-iso-e"},
		{"us-iso-", "aws-iso"},
	} {
		if strings.HasPrefix(region, p.prefix) {
			return p.partition
		}
	}
	return "aws"
}

func (o *opening) assume(from aws.CredentialsProvider, arn, region string) (aws.CredentialsProvider, error) {
	options := sts.Options{Region: region, Credentials: from, Retryer: aws.NopRetryer{}}
	base := o.base("sts", "")
	if base == "" {
		if addresses := o.settings("stsEndpoints"); len(addresses) > 0 {
			base = addresses[0]
			if !strings.Contains(base, "://") {
				base = "https://" + base
			}
		}
	}
	if base != "" {
		options.BaseEndpoint = aws.String(base)
	}
	a, err := o.api("https://sts."+region+".amazonaws.com", false) // for its client: the SDK knows the addresses
	if err != nil {
		return nil, err
	}
	options.HTTPClient = a.client
	provider := stscreds.NewAssumeRoleProvider(sts.New(options), arn, func(p *stscreds.AssumeRoleOptions) {
		p.RoleSessionName = "tidewaiter"
		if id := o.setting("externalId"); id != "" {
			p.ExternalID = aws.String(id)
		}
	})
	return aws.NewCredentialsCache(provider), nil
}

// machineIdentity is AWS's default chain: environment, web identity, pod and task roles, instance role. The SDK asks the
// metadata services itself: they are at addresses no registry may have.
func machineIdentity(region string) aws.CredentialsProvider {
	return aws.CredentialsProviderFunc(func(ctx context.Context) (aws.Credentials, error) {
		cfg, err := config.LoadDefaultConfig(ctx, config.WithRegion(region))
		if err != nil {
			return aws.Credentials{}, err
		}
		return cfg.Credentials.Retrieve(ctx)
	})
}

// awsLoginError says why no identity could be had.
func awsLoginError(err error) error {
	if e, ok := errors.AsType[*tidewaiter.Error](err); ok {
		return e
	}
	if api, ok := errors.AsType[smithy.APIError](err); ok {
		if e := awsError(api.ErrorCode(), api.ErrorMessage()); e != nil {
			return e
		}
	}
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return tidewaiter.Errorf(tidewaiter.ErrTransient, "AWS gave no identity in time: %w", context.DeadlineExceeded)
	}
	return tidewaiter.Errorf(tidewaiter.ErrAuth, "there is no AWS identity to use").
		WithFix("give an access key, or run where the environment, a pod, task or instance role provides one")
}
