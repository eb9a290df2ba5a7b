package discover_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/tidewaiter/tidewaiter/emulator"
	"github.com/tidewaiter/tidewaiter/internal/control"
	"github.com/tidewaiter/tidewaiter/internal/discover"
	"github.com/tidewaiter/tidewaiter/internal/store"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

const (
	repositories = 5
	perOne       = 40
	heads        = `^HEAD /v2/.*/manifests/`
	lists        = `^GET /v2/(_catalog|.*/tags/list)`
)

func generic(t *testing.T, database string, change ...func(*tidewaiter.Registry)) *lab {
	t.Helper()
	l := newLab(t, database, tidewaiter.KindOCI, emulator.Options{Repositories: repositories, Tags: perOne, Plain: true}, change...)
	l.list(control.ScanRequest{})
	if n := l.requests(heads); n != repositories*perOne {
		t.Fatalf("the first listing asked for %d digests, want %d", n, repositories*perOne)
	}
	return l
}

// TestSecondListingAsksForWhatIsNew holds the target: what has not changed costs nothing but its list.
func TestSecondListingAsksForWhatIsNew(t *testing.T) {
	onBoth(t, func(t *testing.T, database string) {
		l := generic(t, database)
		l.now = l.now.Add(time.Second) // too short for any tag's turn: the period of the shortest is an hour
		for i := range 3 {
			if _, err := l.e.Emulator.Move(l.e.Repositories[i], "new"); err != nil {
				t.Fatal(err)
			}
		}
		l.list(control.ScanRequest{})
		if n := l.requests(heads); n != 3 {
			t.Errorf("%d digests were asked for, want those of 3 new tags", n)
		}
		if n := l.requests(lists); n != repositories+1 {
			t.Errorf("%d requests for lists, want one a repository and one for their names", n)
		}
		for i := range 3 {
			if got, want := l.tag(l.e.Repositories[i], "new").Digest, l.e.Digest(l.e.Repositories[i], "new"); got != want {
				t.Errorf("the new tag of %s is %s, want %s", l.e.Repositories[i], got, want)
			}
		}
	})
}

// TestMovedTagsAreFoundInTurn moves a tag that is not expected to and lists every hour.
func TestMovedTagsAreFoundInTurn(t *testing.T) {
	onBoth(t, func(t *testing.T, database string) {
		l := generic(t, database)
		first := l.now
		repository := l.e.Repositories[0]
		const fixed = "1.1000.105"
		before := l.tag(repository, fixed)
		if !before.CheckedAt.Equal(first) {
			t.Errorf("checked at %s, want %s", before.CheckedAt, first)
		}
		after, err := l.e.Emulator.Move(repository, fixed)
		if err != nil {
			t.Fatal(err)
		}
		asked, found := 0, time.Duration(0)
		for range 24 {
			l.now = l.now.Add(time.Hour)
			l.list(control.ScanRequest{})
			asked += l.requests(heads)
			tag := l.tag(repository, fixed)
			if tag.Digest == after && found == 0 {
				found = l.now.Sub(first)
				if !tag.CheckedAt.Equal(l.now) || !tag.ChangedAt.Equal(l.now) {
					t.Errorf("found at %s, and the tag says checked %s, changed %s", l.now, tag.CheckedAt, tag.ChangedAt)
				}
			} else if found == 0 && (tag.Digest != before.Digest || !tag.CheckedAt.Equal(first)) {
				t.Errorf("not asked yet, and the tag changed: %+v", tag)
			}
		}
		if found == 0 {
			t.Error("not found in a whole period")
		}
		// Each fixed tag once in the 24 hours, and each "latest" every hour.
		if want := repositories*(perOne-1) + 24*repositories; asked != want {
			t.Errorf("%d digests asked for in a day, want %d", asked, want)
		}
	})
}

func TestForceAsksForAll(t *testing.T) {
	onBoth(t, func(t *testing.T, database string) {
		l := generic(t, database)
		after, err := l.e.Emulator.Move(l.e.Repositories[0], "1.1000.105")
		if err != nil {
			t.Fatal(err)
		}
		l.now = l.now.Add(time.Second)
		l.list(control.ScanRequest{Force: true})
		if n := l.requests(heads); n != repositories*perOne || l.tag(l.e.Repositories[0], "1.1000.105").Digest != after {
			t.Errorf("%d digests asked for; the moved tag is %+v", n, l.tag(l.e.Repositories[0], "1.1000.105"))
		}
	})
}

// TestRotationHasABudget lists a day later, when every tag's turn has come, with leave to ask for some only.
func TestRotationHasABudget(t *testing.T) {
	l := generic(t, t.TempDir()+"/test.db", func(r *tidewaiter.Registry) {
		r.Settings = map[string]string{discover.SettingAtMost: "30"}
	})
	l.now = l.now.Add(25 * time.Hour)
	total := repositories * perOne
	for asked := 0; asked < total; asked += 30 {
		l.list(control.ScanRequest{})
		if n, want := l.requests(heads), min(30, total-asked); n != want {
			t.Fatalf("%d digests asked for, want %d", n, want)
		}
	}
	l.list(control.ScanRequest{})
	if n := l.requests(heads); n != 0 {
		t.Errorf("all had their turn, and %d are asked for again", n)
	}
}

// TestScansOfOneTagCount has an event's scan learn where a tag points: a listing must not put it back.
func TestScansOfOneTagCount(t *testing.T) {
	onBoth(t, func(t *testing.T, database string) {
		l := generic(t, database)
		repository := l.e.Repositories[0]
		after, err := l.e.Emulator.Move(repository, "1.1000.105")
		if err != nil {
			t.Fatal(err)
		}
		l.now = l.now.Add(time.Second)
		l.list(control.ScanRequest{Target: &tidewaiter.Target{Repository: repository, Tag: "1.1000.105"}})
		l.now = l.now.Add(time.Second)
		l.list(control.ScanRequest{})
		if n, tag := l.requests(heads), l.tag(repository, "1.1000.105"); n != 0 || tag.Digest != after || !tag.CheckedAt.Equal(l.now.Add(-time.Second)) {
			t.Errorf("%d digests asked for; the tag is %+v", n, tag)
		}
	})
}

// TestTimesAreKept chooses by age, which takes manifest and configuration of each image: once.
func TestTimesAreKept(t *testing.T) {
	l := newLab(t, t.TempDir()+"/test.db", tidewaiter.KindOCI, emulator.Options{Repositories: 2, Tags: 10, Plain: true, Indexes: -1, Artifacts: -1},
		func(r *tidewaiter.Registry) { r.Scope.Newest = 3 })
	// One of the manifests is known already, from when nobody asked for its time.
	digest := l.e.Digest(l.e.Repositories[0], "1.1000.100")
	m, _, err := l.e.Open(t).Manifest(t.Context(), l.e.Repositories[0], digest)
	if err != nil {
		t.Fatal(err)
	}
	if err := l.db.Update(t.Context(), func(tx *store.Tx) error { return tx.PutManifest(t.Context(), m) }); err != nil {
		t.Fatal(err)
	}
	l.list(control.ScanRequest{})
	if n := l.requests(heads); n != 20 {
		t.Errorf("the first listing asked for %d digests, want 20", n)
	}
	newest := l.tag(l.e.Repositories[0], "latest")
	l.now = l.now.Add(time.Second)
	l.list(control.ScanRequest{})
	if n := l.requests(`^(HEAD|GET) /v2/.*/(manifests|blobs)/`); n != 0 {
		t.Errorf("the second listing made %d requests for images", n)
	}
	if again := l.tag(l.e.Repositories[0], "latest"); again.Digest != newest.Digest || !again.GoneAt.IsZero() {
		t.Errorf("latest was %+v and is %+v", newest, again)
	}
}

// TestCutListingKeepsWhatItAsked refuses the digests in the middle: the next listing asks for the others only.
func TestCutListingKeepsWhatItAsked(t *testing.T) {
	l := newLab(t, t.TempDir()+"/test.db", tidewaiter.KindOCI, emulator.Options{Repositories: 1, Tags: 100, Plain: true})
	if err := l.e.Emulator.Inject(emulator.Fault{Pattern: heads, After: 60, Status: http.StatusForbidden}); err != nil {
		t.Fatal(err)
	}
	l.listBroken()
	l.e.Emulator.Heal()
	l.list(control.ScanRequest{})
	if n := l.requests(heads); n > 40+8 || n < 40 {
		t.Errorf("%d digests asked for, want the 40 that were refused and at most 8 that were under way then", n)
	}
	if got, want := l.tag(l.e.Repositories[0], "latest").Digest, l.e.Digest(l.e.Repositories[0], "latest"); got != want {
		t.Errorf("latest is %s, want %s", got, want)
	}
}

func TestLooksMutable(t *testing.T) {
	for tag, want := range map[string]bool{
		"latest": true, "main": true, "stable": true, "1": true, "1.2": true, "v3": true, "dev-snapshot": true, "1.2.3-SNAPSHOT": true, "alpine": true,
		"1.2.3": false, "v1.2.3": false, "1.2.3-rc1": false, "release-1.2.3": false, "sha-0a1b2c3": false, "0a1b2c3d4e5f": false,
		"main-0a1b2c3": false, "20260101": false, "2026-01-01": false, "nightly.2026.01.31": false, "build-1234": false,
	} {
		if got := discover.LooksMutable(tag); got != want {
			t.Errorf("%s: %v, want %v", tag, got, want)
		}
	}
}

func TestSettingsAreRead(t *testing.T) {
	for key, value := range map[string]string{discover.SettingWithin: "soon", discover.SettingMutable: "1s", discover.SettingAtMost: "-1"} {
		err := discover.CheckSettings(&tidewaiter.Registry{Settings: map[string]string{key: value}})
		if tidewaiter.KindOf(err) != tidewaiter.ErrInvalid {
			t.Errorf("%s %q: %v", key, value, err)
		}
	}
}
