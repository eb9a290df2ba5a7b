package notify

import (
	"context"
	"slices"
	"time"

	"github.com/tidewaiter/tidewaiter/internal/store"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// window is what PerHour counts by: it begins with the first message after the one before.
const window = time.Hour

// sumUp counts a message about an image, or adds it to the summary that is sent when the window ends, when there were as
// many as the webhook takes. It reports whether it did the latter.
func (m *maker) sumUp(ctx context.Context, w *tidewaiter.Webhook, message *tidewaiter.WebhookMessage) (bool, error) {
	if w.PerHour == 0 {
		return false, nil
	}
	now := m.windows[w.ID]
	if now.Began.IsZero() || !m.now.Before(now.Began.Add(window)) {
		now = store.WebhookWindow{Began: m.now}
	}
	if now.Count < w.PerHour {
		now.Count++
		m.windows[w.ID], m.counted[w.ID] = now, true
		return false, nil
	}
	d := m.summaries[w.ID]
	if d == nil {
		var err error
		if d, err = m.tx.OpenSummary(ctx, w.ID, m.now); err != nil {
			return false, err
		}
		if m.amended[w.ID] = d != nil; d == nil {
			delete(m.amended, w.ID)
			d = m.newSummary(w, message.ID, now.Began.Add(window))
		}
		m.summaries[w.ID] = d
	}
	addTo(d.Message.Data.Summary, message)
	d.Message.Title = summaryTitle(d.Message.Data.Summary)
	d.Title = d.Message.Title
	return true, nil
}

func (m *maker) newSummary(w *tidewaiter.Webhook, id string, due time.Time) *store.WebhookDelivery {
	return m.deliver(w, &tidewaiter.WebhookMessage{ID: id, Topic: tidewaiter.TopicSummary, Time: due, Subject: w.Name,
		Data: tidewaiter.MessageData{Summary: &tidewaiter.MessageSummary{From: m.now, To: due, Images: []string{}}}}, "", due)
}

// addTo counts a message in a summary.
func addTo(s *tidewaiter.MessageSummary, message *tidewaiter.WebhookMessage) {
	s.Messages++
	if f := message.Data.Findings; f != nil && message.Topic == tidewaiter.TopicFindingNew {
		s.Findings += f.Total
		addCounts(&s.Counts, f.Counts)
	}
	if message.Topic == tidewaiter.TopicVerdictChanged {
		s.Verdicts++
	}
	switch {
	case slices.Contains(s.Images, message.Subject):
	case len(s.Images) < tidewaiter.MaxMessageNames:
		s.Images = append(s.Images, message.Subject)
	default:
		s.More++
	}
}

func addCounts(to *tidewaiter.Counts, c tidewaiter.Counts) {
	to.Critical += c.Critical
	to.High += c.High
	to.Medium += c.Medium
	to.Low += c.Low
	to.Negligible += c.Negligible
	to.Unknown += c.Unknown
}

func summaryTitle(s *tidewaiter.MessageSummary) string {
	return plural(s.Messages, "more message") + " about images, with " + plural(s.Findings, "new finding")
}
