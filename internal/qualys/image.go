package qualys

import (
	"context"
	"net/http"
	"regexp"

	"github.com/tidewaiter/tidewaiter/internal/control"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

var (
	validSHA     = regexp.MustCompile(`^[0-9a-f]{64}$`)
	validImageID = regexp.MustCompile(`^[0-9a-f]{12}$`)
)

// lookUp returns the images a sha names: those with that config digest, else the one whose manifest it is. (Several
// manifests can have one config: the same image compressed in another way.)
func (s *server) lookUp(ctx context.Context, sha string) ([]*control.ImageRow, error) {
	for _, f := range []control.ImageFilter{{ConfigDigest: "sha256:" + sha}, {Digest: "sha256:" + sha}} {
		rows, _, err := s.control.Images(ctx, f)
		if err != nil || len(rows) > 0 {
			return rows, err
		}
	}
	return nil, nil
}

// imageOf returns the image of a request's path, the newest where its sha names several. Qualys: what is no sha, such as a
// repository with a tag, is "Invalid Image SHA provided"; ours: with or without "sha256:", and in either case.
func (s *server) imageOf(r *http.Request) (*control.ImageRow, error) {
	sha := withoutAlgorithm(r.PathValue("imageSha"))
	if !validSHA.MatchString(sha) {
		return nil, &tidewaiter.Error{Kind: tidewaiter.ErrInvalid, Msg: "Invalid Image SHA provided"}
	}
	rows, err := s.lookUp(r.Context(), sha)
	if err != nil {
		return nil, err
	}
	if len(rows) == 0 {
		return nil, tidewaiter.Errorf(tidewaiter.ErrNotFound, "image %s was not found", sha)
	}
	return rows[0], nil
}

// resultOf returns everything known of the image of a request's path.
func (s *server) resultOf(r *http.Request) (*control.ImageRow, *tidewaiter.Result, error) {
	row, err := s.imageOf(r)
	if err != nil {
		return nil, nil, err
	}
	result, err := s.control.Result(r.Context(), row.ID)
	return row, result, err
}

// imageDetails is Qualys' ImageDetails.
type imageDetails struct {
	imageSummary
	Label           []label         `json:"label"`
	CustomerUUID    string          `json:"customerUuid"`
	DockerVersion   *string         `json:"dockerVersion"`
	Layers          []layer         `json:"layers"`
	Host            []struct{}      `json:"host"`
	Users           []string        `json:"users"`
	TotalVulnCount  int             `json:"totalVulnCount"`
	TotalVulCount   string          `json:"totalVulCount"` // v1.1 spells and types it like this
	Softwares       []software      `json:"softwares"`
	Vulnerabilities []vulnerability `json:"vulnerabilities"` // null until the image is scanned
	scanDetails
}

type label struct {
	Key   string `json:"key"`
	Value string `json:"value"`
}

// layer is Qualys' Layer.
type layer struct {
	Size        string   `json:"size"`
	CreatedBy   string   `json:"createdBy"`
	Created     millis   `json:"created"`
	Comment     string   `json:"comment"`
	ID          string   `json:"id"`
	SHA         string   `json:"sha"`
	Tags        []string `json:"tags"`
	LayerNumber int      `json:"layerNumber"`
	IsBaseLayer bool     `json:"isBaseLayer"`
}

// getImage shows one image.
func (s *server) getImage(w http.ResponseWriter, r *http.Request) error {
	asked, err := wantedOf(r)
	if err != nil {
		return err
	}
	row, result, err := s.resultOf(r)
	if err != nil {
		return err
	}
	out := detailsOf(row, result)
	out.scanDetails = scanDetailsOf(result, asked)
	writeJSON(w, http.StatusOK, out)
	return nil
}

func detailsOf(row *control.ImageRow, result *tidewaiter.Result) *imageDetails {
	image := result.Image
	out := &imageDetails{
		imageSummary: summaryOfImage(image, row.UpdatedAt, row.Tags, row.RegistryIDs),
		CustomerUUID: stableUUID("customer"), DockerVersion: orNull(image.Config.DockerVersion), Label: labelsOf(image),
		Layers: layersOf(image), Host: []struct{}{}, Users: []string{}, Softwares: []software{}, TotalVulCount: "0",
	}
	if image.Config.User != "" {
		out.Users = []string{image.Config.User}
	}
	if image.Judgement == nil {
		return out
	}
	out.Vulnerabilities = vulnerabilitiesOf(result)
	out.Softwares = softwareOf(result, out.Vulnerabilities)
	out.TotalVulnCount = len(out.Vulnerabilities)
	out.TotalVulCount = itoa(out.TotalVulnCount)
	return out
}
