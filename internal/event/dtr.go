package event

// isDTR recognises Docker's and Mirantis' registry by a type and the contents.
func isDTR(m *message) bool { return m.has("type", "contents") }

func readDTR(m *message) (Reading, error) {
	var in struct {
		Type      string `json:"type"`
		CreatedAt string `json:"createdAt"`
		Contents  struct {
			Namespace  string `json:"namespace"`
			Repository string `json:"repository"`
			Tag        string `json:"tag"`
			Digest     string `json:"digest"`
			Image      string `json:"imageName"`
		} `json:"contents"`
	}
	if err := m.decode(&in); err != nil {
		return Reading{}, err
	}
	e := PushEvent{Repository: in.Contents.Namespace + "/" + in.Contents.Repository, Tag: in.Contents.Tag, Digest: in.Contents.Digest,
		Action: Push, OccurredAt: when(in.CreatedAt)}
	switch in.Type {
	case "TAG_PUSH":
	case "TAG_DELETE":
		e.Action = Delete
	default:
		return Reading{Reason: "nothing follows from an event of the type " + short(in.Type)}, nil
	}
	e.Host = hostIn(in.Contents.Image, e.Repository)
	return Reading{Events: []PushEvent{e}}, nil
}

// hostIn is what stands before a repository in the full name of an image.
func hostIn(image, repository string) string {
	for i := 1; i+len(repository) < len(image) && i < maxText; i++ {
		if image[i] == '/' && len(image) > i+len(repository) && image[i+1:i+1+len(repository)] == repository {
			return image[:i]
		}
	}
	return ""
}
