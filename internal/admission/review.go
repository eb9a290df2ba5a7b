package admission

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"

	"github.com/tidewaiter/tidewaiter/internal/control"
)

const version = "admission.k8s.io/v1"

// review is an AdmissionReview, with the fields that are used here.
type review struct {
	APIVersion string    `json:"apiVersion"`
	Kind       string    `json:"kind"`
	Request    *request  `json:"request,omitempty"`
	Response   *response `json:"response,omitempty"`
}

type request struct {
	UID  string `json:"uid"`
	Type struct {
		Group   string `json:"group"`
		Version string `json:"version"`
		Kind    string `json:"kind"`
	} `json:"kind"`
	Namespace string          `json:"namespace"`
	Operation string          `json:"operation"`
	DryRun    bool            `json:"dryRun"`
	Object    json.RawMessage `json:"object"`
	OldObject json.RawMessage `json:"oldObject"`
}

type response struct {
	UID      string   `json:"uid"`
	Allowed  bool     `json:"allowed"`
	Status   *status  `json:"status,omitempty"`
	Warnings []string `json:"warnings,omitempty"`
}

type status struct {
	Status  string `json:"status"`
	Message string `json:"message"`
	Reason  string `json:"reason"`
	Code    int    `json:"code"`
}

// maxMessage bounds what a person sees on a terminal when something is refused, in bytes.
const maxMessage = 4096

func (r *response) refuse(code int, message string) {
	reason := map[int]string{http.StatusForbidden: "Forbidden", http.StatusBadRequest: "BadRequest"}[code]
	if len(message) > maxMessage {
		message = strings.ToValidUTF8(message[:maxMessage], "") + "…"
	}
	r.Allowed, r.Status = false, &status{Status: "Failure", Message: message, Reason: reason, Code: code}
}

// warn adds warnings. Kubernetes: those over 256 characters may be truncated, and all of them together to 4096.
func (r *response) warn(warnings []string) {
	total := 0
	for _, w := range warnings {
		w = clip(w)
		if total += len(w); total > maxMessage {
			return
		}
		r.Warnings = append(r.Warnings, w)
	}
}

// clip cuts text to what Kubernetes shows of a warning, in bytes.
func clip(s string) string {
	const longest = 250
	if len(s) <= longest {
		return s
	}
	return strings.ToValidUTF8(s[:longest], "") + "…"
}

// pod is a PodSpec, with the fields that are used here.
type pod struct {
	Containers          []container       `json:"containers"`
	InitContainers      []container       `json:"initContainers"`
	EphemeralContainers []container       `json:"ephemeralContainers"`
	NodeSelector        map[string]string `json:"nodeSelector"`
}

type container struct {
	Name  string `json:"name"`
	Image string `json:"image"`
}

type template struct {
	Spec pod `json:"spec"`
}

// specOf returns the PodSpec of an object of a kind; known is false for a kind that runs nothing, or is not known.
func specOf(kind string, object json.RawMessage) (spec pod, known bool, err error) {
	switch kind {
	case "Pod":
		var o template
		err = json.Unmarshal(object, &o)
		return o.Spec, true, err
	case "PodTemplate":
		var o struct {
			Template template `json:"template"`
		}
		err = json.Unmarshal(object, &o)
		return o.Template.Spec, true, err
	case "Deployment", "StatefulSet", "DaemonSet", "ReplicaSet", "ReplicationController", "Job":
		var o struct {
			Spec struct {
				Template template `json:"template"`
			} `json:"spec"`
		}
		err = json.Unmarshal(object, &o)
		return o.Spec.Template.Spec, true, err
	case "CronJob":
		var o struct {
			Spec struct {
				JobTemplate struct {
					Spec struct {
						Template template `json:"template"`
					} `json:"spec"`
				} `json:"jobTemplate"`
			} `json:"spec"`
		}
		err = json.Unmarshal(object, &o)
		return o.Spec.JobTemplate.Spec.Template.Spec, true, err
	}
	return pod{}, false, nil
}

// images returns the images the request brings in, each once. What an update leaves as it was is not looked at again: what
// runs already has to be able to end, and to lose a finalizer.
func (r *request) images() (images []control.AdmissionImage, known bool, err error) {
	if len(r.Object) == 0 || string(r.Object) == "null" {
		return nil, true, nil // a deletion
	}
	spec, known, err := specOf(r.Type.Kind, r.Object)
	if err != nil {
		return nil, true, fmt.Errorf("the %s in the review cannot be read", clip(r.Type.Kind))
	}
	seen := map[string]bool{}
	if r.Operation == "UPDATE" && len(r.OldObject) > 0 {
		old, _, err := specOf(r.Type.Kind, r.OldObject)
		if err != nil {
			return nil, true, fmt.Errorf("the old %s in the review cannot be read", clip(r.Type.Kind))
		}
		for _, c := range old.all() {
			seen[c.Image] = true
		}
	}
	for _, c := range spec.all() {
		if c.Image == "" || seen[c.Image] { // an image left out is for the cluster to refuse
			continue
		}
		seen[c.Image] = true
		images = append(images, control.AdmissionImage{Container: c.Name, Name: c.Image, Platform: spec.platform()})
	}
	return images, known, nil
}

func (p *pod) all() []container {
	return append(append(append([]container(nil), p.InitContainers...), p.Containers...), p.EphemeralContainers...)
}

// platform is the one a pod is bound to by its node selector, "" when it is not.
func (p *pod) platform() string {
	architecture, ok := p.NodeSelector["kubernetes.io/arch"]
	if !ok {
		return ""
	}
	system := p.NodeSelector["kubernetes.io/os"]
	if system == "" {
		system = "linux"
	}
	return system + "/" + architecture
}
