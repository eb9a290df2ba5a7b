package tidewaiter

import (
	"regexp"
	"slices"
	"strings"
	"time"
)

// Scope says which repositories and tags of a registry count. The zero Scope means every image of every repository.
type Scope struct {
	Select              []Selector `json:"select,omitempty"` // a tag is in when any selector takes it; none takes all
	ExcludeRepositories []string   `json:"excludeRepositories,omitempty"`
	ExcludeTags         []string   `json:"excludeTags,omitempty"`
	Newest              int        `json:"newest,omitempty"` // per repository, most recently modified first; 0 is all
	VersionPattern      string     `json:"versionPattern,omitempty"`
	MaxAgeDays          int        `json:"maxAgeDays,omitempty"` // 0 is any age
	Platforms           []Platform `json:"platforms,omitempty"`  // out of an index; none takes linux/amd64, else the first
}

// Selector takes the tags of some repositories. Both are patterns as MatchPattern reads them.
type Selector struct {
	Repository string   `json:"repository,omitempty"`
	Tags       []string `json:"tags,omitempty"` // none takes all
}

// Validate reports the first thing wrong with the scope as an ErrInvalid.
func (s *Scope) Validate() error {
	if s.Newest < 0 {
		return Invalid("scope.newest", "the number of newest images must not be negative").WithFix("0 means all")
	}
	if s.MaxAgeDays < 0 {
		return Invalid("scope.maxAgeDays", "the age in days must not be negative").WithFix("0 means any age")
	}
	for _, list := range [][]string{s.ExcludeRepositories, s.ExcludeTags} {
		for _, p := range list {
			if len(p) > 512 {
				return Invalid("scope.exclude", "a pattern is longer than 512 characters")
			}
		}
	}
	_, err := ParseVersionPattern(s.VersionPattern)
	return err
}

// Named returns the repositories the scope names one by one. ok is false when a pattern or the absence of selectors
// means that the registry's own list has to be read.
func (s *Scope) Named() (names []string, ok bool) {
	for _, sel := range s.Select {
		if IsPattern(sel.Repository) {
			return nil, false
		}
		if !slices.Contains(names, sel.Repository) {
			names = append(names, sel.Repository)
		}
	}
	return names, len(names) > 0
}

// NeedsTimes reports whether choosing among tags takes the time each was last modified.
func (s *Scope) NeedsTimes() bool {
	return s.MaxAgeDays > 0 || s.Newest > 0 && s.VersionPattern == ""
}

// Reason says why a repository or tag is in or out.
type Reason string

// The reasons.
const (
	ReasonSelected           Reason = "selected"
	ReasonRepositoryPattern  Reason = "repository_pattern"  // no selector takes the repository
	ReasonRepositoryExcluded Reason = "repository_excluded" // an exclusion does
	ReasonTagPattern         Reason = "tag_pattern"
	ReasonTagExcluded        Reason = "tag_excluded"
	ReasonVersionPattern     Reason = "version_pattern" // the name does not conform
	ReasonTooOld             Reason = "too_old"
	ReasonNotNewest          Reason = "not_newest" // beyond the newest N
	ReasonNotAnImage         Reason = "not_an_image"
	ReasonPlatform           Reason = "platform" // no image for a platform in scope
)

// Decision is the answer to "why was this (not) scanned?".
type Decision struct {
	Included bool   `json:"included"`
	Reason   Reason `json:"reason"`
	Detail   string `json:"detail,omitempty"` // the pattern or limit that decided
}

func out(r Reason, detail string) Decision { return Decision{Reason: r, Detail: detail} }

// Repository decides on a repository by its name.
func (s *Scope) Repository(name string) Decision {
	if len(s.Select) > 0 && !slices.ContainsFunc(s.Select, func(sel Selector) bool { return MatchPattern(sel.Repository, name) }) {
		return out(ReasonRepositoryPattern, s.Select[0].Repository)
	}
	for _, p := range s.ExcludeRepositories {
		if p != "" && MatchPattern(p, name) {
			return out(ReasonRepositoryExcluded, p)
		}
	}
	return Decision{Included: true, Reason: ReasonSelected}
}

// tag decides on a tag by its name alone.
func (s *Scope) tag(repository, name string) Decision {
	if signatureTag.MatchString(name) {
		return out(ReasonNotAnImage, "the name of a signature, attestation or SBOM")
	}
	if len(s.Select) > 0 {
		var wanted []string
		in := slices.ContainsFunc(s.Select, func(sel Selector) bool {
			if !MatchPattern(sel.Repository, repository) {
				return false
			}
			wanted = append(wanted, sel.Tags...)
			return len(sel.Tags) == 0 || slices.ContainsFunc(sel.Tags, func(p string) bool { return MatchPattern(p, name) })
		})
		if !in {
			return out(ReasonTagPattern, strings.Join(wanted, ","))
		}
	}
	for _, p := range s.ExcludeTags {
		if p != "" && MatchPattern(p, name) {
			return out(ReasonTagExcluded, p)
		}
	}
	return Decision{Included: true, Reason: ReasonSelected}
}

// signatureTag matches the tags cosign and the OCI referrers fallback use for what belongs to an image but is none.
var signatureTag = regexp.MustCompile(`^sha256-[0-9a-f]{64}(\.(sig|att|sbom))?$`)

// ListedTag is a tag as a listing shows it. Digest and UpdatedAt are zero where the registry's listing does not say.
type ListedTag struct {
	Name      string
	Digest    string
	UpdatedAt time.Time
	MediaType string
	Size      int64
	// Unchecked says that the listing did not tell where the tag points and that it was not asked for it this time: Digest is
	// what was known before, and counts for less than what anybody has learnt since.
	Unchecked bool
}

// Tags decides on the tags of one repository. It wants all of them at once when the scope asks for the newest; the
// decisions are in the order of tags. A tag whose time is unknown counts as oldest among the newest, and as young enough.
func (s *Scope) Tags(repository string, tags []ListedTag, now time.Time) []Decision {
	decisions := make([]Decision, len(tags))
	pattern, err := ParseVersionPattern(s.VersionPattern)
	if err != nil {
		pattern = nil
	}
	keys := make([]VersionKey, len(tags))
	var in []int
	for i, t := range tags {
		d := s.tag(repository, t.Name)
		if d.Included && pattern != nil {
			var ok bool
			if keys[i], ok = pattern.Key(t.Name); !ok {
				d = out(ReasonVersionPattern, s.VersionPattern)
			}
		}
		if d.Included && s.MaxAgeDays > 0 && !t.UpdatedAt.IsZero() && now.Sub(t.UpdatedAt) > time.Duration(s.MaxAgeDays)*24*time.Hour {
			d = out(ReasonTooOld, "older than "+plural(s.MaxAgeDays, "day"))
		}
		decisions[i] = d
		if d.Included {
			in = append(in, i)
		}
	}
	if s.Newest == 0 || len(in) <= s.Newest {
		return decisions
	}
	slices.SortStableFunc(in, func(a, b int) int {
		if pattern != nil {
			if c := keys[b].Compare(keys[a]); c != 0 {
				return c
			}
		}
		if c := tags[b].UpdatedAt.Compare(tags[a].UpdatedAt); c != 0 {
			return c
		}
		return strings.Compare(tags[b].Name, tags[a].Name)
	})
	for _, i := range in[s.Newest:] {
		decisions[i] = out(ReasonNotNewest, "not among the newest "+plural(s.Newest, "tag"))
	}
	return decisions
}
