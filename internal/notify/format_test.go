package notify_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/tidewaiter/tidewaiter/internal/notify"
	"github.com/tidewaiter/tidewaiter/internal/secret"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

var update = flag.Bool("update", false, "write the examples in docs/webhooks.md anew")

const document = "../../docs/webhooks.md"

func sampleFinding() *tidewaiter.WebhookMessage {
	return &tidewaiter.WebhookMessage{
		ID: "6f1f1c9e-6a4c-4d0f-9a52-0b5a6f3f0c11", Topic: tidewaiter.TopicFindingNew, Time: start, Subject: "registry.example.com/team/app:v1",
		Title: "registry.example.com/team/app:v1 has 2 new findings, the worst critical",
		Data: tidewaiter.MessageData{
			Image: &tidewaiter.MessageImage{Digest: "sha256:" + strings.Repeat("0a", 32), Platform: "linux/amd64",
				Names: []string{"registry.example.com/team/app:v1", "registry.example.com/team/app:latest"}},
			Cause: "advisories",
			Findings: &tidewaiter.MessageFindings{Total: 2, Counts: tidewaiter.Counts{Critical: 1, High: 1}, List: []tidewaiter.MessageFinding{
				{Vulnerability: "CVE-2026-10001", Severity: tidewaiter.SeverityCritical, Package: "openssl", Version: "3.0.11-1", FixedIn: "3.0.13-1"},
				{Vulnerability: "CVE-2026-10002", Severity: tidewaiter.SeverityHigh, Package: "left-pad", Version: "1.0.0"}}},
			Verdict: &tidewaiter.MessageVerdict{Before: tidewaiter.EffectAlert, After: tidewaiter.EffectBlock},
		},
	}
}

func sampleScan() *tidewaiter.WebhookMessage {
	return &tidewaiter.WebhookMessage{
		ID: "0d1be3a4-55c0-4f55-8a5e-6f2a3c1b7d22", Topic: tidewaiter.TopicScanFinished, Time: start, Subject: "https://registry.example.com",
		Title: "Scan of main (https://registry.example.com) completed: 41 images judged, 1 failed",
		Data: tidewaiter.MessageData{
			Registry: &tidewaiter.MessageRegistry{ID: "b5f0d6c2-0a9e-4f0b-8a55-2a1f6c0e9d33", Name: "main", URL: "https://registry.example.com"},
			Scan: &tidewaiter.MessageScan{ID: "9c0e7a10-7a53-4a5e-9d4b-1c2d3e4f5a44", State: tidewaiter.ScanCompleted, Repositories: 7, TagsSelected: 42,
				ImagesTotal: 42, ImagesDone: 41, ImagesFailed: 1, StartedAt: start.Add(-time.Minute), EndedAt: start,
				Errors: []tidewaiter.ScanError{{Kind: tidewaiter.ErrGone, Repository: "team/old", Tag: "v0", Text: "the manifest is gone", At: start}}},
		},
	}
}

// examples are the samples in the document, each before which it says which it is.
func examples(t *testing.T) map[string][]byte {
	t.Helper()
	out := map[string][]byte{}
	for _, format := range []tidewaiter.WebhookFormat{tidewaiter.FormatCloudEvents, tidewaiter.FormatJSON, tidewaiter.FormatSlack} {
		for _, m := range []*tidewaiter.WebhookMessage{sampleFinding(), sampleScan()} {
			_, body, err := notify.Render(&tidewaiter.Webhook{Format: format}, m)
			if err != nil {
				t.Fatal(err)
			}
			var pretty bytes.Buffer
			if err := json.Indent(&pretty, body, "", "  "); err != nil {
				t.Fatal(err)
			}
			out[string(format)+" "+string(m.Topic)] = pretty.Bytes()
		}
	}
	return out
}

// TestDocumentedExamples holds the examples in the document against what is sent.
func TestDocumentedExamples(t *testing.T) {
	raw, err := os.ReadFile(document)
	if err != nil {
		t.Fatal(err)
	}
	text, known := string(raw), 0
	all := examples(t)
	for name, want := range all {
		marker := "<!-- example: " + name + " -->\n```json\n"
		before, rest, found := strings.Cut(text, marker)
		if !found {
			continue
		}
		known++
		got, after, _ := strings.Cut(rest, "\n```")
		if *update {
			text = before + marker + string(want) + "\n```" + after
		} else if got != string(want) {
			t.Errorf("the example %s is out of date: go test ./internal/notify -run Documented -update\n%s", name, want)
		}
	}
	if known != strings.Count(text, "<!-- example: ") || known < 4 {
		t.Errorf("%d examples are known of %d", known, strings.Count(text, "<!-- example: "))
	}
	if *update {
		if err := os.WriteFile(document, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// snippet returns the code in a language that the document shows.
func snippet(t *testing.T, language string) string {
	t.Helper()
	raw, err := os.ReadFile(document)
	if err != nil {
		t.Fatal(err)
	}
	_, rest, found := strings.Cut(string(raw), "```"+language+"\n")
	code, _, ended := strings.Cut(rest, "```")
	if !found || !ended {
		t.Fatalf("the document shows no %s", language)
	}
	return code
}

// TestDocumentedVerification runs what the document tells receivers to do, on signatures that are right and wrong.
func TestDocumentedVerification(t *testing.T) {
	if got := snippet(t, "go"); !strings.Contains(harnessSource(t), got) {
		t.Errorf("the Go code is not what these tests verify signatures with:\n%s", got)
	}
	body := []byte(`{"id":"1"}`)
	now := time.Now() // the code in the document looks at the clock
	both := notify.Sign(body, now, secret.New("new-secret-of-32-bytes-or-so"), secret.New("old-secret-of-32-bytes-or-so"))
	cases := []struct {
		signature, secret string
		body              []byte
		want              bool
	}{
		{both, "new-secret-of-32-bytes-or-so", body, true}, {both, "old-secret-of-32-bytes-or-so", body, true}, {both, "another", body, false},
		{both, "new-secret-of-32-bytes-or-so", []byte("{}"), false}, {"", "new-secret-of-32-bytes-or-so", body, false},
		{notify.Sign(body, now.Add(-time.Hour), secret.New("new-secret-of-32-bytes-or-so")), "new-secret-of-32-bytes-or-so", body, false},
	}
	for _, c := range cases {
		if got := verify(c.signature, c.body, c.secret, now); got != c.want {
			t.Errorf("Go: %s with %s: %t", c.signature, c.secret, got)
		}
	}
	run := func(command string, args []string, c int) bool {
		cmd := exec.CommandContext(t.Context(), command, args...)
		cmd.Env = append(os.Environ(), "SIGNATURE="+cases[c].signature, "SECRET="+cases[c].secret)
		cmd.Stdin = bytes.NewReader(cases[c].body)
		return cmd.Run() == nil
	}
	for _, l := range []struct {
		command, language, more string
	}{{"python3", "python", "\nimport os, sys\nsys.exit(0 if verify(os.environ['SIGNATURE'], sys.stdin.buffer.read(), os.environ['SECRET']) else 1)\n"}, {"bash", "bash", ""}} {
		if exec.Command(l.command, "-c", "").Run() != nil || l.command == "bash" && exec.Command("openssl", "version").Run() != nil {
			t.Logf("%s is not there: its code was not run", l.command)
			continue
		}
		for i, c := range cases {
			if got := run(l.command, []string{"-c", snippet(t, l.language) + l.more}, i); got != c.want {
				t.Errorf("%s: case %d gives %t", l.language, i, got)
			}
		}
	}
}

func harnessSource(t *testing.T) string {
	t.Helper()
	b, err := os.ReadFile("harness_test.go")
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestCloudEvent(t *testing.T) {
	contentType, body, err := notify.Render(&tidewaiter.Webhook{Format: tidewaiter.FormatCloudEvents}, sampleFinding())
	if err != nil || contentType != "application/cloudevents+json; charset=utf-8" {
		t.Fatal(contentType, err)
	}
	var e map[string]any
	if err := json.Unmarshal(body, &e); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{"specversion": "1.0", "id": sampleFinding().ID, "source": "/tidewaiter",
		"type": "io.github.tidewaiter.finding.new", "time": "2026-11-03T12:00:00Z", "datacontenttype": "application/json", "subject": sampleFinding().Subject} {
		if e[name] != want {
			t.Errorf("%s is %v", name, e[name])
		}
	}
	for name := range e { // "MUST consist of lower-case letters or digits"
		if strings.ToLower(name) != name {
			t.Errorf("attribute %s", name)
		}
	}
}

// TestSlackInjection has names that mean something to Slack, and much of everything: nothing of it gets through as markup,
// and the message keeps within Slack's limits.
func TestSlackInjection(t *testing.T) {
	m := sampleFinding()
	evil := "`<!channel> <https://evil.example|click> *bold* & <@U123>`\n# head\u202e \x00" + strings.Repeat("é<", 5000)
	m.Title, m.Subject, m.ID = evil, evil, evil
	m.Data.Image.Names, m.Data.Image.MoreNames = nil, 7
	for range 200 {
		m.Data.Image.Names = append(m.Data.Image.Names, evil)
		m.Data.Findings.List = append(m.Data.Findings.List, tidewaiter.MessageFinding{Vulnerability: evil, Package: evil, Version: evil, FixedIn: evil})
	}
	m.Data.Findings.Total, m.Data.Findings.AtLeast = 12_345, true
	m.Data.Registry = &tidewaiter.MessageRegistry{Name: evil, URL: evil}
	scan := sampleScan().Data.Scan
	scan.Error, scan.Target = evil, &tidewaiter.Target{Repository: evil, Tag: evil}
	for range 200 {
		scan.Errors = append(scan.Errors, tidewaiter.ScanError{Repository: evil, Text: evil})
	}
	m.Data.Scan, m.Data.Webhook = scan, &tidewaiter.MessageRecipient{Name: evil}
	m.Data.Summary = &tidewaiter.MessageSummary{Images: m.Data.Image.Names, More: 3}
	_, body, err := notify.Render(&tidewaiter.Webhook{Format: tidewaiter.FormatSlack}, m)
	if err != nil {
		t.Fatal(err)
	}
	var got struct {
		Text   string
		Blocks []struct {
			Type     string
			Text     *struct{ Type, Text string }
			Elements []struct{ Type, Text string }
		}
	}
	if err := json.Unmarshal(body, &got); err != nil {
		t.Fatal(err)
	}
	var texts []string
	for _, b := range got.Blocks {
		if b.Text != nil {
			texts = append(texts, b.Text.Text)
			if limit := map[string]int{"header": 150, "section": 3000}[b.Type]; utf8.RuneCountInString(b.Text.Text) > limit {
				t.Errorf("a %s of %d characters", b.Type, utf8.RuneCountInString(b.Text.Text))
			}
		}
		for _, e := range b.Elements {
			texts = append(texts, e.Text)
		}
	}
	total := 0
	for _, text := range append(texts, got.Text) {
		total += utf8.RuneCountInString(text)
		if strings.ContainsAny(text, "<>\x00\u202e") {
			t.Errorf("markup or control characters get through: %.300q", text)
		}
		for line := range strings.SplitSeq(text, "\n") {
			if strings.Count(line, "`")%2 != 0 {
				t.Errorf("a code span is open: %.300q", line)
			}
			for i, part := range strings.Split(line, "`") {
				if i%2 == 0 && strings.Contains(part, "bold") && text != got.Text {
					t.Errorf("a name stands outside of a code span: %.300q", line)
				}
			}
		}
	}
	if len(got.Blocks) > 50 || total > 12_000 {
		t.Errorf("%d blocks, %d characters", len(got.Blocks), total)
	}
	if !strings.Contains(string(body), "more lines") {
		t.Errorf("what is left out is not counted: %.2000s", body)
	}
	for _, ordinary := range []*tidewaiter.WebhookMessage{sampleFinding(), sampleScan()} {
		_, body, err := notify.Render(&tidewaiter.Webhook{Format: tidewaiter.FormatSlack}, ordinary)
		if err != nil || len(body) > 4000 {
			t.Errorf("%d bytes, %v", len(body), err)
		}
	}
}

// TestSlackCounts has more findings and names than are listed.
func TestSlackCounts(t *testing.T) {
	m := sampleFinding()
	for i := range 100 {
		m.Data.Findings.List = append(m.Data.Findings.List, tidewaiter.MessageFinding{Vulnerability: "CVE-2026-" + strconv.Itoa(i), Package: "left-pad"})
		m.Data.Image.Names = append(m.Data.Image.Names, "registry.example.com/team/app:v"+strconv.Itoa(i))
	}
	m.Data.Findings.Total, m.Data.Findings.AtLeast, m.Data.Image.MoreNames = 12_345, true, 1000
	_, body, err := notify.Render(&tidewaiter.Webhook{Format: tidewaiter.FormatSlack}, m)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"and 12,330 more findings", "at least 12,345", "and 1,087 more names"} {
		if !strings.Contains(string(body), want) {
			t.Errorf("%q is missing: %s", want, body)
		}
	}
}

func TestSign(t *testing.T) {
	body := []byte(`{"id":"1"}`)
	at := time.Unix(1_700_000_000, 0)
	// printf '1700000000.{"id":"1"}' | openssl dgst -sha256 -hmac key
	want := "t=" + strconv.FormatInt(at.Unix(), 10) + ",v1=" + signatureByOpenSSL
	if got := notify.Sign(body, at, secret.New("key")); got != want {
		t.Errorf("got %s", got)
	}
	if got := notify.Sign(body, at, secret.New("key"), secret.New("old")); !strings.HasPrefix(got, want+",v1=") || strings.Count(got, "v1=") != 2 {
		t.Errorf("got %s", got)
	}
}

const signatureByOpenSSL = "9e040cb90cefc5a04ab9a9848a74e2ff0489b4d8837b38d54555cb67e4f8e76e"
