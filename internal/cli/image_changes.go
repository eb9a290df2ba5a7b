package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"

	"github.com/tidewaiter/tidewaiter/client"
)

type imageChangesCommand struct {
	Limit int `help:"At most so many; 0 is all." default:"20" placeholder:"N"`
	namedImage
}

// Run tells what changed for an image, the latest first.
func (c imageChangesCommand) Run(ctx context.Context, s streams) error {
	server, err := c.client(s)
	if err != nil {
		return err
	}
	_, image, err := c.find(ctx, server)
	if err != nil {
		return err
	}
	changes, err := pages(c.Limit, func(limit int, after string) (*client.Page[client.ImageChange], error) {
		return server.ImageChanges(ctx, image.Digest, limit, after)
	})
	if err != nil {
		return refused(err)
	}
	if c.Output == "json" {
		return json.NewEncoder(s.out).Encode(changes)
	}
	t := newColumns("WHEN", "CAUSE", "VERDICT", "CHANGE", "SEVERITY", "VULNERABILITY", "PACKAGE", "FIXED IN")
	for i := range changes {
		ch := &changes[i]
		t.row(when(ch.At), ch.Cause, verdictChange(ch), countsChange(ch), strconv.Itoa(total(ch.After.Vulnerabilities))+" in all", "", "", "")
		for _, f := range ch.Findings {
			t.row("", "", "", f.Change, stated(f, severityOf), f.Vulnerability, f.Package+" "+f.Version, stated(f, fixOf))
		}
	}
	return t.write(s.out)
}

// verdictChange writes the verdict after a change, "alert -> block" when it was another before.
func verdictChange(ch *client.ImageChange) string {
	if ch.Before == nil || ch.Before.Effect == ch.After.Effect {
		return ch.After.Effect
	}
	return ch.Before.Effect + " -> " + ch.After.Effect
}

func countsChange(ch *client.ImageChange) string {
	n := ch.Counts
	return fmt.Sprintf("%d new, %d gone, %d changed", n.New, n.Gone, n.Severity+n.Fix+n.Status)
}

func total(c client.Counts) int {
	return c.Critical + c.High + c.Medium + c.Low + c.Negligible + c.Unknown
}

func severityOf(s *client.FindingState) string { return s.Severity }

func fixOf(s *client.FindingState) string { return s.FixedIn }

// stated writes what became of one side of a finding: "low", or "low -> high".
func stated(f client.FindingChange, of func(*client.FindingState) string) string {
	switch {
	case f.Before == nil && f.After == nil:
		return ""
	case f.Before == nil:
		return of(f.After)
	case f.After == nil || of(f.Before) == of(f.After):
		return of(f.Before)
	}
	or := func(s string) string {
		if s == "" {
			return "none"
		}
		return s
	}
	return or(of(f.Before)) + " -> " + or(of(f.After))
}
