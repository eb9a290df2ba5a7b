package emulator

import (
	"fmt"
	"slices"
	"sort"
	"strings"
	"sync"
	"time"
)

// Bounds of a fleet. Names keep their order only up to these.
const (
	maxRepositories = 99_999
	maxTags         = 8_000_000
	maxLayers       = 4096
)

// fleet is what the registry holds. Everything follows from the options and a number, so that nothing is stored but what
// was changed since, the layers, and a bounded memory of digests seen.
type fleet struct {
	o      Options
	nested bool // repository names may have more than two parts
	layers []layer
	block  int // repositories a namespace
	seen   digests

	mu      sync.RWMutex
	changes map[int]map[int]change // by repository and tag
	log     []int                  // the repositories that were changed, in order
	changed chan struct{}          // closed by the next change
}

// change is what happened to a tag after the fleet was made.
type change struct {
	name     string // of tags that were added
	revision int
	deleted  bool
	at       time.Time
}

func newFleet(o Options) (*fleet, error) {
	f := &fleet{o: o, changes: map[int]map[int]change{}, changed: make(chan struct{})}
	f.block = (o.Repositories + len(o.Namespaces) - 1) / len(o.Namespaces)
	f.nested = !slices.Contains([]Kind{DockerHub, Quay, OpenShift, DTR}, o.Kind)
	var err error
	f.layers, err = makeLayers(o)
	return f, err
}

// namespaceOf returns the namespace of a repository.
func (f *fleet) namespaceOf(repo int) string { return f.o.Namespaces[repo/f.block] }

// short is a repository's name without its namespace. Names are in the order of their numbers.
func (f *fleet) short(repo int) string {
	if f.nested && repo%4 == 3 {
		return fmt.Sprintf("app-%05d/web", repo)
	}
	return fmt.Sprintf("app-%05d", repo)
}

func (f *fleet) name(repo int) string { return f.namespaceOf(repo) + "/" + f.short(repo) }

// find returns the repository of a name.
func (f *fleet) find(name string) (int, bool) {
	repo := sort.Search(f.o.Repositories, func(i int) bool { return f.name(i) >= name })
	return repo, repo < f.o.Repositories && f.name(repo) == name
}

// in returns the numbers of the first repository of a namespace and of the one after its last; equal without such.
func (f *fleet) in(namespace string) (from, to int) {
	at := slices.Index(f.o.Namespaces, namespace)
	if at < 0 {
		return 0, 0
	}
	return min(at*f.block, f.o.Repositories), min((at+1)*f.block, f.o.Repositories)
}

// tag is where a tag points.
type tag struct {
	name   string
	number int
	key    key
	pushed time.Time
}

// key says which content a tag points to.
type key struct{ repo, number, revision int }

func (f *fleet) tagName(number int) string {
	if number == f.o.Tags-1 && number > 0 {
		return "latest"
	}
	return fmt.Sprintf("1.%d.%d", 1000+number/900, 100+number%900) // versions that sort like their numbers
}

func (f *fleet) original(repo, number int) tag {
	source := number
	if number == f.o.Tags-1 && number > 0 {
		source = number - 1
	}
	return tag{
		name: f.tagName(number), number: number, key: key{repo, source, 0},
		pushed: f.o.Newest.Add(-time.Duration(max(f.o.Tags-2, 0)-source)*f.o.Step - time.Duration(repo%60)*time.Second).UTC(),
	}
}

func compare(a, b string) int { return strings.Compare(a, b) }
