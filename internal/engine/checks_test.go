package engine_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tidewaiter/tidewaiter/internal/engine"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// outcome returns a check's cause, "passed" or "undecided".
func outcome(id int, cfg tidewaiter.ImageConfig, c *tidewaiter.Content) string {
	for _, check := range engine.Checks(&tidewaiter.Image{Config: cfg}, c) {
		switch {
		case check.ID != id:
		case check.Passed:
			return "passed"
		default:
			return check.Cause
		}
	}
	return "undecided"
}

func history(lines ...string) tidewaiter.ImageConfig {
	var cfg tidewaiter.ImageConfig
	for _, l := range lines {
		cfg.History = append(cfg.History, tidewaiter.HistoryEntry{CreatedBy: l})
	}
	return cfg
}

func TestChecks(t *testing.T) {
	const (
		baseOld = "/bin/sh -c #(nop) ADD file:4b5b1bfb2b2e9b3e0b1c2d3e4f5061728394a5b6c7d8e9f0a1b2c3d4e5f60718 in / "
		baseNew = "ADD alpine-minirootfs-3.20.1-x86_64.tar.gz / # buildkit"
	)
	content := &tidewaiter.Content{}
	for _, tt := range []struct {
		name string
		id   int
		cfg  tidewaiter.ImageConfig
		c    *tidewaiter.Content
		want string
	}{
		{"no user", 41, tidewaiter.ImageConfig{}, nil, "The image sets no user and runs as root"},
		{"root", 41, tidewaiter.ImageConfig{User: "root:root"}, nil, "The image sets root as its user"},
		{"zero", 41, tidewaiter.ImageConfig{User: "00:0"}, nil, "The image sets root as its user"},
		{"user", 41, tidewaiter.ImageConfig{User: "app"}, nil, "passed"},
		{"number", 41, tidewaiter.ImageConfig{User: "65532:0"}, nil, "passed"},

		{"no health check", 406, tidewaiter.ImageConfig{}, nil, "The image has no health check"},
		{"health check off", 406, tidewaiter.ImageConfig{Healthcheck: []string{"NONE"}}, nil, "The image has no health check"},
		{"health check", 406, tidewaiter.ImageConfig{Healthcheck: []string{"CMD-SHELL", "true"}}, nil, "passed"},

		{"variables by name", 424, tidewaiter.ImageConfig{Env: []string{"PATH=/bin", "DB_PASSWORD=hunter2", "API_KEY=abc", "AWS_ACCESS_KEY_ID=x"}}, nil,
			"The environment variables API_KEY,AWS_ACCESS_KEY_ID,DB_PASSWORD contain sensitive data"},
		{"variable by value", 424, tidewaiter.ImageConfig{Env: []string{"HUB=" + githubToken}}, nil, "The environment variables HUB contain sensitive data"},
		{"harmless variables", 424, tidewaiter.ImageConfig{Env: []string{
			"GPG_KEY=E3FF2839C048B25C084DEBE9B26995E310250568", "DB_PASSWORD_FILE=/run/secrets/db", "DB_PASSWORD=", "PWD=/app", "KEYBOARD=us",
			"TOKEN_TTL=3600", "SECRET=$OTHER", "ALLOW_EMPTY_PASSWORD=yes", "COMPASS=north", "NODE_VERSION=22.0.0",
		}}, nil, "passed"},

		{"private keys", 425, tidewaiter.ImageConfig{}, &tidewaiter.Content{Secrets: []tidewaiter.Secret{
			{Rule: "private-key", Path: "/root/id_rsa"}, {Rule: "private-key", Path: "/etc/key.pem"}, {Rule: "private-key", Path: "/etc/key.pem"},
			{Rule: "private-key", Path: "config"}, {Rule: "github-pat", Path: "/app/.env"},
		}}, "Found: /etc/key.pem, /root/id_rsa"},
		{"no private keys", 425, tidewaiter.ImageConfig{}, content, "passed"},
		{"content unknown", 425, tidewaiter.ImageConfig{}, nil, "undecided"},
		{"secrets in files", 456, tidewaiter.ImageConfig{}, &tidewaiter.Content{Secrets: []tidewaiter.Secret{{Rule: "github-pat", Path: "/app/.env"}}}, "Found: /app/.env"},
		{"no secrets in files", 456, tidewaiter.ImageConfig{}, content, "passed"},

		{"update alone", 9407, history(baseOld, "/bin/sh -c apt-get -qq update"), nil, "An instruction updates the package lists and installs nothing: apt-get -qq update"},
		{"update alone, BuildKit", 9407, history("RUN /bin/sh -c apk update # buildkit"), nil, "An instruction updates the package lists and installs nothing: apk update"},
		{"update with install", 9407, history("RUN /bin/sh -c apt-get update && apt-get install -y --no-install-recommends curl # buildkit"), nil, "passed"},
		{"yum's update installs", 9407, history("/bin/sh -c yum -y update"), nil, "passed"},
		{"with arguments", 9407, history("|1 V=1 /bin/sh -c apt update"), nil, "An instruction updates the package lists and installs nothing: apt update"},
		{"no history", 9407, tidewaiter.ImageConfig{}, nil, "undecided"},
		{"history of another builder", 9407, history("bazel build ...", "kaniko", ""), nil, "undecided"},

		{"set-id", 9408, tidewaiter.ImageConfig{}, &tidewaiter.Content{SetID: []tidewaiter.SetIDFile{{Path: "/bin/su", Mode: 0o4755}}}, "Found: /bin/su"},
		{"no set-id", 9408, tidewaiter.ImageConfig{}, content, "passed"},

		{"add", 9409, history(baseOld, "ADD https://example.com/x.tgz /x # buildkit"), nil, "The image was built with an ADD instruction"},
		{"add of the base only", 9409, history(baseOld, "COPY . /app # buildkit"), nil, "passed"},
		{"add of the base only, BuildKit", 9409, history(baseNew, `CMD ["/bin/sh"]`), nil, "passed"},
		{"add in a command's text", 9409, history("RUN /bin/sh -c echo ADD x # buildkit"), nil, "passed"},
		{"add undecided", 9409, tidewaiter.ImageConfig{}, nil, "undecided"},

		{"secret argument", 9410, history("RUN |2 VERSION=1 NPM_TOKEN=abcdef /bin/sh -c npm ci # buildkit"), nil, "Secrets in the build arguments NPM_TOKEN"},
		{"secret variable", 9410, tidewaiter.ImageConfig{Env: []string{"DB_PASSWORD=hunter2"}}, nil, "Secrets in the environment variables DB_PASSWORD"},
		{"secret in the configuration", 9410, tidewaiter.ImageConfig{}, &tidewaiter.Content{Secrets: []tidewaiter.Secret{{Title: "GitHub Personal Access Token", Path: "config"}}},
			"Secrets in the image configuration (GitHub Personal Access Token)"},
		{"no secrets", 9410, history(baseNew), nil, "passed"},
		{"nothing to look at", 9410, tidewaiter.ImageConfig{}, nil, "undecided"},

		{"ssh", 9450, tidewaiter.ImageConfig{ExposedPorts: []string{"22/tcp", "80/tcp"}}, nil, "The image exposes port 22"},
		{"no ssh", 9450, tidewaiter.ImageConfig{ExposedPorts: []string{"2222/tcp", "22/udp"}}, nil, "passed"},
		{"sudo", 9451, tidewaiter.ImageConfig{}, &tidewaiter.Content{Installed: []tidewaiter.Installed{{Package: &tidewaiter.Package{Ecosystem: "deb", Name: "sudo"}}}},
			"The package sudo is installed"},
		{"a library called sudo", 9451, tidewaiter.ImageConfig{}, &tidewaiter.Content{Installed: []tidewaiter.Installed{{Package: &tidewaiter.Package{Ecosystem: "npm", Name: "sudo"}}}},
			"passed"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := outcome(tt.id, tt.cfg, tt.c); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

// Causes name variables and paths and never tell a value.
func TestChecksTellNoSecrets(t *testing.T) {
	cfg := history("RUN |1 TOKEN=hunter2hunter2 /bin/sh -c curl -H hunter2hunter2 # buildkit", "ENV PASSWORD=hunter2hunter2")
	cfg.Env = []string{"PASSWORD=hunter2hunter2", "TOKEN=" + githubToken}
	checks := engine.Checks(&tidewaiter.Image{Config: cfg}, &tidewaiter.Content{})
	ids := make([]int, len(checks))
	for i, c := range checks {
		ids[i] = c.ID
		if text := c.Cause + c.Detail + c.Title; strings.Contains(text, "hunter2") || strings.Contains(text, githubToken) {
			t.Errorf("tells: %+v", c)
		}
		if c.Title == "" || c.Benchmark == "" || c.Severity == tidewaiter.SeverityUnknown || !c.Passed && (c.Cause == "" || c.Detail == "") {
			t.Errorf("incomplete: %+v", c)
		}
		if strings.HasPrefix(c.Benchmark, "CIS") != (c.Section != "") {
			t.Errorf("benchmark and section disagree: %+v", c)
		}
	}
	if diff := cmp.Diff([]int{41, 406, 424, 425, 456, 9407, 9408, 9409, 9410, 9450, 9451}, ids); diff != "" || !slices.IsSorted(ids) {
		t.Error(diff)
	}
}
