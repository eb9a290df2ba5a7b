package advisory_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"iter"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tidewaiter/tidewaiter/internal/advisory"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

const (
	epssHead = "#model_version:v2025.03.14,score_date:%s\ncve,epss,percentile\n"
	kevDoc   = `{"catalogVersion":"2026.11.01","dateReleased":"2026-11-01T14:00:00.0000Z","count":%d,"vulnerabilities":[%s]}`
	kevEntry = `{"cveID":"CVE-2021-44228","vendorProject":"Apache","dateAdded":"2021-12-10","dueDate":"2021-12-24","knownRansomwareCampaignUse":"Known","notes":""}`
)

func scoresOf(date string, lines ...string) string {
	return fmt.Sprintf(epssHead, date) + strings.Join(lines, "\n") + "\n"
}

// taker remembers what it was handed.
type taker struct {
	scores  []tidewaiter.EPSSScore
	catalog map[string]tidewaiter.KEV
	taken   []string // versions
	refuse  error
}

func (t *taker) TakeEPSS(_ context.Context, f tidewaiter.Feed, scores iter.Seq2[tidewaiter.EPSSScore, error]) error {
	if t.refuse != nil {
		return t.refuse
	}
	t.scores, t.taken = nil, append(t.taken, f.Version)
	for s, err := range scores {
		if err != nil {
			return err
		}
		t.scores = append(t.scores, s)
	}
	return nil
}

func (t *taker) TakeKEV(_ context.Context, f tidewaiter.Feed, catalog map[string]tidewaiter.KEV) error {
	t.catalog, t.taken = catalog, append(t.taken, f.Version)
	return t.refuse
}

func day(s string) time.Time {
	t, err := time.Parse(time.DateOnly, s)
	if err != nil {
		panic(err)
	}
	return t
}

func newFeeds(dir string, t *taker, sources map[tidewaiter.FeedKind]string, change ...func(*advisory.FeedOptions)) *advisory.Feeds {
	o := advisory.FeedOptions{Dir: dir, Sources: sources, Now: func() time.Time { return day("2026-11-03") }, Random: func() float64 { return 0 }}
	if t != nil {
		o.Taker = t
	}
	for _, f := range change {
		f(&o)
	}
	return advisory.NewFeeds(o)
}

func zipped(s string) []byte {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	_, _ = z.Write([]byte(s))
	_ = z.Close()
	return b.Bytes()
}

func TestFeedsFromFiles(t *testing.T) {
	dir := t.TempDir()
	epss, kev := filepath.Join(dir, "epss.csv.gz"), filepath.Join(dir, "kev.json")
	write(t, epss, string(zipped(scoresOf("2026-11-02T12:55:00Z", "CVE-2021-44228,0.94358,0.99958", "CVE-2020-0001,0.00043,0.05083"))))
	write(t, kev, fmt.Sprintf(kevDoc, 1, kevEntry))
	user := &taker{}
	feeds := newFeeds(filepath.Join(dir, "feeds"), user, map[tidewaiter.FeedKind]string{tidewaiter.FeedEPSS: epss, tidewaiter.FeedKEV: kev})
	for _, kind := range tidewaiter.FeedKinds() {
		if changed, err := feeds.Update(t.Context(), kind, true); err != nil || !changed {
			t.Fatalf("%s: changed %t, %v", kind, changed, err)
		}
	}
	if diff := cmp.Diff([]tidewaiter.EPSSScore{{Name: "CVE-2021-44228", Score: 0.94358, Percentile: 0.99958}, {Name: "CVE-2020-0001", Score: 0.00043, Percentile: 0.05083}}, user.scores); diff != "" {
		t.Error(diff)
	}
	want := map[string]tidewaiter.KEV{"CVE-2021-44228": {Added: day("2021-12-10"), Due: day("2021-12-24"), Ransomware: true}}
	if diff := cmp.Diff(want, user.catalog); diff != "" {
		t.Error(diff)
	}
	s := feeds.State(tidewaiter.FeedEPSS)
	if !s.Taken || s.Current.Entries != 2 || s.Current.Release != "v2025.03.14" || !s.Current.Date.Equal(time.Date(2026, 11, 2, 12, 55, 0, 0, time.UTC)) {
		t.Errorf("%+v %+v", s, s.Current)
	}
	if !s.Next.Equal(day("2026-11-03").Add(6 * time.Hour)) {
		t.Errorf("next look at %s", s.Next)
	}

	// The same file again changes nothing, and one that is not due is not looked at.
	for _, force := range []bool{true, false} {
		if changed, err := feeds.Update(t.Context(), tidewaiter.FeedEPSS, force); changed || err != nil {
			t.Errorf("again: changed %t, %v", changed, err)
		}
	}
	if len(user.taken) != 2 {
		t.Errorf("taken %d times", len(user.taken))
	}

	// A process that starts later takes what is on disk into use without asking the source.
	if err := os.Remove(epss); err != nil {
		t.Fatal(err)
	}
	again := &taker{}
	ctx, stop := context.WithCancel(t.Context())
	stop()
	later := newFeeds(filepath.Join(dir, "feeds"), again, nil)
	later.Run(ctx) // ended before it began: nothing happens
	if len(again.taken) != 0 {
		t.Error("taken by a process that was stopped")
	}
	if _, err := later.Import(t.Context(), tidewaiter.FeedKEV, kev); err != nil || len(again.taken) != 1 {
		t.Errorf("taken %d times, %v", len(again.taken), err)
	}
}

// TestFeedsOverHTTP: what has not changed is not sent again, and what goes wrong has its kind and changes nothing.
func TestFeedsOverHTTP(t *testing.T) {
	body, status, sent := zipped(scoresOf("2026-11-02T00:00:00+0000", "CVE-2021-44228,0.5,0.9")), 0, 0
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case status != 0:
			w.Header().Set("Retry-After", "7200")
			w.WriteHeader(status)
		case r.Header.Get("If-None-Match") == `"one"`:
			w.WriteHeader(http.StatusNotModified)
		default:
			sent++
			w.Header().Set("ETag", `"one"`)
			_, _ = w.Write(body)
		}
	}))
	defer server.Close()
	source := strings.Replace(server.URL, "http://", "http://user:secret@", 1) + "/epss.csv.gz"
	user := &taker{}
	sources := map[tidewaiter.FeedKind]string{tidewaiter.FeedEPSS: source}
	dir := t.TempDir()
	feeds := newFeeds(dir, user, sources)
	for range 2 {
		if _, err := feeds.Update(t.Context(), tidewaiter.FeedEPSS, true); err != nil {
			t.Fatal(err)
		}
	}
	again := newFeeds(dir, user, sources)
	if changed, err := again.Update(t.Context(), tidewaiter.FeedEPSS, true); changed || err != nil || sent != 1 {
		t.Errorf("after a restart: changed %t, sent %d times, %v", changed, sent, err)
	}
	if s := again.State(tidewaiter.FeedEPSS); strings.Contains(fmt.Sprintf("%+v %+v", s, s.Current), "secret") {
		t.Errorf("the password is shown: %+v", s.Current)
	}
	for code, kind := range map[int]tidewaiter.ErrorKind{401: tidewaiter.ErrDenied, 404: tidewaiter.ErrGone, 429: tidewaiter.ErrLimit, 503: tidewaiter.ErrTransient, 418: tidewaiter.ErrUnsupported} {
		status = code
		if _, err := feeds.Update(t.Context(), tidewaiter.FeedEPSS, true); tidewaiter.KindOf(err) != kind || strings.Contains(err.Error(), "secret") {
			t.Errorf("%d: %v", code, err)
		}
		if code == 429 {
			if next := feeds.State(tidewaiter.FeedEPSS).Next; !next.Equal(day("2026-11-03").Add(2 * time.Hour)) {
				t.Errorf("told to wait two hours, next look at %s", next)
			}
		}
	}
	if s := feeds.State(tidewaiter.FeedEPSS); s.Current == nil || !s.Taken || len(user.scores) != 1 {
		t.Errorf("what was in use is gone: %+v", s)
	}
}

// TestFeedFromAnArtifact: a reference is looked at by its layer's digest and fetched when that changes.
func TestFeedFromAnArtifact(t *testing.T) {
	r := newRegistry(t)
	reference := r.push(t, "application/json", []byte(fmt.Sprintf(kevDoc, 1, kevEntry)))
	user := &taker{}
	feeds := newFeeds(t.TempDir(), user, map[tidewaiter.FeedKind]string{tidewaiter.FeedKEV: reference}, func(o *advisory.FeedOptions) { o.Artifacts = r })
	for range 2 {
		if _, err := feeds.Update(t.Context(), tidewaiter.FeedKEV, true); err != nil {
			t.Fatal(err)
		}
	}
	if n := r.blobs.Load(); n != 1 || len(user.catalog) != 1 {
		t.Errorf("%d blobs, %d entries", n, len(user.catalog))
	}
	damage := func(b []byte) []byte { return bytes.Replace(b, []byte("2021-44228"), []byte("2021-44229"), 1) }
	r.damage.Store(&damage)
	r.push(t, "application/json", []byte(fmt.Sprintf(kevDoc, 1, kevEntry)+" "))
	if _, err := feeds.Update(t.Context(), tidewaiter.FeedKEV, true); tidewaiter.KindOf(err) != tidewaiter.ErrMalformed {
		t.Errorf("a damaged blob: %v", err)
	}
}

// TestFeedsRefuse: what is no feed, or cut short, or too large, or older, leaves the one in use alone.
func TestFeedsRefuse(t *testing.T) {
	good := scoresOf("2026-11-02T00:00:00+0000", "CVE-2021-44228,0.5,0.9")
	whole := zipped(scoresOf("2026-11-02T00:00:00+0000", strings.Repeat("CVE-2021-44228,0.12345,0.9\n", 1000)+"CVE-2021-1111,0.5,0.9"))
	for name, c := range map[string]struct {
		kind    tidewaiter.FeedKind
		content string
		want    tidewaiter.ErrorKind
		says    string
	}{
		"empty":              {tidewaiter.FeedEPSS, "", tidewaiter.ErrMalformed, "empty"},
		"no comment":         {tidewaiter.FeedEPSS, "cve,epss,percentile\nCVE-2021-44228,0.5,0.9\n", tidewaiter.ErrMalformed, "line 1"},
		"no date":            {tidewaiter.FeedEPSS, "#model_version:v1\ncve,epss,percentile\nCVE-2021-44228,0.5,0.9\n", tidewaiter.ErrMalformed, "score_date"},
		"other columns":      {tidewaiter.FeedEPSS, "#score_date:2026-11-02\ncve,score\n", tidewaiter.ErrMalformed, "line 2"},
		"no scores":          {tidewaiter.FeedEPSS, scoresOf("2026-11-02")[:54], tidewaiter.ErrMalformed, ""},
		"not a CVE":          {tidewaiter.FeedEPSS, scoresOf("2026-11-02", "GHSA-1,0.5,0.9"), tidewaiter.ErrMalformed, "line 3"},
		"above one":          {tidewaiter.FeedEPSS, scoresOf("2026-11-02", "CVE-2021-44228,1.5,0.9"), tidewaiter.ErrMalformed, "epss"},
		"not a number":       {tidewaiter.FeedEPSS, scoresOf("2026-11-02", "CVE-2021-44228,0.5,NaN"), tidewaiter.ErrMalformed, "percentile"},
		"long line":          {tidewaiter.FeedEPSS, scoresOf("2026-11-02", strings.Repeat("x", 1<<16)), tidewaiter.ErrMalformed, "longer"},
		"cut short":          {tidewaiter.FeedEPSS, string(whole[:len(whole)-6]), tidewaiter.ErrMalformed, "unexpected EOF"},
		"older":              {tidewaiter.FeedEPSS, scoresOf("2026-11-01", "CVE-2021-44228,0.5,0.9"), tidewaiter.ErrMalformed, "older"},
		"too large":          {tidewaiter.FeedEPSS, scoresOf("2026-11-02", strings.Repeat("CVE-2021-44228,0.5,0.9\n", 10_000)), tidewaiter.ErrTooLarge, "larger"},
		"unpacks too large":  {tidewaiter.FeedEPSS, string(zipped(scoresOf("2026-11-02", strings.Repeat("CVE-2021-44228,0.5,0.9\n", 100_000)))), tidewaiter.ErrTooLarge, "larger"},
		"not JSON":           {tidewaiter.FeedKEV, "<html>", tidewaiter.ErrMalformed, "cannot be read"},
		"no entries":         {tidewaiter.FeedKEV, fmt.Sprintf(kevDoc, 0, ""), tidewaiter.ErrMalformed, "no vulnerabilities"},
		"fewer than it says": {tidewaiter.FeedKEV, fmt.Sprintf(kevDoc, 2, kevEntry), tidewaiter.ErrMalformed, "says it has 2"},
		"odd name":           {tidewaiter.FeedKEV, fmt.Sprintf(kevDoc, 1, strings.Replace(kevEntry, "CVE-2021", "CVE'2021", 1)), tidewaiter.ErrMalformed, "vulnerabilities[0].cveID"},
		"no day":             {tidewaiter.FeedKEV, fmt.Sprintf(kevDoc, 1, strings.Replace(kevEntry, "2021-12-10", "yesterday", 1)), tidewaiter.ErrMalformed, "cannot be read"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			first, next := filepath.Join(dir, "first"), filepath.Join(dir, "next")
			write(t, first, good)
			if c.kind == tidewaiter.FeedKEV {
				write(t, first, fmt.Sprintf(kevDoc, 1, kevEntry))
			}
			write(t, next, c.content)
			user := &taker{}
			feeds := newFeeds(filepath.Join(dir, "feeds"), user, map[tidewaiter.FeedKind]string{c.kind: next},
				func(o *advisory.FeedOptions) { o.MaxFile, o.MaxText = 100<<10, 1<<20 })
			if _, err := feeds.Import(t.Context(), c.kind, first); err != nil {
				t.Fatal(err)
			}
			before := *feeds.State(c.kind).Current
			changed, err := feeds.Update(t.Context(), c.kind, true)
			if changed || tidewaiter.KindOf(err) != c.want || !strings.Contains(err.Error(), c.says) {
				t.Errorf("changed %t, %v", changed, err)
			}
			if s := feeds.State(c.kind); s.LastError == nil || *s.Current != before || len(user.taken) != 1 {
				t.Errorf("%+v", s)
			}
			entries, err := os.ReadDir(filepath.Join(dir, "feeds"))
			if err != nil || len(entries) != 2 {
				t.Errorf("left behind: %v, %v", entries, err)
			}
		})
	}
}

// TestFeedNotTaken: a feed the database refuses is offered again, and one that is damaged on disk is fetched again.
func TestFeedNotTaken(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "kev.json")
	write(t, file, fmt.Sprintf(kevDoc, 1, kevEntry))
	user := &taker{refuse: tidewaiter.Errorf(tidewaiter.ErrTransient, "the database is away")}
	feeds := newFeeds(filepath.Join(dir, "feeds"), user, map[tidewaiter.FeedKind]string{tidewaiter.FeedKEV: file})
	if _, err := feeds.Update(t.Context(), tidewaiter.FeedKEV, true); tidewaiter.KindOf(err) != tidewaiter.ErrTransient || feeds.State(tidewaiter.FeedKEV).Taken {
		t.Errorf("%v, %+v", err, feeds.State(tidewaiter.FeedKEV))
	}
	user.refuse = nil
	if _, err := feeds.Update(t.Context(), tidewaiter.FeedKEV, true); err != nil || !feeds.State(tidewaiter.FeedKEV).Taken {
		t.Errorf("%v, %+v", err, feeds.State(tidewaiter.FeedKEV))
	}
	matches, err := filepath.Glob(filepath.Join(dir, "feeds", "kev-*.data"))
	if err != nil || len(matches) != 1 {
		t.Fatal(matches, err)
	}
	write(t, matches[0], "damaged")
	again := newFeeds(filepath.Join(dir, "feeds"), &taker{}, map[tidewaiter.FeedKind]string{tidewaiter.FeedKEV: file})
	if _, err := again.Update(t.Context(), tidewaiter.FeedKEV, true); err != nil || !again.State(tidewaiter.FeedKEV).Taken {
		t.Errorf("not mended: %v", err)
	}
}

func FuzzFeeds(f *testing.F) {
	f.Add([]byte(scoresOf("2026-11-02", "CVE-2021-44228,0.5,0.9")))
	f.Add(zipped(scoresOf("2026-11-02", "CVE-2021-44228,0.5,0.9"))[:40])
	f.Add([]byte(fmt.Sprintf(kevDoc, 1, kevEntry)))
	f.Fuzz(func(t *testing.T, content []byte) {
		dir := t.TempDir()
		file := filepath.Join(dir, "file")
		write(t, file, string(content))
		for _, kind := range tidewaiter.FeedKinds() {
			feeds := newFeeds(filepath.Join(dir, string(kind)), &taker{}, nil, func(o *advisory.FeedOptions) { o.MaxText = 1 << 20 })
			_, err := feeds.Import(t.Context(), kind, file)
			if (err == nil) != (feeds.State(kind).Current != nil) || err != nil && tidewaiter.KindOf(err) == tidewaiter.ErrBug {
				t.Errorf("%s: %v", kind, err)
			}
		}
	})
}
