package api

import (
	"github.com/tidewaiter/tidewaiter/client"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// contentOf shows what an image is made of.
func contentOf(r *tidewaiter.Result) client.ImageContent {
	out := client.ImageContent{ConfigDigest: r.Image.ConfigDigest, Tags: make([]client.ImageTag, len(r.Tags)),
		Layers: make([]client.Layer, len(r.Image.Layers)), Secrets: make([]client.Secret, len(r.Content.Secrets))}
	for i := range r.Tags {
		t := &r.Tags[i]
		out.Tags[i] = client.ImageTag{Name: t.Reference(), Digest: t.Digest, FirstSeen: t.FirstSeen, LastSeen: t.LastSeen, ChangedAt: t.ChangedAt,
			GoneAt: t.GoneAt, Error: t.Error}
	}
	for i, l := range r.Image.Layers {
		out.Layers[i] = client.Layer{Digest: l.Digest, DiffID: l.DiffID, Size: l.Size, CreatedBy: l.CreatedBy}
	}
	for i, s := range r.Content.Secrets {
		out.Secrets[i] = client.Secret{Rule: s.Rule, Title: s.Title, Severity: s.Severity.String(), Path: s.Path, Line: s.StartLine, Match: s.Match, Layer: s.Layer}
	}
	for _, n := range r.Content.Notices {
		out.Notices = append(out.Notices, client.Notice{Kind: string(n.Kind), Path: n.Path, Text: n.Text})
	}
	if j := r.Image.Judgement; j != nil {
		for _, f := range j.RiskFactors {
			out.RiskFactors = append(out.RiskFactors, string(f))
		}
	}
	return out
}
