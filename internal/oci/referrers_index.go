package oci

import (
	"encoding/json"
	"slices"
	"strings"

	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// referrersTag is the tag of the index that stands in for a list of referrers (OCI distribution-spec "Referrers Tag Schema").
func referrersTag(digest string) string {
	tag := strings.Replace(digest, ":", "-", 1)
	return tag[:min(len(tag), 128)] // the specification cuts tags there
}

// referrersIndex is such an index, whatever else is in it.
type referrersIndex map[string]json.RawMessage

func newReferrersIndex() referrersIndex {
	return referrersIndex{"schemaVersion": json.RawMessage("2"), "mediaType": json.RawMessage(`"` + mediaOCIIndex + `"`)}
}

func parseReferrersIndex(raw []byte, media string) (referrersIndex, error) {
	m, err := ParseManifest(raw, media)
	if err != nil {
		return nil, err
	}
	if m.MediaType != mediaOCIIndex {
		return nil, tidewaiter.Errorf(tidewaiter.ErrConflict, "the tag leads to something else than an index of referrers (%s) and is left alone", m.MediaType).
			WithFix("move what it leads to to another tag")
	}
	index := referrersIndex{}
	if err := json.Unmarshal(raw, &index); err != nil {
		return nil, notAList(raw, err)
	}
	return index, nil
}

// merge enters referrers that are not there, and takes out those that were replaced, which it returns. Everybody else's entries
// stay as they are written.
func (x referrersIndex) merge(entries []Referrer, replaced func(Referrer) bool) (gone []Referrer, changed bool, err error) {
	var list, kept []json.RawMessage
	if raw := x["manifests"]; len(raw) > 0 {
		if err := json.Unmarshal(raw, &list); err != nil {
			return nil, false, notAList(raw, err)
		}
	}
	there := map[string]bool{}
	for _, raw := range list {
		var d descriptor
		if err := json.Unmarshal(raw, &d); err != nil {
			return nil, false, notAList(raw, err)
		}
		ref := Referrer{MediaType: d.MediaType, ArtifactType: d.ArtifactType, Digest: d.Digest, Size: d.Size, Annotations: d.Annotations}
		if replaced(ref) {
			gone = append(gone, ref)
			continue
		}
		there[ref.Digest] = true
		kept = append(kept, raw)
	}
	changed = len(gone) > 0
	for _, e := range entries {
		if there[e.Digest] {
			continue
		}
		raw, err := json.Marshal(e)
		if err != nil {
			return nil, false, err
		}
		kept, changed = append(kept, raw), true
	}
	if len(kept) > maxIndexed {
		return nil, false, tidewaiter.Errorf(tidewaiter.ErrTooLarge, "it lists more than %d referrers", maxIndexed)
	}
	if !changed {
		return nil, false, nil
	}
	x["manifests"], err = json.Marshal(slices.Clip(kept))
	return gone, changed, err
}
