package event

import (
	"strings"
)

// isJFrog recognises JFrog's webhooks by their domain, of which every event has one.
func isJFrog(m *message) bool { return m.has("domain", "event_type") }

// signedJFrog checks X-JFrog-Event-Auth, which holds the secret itself or, when that was chosen, the HMAC of the body.
func signedJFrog(m *message, secret []byte) bool {
	sent := m.header.Get("X-Jfrog-Event-Auth")
	return same([]byte(sent), secret) || rightSHA256(m, secret, strings.TrimPrefix(sent, "sha256="))
}

func readJFrog(m *message) (Reading, error) {
	var in struct {
		Domain string `json:"domain"`
		Type   string `json:"event_type"`
		Origin string `json:"jpd_origin"`
		Data   struct {
			RepoKey string `json:"repo_key"`
			SHA256  string `json:"sha256"`
			Image   string `json:"image_name"`
			Tag     string `json:"tag"`
		} `json:"data"`
	}
	if err := m.decode(&in); err != nil {
		return Reading{}, err
	}
	if in.Domain != "docker" {
		return Reading{Reason: "nothing follows from an event of the domain " + short(in.Domain)}, nil
	}
	// Where the repository key stands depends on how the instance is set up: in the path, in the host name, or nowhere.
	e := PushEvent{Host: hostOfURL(in.Origin), Repository: in.Data.RepoKey + "/" + in.Data.Image, OtherNames: []string{in.Data.Image},
		Tag: in.Data.Tag, Action: Push}
	if in.Data.SHA256 != "" {
		e.Digest = "sha256:" + strings.TrimPrefix(in.Data.SHA256, "sha256:")
	}
	switch in.Type {
	case "pushed":
	case "deleted":
		e.Action = Delete
	default:
		e.Unusable = "nothing follows from the event " + short(in.Type)
	}
	return Reading{Events: []PushEvent{e}}, nil
}
