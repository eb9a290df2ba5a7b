package qualys

import (
	"maps"
	"slices"
	"strconv"

	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

func itoa(n int) string { return strconv.Itoa(n) }

// labelsOf lists an image's labels by key.
func labelsOf(i *tidewaiter.Image) []label {
	out := []label{}
	for _, key := range slices.Sorted(maps.Keys(i.Config.Labels)) {
		out = append(out, label{key, i.Config.Labels[key]})
	}
	return out
}

// layersOf lists an image's layers, bottom first, with the comments of its history.
func layersOf(i *tidewaiter.Image) []layer {
	comments := []string{}
	for _, h := range i.Config.History {
		if !h.EmptyLayer {
			comments = append(comments, h.Comment)
		}
	}
	out := make([]layer, len(i.Layers))
	for n, l := range i.Layers {
		out[n] = layer{Size: strconv.FormatInt(l.Size, 10), CreatedBy: l.CreatedBy, Created: millis{l.CreatedAt},
			ID: withoutAlgorithm(l.Digest), SHA: withoutAlgorithm(l.DiffID), Tags: []string{}, LayerNumber: n + 1}
		if n < len(comments) {
			out[n].Comment = comments[n]
		}
	}
	return out
}
