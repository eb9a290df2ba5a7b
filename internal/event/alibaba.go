package event

import (
	"encoding/json"
	"regexp"
)

// isAlibaba recognises Alibaba's registry by its push_data and the repository's repo_full_name.
func isAlibaba(m *message) bool {
	var r struct {
		Name string `json:"repo_full_name"`
	}
	return m.has("push_data", "repository") && json.Unmarshal(m.top["repository"], &r) == nil && r.Name != ""
}

var alibabaRegion = regexp.MustCompile(`^[a-z0-9-]{2,32}$`)

// readAlibaba reads a push. The host is that of the region's shared registry; an instance of one's own is found by name.
func readAlibaba(m *message) (Reading, error) {
	var in struct {
		Push struct {
			Digest string `json:"digest"`
			Tag    string `json:"tag"`
		} `json:"push_data"`
		Repository struct {
			FullName string `json:"repo_full_name"`
			Region   string `json:"region"`
		} `json:"repository"`
	}
	if err := m.decode(&in); err != nil {
		return Reading{}, err
	}
	e := PushEvent{Repository: in.Repository.FullName, Tag: in.Push.Tag, Digest: in.Push.Digest, Action: Push}
	if alibabaRegion.MatchString(in.Repository.Region) {
		e.Host = "registry." + in.Repository.Region + ".aliyuncs.com"
	}
	return Reading{Events: []PushEvent{e}}, nil
}
