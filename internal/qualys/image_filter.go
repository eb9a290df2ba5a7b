package qualys

import (
	"strconv"
	"strings"
	"time"

	"github.com/tidewaiter/tidewaiter/internal/control"
	"github.com/tidewaiter/tidewaiter/internal/qualys/qql"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// seen is an image with what its filter asks about.
type seen struct {
	*control.ImageRow
	uris map[string]string // URLs of registries by id
}

// imageTokens are the tokens of image filters.
var imageTokens = []qql.Field[seen]{
	{Name: "sha", ID: true, Clean: withoutAlgorithm, Texts: func(i seen) []string { return []string{shaOf(i.Image), withoutAlgorithm(i.Digest)} }},
	{Name: "imageId", ID: true, Clean: withoutAlgorithm, Texts: func(i seen) []string { return []string{imageIDOf(i.Image), shaOf(i.Image)} }},
	{Name: "uuid", ID: true, Texts: func(i seen) []string { return []string{uuidOf(i.Image)} }},
	{Name: "repo.registry", Clean: registryHost, Texts: func(i seen) []string { return ofTags(i, func(t *tidewaiter.Tag) string { return t.Repository.Host }) }},
	{Name: "repo.repository", Texts: seen.repositories},
	{Name: "repo.tag", Texts: func(i seen) []string { return ofTags(i, func(t *tidewaiter.Tag) string { return t.Name }) }},
	{Name: "registryUuid", ID: true, Texts: func(i seen) []string { return i.RegistryIDs }},
	{Name: "registryUri", Clean: trimSlash, Texts: seen.addresses},
	{Name: "operatingSystem", Texts: func(i seen) []string { return []string{operatingSystemOf(i.Image)} }},
	{Name: "architecture", ID: true, Texts: func(i seen) []string { return []string{i.Platform.Architecture} }},
	{Name: "scanStatus", ID: true, Texts: func(i seen) []string { return []string{scanStatus[i.State]} }},
	{Name: "source", ID: true, Texts: func(seen) []string { return []string{"REGISTRY"} }},
	{Name: "created", Times: func(i seen) time.Time { return i.CreatedAt }},
	{Name: "updated", Times: func(i seen) time.Time { return i.UpdatedAt }},
	{Name: "lastScanned", Times: func(i seen) time.Time { return judgedAt(i.Image) }},
	{Name: "lastVmScanDate", Times: func(i seen) time.Time { return judgedAt(i.Image) }},
	{Name: "size", Nums: func(i seen) []int64 { return []int64{i.Size} }},
	{Name: "vulnerabilities.severity", Nums: seen.severities},
	{Name: "imagesInUse", Times: func(seen) time.Time { return time.Time{} }}, // nothing runs here
}

// addresses returns how the registries of an image may be asked for: their URLs and hosts.
func (i seen) addresses() []string {
	var out []string
	for _, id := range i.RegistryIDs {
		if url := i.uris[id]; url != "" {
			out = append(out, url, tidewaiter.HostOf(url))
		}
	}
	return out
}

// severities returns the severities at least one finding of the image has.
func (i seen) severities() []int64 {
	var out []int64
	if i.Judgement == nil {
		return nil
	}
	for s, n := range severityCounts(i.Judgement.Vulnerabilities) {
		if n > 0 {
			out = append(out, int64(s))
		}
	}
	return out
}

// repositories returns the names of an image's repositories; Docker Hub's official ones go by their short names as well.
func (i seen) repositories() []string {
	out := ofTags(i, func(t *tidewaiter.Tag) string { return t.Repository.Name })
	for _, t := range i.Tags {
		if short, official := strings.CutPrefix(t.Repository.Name, "library/"); official && t.Repository.Host == "docker.io" {
			out = append(out, short)
		}
	}
	return out
}

func ofTags(i seen, part func(*tidewaiter.Tag) string) []string {
	out := make([]string, len(i.Tags))
	for n := range i.Tags {
		out[n] = part(&i.Tags[n])
	}
	return out
}

// registryHost turns how a registry is asked for into how image names begin.
func registryHost(s string) string {
	if strings.Contains(s, "*") {
		return s
	}
	return tidewaiter.HostOf(s)
}

// narrowed is what of a filter the store can do. exact reports that it is the whole filter.
type narrowed struct {
	control.ImageFilter
	exact  bool
	tagged bool // a condition on the image's names is set: see take
}

// narrow finds the parts of a filter that hold for every image it lets through and that the store has an index for.
func narrow(e qql.Expr) narrowed {
	n := narrowed{exact: true}
	parts, ok := e.(qql.And)
	if !ok {
		parts = qql.And{e}
	}
	for _, part := range parts {
		t, ok := part.(qql.Term)
		if !ok || !n.take(t) {
			n.exact = false
		}
	}
	return n
}

// take narrows by one term and reports whether that says all the term does. The store wants all it is told of names to hold
// for one name; the vendor's language asks for each on its own. So the second such term is not taken.
func (n *narrowed) take(t qql.Term) bool {
	token := strings.ToLower(t.Token)
	if token == "updated" && t.Range != nil && t.Range.From != nil {
		return n.since(t.Range)
	}
	if t.Range != nil || t.Null || len(t.Any) != 1 {
		return n.takeRegistries(token, t)
	}
	v := t.Any[0]
	wild := v.Quote == qql.Bare && strings.Contains(v.Text, "*")
	switch {
	case wild:
		return false
	case token == "registryuuid":
		return n.takeRegistries(token, t)
	case n.tagged:
		return false
	case token == "repo.repository" && v.Quote == qql.Backtick && strings.Contains(v.Text, "/"):
		n.Repository, n.tagged = v.Text, true
		return true
	case token == "repo.repository" && v.Quote == qql.Double, token == "repo.tag" && v.Quote == qql.Double:
		n.Search, n.tagged = v.Text, true
	case token == "repo.repository" && v.Quote == qql.Bare:
		if words := qql.Words(v.Text); len(words) > 0 {
			n.Search, n.tagged = words[0], true
		}
	case token == "repo.registry" && v.Quote != qql.Bare:
		n.Host, n.tagged = tidewaiter.HostOf(v.Text), true
		return true
	}
	return false
}

func (n *narrowed) takeRegistries(token string, t qql.Term) bool {
	if token != "registryuuid" || t.Range != nil || t.Null || n.tagged {
		return false
	}
	var ids []string
	for _, v := range t.Any {
		if strings.Contains(v.Text, "*") {
			return false
		}
		ids = append(ids, strings.ToLower(v.Text), v.Text)
	}
	n.RegistryIDs, n.tagged = ids, true
	return true
}

// since takes the lower end of a range of milliseconds.
func (n *narrowed) since(r *qql.Range) bool {
	ms, err := strconv.ParseInt(r.From.Text, 10, 64)
	if err != nil || ms < 0 || ms > 1<<45 || !n.UpdatedSince.IsZero() {
		return false
	}
	if r.FromOpen {
		ms++
	}
	n.UpdatedSince = time.UnixMilli(ms)
	return r.To == nil && len(r.From.Text) != 4
}
