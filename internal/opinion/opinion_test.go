package opinion_test

import (
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tidewaiter/tidewaiter/internal/store"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// TestAsked asks about an image from the sweep to the report, and holds what is sent against what Harbor sends.
func TestAsked(t *testing.T) {
	onBoth(t, func(t *testing.T, l *lab) {
		l.set(&l.report, redirects("/api/v1/scan/x/report", "7"))
		made := l.sweep()
		if len(made) != 1 || made[0].Lane != tidewaiter.LaneSystem || made[0].RegistryID != "r" || made[0].Reach != tidewaiter.ReachList || made[0].UniqueKey == "" {
			t.Fatalf("%+v", made)
		}
		if o := l.opinion(l.images[0]); o.State != tidewaiter.OpinionAsking || o.Scan != "" {
			t.Errorf("%+v", o)
		}
		if again := l.sweep(); len(again) > 1 || len(again) == 1 && again[0].UniqueKey != made[0].UniqueKey {
			t.Errorf("a second sweep makes another job: %+v", again)
		}
		next := l.step(l.images[0])
		o := l.opinion(l.images[0])
		if o.Scan != "scan/1 ?" || o.State != tidewaiter.OpinionAsking || !o.AskedAt.Equal(l.now) || len(next) != 1 || !next[0].RunAt.Equal(o.NextAt) || !o.NextAt.After(l.now) {
			t.Errorf("%+v, jobs %+v", o, next)
		}
		if early := l.step(l.images[0]); len(early) != 0 || l.count("GET") != 1 {
			t.Errorf("a second job asks too early: %v", l.asked)
		}
		var sent struct {
			Registry struct{ URL, Authorization string }
			Artifact struct {
				Repository, Tag, Digest string
				MediaType               string `json:"mime_type"`
			}
			Capabilities []struct {
				Type     string
				Produces []string `json:"produces_mime_types"`
			} `json:"enabled_capabilities"`
		}
		if err := json.Unmarshal([]byte(l.bodies[0]), &sent); err != nil || sent.Registry.URL != "https://registry.example.com" || sent.Registry.Authorization != lent ||
			sent.Artifact.Repository != "team/app" || sent.Artifact.Tag != "v1" || sent.Artifact.Digest != digest || sent.Artifact.MediaType != manifestType ||
			len(sent.Capabilities) != 1 || sent.Capabilities[0].Type != "vulnerability" || sent.Capabilities[0].Produces[0] != reportType {
			t.Errorf("%s %v", l.bodies[0], err)
		}
		l.now = o.NextAt
		l.step(l.images[0])
		if o = l.opinion(l.images[0]); !o.NextAt.Equal(l.now.Add(7 * time.Second)) {
			t.Errorf("asked to come back in 7 s: %+v", o)
		}
		l.set(&l.report, func(w http.ResponseWriter, r *http.Request) {
			if r.Header.Get("Accept") != reportType || r.PathValue("id") != "scan/1 ?" || r.Header.Get("Accept-Encoding") != "gzip" {
				t.Errorf("%v %s", r.Header, r.URL)
			}
			w.Header().Set("Content-Type", `application/vnd.security.vulnerability.report;version="1.1"`)
			w.Header().Set("Content-Encoding", "gzip")
			z := gzip.NewWriter(w)
			_, _ = io.WriteString(z, report) // what is missing fails the test
			_ = z.Close()
		})
		o = l.had(l.images[0])
		r := o.Report
		if o.State != tidewaiter.OpinionDone || o.Error != "" || r.ScannerName != "Other" || r.Version != "2.1" || r.Findings != 1 || r.Counts.High != 1 ||
			!r.DatabaseAt.Equal(time.Date(2026, 11, 1, 6, 0, 0, 0, time.UTC)) || !r.ReadAt.Equal(l.now) {
			t.Errorf("%+v", o)
		}
		found, err := l.db.OpinionFindings(t.Context(), l.images[0], "other")
		if err != nil || len(found) != 1 || found[0].Vulnerability != "CVE-2024-1000" || found[0].Package != "openssl" || found[0].FixedIn != "3.0.2" ||
			found[0].Severity != tidewaiter.SeverityHigh || found[0].Score != 7.5 || found[0].Link == "" {
			t.Errorf("%+v %v", found, err)
		}
		if !slices.Equal(slices.Compact(slices.Clone(l.keys)), []string{apiKey}) || l.count("POST") != 1 {
			t.Errorf("%v %v", l.keys, l.asked)
		}
		if about, err := l.db.Scanner(t.Context(), "other"); err != nil || about.About.Name != "Other" || about.UpdatedAt != start {
			t.Errorf("%+v %v", about, err)
		}
		if l.sweep(); len(l.jobs.made) != 0 {
			t.Error("it is asked again at once")
		}
	})
}

// TestAskedAgain lets an opinion grow old: it is asked for again once the image was seen again, and the old one stays while that fails.
func TestAskedAgain(t *testing.T) {
	onBoth(t, func(t *testing.T, l *lab) {
		l.sweep()
		l.had(l.images[0])
		l.now = l.now.Add(25 * time.Hour)
		if made := l.sweep(); len(made) != 0 {
			t.Errorf("nobody has seen the image since: %+v", made)
		}
		l.update(func(tx *store.Tx) error { l.record(tx, "s-v1", "v1", digest, nil); return nil })
		l.set(&l.report, answers(http.StatusForbidden, "text/plain", "no"))
		if made := l.sweep(); len(made) != 1 {
			t.Fatalf("%+v", made)
		}
		o := l.had(l.images[0])
		found, err := l.db.OpinionFindings(t.Context(), l.images[0], "other")
		if o.State != tidewaiter.OpinionFailed || o.Report.Findings != 1 || err != nil || len(found) != 1 {
			t.Errorf("what was said before is lost: %+v %v %v", o, found, err)
		}
		l.set(&l.report, answers(http.StatusOK, reportType, report))
		l.update(func(tx *store.Tx) error {
			n, err := tx.QueueOpinions(t.Context(), "other", l.images, time.Unix(1, 0))
			if n != 1 {
				t.Errorf("%d queued", n)
			}
			return err
		})
		if err := l.asker.Start(t.Context(), "other"); err != nil {
			t.Fatal(err)
		}
		if o := l.had(l.images[0]); o.State != tidewaiter.OpinionDone || o.Error != "" || o.Attempts != 0 {
			t.Errorf("%+v", o)
		}
	})
}

// TestFewAtOnce has more images wait than the scanner is asked about at once; the end of one begins the next.
func TestFewAtOnce(t *testing.T) {
	onBoth(t, func(t *testing.T, l *lab) {
		for i := range 4 {
			l.push("w"+string(rune('a'+i)), digestOf(i+1))
		}
		l.set(&l.report, func(w http.ResponseWriter, r *http.Request) {
			answers(http.StatusOK, reportType, `{"scanner":{},"vulnerabilities":null}`)(w, r)
		})
		if made := l.sweep(); len(made) != 2 {
			t.Fatalf("%d of 2 at once", len(made))
		}
		asked := map[int64]bool{}
		for range 10 * len(l.images) {
			for _, id := range l.images {
				o := l.opinion(id)
				if o.State != tidewaiter.OpinionAsking {
					continue
				}
				asked[id] = true
				l.now = l.now.Add(3 * time.Second)
				l.step(id)
			}
			busy := 0
			for _, id := range l.images {
				if l.opinion(id).State == tidewaiter.OpinionAsking {
					busy++
				}
			}
			if busy > 2 {
				t.Fatalf("%d at once", busy)
			}
		}
		for _, id := range l.images {
			if o := l.opinion(id); o.State != tidewaiter.OpinionDone || o.Report.Findings != 0 || !asked[id] {
				t.Errorf("%+v", o)
			}
		}
	})
}

// TestCrashes loses the process between the steps and in the middle of one.
func TestCrashes(t *testing.T) {
	onBoth(t, func(t *testing.T, l *lab) {
		l.sweep()
		id := l.images[0]
		ctx, stop := context.WithCancel(t.Context())
		l.set(&l.scan, func(http.ResponseWriter, *http.Request) { stop() })
		if err := l.run(ctx, id, 50); err == nil {
			t.Error("a shutdown is an outcome")
		}
		if o := l.opinion(id); o.State != tidewaiter.OpinionAsking || o.Scan != "" || o.Error != "" {
			t.Errorf("%+v", o)
		}
		l.set(&l.scan, answers(http.StatusAccepted, "application/json", `{"id":"7"}`))
		posts := l.count("POST")
		if l.stepAs(id, 51); l.count("POST") != posts {
			t.Error("another job takes the step while the first may live")
		}
		if l.stepAs(id, 50); l.count("POST") != posts+1 || l.opinion(id).Scan != "7" {
			t.Errorf("the same job does not go on: %+v", l.opinion(id))
		}
		// The job of the next step is lost with the queue's memory: the sweep makes another, and the scan is the same.
		l.now = l.now.Add(10 * time.Minute)
		if made := l.sweep(); len(made) != 1 {
			t.Fatalf("%+v", made)
		}
		if o := l.had(id); o.State != tidewaiter.OpinionDone || l.count("POST") != posts+1 {
			t.Errorf("%+v after %d requests", o, l.count("POST"))
		}
	})
}

// TestGoneMeanwhile removes scanner, registry, and binding while a scanner is at work.
func TestGoneMeanwhile(t *testing.T) {
	for name, c := range map[string]struct {
		change func(l *lab) error
		left   tidewaiter.OpinionState
	}{
		"scanner": {func(l *lab) error {
			return l.db.Update(l.Context(), func(tx *store.Tx) error { return tx.DeleteScanner(l.Context(), "other") })
		}, ""},
		"registry": {func(l *lab) error {
			return l.db.Update(l.Context(), func(tx *store.Tx) error { return tx.DeleteRegistries(l.Context(), []string{"r"}) })
		}, ""},
		"binding": {func(l *lab) error {
			l.scanner.AllRegistries = false
			return l.db.Update(l.Context(), func(tx *store.Tx) error { return tx.PutScanner(l.Context(), l.scanner) })
		}, ""},
		"switched off": {func(l *lab) error {
			l.scanner.Disabled = true
			return l.db.Update(l.Context(), func(tx *store.Tx) error { return tx.PutScanner(l.Context(), l.scanner) })
		}, tidewaiter.OpinionWaiting},
		"paused": {func(l *lab) error {
			return l.db.Update(l.Context(), func(tx *store.Tx) error {
				_, err := tx.PauseRegistries(l.Context(), []string{"r"}, l.now)
				return err
			})
		}, tidewaiter.OpinionWaiting},
	} {
		t.Run(name, func(t *testing.T) {
			onBoth(t, func(t *testing.T, l *lab) {
				l.sweep()
				if err := c.change(l); err != nil {
					t.Fatal(err)
				}
				l.step(l.images[0])
				if o := l.opinion(l.images[0]); o.State != c.left || l.count("POST") != 0 {
					t.Errorf("%+v, asked %v", o, l.asked)
				}
				if made := l.sweep(); len(made) != 0 {
					t.Errorf("%+v", made)
				}
			})
		})
	}
}

// TestHostileAnswers has the scanner answer in every way it should not. Each ends in a failure that says what to do, within a bounded time,
// and neither what was lent nor the scanner's key is ever shown.
func TestHostileAnswers(t *testing.T) {
	elsewhere := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		t.Errorf("%s %s was asked, with %v", r.Method, r.URL, r.Header)
	}))
	defer elsewhere.Close()
	echo := func(status int) http.HandlerFunc {
		return answers(status, "application/vnd.scanner.adapter.error+json; version=1.0",
			`{"error":{"message":"you sent `+lent+` and `+apiKey+` \u001b[31m"}}`)
	}
	type which func(l *lab) *http.HandlerFunc
	about := func(l *lab) *http.HandlerFunc { return &l.metadata }
	scan := func(l *lab) *http.HandlerFunc { return &l.scan }
	look := func(l *lab) *http.HandlerFunc { return &l.report }
	for name, c := range map[string]struct {
		of     which
		answer http.HandlerFunc
		kind   tidewaiter.ErrorKind
		says   string
	}{
		"metadata of another type": {about, answers(200, "text/html", "<html>"), tidewaiter.ErrUnsupported, "text/html"},
		"metadata that are none":   {about, answers(200, metadataType, `[]`), tidewaiter.ErrMalformed, "does not say what it is"},
		"another sort of scanner":  {about, answers(200, metadataType, `{"scanner":{"name":"x"},"capabilities":[{"type":"sbom"}]}`), tidewaiter.ErrUnsupported, "no report"},
		"huge metadata":            {about, answers(200, metadataType, strings.Repeat(" ", 2<<20)+metadata), tidewaiter.ErrTooLarge, "more than 1 MiB"},
		"another manifest":         {about, answers(200, metadataType, strings.ReplaceAll(metadata, manifestType, "application/x")), tidewaiter.ErrUnsupported, "does not take"},
		"not logged in":            {about, echo(401), tidewaiter.ErrAuth, "401"},
		"no such page":             {about, echo(404), tidewaiter.ErrUnsupported, "404"},
		"metadata lead elsewhere":  {about, redirects(elsewhere.URL, ""), tidewaiter.ErrUnsupported, "redirects are not followed"},
		"busy":                     {scan, echo(429), tidewaiter.ErrLimit, "429"},
		"refuses scans":            {scan, echo(422), tidewaiter.ErrUnsupported, "422"},
		"scan leads elsewhere":     {scan, redirects(elsewhere.URL, ""), tidewaiter.ErrUnsupported, "redirects are not followed"},
		"no id":                    {scan, answers(202, "application/json", `{"id":""}`), tidewaiter.ErrMalformed, "no usable id"},
		"hostile id":               {scan, answers(202, "application/json", `{"id":".."}`), tidewaiter.ErrMalformed, "no usable id"},
		"id with a line break":     {scan, answers(202, "application/json", `{"id":"a\nb"}`), tidewaiter.ErrMalformed, "no usable id"},
		"huge answer to a scan":    {scan, answers(202, "application/json", `{"id":"`+strings.Repeat("x", 2<<20)), tidewaiter.ErrTooLarge, "more than 1 MiB"},
		"never ready":              {look, redirects("", "1"), tidewaiter.ErrTooLarge, "no report within"},
		"never ready, no time":     {look, redirects("", ""), tidewaiter.ErrTooLarge, "no report within"},
		"never ready, nonsense":    {look, redirects(elsewhere.URL, "-99999999999999999999"), tidewaiter.ErrTooLarge, "no report within"},
		"report leads elsewhere":   {look, redirects(elsewhere.URL+"/login", ""), tidewaiter.ErrUnsupported, "redirects are not followed"},
		"report moved for good": {look, func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, elsewhere.URL, http.StatusMovedPermanently)
		}, tidewaiter.ErrUnsupported, "redirects are not followed"},
		"report of another type":    {look, answers(200, "text/html", report), tidewaiter.ErrMalformed, "text/html"},
		"report that is none":       {look, answers(200, reportType, `{}`), tidewaiter.ErrMalformed, "lists no vulnerabilities"},
		"report cut short":          {look, answers(200, reportType, report[:len(report)-2]), tidewaiter.ErrMalformed, "cannot be used"},
		"report on another image":   {look, answers(200, reportType, strings.ReplaceAll(report, digest, digestOf(9))), tidewaiter.ErrMalformed, "another image"},
		"huge report":               {look, answers(200, reportType, `{"vulnerabilities":[`+strings.Repeat(" ", 33<<20)), tidewaiter.ErrTooLarge, "more than 32 MiB"},
		"packed report without end": {look, bomb, tidewaiter.ErrTooLarge, "more than 32 MiB"},
		"not packed as it says": {look, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Encoding", "gzip")
			_, _ = io.WriteString(w, report)
		}, tidewaiter.ErrMalformed, "not packed"},
		"scan forgotten": {look, echo(404), tidewaiter.ErrGone, "no longer knows"},
		"scan failed":    {look, echo(500), tidewaiter.ErrTransient, "500"},
		"cut connection": {look, func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, tidewaiter.ErrTransient, "cannot be asked"},
	} {
		t.Run(name, func(t *testing.T) {
			l := newLab(t, t.TempDir()+"/test.db")
			l.set(c.of(l), c.answer)
			began := l.now
			if made := l.sweep(); len(made) != 1 {
				t.Fatalf("%+v", made)
			}
			o := l.had(l.images[0])
			if o.State != tidewaiter.OpinionFailed || o.ErrorKind != c.kind || !strings.Contains(o.Error, c.says) || o.RetryAt.IsZero() {
				t.Errorf("%+v", o)
			}
			if took := l.now.Sub(began); took > 2*time.Hour {
				t.Errorf("it took %s", took)
			}
			for _, shown := range []string{o.Error, l.log.String()} {
				if strings.Contains(shown, "l3nt") || strings.Contains(shown, apiKey) || strings.Contains(shown, "\x1b") {
					t.Errorf("this is shown: %q", shown)
				}
			}
			if made := l.sweep(); len(made) != 0 {
				t.Errorf("it is tried again at once: %+v", made)
			}
			l.set(&l.metadata, answers(200, metadataType, metadata))
			l.set(&l.scan, answers(202, "application/json", `{"id":"2"}`))
			l.set(&l.report, answers(200, reportType, report))
			l.now = o.RetryAt.Add(time.Second)
			if made := l.sweep(); len(made) != 1 {
				t.Fatalf("it is not tried again: %+v", made)
			}
			if o := l.had(l.images[0]); o.State != tidewaiter.OpinionDone || o.Error != "" {
				t.Errorf("%+v", o)
			}
		})
	}
}

// bomb is a report that unpacks to more than anybody wants.
func bomb(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", reportType)
	w.Header().Set("Content-Encoding", "gzip")
	z := gzip.NewWriter(w)
	blank := []byte(strings.Repeat(" ", 1<<20))
	for range 256 {
		if _, err := z.Write(blank); err != nil {
			return
		}
	}
	_ = z.Close() // who asked has gone
}

// TestFaultsAreForgiven has the scanner fail in the middle of its work, as one does that is being started anew, and then go on.
func TestFaultsAreForgiven(t *testing.T) {
	onBoth(t, func(t *testing.T, l *lab) {
		l.sweep()
		l.step(l.images[0])
		faults := 0
		l.set(&l.report, func(w http.ResponseWriter, r *http.Request) {
			if faults++; faults < 4 {
				answers(http.StatusBadGateway, "text/html", "<html>")(w, r)
				return
			}
			answers(http.StatusOK, reportType, report)(w, r)
		})
		if o := l.had(l.images[0]); o.State != tidewaiter.OpinionDone || faults != 4 || l.count("POST") != 1 {
			t.Errorf("%+v after %d answers", o, faults)
		}
	})
}

// TestScannerAway closes the scanner: the failure says what to do, the scanner is left alone for a while, the attempts end, and start again
// when somebody changes the scanner.
func TestScannerAway(t *testing.T) {
	onBoth(t, func(t *testing.T, l *lab) {
		l.push("v2", digestOf(2))
		l.push("v3", digestOf(3))
		l.Close()
		if made := l.sweep(); len(made) != 2 {
			t.Fatalf("%+v", made)
		}
		o := l.had(l.images[0])
		if o.State != tidewaiter.OpinionFailed || o.ErrorKind != tidewaiter.ErrUnreachable || !strings.Contains(o.Error, "see whether the scanner runs") || o.Attempts != 1 {
			t.Errorf("%+v", o)
		}
		if s, err := l.db.Scanner(t.Context(), "other"); err != nil || !s.PausedUntil.After(l.now) || l.opinion(l.images[2]).State != tidewaiter.OpinionWaiting {
			t.Errorf("%+v %v", s, err)
		}
		for range 20 {
			if o = l.opinion(l.images[0]); o.State == tidewaiter.OpinionFailed && o.RetryAt.IsZero() {
				break
			}
			l.now = l.now.Add(7 * time.Hour)
			l.sweep()
			for _, id := range l.images {
				if l.opinion(id).State == tidewaiter.OpinionAsking {
					l.had(id)
				}
			}
		}
		if o.Attempts != 6 || !o.RetryAt.IsZero() {
			t.Errorf("not given up: %+v", o)
		}
		l.scanner.UpdatedAt = l.now.Add(time.Second)
		l.now = l.now.Add(time.Minute)
		l.update(func(tx *store.Tx) error { return tx.PutScanner(t.Context(), l.scanner) })
		if made := l.sweep(); len(made) == 0 {
			t.Error("somebody mended it, and nothing is tried")
		}
	})
}

// TestRegistryRefuses does not blame the scanner for what the registry refuses.
func TestRegistryRefuses(t *testing.T) {
	onBoth(t, func(t *testing.T, l *lab) {
		l.lending = tidewaiter.Errorf(tidewaiter.ErrUnreachable, "the registry is away")
		l.sweep()
		if o := l.had(l.images[0]); o.ErrorKind != tidewaiter.ErrUnreachable || o.Error != "the registry is away" || l.count("POST") != 0 {
			t.Errorf("%+v", o)
		}
		if s, err := l.db.Scanner(t.Context(), "other"); err != nil || !s.PausedUntil.IsZero() {
			t.Errorf("%+v %v", s, err)
		}
		l.lending = &tidewaiter.Error{Kind: tidewaiter.ErrLimit, Msg: "slow down", RetryAfter: time.Minute}
		l.now = l.now.Add(2 * time.Minute)
		l.sweep()
		if err := l.run(t.Context(), l.images[0], 90); tidewaiter.KindOf(err) != tidewaiter.ErrLimit {
			t.Errorf("a registry that asks for fewer requests is no outcome: %v", err)
		}
	})
}

// TestOneStepAtATime has a scanner hang: other steps come back later instead of holding a worker too.
func TestOneStepAtATime(t *testing.T) {
	onBoth(t, func(t *testing.T, l *lab) {
		l.push("v2", digestOf(2))
		entered, release := make(chan struct{}), make(chan struct{})
		l.set(&l.metadata, func(w http.ResponseWriter, r *http.Request) {
			close(entered)
			<-release
			answers(http.StatusOK, metadataType, metadata)(w, r)
		})
		l.sweep()
		first := make(chan error, 1)
		go func() { first <- l.run(t.Context(), l.images[0], 1) }()
		<-entered
		err := l.run(t.Context(), l.images[1], 2)
		if e, ok := errors.AsType[*tidewaiter.Error](err); !ok || e.Kind != tidewaiter.ErrLimit || e.RetryAfter <= 0 {
			t.Errorf("a second step at once: %v", err)
		}
		close(release)
		if err := <-first; err != nil {
			t.Error(err)
		}
		l.set(&l.metadata, answers(http.StatusOK, metadataType, metadata))
		for _, id := range l.images {
			if o := l.had(id); o.State != tidewaiter.OpinionDone && o.ErrorKind != tidewaiter.ErrMalformed { // the report is about the first image
				t.Errorf("%+v", o)
			}
		}
	})
}
