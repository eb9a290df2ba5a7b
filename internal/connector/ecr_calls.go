package connector

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"

	"github.com/tidewaiter/tidewaiter/internal/oci"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// ecrCalls calls the APIs of ECR and ECR Public, which speak AWS's JSON protocol 1.1 with requests signed by Signature
// Version 4.
type ecrCalls struct {
	api   *api
	place ecrPlace
}

const maxPageAWS = 1000

type ecrRepositories struct {
	Next         string `json:"nextToken"`
	Repositories []struct {
		Name string `json:"repositoryName"`
		URI  string `json:"repositoryUri"`
	} `json:"repositories"`
}

type ecrImages struct {
	Next   string `json:"nextToken"`
	Images []struct {
		Digest    string    `json:"imageDigest"`
		Tags      []string  `json:"imageTags"`
		Pushed    looseTime `json:"imagePushedAt"`
		MediaType string    `json:"imageManifestMediaType"`
	} `json:"imageDetails"`
}

func (o *opening) awsCalls(identity aws.CredentialsProvider, place ecrPlace) (*ecrCalls, error) {
	service := "ecr"
	if place.public {
		service = "ecr-public"
	}
	return o.awsCallsOf(identity, place, service)
}

// awsCallsOf makes calls to a service that speaks AWS's JSON protocol.
func (o *opening) awsCallsOf(identity aws.CredentialsProvider, place ecrPlace, service string) (*ecrCalls, error) {
	a, err := o.wrappedAPI(place.api, false, throttled)
	if err != nil {
		return nil, err
	}
	signer := v4.NewSigner()
	a.explain = explainAWS
	a.login = func(ctx context.Context, r *http.Request) error {
		creds, err := identity.Retrieve(ctx)
		if err != nil {
			return awsLoginError(err)
		}
		body, err := r.GetBody()
		if err != nil {
			return err
		}
		sum := sha256.New()
		if _, err := io.Copy(sum, body); err != nil {
			return err
		}
		return signer.SignHTTP(ctx, creds, r, hex.EncodeToString(sum.Sum(nil)), service, place.region, a.now())
	}
	return &ecrCalls{api: a, place: place}, nil
}

// call makes one call; in and out are JSON documents.
func (c *ecrCalls) call(ctx context.Context, operation string, in map[string]any, out any) error {
	prefix := "AmazonEC2ContainerRegistry_V20150921."
	if c.place.public {
		prefix = "SpencerFrontendService."
	}
	body, err := json.Marshal(in)
	if err != nil {
		return err
	}
	_, err = c.api.do(ctx, request{method: http.MethodPost, path: "/", body: body, header: http.Header{
		"Content-Type": {"application/x-amz-json-1.1"}, "X-Amz-Target": {prefix + operation},
	}}, out)
	return err
}

// page holds the parameters every listing has.
func (c *ecrCalls) page(cursor string) map[string]any {
	in := map[string]any{"maxResults": maxPageAWS}
	if cursor != "" {
		in["nextToken"] = cursor
	}
	if c.place.account != "" && !c.place.public {
		in["registryId"] = c.place.account
	}
	return in
}

func (c *ecrCalls) describeRepositories(ctx context.Context, cursor string) (page ecrRepositories, err error) {
	return page, c.call(ctx, "DescribeRepositories", c.page(cursor), &page)
}

// describeImages reads the tagged images of a repository, in no order.
func (c *ecrCalls) describeImages(ctx context.Context, repository, cursor string) (page ecrImages, err error) {
	in := c.page(cursor)
	in["repositoryName"] = repository
	in["filter"] = map[string]string{"tagStatus": "TAGGED"}
	return page, c.call(ctx, "DescribeImages", in, &page)
}

// password gets what to log in to the registry with.
func (c *ecrCalls) password(ctx context.Context) (oci.Credential, time.Time, error) {
	type data struct {
		Token   string    `json:"authorizationToken"`
		Expires looseTime `json:"expiresAt"`
	}
	var answer struct {
		Data json.RawMessage `json:"authorizationData"` // a list, of ECR Public one
	}
	if err := c.call(ctx, "GetAuthorizationToken", map[string]any{}, &answer); err != nil {
		return oci.Credential{}, time.Time{}, oci.Prefix("get a login from AWS", err)
	}
	list := make([]data, 1)
	var err error
	if c.place.public {
		err = json.Unmarshal(answer.Data, &list[0])
	} else {
		err = json.Unmarshal(answer.Data, &list)
	}
	if err != nil || len(list) == 0 {
		return oci.Credential{}, time.Time{}, tidewaiter.Errorf(tidewaiter.ErrMalformed, "AWS answered without an authorization token")
	}
	cred, err := ecrPassword(list[0].Token)
	return cred, list[0].Expires.Time, err
}

// awsType returns the type of an error: of "com.amazonaws.ecr#ThrottlingException:http://…" the middle.
func awsType(body []byte) (name, message string) {
	var doc struct {
		Type    string `json:"__type"`
		Message string `json:"message"`
	}
	if json.Unmarshal(body, &doc) != nil {
		return "", ""
	}
	name = doc.Type[strings.LastIndexByte(doc.Type, '#')+1:]
	name, _, _ = strings.Cut(name, ":")
	return name, oci.CleanText(doc.Message, 300)
}

// awsMeaning gives AWS's error codes their meaning; "" for those that have none of ours.
func awsMeaning(code string) tidewaiter.ErrorKind {
	switch code {
	case "ThrottlingException", "Throttling", "TooManyRequestsException", "RequestLimitExceeded", "LimitExceededException":
		return tidewaiter.ErrLimit
	case "UnrecognizedClientException", "InvalidSignatureException", "InvalidClientTokenId", "SignatureDoesNotMatch", "ExpiredToken",
		"ExpiredTokenException", "IncompleteSignature", "IncompleteSignatureException", "MissingAuthenticationToken",
		"MissingAuthenticationTokenException", "InvalidAccessKeyId", "AuthFailure":
		return tidewaiter.ErrAuth
	case "AccessDenied", "AccessDeniedException", "UnauthorizedOperation", "OptInRequired":
		return tidewaiter.ErrDenied
	case "RepositoryNotFoundException", "RegistryNotFoundException", "ImageNotFoundException", "QueueDoesNotExist",
		"AWS.SimpleQueueService.NonExistentQueue":
		return tidewaiter.ErrGone
	case "ServerException", "InternalFailure", "InternalServerError", "ServiceUnavailable":
		return tidewaiter.ErrTransient
	}
	return ""
}

func awsError(code, message string) *tidewaiter.Error {
	kind := awsMeaning(code)
	if kind == "" {
		return nil
	}
	e := tidewaiter.Errorf(kind, "AWS answers %s: %s", oci.CleanText(code, 64), oci.CleanText(message, 300))
	switch kind {
	case tidewaiter.ErrAuth:
		e.Fix = "check the access key, whether it expired, and this machine's clock"
	case tidewaiter.ErrDenied:
		e.Fix = "allow the identity what AmazonEC2ContainerRegistryReadOnly allows; for a role, check its trust policy and external ID"
	case tidewaiter.ErrLimit:
		e.RetryAfter = time.Second
	}
	return e
}

func explainAWS(status int, _ http.Header, body []byte) error {
	if code, message := awsType(body); status < 500 && status != http.StatusTooManyRequests {
		if e := awsError(code, message); e != nil {
			return e
		}
	}
	return nil
}

// throttled turns AWS's way to ask for fewer requests, a 400 that says so, into the usual 429.
func throttled(next http.RoundTripper) http.RoundTripper { return throttle{next} }

type throttle struct{ next http.RoundTripper }

// RoundTrip implements http.RoundTripper.
func (t throttle) RoundTrip(req *http.Request) (*http.Response, error) {
	resp, err := t.next.RoundTrip(req)
	if err != nil || resp.StatusCode != http.StatusBadRequest {
		return resp, err
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxRefusal))
	resp.Body.Close()
	if err != nil {
		return nil, err
	}
	resp.Body = io.NopCloser(bytes.NewReader(body))
	if code, _ := awsType(body); awsMeaning(code) == tidewaiter.ErrLimit {
		resp.StatusCode = http.StatusTooManyRequests
	}
	return resp, nil
}
