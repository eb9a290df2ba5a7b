package policy

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"slices"
	"strings"
	"time"

	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// BaseImage declares that images of some names are what others are built on. Prisma: a rule of "registry/repository:tag".
type BaseImage struct {
	Pattern     string  `json:"pattern"` // as MatchPattern reads it, against host/repository:tag and repository:tag
	Description string  `json:"description,omitempty"`
	Images      []Stack `json:"images,omitempty"` // those seen so far, newest first, at most MaxStacks
}

// MaxBaseImages is how many patterns may be declared.
const MaxBaseImages = 1000

// Takes reports whether an image with these names is a base image by this declaration.
func (b *BaseImage) Takes(names []string) bool { return matchesName(b.Pattern, names) }

// Name returns the first of the names the declaration takes; "" when it takes none.
func (b *BaseImage) Name(names []string) string {
	for _, name := range names {
		if b.Takes([]string{name}) {
			return name
		}
	}
	return ""
}

// Stack is a base image that was seen, told by its layers. It stays known when its name moves on to newer layers.
type Stack struct {
	Name      string    `json:"name"`  // host/repository:tag
	Chain     string    `json:"chain"` // ChainOf its layers
	TopLayer  string    `json:"topLayer"`
	CreatedAt time.Time `json:"createdAt"`
}

// MaxStacks is how many base images a declaration keeps, the newest. Prisma: "capped to 50 image digests per scope".
const MaxStacks = 50

// StackOf describes an image as a base.
func StackOf(name string, image *tidewaiter.Image) Stack {
	s := Stack{Name: name, Chain: ChainOf(image.Layers), CreatedAt: image.CreatedAt.UTC()}
	if n := len(image.Layers); n > 0 {
		s.TopLayer = image.Layers[n-1].DiffID
	}
	return s
}

// Keep adds a stack unless one of the same layers is there, and reports whether the declaration changed.
func (b *BaseImage) Keep(s Stack) bool {
	if slices.ContainsFunc(b.Images, func(have Stack) bool { return have.Chain == s.Chain }) {
		return false
	}
	b.Images = append(b.Images, s)
	slices.SortStableFunc(b.Images, func(a, b Stack) int {
		return cmp.Or(b.CreatedAt.Compare(a.CreatedAt), strings.Compare(a.Name, b.Name))
	})
	b.Images = b.Images[:min(len(b.Images), MaxStacks)]
	return slices.ContainsFunc(b.Images, func(have Stack) bool { return have.Chain == s.Chain })
}

// chain identifies a stack of layers from the bottom up to one of them.
type chain [sha256.Size]byte

func (c chain) add(diffID string) chain { return sha256.Sum256(append(c[:], diffID...)) }

// ChainOf identifies a stack of layers, bottom first, by their content.
func ChainOf(layers []tidewaiter.LayerRef) string {
	var c chain
	for i := range layers {
		c = c.add(layers[i].DiffID)
	}
	return hex.EncodeToString(c[:])
}

// Bases finds the base image under an image by its lowest layers.
type Bases struct{ byChain map[chain]string }

// NewBases makes an index of the base images of declarations. Of two names for the same layers the first in the alphabet
// stands.
func NewBases(declared []BaseImage) Bases {
	b := Bases{byChain: map[chain]string{}}
	for i := range declared {
		for _, s := range declared[i].Images {
			var c chain
			if n, err := hex.Decode(c[:], []byte(s.Chain)); err != nil || n != len(c) || s.TopLayer == "" {
				continue
			}
			if old, known := b.byChain[c]; !known || s.Name < old {
				b.byChain[c] = s.Name
			}
		}
	}
	return b
}

// Under returns how many of an image's layers, from the bottom, are a base image's, and that image's name. The largest base
// counts. An image is not its own base: at least one layer is its own.
func (b *Bases) Under(layers []tidewaiter.LayerRef) (count int, name string) {
	if len(b.byChain) == 0 {
		return 0, ""
	}
	var c chain
	for i := range len(layers) - 1 {
		c = c.add(layers[i].DiffID)
		if known, ok := b.byChain[c]; ok {
			count, name = i+1, known
		}
	}
	return count, name
}

// ParseBaseImages reads the stored form of declarations, which is JSON; "" is none.
func ParseBaseImages(stored string) ([]BaseImage, error) {
	return parseStored[BaseImage](stored, "base images")
}

func parseStored[T any](stored, what string) (list []T, err error) {
	if stored == "" {
		return nil, nil
	}
	if err := json.Unmarshal([]byte(stored), &list); err != nil {
		return nil, tidewaiter.Errorf(tidewaiter.ErrMalformed, "stored %s: %w", what, err)
	}
	return list, nil
}
