package event

import (
	"crypto/hmac"
	"encoding/json"
	"strings"
)

// isGitHub recognises GitHub by its header: its packages look like others' otherwise.
func isGitHub(m *message) bool { return m.header.Get("X-Github-Event") != "" }

func signedGitHub(m *message, secret []byte) bool {
	signature, ok := strings.CutPrefix(m.header.Get("X-Hub-Signature-256"), "sha256=")
	return ok && rightSHA256(m, secret, signature)
}

// readGitHub reads what GitHub tells of packages, under either of the two names it has for that.
func readGitHub(m *message) (Reading, error) {
	kind := m.header.Get("X-Github-Event")
	if kind == "ping" {
		return Reading{}, nil
	}
	raw, ok := m.top["package"]
	if !ok {
		raw, ok = m.top["registry_package"]
	}
	if !ok || kind != "package" && kind != "registry_package" {
		return Reading{Reason: "nothing follows from an event of the type " + short(kind)}, nil
	}
	var p struct {
		Name  string `json:"name"`
		Type  string `json:"package_type"`
		Space string `json:"namespace"`
		Owner struct {
			Login string `json:"login"`
		} `json:"owner"`
		Version struct {
			Version  string `json:"version"`
			Name     string `json:"name"`
			URL      string `json:"package_url"`
			Created  string `json:"created_at"`
			Metadata struct {
				Tag struct {
					Name   string `json:"name"`
					Digest string `json:"digest"`
				} `json:"tag"`
			} `json:"container_metadata"`
		} `json:"package_version"`
	}
	if err := json.Unmarshal(raw, &p); err != nil {
		return Reading{}, malformed("a field of the package is not of the type it should be")
	}
	if !strings.EqualFold(p.Type, "container") && !strings.EqualFold(p.Type, "docker") {
		return Reading{Reason: "the package is not an image"}, nil
	}
	owner := p.Owner.Login
	if owner == "" {
		owner = p.Space
	}
	// Owners keep their case in events; image names are in lower case.
	e := PushEvent{Host: "ghcr.io", Repository: strings.ToLower(owner + "/" + p.Name), Tag: p.Version.Metadata.Tag.Name,
		Digest: p.Version.Metadata.Tag.Digest, OccurredAt: when(p.Version.Created), DeliveryID: m.header.Get("X-Github-Delivery"), Action: Push}
	if at, _, found := strings.Cut(p.Version.URL, "/"); found && host(at) != "" && strings.Contains(at, ".") {
		e.Host = at // an instance of one's own
	}
	for _, digest := range []string{p.Version.Version, p.Version.Name} {
		if e.Digest == "" && digestForm.MatchString(digest) {
			e.Digest = digest
		}
	}
	switch action := m.text("action"); action {
	case "published", "updated":
	case "deleted":
		e.Action = Delete
	default:
		e.Unusable = "nothing follows from the action " + short(action)
	}
	return Reading{Events: []PushEvent{e}}, nil
}

// same compares two secrets in constant time.
func same(a, b []byte) bool { return len(b) > 0 && hmac.Equal(a, b) }
