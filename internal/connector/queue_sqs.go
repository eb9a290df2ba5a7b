package connector

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"strconv"

	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// sqsQueue is a queue of Amazon SQS that EventBridge puts events of ECR into. It speaks AWS's JSON protocol 1.0.
type sqsQueue struct {
	calls *ecrCalls
	url   string
}

// AWS: at most ten messages at once, and at most 20 seconds of waiting for the first.
const (
	sqsMessages = 10
	sqsWait     = 20  // seconds
	sqsHidden   = 120 // seconds a message is nobody else's
)

func (o *opening) sqs(place string) (Queue, error) {
	if o.kind() != tidewaiter.CredentialAWS {
		return nil, tidewaiter.Invalid("credentialID", "a queue of SQS needs a credential of kind %s", tidewaiter.CredentialAWS)
	}
	u, err := url.Parse(place)
	if err != nil {
		return nil, tidewaiter.Invalid("place", "not the URL of a queue")
	}
	region := o.setting("region")
	if m := sqsPlace.FindStringSubmatch(place); m != nil {
		region = m[2]
	}
	identity, err := o.awsIdentity(region)
	if err != nil {
		return nil, err
	}
	calls, err := o.awsCallsOf(identity, ecrPlace{api: o.base("sqs", u.Scheme+"://"+u.Host), region: region}, "sqs")
	if err != nil {
		return nil, err
	}
	return &sqsQueue{calls: calls, url: place}, nil
}

func (q *sqsQueue) call(ctx context.Context, operation string, in, out any) error {
	body, err := json.Marshal(in)
	if err != nil {
		return err
	}
	_, err = q.calls.api.do(ctx, request{method: http.MethodPost, path: "/", body: body, header: http.Header{
		"Content-Type": {"application/x-amz-json-1.0"}, "X-Amz-Target": {"AmazonSQS." + operation},
	}}, out)
	return err
}

// Receive implements Queue.
func (q *sqsQueue) Receive(ctx context.Context) ([]tidewaiter.Message, error) {
	var out struct {
		Messages []struct {
			ReceiptHandle string `json:"ReceiptHandle"`
			Body          string `json:"Body"`
		} `json:"Messages"`
	}
	err := q.call(ctx, "ReceiveMessage", map[string]any{"QueueUrl": q.url, "MaxNumberOfMessages": sqsMessages,
		"WaitTimeSeconds": sqsWait, "VisibilityTimeout": sqsHidden}, &out)
	list := make([]tidewaiter.Message, len(out.Messages))
	for i, m := range out.Messages {
		list[i] = tidewaiter.Message{Handle: m.ReceiptHandle, Body: unwrapped(m.Body)}
	}
	return list, err
}

// unwrapped returns the event in a message: SNS, where it stands between EventBridge and the queue, puts it into an envelope.
func unwrapped(body string) []byte {
	var envelope struct {
		Type    string `json:"Type"`
		Message string `json:"Message"`
	}
	if json.Unmarshal([]byte(body), &envelope) == nil && envelope.Type == "Notification" && envelope.Message != "" {
		return []byte(envelope.Message)
	}
	return []byte(body)
}

// Done implements Queue. AWS: a batch is answered with 200 though some of it failed.
func (q *sqsQueue) Done(ctx context.Context, handles []string) error {
	entries := make([]map[string]string, len(handles))
	for i, h := range handles {
		entries[i] = map[string]string{"Id": strconv.Itoa(i), "ReceiptHandle": h}
	}
	var out struct {
		Failed []struct {
			Code string `json:"Code"`
		} `json:"Failed"`
	}
	err := q.call(ctx, "DeleteMessageBatch", map[string]any{"QueueUrl": q.url, "Entries": entries}, &out)
	if err == nil && len(out.Failed) > 0 {
		err = tidewaiter.Errorf(tidewaiter.ErrTransient, "SQS did not delete %d messages", len(out.Failed))
	}
	return err
}
