package emulator

import (
	"container/heap"
	"sort"
	"time"
)

// row is an entry of a listing that spans repositories.
type row struct {
	entry
	repo int
}

// rows lists the manifests of the repositories from..to one repository after the other, each newest first, from a place
// on. It returns the place the next page begins at, and whether there is one.
func (f *fleet) rows(from, to int, at place, limit int, children bool) ([]row, place, bool) {
	var list []row
	for repo := max(from, at.repo); repo < to; repo++ {
		offset := 0
		if repo == at.repo {
			offset = at.offset
		}
		page, more := f.view(repo).entries(offset, limit-len(list), children, nil)
		for _, e := range page {
			list = append(list, row{e, repo})
		}
		if more {
			return list, place{repo, offset + len(page)}, true
		}
		if len(list) == limit {
			return list, place{repo + 1, 0}, repo+1 < to
		}
	}
	return list, place{}, false
}

// place is where a page begins.
type place struct{ repo, offset int }

// stream is one repository's manifests in the order of time, as a part of a merge.
type stream struct {
	v      view
	repo   int
	next   int // position among its manifests in that order
	total  int
	rising bool
}

func (s *stream) position() int {
	if s.rising {
		return s.total - 1 - s.next
	}
	return s.next
}

func (s *stream) time() time.Time {
	_, e := s.v.manifest(s.position())
	return e.pushed
}

// merge puts streams in the order of time. It is a heap.
type merge struct {
	streams []*stream
	times   []time.Time
	rising  bool
}

// Len is the number of streams left.
func (m *merge) Len() int { return len(m.streams) }

// Less puts the stream whose next manifest is first at the top; equal times go by repository.
func (m *merge) Less(i, j int) bool {
	if c := m.times[i].Compare(m.times[j]); c != 0 {
		return (c < 0) == m.rising
	}
	return m.streams[i].repo < m.streams[j].repo
}

// Swap exchanges two streams.
func (m *merge) Swap(i, j int) {
	m.streams[i], m.streams[j] = m.streams[j], m.streams[i]
	m.times[i], m.times[j] = m.times[j], m.times[i]
}

// Push is needed by the interface; streams are given at the start.
func (m *merge) Push(any) {}

// Pop drops the last stream.
func (m *merge) Pop() any {
	last := m.streams[len(m.streams)-1]
	m.streams, m.times = m.streams[:len(m.streams)-1], m.times[:len(m.times)-1]
	return last
}

// span limits a listing by time; a zero end is open. Both ends are included.
type span struct{ from, to time.Time }

// holds reports whether a moment is in it.
func (s span) holds(t time.Time) bool {
	return (s.from.IsZero() || !t.Before(s.from)) && (s.to.IsZero() || !t.After(s.to))
}

// byTime yields the manifests of the repositories from..to in the order of time until yield returns false. Content is
// not made: yield asks for what it needs.
func (f *fleet) byTime(from, to int, rising bool, s span, yield func(repo int, k key, e entry) bool) {
	m := &merge{rising: rising}
	for repo := from; repo < to; repo++ {
		v := f.view(repo)
		st := &stream{v: v, repo: repo, total: v.manifests(), rising: rising}
		st.next = sort.Search(st.total, func(i int) bool {
			probe := stream{v: v, next: i, total: st.total, rising: rising}
			if rising {
				return s.from.IsZero() || !probe.time().Before(s.from)
			}
			return s.to.IsZero() || !probe.time().After(s.to)
		})
		if st.next < st.total {
			m.streams, m.times = append(m.streams, st), append(m.times, st.time())
		}
	}
	heap.Init(m)
	for len(m.streams) > 0 {
		top := m.streams[0]
		k, e := top.v.manifest(top.position())
		if !s.holds(e.pushed) { // in this order nothing of the stream can be in the span any more
			heap.Pop(m)
			continue
		}
		if !yield(top.repo, k, e) {
			return
		}
		if top.next++; top.next >= top.total {
			heap.Pop(m)
			continue
		}
		m.times[0] = top.time()
		heap.Fix(m, 0)
	}
}

// timePage is a page of the manifests of several repositories in the order of time, each as the lines expand makes of it.
// The token says how many came before
// and when the last of them was pushed, so that a page costs the same wherever it is.
func (e *Emulator) timePage(from, to int, rising bool, expand func(entry) []entry, token string, size int) ([]row, string, bool) {
	at, ok := e.place(token)
	if !ok {
		return nil, "", false
	}
	s := span{}
	if token != "" {
		start := time.Unix(0, int64(at.repo))
		if s.to = start; rising {
			s = span{from: start}
		}
	}
	var list []row
	more, same, last := false, 0, time.Time{}
	e.fleet.byTime(from, to, rising, s, func(repo int, k key, x entry) bool {
		x.object = e.fleet.object(k)
		if !x.pushed.Equal(last) {
			if len(list) >= size {
				more = true
				return false
			}
			last, same = x.pushed, 0
		}
		for _, g := range expand(x) {
			if token != "" && x.pushed.UnixNano() == int64(at.repo) && same < at.offset {
				same++
				continue
			}
			if len(list) >= size {
				more = true
				return false
			}
			same++
			list = append(list, row{g, repo})
		}
		return true
	})
	if !more {
		return list, "", true
	}
	return list, e.placeToken(place{int(last.UnixNano()), same}), true
}

// withChildren is a manifest and, where it is an index, its untagged members, which were pushed just before it.
func withChildren(x entry) []entry {
	group := []entry{x}
	for _, c := range x.children {
		group = append(group, entry{object: c, pushed: x.pushed.Add(-time.Second)})
	}
	return group
}

// byTag is a line for each tag.
func byTag(x entry) []entry {
	var group []entry
	for _, t := range x.tags {
		group = append(group, entry{object: x.object, tags: []string{t}, pushed: x.pushed})
	}
	return group
}
