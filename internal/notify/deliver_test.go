package notify_test

import (
	"context"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/tidewaiter/tidewaiter/internal/control"
	"github.com/tidewaiter/tidewaiter/internal/notify"
	"github.com/tidewaiter/tidewaiter/internal/secret"
	"github.com/tidewaiter/tidewaiter/internal/store"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

func TestScanIsTold(t *testing.T) {
	onBoth(t, func(t *testing.T, h *house) {
		r := receive(t, nil)
		w, signing := h.add(r.URL+"/in?token=t0k3n", func(d *control.WebhookDraft) {
			d.Headers = map[string]secret.Value{"authorization": secret.New("Bearer s3cr3t-header")}
		})
		other, _ := h.add(r.URL+"/other", func(d *control.WebhookDraft) { d.Filter.Registries = []string{"other"} })
		off, _ := h.add(r.URL+"/off", func(d *control.WebhookDraft) { d.Disabled = true })
		h.run(h.notifier)
		h.ended("reg", "")
		h.eventually("it is delivered", func() bool { return len(h.list(w, store.DeliveryDone)) == 1 })
		got := r.requests()
		if len(got) != 1 || got[0].path != "/in?token=t0k3n" || got[0].header.Get("Authorization") != "Bearer s3cr3t-header" ||
			got[0].header.Get("User-Agent") != "tidewaiter/test" || got[0].header.Get(notify.HeaderTopic) != "scan.finished" {
			t.Fatalf("got %+v", got)
		}
		m := got[0].message(t)
		if m.ID != got[0].id() || m.ID != h.list(w)[0].ID || m.Topic != tidewaiter.TopicScanFinished || m.Data.Scan.State != tidewaiter.ScanCompleted ||
			m.Data.Registry.ID != "reg" || m.Subject != "https://registry.example.com" {
			t.Errorf("message %+v", m)
		}
		signature := got[0].header.Get(notify.HeaderSignature)
		if !verify(signature, got[0].body, signing, start) || verify(signature, append(got[0].body, ' '), signing, start) ||
			verify(signature, got[0].body, signing+"x", start) || verify(signature, got[0].body, signing, start.Add(time.Hour)) {
			t.Errorf("signature %s", signature)
		}
		if len(h.list(other))+len(h.list(off)) != 0 {
			t.Error("those were told that did not want to know")
		}
		for _, s := range []string{"t0k3n", "s3cr3t-header", signing} {
			if strings.Contains(h.log.String(), s) {
				t.Errorf("%s is in the log", s)
			}
		}
	})
}

// TestRegistryFailing wants one message when a registry begins to fail and one when it ceases to, however often it is scanned.
func TestRegistryFailing(t *testing.T) {
	onBoth(t, func(t *testing.T, h *house) {
		r := receive(t, nil)
		w, _ := h.add(r.URL, func(d *control.WebhookDraft) {
			d.Topics = []tidewaiter.Topic{tidewaiter.TopicRegistryFailing, tidewaiter.TopicRegistryRecovered}
		})
		h.ended("reg", "") // it works: no news
		h.ended("reg", "no such host")
		h.clock.advance(time.Minute)
		h.ended("reg", "no such host")
		h.ended("reg", "it is about one tag", "team/app")
		h.ended("reg", "")
		h.ended("reg", "")
		h.run(h.notifier)
		h.eventually("both are delivered", func() bool { return len(h.list(w, store.DeliveryDone)) == 2 })
		got := r.requests()
		if len(got) != 2 || len(h.list(w)) != 2 {
			t.Fatalf("%d requests", len(got))
		}
		failing, recovered := got[0].message(t), got[1].message(t)
		if failing.Topic != tidewaiter.TopicRegistryFailing || failing.Data.Scan.Error != "no such host" || !failing.Data.Since.Equal(start) ||
			recovered.Topic != tidewaiter.TopicRegistryRecovered || !recovered.Data.Since.Equal(start) {
			t.Errorf("got %+v and %+v", failing, recovered)
		}
	})
}

// TestOneFailsOthersDoNotWait has one receiver that is broken, one that hangs, and one that works.
func TestOneFailsOthersDoNotWait(t *testing.T) {
	onBoth(t, func(t *testing.T, h *house) {
		broken := receive(t, func(w http.ResponseWriter, _ *http.Request, _ int) {
			http.Error(w, "no", http.StatusInternalServerError)
		})
		release := make(chan struct{})
		hanging := receive(t, func(w http.ResponseWriter, req *http.Request, _ int) {
			select {
			case <-release:
			case <-req.Context().Done():
			}
		})
		works := receive(t, nil)
		b, _ := h.add(broken.URL)
		g, _ := h.add(hanging.URL)
		w, _ := h.add(works.URL)
		stop := h.run(h.notifier)
		const scans = 30
		for i := range scans {
			h.ended("reg", "", "team/app-"+strconv.Itoa(i))
		}
		h.eventually("the one that works has all", func() bool { return len(h.list(w, store.DeliveryDone)) == scans })
		h.eventually("the broken one was asked", func() bool { return len(broken.requests()) == scans })
		h.eventually("the other one hangs", func() bool { return len(hanging.requests()) > 0 })
		if n := len(hanging.requests()); n > 4 {
			t.Errorf("%d requests hang at once", n)
		}
		if n := len(h.list(g, store.DeliveryDone)); n != 0 {
			t.Errorf("%d are done that hang", n)
		}
		h.eventually("the broken one's are put off", func() bool { return len(h.list(b, store.DeliveryWaiting)) == scans })
		for _, d := range h.list(b) {
			if d.Status != 500 || !strings.Contains(d.Error, "500 Internal Server Error: no") || d.Attempts != 1 || !d.DueAt.Equal(start.Add(10*time.Second)) {
				t.Fatalf("delivery %+v", d)
			}
		}
		close(release)
		h.eventually("the hanging one has all", func() bool { return len(h.list(g, store.DeliveryDone)) == scans })
		stop()
	})
}

// TestBackOffAndDeath lets a day go by, replays what died, one and all, and finds the id unchanged.
func TestBackOffAndDeath(t *testing.T) {
	onBoth(t, func(t *testing.T, h *house) {
		r := receive(t, func(w http.ResponseWriter, _ *http.Request, _ int) { w.WriteHeader(http.StatusForbidden) })
		w, _ := h.add(r.URL)
		h.run(h.notifier)
		h.ended("reg", "")
		h.ended("other", "")
		h.eventually("both were tried", func() bool { return len(h.list(w, store.DeliveryWaiting)) == 2 && len(r.requests()) == 2 })
		var waits []time.Duration
		for range 100 {
			list := h.list(w)
			if list[0].State == store.DeliveryDead {
				break
			}
			waits = append(waits, list[0].DueAt.Sub(h.clock.now()))
			before := list[0].Attempts
			h.clock.advance(list[0].DueAt.Sub(h.clock.now()))
			h.eventually("it is tried again", func() bool {
				list := h.list(w)
				return list[0].Attempts > before && list[0].State != store.DeliverySending && list[1].Attempts > before && list[1].State != store.DeliverySending
			})
		}
		if len(waits) < 25 || len(waits) > 60 || waits[0] != 10*time.Second || waits[len(waits)-2] != time.Hour {
			t.Errorf("waits %v", waits)
		}
		if life := h.clock.now().Sub(start); life != 24*time.Hour {
			t.Errorf("given up after %s", life)
		}
		dead := h.list(w, store.DeliveryDead)
		if len(dead) != 2 || dead[0].Status != 403 || dead[0].EndedAt.IsZero() {
			t.Fatalf("dead: %+v", dead)
		}
		r.setAnswer(nil)
		if err := h.ReplayDelivery(t.Context(), dead[0].ID); err != nil {
			t.Fatal(err)
		}
		h.eventually("one is delivered", func() bool { return len(h.list(w, store.DeliveryDone)) == 1 })
		if n, err := h.ReplayDead(t.Context(), w.ID); err != nil || n != 1 {
			t.Fatalf("replayed %d, %v", n, err)
		}
		h.eventually("both are delivered", func() bool { return len(h.list(w, store.DeliveryDone)) == 2 })
		for i, d := range h.list(w) {
			if d.ID != dead[i].ID || d.Error != "" || d.Status != http.StatusNoContent {
				t.Errorf("delivery %+v", d)
			}
		}
		bodies := map[string]string{}
		for _, got := range r.requests() {
			if known, ok := bodies[got.id()]; ok && known != string(got.body) {
				t.Errorf("the body of %s changed", got.id())
			}
			bodies[got.id()] = string(got.body)
		}
		if len(bodies) != 2 {
			t.Errorf("%d ids", len(bodies))
		}
		if _, err := h.ReplayDead(t.Context(), "none"); tidewaiter.KindOf(err) != tidewaiter.ErrNotFound {
			t.Error(err)
		}
		if err := h.ReplayDelivery(t.Context(), "none"); tidewaiter.KindOf(err) != tidewaiter.ErrNotFound {
			t.Error(err)
		}
	})
}

// TestRetryAfter holds the whole webhook back while its receiver wants to be left alone.
func TestRetryAfter(t *testing.T) {
	onBoth(t, func(t *testing.T, h *house) {
		r := receive(t, func(w http.ResponseWriter, _ *http.Request, n int) {
			w.Header().Set("Retry-After", "120")
			w.WriteHeader(http.StatusTooManyRequests)
		})
		w, _ := h.add(r.URL, func(d *control.WebhookDraft) { d.Format = tidewaiter.FormatSlack })
		stop := h.run(h.notifier)
		for range 5 {
			h.ended("reg", "", "team/app")
		}
		h.ended("other", "")
		h.eventually("it was refused", func() bool {
			list := h.list(w)
			return len(list) == 6 && list[0].Status == http.StatusTooManyRequests
		})
		stop()
		if n := len(r.requests()); n != 1 {
			t.Fatalf("%d requests, want 1", n)
		}
		if due := h.list(w)[0].DueAt; !due.Equal(start.Add(2 * time.Minute)) {
			t.Errorf("due at %s", due)
		}
		r.setAnswer(nil)
		h.clock.advance(2*time.Minute - time.Second)
		if due, err := h.store.DueWebhooks(t.Context(), h.clock.now()); err != nil || len(due) != 0 {
			t.Fatalf("due a second before: %v, %v", due, err)
		}
		h.clock.advance(time.Second)
		h.run(h.another())
		h.eventually("all are delivered", func() bool { return len(h.list(w, store.DeliveryDone)) == 6 })
	})
}

// TestHostileReceivers redirects to an internal address, sends without end, says it is gone, and repeats what is secret.
func TestHostileReceivers(t *testing.T) {
	h := open(t, t.TempDir()+"/test.db")
	inner := receive(t, nil)
	redirecting := receive(t, func(w http.ResponseWriter, r *http.Request, _ int) {
		http.Redirect(w, r, inner.URL+"/latest/meta-data", http.StatusTemporaryRedirect)
	})
	endless := receive(t, func(w http.ResponseWriter, r *http.Request, _ int) {
		chunk := make([]byte, 64<<10)
		for r.Context().Err() == nil {
			if _, err := w.Write(chunk); err != nil {
				return
			}
		}
	})
	gone := receive(t, func(w http.ResponseWriter, _ *http.Request, _ int) { w.WriteHeader(http.StatusGone) })
	echo := receive(t, func(w http.ResponseWriter, r *http.Request, _ int) {
		w.WriteHeader(http.StatusBadRequest)
		_, _ = w.Write([]byte("refused \x00\x1b[31m" + r.URL.RequestURI() + " " + r.Header.Get("Authorization") + strings.Repeat(" more", 10_000)))
	})
	a, _ := h.add(redirecting.URL)
	b, _ := h.add(endless.URL)
	c, _ := h.add(gone.URL)
	d, _ := h.add(echo.URL+"/services/T0001/B0002/s3cr3tp4th", func(d *control.WebhookDraft) {
		d.Headers = map[string]secret.Value{"Authorization": secret.New("Bearer h34d3r-s3cr3t")}
	})
	h.run(h.notifier)
	h.ended("reg", "")
	tried := func(w *tidewaiter.Webhook) bool {
		list := h.list(w)
		return len(list) == 1 && list[0].Attempts == 1 && list[0].State != store.DeliverySending
	}
	h.eventually("all were tried", func() bool { return tried(a) && tried(b) && tried(c) && tried(d) })
	if len(inner.requests()) != 0 {
		t.Error("a redirect was followed")
	}
	if got := h.list(a)[0]; got.State != store.DeliveryWaiting || got.Status != 307 || !strings.Contains(got.Error, "redirects are not followed") {
		t.Errorf("redirected: %+v", got)
	}
	if got := h.list(b)[0]; got.State != store.DeliveryDone {
		t.Errorf("endless: %+v", got)
	}
	if got := h.list(c)[0]; got.State != store.DeliveryDead || got.Status != 410 {
		t.Errorf("gone: %+v", got)
	}
	got := h.list(d)[0]
	if got.State != store.DeliveryWaiting || got.Status != 400 || len(got.Error) > 400 || !strings.Contains(got.Error, "refused") || strings.ContainsAny(got.Error, "\x00\x1b") {
		t.Errorf("echo: %+v", got)
	}
	for _, s := range []string{"s3cr3tp4th", "h34d3r-s3cr3t"} {
		if strings.Contains(got.Error, s) || strings.Contains(h.log.String(), s) {
			t.Errorf("%s is shown: %s", s, got.Error)
		}
	}
}

// TestClosedPort says what is wrong without the address.
func TestClosedPort(t *testing.T) {
	h := open(t, t.TempDir()+"/test.db")
	closed := receive(t, nil)
	url := closed.URL
	closed.Close()
	w, _ := h.add(url + "/s3cr3tp4th")
	h.run(h.notifier)
	h.ended("reg", "")
	h.eventually("it was tried", func() bool { list := h.list(w, store.DeliveryWaiting); return len(list) == 1 && list[0].Attempts == 1 })
	if got := h.list(w)[0]; !strings.Contains(got.Error, "refused") || strings.Contains(got.Error, "s3cr3tp4th") {
		t.Errorf("got %q", got.Error)
	}
}

// TestDeadSender has a process die after the receiver took a delivery and before that is noted: it comes again, with its id.
func TestDeadSender(t *testing.T) {
	onBoth(t, func(t *testing.T, h *house) {
		r := receive(t, nil)
		w, _ := h.add(r.URL)
		h.ended("reg", "")
		if err := h.notifier.Tell(t.Context()); err != nil {
			t.Fatal(err)
		}
		// What a process does up to the answer; then it is gone.
		var claimed []*store.WebhookDelivery
		h.update(func(tx *store.Tx) (err error) {
			claimed, err = tx.ClaimDeliveries(t.Context(), w.ID, 10, h.clock.now(), h.clock.now().Add(30*time.Second))
			return err
		})
		if len(claimed) != 1 {
			t.Fatalf("claimed %d", len(claimed))
		}
		if h.store.Dialect() == store.Postgres {
			// Another process may live still: it has its time.
			if due, err := h.store.DueWebhooks(t.Context(), h.clock.now().Add(29*time.Second)); err != nil || len(due) != 0 {
				t.Fatalf("due too early: %v, %v", due, err)
			}
			h.clock.advance(30 * time.Second)
		}
		h.run(h.notifier)
		h.eventually("it is delivered", func() bool { return len(h.list(w, store.DeliveryDone)) == 1 })
		got := r.requests()
		if len(got) != 1 || got[0].id() != claimed[0].ID || got[0].header.Get(notify.HeaderAttempt) != "2" {
			t.Errorf("got %+v", got)
		}
		// The first sender was not dead after all and notes what it knows: nobody listens.
		claimed[0].State, claimed[0].Error = store.DeliveryDead, "late"
		h.update(func(tx *store.Tx) error {
			mine, err := tx.EndDelivery(t.Context(), claimed[0], h.clock.now())
			if mine {
				t.Error("the claim was still its own")
			}
			return err
		})
		if got := h.list(w)[0]; got.State != store.DeliveryDone || got.Error != "" {
			t.Errorf("delivery %+v", got)
		}
	})
}

// TestOrder has two processes send what many registries do, of which some deliveries fail: for each registry it arrives in
// order all the same.
func TestOrder(t *testing.T) {
	onBoth(t, func(t *testing.T, h *house) {
		r := receive(t, func(w http.ResponseWriter, req *http.Request, n int) {
			if n%3 == 1 {
				w.WriteHeader(http.StatusBadGateway)
			}
		})
		w, _ := h.add(r.URL, func(d *control.WebhookDraft) { d.Topics = []tidewaiter.Topic{tidewaiter.TopicScanFinished} })
		const repositories, each = 8, 6
		for range each {
			for i := range repositories {
				h.ended("reg", "", "team/app-"+strconv.Itoa(i))
			}
		}
		h.run(h.notifier, h.another())
		h.eventually("all are delivered", func() bool {
			h.clock.advance(3 * time.Second)
			return len(h.list(w, store.DeliveryDone)) == repositories*each
		})
		last, attempts := map[string]int{}, map[string]bool{}
		for _, got := range r.requests() {
			m := got.message(t)
			number, err := strconv.Atoi(strings.TrimPrefix(m.Data.Scan.ID, "scan-"))
			if err != nil {
				t.Fatal(err)
			}
			if name := m.Data.Scan.Target.Repository; number < last[name] {
				t.Errorf("%s: scan %d came after scan %d", name, number, last[name])
			} else {
				last[name] = number
			}
			attempts[got.id()+got.header.Get(notify.HeaderAttempt)] = true
		}
		if len(last) != repositories || len(attempts) <= repositories*each {
			t.Errorf("%d repositories, %d attempts", len(last), len(attempts))
		}
	})
}

// TestHeadHoldsItsOwnBackOnly has the first of one registry fail; others go on, and its own follow when it is given up.
func TestHeadHoldsItsOwnBackOnly(t *testing.T) {
	onBoth(t, func(t *testing.T, h *house) {
		r := receive(t, nil)
		r.setAnswer(func(w http.ResponseWriter, req *http.Request, _ int) {
			r.mu.Lock()
			m := r.got[len(r.got)-1]
			r.mu.Unlock()
			if strings.Contains(string(m.body), "poison") {
				w.WriteHeader(http.StatusBadRequest)
			}
		})
		w, _ := h.add(r.URL, func(d *control.WebhookDraft) {
			d.Topics = []tidewaiter.Topic{tidewaiter.TopicScanFinished}
			d.Format = tidewaiter.FormatSlack // one at a time: the receiver above looks at the last request
		})
		h.ended("reg", "poison")
		h.ended("reg", "")
		h.ended("other", "")
		h.run(h.notifier)
		h.eventually("the other registry's is delivered", func() bool { return len(h.list(w, store.DeliveryDone)) == 1 })
		if list := h.list(w); list[0].State != store.DeliveryWaiting || list[1].State != store.DeliveryWaiting || list[1].Attempts != 0 {
			t.Fatalf("deliveries %+v, %+v", list[0], list[1])
		}
		h.eventually("it is given up and the next one is delivered", func() bool {
			h.clock.advance(10 * time.Minute)
			return len(h.list(w, store.DeliveryDead)) == 1 && len(h.list(w, store.DeliveryDone)) == 2
		})
	})
}

func TestTestMessage(t *testing.T) {
	onBoth(t, func(t *testing.T, h *house) {
		r := receive(t, nil)
		w, signing := h.add(r.URL, func(d *control.WebhookDraft) { d.Disabled = true })
		d, err := h.TestWebhook(t.Context(), w.ID)
		if err != nil || d.State != store.DeliveryDone || d.Status != http.StatusNoContent || d.Attempts != 1 {
			t.Fatalf("%+v, %v", d, err)
		}
		if got := r.requests(); len(got) != 1 || got[0].id() != d.ID || !verify(got[0].header.Get(notify.HeaderSignature), got[0].body, signing, start) {
			t.Errorf("got %+v", got)
		}
		r.setAnswer(func(w http.ResponseWriter, _ *http.Request, _ int) { w.WriteHeader(http.StatusNotFound) })
		if d, err = h.TestWebhook(t.Context(), w.ID); err != nil || d.State != store.DeliveryDead || d.Status != http.StatusNotFound {
			t.Errorf("%+v, %v", d, err)
		}
		if _, err := h.TestWebhook(t.Context(), "none"); tidewaiter.KindOf(err) != tidewaiter.ErrNotFound {
			t.Error(err)
		}
	})
}

// TestGoodOrder stops while a receiver takes its time: what is under way ends, and is noted.
func TestGoodOrder(t *testing.T) {
	h := open(t, t.TempDir()+"/test.db")
	arrived, release := make(chan struct{}), make(chan struct{})
	r := receive(t, func(w http.ResponseWriter, _ *http.Request, _ int) { close(arrived); <-release })
	w, _ := h.add(r.URL)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() { defer close(ended); h.notifier.Run(ctx) }()
	h.ended("reg", "")
	<-arrived
	cancel()
	close(release)
	<-ended
	if got := h.list(w); len(got) != 1 || got[0].State != store.DeliveryDone {
		t.Errorf("deliveries %+v", got)
	}
}

// TestRotation signs with both secrets for the overlap, and with the new one alone after it.
func TestRotation(t *testing.T) {
	h := open(t, t.TempDir()+"/test.db")
	r := receive(t, nil)
	w, old := h.add(r.URL)
	_, fresh, err := h.RotateWebhook(t.Context(), w.ID, secret.Value{}, time.Hour)
	if err != nil || fresh.Reveal() == old {
		t.Fatal(err)
	}
	for _, c := range []struct {
		after time.Duration
		both  bool
	}{{0, true}, {59 * time.Minute, true}, {time.Minute, false}} {
		h.clock.advance(c.after)
		if _, err := h.TestWebhook(t.Context(), w.ID); err != nil {
			t.Fatal(err)
		}
		all := r.requests()
		got := all[len(all)-1]
		signature := got.header.Get(notify.HeaderSignature)
		if !verify(signature, got.body, fresh.Reveal(), h.clock.now()) || verify(signature, got.body, old, h.clock.now()) != c.both {
			t.Errorf("after %s: %s", c.after, signature)
		}
	}
	if _, _, err := h.RotateWebhook(t.Context(), w.ID, secret.Value{}, 8*24*time.Hour); tidewaiter.KindOf(err) != tidewaiter.ErrInvalid {
		t.Error(err)
	}
}
