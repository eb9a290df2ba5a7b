package engine_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tidewaiter/tidewaiter/internal/engine"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// Credentials that look real are put together here, so that no scanner takes this file for a leak.
var (
	githubToken = "ghp_" + strings.Repeat("aB3dE6gH9k", 4)[:36]
	awsKeyID    = "AKIA" + "Q3EGRSTUVWXYZ2A4"
	privateKey  = "-----BEGIN RSA PRIVATE " + "KEY-----\n" + strings.Repeat("MIIEpAIBAAKCAQEA7x1Rk2y9Zq3Jm0c5d8f1g2h3i4j5k6l7m8n9o0p1q2r3s4t5\n", 8) + "-----END RSA PRIVATE " + "KEY-----\n"
)

func TestSecrets(t *testing.T) {
	long := strings.Repeat("a line of text, nothing else\n", 20_000)
	for _, tt := range []struct {
		name string
		in   entry
		want []string
	}{
		{"token", entry{name: "app/.env", body: "# settings\nTOKEN=" + githubToken + "\n"}, []string{"github-pat /app/.env 2"}},
		{"key", entry{name: "root/.ssh/id_rsa", body: privateKey}, []string{"private-key /root/.ssh/id_rsa 2"}},
		{"far into a file", entry{name: "var/log/app.log", body: long + "TOKEN=" + githubToken + "\n" + long}, []string{"github-pat /var/log/app.log 20001"}},
		{"in a manifest", entry{name: "app/package.json", body: `{"name":"x","version":"1.0.0","token":"` + githubToken + `"}`}, []string{"github-pat /app/package.json 1"}},
		{"in an executable script", entry{name: "usr/bin/deploy", mode: 0o755, body: "#!/bin/sh\nTOKEN=" + githubToken + "\n"}, []string{"github-pat /usr/bin/deploy 2"}},
		{"compiled Python", entry{name: "app/settings.pyc", body: "\x00\x01\x02\x03\x00" + githubToken + "\x00\x01"}, []string{"github-pat /app/settings.pyc 1"}},
		{"binary", entry{name: "app/data", body: "\x00\x01\x02" + githubToken}, nil},
		{"test directory", entry{name: "app/test/.env", body: "TOKEN=" + githubToken}, nil},
		{"skipped extension", entry{name: "app/.env.gz", body: "TOKEN=" + githubToken}, nil},
		{"dependency", entry{name: "app/node_modules/x/.env", body: "TOKEN=" + githubToken}, nil},
		{"tiny", entry{name: "a", body: "x"}, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			a := analyze(t, newEngine(t, engine.Options{Secrets: true}), tt.in)
			var got []string
			for _, s := range a.Secrets {
				b, err := json.Marshal(s.StartLine)
				if err != nil {
					t.Fatal(err)
				}
				got = append(got, s.Rule+" "+s.Path+" "+string(b))
				if s.Severity == tidewaiter.SeverityUnknown || s.Title == "" {
					t.Errorf("incomplete: %+v", s)
				}
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Error(diff)
			}
			if doc, err := json.Marshal(a); err != nil || strings.Contains(string(doc), githubToken) || strings.Contains(string(doc), "MIIEpAIBAAKCAQEA") {
				t.Errorf("the document tells the secret: %s, %v", doc, err)
			}
			if a := analyze(t, newEngine(t, engine.Options{}), tt.in); len(a.Secrets) > 0 {
				t.Error("looked for secrets although told not to")
			}
		})
	}
}

func TestSecretsAreBounded(t *testing.T) {
	body := strings.Repeat("TOKEN="+githubToken+"\n", 150)
	e := newEngine(t, engine.Options{Secrets: true, Limits: engine.Limits{Findings: 120}})
	a := analyze(t, e, entry{name: "a.env", body: body}, entry{name: "b.env", body: body}, entry{name: "c.env", body: body})
	if len(a.Secrets) != 120 || len(a.Notices) != 2 {
		t.Errorf("%d secrets, notices %v", len(a.Secrets), a.Notices)
	}
}

func TestConfigSecrets(t *testing.T) {
	e := newEngine(t, engine.Options{})
	raw := `{"architecture":"amd64","config":{"Env":["PATH=/bin","GITHUB_TOKEN=` + githubToken + `"]},"history":[{"created_by":"ENV AWS_ACCESS_KEY_ID=` + awsKeyID + `"}]}`
	got := map[string]bool{}
	for _, s := range e.ConfigSecrets([]byte(raw)) {
		got[s.Rule] = true
		if s.Path != "config" || strings.Contains(s.Match, githubToken) || strings.Contains(s.Match, awsKeyID) {
			t.Errorf("got %+v", s)
		}
	}
	if !got["github-pat"] || !got["aws-access-key-id"] {
		t.Errorf("found %v", got)
	}
	for _, raw := range []string{"", "not json", `{"config":{}}`, "\x00\xff"} {
		if s := e.ConfigSecrets([]byte(raw)); len(s) > 0 {
			t.Errorf("%q: %v", raw, s)
		}
	}
}
