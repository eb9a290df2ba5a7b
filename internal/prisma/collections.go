package prisma

import (
	"context"
	"encoding/json"
	"hash/fnv"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/tidewaiter/tidewaiter/internal/control"
	"github.com/tidewaiter/tidewaiter/internal/policy"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// collection is Prisma's Collection. Images and labels decide, and hosts over who scans; the other lists are about what runs
// and only kept.
type collection struct {
	Hosts       []string  `json:"hosts"`
	Images      []string  `json:"images"`
	Labels      []string  `json:"labels"`
	Containers  []string  `json:"containers"`
	Functions   []string  `json:"functions"`
	Namespaces  []string  `json:"namespaces"`
	AppIDs      []string  `json:"appIDs"`
	AccountIDs  []string  `json:"accountIDs"`
	CodeRepos   []string  `json:"codeRepos"`
	Clusters    []string  `json:"clusters"`
	Name        string    `json:"name"`
	Owner       string    `json:"owner"`
	Modified    time.Time `json:"modified"`
	Color       string    `json:"color"`
	Description string    `json:"description"`
	System      bool      `json:"system"`
	Prisma      bool      `json:"prisma"`
}

// lists are the collection's lists of patterns.
func (c *collection) lists() []*[]string {
	return []*[]string{&c.Hosts, &c.Images, &c.Labels, &c.Containers, &c.Functions, &c.Namespaces, &c.AppIDs, &c.AccountIDs,
		&c.CodeRepos, &c.Clusters}
}

func (s *server) getCollections(w http.ResponseWriter, r *http.Request) error {
	q := queryOf(r.URL)
	known, err := s.collections(r.Context())
	if err != nil {
		return err
	}
	list := make([]collection, 0, len(known))
	for _, c := range known {
		shown, err := shownCollection(&c)
		if err != nil {
			return err
		}
		if want, ok := q.choice("system"); ok && want != shown.System {
			continue
		}
		if want, ok := q.choice("prisma"); ok && want != shown.Prisma {
			continue
		}
		list = append(list, shown)
	}
	slices.SortFunc(list, func(a, b collection) int { return strings.Compare(a.Name, b.Name) })
	return writeList(w, each(list))
}

// collections returns all collections by name, with those of a fresh installation.
func (s *server) collections(ctx context.Context) (map[string]tidewaiter.Collection, error) {
	stored, err := s.control.Collections(ctx)
	if err != nil {
		return nil, err
	}
	_, builtIn := policy.Defaults()
	out := make(map[string]tidewaiter.Collection, len(stored)+len(builtIn))
	for _, c := range builtIn {
		out[c.Name] = c
	}
	for _, c := range stored {
		out[c.Name] = *c
	}
	return out, nil
}

func (s *server) postCollection(w http.ResponseWriter, r *http.Request) error {
	var sent collection
	if err := decodeBody(w, r, &sent); err != nil {
		return err
	}
	known, err := s.collections(r.Context())
	if err != nil {
		return err
	}
	if _, exists := known[sent.Name]; exists {
		return tidewaiter.Errorf(tidewaiter.ErrConflict, "collection <%s> exists already", sent.Name)
	}
	return s.storeCollection(r.Context(), &sent)
}

// putCollection replaces a collection. Its name stays: rules refer to it.
func (s *server) putCollection(w http.ResponseWriter, r *http.Request) error {
	name := r.PathValue("id")
	var sent collection
	if err := decodeBody(w, r, &sent); err != nil {
		return err
	}
	if sent.Name != "" && sent.Name != name {
		return tidewaiter.Invalid("name", "a collection cannot be renamed").WithFix("create another one and delete this")
	}
	sent.Name = name
	if _, err := s.ownCollection(r.Context(), name); err != nil {
		return err
	}
	return s.storeCollection(r.Context(), &sent)
}

// ownCollection returns a collection that may be changed.
func (s *server) ownCollection(ctx context.Context, name string) (tidewaiter.Collection, error) {
	known, err := s.collections(ctx)
	if err != nil {
		return tidewaiter.Collection{}, err
	}
	c, ok := known[name]
	switch {
	case !ok:
		return c, plain(tidewaiter.ErrNotFound, "collection id not found")
	case c.System:
		return c, tidewaiter.Errorf(tidewaiter.ErrConflict, "collection %s is built in and cannot be changed", name)
	}
	return c, nil
}

func (s *server) storeCollection(ctx context.Context, c *collection) error {
	if err := c.complete(); err != nil {
		return err
	}
	c.Owner, c.Modified, c.System, c.Prisma = control.ActorFrom(ctx), s.now().UTC(), false, false
	declaration, err := json.Marshal(c)
	if err != nil {
		return err
	}
	return s.control.PutCollection(ctx, &tidewaiter.Collection{
		Name: c.Name, Description: c.Description, Color: c.Color, Images: c.Images, Labels: c.Labels, Hosts: hostsOf(c.Hosts), Owner: c.Owner,
		Modified: c.Modified, Declaration: declaration,
	})
}

// Limits of a collection. Prisma's changed between versions; these are the widest.
const (
	maxCollectionName        = 300
	maxCollectionDescription = 5000
	maxCollectionPatterns    = 10_000
)

var (
	collectionName  = regexp.MustCompile(`^[A-Za-z0-9_:-]+$`)
	collectionColor = regexp.MustCompile(`^#[0-9A-Fa-f]{6}$`)
)

// checkCollectionName holds Prisma's rule for names, in its words.
func checkCollectionName(name string) error {
	if !collectionName.MatchString(name) {
		return plain(tidewaiter.ErrInvalid, "<"+cut(name, maxCollectionName)+"> contains invalid characters, valid characters are A-Z a-z 0-9 _ - : ")
	}
	return nil
}

// complete checks the collection and fills in what was left out. Prisma: unspecified lists are ["*"], the color is random;
// ours: the color follows from the name.
func (c *collection) complete() error {
	switch {
	case c.Name == "":
		return tidewaiter.Invalid("name", "a collection needs a name")
	case len(c.Name) > maxCollectionName:
		return tidewaiter.Invalid("name", "the name is longer than %d characters", maxCollectionName)
	case len(c.Description) > maxCollectionDescription:
		return tidewaiter.Invalid("description", "the description is longer than %d characters", maxCollectionDescription)
	case c.Color != "" && !collectionColor.MatchString(c.Color):
		return tidewaiter.Invalid("color", "%q is not a color", cut(c.Color, 40)).WithFix("write it as #RRGGBB")
	}
	if err := checkCollectionName(c.Name); err != nil {
		return err
	}
	for _, list := range c.lists() {
		if len(*list) > maxCollectionPatterns {
			return tidewaiter.Invalid("images", "a list has at most %d patterns", maxCollectionPatterns)
		}
		for _, p := range *list {
			if len(p) > maxPattern {
				return tidewaiter.Invalid("images", "a pattern is longer than %d characters", maxPattern)
			}
		}
		if len(*list) == 0 {
			*list = []string{"*"}
		}
	}
	if c.Color == "" {
		h := fnv.New32a()
		_, _ = h.Write([]byte(c.Name))
		const digits = "0123456789ABCDEF"
		color := []byte("#000000")
		for i, n := 1, h.Sum32(); i < len(color); i, n = i+1, n>>4 {
			color[i] = digits[n&0xf]
		}
		c.Color = string(color)
	}
	return nil
}

// shownCollection shows a collection as it was sent; one that came from elsewhere is described.
func shownCollection(c *tidewaiter.Collection) (collection, error) {
	out := collection{}
	if len(c.Declaration) > 0 {
		if err := json.Unmarshal(c.Declaration, &out); err != nil {
			return out, tidewaiter.Errorf(tidewaiter.ErrBug, "declaration of collection %s: %w", c.Name, err)
		}
	} else {
		out.Images, out.Labels, out.Color, out.Description = c.Images, c.Labels, c.Color, c.Description
	}
	out.Name, out.Owner, out.System, out.Modified = c.Name, c.Owner, c.System, c.Modified.UTC()
	for _, list := range out.lists() {
		if len(*list) == 0 {
			*list = []string{"*"}
		}
	}
	return out, nil
}

// collectionUsage is Prisma's Usage.
type collectionUsage struct {
	Name string `json:"name"`
	Type string `json:"type"`
}

func (s *server) deleteCollection(_ http.ResponseWriter, r *http.Request) error {
	name := r.PathValue("id")
	if _, err := s.ownCollection(r.Context(), name); err != nil {
		return err
	}
	used, err := s.usagesOf(r.Context(), name)
	if err != nil {
		return err
	}
	if len(used) > 0 {
		return tidewaiter.Errorf(tidewaiter.ErrConflict, "collection <%s> is used by %s %s", name, used[0].Type, used[0].Name).
			WithFix("take it out there first")
	}
	return s.control.DeleteCollection(r.Context(), name)
}

func (s *server) getCollectionUsages(w http.ResponseWriter, r *http.Request) error {
	name := r.PathValue("id")
	known, err := s.collections(r.Context())
	if err != nil {
		return err
	}
	if _, ok := known[name]; !ok {
		return plain(tidewaiter.ErrInvalid, "collection id not found") // a real console answers 400 here
	}
	used, err := s.usagesOf(r.Context(), name)
	if err != nil {
		return err
	}
	return writeList(w, each(used))
}

// usagesOf returns the rules and registries that name a collection.
func (s *server) usagesOf(ctx context.Context, name string) ([]collectionUsage, error) {
	var out []collectionUsage
	for _, t := range []policyType{vulnerabilityPolicy, compliancePolicy, ciVulnerabilityPolicy, ciCompliancePolicy} {
		p, err := s.policy(ctx, t.kind)
		if err != nil {
			return nil, err
		}
		for i := range p.Rules {
			if slices.Contains(p.Rules[i].Collections, name) {
				out = append(out, collectionUsage{Name: p.Rules[i].Name, Type: "policy"})
			}
		}
	}
	registries, err := s.registries(ctx)
	if err != nil {
		return nil, err
	}
	for _, r := range registries {
		spec, err := specificationOf(r)
		if err != nil {
			return nil, err
		}
		if slices.Contains(spec.Collections, name) {
			out = append(out, collectionUsage{Name: usageOf(r), Type: "registryScan"})
		}
	}
	return out, nil
}
