package qualys_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tidewaiter/tidewaiter/internal/qualys"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
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

func TestSchedules(t *testing.T) {
	c := start(t)
	id := c.create(private("r1", "https://r.example.com", "u", "p"))
	c.endScan(id, "")
	c.clock.forward(time.Minute)
	c.jobs.take()
	body := `{"name":"now","onDemand":true,"filters":[{"days":7,"repoTags":[{"repo":"team/app","tag":"1.2, 1.3"},{"repo":"team/api","tag":".*"},{"repo":"team/web","tag":null}]}],
		"schedule":"00:00","forceScan":true,"registryType":"AWS"}`
	made := want[map[string]string](c, 200, "POST", "/registry/"+id+"/schedule", body)
	if made["scheduleId"] == "" || made["scheduleId"] != made["scheduleUuid"] {
		t.Fatalf("%v", made)
	}
	scan, err := c.control.Scan(t.Context(), made["scheduleId"])
	c.must(err)
	if diff := cmp.Diff([]tidewaiter.Selector{{Repository: "team/app", Tags: []string{"1.2", "1.3"}}, {Repository: "team/api"}, {Repository: "team/web"}}, scan.Scope.Select); diff != "" ||
		!scan.Force || !scan.OnDemand || scan.Scope.MaxAgeDays != 7 || scan.Lane != tidewaiter.LaneInteractive || len(c.jobs.take()) != 1 {
		t.Errorf("%+v %s", scan, diff)
	}
	list := get[struct {
		Data []map[string]any
	}](c, "/registry/"+id+"/schedule").Data
	if len(list) != 2 || list[0]["scheduleUuid"] != made["scheduleId"] || list[0]["status"] != "Queued" || list[1]["status"] != "Finished" {
		t.Fatalf("%v", list)
	}
	if filters, err := json.Marshal(list[0]["filters"]); err != nil || string(filters) != `[{"days":7,"repoTags":[{"repo":"team/app","tag":"1.2,1.3"},{"repo":"team/api","tag":null},{"repo":"team/web","tag":null}]}]` {
		t.Errorf("%s", filters)
	}
	if a := c.call("GET", "/registry/"+id+"/schedule?filter=status:Running", ""); a.status != 204 {
		t.Errorf("%+v", a)
	}
	want[map[string]any](c, 400, "POST", "/registry/"+id+"/schedule", `{"onDemand":false,"schedule":"10:00"}`)
	want[map[string]any](c, 404, "POST", "/registry/none/schedule", `{}`)
}

func TestCancel(t *testing.T) {
	c := start(t)
	id := c.create(private("r1", "https://r.example.com", "u", "p"))
	c.endScan(id, "")
	one := func() string {
		c.clock.forward(time.Minute)
		return want[map[string]string](c, 200, "POST", "/registry/"+id+"/schedule", `{"filters":[{"repoTags":[{"repo":"a"}]}]}`)["scheduleId"]
	}
	first, second, third := one(), one(), one()
	state := func(id string) tidewaiter.ScanState {
		s, err := c.control.Scan(t.Context(), id)
		c.must(err)
		return s.State
	}
	want[map[string]string](c, 200, "POST", "/registry/"+id+"/schedule/"+first+"/cancel", "")
	if state(first) != tidewaiter.ScanCanceled || state(second) != tidewaiter.ScanQueued || len(c.jobs.canceled) != 0 {
		t.Errorf("%s %s %v", state(first), state(second), c.jobs.canceled)
	}
	want[map[string]any](c, 409, "POST", "/registry/"+id+"/schedule/"+first+"/cancel", "")
	want[map[string]any](c, 404, "POST", "/registry/other/schedule/"+second+"/cancel", "")
	want[map[string]any](c, 400, "POST", "/registry/"+id+"/schedule/cancel", "")
	if job := want[map[string]string](c, 200, "POST", "/registry/"+id+"/schedule/cancel?scheduleIds="+second+"&filter=scheduleUuid:*", "{}"); job["CancelJobId"] == "" || state(second) != tidewaiter.ScanCanceled || state(third) != tidewaiter.ScanQueued {
		t.Errorf("%v %s %s", job, state(second), state(third))
	}
	want[map[string]string](c, 200, "POST", "/registry/"+id+"/schedule/cancel?filter=status%3AQueued", "")
	if state(third) != tidewaiter.ScanCanceled || len(c.jobs.canceled) != 1 {
		t.Errorf("%s %v: the last one's jobs go as well", state(third), c.jobs.canceled)
	}
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
