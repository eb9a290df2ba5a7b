package qualys

import (
	"net/http"
	"slices"
	"strings"

	"github.com/tidewaiter/tidewaiter/internal/control"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// imageAssociation is Qualys' ImageAssociation. Nothing runs here, so all of it is empty.
type imageAssociation struct {
	Containers      []struct{} `json:"containers"`
	DriftContainers []struct{} `json:"driftContainers"`
	Hosts           []struct{} `json:"hosts"`
}

// getAssociation answers that no container or host is known of an image. Qualys: type is CONTAINER, HOST, DRIFT or ALL.
func (s *server) getAssociation(w http.ResponseWriter, r *http.Request) error {
	kind := strings.ToUpper(strings.TrimSpace(r.URL.Query().Get("type")))
	if !slices.Contains([]string{"", "ALL", "CONTAINER", "HOST", "DRIFT"}, kind) {
		return tidewaiter.Invalid("type", "unknown type %q", cut(kind, 40)).WithFix("CONTAINER, HOST, DRIFT or ALL")
	}
	if _, err := s.imageOf(r); err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, imageAssociation{[]struct{}{}, []struct{}{}, []struct{}{}})
	return nil
}

// associatedRegistry is one entry of Qualys' ImageRegistries.
type associatedRegistry struct {
	RegistryUUID string `json:"registryUuid"`
	Registry     string `json:"registry"`
	Repo         string `json:"repo"`
	Tag          string `json:"tag"`
}

// getAssociatedRegistries lists the names of an image with the registries that show them.
func (s *server) getAssociatedRegistries(w http.ResponseWriter, r *http.Request) error {
	row, err := s.imageOf(r)
	if err != nil {
		return err
	}
	names, _, err := s.control.Results(r.Context(), control.ResultFilter{Digests: []string{row.Digest}, Page: control.Page{Limit: 10_000}})
	if err != nil {
		return err
	}
	out := []associatedRegistry{}
	for _, n := range names {
		for _, id := range n.RegistryIDs {
			out = append(out, associatedRegistry{id, n.Tag.Repository.Host, n.Tag.Repository.Name, n.Tag.Name})
		}
	}
	writeJSON(w, http.StatusOK, out)
	return nil
}
