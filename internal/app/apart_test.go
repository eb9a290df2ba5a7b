package app_test

import (
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/tidewaiter/tidewaiter/internal/testkit"
)

// apartEnv is the environment variable that names the test for which this process was started.
const apartEnv = "TIDEWAITER_APP_TEST_APART"

// apart has a test run in a process of its own, beside others, and reports whether this is that process; where it is not, the
// test is over. Trivy has one advisory database in a process: servers with different ones, or of which one ends before the other,
// would be in each other's way.
func apart(t *testing.T) bool {
	t.Helper()
	if os.Getenv(apartEnv) != "" {
		return true
	}
	server, err := testkit.PostgresServer()
	if err != nil {
		t.Fatal(err)
	}
	var pattern []string
	for part := range strings.SplitSeq(t.Name(), "/") {
		pattern = append(pattern, "^"+regexp.QuoteMeta(part)+"$")
	}
	args := []string{"-test.run=" + strings.Join(pattern, "/"), "-test.v", "-test.count=1"}
	if end, ok := t.Deadline(); ok {
		args = append(args, "-test.timeout="+time.Until(end).String())
	}
	cmd := exec.CommandContext(t.Context(), os.Args[0], args...)
	cmd.Env = append(os.Environ(), apartEnv+"="+t.Name(), testkit.PostgresServerEnv+"="+server)
	cmd.Stdout, cmd.Stderr = t.Output(), t.Output()
	alive, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	defer alive.Close()
	if err := cmd.Run(); err != nil {
		t.Errorf("in a process of its own: %v", err)
	}
	return false
}

// beside is t.Parallel for parts of a test, which come one after the other in a process of its own.
func beside(t *testing.T) {
	t.Helper()
	if os.Getenv(apartEnv) == "" {
		t.Parallel()
	}
}

// needsApart fails a test that should have called apart.
func needsApart(t *testing.T) {
	t.Helper()
	if os.Getenv(apartEnv) == "" {
		t.Fatal("a server with advisories of its own belongs into a process of its own")
	}
}
