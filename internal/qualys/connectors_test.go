package qualys_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tidewaiter/tidewaiter/internal/qualys"
)

func TestAWSConnectors(t *testing.T) {
	c := start(t, func(cfg *qualys.Config) { cfg.AWSAccount = "999988887777" })
	base := c.call("GET", "/registry/aws-base", "")
	var got struct {
		AccountID  string      `json:"accountId"`
		ExternalID json.Number `json:"externalId"`
	}
	c.must(json.Unmarshal([]byte(base.body), &got))
	if _, err := got.ExternalID.Int64(); err != nil || got.AccountID != "999988887777" || c.call("GET", "/registry/aws-base", "").body != base.body {
		t.Errorf("%s", base.body)
	}
	arn := "arn:aws:iam::111122223333:role/reader"
	body := `{"arn":"` + arn + `","name":"reader","description":"d","externalId":"` + got.ExternalID.String() + `","accountType":"Global"}`
	for range 2 { // the same role again changes nothing
		if a := c.call("POST", "/registry/aws/connector", body); a.status != 200 || a.body != "" {
			t.Errorf("%+v", a)
		}
	}
	shown := []map[string]string{{"name": "reader", "description": "d", "arn": arn}}
	for path, list := range map[string][]map[string]string{
		"/registry/aws/connectors": shown, "/registry/aws/connectors/111122223333": shown, "/registry/aws/connectors/444455556666": {},
	} {
		if diff := cmp.Diff(list, get[[]map[string]string](c, path)); diff != "" {
			t.Errorf("%s: %s", path, diff)
		}
	}
	cred, err := c.control.Credential(t.Context(), arn)
	c.must(err)
	if cred.Settings["externalId"] != got.ExternalID.String() {
		t.Errorf("%+v", cred)
	}
	id := c.create(`{"registryName":"ecr","registryType":"AWS ECR","registryUri":"https://111122223333.dkr.ecr.eu-west-1.amazonaws.com",
		"aws":{"accountId":"111122223333","arn":"` + arn + `","region":"eu-west-1"}}`)
	details := get[map[string]any](c, "/registry/"+id)
	if diff := cmp.Diff([]any{map[string]any{"name": "reader", "description": "d", "arn": arn}}, details["connectors"]); diff != "" {
		t.Error(diff)
	}
	if aws := details["aws"].(map[string]any); aws["name"] != "reader" || aws["accountType"] != "Global" {
		t.Errorf("%v", aws)
	}
}

func TestAWSBaseNeedsAnAccount(t *testing.T) {
	want[map[string]any](start(t), 404, "GET", "/registry/aws-base", "")
}

func TestRateLimits(t *testing.T) {
	c := start(t, func(cfg *qualys.Config) { cfg.RateLimits = true })
	a := c.call("GET", "/images/list", "")
	if a.header.Get("X-Ratelimit-Limit") != "120" || a.header.Get("X-Ratelimit-Window-Sec") != "60" || a.header.Get("X-Ratelimit-Remaining") != "119" {
		t.Errorf("%v", a.header)
	}
	for range 119 {
		c.call("GET", "/images/list", "")
	}
	a = c.call("GET", "/images/list", "")
	if a.status != 429 || a.header.Get("Retry-After") != "60" || a.header.Get("X-Ratelimit-Towait-Sec") != "60" || !strings.Contains(a.body, "429 TOO_MANY_REQUESTS") {
		t.Errorf("%+v", a)
	}
	if a := c.call("GET", "/registry", ""); a.status != 200 || a.header.Get("X-Ratelimit-Limit") != "1000" {
		t.Errorf("%+v", a)
	}
	c.clock.forward(time.Minute)
	if a := c.call("GET", "/images/list", ""); a.status != 200 {
		t.Errorf("%+v", a)
	}
	if a := start(t).call("GET", "/registry", ""); a.header.Get("X-Ratelimit-Limit") != "" {
		t.Error("limits are off by default")
	}
}
