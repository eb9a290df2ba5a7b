package emulator_test

import (
	"context"
	"encoding/base64"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/credentials/stscreds"
	"github.com/aws/aws-sdk-go-v2/service/ecr"
	"github.com/aws/aws-sdk-go-v2/service/ecr/types"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/smithy-go"

	"github.com/tidewaiter/tidewaiter/emulator"
)

func staticKeys(l emulator.Login) aws.CredentialsProvider {
	return credentials.NewStaticCredentialsProvider(l.AccessKeyID, l.SecretAccessKey, "")
}

func ecrClient(e *emulator.Emulator, keys aws.CredentialsProvider) *ecr.Client {
	return ecr.New(ecr.Options{Region: e.Login().Region, BaseEndpoint: aws.String(e.Endpoints()["ecr"]), Credentials: keys, RetryMaxAttempts: 1})
}

func stsClient(e *emulator.Emulator, keys aws.CredentialsProvider) *sts.Client {
	return sts.New(sts.Options{Region: e.Login().Region, BaseEndpoint: aws.String(e.Endpoints()["sts"]), Credentials: keys, RetryMaxAttempts: 1})
}

func listECR(t *testing.T, e *emulator.Emulator) fleet {
	c := ecrClient(e, staticKeys(e.Login()))
	f := fleet{}
	repositories := ecr.NewDescribeRepositoriesPaginator(c, &ecr.DescribeRepositoriesInput{MaxResults: aws.Int32(4)})
	for repositories.HasMorePages() {
		page, err := repositories.NextPage(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range page.Repositories {
			images := ecr.NewDescribeImagesPaginator(c, &ecr.DescribeImagesInput{
				RepositoryName: r.RepositoryName, MaxResults: aws.Int32(10), Filter: &types.DescribeImagesFilter{TagStatus: types.TagStatusTagged},
			})
			ordered, last := true, time.Now().AddDate(10, 0, 0)
			for images.HasMorePages() {
				page, err := images.NextPage(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				for _, x := range page.ImageDetails {
					ordered = ordered && !x.ImagePushedAt.After(last)
					last = *x.ImagePushedAt
					for _, tag := range x.ImageTags {
						f.add(*r.RepositoryName, tag, *x.ImageDigest)
					}
				}
			}
			if ordered {
				t.Errorf("images of %s come in the order of time", *r.RepositoryName)
			}
		}
	}
	return f
}

// codeOf is AWS's own code of an error.
func codeOf(err error) string {
	if api, ok := errors.AsType[smithy.APIError](err); ok {
		return api.ErrorCode()
	}
	return ""
}

func TestAWSSignatureIsVerified(t *testing.T) {
	e := start(t, emulator.Options{Kind: emulator.ECR})
	for name, c := range map[string]struct {
		change func(*emulator.Login)
		code   string
	}{
		"wrong secret":   {func(l *emulator.Login) { l.SecretAccessKey += "x" }, "InvalidSignatureException"},
		"unknown key":    {func(l *emulator.Login) { l.AccessKeyID = "AKIAUNKNOWN" }, "UnrecognizedClientException"},
		"right as it is": {func(*emulator.Login) {}, ""},
	} {
		l := e.Login()
		c.change(&l)
		_, err := ecrClient(e, staticKeys(l)).DescribeRepositories(t.Context(), nil)
		if codeOf(err) != c.code || (err == nil) != (c.code == "") {
			t.Errorf("%s: %v", name, err)
		}
	}
	_, err := ecr.New(ecr.Options{Region: "us-east-1", BaseEndpoint: aws.String(e.API), Credentials: staticKeys(e.Login()), RetryMaxAttempts: 1}).
		DescribeRepositories(t.Context(), nil)
	if codeOf(err) != "InvalidSignatureException" {
		t.Errorf("another region: %v", err)
	}
	late := start(t, emulator.Options{Kind: emulator.ECR, Now: func() time.Time { return time.Now().Add(10 * time.Minute) }})
	if _, err := ecrClient(late, staticKeys(late.Login())).DescribeRepositories(t.Context(), nil); codeOf(err) != "InvalidSignatureException" {
		t.Errorf("ten minutes off: %v", err)
	}
	if _, err := ecrClient(e, staticKeys(e.Login())).DescribeRepositories(t.Context(), &ecr.DescribeRepositoriesInput{MaxResults: aws.Int32(1001)}); codeOf(err) != "InvalidParameterException" {
		t.Errorf("a page of 1001: %v", err)
	}
}

func TestAssumeRoleWantsRoleAndExternalID(t *testing.T) {
	now := time.Now()
	clock := func() time.Time { return now }
	e := start(t, emulator.Options{Kind: emulator.ECR, RequireRole: true, Now: clock, Login: emulator.Login{
		RoleARN: "arn:aws-us-gov:iam::123456789012:role/reader", ExternalID: "e-1", Region: "us-gov-west-1",
	}})
	assume := func(arn, external string) *ecr.Client {
		return ecrClient(e, stscreds.NewAssumeRoleProvider(stsClient(e, staticKeys(e.Login())), arn, func(o *stscreds.AssumeRoleOptions) {
			o.ExternalID = aws.String(external)
		}))
	}
	arn := e.Login().RoleARN
	if out, err := assume(arn, "e-1").DescribeRepositories(t.Context(), nil); err != nil || len(out.Repositories) != 9 {
		t.Errorf("%v, %v", out, err)
	}
	for name, c := range map[string]*ecr.Client{"external id": assume(arn, "e-2"), "role": assume(arn+"x", "e-1")} {
		if _, err := c.DescribeRepositories(t.Context(), nil); codeOf(err) != "AccessDenied" {
			t.Errorf("another %s: %v", name, err)
		}
	}
	if _, err := ecrClient(e, staticKeys(e.Login())).DescribeRepositories(t.Context(), nil); codeOf(err) != "AccessDeniedException" {
		t.Errorf("without the role: %v", err)
	}
	temporary, err := stscreds.NewAssumeRoleProvider(stsClient(e, staticKeys(e.Login())), arn, func(o *stscreds.AssumeRoleOptions) {
		o.ExternalID = aws.String("e-1")
	}).Retrieve(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	keys := credentials.StaticCredentialsProvider{Value: aws.Credentials{
		AccessKeyID: temporary.AccessKeyID, SecretAccessKey: temporary.SecretAccessKey, SessionToken: temporary.SessionToken,
	}}
	who, err := stsClient(e, keys).GetCallerIdentity(t.Context(), nil)
	if err != nil || *who.Account != "123456789012" || *who.Arn != arn {
		t.Errorf("%v, %v", who, err)
	}
	e.ExpireTokens()
	if _, err := ecrClient(e, keys).DescribeRepositories(t.Context(), nil); codeOf(err) != "UnrecognizedClientException" {
		t.Errorf("after the keys were withdrawn: %v", err)
	}
}

func TestECRPasswordOpensTheRegistry(t *testing.T) {
	e := start(t, emulator.Options{Kind: emulator.ECR, ClaimedExpiry: time.Date(2015, 1, 1, 0, 0, 0, 0, time.UTC)})
	password := ecrPassword(t, e)
	if _, status := registryToken(t, e, e.URL+"/v2/acme/app-00000/tags/list", "AWS", password); status != 200 {
		t.Errorf("status %d", status)
	}
	if _, status := registryToken(t, e, e.URL+"/v2/acme/app-00000/tags/list", "AWS", password+"x"); status != 401 {
		t.Errorf("status %d with another password", status)
	}
	out, err := ecrClient(e, staticKeys(e.Login())).GetAuthorizationToken(t.Context(), nil)
	if err != nil || out.AuthorizationData[0].ExpiresAt.Year() != 2015 {
		t.Errorf("%v, %v", out, err)
	}
}

func ecrPassword(t *testing.T, e *emulator.Emulator) string {
	t.Helper()
	out, err := ecrClient(e, staticKeys(e.Login())).GetAuthorizationToken(context.WithoutCancel(t.Context()), nil)
	if err != nil {
		t.Fatal(err)
	}
	b, err := base64.StdEncoding.DecodeString(*out.AuthorizationData[0].AuthorizationToken)
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimPrefix(string(b), "AWS:")
}
