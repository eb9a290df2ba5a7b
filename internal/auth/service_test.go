package auth_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tidewaiter/tidewaiter/internal/auth"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

func TestLogin(t *testing.T) {
	f := newFixture(t)
	u, err := f.Login(t.Context(), admin, password, remote)
	if err != nil {
		t.Fatal(err)
	}
	if u.Name != admin || u.Role != tidewaiter.RoleAdmin || !u.LastLogin.Equal(f.clock.now()) || f.user(t, admin).LastLogin.IsZero() {
		t.Errorf("got %+v", u)
	}
	var messages []string
	for _, c := range [][2]string{{admin, "incorrect"}, {"nobody", password}, {"", password}, {admin, ""}, {"Admin", password},
		{admin, strings.Repeat("x", 5000)}, {"a\x00b", password}} {
		_, err := f.Login(t.Context(), c[0], c[1], "")
		wantKind(t, err, tidewaiter.ErrUnauthorized)
		messages = append(messages, err.Error())
		if len(c[1]) > 1 && strings.Contains(err.Error(), c[1]) {
			t.Errorf("the error holds the password: %v", err)
		}
	}
	for _, m := range messages {
		if m != messages[0] {
			t.Errorf("%q differs from %q", m, messages[0])
		}
	}
}

func TestLoginWhileTheStoreIsAway(t *testing.T) {
	f := newFixture(t)
	f.users.err = tidewaiter.Errorf(tidewaiter.ErrTransient, "the database is away")
	for range 10 { // none of these is anybody's failure
		_, err := f.Login(t.Context(), admin, password, remote)
		wantKind(t, err, tidewaiter.ErrTransient)
	}
	f.users.err = nil
	if _, err := f.Login(t.Context(), admin, password, remote); err != nil {
		t.Fatal(err)
	}
	f.users.err = tidewaiter.Errorf(tidewaiter.ErrTransient, "the database is away")
	_, err := f.Login(t.Context(), admin, password, remote)
	wantKind(t, err, tidewaiter.ErrTransient)
}

func TestLoginCutOff(t *testing.T) {
	f := newFixture(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := f.Login(ctx, admin, password, remote); err != nil {
		wantKind(t, err, tidewaiter.ErrCanceled)
		if !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	}
}

func TestDamagedHash(t *testing.T) {
	f := newFixture(t)
	for _, hash := range []string{"", "x", "$argon2id$v=19$m=64,t=0,p=1$AAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAA",
		"$argon2id$v=19$m=64,t=1,p=0$AAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAA", "$argon2id$v=19$m=4294967295,t=1,p=1$AAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAA"} {
		f.users.change(admin, func(u *tidewaiter.User) { u.PasswordHash = hash })
		_, err := f.Login(t.Context(), admin, password, "")
		wantKind(t, err, tidewaiter.ErrBug)
	}
}

func TestRememberedOnlyAsLongAsTheyAreRight(t *testing.T) {
	f := newFixture(t)
	login := func() error { _, err := f.Login(t.Context(), admin, password, remote); return err }
	if err := login(); err != nil {
		t.Fatal(err)
	}
	if err := f.SetPassword(t.Context(), admin, "another password"); err != nil {
		t.Fatal(err)
	}
	wantKind(t, login(), tidewaiter.ErrUnauthorized)
	if err := f.SetPassword(t.Context(), admin, password); err != nil {
		t.Fatal(err)
	}
	if err := login(); err != nil {
		t.Fatal(err)
	}
	f.users.change(admin, func(u *tidewaiter.User) { u.Role = tidewaiter.RoleAuditor })
	u, err := f.Login(t.Context(), admin, password, remote)
	if err != nil || u.Role != tidewaiter.RoleAuditor {
		t.Errorf("the role is remembered: %+v, %v", u, err)
	}
	f.users.remove(admin)
	wantKind(t, login(), tidewaiter.ErrUnauthorized)
}

// A name that has to wait tells who is remembered: only those get past.
func TestRememberedForAMinute(t *testing.T) {
	f := newFixture(t)
	login := func() error { _, err := f.Login(t.Context(), admin, password, remote); return err }
	if err := login(); err != nil {
		t.Fatal(err)
	}
	for _, seconds := range []int{0, 0, 0, 0, 0, 1, 2, 4, 8, 16} { // 31 seconds, and 32 to wait
		f.clock.advance(time.Duration(seconds) * time.Second)
		_, err := f.Login(t.Context(), admin, "wrong", "")
		wantKind(t, err, tidewaiter.ErrUnauthorized)
	}
	_, err := f.Login(t.Context(), admin, "wrong", "")
	wantKind(t, err, tidewaiter.ErrLimit)
	f.clock.advance(28 * time.Second)
	if err := login(); err != nil {
		t.Errorf("after 59 seconds: %v", err)
	}
	f.clock.advance(time.Second)
	wantKind(t, login(), tidewaiter.ErrLimit)
}

func TestThrottle(t *testing.T) {
	f := newFixture(t)
	fail := func(name, from string) error {
		_, err := f.Login(t.Context(), name, "wrong", from)
		return err
	}
	for range 5 {
		wantKind(t, fail(admin, "192.0.2.1:1"), tidewaiter.ErrUnauthorized)
	}
	// The name has to wait, from everywhere, whatever the password; and longer with every further failure.
	for _, seconds := range []int{1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300} {
		want := time.Duration(seconds) * time.Second
		_, err := f.Login(t.Context(), admin, password, "192.0.2.2:1")
		wantKind(t, err, tidewaiter.ErrLimit)
		e, _ := errors.AsType[*tidewaiter.Error](err)
		if e.RetryAfter != want {
			t.Fatalf("has to wait %s, want %s", e.RetryAfter, want)
		}
		f.clock.advance(want - time.Millisecond)
		wantKind(t, fail(admin, "192.0.2.2:1"), tidewaiter.ErrLimit)
		f.clock.advance(time.Millisecond)
		wantKind(t, fail(admin, ""), tidewaiter.ErrUnauthorized)
	}
	f.clock.advance(5 * time.Minute)
	if _, err := f.Login(t.Context(), admin, password, "192.0.2.2:1"); err != nil {
		t.Fatal(err)
	}
	wantKind(t, fail(admin, "192.0.2.3:1"), tidewaiter.ErrUnauthorized) // forgiven: counting starts again
}

func TestThrottleByAddress(t *testing.T) {
	f := newFixture(t)
	for i := range 5 {
		_, err := f.Login(t.Context(), fmt.Sprint("nobody", i), "wrong", fmt.Sprintf("192.0.2.1:%d", i+1))
		wantKind(t, err, tidewaiter.ErrUnauthorized)
		_, err = f.Login(t.Context(), fmt.Sprint("nobody", i), "wrong", fmt.Sprintf("[2001:db8::%d]:80", i+1))
		wantKind(t, err, tidewaiter.ErrUnauthorized)
	}
	for _, from := range []string{"192.0.2.1:99", "192.0.2.1", "[::ffff:192.0.2.1]:5", "[2001:db8::ffff]:1"} {
		_, err := f.Login(t.Context(), admin, password, from)
		wantKind(t, err, tidewaiter.ErrLimit)
	}
	for _, from := range []string{"192.0.2.2:99", "[2001:db8:0:1::1]:1", ""} {
		if _, err := f.Login(t.Context(), admin, password, from); err != nil {
			t.Errorf("%s: %v", from, err)
		}
	}
}

func TestThrottleForgets(t *testing.T) {
	f := newFixture(t)
	for range 2 {
		for range 5 {
			_, err := f.Login(t.Context(), admin, "wrong", remote)
			wantKind(t, err, tidewaiter.ErrUnauthorized)
		}
		f.clock.advance(15*time.Minute + time.Second)
	}
}

func TestRightOnesAtOnceAreNotThrottled(t *testing.T) {
	f := newFixture(t)
	var wg sync.WaitGroup
	errs := make([]error, 40)
	for i := range errs {
		wg.Go(func() { _, errs[i] = f.Login(t.Context(), admin, password, remote) })
	}
	wg.Wait()
	if err := errors.Join(errs...); err != nil {
		t.Error(err)
	}
}

func TestWrongOnesAtOnceAreThrottled(t *testing.T) {
	f := newFixture(t)
	var wg sync.WaitGroup
	errs := make([]error, 60)
	for i := range errs {
		wg.Go(func() { _, errs[i] = f.Login(t.Context(), admin, fmt.Sprint("guess ", i), "") })
	}
	wg.Wait()
	guessed := 0
	for _, err := range errs {
		if tidewaiter.KindOf(err) == tidewaiter.ErrUnauthorized {
			guessed++
		}
	}
	if guessed < 5 || guessed > 6 { // five are free, and two are hashed at once
		t.Errorf("%d guesses", guessed)
	}
}

func TestThrottleIsBounded(t *testing.T) {
	f := newFixture(t)
	for range 5 {
		_, _ = f.Login(t.Context(), "first", "wrong", "")
	}
	_, err := f.Login(t.Context(), "first", "wrong", "")
	wantKind(t, err, tidewaiter.ErrLimit)
	for i := range 10_000 {
		_, _ = f.Login(t.Context(), fmt.Sprint("nobody", i), "wrong", "")
	}
	_, err = f.Login(t.Context(), "first", "wrong", "")
	wantKind(t, err, tidewaiter.ErrUnauthorized) // pushed out by the others
}

func TestBootstrap(t *testing.T) {
	f := newFixture(t)
	got, err := f.Bootstrap(t.Context(), "second", "")
	if err != nil || got != "" || len(f.users.all) != 1 {
		t.Errorf("a second first user: %q, %v", got, err)
	}
	f.users.remove(admin)
	got, err = f.Bootstrap(t.Context(), "root", "")
	if err != nil || len(got) < 20 {
		t.Fatalf("%q, %v", got, err)
	}
	if u, err := f.Login(t.Context(), "root", got, remote); err != nil || u.Role != tidewaiter.RoleAdmin {
		t.Errorf("%+v, %v", u, err)
	}
	f.users.remove("root")
	if _, err := f.Bootstrap(t.Context(), "root", "short"); tidewaiter.KindOf(err) != tidewaiter.ErrInvalid || len(f.users.all) != 0 {
		t.Errorf("a short password: %v", err)
	}
	f.users.err = tidewaiter.Errorf(tidewaiter.ErrTransient, "the database is away")
	_, err = f.Bootstrap(t.Context(), "root", "")
	wantKind(t, err, tidewaiter.ErrTransient)
}

func TestCreateUser(t *testing.T) {
	f := newFixture(t)
	tests := []struct {
		name     string
		role     tidewaiter.Role
		password string
		kind     tidewaiter.ErrorKind
	}{
		{"ci", tidewaiter.RoleCI, "pipelines", ""},
		{"ci", tidewaiter.RoleCI, "pipelines", tidewaiter.ErrConflict},
		{"", tidewaiter.RoleCI, "pipelines", tidewaiter.ErrInvalid},
		{"a:b", tidewaiter.RoleCI, "pipelines", tidewaiter.ErrInvalid},
		{"a\nb", tidewaiter.RoleCI, "pipelines", tidewaiter.ErrInvalid},
		{"a\xffb", tidewaiter.RoleCI, "pipelines", tidewaiter.ErrInvalid},
		{strings.Repeat("a", 200), tidewaiter.RoleCI, "pipelines", tidewaiter.ErrInvalid},
		{"x", "king", "pipelines", tidewaiter.ErrInvalid},
		{"x", tidewaiter.RoleCI, "short", tidewaiter.ErrInvalid},
		{"x", tidewaiter.RoleCI, strings.Repeat("a", 2000), tidewaiter.ErrInvalid},
	}
	for _, test := range tests {
		err := f.CreateUser(t.Context(), test.name, test.role, test.password)
		if tidewaiter.KindOf(err) != test.kind {
			t.Errorf("%q %q: %v", test.name, test.role, err)
		}
	}
	if h := f.user(t, "ci").PasswordHash; !strings.HasPrefix(h, "$argon2id$") || strings.Contains(h, "pipelines") {
		t.Errorf("stored as %q", h)
	}
	wantKind(t, f.SetPassword(t.Context(), "nobody", "pipelines"), tidewaiter.ErrNotFound)
	wantKind(t, f.SetPassword(t.Context(), "ci", "short"), tidewaiter.ErrInvalid)
}

func TestRequire(t *testing.T) {
	u := tidewaiter.User{Name: "ann", Role: tidewaiter.RoleAuditor}
	if err := auth.Require(u, tidewaiter.MayReadImages); err != nil {
		t.Error(err)
	}
	for _, err := range []error{auth.Require(u, tidewaiter.MayScan), auth.Require(tidewaiter.User{}, tidewaiter.MayReadImages)} {
		wantKind(t, err, tidewaiter.ErrForbidden)
	}
}
