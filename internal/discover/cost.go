package discover

import (
	"fmt"
	"maps"
	"math"

	"github.com/tidewaiter/tidewaiter/internal/oci"
)

// Cost is how many requests something takes.
type Cost struct {
	Requests int                     `json:"requests"`
	By       map[oci.RequestKind]int `json:"by,omitempty"` // what for
	// Estimated says that it was worked out from a part; AtLeast that the whole is not known, so that it may be more.
	Estimated bool `json:"estimated,omitempty"`
	AtLeast   bool `json:"atLeast,omitempty"`
}

func costOf(by map[oci.RequestKind]int) Cost {
	c := Cost{By: by}
	for _, n := range by {
		c.Requests += n
	}
	return c
}

// estimate works out what scans will take from what the preview took. Only the listing counts: each image that is new takes
// a request for its manifest, one for its configuration, and one for each layer nobody has analysed.
func (r *previewRun) estimate() {
	s := &r.sum
	s.Requests = r.spent()
	seen := s.Requests.By
	scale := 1.0
	unlisted := s.RepositoriesSelected - s.RepositoriesListed
	estimated := unlisted > 0 && s.RepositoriesListed > 0
	if estimated {
		scale = float64(s.RepositoriesSelected) / float64(s.RepositoriesListed)
	}
	times := func(n int) int { return int(math.Ceil(float64(n) * scale)) }
	atLeast := !r.namesRead || r.After != "" || r.tagsCut.Load() || r.untimed.Load() > 0 || unlisted > 0 && !estimated
	login := seen[oci.RequestLogin]
	if tokens := login > s.RepositoriesListed; tokens { // one for each repository, and a few
		login = times(login)
	}
	lists := map[oci.RequestKind]int{
		oci.RequestLogin: login, oci.RequestRepositories: seen[oci.RequestRepositories], oci.RequestTags: times(seen[oci.RequestTags]),
	}
	second := map[oci.RequestKind]int{}
	for kind, n := range lists {
		if n > 0 {
			second[kind] = n
		}
	}
	first := maps.Clone(second)
	for _, kind := range []oci.RequestKind{oci.RequestManifest, oci.RequestConfig} {
		if n := seen[kind]; n > 0 {
			first[kind] = times(n)
		}
	}
	heads := times(r.heads + seen[oci.RequestDigest])
	if heads > 0 {
		first[oci.RequestDigest] = heads
		s.Rotation, s.RotationWithin = heads, r.Rotation.withDefaults().Within.String()
	}
	s.FirstPass, s.SecondPass = costOf(first), costOf(second)
	s.FirstPass.Estimated, s.SecondPass.Estimated = estimated, estimated
	s.FirstPass.AtLeast, s.SecondPass.AtLeast = atLeast, atLeast
	r.note()
}

func (r *previewRun) note() {
	s := &r.sum
	say := func(format string, args ...any) { s.Notes = append(s.Notes, fmt.Sprintf(format, args...)) }
	if s.RepositoriesSelected == 0 && s.CutShort == "" {
		say("the scope selects no repository")
	}
	if n := r.untimed.Load(); n > 0 {
		say("the times of %d tags were not asked for, so that which ones are newest may change", n)
	}
	if s.TagsSelected > 0 {
		say("whether a tag is an image, and for which platform, shows only when it is scanned; a new image takes a request for its manifest, one for its configuration and one for each new layer")
	}
	if s.Rotation > 0 {
		say("this registry's lists do not say where a tag points: new tags are asked for one by one, known ones in turn, all within %s; push events make it exact", s.RotationWithin)
	}
}
