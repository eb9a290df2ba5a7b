package notify

import (
	"context"
	"fmt"

	"github.com/tidewaiter/tidewaiter/internal/store"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// maxText bounds texts of errors in messages, in characters.
const maxText = 500

// scans makes deliveries of what happened to scans and registries. What has been removed meanwhile is passed over.
func (m *maker) scans(ctx context.Context, list []store.Happening) error {
	var ids []string
	for _, h := range list {
		ids = append(ids, h.ScanID)
	}
	scans, err := m.tx.ScansByID(ctx, ids)
	if err != nil {
		return err
	}
	registries := map[string]*tidewaiter.Registry{}
	for _, h := range list {
		scan := scans[h.ScanID]
		if scan == nil {
			continue
		}
		registry, known := registries[scan.RegistryID]
		if !known {
			registry, err = m.tx.Registry(ctx, scan.RegistryID)
			if err != nil && tidewaiter.KindOf(err) != tidewaiter.ErrNotFound {
				return err
			}
			registries[scan.RegistryID] = registry
		}
		if registry == nil {
			continue
		}
		for _, w := range m.webhooks {
			if w.Wants(h.Topic) && passesScan(&w.Filter, registry, scan) {
				if err := m.add(ctx, w, scanMessage(h, scan, registry), scanOrder(scan)); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// passesScan reports whether a filter lets a scan pass. Only a scan of a single tag or digest is about a repository.
func passesScan(f *tidewaiter.WebhookFilter, r *tidewaiter.Registry, s *tidewaiter.Scan) bool {
	return f.Registry(r.ID) && (s.Target == nil || f.Repository(r.Host(), s.Target.Repository))
}

// scanOrder keeps what happens to one registry in order, and what happens to one tag of it.
func scanOrder(s *tidewaiter.Scan) string {
	order := "registry " + s.RegistryID
	if s.Target != nil {
		order += " " + targetName(s.Target)
	}
	return order
}

func targetName(t *tidewaiter.Target) string {
	name := t.Repository
	if t.Tag != "" {
		name += ":" + t.Tag
	}
	if t.Digest != "" {
		name += "@" + t.Digest
	}
	return name
}

func registryName(r *tidewaiter.MessageRegistry) string {
	if r.Name == "" {
		return r.URL
	}
	return r.Name + " (" + r.URL + ")"
}

func scanMessage(h store.Happening, s *tidewaiter.Scan, r *tidewaiter.Registry) tidewaiter.WebhookMessage {
	registry := &tidewaiter.MessageRegistry{ID: r.ID, Name: clip(r.Name, maxText), URL: r.URL}
	scan := &tidewaiter.MessageScan{
		ID: s.ID, State: s.State, Error: clip(s.Error, maxText), Name: clip(s.Name, maxText), Target: s.Target, OnDemand: s.OnDemand,
		Repositories: s.Repositories, TagsSelected: s.TagsSelected, ImagesTotal: s.ImagesTotal, ImagesDone: s.ImagesDone,
		ImagesFailed: s.ImagesFailed, StartedAt: s.StartedAt, EndedAt: s.EndedAt,
	}
	for _, e := range s.Errors[:min(len(s.Errors), tidewaiter.MaxMessageErrors)] {
		e.Text = clip(e.Text, maxText)
		scan.Errors = append(scan.Errors, e)
	}
	m := tidewaiter.WebhookMessage{Topic: h.Topic, Time: h.At, Subject: r.URL, Data: tidewaiter.MessageData{Registry: registry, Scan: scan, Since: h.Since}}
	short := clip(registryName(registry), maxTitleName)
	switch h.Topic {
	case tidewaiter.TopicRegistryFailing:
		m.Title = fmt.Sprintf("Registry %s is failing: %s", short, clip(failure(s), maxTitleName))
	case tidewaiter.TopicRegistryRecovered:
		m.Title = fmt.Sprintf("Registry %s works again", short)
	default:
		if s.Target != nil {
			m.Subject = r.Host() + "/" + targetName(s.Target)
			short = clip(m.Subject, maxTitleName)
		}
		m.Title = fmt.Sprintf("Scan of %s %s: %s judged, %s failed", short, s.State, plural(s.ImagesDone, "image"), thousands(s.ImagesFailed))
	}
	return m
}

// maxTitleName bounds a name in a title, in characters.
const maxTitleName = 200

// failure says in one sentence what is wrong with a scan.
func failure(s *tidewaiter.Scan) string {
	if s.Error == "" && len(s.Errors) > 0 {
		return s.Errors[0].Text
	}
	return s.Error
}
