package harbor

import (
	"net/http"
	"time"
)

// scanner is who made a report.
type scanner struct {
	Name    string `json:"name"`
	Vendor  string `json:"vendor"`
	Version string `json:"version"`
}

func (s *server) scanner() scanner {
	return scanner{Name: "Tidewaiter", Vendor: "Tidewaiter", Version: s.version}
}

type metadata struct {
	Scanner      scanner           `json:"scanner"`
	Capabilities []capability      `json:"capabilities"`
	Properties   map[string]string `json:"properties"`
}

type capability struct {
	Type       string   `json:"type"`
	Consumes   []string `json:"consumes_mime_types"`
	Produces   []string `json:"produces_mime_types"`
	Attributes any      `json:"additional_attributes,omitempty"`
}

type sbomAttributes struct {
	Forms []string `json:"sbom_media_types"`
}

// The capabilities.
const (
	typeOfVulnerabilities = "vulnerability"
	typeOfSBOM            = "sbom"
)

// metadata says what this scanner can do and how old its advisories are. Harbor asks before every scan.
func (s *server) metadata(w http.ResponseWriter, r *http.Request) error {
	as, ok := accepted(r.Header, []string{typeMetadata, typeMetadata11})
	if !ok {
		return &statusError{http.StatusNotAcceptable, "the metadata are " + typeMetadata}
	}
	writeJSON(w, http.StatusOK, as, metadata{
		Scanner: s.scanner(),
		Capabilities: []capability{
			{Type: typeOfVulnerabilities, Consumes: manifestTypes(), Produces: vulnerabilityTypes()},
			{Type: typeOfSBOM, Consumes: manifestTypes(), Produces: sbomTypes(), Attributes: sbomAttributes{sbomForms()}},
		},
		Properties: s.properties(),
	})
	return nil
}

// properties are what Harbor shows beside the scanner. It marks advisories that are old, so their times are the makers'.
func (s *server) properties() map[string]string {
	const prefix = "harbor.scanner-adapter/"
	p := map[string]string{
		prefix + "scanner-type":                "os-package-vulnerability",
		prefix + "registry-authorization-type": "Basic", // a robot account rather than a token of a few minutes
	}
	current := s.control.Advisories().Current
	if current == nil {
		return p
	}
	for name, at := range map[string]time.Time{"updated-at": current.UpdatedAt, "next-update-at": current.NextUpdate} {
		if !at.IsZero() {
			p[prefix+"vulnerability-database-"+name] = at.UTC().Format(time.RFC3339)
		}
	}
	return p
}
