package store

import (
	"strings"
	"time"

	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// ImageWhere is a condition on images: exactly one of its fields is set. The zero ImageWhere holds for every image.
type ImageWhere struct {
	All []ImageWhere // all of these hold
	Any []ImageWhere // one of these holds; of none of them, when it is empty but not nil, none does
	Not *ImageWhere

	Name         *NameWhere            // the image has such a name
	Digests      []string              // of manifest or config
	DigestPrefix string                // of manifest or config, "sha256:" included
	Severities   []tidewaiter.Severity // at least one vulnerability has one of these
	States       []tidewaiter.ImageState
	Architecture string // in any case
	System       string // part of the distribution's name, in any case
	Created      *TimeRange
	Updated      *TimeRange
	Judged       *TimeRange // never for an image that was not judged yet
	Size         *[2]int64  // in bytes, both ends count
}

// NameWhere is a condition on one name of an image; what is zero does not restrict.
type NameWhere struct {
	RegistryIDs  []string
	Hosts        []string // as HostOf writes them
	Repositories []string // exactly
	Tags         []string // exactly
	// What the host, the repository's name and the tag look like, as MatchPattern reads it.
	HostPattern, RepositoryPattern, TagPattern string
}

// TimeRange is from From, which counts, to Before, which does not; a zero end is open. Nothing that has no time is in it.
type TimeRange struct {
	From, Before time.Time
}

// severityColumns count the vulnerabilities of an image by severity.
var severityColumns = map[tidewaiter.Severity]string{
	tidewaiter.SeverityCritical: "i.vuln_critical", tidewaiter.SeverityHigh: "i.vuln_high", tidewaiter.SeverityMedium: "i.vuln_medium",
	tidewaiter.SeverityLow: "i.vuln_low", tidewaiter.SeverityNegligible: "i.vuln_negligible", tidewaiter.SeverityUnknown: "i.vuln_unknown",
}

// sql writes the condition with its values bound.
func (w *ImageWhere) sql() (string, []any) {
	switch {
	case w.All != nil:
		return join(w.All, " and ", "1 = 1")
	case w.Any != nil:
		return join(w.Any, " or ", "1 = 0")
	case w.Not != nil:
		text, args := w.Not.sql()
		return "not (" + text + ")", args
	case w.Name != nil:
		of := w.Name.conditions()
		return "i.id in (select ti.image_id from tags t join tag_images ti on ti.tag_id = t.id where " + of.String() + ")", of.args
	case w.Created != nil:
		return w.Created.sql("i.created_at")
	case w.Updated != nil:
		return w.Updated.sql("i.updated_at")
	case w.Judged != nil:
		return w.Judged.sql("i.judged_at")
	}
	return w.column()
}

// column writes a condition on the image's own columns.
func (w *ImageWhere) column() (string, []any) {
	switch {
	case w.Digests != nil:
		return "(i.config_digest in (?) or i.digest in (?))", []any{list(w.Digests), list(w.Digests)}
	case w.DigestPrefix != "":
		from, to := text(w.DigestPrefix), text(w.DigestPrefix)+"~" // which sorts after every hexadecimal digit
		return "((i.config_digest >= ? and i.config_digest < ?) or (i.digest >= ? and i.digest < ?))", []any{from, to, from, to}
	case w.Severities != nil:
		var any []string
		for _, s := range w.Severities {
			any = append(any, severityColumns[s]+" > 0")
		}
		return "(" + strings.Join(append(any, "1 = 0"), " or ") + ")", nil
	case w.States != nil:
		return "i.state in (?)", []any{list(w.States)}
	case w.Architecture != "":
		return "lower(i.architecture) = ?", []any{strings.ToLower(text(w.Architecture))}
	case w.System != "":
		return `(lower(i.distro_name) like ? escape '\' or lower(i.distro_family || ' ' || i.distro_release) like ? escape '\')`,
			[]any{containing(w.System), containing(w.System)}
	case w.Size != nil:
		return "i.size between ? and ?", []any{w.Size[0], w.Size[1]}
	}
	return "1 = 1", nil
}

func join(parts []ImageWhere, word, none string) (string, []any) {
	if len(parts) == 0 {
		return none, nil
	}
	var (
		texts []string
		args  []any
	)
	for i := range parts {
		text, more := parts[i].sql()
		texts, args = append(texts, text), append(args, more...)
	}
	return "(" + strings.Join(texts, word) + ")", args
}

func (r *TimeRange) sql(column string) (string, []any) {
	c := &conditions{}
	c.add(column + " > 0")
	if !r.From.IsZero() {
		c.add(column+" >= ?", micros(r.From))
	}
	if !r.Before.IsZero() {
		c.add(column+" < ?", micros(r.Before))
	}
	return "(" + c.String() + ")", c.args
}

func (w *NameWhere) conditions() *conditions {
	c, repo := &conditions{}, &conditions{}
	c.add("t.gone_at = 0")
	if len(w.RegistryIDs) > 0 {
		c.add("t.id in (select rt.tag_id from registry_tags rt where rt.registry_id in (?))", list(w.RegistryIDs))
	}
	addIn(repo, "p.host", w.Hosts)
	addIn(repo, "p.name", w.Repositories)
	matching(repo, "p.host", w.HostPattern)
	matching(repo, "p.name", w.RepositoryPattern)
	if len(repo.sql) > 0 {
		c.add("t.repository_id in (select p.id from repositories p where "+repo.String()+")", repo.args...)
	}
	addIn(c, "t.name", w.Tags)
	matching(c, "t.name", w.TagPattern)
	return c
}

// matching restricts a column to a pattern as MatchPattern reads it; an empty one does not restrict.
func matching(c *conditions, column, pattern string) {
	if strings.Trim(pattern, "*") == "" {
		return
	}
	var pieces []string
	for piece := range strings.SplitSeq(pattern, "*") {
		like := containing(piece)
		pieces = append(pieces, like[1:len(like)-1])
	}
	c.add("lower("+column+`) like ? escape '\'`, strings.Join(pieces, "%"))
}
