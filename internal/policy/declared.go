package policy

import "github.com/tidewaiter/tidewaiter/internal/tidewaiter"

// Declared is what people declared about images and vulnerabilities beside the rules. The zero value declares nothing.
type Declared struct {
	Bases Bases
	Tags  Tags
}

// Apply fills in what of a result's findings is declared: whether they come from a base image, and their tags. It returns
// the base image under the image and how many layers are that one's. A finding comes from the base when every place its
// package is found at does.
func (d *Declared) Apply(r *tidewaiter.Result, names []string, findings []Finding) (layers int, base string) {
	if r.Image != nil {
		layers, base = d.Bases.Under(r.Image.Layers)
	}
	var above map[int64]bool // packages found in the image's own layers
	if layers > 0 && r.Content != nil {
		above = make(map[int64]bool, len(r.Content.Installed))
		for i := range r.Content.Installed {
			if in := &r.Content.Installed[i]; in.Package != nil && in.Layer >= layers {
				above[in.Package.ID] = true
			}
		}
	}
	tagged := len(d.Tags.byVulnerability) > 0
	for i := range findings {
		f := &findings[i]
		f.Base = layers > 0 && f.Package != nil && !above[f.Package.ID]
		if !tagged {
			continue
		}
		for _, note := range d.Tags.Of(f, names, base) {
			f.Tags = append(f.Tags, note.Tag.Name)
		}
	}
	return layers, base
}
