package notify

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/tidewaiter/tidewaiter/internal/policy"
	"github.com/tidewaiter/tidewaiter/internal/store"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// CursorKey is the setting that holds the id of the last change of an image deliveries were made of.
const CursorKey = "webhooks.cursor"

func cursor(ctx context.Context, r *store.Reader) (int64, error) {
	text, err := r.Setting(ctx, CursorKey)
	if tidewaiter.KindOf(err) == tidewaiter.ErrNotFound {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	return strconv.ParseInt(text, 10, 64)
}

// StartHere has images' changes told from now on, and none from before. It is for the transaction that switches the first
// webhook on that asks for them.
func StartHere(ctx context.Context, tx *store.Tx, now time.Time) error {
	last, err := tx.LastImageChange(ctx)
	if err != nil {
		return err
	}
	return tx.PutSetting(ctx, CursorKey, strconv.FormatInt(last, 10), now)
}

// WantImages reports whether any of the webhooks is on and asks for what happens to images.
func WantImages(webhooks []*tidewaiter.Webhook) bool {
	return slices.ContainsFunc(webhooks, func(w *tidewaiter.Webhook) bool {
		return !w.Disabled && slices.ContainsFunc(w.Topics, tidewaiter.Topic.OnImages)
	})
}

// tellChanges makes deliveries of the next changes of images.
func (n *Notifier) tellChanges(ctx context.Context) (more bool, err error) {
	webhooks, err := n.Store.Webhooks(ctx)
	if err != nil || !WantImages(webhooks) {
		return false, err
	}
	after, err := cursor(ctx, n.Store.Reader)
	if err != nil {
		return false, err
	}
	if last, err := n.Store.LastImageChange(ctx); err != nil || last <= after {
		return false, err
	}
	list, err := n.Store.ImageChanges(ctx, after, tellBatch)
	if err != nil || len(list) == 0 {
		return false, err
	}
	known, err := n.lookUp(ctx, webhooks, list)
	if err != nil {
		return false, err
	}
	err = n.Store.Update(ctx, func(tx *store.Tx) error {
		m, err := n.maker(ctx, tx)
		if err != nil {
			return err
		}
		if now, err := cursor(ctx, tx.Reader); err != nil || now != after {
			return err // another process was faster
		}
		for i := range list {
			for _, w := range m.webhooks {
				if err := m.changed(ctx, w, &list[i], known); err != nil {
					return err
				}
			}
		}
		if err := tx.PutSetting(ctx, CursorKey, strconv.FormatInt(list[len(list)-1].ID, 10), m.now); err != nil {
			return err
		}
		return m.save(ctx)
	})
	return len(list) == tellBatch, err
}

// places is what is known of changed images.
type places struct {
	images      map[int64]*tidewaiter.Image
	tags        map[int64][]store.ImageTag
	first       map[int64][]tidewaiter.MessageFinding // of images judged for the first time, where somebody wants to know
	collections map[string]*tidewaiter.Collection
}

func (n *Notifier) lookUp(ctx context.Context, webhooks []*tidewaiter.Webhook, list []tidewaiter.ImageChange) (*places, error) {
	p := &places{images: map[int64]*tidewaiter.Image{}, collections: map[string]*tidewaiter.Collection{}}
	var ids []int64
	for i := range list {
		if list[i].Cause != tidewaiter.ChangeFirst || anyWantsNew(webhooks) { // most of what a first scan leaves is for nobody
			ids = append(ids, list[i].ImageID)
		}
	}
	images, err := n.Store.ImagesByID(ctx, ids)
	if err != nil {
		return nil, err
	}
	for _, i := range images {
		p.images[i.ID] = i
	}
	if p.tags, err = n.Store.ImageTags(ctx, ids); err != nil {
		return nil, err
	}
	collections, err := n.Store.Collections(ctx)
	if err != nil {
		return nil, err
	}
	for _, c := range collections {
		p.collections[c.Name] = c
	}
	p.first, err = n.firstFound(ctx, webhooks, list, p)
	return p, err
}

// changed has a webhook told of a change of an image.
func (m *maker) changed(ctx context.Context, w *tidewaiter.Webhook, c *tidewaiter.ImageChange, known *places) error {
	if c.Cause == tidewaiter.ChangeFirst && !w.Filter.NewImages {
		return nil
	}
	image := known.images[c.ImageID]
	if image == nil {
		return nil // retention was faster
	}
	names := passing(&w.Filter, known.tags[c.ImageID])
	if len(names) == 0 || !collected(&w.Filter, known.collections, names, image.Config.Labels) {
		return nil
	}
	message := tidewaiter.WebhookMessage{Time: c.At, Subject: names[0], Data: tidewaiter.MessageData{
		Image: &tidewaiter.MessageImage{Digest: c.Digest, Platform: image.Platform.String(), Names: names},
		Cause: string(c.Cause), Verdict: &tidewaiter.MessageVerdict{Before: c.Before.Effect, After: c.After.Effect},
	}}
	if over := len(names) - tidewaiter.MaxMessageNames; over > 0 {
		message.Data.Image.Names, message.Data.Image.MoreNames = names[:tidewaiter.MaxMessageNames], over
	}
	short := clip(names[0], maxTitleName)
	if w.Wants(tidewaiter.TopicFindingNew) {
		if f := newFindings(&w.Filter, c, known.first[c.ImageID]); f.Total > 0 {
			told := message
			told.Topic, told.Data.Findings = tidewaiter.TopicFindingNew, f
			told.Title = fmt.Sprintf("%s has %s, the worst %s", short, plural(f.Total, "new finding"), f.Counts.Worst())
			if err := m.add(ctx, w, told, "image "+c.Digest); err != nil {
				return err
			}
		}
	}
	if w.Wants(tidewaiter.TopicVerdictChanged) && verdictChanged(c) {
		told := message
		told.Topic = tidewaiter.TopicVerdictChanged
		told.Title = fmt.Sprintf("The verdict of %s is %s now", short, c.After.Effect)
		if c.Before.Effect != "" {
			told.Title += ", before " + string(c.Before.Effect)
		}
		return m.add(ctx, w, told, "image "+c.Digest)
	}
	return nil
}

// verdictChanged reports whether policy thinks otherwise of an image. Of one that is judged for the first time it is news
// that policy has something against it.
func verdictChanged(c *tidewaiter.ImageChange) bool {
	if c.Before.Effect == "" {
		return c.After.Effect != "" && c.After.Effect != tidewaiter.EffectIgnore
	}
	return c.Before.Effect != c.After.Effect
}

// passing returns the names of an image by which a filter lets it pass.
func passing(f *tidewaiter.WebhookFilter, tags []store.ImageTag) []string {
	var out []string
	for i := range tags {
		if t := &tags[i]; f.Registry(t.RegistryIDs...) && f.Repository(t.Repository.Host, t.Repository.Name) {
			out = append(out, t.Reference())
		}
	}
	return out
}

// collected reports whether an image is in one of the collections a filter names.
func collected(f *tidewaiter.WebhookFilter, known map[string]*tidewaiter.Collection, names []string, labels map[string]string) bool {
	return len(f.Collections) == 0 || slices.ContainsFunc(f.Collections, func(name string) bool {
		c := known[name]
		return c != nil && policy.Covers(c, names, labels)
	})
}

// newFindings returns those findings of a change that a filter lets pass now and did not before: new ones, and those that
// have become graver or can be mended by now, where the filter asks for that. first is what there is of an image judged for
// the first time.
func newFindings(f *tidewaiter.WebhookFilter, c *tidewaiter.ImageChange, first []tidewaiter.MessageFinding) *tidewaiter.MessageFindings {
	out := &tidewaiter.MessageFindings{List: []tidewaiter.MessageFinding{}, AtLeast: c.Counts.Total() > len(c.Findings)}
	add := func(found tidewaiter.MessageFinding) {
		out.Total++
		out.Counts.Add(found.Severity)
		if len(out.List) < tidewaiter.MaxMessageFindings {
			found.Package, found.Version, found.FixedIn = clip(found.Package, maxText), clip(found.Version, maxText), clip(found.FixedIn, maxText)
			out.List = append(out.List, found)
		}
	}
	for _, found := range first {
		if f.Finding(found.Severity, found.FixedIn) {
			add(found)
		}
	}
	for i := range c.Findings {
		change := &c.Findings[i]
		if change.After == nil || !f.Finding(change.After.Severity, change.After.FixedIn) {
			continue
		}
		if was := change.Before; was != nil && f.Finding(was.Severity, was.FixedIn) {
			continue
		}
		add(tidewaiter.MessageFinding{Vulnerability: change.Vulnerability, Severity: change.After.Severity, Package: change.Package,
			Version: change.Version, FixedIn: change.After.FixedIn})
	}
	out.More = out.Total - len(out.List)
	return out
}
