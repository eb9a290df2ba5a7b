package cli_test

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/tidewaiter/tidewaiter/internal/cli"
	"github.com/tidewaiter/tidewaiter/internal/samples"
	"github.com/tidewaiter/tidewaiter/internal/testkit"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){
		"tidewaiter": func() { os.Exit(cli.Main(os.Args[1:], os.Stdin, os.Stdout, os.Stderr)) },
	})
}

const (
	registryUser     = "reader"
	registryPassword = "harbour-pilot"
)

// TestScripts runs the command line against real registries. The scripts find them by their variables.
func TestScripts(t *testing.T) {
	shared := map[string]string{"USERNAME": registryUser, "PASSWORD": registryPassword}
	for name, o := range map[string]testkit.Options{
		"OPEN":    {},
		"LOCKED":  {Username: registryUser, Password: registryPassword},
		"TOKEN":   {Username: registryUser, Password: registryPassword, TokenAuth: true},
		"TLS":     {TLS: testkit.TLSTrusted},
		"UNKNOWN": {TLS: testkit.TLSUnknownCA},
		"EXPIRED": {TLS: testkit.TLSExpired},
	} {
		r := testkit.Registry(t, o)
		shared[name] = r.Host
		if o.TLS == testkit.TLSTrusted || o.TLS == testkit.TLSExpired {
			shared[name+"_CA"] = write(t, r.CA)
		}
		// The samples' advisories are in each registry too.
		if err := samples.Push(t.Context(), r.URL, samples.Options{Username: r.Username, Password: r.Password, Insecure: o.TLS != ""}); err != nil {
			t.Fatal(err)
		}
	}
	shared["FORBIDDEN"] = forbidden(t, shared["OPEN"])
	shared["PROXY"] = testkit.NewFaults(t, "http://"+shared["OPEN"], nil).URL // as an HTTP proxy it leads any name to the open registry
	shared["LOCALHOST"] = strings.Replace(shared["OPEN"], "127.0.0.1", "localhost", 1)
	advisories := t.TempDir()
	if err := samples.WriteAdvisories(advisories, samples.AdvisoryOptions{}); err != nil {
		t.Fatal(err)
	}
	shared["ADVISORIES"] = advisories
	shared["ADVISORIES_REF"] = shared["OPEN"] + "/" + samples.AdvisoriesRepository + ":" + samples.AdvisoriesTag
	catalogue, err := samples.Catalogue(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script",
		Setup: func(e *testscript.Env) error {
			e.Setenv("DOCKER_CONFIG", filepath.Join(e.WorkDir, "docker")) // nobody's own logins
			for name, value := range shared {
				e.Setenv(name, value)
			}
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"exits": exits, "envfile": envFile,
			"report": func(ts *testscript.TestScript, neg bool, args []string) { checkReport(ts, catalogue, neg, args) },
		},
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
	})
}

// forbidden is the registry at host, but with a catalog it does not show.
func forbidden(t *testing.T, host string) string {
	f := testkit.NewFaults(t, "http://"+host, nil)
	f.Add(t, testkit.Fault{Path: `^/v2/_catalog`, Status: 403, Body: `{"errors":[{"code":"DENIED","message":"requested access to the resource is denied"}]}`})
	return f.Host
}

func write(t *testing.T, content []byte) string {
	path := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// exits runs a program and wants the exit code given first.
func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits code program [args...]")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	got := 0
	if err := ts.Exec(args[1], args[2:]...); err != nil {
		exit, ok := errors.AsType[*exec.ExitError](err)
		if !ok {
			ts.Fatalf("%v", err)
		}
		got = exit.ExitCode()
	}
	if got != want {
		ts.Fatalf("exit code %d, want %d", got, want)
	}
}

// envFile replaces the variables in a file of the script.
func envFile(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: envfile file")
	}
	text := os.Expand(ts.ReadFile(args[0]), ts.Getenv)
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(text), 0o600))
}

// checkReport holds a report in a file against what is known of a sample.
func checkReport(ts *testscript.TestScript, catalogue []samples.Sample, neg bool, args []string) {
	if neg || len(args) != 4 {
		ts.Fatalf("usage: report format file repository tag")
	}
	read := readers[args[0]]
	if read == nil {
		ts.Fatalf("no such format: %s", args[0])
	}
	sample := samples.Find(catalogue, args[2], args[3])
	if sample == nil {
		ts.Fatalf("no such sample: %s:%s", args[2], args[3])
	}
	got, err := read([]byte(ts.ReadFile(args[1])))
	ts.Check(err)
	if err := got.compare(sample.Expect); err != nil {
		ts.Fatalf("%s of %s:%s: %v", args[0], args[2], args[3], err)
	}
	ts.Logf("%s", got.summary())
}
