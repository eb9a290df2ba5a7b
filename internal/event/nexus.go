package event

// isNexus recognises Nexus 3's component events; repositories and assets have others, which its header tells apart.
func isNexus(m *message) bool {
	return m.has("repositoryName", "nodeId") || m.header.Get("X-Nexus-Webhook-Id") != ""
}

// signedNexus checks the HMAC-SHA1 of the body. Nexus: it signs when the capability was given a secret key.
func signedNexus(m *message, secret []byte) bool {
	return rightSHA1(m, secret, m.header.Get("X-Nexus-Webhook-Signature"))
}

// readNexus reads an event that names neither host nor digest: a Nexus serves each of its registries on a port or path of
// its own, which only the declaration knows.
func readNexus(m *message) (Reading, error) {
	var in struct {
		Timestamp  string `json:"timestamp"`
		Repository string `json:"repositoryName"`
		Action     string `json:"action"`
		Component  *struct {
			Format  string `json:"format"`
			Name    string `json:"name"`
			Version string `json:"version"`
		} `json:"component"`
	}
	if err := m.decode(&in); err != nil {
		return Reading{}, err
	}
	if in.Component == nil || in.Component.Format != "docker" {
		return Reading{Reason: "the event is not about an image"}, nil
	}
	e := PushEvent{Repository: in.Component.Name, OtherNames: []string{in.Repository + "/" + in.Component.Name},
		Tag: in.Component.Version, OccurredAt: when(in.Timestamp), DeliveryID: m.header.Get("X-Nexus-Webhook-Delivery"), Action: Push}
	switch in.Action {
	case "CREATED", "UPDATED":
	case "DELETED":
		e.Action = Delete
	default:
		e.Unusable = "nothing follows from the action " + short(in.Action)
	}
	return Reading{Events: []PushEvent{e}}, nil
}
