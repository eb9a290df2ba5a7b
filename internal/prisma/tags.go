package prisma

import (
	"net/http"
	"regexp"
	"slices"

	"github.com/tidewaiter/tidewaiter/internal/policy"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// tag is Prisma's Tag: a word for vulnerabilities, with those that carry it.
type tag struct {
	Name        string     `json:"name"`
	Color       string     `json:"color"`
	Description string     `json:"description"`
	Vulns       []tagVulns `json:"vulns"`
}

// tagVulns is Prisma's TagVulnMetadata.
type tagVulns struct {
	ID             string   `json:"id"`
	PackageName    string   `json:"packageName"`
	ResourceType   string   `json:"resourceType"`
	Resources      []string `json:"resources"`
	CheckBaseLayer bool     `json:"checkBaseLayer"`
	Comment        string   `json:"comment"`
}

// tagInfo is Prisma's TagInfo: a tag as a vulnerability shows it.
type tagInfo struct {
	Name    string `json:"name"`
	Color   string `json:"color"`
	Comment string `json:"comment"`
}

func tagInfosOf(notes []policy.TagNote) []tagInfo {
	var out []tagInfo
	for _, n := range notes {
		out = append(out, tagInfo{Name: n.Tag.Name, Color: n.Tag.Color, Comment: n.Comment})
	}
	return out
}

func (s *server) getTags(w http.ResponseWriter, r *http.Request) error {
	stored, err := s.control.Tags(r.Context())
	if err != nil {
		return err
	}
	out := make([]tag, len(stored))
	for i, t := range stored {
		out[i] = tag{Name: t.Name, Color: t.Color, Description: t.Description, Vulns: []tagVulns{}}
		for _, m := range t.Marks {
			out[i].Vulns = append(out[i].Vulns, tagVulns{ID: m.Vulnerability, PackageName: m.Package, ResourceType: m.Kind,
				Resources: m.Images, CheckBaseLayer: m.OnBase, Comment: m.Comment})
		}
	}
	return writeList(w, each(out))
}

const (
	maxTagName        = 300
	maxTagDescription = 5000
)

// domain checks a tag and translates it, without what carries it.
func (t *tag) domain() (policy.Tag, error) {
	out := policy.Tag{Name: t.Name, Color: t.Color, Description: t.Description}
	switch {
	case t.Name == "":
		return out, tidewaiter.Invalid("name", "a tag needs a name")
	case len(t.Name) > maxTagName:
		return out, tidewaiter.Invalid("name", "the name is longer than %d characters", maxTagName)
	case len(t.Description) > maxTagDescription:
		return out, tidewaiter.Invalid("description", "the description is longer than %d characters", maxTagDescription)
	case t.Color != "" && !collectionColor.MatchString(t.Color):
		return out, tidewaiter.Invalid("color", "%q is not a color", cut(t.Color, 40)).WithFix("write it as #RRGGBB")
	}
	for i := range t.Vulns {
		m, err := t.Vulns[i].domain()
		if err != nil {
			return out, within("vulns", err)
		}
		out.Marks = append(out.Marks, m)
	}
	return out, nil
}

// vulnerabilityID is what a vulnerability may be called: CVE-2024-1, GHSA-…, PRISMA-2021-0001, RHSA-2024:1.
var vulnerabilityID = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._:-]{0,127}$`)

// domain checks who carries a tag. Prisma: resources go with a resource type and are then required.
func (v *tagVulns) domain() (policy.Marked, error) {
	out := policy.Marked{Vulnerability: v.ID, Package: v.PackageName, Kind: v.ResourceType, Images: v.Resources,
		OnBase: v.CheckBaseLayer, Comment: v.Comment}
	switch {
	case v.ID == "":
		return out, tidewaiter.Invalid("id", "the vulnerability is missing").WithFix("send id, such as CVE-2024-1234")
	case !vulnerabilityID.MatchString(v.ID):
		return out, tidewaiter.Invalid("id", "%q is not a vulnerability", cut(v.ID, 80))
	case len(v.PackageName) > maxPattern:
		return out, tidewaiter.Invalid("packageName", "the name is longer than %d characters", maxPattern)
	case len(v.Comment) > maxTagDescription:
		return out, tidewaiter.Invalid("comment", "the comment is longer than %d characters", maxTagDescription)
	case v.ResourceType == "*":
		out.Kind, out.Images = "", nil // the vendor's word for every kind
	case !slices.Contains([]string{"", "image", "host", "function"}, v.ResourceType):
		return out, tidewaiter.Invalid("resourceType", "unknown resource type %q", cut(v.ResourceType, 40)).WithFix("one of image, host, function, or nothing")
	case v.ResourceType != "" && len(v.Resources) == 0:
		return out, tidewaiter.Invalid("resources", "a resource type goes with resources").WithFix(`send names, or "*"`)
	case len(v.Resources) > maxCollectionPatterns:
		return out, tidewaiter.Invalid("resources", "there are more than %d resources", maxCollectionPatterns)
	case v.CheckBaseLayer && v.ResourceType != "image":
		return out, tidewaiter.Invalid("checkBaseLayer", "it goes with the resource type image")
	}
	for _, name := range v.Resources {
		if len(name) > maxPattern {
			return out, tidewaiter.Invalid("resources", "a name is longer than %d characters", maxPattern)
		}
	}
	return out, nil
}

// postTag makes a tag.
func (s *server) postTag(w http.ResponseWriter, r *http.Request) error {
	var sent tag
	if err := decodeBody(w, r, &sent); err != nil {
		return err
	}
	made, err := sent.domain()
	if err != nil {
		return err
	}
	return s.control.ChangeTags(r.Context(), made.Name, func(tags []policy.Tag) ([]policy.Tag, error) {
		if tagAt(tags, made.Name) >= 0 {
			return nil, tidewaiter.Errorf(tidewaiter.ErrConflict, "tag <%s> exists already", made.Name)
		}
		return append(tags, made), nil
	})
}

// putTag replaces what a tag is called and looks like. What carries it stays unless vulns is sent.
func (s *server) putTag(w http.ResponseWriter, r *http.Request) error {
	var sent tag
	if err := decodeBody(w, r, &sent); err != nil {
		return err
	}
	if sent.Name == "" {
		sent.Name = r.PathValue("id")
	}
	changed, err := sent.domain()
	if err != nil {
		return err
	}
	return s.onTag(r, func(tags []policy.Tag, i int) ([]policy.Tag, error) {
		if at := tagAt(tags, changed.Name); at >= 0 && at != i {
			return nil, tidewaiter.Errorf(tidewaiter.ErrConflict, "tag <%s> exists already", changed.Name)
		}
		if sent.Vulns == nil {
			changed.Marks = tags[i].Marks
		}
		tags[i] = changed
		return tags, nil
	})
}

func (s *server) deleteTag(_ http.ResponseWriter, r *http.Request) error {
	return s.onTag(r, func(tags []policy.Tag, i int) ([]policy.Tag, error) { return slices.Delete(tags, i, i+1), nil })
}

// postTagVuln puts the tag of the path on a vulnerability. The same vulnerability, package and kind of resource is said anew.
func (s *server) postTagVuln(w http.ResponseWriter, r *http.Request) error {
	mark, err := markOf(w, r)
	if err != nil {
		return err
	}
	return s.onTag(r, func(tags []policy.Tag, i int) ([]policy.Tag, error) {
		t := &tags[i]
		t.Marks = append(slices.DeleteFunc(t.Marks, func(m policy.Marked) bool {
			return m.Vulnerability == mark.Vulnerability && m.Package == mark.Package && m.Kind == mark.Kind && m.OnBase == mark.OnBase
		}), mark)
		return tags, nil
	})
}

// deleteTagVuln takes the tag off a vulnerability. Prisma: what is within the scope that is sent loses it, so without a
// package every package does.
func (s *server) deleteTagVuln(w http.ResponseWriter, r *http.Request) error {
	mark, err := markOf(w, r)
	if err != nil {
		return err
	}
	return s.onTag(r, func(tags []policy.Tag, i int) ([]policy.Tag, error) {
		t := &tags[i]
		n := len(t.Marks)
		t.Marks = slices.DeleteFunc(t.Marks, func(m policy.Marked) bool {
			return m.Vulnerability == mark.Vulnerability && (mark.Package == "" || mark.Package == "*" || m.Package == mark.Package) &&
				(mark.Kind == "" || m.Kind == mark.Kind)
		})
		if len(t.Marks) == n {
			return nil, tidewaiter.Errorf(tidewaiter.ErrNotFound, "%s does not carry the tag", mark.Vulnerability)
		}
		return tags, nil
	})
}

func markOf(w http.ResponseWriter, r *http.Request) (policy.Marked, error) {
	var sent tagVulns
	if err := decodeBody(w, r, &sent); err != nil {
		return policy.Marked{}, err
	}
	return sent.domain()
}

// onTag changes the tag of the path.
func (s *server) onTag(r *http.Request, change func(tags []policy.Tag, i int) ([]policy.Tag, error)) error {
	name := r.PathValue("id")
	return s.control.ChangeTags(r.Context(), name, func(tags []policy.Tag) ([]policy.Tag, error) {
		i := tagAt(tags, name)
		if i < 0 {
			return nil, plain(tidewaiter.ErrNotFound, "tag id not found")
		}
		return change(tags, i)
	})
}

func tagAt(tags []policy.Tag, name string) int {
	return slices.IndexFunc(tags, func(t policy.Tag) bool { return t.Name == name })
}
