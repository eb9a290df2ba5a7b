package qualys_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
)

// TestBadInput sends what is wrong in one place each and wants an error in the vendor's shape that names the place.
func TestBadInput(t *testing.T) {
	c := start(t)
	id := c.create(private("r1", "https://r.example.com", "u", "p"))
	// change replaces one part of a good request.
	change := func(old, with string) string {
		good := private("new", "https://new.example.com", "u", "p")
		if !strings.Contains(good, old) {
			t.Fatalf("nothing to replace: %s", old)
		}
		return strings.Replace(good, old, with, 1)
	}
	aws := func(old, with string) string { return strings.Replace(sampleAWS, old, with, 1) }
	gar := func(old, with string) string { return strings.Replace(sampleGCAR, old, with, 1) }
	long := strings.Repeat("a", 64)
	sa := func(old, with string) string { return strings.Replace(account("1", "proj"), old, with, 1) }
	arn := `{"arn":"arn:aws:iam::111122223333:role/r","name":"n"}`
	for i, b := range []struct {
		method, path, body string
		status             int
		says               string
	}{
		{"POST", "/registry", "", 400, "body is empty"},
		{"POST", "/registry", "{", 400, "not valid JSON"},
		{"POST", "/registry", "[]", 400, "not what is expected"},
		{"POST", "/registry", `"x"`, 400, "not what is expected"},
		{"POST", "/registry", "{}", 400, "registryType"},
		{"POST", "/registry", "null", 400, "registryType"},
		{"POST", "/registry", `{"registryType":7}`, 400, "registryType"},
		{"POST", "/registry", `{"registryType":"V2","credential":"x"}`, 400, "credential"},
		{"POST", "/registry", `{"registryType":"V2","credential":{"username":1}}`, 400, "username"},
		{"POST", "/registry", `{"aws":[]}`, 400, "aws"},
		{"POST", "/registry", strings.Repeat("[", 100_000), 400, "JSON"},
		{"POST", "/registry", `{"x":"` + strings.Repeat("a", 2<<20) + `"}`, 413, "larger than 1 MiB"},
		{"POST", "/registry", change("V2_PRIVATE", "HARBOR"), 400, "registryType"},
		{"POST", "/registry", change(`"new"`, `""`), 400, "registryName: the name is missing"},
		{"POST", "/registry", change(`"new"`, `"a b"`), 400, "registryName"},
		{"POST", "/registry", change(`"new"`, `"a/b"`), 400, "registryName"},
		{"POST", "/registry", change(`"new"`, `"ä"`), 400, "registryName"},
		{"POST", "/registry", change(`"new"`, `"a\n"`), 400, "registryName"},
		{"POST", "/registry", change(`"new"`, `"`+long+`"`), 400, "longer than 63"},
		{"POST", "/registry", change("https://new.example.com", ""), 400, "registryUri"},
		{"POST", "/registry", change("https://new.example.com", "ftp://x"), 400, "registryUri"},
		{"POST", "/registry", change("https://new.example.com", "https://u:p@x"), 400, "registryUri"},
		{"POST", "/registry", change("https://new.example.com", "https://x?y=1"), 400, "registryUri"},
		{"POST", "/registry", change("https://new.example.com", "https://"), 400, "registryUri"},
		{"POST", "/registry", change("https://new.example.com", "https://"+strings.Repeat("x", 3000)), 400, "registryUri"},
		{"POST", "/registry", change("https://new.example.com", "https://x\\r\\ny"), 400, "registryUri"},
		{"POST", "/registry", change("BasicAuth", "Kerberos"), 400, "credentialType"},
		{"POST", "/registry", change("BasicAuth", "AWS"), 400, "credentialType"},
		{"POST", "/registry", change(b64("u"), ""), 400, "credential.username"},
		{"POST", "/registry", change(b64("u"), "###"), 400, "credential.username"},
		{"POST", "/registry", change(b64("u"), b64("a:b")), 400, "credential.username"},
		{"POST", "/registry", change(b64("u"), b64("a\nb")), 400, "credential.username"},
		{"POST", "/registry", change(b64("p"), ""), 400, "credential.password"},
		{"POST", "/registry", change(b64("p"), "not base64!"), 400, "credential.password"},
		{"POST", "/registry", change(b64("p"), b64("\xff\xfe")), 400, "credential.password"},
		{"POST", "/registry", change(`"BasicAuth"`, `"Token"`), 200, ""}, // the password may be the token
		{"POST", "/registry", `{"registryName":"t","registryType":"V2_PRIVATE","registryUri":"https://t.example.com","credentialType":"Token"}`, 400, "accessToken"},
		{"POST", "/registry", `{"registryName":"t","registryType":"V2_PRIVATE","registryUri":"https://t.example.com","accessToken":"a\nb"}`, 400, "accessToken"},
		{"POST", "/registry", aws(`"AWS", "registryName"`, `"AWS","accessToken":"x", "registryName"`), 400, "accessToken"},
		{"POST", "/registry", change(`"registryUuid":null`, `"dockerHubOrgName":"acme"`), 400, "dockerHubOrgName"},
		{"POST", "/registry", `{"registryName":"h","registryType":"DockerHub","registryUri":"https://hub.docker.com","dockerHubOrgName":"a/*"}`, 400, "dockerHubOrgName"},
		{"POST", "/registry", `{"registryName":"h","registryType":"DockerHub","registryUri":"https://h.example.com"}`, 400, "registryUri"},
		{"POST", "/registry", aws("383031258652\",", "12\","), 400, "aws.accountId"},
		{"POST", "/registry", aws("arn:aws:iam", "arn:aws:s3"), 400, "aws.arn"},
		{"POST", "/registry", aws(`"us-east-2"`, `""`), 400, "aws.region"},
		{"POST", "/registry", aws(`"us-east-2"`, `"here"`), 400, "aws.region"},
		{"POST", "/registry", aws("Global", "China"), 400, "aws.accountType"},
		{"POST", "/registry", aws("Global", "US_Gov"), 400, "aws.region"},
		{"POST", "/registry", aws(`"us-east-2"`, `"us-gov-east-1"`), 400, "aws.accountType"},
		{"POST", "/registry", aws("https://383031258652.dkr.ecr.us-east-2.amazonaws.com", "https://383031258652.dkr.ecr.us-east-2.amazonaws.com.evil.example"), 400, "registryUri"},
		{"POST", "/registry", aws("https://383031258652.dkr.ecr.us-east-2.amazonaws.com", "https://evil.example/383031258652.dkr.ecr.us-east-2.amazonaws.com"), 400, "registryUri"},
		{"POST", "/registry", `{"registryName":"x","registryType":"AWS","registryUri":"https://383031258652.dkr.ecr.us-east-2.amazonaws.com"}`, 400, "aws"},
		{"POST", "/registry", `{"registryName":"x","registryType":"Azure","registryUri":"https://x.azurecr.io"}`, 400, "acrRequest.connectorId"},
		{"POST", "/registry", `{"registryName":"x","registryType":"Azure","registryUri":"https://x.azurecr.io","acrRequest":{"connectorId":"r1"}}`, 400, "acrRequest.connectorId"},
		{"POST", "/registry", `{"registryName":"x","registryType":"Azure","registryUri":"https://x.azurecr.io","acrRequest":{"connectorId":"` + id + `"}}`, 400, "acrRequest.connectorId"},
		{"POST", "/registry", `{"registryName":"x","registryType":"GCP","registryUri":"https://gcr.io"}`, 400, "gcpRequest"},
		{"POST", "/registry", `{"registryName":"x","registryType":"GCP","registryUri":"https://gcr.io","gcpRequest":{"connectorId":"1","projectId":"p"}}`, 400, "gcpRequest.location"},
		{"POST", "/registry", `{"registryName":"x","registryType":"GCP","registryUri":"https://gcr.io","gcpRequest":{"connectorId":"1","projectId":"p/*","location":"us"}}`, 400, "gcpRequest.projectId"},
		{"POST", "/registry", sampleGCAR, 400, "gcarRequest.connectorId"},
		{"POST", "/registry", gar(`"cstest"`, `""`), 400, "gcarRequest.registry"},
		{"POST", "/registry", gar(`"cstest"`, `"../x"`), 400, "gcarRequest.registry"},
		{"POST", "/registry", gar("qualys-cs", "Qualys CS"), 400, "gcarRequest.projectId"},
		{"POST", "/registry", gar("-docker.pkg.dev", ".example.com"), 400, "registryUri"},
		{"POST", "/registry/validate", "{", 400, "JSON"},
		{"POST", "/registry/validate", change("null", `"no-such"`), 404, "was not found"},
		{"PUT", "/registry/" + id, "{}", 400, "registryType"},
		{"PUT", "/registry/" + id, private("a b", "https://r.example.com", "u", "p"), 400, "registryName"},
		{"DELETE", "/registry", `{"registryIds":"x"}`, 400, "registryIds"},
		{"DELETE", "/registry", `{"registryIds":[1]}`, 400, "registryIds"},
		{"DELETE", "/registry", `[1]`, 400, "JSON"},
		{"DELETE", "/registry", `["no-such"]`, 404, "was not found"},
		{"DELETE", "/registry?registryIds=" + id + "&registryIds=no-such", "", 404, "was not found"},
		{"GET", "/registry?pageSize=0", "", 400, "pageSize"},
		{"GET", "/registry?pageSize=1001", "", 400, "pageSize"},
		{"GET", "/registry?pageNumber=-1", "", 400, "pageNumber"},
		{"GET", "/registry?pageNo=x", "", 400, "pageNo"},
		{"GET", "/registry?sort=color", "", 400, "sort"},
		{"GET", "/registry?sort=created:sideways", "", 400, "sort"},
		{"GET", "/registry?filter=color:red", "", 400, `unknown token "color" (known ones: registryUuid, registryName`},
		{"GET", "/registry?filter=((", "", 400, "filter"},
		{"GET", "/images?filter=created:soon", "", 400, "created"},
		{"GET", "/images?filter=size:big", "", 400, "size"},
		{"GET", "/images?filter=repo.tag:[a+..+b]", "", 400, "no order"},
		{"GET", "/images?filter=" + strings.Repeat("a", 9000), "", 400, "longer than"},
		{"GET", "/images?sort=size:asc", "", 400, "sort"},
		{"GET", "/images/list?limit=251", "", 400, "limit"},
		{"GET", "/images/list?limit=0", "", 400, "limit"},
		{"GET", "/images/list?paginationQuery=updated%3E%3D1", "", 400, "paginationQuery"},
		{"GET", "/images/team%2Fapp:v1", "", 400, "Invalid Image SHA provided"},
		{"GET", "/images/" + hexOf(1) + "/association?type=POD", "", 400, "type"},
		{"POST", "/registry/aws/connector", "{}", 400, "arn"},
		{"POST", "/registry/aws/connector", strings.Replace(arn, `"n"`, `""`, 1), 400, "name"},
		{"POST", "/registry/aws/connector", strings.Replace(arn, `"name"`, `"accountType":"x","name"`, 1), 400, "accountType"},
		{"POST", "/registry/acr/connector", `{"name":"n","clientSecret":"s"}`, 400, "applicationId"},
		{"POST", "/registry/acr/connector", `{"name":"n","applicationId":"a"}`, 400, "clientSecret"},
		{"POST", "/registry/acr/connector", `{"applicationId":"a","clientSecret":"s"}`, 400, "name"},
		{"POST", "/registry/acr/connector", `{"name":"n","applicationId":"a","clientSecret":"s","connectorId":"none"}`, 404, "was not found"},
		{"POST", "/registry/gcp/connector?name=n", "", 400, "serviceAccountJson"},
		{"POST", "/registry/gcp/connector?name=n", `{"type":"authorized_user"}`, 400, "serviceAccountJson"},
		{"POST", "/registry/gcp/connector?name=n", sa(`"1"`, `"../x"`), 400, "client_id"},
		{"POST", "/registry/gcp/connector", account("1", "proj"), 400, "name"},
		{"POST", "/registry/gcp/connector?name=n&connectorId=2", account("1", "proj"), 400, "connectorId"},
		{"POST", "/registry/" + id + "/schedule", `{"filters":[{"days":8}]}`, 400, "filters.days"},
		{"POST", "/registry/" + id + "/schedule", `{"filters":[{"repoTags":[{"repo":""}]}]}`, 400, "repo"},
		{"POST", "/registry/" + id + "/schedule", `{"filters":[{"repoTags":[{"repo":"a b"}]}]}`, 400, "repo"},
		{"POST", "/registry/" + id + "/schedule", `{"filters":[{"repoTags":[{"repo":"a","tag":"x/y"}]}]}`, 400, "tag"},
		{"POST", "/registry/" + id + "/schedule", `{"filters":{}}`, 400, "filters"},
		{"POST", "/registry/" + id + "/schedule", `{"onDemand":false}`, 400, "schedule"},
		{"POST", "/registry/" + id + "/schedule", `{"onDemand":false,"schedule":"25:00"}`, 400, "schedule"},
		{"POST", "/registry/" + id + "/schedule", `{"onDemand":false,"schedule":"noon"}`, 400, "schedule"},
		{"POST", "/registry/" + id + "/schedule", `{"onDemand":false,"schedule":10}`, 400, "schedule"},
		{"POST", "/registry/" + id + "/schedule", `{"onDemand":"no"}`, 400, "onDemand"},
		{"POST", "/registry/" + id + "/schedule", `{"onDemand":false,"scheduleScanIntervalInDays":0}`, 400, "scheduleScanIntervalInDays"},
		{"POST", "/registry/" + id + "/schedule", `{"onDemand":false,"scheduleScanIntervalInDays":366}`, 400, "scheduleScanIntervalInDays"},
		{"POST", "/registry/" + id + "/schedule", `{"onDemand":false,"schedule":"10:00","weekDay":"MONDAY"}`, 400, "weekDay"},
		{"POST", "/registry/" + id + "/schedule", `{"onDemand":false,"scheduleScanIntervalInDays":7,"weekDay":"MO"}`, 400, "weekDay"},
		{"POST", "/registry/" + id + "/schedule", `{"name":"` + strings.Repeat("n", 257) + `"}`, 400, "name"},
		{"DELETE", "/registry/" + id + "/schedule", `{"scheduleIds":"x"}`, 400, "scheduleIds"},
		{"DELETE", "/registry/" + id + "/schedule/bulk?filter=state:x", "", 400, "filter"},
	} {
		t.Run(fmt.Sprintf("%03d %s", i, b.says), func(t *testing.T) {
			a := c.call(b.method, b.path, b.body)
			if b.says == "" {
				if a.status != 200 {
					t.Errorf("%+v", a)
				}
				return
			}
			var e struct {
				ErrorCode, Message string
				Timestamp          int64
			}
			if err := json.Unmarshal([]byte(a.body), &e); err != nil || a.status != b.status || !strings.HasPrefix(e.ErrorCode, fmt.Sprint(b.status, " ")) ||
				!strings.Contains(e.Message, b.says) || e.Timestamp != c.clock.Now().UnixMilli() || len(e.Message) > 700 {
				t.Errorf("%d %s, want %d %q", a.status, a.body, b.status, b.says)
			}
		})
	}
	if n := get[struct{ Count int }](c, "/registry").Count; n != 2 {
		t.Errorf("%d registries: what is refused is not stored", n)
	}
	if strings.Contains(c.log.String(), "request went wrong") {
		t.Errorf("%s", c.log)
	}
}
