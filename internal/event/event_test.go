package event_test

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tidewaiter/tidewaiter/internal/event"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

var digest = "sha256:" + strings.Repeat("ab", 32)

const manifest = "application/vnd.oci.image.manifest.v1+json"

// shape is a delivery of a sender with what should be read from it: for each event "action host/repository:tag@digest" or,
// for one nothing follows from, "unused: " and a part of the reason.
type shape struct {
	name   string
	sender event.Sender
	header map[string]string
	body   string
	want   []string
	reason string // part of why there are no events
}

func shapes() []shape {
	harbor := `{"resources":[{"digest":"` + digest + `","tag":"v1","resource_url":"harbor.example.com:8443/team/app:v1"},
		{"digest":"` + digest + `","tag":"` + digest + `","resource_url":"harbor.example.com:8443/team/app@` + digest + `"}],
		"repository":{"name":"app","namespace":"team","repo_full_name":"team/app","repo_type":"private"}}`
	pub := func(s string) string {
		return `{"subscription":"projects/p/subscriptions/s","message":{"messageId":"7","publishTime":"2026-11-01T10:00:00Z","data":"` +
			base64.StdEncoding.EncodeToString([]byte(s)) + `"}}`
	}
	ecr := func(region, detail string) string {
		return `{"id":"1","source":"aws.ecr","detail-type":"ECR Image Action","account":"123456789012","region":"` + region + `","time":"2026-11-01T10:00:00Z","detail":` + detail + `}`
	}
	gh := func(action, kind, tag string) string {
		return `{"action":"` + action + `","` + kind + `":{"name":"App","namespace":"Team","package_type":"CONTAINER","owner":{"login":"Team"},
			"package_version":{"version":"` + digest + `","package_url":"ghcr.io/team/app:v1","container_metadata":{"tag":{"name":"` + tag + `","digest":"` + digest + `"}}}}}`
	}
	acr := func(action, rest string) string {
		return `{"id":"1","timestamp":"2026-11-01T10:00:00Z","action":"` + action + `","target":{"mediaType":"` + manifest + `","digest":"` + digest + `","repository":"team/app"` + rest + `},"request":{"host":"Team.azurecr.io"}}`
	}
	return []shape{
		{"distribution", event.SenderDistribution, nil, `{"events":[
			{"id":"1","action":"push","timestamp":"2026-11-01T10:00:00Z","target":{"mediaType":"` + manifest + `","digest":"` + digest + `","repository":"team/app","tag":"v1"},"request":{"host":"R.example.com:5000"}},
			{"id":"2","action":"push","target":{"mediaType":"application/octet-stream","digest":"` + digest + `","repository":"team/app"},"request":{"host":"r.example.com:5000"}},
			{"id":"3","action":"push","target":{"mediaType":"` + manifest + `","digest":"` + digest + `","repository":"team/app"}},
			{"id":"4","action":"pull","target":{"mediaType":"` + manifest + `","digest":"` + digest + `","repository":"team/app","tag":"v1"}},
			{"id":"5","action":"mount","target":{"digest":"` + digest + `","repository":"team/app"}},
			{"id":"6","action":"delete","target":{"repository":"team/app","tag":"v1","url":"https://r.example.com/v2/team/app/manifests/v1"}}]}`,
			[]string{"push r.example.com:5000/team/app:v1@" + digest, "unused: not an image", "unused: pushed by digest", "unused: action mount", "delete r.example.com/team/app:v1@"}, ""},
		{"docker hub", event.SenderDockerHub, nil, `{"callback_url":"http://169.254.169.254/","push_data":{"tag":"v1","pushed_at":1793527200},"repository":{"repo_name":"team/app","name":"app","namespace":"team"}}`,
			[]string{"push docker.io/team/app:v1@"}, ""},
		{"acr push", event.SenderACR, nil, acr("push", `,"tag":"v1"`), []string{"push team.azurecr.io/team/app:v1@" + digest}, ""},
		{"acr delete", event.SenderACR, nil, acr("delete", ""), []string{"delete team.azurecr.io/team/app:@" + digest}, ""},
		{"acr chart", event.SenderACR, nil, acr("chart_push", `,"tag":"v1"`), []string{"unused: chart_push"}, ""},
		{"acr ping", event.SenderACR, nil, `{"action":"ping","timestamp":"2026-11-01T10:00:00Z"}`, nil, ""},
		{"event grid", event.SenderEventGrid, nil, `[{"id":"9","eventType":"Microsoft.ContainerRegistry.ImagePushed","subject":"team/app:v1","eventTime":"2026-11-01T10:00:00Z","data":` + acr("push", `,"tag":"v1"`) + `},
			{"id":"9","eventType":"Microsoft.ContainerRegistry.ImageDeleted","data":` + acr("delete", "") + `}]`,
			[]string{"push team.azurecr.io/team/app:v1@" + digest, "delete team.azurecr.io/team/app:@" + digest}, ""},
		{"event grid cloudevents", event.SenderEventGrid, nil, `{"specversion":"1.0","id":"9","type":"Microsoft.ContainerRegistry.ImagePushed","data":` + acr("push", `,"tag":"v1"`) + `}`,
			[]string{"push team.azurecr.io/team/app:v1@" + digest}, ""},
		{"ecr push", event.SenderECR, nil, ecr("eu-central-1", `{"result":"SUCCESS","action-type":"PUSH","repository-name":"team/app","image-digest":"`+digest+`","image-tag":"v1"}`),
			[]string{"push 123456789012.dkr.ecr.eu-central-1.amazonaws.com/team/app:v1@" + digest}, ""},
		{"ecr china", event.SenderECR, nil, ecr("cn-north-1", `{"result":"SUCCESS","action-type":"DELETE","repository-name":"team/app","image-digest":"`+digest+`"}`),
			[]string{"delete 123456789012.dkr.ecr.cn-north-1.amazonaws.com.cn/team/app:@" + digest}, ""},
		{"ecr failure", event.SenderECR, nil, ecr("eu-central-1", `{"result":"FAILURE","action-type":"PUSH","repository-name":"team/app","image-tag":"v1"}`), []string{"unused: succeed"}, ""},
		{"ecr chart", event.SenderECR, nil, ecr("eu-central-1", `{"result":"SUCCESS","action-type":"PUSH","repository-name":"team/app","image-tag":"v1","artifact-media-type":"application/vnd.cncf.helm.config.v1+json"}`),
			[]string{"unused: helm"}, ""},
		{"ecr scan", event.SenderECR, nil, `{"source":"aws.ecr","detail-type":"ECR Image Scan","detail":{}}`, nil, "ECR Image Scan"},
		{"pub/sub digest", event.SenderPubSub, nil, pub(`{"action":"INSERT","digest":"eu-docker.pkg.dev/p/r/app@` + digest + `"}`), []string{"unused: pushed by digest"}, ""},
		{"pub/sub tag", event.SenderPubSub, nil, pub(`{"action":"INSERT","digest":"eu-docker.pkg.dev/p/r/app@` + digest + `","tag":"eu-docker.pkg.dev/p/r/app:v1"}`),
			[]string{"push eu-docker.pkg.dev/p/r/app:v1@" + digest}, ""},
		{"pub/sub delete", event.SenderPubSub, nil, pub(`{"action":"DELETE","tag":"gcr.io/p/app:v1"}`), []string{"delete gcr.io/p/app:v1@"}, ""},
		{"harbor", event.SenderHarbor, nil, `{"type":"PUSH_ARTIFACT","occur_at":1793527200,"operator":"admin","event_data":` + harbor + `}`,
			[]string{"push harbor.example.com:8443/team/app:v1@" + digest, "unused: pushed by digest"}, ""},
		{"harbor pull", event.SenderHarbor, nil, `{"type":"PULL_ARTIFACT","event_data":` + harbor + `}`, nil, ""},
		{"harbor quota", event.SenderHarbor, nil, `{"type":"QUOTA_EXCEED","event_data":` + harbor + `}`, nil, "QUOTA_EXCEED"},
		{"harbor cloudevents", event.SenderHarbor, nil, `{"specversion":"1.0","id":"3","type":"harbor.artifact.deleted","time":"2026-11-01T10:00:00Z","data":` + harbor + `}`,
			[]string{"delete harbor.example.com:8443/team/app:v1@" + digest, "delete harbor.example.com:8443/team/app:@" + digest}, ""},
		{"quay list", event.SenderQuay, nil, `{"repository":"team/app","namespace":"team","name":"app","docker_url":"quay.example.com/team/app","updated_tags":["v1","v2"]}`,
			[]string{"push quay.example.com/team/app:v1@", "push quay.example.com/team/app:v2@"}, ""},
		{"quay object", event.SenderQuay, nil, `{"repository":"team/app","docker_url":"quay.io/team/app","updated_tags":{"v2":"x","v1":"y"}}`,
			[]string{"push quay.io/team/app:v1@", "push quay.io/team/app:v2@"}, ""},
		{"jfrog", event.SenderJFrog, nil, `{"domain":"docker","event_type":"pushed","jpd_origin":"https://a.example.com","data":{"repo_key":"local","event_type":"pushed","path":"app/v1/manifest.json","sha256":"` + digest[7:] + `","image_name":"app","tag":"v1"}}`,
			[]string{"push a.example.com/local/app:v1@" + digest + " or [app]"}, ""},
		{"jfrog artifact", event.SenderJFrog, nil, `{"domain":"artifact","event_type":"deployed","data":{}}`, nil, "domain artifact"},
		{"nexus", event.SenderNexus, map[string]string{"X-Nexus-Webhook-Id": "rm:repository:component"}, `{"timestamp":"2026-11-01T10:00:00.123+00:00","nodeId":"n","repositoryName":"docker-hosted","action":"CREATED","component":{"format":"docker","name":"team/app","version":"v1"}}`,
			[]string{"push /team/app:v1@ or [docker-hosted/team/app]"}, ""},
		{"nexus maven", event.SenderNexus, nil, `{"nodeId":"n","repositoryName":"maven","action":"CREATED","component":{"format":"maven2"}}`, nil, "not about an image"},
		{"ghcr", event.SenderGitHub, map[string]string{"X-GitHub-Event": "package"}, gh("published", "package", "v1"), []string{"push ghcr.io/team/app:v1@" + digest}, ""},
		{"ghcr other name", event.SenderGitHub, map[string]string{"X-GitHub-Event": "registry_package"}, gh("published", "registry_package", ""), []string{"unused: pushed by digest"}, ""},
		{"github push", event.SenderGitHub, map[string]string{"X-GitHub-Event": "push"}, `{"ref":"main"}`, nil, "type push"},
		{"gitea", event.SenderGitea, map[string]string{"X-Gitea-Event": "package", "X-GitHub-Event": "package"}, `{"action":"created","package":{"owner":{"login":"Team"},"name":"app","type":"container","version":"v1","html_url":"https://git.example.com/Team/-/packages/container/app/v1"}}`,
			[]string{"push git.example.com/team/app:v1@"}, ""},
		{"zot binary", event.SenderZot, map[string]string{"Ce-Type": "zotregistry.image.updated", "Ce-Id": "1"}, `{"name":"team/app","reference":"v1","digest":"` + digest + `","mediaType":"` + manifest + `","manifest":"{}"}`,
			[]string{"push /team/app:v1@" + digest}, ""},
		{"zot structured", event.SenderZot, nil, `{"type":"zotregistry.image.deleted","data":{"name":"team/app","reference":"v1"}}`, []string{"delete /team/app:v1@"}, ""},
		{"alibaba", event.SenderAlibaba, nil, `{"push_data":{"digest":"` + digest + `","pushed_at":"2026-11-01 10:00:00","tag":"v1"},"repository":{"repo_full_name":"team/app","name":"app","namespace":"team","region":"cn-hangzhou"}}`,
			[]string{"push registry.cn-hangzhou.aliyuncs.com/team/app:v1@" + digest}, ""},
		{"dtr", event.SenderDTR, nil, `{"type":"TAG_PUSH","contents":{"namespace":"team","repository":"app","tag":"v1","digest":"` + digest + `","imageName":"dtr.example.com/team/app:v1"}}`,
			[]string{"push dtr.example.com/team/app:v1@" + digest}, ""},
		{"signature tag", event.SenderDockerHub, nil, `{"push_data":{"tag":"sha256-` + digest[7:] + `.sig"},"repository":{"repo_name":"team/app"}}`, []string{"unused: signature"}, ""},
		{"hostile name", event.SenderDockerHub, nil, `{"push_data":{"tag":"v1"},"repository":{"repo_name":"../../etc/passwd"}}`, []string{"unused: no valid repository"}, ""},
		{"hostile tag", event.SenderDockerHub, nil, `{"push_data":{"tag":"a/../b"},"repository":{"repo_name":"team/app"}}`, []string{"unused: no valid tag"}, ""},
	}
}

func (s shape) delivery() event.Delivery {
	h := http.Header{}
	for k, v := range s.header {
		h.Set(k, v)
	}
	return event.Delivery{Header: h, Body: []byte(s.body)}
}

func TestShapes(t *testing.T) {
	for _, s := range shapes() {
		t.Run(s.name, func(t *testing.T) {
			got, err := event.Read(s.delivery(), nil)
			if err != nil || got.Sender != s.sender {
				t.Fatalf("read as %q, %v", got.Sender, err)
			}
			var lines []string
			for i, e := range got.Events {
				line := fmt.Sprintf("%s %s/%s:%s@%s", e.Action, e.Host, e.Repository, e.Tag, e.Digest)
				if e.OtherNames != nil {
					line += fmt.Sprintf(" or %v", e.OtherNames)
				}
				if e.Unusable != "" {
					line = "unused: " + e.Unusable
					if i < len(s.want) && strings.Contains(e.Unusable, strings.TrimPrefix(s.want[i], "unused: ")) {
						line = s.want[i]
					}
				}
				lines = append(lines, line)
			}
			if diff := cmp.Diff(s.want, lines); diff != "" {
				t.Error(diff)
			}
			if len(got.Events) == 0 && (got.Reason == "") != (s.reason == "") || !strings.Contains(got.Reason, s.reason) {
				t.Errorf("reason %q, want %q", got.Reason, s.reason)
			}
			again, err := event.Read(event.Delivery{Header: s.delivery().Headers(), Body: []byte(s.body)}, nil)
			if err != nil || !cmp.Equal(got, again) {
				t.Errorf("read from what is kept: %v", err)
			}
		})
	}
}

func TestHandshake(t *testing.T) {
	r, err := event.Read(event.Delivery{Body: []byte(`[{"id":"1","eventType":"Microsoft.EventGrid.SubscriptionValidationEvent","data":{"validationCode":"c-1","validationUrl":"http://10.0.0.1/"}}]`)}, nil)
	if err != nil || string(r.Reply) != `{"validationResponse":"c-1"}` || len(r.Events) != 0 || r.Reason != "" {
		t.Errorf("%+v, %s, %v", r, r.Reply, err)
	}
}

func TestRefused(t *testing.T) {
	many := `{"events":[` + strings.TrimSuffix(strings.Repeat(`{"action":"push"},`, event.MaxEvents+1), ",") + `]}`
	for name, c := range map[string]struct {
		body string
		want tidewaiter.ErrorKind
	}{
		"empty":       {"", tidewaiter.ErrMalformed},
		"empty list":  {"[]", tidewaiter.ErrMalformed},
		"null":        {"null", tidewaiter.ErrMalformed},
		"no JSON":     {"payload=x", tidewaiter.ErrMalformed},
		"a number":    {"[1]", tidewaiter.ErrMalformed},
		"wrong types": {`{"events":"x"}`, tidewaiter.ErrMalformed},
		"no base64":   {`{"subscription":"s","message":{"data":"%"}}`, tidewaiter.ErrMalformed},
		"unknown":     {`{"hello":"world"}`, tidewaiter.ErrUnsupported},
		"nested":      {strings.Repeat(`{"a":`, 100) + "1" + strings.Repeat("}", 100), tidewaiter.ErrTooLarge},
		"deep":        {strings.Repeat(`[`, event.MaxBody), tidewaiter.ErrTooLarge},
		"large":       {`{"a":"` + strings.Repeat("x", event.MaxBody) + `"}`, tidewaiter.ErrTooLarge},
		"many":        {many, tidewaiter.ErrTooLarge},
		"long list":   {"[" + strings.Repeat("{},", event.MaxEvents) + "{}]", tidewaiter.ErrTooLarge},
	} {
		if _, err := event.Read(event.Delivery{Body: []byte(c.body)}, nil); tidewaiter.KindOf(err) != c.want {
			t.Errorf("%s: %v, want %s", name, err, c.want)
		}
	}
}
