package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/tidewaiter/tidewaiter/client"
	"github.com/tidewaiter/tidewaiter/internal/report"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

type gateCommand struct {
	Image    string        `arg:"" help:"The image to let through or not: name[:tag] or name@digest."`
	FailOn   []string      `help:"What stops the image: block (policy blocks it), alert (policy alerts or blocks), unknown (there is no verdict). With commas." enum:"block,alert,unknown" default:"block,unknown" placeholder:"WHAT"`
	FailOpen bool          `help:"Let the image through when the server cannot be asked."`
	Wait     time.Duration `help:"Have the server scan an image that is unknown or outdated, and wait so long; at most 1m." default:"0s" placeholder:"TIME"`
	MaxAge   time.Duration `help:"How long ago the server may have looked where the tag points; with --wait, 1m when not given." placeholder:"TIME"`
	Platform string        `help:"The platform the image is for; the worst of those in scope otherwise." placeholder:"OS/ARCH[/VARIANT]"`
	remoteFlags
}

// Help tells what the exit codes mean to a pipeline.
func (gateCommand) Help() string {
	return `Asks a server for the verdict of an image and ends with an exit code a pipeline can stop on. The answer says why, and which
versions would mend it. A tag that has moved since it was judged counts as unknown.

Exit codes: 0 may be used, 1 the server could not be asked, 2 blocked (or alerted on, with --fail-on alert), 3 no verdict (with
--fail-on unknown), 64 wrong usage, 77 the server refused the login.`
}

// gateAnswer is what `gate --output json` prints.
type gateAnswer struct {
	Image   string `json:"image"`
	Passed  bool   `json:"passed"`
	Outcome string `json:"outcome"`          // ignore, alert, block, unknown, error
	Reason  string `json:"reason,omitempty"` // of unknown, in a word
	Detail  string `json:"detail,omitempty"`

	Verdict *client.ImageVerdict `json:"verdict,omitempty"`
}

// Run asks and prints; the error decides over the exit code.
func (c gateCommand) Run(ctx context.Context, s streams) error {
	server, err := c.client(s)
	if err != nil {
		return err
	}
	v, err := server.Verdict(ctx, client.VerdictQuery{Image: c.Image, Platform: c.Platform, Wait: c.Wait, MaxAge: c.MaxAge})
	answer, failure := c.judge(v, err)
	if failure != nil && !errors.Is(failure, errFindings) && !errors.Is(failure, errNoVerdict) && ctx.Err() != nil {
		return ctx.Err()
	}
	answer.Passed = failure == nil
	if c.Output == "json" {
		if err := json.NewEncoder(s.out).Encode(answer); err != nil {
			return err
		}
		return failure
	}
	if err := answer.write(s.out); err != nil {
		return err
	}
	if answer.Outcome == "error" && failure == nil {
		sayf(s.err, "tidewaiter: let through although the server could not be asked: %s\n", report.Visible(answer.Detail))
	}
	return failure
}

// judge turns the server's answer into an outcome, and into the error to end with.
func (c gateCommand) judge(v *client.ImageVerdict, err error) (gateAnswer, error) {
	answer := gateAnswer{Image: c.Image}
	if reason, ok := client.NoVerdict(err); ok {
		answer.Outcome, answer.Reason, answer.Detail = "unknown", reason, err.Error()
		return answer, c.unknown()
	}
	if err != nil {
		answer.Outcome, answer.Detail = "error", err.Error()
		err = refused(err)
		if kind := tidewaiter.KindOf(err); c.FailOpen && kind != tidewaiter.ErrInvalid && kind != tidewaiter.ErrDenied {
			err = nil
		}
		return answer, err
	}
	answer.Image, answer.Outcome, answer.Verdict = v.Image, v.Effect, v
	switch {
	case !v.Current:
		answer.Outcome, answer.Reason = "unknown", "outdated"
		answer.Detail = "the tag has moved since it was judged (use --wait to have it scanned)"
		return answer, c.unknown()
	case v.Effect == "block" && (c.failsOn("block") || c.failsOn("alert")), v.Effect == "alert" && c.failsOn("alert"):
		return answer, errFindings
	}
	return answer, nil
}

func (c gateCommand) failsOn(what string) bool { return slices.Contains(c.FailOn, what) }

func (c gateCommand) unknown() error {
	if c.failsOn("unknown") {
		return errNoVerdict
	}
	return nil
}

// write prints the answer for people.
func (a gateAnswer) write(w io.Writer) error {
	word := map[bool]string{true: "PASSED", false: "STOPPED"}[a.Passed]
	sayf(w, "%s  %s: %s\n", word, report.Visible(a.Image), a.Outcome)
	if a.Reason != "" {
		sayf(w, "because there is no verdict on what it is now: %s\n", a.Reason)
	}
	if a.Detail != "" {
		sayf(w, "%s\n", report.Visible(a.Detail))
	}
	if a.Verdict == nil {
		return nil
	}
	if a.Verdict.Failure != "" {
		sayf(w, "the last attempt to scan it failed, this is an earlier verdict: %s\n", report.Visible(a.Verdict.Failure))
	}
	for _, p := range a.Verdict.Platforms {
		if err := writePlatform(w, p); err != nil {
			return err
		}
	}
	return nil
}

func writePlatform(w io.Writer, p client.PlatformVerdict) error {
	v := p.Vulnerabilities
	sayf(w, "\n%s  %s  judged %s ago by %s\n", report.Visible(p.Platform), p.Verdict.Effect, (time.Duration(p.Age) * time.Second).String(),
		report.Visible(p.Advisories))
	sayf(w, "%d critical, %d high, %d medium, %d low; %d can be fixed; %d blocked, %d alerted on\n", v.Critical, v.High, v.Medium, v.Low,
		p.Fixable, p.Verdict.Blocks, p.Verdict.Alerts)
	if len(p.Verdict.Reasons) == 0 {
		return nil
	}
	t := newColumns("EFFECT", "SEVERITY", "WHAT", "PACKAGE", "FIXED IN", "RULE", "WHY")
	for _, r := range p.Verdict.Reasons {
		t.row(r.Effect, r.Severity, whatOf(r), r.Package, r.FixedIn, r.Rule, r.Why)
	}
	if err := t.write(w); err != nil {
		return err
	}
	if more := p.Verdict.Blocks + p.Verdict.Alerts - len(p.Verdict.Reasons); more > 0 {
		sayf(w, "and %d more\n", more)
	}
	return nil
}

// whatOf names what a rule acted on.
func whatOf(r client.Reason) string {
	switch {
	case r.Vulnerability != "":
		return r.Vulnerability
	case r.License != "":
		return "licence " + r.License
	case r.Check != 0:
		return fmt.Sprintf("check %d", r.Check)
	}
	return strings.TrimSpace(r.Why)
}
