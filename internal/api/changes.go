package api

import (
	"context"

	"github.com/tidewaiter/tidewaiter/client"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

func (s *server) changes() {
	handle(s, operation{noun: "images", id: "list-image-changes", method: "GET", path: "/images/{digest}/changes", may: tidewaiter.MayReadImages,
		summary: "What changed for an image since it was first judged, the latest first.",
		about: "The first judgement tells counts only. Changes are kept for 90 days, or as long as the server was told. What an image's judgement " +
			"says is the same before and after when only the version of the advisories changed; that is not told here."}, s.listImageChanges)
}

type changesAsked struct {
	Digest string `path:"digest" maxLength:"256" doc:"Of the image's manifest: sha256:…"`
	Paging
}

func (s *server) listImageChanges(ctx context.Context, in *changesAsked) (*body[client.Page[client.ImageChange]], error) {
	changes, next, err := s.Control.ImageChanges(ctx, in.Digest, in.page())
	if err != nil {
		return nil, err
	}
	out := client.Page[client.ImageChange]{Items: make([]client.ImageChange, len(changes)), Next: next}
	for i := range changes {
		out.Items[i] = changeOf(&changes[i])
	}
	return reply(out), nil
}

func changeOf(c *tidewaiter.ImageChange) client.ImageChange {
	out := client.ImageChange{ID: c.ID, At: c.At, Cause: string(c.Cause), After: standingOf(c.After), Counts: client.ChangeCounts(c.Counts)}
	if c.Before != (tidewaiter.Standing{}) {
		before := standingOf(c.Before)
		out.Before = &before
	}
	for i := range c.Findings {
		f := &c.Findings[i]
		out.Findings = append(out.Findings, client.FindingChange{Change: string(f.Kind()), Vulnerability: f.Vulnerability, Package: f.Package,
			Version: f.Version, Ecosystem: string(f.Ecosystem), Before: stateOf(f.Before), After: stateOf(f.After)})
	}
	return out
}

func standingOf(s tidewaiter.Standing) client.Standing {
	return client.Standing{Advisories: s.Advisories, Effect: string(s.Effect), Alerts: s.Alerts, Blocks: s.Blocks, Fixable: s.Fixable,
		Vulnerabilities: countsOf(s.Vulnerabilities), Secrets: s.Secrets, FailedChecks: countsOf(s.Checks), EndOfLife: s.EndOfLife}
}

func stateOf(s *tidewaiter.FindingState) *client.FindingState {
	if s == nil {
		return nil
	}
	return &client.FindingState{Severity: s.Severity.String(), FixedIn: s.FixedIn, Status: s.Status}
}
