package emulator

import (
	"slices"
	"sort"
	"time"
)

// view is a repository's tags at one moment, newest first.
type view struct {
	f     *fleet
	repo  int
	moved []tag // changed since the fleet was made, newest first
	gone  []int // numbers of the original tags that were changed or deleted, falling
	total int
}

func (f *fleet) view(repo int) view {
	f.mu.RLock()
	defer f.mu.RUnlock()
	v := view{f: f, repo: repo}
	for number, c := range f.changes[repo] {
		if number < f.o.Tags {
			v.gone = append(v.gone, number)
		}
		if !c.deleted {
			v.moved = append(v.moved, tag{name: c.name, number: number, key: key{repo, number, c.revision}, pushed: c.at})
		}
	}
	slices.SortFunc(v.gone, func(a, b int) int { return b - a })
	slices.SortFunc(v.moved, func(a, b tag) int {
		if c := b.pushed.Compare(a.pushed); c != 0 {
			return c
		}
		return compare(a.name, b.name)
	})
	v.total = f.o.Tags - len(v.gone) + len(v.moved)
	return v
}

// at returns the tag at a position, 0 being the newest.
func (v view) at(position int) tag {
	if position < len(v.moved) {
		return v.moved[position]
	}
	number := v.f.o.Tags - 1 - (position - len(v.moved))
	for _, g := range v.gone {
		if g >= number {
			number--
		}
	}
	return v.f.original(v.repo, number)
}

// newest returns tags from an offset on, newest first.
func (v view) newest(offset, limit int) []tag {
	var list []tag
	for p := max(offset, 0); p < v.total && len(list) < limit; p++ {
		list = append(list, v.at(p))
	}
	return list
}

// oldest is newest in the other direction.
func (v view) oldest(offset, limit int) []tag {
	var list []tag
	for p := max(offset, 0); p < v.total && len(list) < limit; p++ {
		list = append(list, v.at(v.total-1-p))
	}
	return list
}

// byName returns up to limit tags whose names come after a name, in the order of names, and whether more follow.
func (v view) byName(after string, limit int) ([]tag, bool) {
	extra := slices.DeleteFunc(slices.Clone(v.moved), func(t tag) bool { return t.name <= after })
	slices.SortFunc(extra, func(a, b tag) int { return compare(a.name, b.name) })
	n := v.f.o.Tags
	number := sort.Search(n, func(i int) bool { return v.f.tagName(i) > after })
	var list []tag
	for {
		for number < n && slices.Contains(v.gone, number) {
			number++
		}
		if number >= n && len(extra) == 0 {
			return list, false
		}
		if len(list) >= limit {
			return list, true
		}
		if len(extra) > 0 && (number >= n || extra[0].name < v.f.tagName(number)) {
			list, extra = append(list, extra[0]), extra[1:]
			continue
		}
		list = append(list, v.f.original(v.repo, number))
		number++
	}
}

// find returns a tag by its name.
func (v view) find(name string) (tag, bool) {
	for _, t := range v.moved {
		if t.name == name {
			return t, true
		}
	}
	number := sort.Search(v.f.o.Tags, func(i int) bool { return v.f.tagName(i) >= name })
	if number >= v.f.o.Tags || v.f.tagName(number) != name || slices.Contains(v.gone, number) {
		return tag{}, false
	}
	return v.f.original(v.repo, number), true
}

// entry is a manifest with the tags that point to it.
type entry struct {
	*object
	tags   []string
	pushed time.Time
}

// shared returns the position of "latest" when it and the tag after it point to one manifest; -1 otherwise.
func (v view) shared() int {
	p := len(v.moved)
	if p+1 < v.total && v.at(p).key == v.at(p+1).key {
		return p
	}
	return -1
}

// manifests is how many distinct manifests the tags point to.
func (v view) manifests() int {
	if v.shared() >= 0 {
		return v.total - 1
	}
	return v.total
}

// manifest returns the entry at a position among the distinct manifests, newest first, without reading its content.
func (v view) manifest(position int) (key, entry) {
	s := v.shared()
	if s >= 0 && position > s {
		position++
	}
	t := v.at(position)
	e := entry{tags: []string{t.name}, pushed: t.pushed}
	if position == s {
		e.tags = append(e.tags, v.at(position+1).name)
	}
	return t.key, e
}

// entries lists manifests from an offset on, newest first, each followed by its untagged children where children says
// so, and whether more follow. order maps positions; nil leaves them.
func (v view) entries(offset, limit int, children bool, order func(int) int) ([]entry, bool) {
	var list []entry
	total := v.manifests()
	for p := range total {
		at := p
		if order != nil {
			at = order(p)
		}
		k, e := v.manifest(at)
		size := 1
		if children {
			size += v.f.children(k)
		}
		if offset >= size {
			offset -= size
			continue
		}
		e.object = v.f.object(k)
		group := []entry{e}
		if children {
			group = withChildren(e)
		}
		for _, g := range group[offset:] {
			if len(list) == limit {
				return list, true
			}
			list = append(list, g)
		}
		offset = 0
		if len(list) == limit {
			return list, p+1 < total
		}
	}
	return list, false
}

// count is how many entries there are.
func (v view) count(children bool) int {
	total := v.manifests()
	if !children {
		return total
	}
	for p := range v.manifests() {
		k, _ := v.manifest(p)
		total += v.f.children(k)
	}
	return total
}

// position is where a tag stands, 0 being the newest.
func (v view) position(t tag) int {
	for i, m := range v.moved {
		if m.number == t.number {
			return i
		}
	}
	position := len(v.moved) + v.f.o.Tags - 1 - t.number
	for _, g := range v.gone {
		if g > t.number {
			position--
		}
	}
	return position
}
