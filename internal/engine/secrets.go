package engine

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"io"
	"path"
	"slices"
	"strings"
	"sync"
	"unicode"

	trivysecret "github.com/aquasecurity/trivy/pkg/fanal/secret"

	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// secretScanner looks for credentials with Trivy's built-in rules and leaves out what Trivy leaves out.
type secretScanner struct{ trivysecret.Scanner }

// builtinSecrets is made once in a process: making it writes to the rules Trivy holds in a global.
var builtinSecrets = sync.OnceValue(func() *secretScanner {
	return &secretScanner{trivysecret.NewScanner(nil)}
})

func newSecretScanner() *secretScanner { return builtinSecrets() }

// minSecretFile is the smallest file that is looked at, in bytes, as in Trivy.
const minSecretFile = 10

// maxFileFindings bounds what one file reports; a list of leaked keys makes the point with fewer.
const maxFileFindings = 100

// wants tells from path and size whether a file is to be looked at. A nil scanner wants none.
func (s *secretScanner) wants(p string, size int64) bool { return s != nil && size >= minSecretFile }

// accepts tells from a file's first bytes and its path whether it is looked at: text, or compiled Python.
func (s *secretScanner) accepts(p, head string) bool {
	if isBinary(head) && path.Ext(p) != ".pyc" {
		return false
	}
	name := p[1:] // Trivy's patterns are for relative names
	return !s.IsSkipped(name) && !s.AllowPath(name)
}

// isBinary judges the first 300 bytes as file(1) and Trivy do.
func isBinary(head string) bool {
	for i := range min(len(head), 300) {
		if b := head[i]; b < 7 || b == 11 || 13 < b && b < 27 || 27 < b && b < 0x20 || b == 0x7f {
			return true
		}
	}
	return false
}

// scanSecrets looks for secrets in a file as it streams by.
func (w *walker) scanSecrets(ctx context.Context, p string, r io.Reader) error {
	if len(w.doc.a.Secrets) >= w.limits.Findings {
		return nil
	}
	in := &textReader{ctx: ctx, r: r, left: w.limits.Secrets, printable: path.Ext(p) == ".pyc"}
	var secrets []tidewaiter.Secret
	err := recovered(func() error {
		secrets = w.engine.config.scan(p, in, in.printable)
		return nil
	})
	switch {
	case in.err != nil:
		return in.err // of the archive
	case err != nil:
		w.doc.noticef(tidewaiter.KindOf(err), p, "not searched for secrets: %s", err)
		return nil
	case in.left < 0:
		w.doc.noticef(tidewaiter.ErrTooLarge, p, "only its first %d bytes were searched for secrets", w.limits.Secrets)
	}
	if room := min(maxFileFindings, w.limits.Findings-len(w.doc.a.Secrets)); len(secrets) > room {
		w.doc.noticef(tidewaiter.ErrTooLarge, p, "%d more secrets in this file", len(secrets)-room)
		secrets = secrets[:room]
	}
	w.doc.a.Secrets = append(w.doc.a.Secrets, secrets...)
	return w.doc.weigh(len(p) * len(secrets))
}

// scan returns the secrets in a file, in order of place. Matches are censored by the scanner.
func (s *secretScanner) scan(p string, r io.Reader, binary bool) []tidewaiter.Secret {
	result := s.Scan(trivysecret.ScanArgs{FilePath: p, Content: r, Binary: binary})
	secrets := make([]tidewaiter.Secret, 0, len(result.Findings))
	for _, f := range result.Findings {
		severity, err := tidewaiter.ParseSeverity(f.Severity)
		if err != nil {
			severity = tidewaiter.SeverityUnknown
		}
		secrets = append(secrets, tidewaiter.Secret{
			Rule: f.RuleID, Category: string(f.Category), Title: f.Title, Severity: severity, Path: p,
			StartLine: f.StartLine, EndLine: f.EndLine, Match: clip(f.Match, 200),
		})
	}
	slices.SortStableFunc(secrets, func(a, b tidewaiter.Secret) int {
		return cmp.Or(a.StartLine-b.StartLine, strings.Compare(a.Rule, b.Rule))
	})
	return secrets
}

// ConfigSecrets returns the secrets in an image's configuration, as they are found in environment, labels and history.
// Their path is "config", their lines those of the indented document.
func (e *Engine) ConfigSecrets(raw []byte) []tidewaiter.Secret {
	const limit = 8 << 20 // registries refuse configurations of more than 4 MiB
	if len(raw) > limit {
		raw = raw[:limit]
	}
	var indented bytes.Buffer
	if json.Indent(&indented, raw, "", "  ") != nil {
		indented.Reset()
		indented.Write(raw)
	}
	var secrets []tidewaiter.Secret
	if err := recovered(func() error {
		secrets = e.config.scan("config.json", bytes.NewReader(indented.Bytes()), false)
		return nil
	}); err != nil {
		return nil
	}
	for i := range secrets {
		secrets[i].Path = configPath
	}
	return secrets[:min(len(secrets), maxFileFindings)]
}

// textReader fills the scanner's buffer with each read, which the scanner takes as a piece, up to a limit. Of a binary it
// passes on the printable runs of five bytes and more, a line each.
type textReader struct {
	ctx       context.Context
	r         io.Reader
	left      int64 // negative once something was left out
	printable bool
	piece     []byte
	err       error // of the underlying reader
}

// Read reads up to the limit. It returns no error but io.EOF, since the scanner would log it; err keeps it.
func (t *textReader) Read(p []byte) (int, error) {
	if t.err == nil {
		t.err = t.ctx.Err()
	}
	if t.err != nil || t.left < 0 {
		return 0, io.EOF
	}
	if t.printable {
		return t.readPrintable(p)
	}
	return t.fill(p)
}

func (t *textReader) fill(p []byte) (int, error) {
	n, err := io.ReadFull(t.r, p)
	if t.left -= int64(n); t.left < 0 {
		return n + int(t.left), io.EOF
	}
	if err != nil && err != io.EOF && !errors.Is(err, io.ErrUnexpectedEOF) {
		t.err = err
	}
	if err != nil {
		return n, io.EOF
	}
	return n, nil
}

// readPrintable passes on the printable runs of a piece. A run that goes on in the next piece counts as two.
func (t *textReader) readPrintable(p []byte) (int, error) {
	const shortest = 5
	if t.piece == nil {
		t.piece = make([]byte, len(p))
	}
	piece := t.piece[:len(p)-1] // what comes out is at most one byte longer than what went in
	n, err := t.fill(piece)
	piece = piece[:n]
	out := 0
	for len(piece) > 0 {
		run := slices.IndexFunc(piece, func(b byte) bool { return !unicode.IsPrint(rune(b)) })
		if run < 0 {
			run = len(piece)
		}
		if run >= shortest {
			out += copy(p[out:], piece[:run])
			p[out] = '\n'
			out++
		}
		piece = piece[min(run+1, len(piece)):]
	}
	return out, err
}
