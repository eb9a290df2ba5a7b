package policy

import (
	"slices"
	"strings"

	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// Tag is a word people put on vulnerabilities, for rules to make exceptions by. (A name of an image is a tidewaiter.Tag.)
type Tag struct {
	Name        string   `json:"name"`
	Color       string   `json:"color,omitempty"`
	Description string   `json:"description,omitempty"`
	Marks       []Marked `json:"marks,omitempty"`
}

// Marked says which vulnerability carries a tag, and where. What is empty does not restrict.
type Marked struct {
	Vulnerability string   `json:"vulnerability"`
	Package       string   `json:"package,omitempty"` // by name, or by the name of its source
	Kind          string   `json:"kind,omitempty"`    // of resource: "image"; of any other kind there is nothing here
	Images        []string `json:"images,omitempty"`  // patterns as in collections, where Kind is "image"
	OnBase        bool     `json:"onBase,omitempty"`  // Images are of the base image under an image, not of the image
	Comment       string   `json:"comment,omitempty"`
}

// Limits of tags.
const (
	MaxTags  = 1000
	MaxMarks = 50_000 // of all tags together
)

// ParseTags reads the stored form of tags, which is JSON; "" is none.
func ParseTags(stored string) ([]Tag, error) { return parseStored[Tag](stored, "tags") }

// Tags finds the tags of findings.
type Tags struct{ byVulnerability map[string][]tagMark }

type tagMark struct {
	tag  *Tag
	mark *Marked
}

// NewTags makes an index of tags, which must not be changed after that.
func NewTags(tags []Tag) Tags {
	t := Tags{byVulnerability: map[string][]tagMark{}}
	for i := range tags {
		for j := range tags[i].Marks {
			m := &tags[i].Marks[j]
			id := strings.ToUpper(m.Vulnerability)
			t.byVulnerability[id] = append(t.byVulnerability[id], tagMark{&tags[i], m})
		}
	}
	return t
}

// TagNote is a tag with what was said when it was put on a vulnerability.
type TagNote struct {
	Tag     *Tag
	Comment string
}

// Of returns the tags a finding carries on an image with these names, over a base image of that name, each once.
func (t *Tags) Of(f *Finding, names []string, base string) []TagNote {
	if len(t.byVulnerability) == 0 {
		return nil
	}
	var out []TagNote
	for _, m := range t.byVulnerability[strings.ToUpper(f.Vulnerability)] {
		if !m.mark.applies(f.Package, names, base) || slices.ContainsFunc(out, func(n TagNote) bool { return n.Tag == m.tag }) {
			continue
		}
		out = append(out, TagNote{m.tag, m.mark.Comment})
	}
	return out
}

func (m *Marked) applies(p *tidewaiter.Package, names []string, base string) bool {
	if m.Package != "" && m.Package != "*" && (p == nil || p.Name != m.Package && p.Source != m.Package) {
		return false
	}
	switch {
	case m.Kind == "":
		return true
	case m.Kind != "image":
		return false
	case m.OnBase && base == "":
		return false
	case m.OnBase:
		names = []string{base}
	}
	return slices.ContainsFunc(m.Images, func(pattern string) bool { return matchesName(pattern, names) })
}
