package harbor

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"

	"github.com/tidewaiter/tidewaiter/internal/control"
	"github.com/tidewaiter/tidewaiter/internal/secret"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// maxRequest bounds a request for a scan, in bytes. The largest part of one is a bearer token.
const maxRequest = 64 << 10

// scanRequest is what Harbor sends. It never shows the login: the field is a secret.Value.
type scanRequest struct {
	Registry struct {
		URL           string       `json:"url"`
		Authorization secret.Value `json:"authorization"`
		Insecure      bool         `json:"insecure"`
	} `json:"registry"`
	Artifact struct {
		Repository string `json:"repository"`
		Tag        string `json:"tag"`
		Digest     string `json:"digest"`
		MediaType  string `json:"mime_type"`
	} `json:"artifact"`
	Capabilities []wanted `json:"enabled_capabilities"`
}

// wanted is a capability Harbor wants used. A request of specification 1.0 or 1.1 names none and wants vulnerabilities.
type wanted struct {
	Type       string   `json:"type"`
	Produces   []string `json:"produces_mime_types"`
	Parameters struct {
		Forms []string `json:"sbom_media_types"`
	} `json:"parameters"`
}

// scan takes a request and answers at once. Everything a report may need is found out whatever is wanted, so one scan
// serves reports of every kind.
func (s *server) scan(w http.ResponseWriter, r *http.Request) error {
	if _, ok := oneOf(r.Header.Get("Content-Type"), []string{typeScanRequest, typeScanRequest1}); !ok {
		return &statusError{http.StatusUnsupportedMediaType, "a scan request is " + typeScanRequest}
	}
	var in scanRequest
	if err := decode(w, r, &in); err != nil {
		return err
	}
	if err := in.check(); err != nil {
		return err
	}
	started, err := s.control.StartHarborScan(r.Context(), control.HarborRequest{
		RegistryURL: in.Registry.URL, Authorization: in.Registry.Authorization, Insecure: in.Registry.Insecure,
		Repository: in.Artifact.Repository, Tag: in.Artifact.Tag, Digest: in.Artifact.Digest, MediaType: in.Artifact.MediaType,
	})
	if err != nil {
		return err
	}
	writeJSON(w, http.StatusAccepted, typeScanResponse, struct {
		ID string `json:"id"`
	}{started.ID})
	return nil
}

func decode(w http.ResponseWriter, r *http.Request, v any) error {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxRequest))
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return &statusError{http.StatusRequestEntityTooLarge, fmt.Sprintf("the request is larger than %d KiB", maxRequest>>10)}
	}
	if err != nil {
		return &statusError{http.StatusBadRequest, "the request was cut short"}
	}
	if json.Unmarshal(body, v) != nil {
		// The decoder's own words may quote what was sent, and with it the login.
		return &statusError{http.StatusBadRequest, "the request is not the JSON of a scan request"}
	}
	return nil
}

// check says what is wanted that this scanner cannot do.
func (in *scanRequest) check() error {
	if _, ok := oneOf(in.Artifact.MediaType, manifestTypes()); !ok {
		return tidewaiter.Invalid("artifact.mime_type", "%q cannot be scanned", shown(in.Artifact.MediaType))
	}
	for _, c := range in.Capabilities {
		var produced []string
		switch c.Type {
		case typeOfVulnerabilities:
			produced = vulnerabilityTypes()
		case typeOfSBOM:
			produced = sbomTypes()
		default:
			return tidewaiter.Invalid("enabled_capabilities.type", "there is no capability %q", shown(c.Type))
		}
		for _, t := range c.Produces {
			if _, ok := oneOf(t, produced); !ok {
				return tidewaiter.Invalid("enabled_capabilities.produces_mime_types", "%q is not made here", shown(t))
			}
		}
		for _, t := range c.Parameters.Forms {
			if _, ok := oneOf(t, sbomForms()); !ok {
				return tidewaiter.Invalid("enabled_capabilities.parameters.sbom_media_types", "%q is not made here", shown(t))
			}
		}
	}
	return nil
}

// shown cuts what a caller sent to what an error can show.
func shown(s string) string { return s[:min(len(s), 100)] }
