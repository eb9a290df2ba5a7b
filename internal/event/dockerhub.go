package event

import "encoding/json"

// isDockerHub recognises Docker Hub by its push_data and the repository's repo_name.
func isDockerHub(m *message) bool {
	var r struct {
		Name string `json:"repo_name"`
	}
	return m.has("push_data", "repository") && json.Unmarshal(m.top["repository"], &r) == nil && r.Name != ""
}

// readDockerHub reads an event that names no digest. Its callback_url is not called: it could lead anywhere.
func readDockerHub(m *message) (Reading, error) {
	var in struct {
		Push struct {
			Tag      string  `json:"tag"`
			PushedAt float64 `json:"pushed_at"`
		} `json:"push_data"`
		Repository struct {
			Name string `json:"repo_name"`
		} `json:"repository"`
	}
	if err := m.decode(&in); err != nil {
		return Reading{}, err
	}
	return Reading{Events: []PushEvent{{Host: "docker.io", Repository: in.Repository.Name, Tag: in.Push.Tag, Action: Push,
		OccurredAt: seconds(in.Push.PushedAt)}}}, nil
}
