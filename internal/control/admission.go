package control

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/tidewaiter/tidewaiter/internal/oci"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// The settings of the admission of images to a cluster.
const (
	SettingAdmission       = "admission"        // an AdmissionRules as JSON; the defaults when it is missing
	SettingAdmissionSuffix = "admission.suffix" // the secret end of the address a cluster asks, instead of a login
)

// AdmissionRules say what becomes of an image there is no plain verdict on. A blocked image is refused in any case.
type AdmissionRules struct {
	Audit          bool          `json:"audit"`          // refuse nothing; what would be refused is a warning
	DenyUnknown    bool          `json:"denyUnknown"`    // refuse images without a verdict, and tags that moved since; else warn
	DenyOnError    bool          `json:"denyOnError"`    // refuse when the verdict cannot be looked up; else warn
	DenyOnTimeout  bool          `json:"denyOnTimeout"`  // refuse when that takes too long; else warn
	ExemptSpaces   []string      `json:"exemptSpaces"`   // namespaces that are not looked at, as MatchPattern reads them
	ExemptImages   []string      `json:"exemptImages"`   // full names that are not looked at
	Timeout        time.Duration `json:"timeout"`        // for the whole answer: 1 to 9 seconds
	Wait           time.Duration `json:"wait"`           // have unknown images scanned and wait so long; less than Timeout
	WarnWhenAlerts bool          `json:"warnWhenAlerts"` // warn of images policy alerts on
}

// DefaultAdmissionRules let through what nothing is known of, with a warning, and leave the cluster's own namespaces alone.
func DefaultAdmissionRules() AdmissionRules {
	return AdmissionRules{ExemptSpaces: []string{"kube-system", "kube-public", "kube-node-lease"}, Timeout: 5 * time.Second, WarnWhenAlerts: true}
}

// maxExempt bounds the patterns of each list.
const maxExempt = 200

func (r *AdmissionRules) validate() error {
	switch {
	case r.Timeout < time.Second || r.Timeout > longestAdmission:
		return tidewaiter.Invalid("timeout", "the time for an answer must be 1s to 9s").WithFix("a cluster waits 10 seconds, unless told another time")
	case r.Wait < 0 || r.Wait >= r.Timeout:
		return tidewaiter.Invalid("wait", "the wait must be shorter than the timeout").WithFix("0 does not wait")
	case len(r.ExemptSpaces) > maxExempt, len(r.ExemptImages) > maxExempt:
		return tidewaiter.Invalid("exempt", "a list has more than %d patterns", maxExempt)
	}
	return nil
}

// AdmissionRules returns the rules in force.
func (c *Control) AdmissionRules(ctx context.Context) (AdmissionRules, error) {
	rules := DefaultAdmissionRules()
	text, err := c.store.Setting(ctx, SettingAdmission)
	switch {
	case tidewaiter.KindOf(err) == tidewaiter.ErrNotFound:
		return rules, nil
	case err != nil:
		return rules, err
	}
	if err := json.Unmarshal([]byte(text), &rules); err != nil {
		return rules, tidewaiter.Errorf(tidewaiter.ErrMalformed, "the setting %s cannot be read: %w", SettingAdmission, err)
	}
	return rules, nil
}

// PutAdmissionRules stores the rules. Errors: ErrInvalid names the field.
func (c *Control) PutAdmissionRules(ctx context.Context, rules AdmissionRules) error {
	if err := rules.validate(); err != nil {
		return err
	}
	text, err := json.Marshal(rules)
	if err != nil {
		return err
	}
	return c.PutSetting(ctx, SettingAdmission, string(text))
}

// AdmissionRequest is what a cluster wants to run.
type AdmissionRequest struct {
	Namespace string
	Images    []AdmissionImage
	DryRun    bool          // nothing may happen because of it: no scan is started
	Within    time.Duration // how long the cluster waits; 0 when it does not say
}

// AdmissionImage is an image of a container.
type AdmissionImage struct {
	Container string
	Name      string // as the cluster has it
	Platform  string // os/architecture the container is bound to; "" when it is not
}

// AdmissionAnswer says whether it may.
type AdmissionAnswer struct {
	Allowed  bool
	Reasons  []string // why not, one for each image that may not
	Warnings []string
}

const (
	longestAdmission = 9 * time.Second // Kubernetes waits 10 seconds unless told another time
	rulesPatience    = time.Second
)

// maxAdmitted is how many different images one object may name.
const maxAdmitted = 200

// Admit judges what a cluster wants to run, by the stored verdicts of its images. It answers in time, whatever happens. An
// error says that the rules could not be read, now or ever: what then happens is for the cluster to decide.
func (c *Control) Admit(ctx context.Context, req AdmissionRequest) (*AdmissionAnswer, error) {
	limit := longestAdmission
	if req.Within > 0 {
		limit = min(limit, max(req.Within-500*time.Millisecond, req.Within/2))
	}
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	rules, err := c.rulesAtHand(ctx)
	if err != nil {
		return nil, err
	}
	out := &AdmissionAnswer{Allowed: true}
	if matchesAny(rules.ExemptSpaces, req.Namespace) {
		return out, nil
	}
	if len(req.Images) > maxAdmitted {
		out.Allowed, out.Reasons = rules.Audit, []string{fmt.Sprintf("it names more than %d images", maxAdmitted)}
		return out, nil
	}
	ctx, cancel = context.WithTimeout(ctx, rules.Timeout)
	defer cancel()
	wait := rules.Wait
	if req.DryRun {
		wait = 0
	}
	for i, found := range c.admitAll(ctx, req.Images, rules, wait) {
		where := fmt.Sprintf("%s (container %s): ", req.Images[i].Name, req.Images[i].Container)
		switch {
		case found.text == "":
		case found.deny && !rules.Audit:
			out.Allowed = false
			out.Reasons = append(out.Reasons, where+found.text)
		case found.deny:
			out.Warnings = append(out.Warnings, "would be refused: "+where+found.text)
		default:
			out.Warnings = append(out.Warnings, where+found.text)
		}
	}
	return out, nil
}

// rulesAtHand returns the rules in force, or those last read while they cannot be.
func (c *Control) rulesAtHand(ctx context.Context) (AdmissionRules, error) {
	brief, cancel := context.WithTimeout(ctx, rulesPatience)
	defer cancel()
	rules, err := c.AdmissionRules(brief)
	if err == nil {
		c.admission.Store(&rules)
		return rules, nil
	}
	c.log.Error("admission rules cannot be read", "err", err)
	if last := c.admission.Load(); last != nil {
		return *last, nil
	}
	return rules, err
}

// admitted is what was found of one image.
type admitted struct {
	deny bool
	text string // "" when there is nothing to say
}

// admitAll looks at all images at once, for as long as ctx lasts.
func (c *Control) admitAll(ctx context.Context, images []AdmissionImage, rules AdmissionRules, wait time.Duration) []admitted {
	out := make([]admitted, len(images))
	var mu sync.Mutex
	var open sync.WaitGroup
	turn := make(chan struct{}, 8)
	for i := range images {
		out[i] = admitted{rules.DenyOnTimeout, "the verdict was not there in time"}
		open.Go(func() {
			select {
			case turn <- struct{}{}:
				defer func() { <-turn }()
			case <-ctx.Done():
				return
			}
			found := c.admitOne(ctx, images[i], rules, wait)
			mu.Lock()
			defer mu.Unlock()
			if ctx.Err() == nil {
				out[i] = found
			}
		})
	}
	done := make(chan struct{})
	go func() { open.Wait(); close(done) }()
	select {
	case <-done:
	case <-ctx.Done():
	}
	mu.Lock()
	defer mu.Unlock()
	return append([]admitted(nil), out...)
}

func (c *Control) admitOne(ctx context.Context, img AdmissionImage, rules AdmissionRules, wait time.Duration) admitted {
	if name, err := oci.ParseReference(img.Name); err == nil && matchesAny(rules.ExemptImages, name.String()) {
		return admitted{}
	}
	v, err := c.Verdict(ctx, VerdictQuery{Image: img.Name, Platform: img.Platform, Wait: wait})
	switch {
	case tidewaiter.KindOf(err) == tidewaiter.ErrInvalid:
		return admitted{rules.DenyUnknown, "no verdict: " + err.Error()}
	case err != nil:
		c.log.Warn("verdict for admission", "image", img.Name, "err", err)
		return admitted{rules.DenyOnError, "the verdict could not be looked up"}
	case v.Unknown != nil:
		return admitted{rules.DenyUnknown, "no verdict: " + v.Unknown.Detail}
	case !v.Current:
		return admitted{rules.DenyUnknown, "no verdict: the tag has moved since it was judged"}
	case v.Effect == tidewaiter.EffectBlock:
		return admitted{true, "blocked: " + gravest(v)}
	case v.Effect == tidewaiter.EffectAlert && rules.WarnWhenAlerts:
		return admitted{false, "alert: " + gravest(v)}
	}
	return admitted{}
}

// gravest tells the first reason of the gravest platform, and how many more there are.
func gravest(v *ImageVerdict) string {
	verdict := v.Platforms[0].Judgement.Verdict
	if len(verdict.Reasons) == 0 {
		return fmt.Sprintf("%d reasons", verdict.Blocks+verdict.Alerts)
	}
	r := verdict.Reasons[0]
	parts := []string{r.Severity.String()}
	for _, part := range []string{r.Vulnerability, r.License, r.Package} {
		if part != "" {
			parts = append(parts, part)
		}
	}
	text := strings.Join(parts, " ")
	if r.FixedIn != "" {
		text += ", fixed in " + r.FixedIn
	}
	if r.Vulnerability == "" && r.License == "" {
		text += ", " + r.Why
	}
	if r.Rule != "" {
		text += " (rule " + r.Rule + ")"
	}
	if more := verdict.Blocks + verdict.Alerts - 1; more > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}
	return text
}

func matchesAny(patterns []string, name string) bool {
	for _, p := range patterns {
		if name != "" && tidewaiter.MatchPattern(p, name) {
			return true
		}
	}
	return false
}
