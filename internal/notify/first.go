package notify

import (
	"context"
	"slices"
	"strings"

	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// firstFound lists the findings of images that are judged for the first time, where somebody wants to know: each vulnerability
// of a package once, the gravest first. Images share most of their packages, so each package is read once for all of them; of
// vulnerabilities nothing is read but their names.
func (n *Notifier) firstFound(ctx context.Context, webhooks []*tidewaiter.Webhook, list []tidewaiter.ImageChange, known *places) (map[int64][]tidewaiter.MessageFinding, error) {
	var images []int64
	for i := range list {
		if c := &list[i]; c.Cause == tidewaiter.ChangeFirst && c.After.Vulnerabilities.Total() > 0 && anyWantsFirst(webhooks, known, c.ImageID) {
			images = append(images, c.ImageID)
		}
	}
	if len(images) == 0 {
		return nil, nil
	}
	contents, err := n.Store.Contents(ctx, images)
	if err != nil {
		return nil, err
	}
	var packages []int64
	seen := map[int64]bool{}
	for _, content := range contents {
		for _, in := range content.Installed {
			if !seen[in.PackageID] {
				seen[in.PackageID] = true
				packages = append(packages, in.PackageID)
			}
		}
	}
	found, err := n.foundIn(ctx, packages)
	if err != nil {
		return nil, err
	}
	out := make(map[int64][]tidewaiter.MessageFinding, len(contents))
	for id, content := range contents {
		var all []tidewaiter.MessageFinding
		seen := map[int64]bool{}
		for _, in := range content.Installed {
			if !seen[in.PackageID] {
				seen[in.PackageID] = true
				all = append(all, found[in.PackageID]...)
			}
		}
		slices.SortFunc(all, gravestFirst)
		out[id] = slices.Compact(all) // two packages may look alike here
	}
	return out, nil
}

// anyWantsNew reports whether a webhook wants to know of images that are judged for the first time.
func anyWantsNew(webhooks []*tidewaiter.Webhook) bool {
	return slices.ContainsFunc(webhooks, func(w *tidewaiter.Webhook) bool { return !w.Disabled && w.Filter.NewImages })
}

// anyWantsFirst reports whether a webhook wants to know what is found in a new image of these names.
func anyWantsFirst(webhooks []*tidewaiter.Webhook, known *places, imageID int64) bool {
	return slices.ContainsFunc(webhooks, func(w *tidewaiter.Webhook) bool {
		return !w.Disabled && w.Filter.NewImages && w.Wants(tidewaiter.TopicFindingNew) && len(passing(&w.Filter, known.tags[imageID])) > 0
	})
}

// foundIn returns what is found in packages.
func (n *Notifier) foundIn(ctx context.Context, ids []int64) (map[int64][]tidewaiter.MessageFinding, error) {
	findings, err := n.Store.DatedFindings(ctx, ids)
	if err != nil {
		return nil, err
	}
	vulnerable := make([]int64, 0, len(findings))
	for id := range findings {
		vulnerable = append(vulnerable, id)
	}
	packages, err := n.Store.Packages(ctx, vulnerable)
	if err != nil {
		return nil, err
	}
	out := make(map[int64][]tidewaiter.MessageFinding, len(packages))
	for _, p := range packages {
		for _, f := range findings[p.ID] {
			out[p.ID] = append(out[p.ID], tidewaiter.MessageFinding{Vulnerability: f.Vulnerability, Severity: f.Severity, Package: p.Name,
				Version: p.FullVersion(), FixedIn: f.FixedIn})
		}
	}
	return out, nil
}

func gravestFirst(a, b tidewaiter.MessageFinding) int {
	if a.Severity != b.Severity {
		return int(b.Severity) - int(a.Severity)
	}
	for _, c := range []int{strings.Compare(a.Vulnerability, b.Vulnerability), strings.Compare(a.Package, b.Package), strings.Compare(a.Version, b.Version)} {
		if c != 0 {
			return c
		}
	}
	return strings.Compare(a.FixedIn, b.FixedIn)
}
