package event

import (
	"encoding/json"
	"regexp"
	"strings"
)

// isECR recognises Amazon's registry by the source or the detail-type of an EventBridge event.
func isECR(m *message) bool {
	return m.has("detail-type", "detail") && (m.text("source") == "aws.ecr" || strings.HasPrefix(m.text("detail-type"), "ECR "))
}

var (
	accountForm = regexp.MustCompile(`^[0-9]{12}$`)
	regionForm  = regexp.MustCompile(`^[a-z]{2}(-[a-z]+){1,2}-[0-9]{1,2}$`)
	ecrHosts    = regexp.MustCompile(`^([0-9]{12})\.dkr[.-]ecr(-fips)?\.([a-z0-9-]+)\.`)
)

func readECR(m *message) (Reading, error) {
	var in struct {
		ID      string          `json:"id"`
		Type    string          `json:"detail-type"`
		Account string          `json:"account"`
		Region  string          `json:"region"`
		Time    string          `json:"time"`
		Detail  json.RawMessage `json:"detail"`
	}
	if err := m.decode(&in); err != nil {
		return Reading{}, err
	}
	if in.Type != "ECR Image Action" {
		return Reading{Reason: "nothing follows from an event of the type " + short(in.Type)}, nil
	}
	var d struct {
		Result   string `json:"result"`
		Action   string `json:"action-type"`
		Name     string `json:"repository-name"`
		Digest   string `json:"image-digest"`
		Tag      string `json:"image-tag"`
		Manifest string `json:"manifest-media-type"`
		Artifact string `json:"artifact-media-type"`
	}
	if err := (&message{doc: in.Detail}).decode(&d); err != nil {
		return Reading{}, err
	}
	e := PushEvent{Host: ecrHost(in.Account, in.Region), Repository: d.Name, Tag: d.Tag, Digest: d.Digest, MediaType: d.Manifest,
		Action: Push, OccurredAt: when(in.Time), DeliveryID: in.ID}
	switch {
	case d.Result != "SUCCESS":
		e.Unusable = "the action did not succeed"
	case d.Action == "DELETE":
		e.Action = Delete
	case d.Action != "PUSH":
		e.Unusable = "nothing follows from the action " + short(d.Action)
	case !isConfig(d.Artifact):
		e.Unusable = "it is a " + short(d.Artifact) + ", not an image"
	}
	return Reading{Events: []PushEvent{e}}, nil
}

// isConfig reports whether the type of an artifact is that of an image's configuration, or not said.
func isConfig(mediaType string) bool {
	switch mediaType {
	case "", "application/vnd.docker.container.image.v1+json", "application/vnd.oci.image.config.v1+json":
		return true
	}
	return isManifest(mediaType)
}

// ecrHost is the registry of an account in a region. AWS: each partition has a domain of its own.
func ecrHost(account, region string) string {
	if !accountForm.MatchString(account) || !regionForm.MatchString(region) {
		return ""
	}
	suffix := "amazonaws.com"
	switch {
	case strings.HasPrefix(region, "cn-"):
		suffix = "amazonaws.com.cn"
	case strings.HasPrefix(region, "us-isob-"):
		suffix = "sc2s.sgov.gov"
	case strings.HasPrefix(region, "us-iso-"):
		suffix = "c2s.ic.gov"
	}
	return account + ".dkr.ecr." + region + "." + suffix
}
