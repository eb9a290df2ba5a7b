package event

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
)

// isQuay recognises Quay's repo_push.
func isQuay(m *message) bool { return m.has("docker_url", "updated_tags") }

// readQuay reads an event that names no digests. Quay: updated_tags is a list today and was an object from tag to image once.
func readQuay(m *message) (Reading, error) {
	var in struct {
		Repository string          `json:"repository"`
		URL        string          `json:"docker_url"`
		Tags       json.RawMessage `json:"updated_tags"`
	}
	if err := m.decode(&in); err != nil {
		return Reading{}, err
	}
	var tags []string
	if json.Unmarshal(in.Tags, &tags) != nil {
		var named map[string]json.RawMessage
		if json.Unmarshal(in.Tags, &named) != nil {
			return Reading{}, malformed("updated_tags is neither a list nor an object")
		}
		tags = slices.Sorted(maps.Keys(named))
	}
	at, _, _ := strings.Cut(in.URL, "/")
	out := Reading{Reason: "no tag was updated"}
	for _, tag := range tags {
		out.Events = append(out.Events, PushEvent{Host: at, Repository: in.Repository, Tag: tag, Action: Push})
	}
	return out, nil
}
