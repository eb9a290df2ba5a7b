package cli

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/schollz/progressbar/v3"

	"github.com/tidewaiter/tidewaiter/internal/control"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// demoTour uses the server as its clients do: over HTTP.
type demoTour struct {
	out      io.Writer
	url      string
	control  *control.Control
	registry string
	timeout  time.Duration
}

func (t *demoTour) sayf(format string, args ...any) { sayf(t.out, format+"\n", args...) }

func (t *demoTour) run(ctx context.Context) error {
	t.sayf("   %s is up; waiting for the advisories.", t.url)
	if err := t.advisories(ctx); err != nil {
		return err
	}
	t.sayf("\n4. A policy over the Prisma API: block what is critical and has a fix. PUT /api/v1/policies/vulnerability/images")
	if err := t.policy(ctx); err != nil {
		return err
	}
	t.sayf("   The registry, declared over the Prisma API: PUT /api/v32.07/settings/registry")
	if err := t.declarePrisma(ctx); err != nil {
		return err
	}
	t.sayf("   and over the Qualys API: POST /csapi/v1.3/registry")
	if err := t.declareQualys(ctx); err != nil {
		return err
	}
	t.sayf("\n5. Discovery and scan:")
	if err := t.watch(ctx); err != nil {
		return err
	}
	return t.table(ctx)
}

func (t *demoTour) advisories(ctx context.Context) error {
	for deadline := time.Now().Add(30 * time.Second); ; {
		state := t.control.Advisories()
		if state.Current != nil {
			return nil
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("no advisories after 30 seconds: %s", state.Error)
		}
		if err := pause(ctx, 100*time.Millisecond); err != nil {
			return err
		}
	}
}

func (t *demoTour) policy(ctx context.Context) error {
	rule := map[string]any{
		"name": "block fixable criticals", "collections": []any{map[string]any{"name": "All"}}, "onlyFixed": true,
		"alertThreshold": map[string]any{"value": 1}, "blockThreshold": map[string]any{"enabled": true, "value": 9},
	}
	return t.call(ctx, http.MethodPut, "/api/v1/policies/vulnerability/images", "", map[string]any{"rules": []any{rule}}, nil)
}

func (t *demoTour) declarePrisma(ctx context.Context) error {
	credential := map[string]any{"_id": "demo registry", "type": "basic", "accountID": demoRegistryUser, "secret": map[string]any{"plain": demoRegistryPass}}
	if err := t.call(ctx, http.MethodPost, "/api/v1/credentials", "", credential, nil); err != nil {
		return err
	}
	settings := map[string]any{"specifications": []any{map[string]any{
		"version": "2", "registry": t.registry, "repository": "", "tag": "", "os": "linux", "cap": 0,
		"excludedRepositories": []string{"tidewaiter/*"}, "credentialID": "demo registry", "scanners": 2, "collections": []string{"All"},
	}}}
	return t.call(ctx, http.MethodPut, "/api/v32.07/settings/registry", "", settings, nil)
}

func (t *demoTour) declareQualys(ctx context.Context) error {
	form := url.Values{"username": {"admin"}, "password": {demoPassword}, "token": {"true"}}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, t.url+"/auth", strings.NewReader(form.Encode()))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	token, err := t.do(req)
	if err != nil {
		return err
	}
	encode := func(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) }
	registry := map[string]any{
		"registryName": "demo", "registryType": "V2_PRIVATE", "registryUri": t.registry, "registryUuid": nil, "credentialType": "BasicAuth",
		"credential": map[string]any{"username": encode(demoRegistryUser), "password": encode(demoRegistryPass)},
	}
	return t.call(ctx, http.MethodPost, "/csapi/v1.3/registry", string(token), registry, nil)
}

// watch shows how far the scans have come until all are over.
func (t *demoTour) watch(ctx context.Context) error {
	bar := progressbar.NewOptions(-1, progressbar.OptionSetWriter(t.out), progressbar.OptionSetDescription("   images judged"),
		progressbar.OptionShowCount(), progressbar.OptionSetWidth(40), progressbar.OptionSetVisibility(isTerminal(t.out)))
	shown := -1
	for deadline := time.Now().Add(t.timeout); ; {
		scans, _, err := t.control.Scans(ctx, control.ScanFilter{})
		if err != nil {
			return err
		}
		over, total, done := len(scans) > 0, 0, 0
		for _, s := range scans {
			over = over && s.State.Done()
			total += s.ImagesTotal
			done += s.ImagesDone + s.ImagesFailed
		}
		if done != shown && !isTerminal(t.out) {
			t.sayf("   %d of %d images judged", done, total)
		}
		shown = done
		bar.ChangeMax(max(total, 1))
		_ = bar.Set(done) // a bar that cannot be drawn is no reason to stop
		if over {
			_ = bar.Finish()
			return t.verdictOf(scans)
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("after %s %d of %d images are judged", t.timeout, done, total)
		}
		if err := pause(ctx, 200*time.Millisecond); err != nil {
			return err
		}
	}
}

func (t *demoTour) verdictOf(scans []*tidewaiter.Scan) error {
	t.sayf("")
	for _, s := range scans {
		t.sayf("   scan of %s: %s, %d repositories, %d tags, %d of %d images judged", t.registry, s.State, s.Repositories, s.TagsSelected, s.ImagesDone, s.ImagesTotal)
		for _, e := range s.Errors {
			t.sayf("   %s:%s: %s", e.Repository, e.Tag, e.Text)
		}
		if s.State != tidewaiter.ScanCompleted || s.ImagesFailed > 0 {
			return fmt.Errorf("the scan did not go well: %s, %d images failed %s", s.State, s.ImagesFailed, s.Error)
		}
	}
	return nil
}

// call sends and reads JSON, with Basic or, given a token, as Bearer.
func (t *demoTour) call(ctx context.Context, method, path, token string, body, answer any) error {
	text, err := json.Marshal(body)
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, method, t.url+path, bytes.NewReader(text))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	req.SetBasicAuth("admin", demoPassword)
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	text, err = t.do(req)
	if err != nil || answer == nil {
		return err
	}
	return json.Unmarshal(text, answer)
}

func (t *demoTour) do(req *http.Request) ([]byte, error) {
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	text, err := io.ReadAll(io.LimitReader(res.Body, 16<<20))
	if err == nil && res.StatusCode/100 != 2 {
		err = fmt.Errorf("%s %s: %s: %s", req.Method, req.URL.Path, res.Status, text)
	}
	return text, err
}

func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}
