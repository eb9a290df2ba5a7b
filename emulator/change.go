package emulator

import (
	"fmt"
	"time"
)

// Repositories returns the names of all repositories as the kind's registry API wants them after /v2/, in order.
func (e *Emulator) Repositories() []string {
	names := make([]string, e.o.Repositories)
	for i := range names {
		names[i] = e.registryName(i)
	}
	return names
}

// Tags returns how many tags a repository has now; 0 for an unknown one.
func (e *Emulator) Tags(repository string) int {
	repo, ok := e.findName(repository)
	if !ok {
		return 0
	}
	return e.fleet.view(repo).total
}

// Digest returns where a tag points now, "" for an unknown one.
func (e *Emulator) Digest(repository, name string) string {
	repo, ok := e.findName(repository)
	if !ok {
		return ""
	}
	t, ok := e.fleet.view(repo).find(name)
	if !ok {
		return ""
	}
	return e.fleet.object(t.key).digest
}

// Move pushes new content under a tag, which is made if it is not there, and returns the digest it points to now.
func (e *Emulator) Move(repository, name string) (string, error) {
	return e.alter(repository, name, false)
}

// Delete removes a tag.
func (e *Emulator) Delete(repository, name string) error {
	_, err := e.alter(repository, name, true)
	return err
}

func (e *Emulator) alter(repository, name string, deleted bool) (string, error) {
	repo, ok := e.findName(repository)
	if !ok {
		return "", fmt.Errorf("change %s:%s: no such repository", repository, name)
	}
	f := e.fleet
	t, known := f.view(repo).find(name)
	if deleted && !known {
		return "", fmt.Errorf("delete %s:%s: no such tag", repository, name)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	changes := f.changes[repo]
	if changes == nil {
		changes = map[int]change{}
		f.changes[repo] = changes
	}
	number := t.number
	if !known {
		number = f.free(changes, name)
	}
	at := e.now().UTC()
	if at.Before(f.o.Newest) { // what is pushed last is the newest, whatever the clock says
		at = f.o.Newest.Add(time.Second)
	}
	changes[number] = change{name: name, revision: changes[number].revision + 1, deleted: deleted, at: at}
	f.log = append(f.log, repo)
	close(f.changed)
	f.changed = make(chan struct{})
	return f.object(key{repo, number, changes[number].revision}).digest, nil
}

// free returns the number a tag of this name had before it was deleted, or a new one.
func (f *fleet) free(changes map[int]change, name string) int {
	next := f.o.Tags
	for number, c := range changes {
		if c.name == name {
			return number
		}
		next = max(next, number+1)
	}
	return next
}
