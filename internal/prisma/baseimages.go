package prisma

import (
	"net/http"
	"regexp"
	"strings"
	"time"

	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// baseImagesRule is Prisma's BaseImagesRule: a pattern and the images it has taken so far.
type baseImagesRule struct {
	ID          string      `json:"_id"`
	Description string      `json:"description"`
	Images      []baseImage `json:"images"`
}

type baseImage struct {
	CreationTime time.Time `json:"creationTime"`
	ImageName    string    `json:"imageName"`
	TopLayer     string    `json:"topLayer"`
}

func (s *server) getBaseImages(w http.ResponseWriter, r *http.Request) error {
	list, err := s.baseImages(r)
	if err != nil {
		return err
	}
	return writeList(w, each(list))
}

func (s *server) baseImages(r *http.Request) ([]baseImagesRule, error) {
	declared, err := s.control.BaseImages(r.Context())
	if err != nil {
		return nil, err
	}
	out := make([]baseImagesRule, len(declared))
	for i, b := range declared {
		out[i] = baseImagesRule{ID: b.Pattern, Description: b.Description, Images: []baseImage{}}
		for _, stack := range b.Images {
			out[i].Images = append(out[i].Images, baseImage{CreationTime: stack.CreatedAt.UTC(),
				ImageName: strings.TrimPrefix(stack.Name, "docker.io/"), TopLayer: stack.TopLayer})
		}
	}
	return out, nil
}

// basePattern is registry/repository:tag; the parts may hold asterisks.
var basePattern = regexp.MustCompile(`^[^\s/:@]+(:\d+)?(/[^\s/:@]+)+:[^\s/:@]+$`)

// postBaseImages declares a pattern, or says something else of one that is declared.
func (s *server) postBaseImages(w http.ResponseWriter, r *http.Request) error {
	var sent baseImagesRule
	if err := decodeBody(w, r, &sent); err != nil {
		return err
	}
	pattern := strings.TrimSpace(sent.ID)
	switch {
	case !basePattern.MatchString(pattern):
		return plain(tidewaiter.ErrInvalid, "base images rule must be defined with registry/repository:tag pattern")
	case len(pattern) > maxPattern:
		return tidewaiter.Invalid("_id", "the pattern is longer than %d characters", maxPattern)
	case len(sent.Description) > maxCollectionDescription:
		return tidewaiter.Invalid("description", "the description is longer than %d characters", maxCollectionDescription)
	}
	return s.control.PutBaseImage(r.Context(), pattern, sent.Description)
}

func (s *server) deleteBaseImages(_ http.ResponseWriter, r *http.Request) error {
	err := s.control.DeleteBaseImage(r.Context(), r.PathValue("id"))
	if tidewaiter.KindOf(err) == tidewaiter.ErrNotFound {
		return plain(tidewaiter.ErrNotFound, "base images rule not found")
	}
	return err
}

// downloadBaseImages lists every base image that was seen. The columns are ours: the vendor publishes none.
func (s *server) downloadBaseImages(w http.ResponseWriter, r *http.Request) error {
	list, err := s.baseImages(r)
	if err != nil {
		return err
	}
	t := newTable(w, "base_images.csv", "Pattern", "Description", "Image", "Top Layer", "Created")
	for _, rule := range list {
		for _, img := range rule.Images {
			t.add(rule.ID, rule.Description, img.ImageName, img.TopLayer, csvTime(img.CreationTime))
		}
	}
	return t.end()
}
