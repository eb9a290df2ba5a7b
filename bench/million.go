package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/tidewaiter/tidewaiter/bench/cost"
	"github.com/tidewaiter/tidewaiter/emulator"
)

// The fleet that is too large to be kept anywhere.
const (
	millionRepositories = 1000
	millionTags         = 1000 // a repository
	millionTarget       = 300  // MiB
	listedAtOnce        = 40   // repositories; what a crash makes start over
)

// Endpoints of the emulator.
const (
	askedCatalog = "GET /acr/v1/_catalog"
	askedTags    = "GET /acr/v1/{name}/_tags"
)

// millionTagsDiscovered has the whole server discover a million tags, kills it half-way, and has it go on.
func millionTagsDiscovered(ctx context.Context, l *lab) (t table, err error) {
	all := millionRepositories * millionTags
	t = table{
		title: fmt.Sprintf("Discovery of %s tags in %s repositories", count(all), count(millionRepositories)),
		about: "The whole server, on SQLite, discovers an emulated registry with Azure's API (a page has 1,000 tags), killed with SIGKILL when " +
			"half of the repositories had been asked for and started again. It looks into the images it finds at the same time; the requests for " +
			"that and for logging in are not counted here. Budget: 50 requests a second for all.",
		columns: []string{"part", "repositories listed", "lists of repositories asked for", "lists of tags asked for", "peak MiB", "target", "wall s"},
	}
	e, err := emulator.New(emulator.Options{Kind: emulator.ACR, Repositories: millionRepositories, Tags: millionTags, Indexes: -1, Artifacts: -1}) //nolint:contextcheck // it lives until Close
	if err != nil {
		return t, err
	}
	defer func() { err = errors.Join(err, e.Close()) }()
	s, err := l.serve(ctx)
	if err != nil {
		return t, err
	}
	defer func() { s.kill() }()
	login := e.Login()
	if err := s.call(ctx, http.MethodPost, "/api/v1/credentials", map[string]any{
		"_id": "admin", "type": "basic", "accountID": login.Username, "secret": map[string]any{"plain": login.Password},
	}, nil); err != nil {
		return t, err
	}
	declared := map[string]any{"specifications": []any{map[string]any{"version": "azure", "registry": e.URL, "credentialID": "admin"}}}
	if err := s.call(ctx, http.MethodPut, settingsPath, declared, nil); err != nil {
		return t, err
	}
	if err := s.listed(ctx, &t, e, "until it was killed", func(int) bool { return e.Counts()[askedTags] >= millionRepositories/2 }); err != nil {
		return t, err
	}
	s.kill()
	token := s.token
	if s, err = l.start(ctx, s.data); err != nil {
		return t, err
	}
	s.token = token
	if err := s.listed(ctx, &t, e, "after that, to the end", func(n int) bool { return n == millionRepositories }); err != nil {
		return t, err
	}
	asked := e.Counts()[askedTags]
	t.notef("Resumed without starting over: %s. Of %s lists of tags %d were asked for again; at most %d were under way when it was killed.",
		met(asked <= millionRepositories+listedAtOnce && e.Counts()[askedCatalog] == 1), count(millionRepositories), asked-millionRepositories, listedAtOnce)
	return t, nil
}

// listed waits until so many repositories are listed, and adds what that took to the table.
func (s *server) listed(ctx context.Context, t *table, e *emulator.Emulator, part string, enough func(listed int) bool) error {
	began := time.Now()
	for time.Since(began) < time.Hour {
		var now []struct {
			Discovery struct {
				Scanned int `json:"scanned"`
			} `json:"discovery"`
		}
		if err := s.call(ctx, http.MethodGet, "/api/v1/registry/progress", nil, &now); err != nil {
			return err
		}
		if len(now) == 1 && enough(now[0].Discovery.Scanned) {
			peak, err := cost.Peak(s.cmd.Process.Pid)
			t.add(part, count(now[0].Discovery.Scanned), count(e.Counts()[askedCatalog]), count(e.Counts()[askedTags]),
				mebibytes(peak), against(float64(peak)/(1<<20), millionTarget, " MiB"), seconds(time.Since(began).Seconds()))
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(100 * time.Millisecond):
		}
	}
	return errors.New("the listing does not end")
}

// kill ends the server as a power cut would.
func (s *server) kill() {
	_ = s.cmd.Process.Kill() // it may have ended
	_ = s.cmd.Wait()
}

// met words whether something that has no figure is so.
func met(so bool) string {
	if so {
		return "met"
	}
	return "**missed**"
}
