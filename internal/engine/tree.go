package engine

import (
	"maps"
	"slices"
	"strings"

	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// tree is an image's file system as far as analyses tell of it: files that declare packages or have set-id bits.
type tree struct {
	children map[string]*tree
	entry    *entry
}

// entry is what one file declares, and what the same file declared in the layers below that it replaced.
type entry struct {
	layer       int
	inventories []*tidewaiter.Inventory
	setID       *tidewaiter.SetIDFile
	below       *entry // nil also when the file was removed in between
}

// at returns the node of a path, made when it is missing. A lower layer's file on the way is a directory now.
func (t *tree) at(path string, layer int) *tree {
	for name := range strings.SplitSeq(path, "/") {
		if name == "" {
			continue
		}
		if t.entry != nil && t.entry.layer != layer {
			t.entry, t.children = nil, nil
		}
		if t.children == nil {
			t.children = map[string]*tree{}
		}
		child := t.children[name]
		if child == nil {
			child = &tree{}
			t.children[name] = child
		}
		t = child
	}
	return t
}

// put returns the entry of a file for a layer to fill in. The first time in a layer it replaces what lower layers had
// there: the file, or a directory with all in it.
func (t *tree) put(path string, layer int) *entry {
	n := t.at(path, layer)
	if n.entry == nil || n.entry.layer != layer {
		n.entry = &entry{layer: layer, below: n.entry}
		n.children = nil
	}
	return n.entry
}

// remove takes a path and all under it away.
func (t *tree) remove(path string) {
	dir, name, _ := cutLast(strings.Trim(path, "/"))
	if name == "" {
		return
	}
	if parent := t.find(dir); parent != nil {
		delete(parent.children, name)
	}
}

// empty takes all under a path away, and the file it may have been.
func (t *tree) empty(path string) {
	if n := t.find(strings.Trim(path, "/")); n != nil {
		n.children, n.entry = nil, nil
	}
}

func (t *tree) find(path string) *tree {
	for name := range strings.SplitSeq(path, "/") {
		if name == "" {
			continue
		}
		if t = t.children[name]; t == nil {
			return nil
		}
	}
	return t
}

func cutLast(path string) (dir, name string, found bool) {
	if i := strings.LastIndexByte(path, '/'); i >= 0 {
		return path[:i], path[i+1:], true
	}
	return "", path, false
}

// walk visits the entries in the order of their paths.
func (t *tree) walk(visit func(*entry)) {
	if t.entry != nil {
		visit(t.entry)
	}
	for _, name := range slices.Sorted(maps.Keys(t.children)) {
		t.children[name].walk(visit)
	}
}
