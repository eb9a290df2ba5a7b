package admission_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/alexedwards/argon2id"
	"github.com/google/uuid"

	"github.com/tidewaiter/tidewaiter/internal/admission"
	"github.com/tidewaiter/tidewaiter/internal/auth"
	"github.com/tidewaiter/tidewaiter/internal/control"
	"github.com/tidewaiter/tidewaiter/internal/oci"
	"github.com/tidewaiter/tidewaiter/internal/secret"
	"github.com/tidewaiter/tidewaiter/internal/store"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

const password = "correct horse battery"

// house is the webhook over a real store. The images r.example/app:good, :bad and :so-so are judged; :moved was.
type house struct {
	*testing.T
	control *control.Control
	store   *store.DB
	url     string
}

type nobody struct{}

func (nobody) Enqueue(context.Context, *store.Tx, ...tidewaiter.Job) error { return nil }
func (nobody) CancelRegistry(context.Context, string) error                { return nil }
func (nobody) Probe(context.Context, *tidewaiter.Registry, *tidewaiter.Credential, secret.Value) []oci.Step {
	return nil
}

func open(t *testing.T) *house {
	t.Helper()
	h := &house{T: t}
	log := slog.New(slog.DiscardHandler)
	var err error
	h.store, err = store.Open(t.Context(), store.Config{URL: filepath.Join(t.TempDir(), "test.db"), Log: log})
	h.must(err)
	t.Cleanup(func() { _ = h.store.Close() })
	keys, err := secret.Open(filepath.Join(t.TempDir(), "key"))
	h.must(err)
	h.control = control.New(control.Config{Store: h.store, Jobs: nobody{}, Keyring: keys, Prober: nobody{}, Now: time.Now,
		NewID: uuid.NewString, Log: log, Advisories: func() control.AdvisoryState { return control.AdvisoryState{} }})
	users, err := auth.New(auth.Config{Users: store.UserAccounts{DB: h.store}, Keys: keys,
		Params: &argon2id.Params{Memory: 64, Iterations: 1, Parallelism: 1, SaltLength: 16, KeyLength: 16}})
	h.must(err)
	h.must(users.CreateUser(t.Context(), "ci", tidewaiter.RoleCI, password))
	web := httptest.NewServer(admission.New(admission.Config{Control: h.control, Auth: users, Log: log}))
	t.Cleanup(web.Close)
	h.url = web.URL + admission.Path
	r, err := h.control.AddRegistry(t.Context(), &tidewaiter.Registry{Kind: tidewaiter.KindOCI, URL: "https://r.example",
		Origin: tidewaiter.OriginNative}, false)
	h.must(err)
	for name, effect := range map[string]tidewaiter.Effect{"good": tidewaiter.EffectIgnore, "bad": tidewaiter.EffectBlock,
		"so-so": tidewaiter.EffectAlert, "moved": tidewaiter.EffectIgnore} {
		h.judged(r, name, effect)
	}
	return h
}

func (h *house) must(err error) {
	h.Helper()
	if err != nil {
		h.Fatal(err)
	}
}

func (h *house) judged(r *tidewaiter.Registry, tag string, effect tidewaiter.Effect) {
	h.Helper()
	ctx := h.Context()
	img := &tidewaiter.Image{Digest: "sha256:" + tag, Platform: tidewaiter.Platform{OS: "linux", Architecture: "amd64"}}
	h.must(h.store.Update(ctx, func(tx *store.Tx) error {
		ids, err := tx.RecordRepositories(ctx, r.ID, "scan", r.Host(), []store.RepositoryDecision{
			{Name: "app", Decision: tidewaiter.Decision{Included: true, Reason: tidewaiter.ReasonSelected}}})
		if err != nil {
			return err
		}
		record := store.RecordTags{RegistryID: r.ID, ScanID: "scan", RepositoryID: ids["app"], Analyzer: "a", Now: time.Now(),
			Tags: []tidewaiter.ListedTag{{Name: tag, Digest: img.Digest}}}
		tags, err := tx.RecordTags(ctx, record)
		if err != nil {
			return err
		}
		if _, err := tx.IndexTag(ctx, store.IndexTag{TagID: tags[0].TagID, Digest: img.Digest, Images: []*tidewaiter.Image{img},
			Analyzer: "a", Now: time.Now(), Source: store.Source{RegistryID: r.ID, Repository: "app"}}); err != nil {
			return err
		}
		if _, err := tx.SaveJudgement(ctx, store.SaveJudgement{ImageID: img.ID, Content: &tidewaiter.Content{}, Now: time.Now(),
			Judgement: &tidewaiter.Judgement{Advisories: "v1", Analyzer: "a", JudgedAt: time.Now(), Verdict: tidewaiter.Verdict{
				Effect: effect, Blocks: 2, Reasons: []tidewaiter.VerdictReason{{Effect: effect, Rule: "strict", Vulnerability: "CVE-1",
					Package: "zlib 1", FixedIn: "2", Severity: tidewaiter.SeverityCritical}}}}}); err != nil {
			return err
		}
		if tag == "moved" {
			record.Tags[0].Digest = "sha256:elsewhere"
			_, err = tx.RecordTags(ctx, record)
		}
		return err
	}))
}

// send posts a body and returns status and answer.
func (h *house) send(url, body string, login ...string) (int, string) {
	h.Helper()
	req, err := http.NewRequestWithContext(h.Context(), http.MethodPost, url, strings.NewReader(body))
	h.must(err)
	if len(login) == 2 {
		req.SetBasicAuth(login[0], login[1])
	}
	res, err := http.DefaultClient.Do(req)
	h.must(err)
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	h.must(err)
	return res.StatusCode, strings.TrimSpace(string(b))
}

// secretURL is the address that needs no login.
func (h *house) secretURL() string {
	suffix, err := h.control.Suffix(h.Context(), control.SettingAdmissionSuffix)
	h.must(err)
	return h.url + "/" + suffix
}

func reviewOf(kind, namespace, operation, object, old string) string {
	return fmt.Sprintf(`{"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview","request":{"uid":"705ab4f5-6393","kind":{"group":"apps","version":"v1","kind":%q},`+
		`"resource":{"group":"apps","version":"v1","resource":"x"},"name":"x","namespace":%q,"operation":%q,"userInfo":{"username":"ann"},"object":%s,"oldObject":%s,"dryRun":false,"options":null}}`,
		kind, namespace, operation, object, old)
}

func podOf(images ...string) string {
	var list []string
	for i, image := range images {
		list = append(list, fmt.Sprintf(`{"name":"c%d","image":%q}`, i, image))
	}
	return fmt.Sprintf(`{"metadata":{"name":"x"},"spec":{"containers":[%s]}}`, strings.Join(list, ","))
}

type answer struct {
	APIVersion, Kind string
	Response         struct {
		UID      string
		Allowed  bool
		Warnings []string
		Status   struct {
			Message, Reason, Status string
			Code                    int
		}
	}
}

func (h *house) review(body string) answer {
	h.Helper()
	status, text := h.send(h.secretURL()+"?timeout=5s", body)
	var a answer
	if err := json.Unmarshal([]byte(text), &a); status != http.StatusOK || err != nil || a.Response.UID != "705ab4f5-6393" ||
		a.Kind != "AdmissionReview" || a.APIVersion != "admission.k8s.io/v1" {
		h.Fatalf("%d %v: %s", status, err, text)
	}
	return a
}

func TestGoldenAnswers(t *testing.T) {
	h := open(t)
	for _, c := range []struct{ images, want string }{
		{"r.example/app:good", `{"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview","response":{"uid":"705ab4f5-6393","allowed":true}}`},
		{"r.example/app:bad", `{"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview","response":{"uid":"705ab4f5-6393","allowed":false,` +
			`"status":{"status":"Failure","message":"tidewaiter refuses it: r.example/app:bad (container c0): blocked: critical CVE-1 zlib 1, fixed in 2 (rule strict) and 1 more","reason":"Forbidden","code":403}}}`},
		{"r.example/app:so-so", `{"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview","response":{"uid":"705ab4f5-6393","allowed":true,` +
			`"warnings":["r.example/app:so-so (container c0): alert: critical CVE-1 zlib 1, fixed in 2 (rule strict) and 1 more"]}}`},
		{"nginx", `{"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview","response":{"uid":"705ab4f5-6393","allowed":true,` +
			`"warnings":["nginx (container c0): no verdict: no registry is declared for docker.io"]}}`},
	} {
		status, got := h.send(h.secretURL(), reviewOf("Pod", "shop", "CREATE", podOf(c.images), "null"))
		if status != http.StatusOK || got != c.want {
			t.Errorf("%s: %d\n%s\nwant\n%s", c.images, status, got, c.want)
		}
	}
}

func TestEveryKindAndEveryContainerIsLookedAt(t *testing.T) {
	h := open(t)
	for _, where := range []string{"containers", "initContainers", "ephemeralContainers"} {
		spec := fmt.Sprintf(`{"spec":{%q:[{"name":"good","image":"r.example/app:good"},{"name":"it","image":"r.example/app:bad"}]}}`, where)
		template := `{"spec":{"template":` + spec + `}}`
		objects := map[string]string{"Pod": spec, "PodTemplate": `{"template":` + spec + `}`, "CronJob": `{"spec":{"jobTemplate":` + template + `}}`}
		for _, kind := range []string{"Deployment", "StatefulSet", "DaemonSet", "ReplicaSet", "ReplicationController", "Job"} {
			objects[kind] = template
		}
		for kind, object := range objects {
			a := h.review(reviewOf(kind, "shop", "CREATE", object, "null"))
			if a.Response.Allowed || a.Response.Status.Code != 403 || !strings.Contains(a.Response.Status.Message, "container it") {
				t.Errorf("%s in %s: %+v", where, kind, a.Response)
			}
			if a := h.review(reviewOf(kind, "shop", "UPDATE", object, object)); !a.Response.Allowed {
				t.Errorf("an update of %s that changes no image: %+v", kind, a.Response)
			}
			if a := h.review(reviewOf(kind, "kube-system", "CREATE", object, "null")); !a.Response.Allowed || a.Response.Warnings != nil {
				t.Errorf("%s in an exempt namespace: %+v", kind, a.Response)
			}
		}
	}
	if a := h.review(reviewOf("Pod", "shop", "UPDATE", podOf("r.example/app:bad"), podOf("r.example/app:good"))); a.Response.Allowed {
		t.Error("an update that brings in a blocked image is let through")
	}
	if a := h.review(reviewOf("Pod", "shop", "DELETE", "null", podOf("r.example/app:bad"))); !a.Response.Allowed {
		t.Error("a deletion is refused")
	}
	if a := h.review(reviewOf("ConfigMap", "shop", "CREATE", "{}", "null")); !a.Response.Allowed || len(a.Response.Warnings) != 1 {
		t.Errorf("a kind that runs nothing: %+v", a.Response)
	}
	bound := `{"spec":{"nodeSelector":{"kubernetes.io/arch":"arm64"},"containers":[{"name":"c","image":"r.example/app:good"}]}}`
	if a := h.review(reviewOf("Pod", "shop", "CREATE", bound, "null")); len(a.Response.Warnings) != 1 || !strings.Contains(a.Response.Warnings[0], "linux/arm64") {
		t.Errorf("bound to a platform there is no image for: %+v", a.Response)
	}
}

func TestRules(t *testing.T) {
	h := open(t)
	both := reviewOf("Pod", "shop", "CREATE", podOf("r.example/app:bad", "r.example/app:moved", "nginx"), "null")
	rules := control.DefaultAdmissionRules()
	put := func() {
		t.Helper()
		h.must(h.control.PutAdmissionRules(t.Context(), rules))
	}
	rules.DenyUnknown = true
	put()
	a := h.review(both)
	for _, text := range []string{"app:bad", "the tag has moved", "nginx"} {
		if a.Response.Allowed || !strings.Contains(a.Response.Status.Message, text) {
			t.Errorf("does not say %q: %+v", text, a.Response)
		}
	}
	rules.Audit = true
	put()
	if a = h.review(both); !a.Response.Allowed || len(a.Response.Warnings) != 3 || !strings.Contains(a.Response.Warnings[0], "would be refused") {
		t.Errorf("audit: %+v", a.Response)
	}
	rules.Audit, rules.ExemptImages = false, []string{"r.example/app:*", "docker.io/library/nginx:*"}
	put()
	if a = h.review(both); !a.Response.Allowed || a.Response.Warnings != nil {
		t.Errorf("exempt images: %+v", a.Response)
	}
	rules.ExemptImages = nil
	for _, bad := range []func(*control.AdmissionRules){
		func(r *control.AdmissionRules) { r.Timeout = 10 * time.Second }, func(r *control.AdmissionRules) { r.Timeout = 0 },
		func(r *control.AdmissionRules) { r.Wait = r.Timeout }, func(r *control.AdmissionRules) { r.ExemptSpaces = make([]string, 1000) },
	} {
		r := rules
		bad(&r)
		if err := h.control.PutAdmissionRules(t.Context(), r); tidewaiter.KindOf(err) != tidewaiter.ErrInvalid {
			t.Errorf("%+v: %v", r, err)
		}
	}
}

func TestWhenTheDatabaseIsAway(t *testing.T) {
	good := control.AdmissionRequest{Namespace: "shop", Images: []control.AdmissionImage{{Container: "c", Name: "r.example/app:good"}}}
	for _, deny := range []bool{false, true} {
		h := open(t)
		rules := control.DefaultAdmissionRules()
		rules.DenyOnError = deny
		h.must(h.control.PutAdmissionRules(t.Context(), rules))
		_, err := h.control.Admit(t.Context(), good) // from now on the rules are known
		h.must(err)
		h.must(h.store.Close())
		a, err := h.control.Admit(t.Context(), good)
		if err != nil || a.Allowed == deny || len(a.Warnings)+len(a.Reasons) != 1 {
			t.Errorf("deny on error %t: %+v, %v", deny, a, err)
		}
	}
	h := open(t)
	h.must(h.store.Close())
	if a, err := h.control.Admit(t.Context(), good); err == nil {
		t.Errorf("rules nobody ever read let through: %+v", a)
	}
}

func TestTimeout(t *testing.T) {
	for _, deny := range []bool{false, true} {
		h := open(t)
		rules := control.DefaultAdmissionRules()
		rules.DenyOnTimeout = deny
		h.must(h.control.PutAdmissionRules(t.Context(), rules))
		req := control.AdmissionRequest{Namespace: "shop", Images: []control.AdmissionImage{{Container: "c", Name: "r.example/app:good"}}}
		_, err := h.control.Admit(t.Context(), req)
		h.must(err)
		req.Within = time.Nanosecond // over before it begins
		a, err := h.control.Admit(t.Context(), req)
		if err != nil || a.Allowed == deny || !strings.Contains(strings.Join(append(a.Warnings, a.Reasons...), ""), "not there in time") {
			t.Errorf("deny on timeout %t: %+v, %v", deny, a, err)
		}
	}
}

func TestWhoMayAskAndHow(t *testing.T) {
	h := open(t)
	good := reviewOf("Pod", "shop", "CREATE", podOf("r.example/app:good"), "null")
	beta := strings.Replace(good, "admission.k8s.io/v1", "admission.k8s.io/v1beta1", 1)
	for _, c := range []struct {
		name, url, body string
		login           []string
		status          int
		says            string
	}{
		{"no login", h.url, good, nil, 401, "authentication is required"},
		{"wrong password", h.url, good, []string{"ci", "guess"}, 401, ""},
		{"login", h.url, good, []string{"ci", password}, 200, `"allowed":true`},
		{"wrong secret", h.url + "/guess", good, nil, 404, ""},
		{"v1beta1", h.secretURL(), beta, nil, 200, `admissionReviewVersions`},
		{"v1beta1 keeps its version", h.secretURL(), beta, nil, 200, `"apiVersion":"admission.k8s.io/v1beta1"`},
		{"another version", h.secretURL(), strings.Replace(good, "admission.k8s.io/v1", "admission.k8s.io/v9", 1), nil, 400, "admission.k8s.io/v1"},
		{"no JSON", h.secretURL(), "hello", nil, 400, ""},
		{"cut JSON", h.secretURL(), good[:len(good)/2], nil, 400, ""},
		{"no review", h.secretURL(), `{"kind":"Pod"}`, nil, 400, ""},
		{"no uid", h.secretURL(), strings.Replace(good, "705ab4f5-6393", "", 1), nil, 400, ""},
		{"no pod", h.secretURL(), reviewOf("Pod", "shop", "CREATE", `{"spec":{"containers":7}}`, "null"), nil, 200, `"allowed":false`},
		{"too long", h.secretURL(), good + strings.Repeat(" ", 3<<20), nil, 413, ""},
		{"too deep", h.secretURL(), strings.Replace(good, `"options":null`, `"options":`+strings.Repeat("[", 200)+strings.Repeat("]", 200), 1), nil, 400, "deeper"},
		{"brackets in text", h.secretURL(), strings.Replace(good, `"ann"`, `"`+strings.Repeat(`[\"`, 200)+`"`, 1), nil, 200, `"allowed":true`},
	} {
		status, text := h.send(c.url, c.body, c.login...)
		if status != c.status || !strings.Contains(text, c.says) {
			t.Errorf("%s: %d %s", c.name, status, text)
		}
	}
}
