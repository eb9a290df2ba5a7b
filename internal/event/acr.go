package event

// isACR recognises a webhook of Azure's registry: one action and, but for a ping, its target.
func isACR(m *message) bool {
	return m.has("action", "target") || m.text("action") == "ping" && m.has("timestamp")
}

// azure is what an event of Azure's registry says, in a webhook's body and in Event Grid's data.
type azure struct {
	ID        string `json:"id"`
	Timestamp string `json:"timestamp"`
	Action    string `json:"action"`
	Target    target `json:"target"`
	Request   struct {
		Host string `json:"host"`
	} `json:"request"`
}

func readACR(m *message) (Reading, error) {
	var in azure
	if err := m.decode(&in); err != nil {
		return Reading{}, err
	}
	if in.Action == "ping" {
		return Reading{}, nil
	}
	return Reading{Events: []PushEvent{in.event()}}, nil
}

// event brings what Azure says into the normal form. Azure: only push and delete are about images; a delete names the
// digest and no tag.
func (a *azure) event() PushEvent {
	e := PushEvent{Host: a.Request.Host, Repository: a.Target.Repository, Tag: a.Target.Tag, Digest: a.Target.Digest,
		MediaType: a.Target.MediaType, OccurredAt: when(a.Timestamp), DeliveryID: a.ID, Action: Push}
	switch a.Action {
	case "push":
	case "delete":
		e.Action = Delete
	default:
		e.Unusable = "nothing follows from the action " + short(a.Action)
	}
	return e
}
