package event

// isDistribution recognises the envelope of CNCF distribution, which GitLab and others send as well: a list of events with
// targets.
func isDistribution(m *message) bool { return m.has("events") }

// target is what distribution and Azure call the thing something happened to.
type target struct {
	MediaType  string `json:"mediaType"`
	Digest     string `json:"digest"`
	Repository string `json:"repository"`
	Tag        string `json:"tag"`
	URL        string `json:"url"`
}

func readDistribution(m *message) (Reading, error) {
	var in struct {
		Events []struct {
			ID        string `json:"id"`
			Timestamp string `json:"timestamp"`
			Action    string `json:"action"`
			Target    target `json:"target"`
			Request   struct {
				Host string `json:"host"`
			} `json:"request"`
		} `json:"events"`
	}
	if err := m.decode(&in); err != nil {
		return Reading{}, err
	}
	var out Reading
	for _, e := range in.Events {
		n := PushEvent{Host: e.Request.Host, Repository: e.Target.Repository, Tag: e.Target.Tag, Digest: e.Target.Digest,
			MediaType: e.Target.MediaType, OccurredAt: when(e.Timestamp), DeliveryID: e.ID}
		if n.Host == "" {
			n.Host = hostOfURL(e.Target.URL)
		}
		switch e.Action {
		case "push":
			n.Action = Push
		case "delete":
			n.Action = Delete
		case "pull":
			continue // our own pulls come back as events: not worth a row each
		default:
			n.Action, n.Unusable = Push, "nothing follows from the action "+short(e.Action)
		}
		out.Events = append(out.Events, n)
	}
	return out, nil
}
