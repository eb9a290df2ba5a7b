package event_test

import (
	"strings"
	"testing"

	"github.com/tidewaiter/tidewaiter/internal/event"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// FuzzRead holds whatever comes in to the promises of the normal form.
func FuzzRead(f *testing.F) {
	for _, s := range shapes() {
		kind, value := "", ""
		for kind, value = range s.header {
		}
		f.Add(kind, value, []byte(s.body))
	}
	f.Fuzz(func(t *testing.T, header, value string, body []byte) {
		d := shape{header: map[string]string{header: value}, body: string(body)}.delivery()
		r, err := event.Read(d, nil)
		if tidewaiter.KindOf(err) == tidewaiter.ErrBug {
			t.Fatal(err)
		}
		if len(r.Events) > event.MaxEvents || len(r.Reply) > 2000 || len(r.Reason) > 1000 {
			t.Fatalf("%d events, an answer of %d bytes", len(r.Events), len(r.Reply))
		}
		for _, e := range r.Events {
			if e.Action != event.Push && e.Action != event.Delete || len(e.OtherNames) > 4 {
				t.Fatalf("%+v", e)
			}
			for _, s := range append(e.OtherNames, e.Host, e.Repository, e.Tag, e.Digest) {
				if len(s) > 400 || strings.ContainsAny(s, " \x00\n?#%@\\") || strings.Contains(s, "..") && s != e.Tag {
					t.Fatalf("%q in %+v", s, e)
				}
			}
			if e.Unusable == "" && (e.Repository == "" || e.Tag == "" && (e.Digest == "" || e.Action == event.Push)) {
				t.Fatalf("nothing can follow from %+v", e)
			}
		}
	})
}
