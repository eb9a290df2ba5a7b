package tidewaiter

import "time"

// Repository is a named set of tags on one host. It exists once, however many registries declare its host.
type Repository struct {
	ID   int64
	Host string
	Name string
}

// Tag is a name in a repository and the digest it points to.
type Tag struct {
	ID         int64
	Repository Repository
	Name       string
	Digest     string    // as last listed or resolved; "" until then
	UpdatedAt  time.Time // by the registry's own account; zero when it does not say
	FirstSeen  time.Time
	LastSeen   time.Time
	ChangedAt  time.Time // when we saw it point somewhere else
	CheckedAt  time.Time // when the registry last said where it points
	GoneAt     time.Time // when a complete listing no longer showed it; zero while it is there

	// The last attempt to scan it, when that failed; the previous result stays beside it.
	ErrorKind ErrorKind
	Error     string
	ErrorAt   time.Time
}

// Reference returns the full image name: host/repository:tag.
func (t *Tag) Reference() string { return t.Repository.Host + "/" + t.Repository.Name + ":" + t.Name }

// TagMove is one entry of a tag's history: what it pointed to, and from when to when.
type TagMove struct {
	Digest string
	From   time.Time
	To     time.Time // zero while it still does
}
