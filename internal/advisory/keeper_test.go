package advisory_test

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tidewaiter/tidewaiter/internal/advisory"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// user takes databases into use as a matcher does: it remembers what is in the one it has.
type user struct {
	mu      sync.Mutex
	content string
	version string
	opened  int
	refuse  error
}

func (u *user) open(dir string, adv tidewaiter.Advisories) error {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.refuse != nil {
		return u.refuse
	}
	raw, err := os.ReadFile(filepath.Join(dir, "trivy.db"))
	if err != nil {
		return err
	}
	u.content, u.version = string(raw), adv.Version
	u.opened++
	return nil
}

type setup struct {
	*advisory.Keeper
	user *user
	dir  string
	now  time.Time
}

func newKeeper(t testing.TB, dir string, source advisory.Source, references ...string) *setup {
	t.Helper()
	s := &setup{user: &user{}, dir: dir, now: built.Add(time.Hour)}
	s.Keeper = advisory.New(advisory.Options{
		Dir: dir, References: references, Source: source, Open: s.user.open, MaxDatabase: 1 << 20,
		Now: func() time.Time { return s.now }, Random: func() float64 { return 0 },
	})
	return s
}

// uses checks what is in use and that nothing else is on disk.
func (s *setup) uses(t *testing.T, content string) {
	t.Helper()
	if s.user.content != content {
		t.Errorf("in use is %q, want %q", s.user.content, content)
	}
	state := s.State()
	if content == "" {
		if state.Current != nil {
			t.Errorf("state has %v, want none", state.Current)
		}
	} else if state.Current == nil || state.Current.Version != s.user.version {
		t.Errorf("state has %v, want %s", state.Current, s.user.version)
	}
	var want []string
	if content != "" {
		want = []string{state.Current.Version[len("sha256:"):][:16], "current"}
	}
	entries, err := os.ReadDir(s.dir)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		t.Fatal(err)
	}
	var got []string
	for _, e := range entries {
		got = append(got, e.Name())
	}
	slices.Sort(want)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("on disk (-want +got):\n%s", diff)
	}
}

func (s *setup) mustUpdate(t *testing.T, want bool) {
	t.Helper()
	changed, err := s.Update(t.Context(), true)
	if err != nil || changed != want {
		t.Fatalf("update: %v %v, want %v", changed, err, want)
	}
}

func TestUpdate(t *testing.T) {
	r := newRegistry(t)
	reference := r.push(t, layerType, packed(t, "one"))
	k := newKeeper(t, filepath.Join(t.TempDir(), "advisories"), r, reference)
	k.uses(t, "")

	changed, err := k.Update(t.Context(), false) // none yet: that is due
	if err != nil || !changed {
		t.Fatalf("update: %v %v", changed, err)
	}
	k.uses(t, "one")
	want := advisory.State{
		Current: &tidewaiter.Advisories{Version: k.user.version, Reference: reference, UpdatedAt: built, NextUpdate: built.Add(24 * time.Hour), FetchedAt: k.now},
		Since:   k.now, LastAttempt: k.now, Next: k.now.Add(6 * time.Hour),
	}
	if diff := cmp.Diff(want, k.State()); diff != "" {
		t.Errorf("state (-want +got):\n%s", diff)
	}

	requests := r.manifests.Load()
	if changed, err := k.Update(t.Context(), false); changed || err != nil || r.manifests.Load() != requests {
		t.Errorf("update before it is due: %v %v, %d requests", changed, err, r.manifests.Load()-requests)
	}
	k.mustUpdate(t, false) // the same digest: looked at, not pulled
	if got := r.blobs.Load(); got != 1 {
		t.Errorf("%d blobs pulled, want 1", got)
	}

	r.push(t, layerType, packed(t, "two"))
	k.now = k.State().Next
	if changed, err := k.Update(t.Context(), false); !changed || err != nil {
		t.Errorf("update when due: %v %v", changed, err)
	}
	k.uses(t, "two")
}

func TestUpdateKeepsTheOldOnAnyFailure(t *testing.T) {
	whole := packed(t, "two")
	bomb := database(strings.Repeat("0", 2<<20))
	cases := map[string]struct {
		layer     []byte
		mediaType string
		damage    func([]byte) []byte
		refuse    error
		kind      tidewaiter.ErrorKind
	}{
		"corrupted on the way": {layer: whole, kind: tidewaiter.ErrMalformed, damage: func(b []byte) []byte {
			b = slices.Clone(b)
			b[len(b)/2] ^= 1
			return b
		}},
		"another blob":        {layer: whole, kind: tidewaiter.ErrMalformed, damage: func(b []byte) []byte { return packed(t, "six") }},
		"less than announced": {layer: whole, kind: tidewaiter.ErrMalformed, damage: func(b []byte) []byte { return b[:len(b)-20] }},
		"more than announced": {layer: whole, kind: tidewaiter.ErrTooLarge, damage: func(b []byte) []byte { return append(slices.Clone(b), 0) }},
		"truncated tar":       {layer: gzipped(t, tarred(t, database(strings.Repeat("x", 4096)))[:2048]), kind: tidewaiter.ErrMalformed},
		"truncated gzip":      {layer: whole[:len(whole)-6], kind: tidewaiter.ErrMalformed},
		"no gzip":             {layer: tarred(t, database("two")), kind: tidewaiter.ErrMalformed},
		"empty tar":           {layer: gzipped(t, tarred(t, nil)), kind: tidewaiter.ErrMalformed},
		"no metadata":         {layer: gzipped(t, tarred(t, database("two")[:1])), kind: tidewaiter.ErrMalformed},
		"no database":         {layer: gzipped(t, tarred(t, database("two")[1:])), kind: tidewaiter.ErrMalformed},
		"empty database":      {layer: packed(t, ""), kind: tidewaiter.ErrMalformed},
		"a file twice":        {layer: gzipped(t, tarred(t, append(database("two"), database("two")...))), kind: tidewaiter.ErrMalformed},
		"path traversal":      {layer: gzipped(t, tarred(t, append(database("two"), entry{name: "../../trivy.db", content: "x"}))), kind: tidewaiter.ErrMalformed},
		"absolute path":       {layer: gzipped(t, tarred(t, append(database("two"), entry{name: "/etc/metadata.json", content: "x"}))), kind: tidewaiter.ErrMalformed},
		"symbolic link":       {layer: gzipped(t, tarred(t, append([]entry{{"trivy.db", "/etc/passwd", '2'}}, database("two")...))), kind: tidewaiter.ErrMalformed},
		"hard link":           {layer: gzipped(t, tarred(t, append([]entry{{"trivy.db", "metadata.json", '1'}}, database("two")...))), kind: tidewaiter.ErrMalformed},
		"device":              {layer: gzipped(t, tarred(t, []entry{{"trivy.db", "", '3'}})), kind: tidewaiter.ErrMalformed},
		"other file":          {layer: gzipped(t, tarred(t, append(database("two"), entry{name: "run.sh", content: "x"}))), kind: tidewaiter.ErrMalformed},
		"very many entries":   {layer: gzipped(t, tarred(t, slices.Repeat([]entry{{"d/", "", '5'}}, 100))), kind: tidewaiter.ErrTooLarge},
		"tar bomb":            {layer: gzipped(t, tarred(t, bomb)), kind: tidewaiter.ErrTooLarge},
		"bomb after the end":  {layer: gzipped(t, append(tarred(t, database("two")), make([]byte, 4<<20)...)), kind: tidewaiter.ErrTooLarge},
		"metadata too large":  {layer: gzipped(t, tarred(t, []entry{{name: "metadata.json", content: strings.Repeat(" ", 1<<17)}})), kind: tidewaiter.ErrTooLarge},
		"metadata no JSON":    {layer: gzipped(t, tarred(t, []entry{{name: "metadata.json", content: "{"}, {name: "trivy.db", content: "x"}})), kind: tidewaiter.ErrMalformed},
		"another schema":      {layer: gzipped(t, tarred(t, []entry{{name: "metadata.json", content: metadata(1)}, {name: "trivy.db", content: "x"}})), kind: tidewaiter.ErrUnsupported},
		"another media type":  {layer: whole, mediaType: "application/vnd.oci.image.layer.v1.tar+gzip", kind: tidewaiter.ErrUnsupported},
		"cannot be opened":    {layer: whole, refuse: tidewaiter.Errorf(tidewaiter.ErrMalformed, "no database"), kind: tidewaiter.ErrMalformed},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			r := newRegistry(t)
			reference := r.push(t, layerType, packed(t, "one"))
			k := newKeeper(t, t.TempDir(), r, reference)
			k.mustUpdate(t, true)

			if c.mediaType == "" {
				c.mediaType = layerType
			}
			r.push(t, c.mediaType, c.layer)
			if c.damage != nil {
				r.damage.Store(&c.damage)
			}
			k.user.refuse = c.refuse
			k.now = k.now.Add(time.Hour)
			changed, err := k.Update(t.Context(), true)
			if changed || tidewaiter.KindOf(err) != c.kind {
				t.Errorf("update: %v %v, want %s", changed, err, c.kind)
			}
			k.uses(t, "one")
			s := k.State()
			if s.LastError == nil || !s.LastAttempt.Equal(k.now) || !s.Next.Equal(k.now.Add(time.Minute)) {
				t.Errorf("state: %+v", s)
			}

			again := newKeeper(t, k.dir, r, reference)
			if err := again.Restore(); err != nil {
				t.Error(err)
			}
			again.uses(t, "one")
		})
	}
}

func TestUpdateTakesTheNextReference(t *testing.T) {
	r, good := newRegistry(t), newRegistry(t)
	bad := r.push(t, layerType, packed(t, "one")[:30])
	reference := good.push(t, layerType, packed(t, "one"))
	for name, first := range map[string]string{
		"down":     "127.0.0.1:1/security/trivy-db:2",
		"gone":     good.host + "/security/nothing:2",
		"not good": bad,
	} {
		t.Run(name, func(t *testing.T) {
			k := newKeeper(t, t.TempDir(), good, first, reference)
			k.mustUpdate(t, true)
			k.uses(t, "one")
			if got := k.State().Current.Reference; got != reference {
				t.Errorf("from %s, want %s", got, reference)
			}
		})
	}
	k := newKeeper(t, t.TempDir(), good, "127.0.0.1:1/security/trivy-db:2", good.host+"/security/nothing:2")
	_, err := k.Update(t.Context(), true)
	if tidewaiter.KindOf(err) != tidewaiter.ErrGone || !strings.Contains(err.Error(), "127.0.0.1:1/") {
		t.Errorf("update: %v, want both reasons, of the kind of the last", err)
	}
	k.uses(t, "")
}

func TestUpdateDoesNotPullAgainWhatCannotBeOpened(t *testing.T) {
	r := newRegistry(t)
	reference := r.push(t, layerType, packed(t, "one"))
	k := newKeeper(t, t.TempDir(), r, reference, reference)
	k.user.refuse = errors.New("no")
	if _, err := k.Update(t.Context(), true); !errors.Is(err, k.user.refuse) {
		t.Errorf("update: %v", err)
	}
	if got := r.blobs.Load(); got != 1 {
		t.Errorf("%d blobs pulled, want 1", got)
	}
	k.uses(t, "")
}

func TestConcurrentUpdatesAreOne(t *testing.T) {
	r := newRegistry(t)
	k := newKeeper(t, t.TempDir(), r, r.push(t, layerType, packed(t, "one")))
	gate := make(chan struct{})
	r.gate.Store(&gate)
	stopped, stop := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() { // it runs the update, and is stopped while the others wait
		if _, err := k.Update(stopped, true); tidewaiter.KindOf(err) != tidewaiter.ErrCanceled {
			t.Errorf("stopped update: %v", err)
		}
	})
	<-r.waiting
	for range 8 {
		wg.Go(func() {
			if _, err := k.Update(t.Context(), false); err != nil {
				t.Errorf("update: %v", err)
			}
		})
	}
	stop()
	<-r.waiting // one of the others goes on in its place
	close(gate)
	wg.Wait()
	if k.user.opened != 1 || r.blobs.Load() != 1 {
		t.Errorf("opened %d times with %d pulls, want once", k.user.opened, r.blobs.Load())
	}
	k.uses(t, "one")
}

func TestRestore(t *testing.T) {
	r := newRegistry(t)
	reference := r.push(t, layerType, packed(t, "one"))
	dir := t.TempDir()
	first := newKeeper(t, dir, r, reference)
	if err := first.Restore(); err != nil {
		t.Fatal(err)
	}
	first.mustUpdate(t, true)
	for _, left := range []string{"0123456789abcdef", ".unpacking"} { // what a crash leaves behind
		if err := os.Mkdir(filepath.Join(dir, left), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	again := newKeeper(t, dir, r, reference)
	again.now = first.now.Add(2 * time.Hour)
	if err := again.Restore(); err != nil {
		t.Fatal(err)
	}
	again.uses(t, "one")
	if diff := cmp.Diff(first.State().Current, again.State().Current); diff != "" {
		t.Errorf("(-before +after):\n%s", diff)
	}
	if got, want := again.State().Next, first.now.Add(6*time.Hour); !got.Equal(want) {
		t.Errorf("next update %s, want %s as before the restart", got, want)
	}
	again.mustUpdate(t, false)
	if got := r.blobs.Load(); got != 1 {
		t.Errorf("%d blobs pulled, want 1", got)
	}
}

func TestRestoreOfDamagedAdvisories(t *testing.T) {
	r := newRegistry(t)
	reference := r.push(t, layerType, packed(t, "one"))
	for name, damage := range map[string]func(t *testing.T, dir, version string){
		"pointer leads out": func(t *testing.T, dir, _ string) { write(t, filepath.Join(dir, "current"), "../../etc\n") },
		"pointer is empty":  func(t *testing.T, dir, _ string) { write(t, filepath.Join(dir, "current"), "") },
		"version is gone":   func(t *testing.T, dir, v string) { _ = os.RemoveAll(filepath.Join(dir, v)) },
		"version no JSON":   func(t *testing.T, dir, v string) { write(t, filepath.Join(dir, v, "advisories.json"), "{") },
		"database is gone":  func(t *testing.T, dir, v string) { _ = os.Remove(filepath.Join(dir, v, "trivy.db")) },
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			k := newKeeper(t, dir, r, reference)
			k.mustUpdate(t, true)
			damage(t, dir, k.user.version[7:][:16])
			again := newKeeper(t, dir, r, reference)
			err := again.Restore()
			if err == nil || again.State().LastError == nil || again.State().Current != nil {
				t.Errorf("restore: %v, state %+v", err, again.State())
			}
			again.mustUpdate(t, true) // mends it, though the digest is the same
			again.uses(t, "one")
		})
	}
}

func write(t *testing.T, file, content string) {
	t.Helper()
	if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

// downSource is a registry that does not answer.
type downSource struct {
	at    []time.Duration
	start time.Time
	err   error
}

func (d *downSource) Manifest(context.Context, string) (*tidewaiter.Manifest, error) {
	d.at = append(d.at, time.Since(d.start))
	return nil, d.err
}

func (d *downSource) Blob(context.Context, string, tidewaiter.Descriptor) (io.ReadCloser, error) {
	return nil, d.err
}

func TestRunBacksOff(t *testing.T) {
	for name, c := range map[string]struct {
		err  error
		want []int // minutes
	}{
		"down":         {tidewaiter.Errorf(tidewaiter.ErrTransient, "down"), []int{0, 1, 3, 7, 15, 31, 63, 123, 183}},
		"told to wait": {&tidewaiter.Error{Kind: tidewaiter.ErrLimit, Msg: "slow down", RetryAfter: 2 * time.Hour}, []int{0, 120}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				source := &downSource{start: time.Now(), err: c.err}
				k := advisory.New(advisory.Options{
					Dir: t.TempDir(), References: []string{"a/b:2"}, Source: source, Random: func() float64 { return 0 },
					Open: func(string, tidewaiter.Advisories) error { return nil },
				})
				ctx, cancel := context.WithTimeout(t.Context(), 200*time.Minute)
				defer cancel()
				k.Run(ctx)
				var want []time.Duration
				for _, minutes := range c.want {
					want = append(want, time.Duration(minutes)*time.Minute)
				}
				if diff := cmp.Diff(want, source.at); diff != "" {
					t.Errorf("attempts (-want +got):\n%s", diff)
				}
			})
		})
	}
}
