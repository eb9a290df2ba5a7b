package event

import "strings"

// isGitea recognises Gitea and Forgejo, which send GitHub's headers beside their own.
func isGitea(m *message) bool { return m.header.Get("X-Gitea-Event") != "" }

func signedGitea(m *message, secret []byte) bool {
	if signature := m.header.Get("X-Gitea-Signature"); signature != "" {
		return rightSHA256(m, secret, signature)
	}
	return signedGitHub(m, secret)
}

// readGitea reads a package event. A container's version is its tag, or its digest when it has none.
func readGitea(m *message) (Reading, error) {
	var in struct {
		Action  string `json:"action"`
		Package *struct {
			Owner struct {
				Login    string `json:"login"`
				Username string `json:"username"`
			} `json:"owner"`
			Name    string `json:"name"`
			Type    string `json:"type"`
			Version string `json:"version"`
			URL     string `json:"html_url"`
			Created string `json:"created_at"`
		} `json:"package"`
	}
	if err := m.decode(&in); err != nil {
		return Reading{}, err
	}
	if in.Package == nil || in.Package.Type != "container" {
		return Reading{Reason: "the event is not about an image"}, nil
	}
	p := in.Package
	owner := p.Owner.Login
	if owner == "" {
		owner = p.Owner.Username
	}
	e := PushEvent{Host: hostOfURL(p.URL), Repository: strings.ToLower(owner + "/" + p.Name), Tag: p.Version, OccurredAt: when(p.Created),
		DeliveryID: m.header.Get("X-Gitea-Delivery"), Action: Push}
	switch in.Action {
	case "created":
	case "deleted":
		e.Action = Delete
	default:
		e.Unusable = "nothing follows from the action " + short(in.Action)
	}
	return Reading{Events: []PushEvent{e}}, nil
}
