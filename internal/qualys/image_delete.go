package qualys

import (
	"context"
	"net/http"
	"slices"

	"github.com/tidewaiter/tidewaiter/internal/control"
	"github.com/tidewaiter/tidewaiter/internal/qualys/qql"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// deleteImages removes images that imageIds name or a filter chooses. Qualys: with both, only the ids count; v1.1 sends them in
// the body, v1.3 in the query. Ours: neither is an error, never "all"; an id is a sha, an imageId or a uuid, and those that are
// not there are passed over while one is; an image that a tag still points to comes back with the next scan of the tag; and of
// what a filter chooses, images that are being scanned stay.
func (s *server) deleteImages(w http.ResponseWriter, r *http.Request) error {
	body, err := readBody(w, r)
	if err != nil {
		return err
	}
	ids, filter, err := selection(r, body, "imageIds")
	if err != nil {
		return err
	}
	var e qql.Expr
	switch {
	case len(ids) > 0:
		e, err = imagesNamed(ids)
	case filter != "":
		e, err = qql.Parse(filter)
	default:
		err = tidewaiter.Invalid("imageIds", "no id and no filter is given").WithFix("name what is to be deleted")
	}
	if err != nil {
		return err
	}
	found, err := s.imageIDs(r.Context(), e, len(ids) > 0)
	if err != nil {
		return err
	}
	if len(found) == 0 && len(ids) > 0 {
		return tidewaiter.Errorf(tidewaiter.ErrNotFound, "none of the images was found")
	}
	if _, err := s.control.DeleteImages(r.Context(), found...); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// imagesNamed is the filter that chooses images by their ids.
func imagesNamed(ids []string) (qql.Expr, error) {
	terms := map[string][]qql.Value{}
	for _, id := range ids {
		hex := withoutAlgorithm(id)
		var token string
		switch {
		case validSHA.MatchString(hex):
			token = "sha"
		case validImageID.MatchString(hex):
			token = "imageId"
		case imageUUID.MatchString(hex):
			token = "uuid"
		default:
			return nil, tidewaiter.Invalid("imageIds", "%q is no id of an image", cut(id, 80)).WithFix("a sha, an imageId or a uuid as lists show them")
		}
		terms[token] = append(terms[token], qql.Value{Text: hex, Quote: qql.Double})
	}
	var e qql.Or
	for token, values := range terms {
		e = append(e, qql.Term{Token: token, Any: values})
	}
	return e, nil
}

// imageIDs returns the images a filter chooses, with those that are being scanned or without.
func (s *server) imageIDs(ctx context.Context, e qql.Expr, waiting bool) ([]int64, error) {
	c, err := s.choose(ctx, e)
	if err != nil {
		return nil, err
	}
	var ids []int64
	err = s.lookAt(ctx, control.ImageFilter{Where: c.where}, c, func(row *control.ImageRow) {
		if waiting || row.State != tidewaiter.ImageWaiting {
			ids = append(ids, row.ID)
		}
	})
	slices.Sort(ids)
	return slices.Compact(ids), err
}
