package auth

import (
	"container/list"
	"sync"
	"time"
)

const (
	rememberFor = time.Minute
	maxVerified = 1024 // credentials remembered
)

// verified remembers for a moment which credentials were right, so that a client that sends its password with every
// request does not cost a hash each time. It holds fingerprints only: of the credential, and of the stored password it
// was right for, so that another password ends it.
type verified struct {
	mu      sync.Mutex
	max     int
	entries map[digest]*list.Element
	oldest  *list.List // of *remembered, the oldest first
}

type remembered struct {
	id   digest
	mark [32]byte
	at   time.Time
}

func newVerified(max int) *verified {
	return &verified{max: max, entries: make(map[digest]*list.Element), oldest: list.New()}
}

func (v *verified) get(id digest, now time.Time) (mark [32]byte, ok bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	e := v.entries[id]
	if e == nil {
		return mark, false
	}
	r := rememberedOf(e)
	if age := now.Sub(r.at); age < 0 || age >= rememberFor {
		v.remove(e)
		return mark, false
	}
	return r.mark, true
}

func (v *verified) put(id digest, mark [32]byte, now time.Time) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if e := v.entries[id]; e != nil {
		v.remove(e)
	}
	if len(v.entries) >= v.max {
		v.remove(v.oldest.Front())
	}
	v.entries[id] = v.oldest.PushBack(&remembered{id: id, mark: mark, at: now})
}

func (v *verified) forget(id digest) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if e := v.entries[id]; e != nil {
		v.remove(e)
	}
}

func (v *verified) remove(e *list.Element) {
	v.oldest.Remove(e)
	delete(v.entries, rememberedOf(e).id)
}

func rememberedOf(e *list.Element) *remembered {
	return e.Value.(*remembered) //nolint:forcetypeassert // the list holds nothing else
}
