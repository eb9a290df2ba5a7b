package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"path/filepath"
	"slices"
	"time"

	"github.com/tidewaiter/tidewaiter/internal/samples"
)

// pushed measures how long after a push an image is judged, when its layers are known.
func pushed(ctx context.Context, l *lab) (t table, err error) {
	const pushes = 60
	t = table{
		title: "From a push to the verdict",
		about: fmt.Sprintf("A distribution registry with notifications tells the server of %d pushes, one after the other: each a new tag with a new image "+
			"of layers that are known. Measured from the end of the push until the API shows the tag judged, asked every 10 ms. Nothing polls the registry.", pushes),
		columns: []string{"pushes", "p50 s", "p95 s", "max s", "target (p95)"},
	}
	data, err := filepath.Abs(filepath.Join(l.dir, "pushed"))
	if err != nil {
		return t, err
	}
	listen, err := freeAddress(ctx)
	if err != nil {
		return t, err
	}
	address, err := freeAddress(ctx)
	if err != nil {
		return t, err
	}
	path, err := makeAddress(ctx, data, "", "http://"+address)
	if err != nil {
		return t, err
	}
	server, err := l.start(ctx, data, "-listen", listen, "-advisories", l.registry.host+"/"+samples.AdvisoriesRepository+":"+samples.AdvisoriesTag)
	if err != nil {
		return t, err
	}
	defer func() {
		_, stopped := server.stop()
		err = errors.Join(err, stopped)
	}()
	notifications := fmt.Sprintf("notifications: {endpoints: [{name: tidewaiter, url: %q, timeout: 5s, threshold: 3, backoff: 100ms}]}\n", "http://"+listen+path)
	registry, err := startRegistryAt(ctx, "bin/registry", filepath.Join(l.dir, "pushed-registry"), address, notifications)
	if err != nil {
		return t, err
	}
	defer registry.stop()
	var login struct{ Token string }
	if err := server.call(ctx, http.MethodPost, "/api/v1/authenticate", map[string]string{"username": "admin", "password": adminPassword}, &login); err != nil {
		return t, err
	}
	server.token = login.Token
	pusher, err := samples.NewPusher(registry.url, samples.Options{})
	if err != nil {
		return t, err
	}
	var took []time.Duration
	for i := range pushes + 1 {
		image := samples.NewImage().Config("", func(c *samples.Config) { c.Env = append(c.Env, fmt.Sprintf("BUILD=%d", i)) }).
			Step("base", samples.File("etc/os-release", "ID=debian\nVERSION_ID=12\n")).
			Step("app", samples.File("app/package.json", `{"name":"left-pad","version":"1.0.0"}`)).MustBuild()
		tag := fmt.Sprintf("v%d", i)
		if err := pusher.Push(ctx, "team/app", image, tag); err != nil {
			return t, err
		}
		began := time.Now()
		if err := server.judged(ctx, "team/app", tag); err != nil {
			return t, err
		}
		if i > 0 { // the first brings the layers
			took = append(took, time.Since(began))
		}
	}
	slices.Sort(took)
	p95 := took[len(took)*95/100].Seconds()
	t.add(count(len(took)), seconds(took[len(took)/2].Seconds()), seconds(p95), seconds(took[len(took)-1].Seconds()), against(p95, 2, " s"))
	return t, nil
}

// judged waits until a tag is shown with a verdict.
func (s *server) judged(ctx context.Context, repository, tag string) error {
	query := url.Values{"repository": {repository}, "tag": {tag}, "state": {"judged"}}.Encode()
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); {
		var page struct {
			Items []struct {
				Judgement *struct{} `json:"judgement"`
			} `json:"items"`
		}
		if err := s.call(ctx, http.MethodGet, "/tidewaiter/v1/images?"+query, nil, &page); err != nil {
			return err
		}
		if len(page.Items) == 1 && page.Items[0].Judgement != nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(10 * time.Millisecond):
		}
	}
	return fmt.Errorf("%s:%s is not judged", repository, tag)
}
