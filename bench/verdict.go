package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/tidewaiter/tidewaiter/internal/store"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

const (
	verdictImages = 20_000
	verdictRate   = 500 // requests a second
	verdictTime   = 20 * time.Second
	verdictHost   = "registry.example.com"
)

// verdicts measures how soon the gate answers under a steady load.
func verdicts(ctx context.Context, l *lab) (t table, err error) {
	t = table{
		title: fmt.Sprintf("Verdicts at %d requests a second, %s images on SQLite", verdictRate, count(verdictImages)),
		about: fmt.Sprintf("`GET /tidewaiter/v1/verdict` for images at random, by tag and by digest in turn, for %s over loopback, with the "+
			"client on the same machine. Requests begin when they are due, whatever became of those before, and a request's time counts "+
			"from when it was due.", verdictTime),
		columns: []string{"login", "requests", "failed", "p50 ms", "p95 ms", "p99 ms", "max ms", "target"},
	}
	data, err := os.MkdirTemp(l.dir, "data-")
	if err != nil {
		return t, err
	}
	if err := fillVerdicts(ctx, filepath.Join(data, "tidewaiter.db")); err != nil {
		return t, err
	}
	s, err := l.start(ctx, data)
	if err != nil {
		return t, err
	}
	defer func() {
		took, stopped := s.stop()
		err = errors.Join(err, stopped)
		t.notef("The server took %s s of CPU and %s MiB at its peak.", seconds(took.CPUSeconds), mebibytes(took.PeakBytes))
	}()
	var login struct{ Token string }
	if err := s.call(ctx, http.MethodPost, "/api/v1/authenticate", map[string]string{"username": "admin", "password": adminPassword}, &login); err != nil {
		return t, err
	}
	for _, way := range []struct {
		name  string
		login func(*http.Request)
	}{
		{"token", func(r *http.Request) { r.Header.Set("Authorization", "Bearer "+login.Token) }},
		{"user and password", func(r *http.Request) { r.SetBasicAuth("admin", adminPassword) }},
	} {
		took, failed := openLoop(ctx, s.url, way.login)
		at := func(part float64) float64 {
			return float64(took[min(len(took)-1, int(part*float64(len(took))))].Microseconds()) / 1000
		}
		t.add(way.name, count(len(took)), count(failed), seconds(at(0.5)), seconds(at(0.95)), seconds(at(0.99)), seconds(at(1)),
			against(at(0.99), 20, " ms at p99"))
	}
	return t, nil
}

func verdictDigest(i int) string { return fmt.Sprintf("sha256:%064x", i+1) }

func verdictTag(i int) string { return fmt.Sprintf("%s/team/app:v%d", verdictHost, i) }

// fillVerdicts stores images, each with a tag and a blocking verdict with as many reasons as one keeps.
func fillVerdicts(ctx context.Context, path string) (err error) {
	db, err := store.Open(ctx, store.Config{URL: path})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	verdict := tidewaiter.Verdict{Effect: tidewaiter.EffectBlock, Rules: []string{"strict"}, Blocks: 40}
	for i := range tidewaiter.MaxVerdictReasons {
		verdict.Reasons = append(verdict.Reasons, tidewaiter.VerdictReason{Effect: tidewaiter.EffectBlock, Rule: "strict",
			Vulnerability: fmt.Sprintf("CVE-2026-%04d", i), Package: "openssl 3.0.11-1~deb12u2", FixedIn: "3.0.13-1~deb12u1",
			Severity: tidewaiter.SeverityCritical, Why: "severity critical is at or above the threshold"})
	}
	const analyzer = "bench"
	now := time.Now()
	var repository int64
	if err := db.Update(ctx, func(tx *store.Tx) error {
		if err := tx.InsertRegistries(ctx, []*tidewaiter.Registry{{ID: "bench", Kind: tidewaiter.KindOCI, URL: "https://" + verdictHost,
			Origin: tidewaiter.OriginNative, CreatedAt: now, UpdatedAt: now}}); err != nil {
			return err
		}
		ids, err := tx.RecordRepositories(ctx, "bench", "scan", verdictHost, []store.RepositoryDecision{
			{Name: "team/app", Decision: tidewaiter.Decision{Included: true, Reason: tidewaiter.ReasonSelected}}})
		repository = ids["team/app"]
		return err
	}); err != nil {
		return err
	}
	fill := func(tx *store.Tx, i int) error {
		img := &tidewaiter.Image{Digest: verdictDigest(i), Platform: tidewaiter.Platform{OS: "linux", Architecture: "amd64"}}
		tags, err := tx.RecordTags(ctx, store.RecordTags{RegistryID: "bench", ScanID: "scan", RepositoryID: repository, Analyzer: analyzer,
			Tags: []tidewaiter.ListedTag{{Name: fmt.Sprintf("v%d", i), Digest: img.Digest}}, Now: now})
		if err != nil {
			return err
		}
		if _, err := tx.IndexTag(ctx, store.IndexTag{TagID: tags[0].TagID, Digest: img.Digest, Images: []*tidewaiter.Image{img},
			Analyzer: analyzer, Now: now, Source: store.Source{RegistryID: "bench", Repository: "team/app"}}); err != nil {
			return err
		}
		_, err = tx.SaveJudgement(ctx, store.SaveJudgement{ImageID: img.ID, Content: &tidewaiter.Content{}, Now: now,
			Judgement: &tidewaiter.Judgement{Advisories: "bench", Analyzer: analyzer, JudgedAt: now, Verdict: verdict}})
		return err
	}
	for from := 0; from < verdictImages; from += 1000 {
		if err := db.Update(ctx, func(tx *store.Tx) error {
			for i := from; i < from+1000; i++ {
				if err := fill(tx, i); err != nil {
					return err
				}
			}
			return nil
		}); err != nil {
			return err
		}
	}
	return nil
}

// openLoop sends requests at the rate and returns how long each took since it was due, shortest first, and how many failed.
func openLoop(ctx context.Context, server string, login func(*http.Request)) (took []time.Duration, failed int) {
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 256}, Timeout: 10 * time.Second}
	defer client.CloseIdleConnections()
	var mu sync.Mutex
	var open sync.WaitGroup
	began := time.Now()
	for i := range int(verdictTime.Seconds()) * verdictRate {
		due := began.Add(time.Duration(i) * time.Second / verdictRate)
		time.Sleep(time.Until(due))
		n := rand.N(verdictImages) //nolint:gosec // chooses images
		image := verdictTag(n)
		if i%2 == 1 {
			image = verdictHost + "/team/app@" + verdictDigest(n)
		}
		open.Go(func() {
			ok := askVerdict(ctx, client, server+"/tidewaiter/v1/verdict?image="+url.QueryEscape(image), login)
			t := time.Since(due)
			mu.Lock()
			defer mu.Unlock()
			if took = append(took, t); !ok {
				failed++
			}
		})
	}
	open.Wait()
	slices.Sort(took)
	return took, failed
}

func askVerdict(ctx context.Context, client *http.Client, target string, login func(*http.Request)) bool {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, target, nil)
	if err != nil {
		return false
	}
	login(req)
	res, err := client.Do(req)
	if err != nil {
		return false
	}
	defer res.Body.Close()
	_, err = io.Copy(io.Discard, res.Body)
	return err == nil && res.StatusCode == http.StatusOK
}
