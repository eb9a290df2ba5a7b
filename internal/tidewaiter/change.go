package tidewaiter

import (
	"cmp"
	"slices"
	"strings"
	"time"
)

// ChangeCause is why an image is judged differently from before.
type ChangeCause string

// The causes of changes.
const (
	// ChangeFirst is an image that was judged for the first time, or by advisories for the first time. It has counts only: that
	// everything is new is no news.
	ChangeFirst      ChangeCause = "first"
	ChangeAdvisories ChangeCause = "advisories" // other advisories, or what they say of a release's end of life
	ChangePolicy     ChangeCause = "policy"     // policies and what is declared beside them, or a grace period that ended
	ChangeContent    ChangeCause = "content"    // another analyzer found other packages in it
)

// ImageChange is what one judgement of an image changed. Its ID ascends in the order changes became visible: whoever has
// seen one has seen, or can no longer see, every one with a lower ID.
type ImageChange struct {
	ID       int64
	ImageID  int64
	Digest   string // the image's
	At       time.Time
	Cause    ChangeCause
	Before   Standing // the zero Standing when Cause is ChangeFirst and there was no judgement
	After    Standing
	Counts   ChangeCounts    // of all findings that changed
	Findings []FindingChange // the gravest, at most MaxChangedFindings; none when Cause is ChangeFirst
}

// MaxChangedFindings is how many findings a change names; its Counts count all.
const MaxChangedFindings = 200

// Standing is an image's judgement in short.
type Standing struct {
	Advisories      string `json:"advisories,omitempty"`
	Effect          Effect `json:"effect,omitempty"`
	Alerts          int    `json:"alerts,omitempty"`
	Blocks          int    `json:"blocks,omitempty"`
	Vulnerabilities Counts `json:"vulnerabilities,omitzero"`
	Fixable         int    `json:"fixable,omitempty"`
	Secrets         int    `json:"secrets,omitempty"`
	Checks          Counts `json:"checks,omitzero"` // failed ones
	EndOfLife       bool   `json:"endOfLife,omitempty"`
}

// StandingOf returns a judgement in short; the zero Standing of none.
func StandingOf(j *Judgement) Standing {
	if j == nil {
		return Standing{}
	}
	return Standing{Advisories: j.Advisories, Effect: j.Verdict.Effect, Alerts: j.Verdict.Alerts, Blocks: j.Verdict.Blocks,
		Vulnerabilities: j.Vulnerabilities, Fixable: j.Fixable, Secrets: j.Secrets, Checks: j.Checks, EndOfLife: j.EndOfLife}
}

// ChangeKind is what happened to a finding.
type ChangeKind string

// The kinds of changes of a finding. One that changed in several ways is of the first kind that fits.
const (
	FindingNew      ChangeKind = "new"
	FindingGone     ChangeKind = "gone"
	FindingSeverity ChangeKind = "severity"
	FindingFix      ChangeKind = "fix"    // another version mends it, or one does at last, or none does
	FindingStatus   ChangeKind = "status" // what the distribution means to do about it
)

// ChangeCounts is how many findings changed in which way.
type ChangeCounts struct {
	New      int `json:"new,omitempty"`
	Gone     int `json:"gone,omitempty"`
	Severity int `json:"severity,omitempty"`
	Fix      int `json:"fix,omitempty"`
	Status   int `json:"status,omitempty"`
}

// Total returns the sum over all kinds.
func (c ChangeCounts) Total() int { return c.New + c.Gone + c.Severity + c.Fix + c.Status }

func (c *ChangeCounts) add(k ChangeKind) {
	switch k {
	case FindingNew:
		c.New++
	case FindingGone:
		c.Gone++
	case FindingSeverity:
		c.Severity++
	case FindingFix:
		c.Fix++
	case FindingStatus:
		c.Status++
	}
}

// FindingState is what of a finding can change.
type FindingState struct {
	Severity Severity `json:"severity"`
	FixedIn  string   `json:"fixedIn,omitempty"`
	Status   string   `json:"status,omitempty"`
}

// FindingChange is a finding before and after.
type FindingChange struct {
	Vulnerability string        `json:"vulnerability"`
	Ecosystem     Ecosystem     `json:"ecosystem,omitempty"` // of the package
	Package       string        `json:"package"`
	Version       string        `json:"version,omitempty"`
	Before        *FindingState `json:"before,omitempty"` // nil for a new one
	After         *FindingState `json:"after,omitempty"`  // nil for one that is gone
}

// Kind returns what happened; "" when Before and After are alike.
func (f *FindingChange) Kind() ChangeKind {
	switch {
	case f.Before == nil && f.After == nil:
		return ""
	case f.Before == nil:
		return FindingNew
	case f.After == nil:
		return FindingGone
	case f.Before.Severity != f.After.Severity:
		return FindingSeverity
	case f.Before.FixedIn != f.After.FixedIn:
		return FindingFix
	case f.Before.Status != f.After.Status:
		return FindingStatus
	}
	return ""
}

func (f *FindingChange) severity() Severity {
	s := SeverityUnknown
	for _, state := range []*FindingState{f.Before, f.After} {
		if state != nil {
			s = max(s, state.Severity)
		}
	}
	return s
}

// NewImageChange compares two judgements of an image, of which the first is nil for an image judged for the first time. It
// returns nil when nothing anybody would want to hear of changed: the version of the advisories alone is no news. The
// findings may hold some that are alike before and after; they are left out.
func NewImageChange(imageID int64, cause ChangeCause, before, after *Judgement, findings []FindingChange) *ImageChange {
	if before == nil || before.Advisories == "" && after.Advisories != "" {
		cause = ChangeFirst
	}
	c := &ImageChange{ImageID: imageID, At: after.JudgedAt, Cause: cause, Before: StandingOf(before), After: StandingOf(after)}
	if cause == ChangeFirst {
		return c
	}
	c.Findings = slices.DeleteFunc(slices.Clone(findings), func(f FindingChange) bool { return f.Kind() == "" })
	for i := range c.Findings {
		c.Counts.add(c.Findings[i].Kind())
	}
	old := c.Before
	old.Advisories = c.After.Advisories
	if len(c.Findings) == 0 && old == c.After {
		return nil
	}
	slices.SortFunc(c.Findings, func(a, b FindingChange) int {
		return cmp.Or(cmp.Compare(b.severity(), a.severity()), strings.Compare(a.Vulnerability, b.Vulnerability),
			strings.Compare(a.Package, b.Package), strings.Compare(a.Version, b.Version), strings.Compare(string(a.Ecosystem), string(b.Ecosystem)))
	})
	if len(c.Findings) > MaxChangedFindings {
		c.Findings = slices.Clip(c.Findings[:MaxChangedFindings])
	}
	return c
}
