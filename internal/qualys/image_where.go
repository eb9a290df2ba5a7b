package qualys

import (
	"context"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/tidewaiter/tidewaiter/internal/control"
	"github.com/tidewaiter/tidewaiter/internal/qualys/qql"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// narrowing is a filter as a condition the database carries out. It lets through all that the filter does; exact reports that it
// lets through nothing else. What is not exact is looked at once more, image by image.
type narrowing struct {
	where control.ImageWhere
	exact bool
}

var (
	everything = control.ImageWhere{}
	nothing    = control.ImageWhere{Any: []control.ImageWhere{}}
)

func exactly(w control.ImageWhere) narrowing { return narrowing{w, true} }
func roughly(w control.ImageWhere) narrowing { return narrowing{w, false} }

// narrow turns a filter that was compiled without an error into a condition.
func (s *server) narrow(ctx context.Context, e qql.Expr) (narrowing, error) {
	switch e := e.(type) {
	case qql.And:
		parts, exact, err := s.narrowAll(ctx, e)
		return narrowing{control.ImageWhere{All: parts}, exact}, err
	case qql.Or:
		parts, exact, err := s.narrowAll(ctx, e)
		return narrowing{control.ImageWhere{Any: parts}, exact}, err
	case qql.Not:
		n, err := s.narrow(ctx, e.Expr)
		if !n.exact { // more than it should: turned round it would be less
			return roughly(everything), err
		}
		return exactly(control.ImageWhere{Not: &n.where}), err
	case qql.Term:
		return s.narrowTerm(ctx, e)
	}
	return roughly(everything), nil
}

func (s *server) narrowAll(ctx context.Context, list []qql.Expr) ([]control.ImageWhere, bool, error) {
	parts, exact := make([]control.ImageWhere, len(list)), true
	for i, e := range list {
		n, err := s.narrow(ctx, e)
		if err != nil {
			return nil, false, err
		}
		parts[i], exact = n.where, exact && n.exact
	}
	return parts, exact, nil
}

// narrowTerm turns one comparison into a condition.
func (s *server) narrowTerm(ctx context.Context, t qql.Term) (narrowing, error) {
	i := slices.IndexFunc(imageTokens, func(f qql.Field[seen]) bool { return strings.EqualFold(f.Name, t.Token) })
	if i < 0 {
		return roughly(everything), nil
	}
	f := imageTokens[i]
	if f.Texts == nil {
		return s.narrowNumbers(f, t)
	}
	if t.Null {
		return narrowNull(f.Name), nil
	}
	out := narrowing{control.ImageWhere{Any: []control.ImageWhere{}}, true}
	for _, v := range t.Any {
		n, err := s.narrowText(ctx, f.Name, v)
		if err != nil {
			return n, err
		}
		out.where.Any, out.exact = append(out.where.Any, n.where), out.exact && n.exact
	}
	return out, nil
}

// narrowNull is for "is null". Most of what an image has, each has.
func narrowNull(token string) narrowing {
	switch token {
	case "scanStatus":
		return exactly(control.ImageWhere{States: []tidewaiter.ImageState{tidewaiter.ImageWaiting}})
	case "sha", "imageId", "uuid", "source":
		return exactly(nothing)
	}
	return roughly(everything)
}

// narrowNumbers is for comparisons of numbers and times.
func (s *server) narrowNumbers(f qql.Field[seen], t qql.Term) (narrowing, error) {
	var test func(qql.Interval) control.ImageWhere
	switch f.Name {
	case "created":
		test = func(i qql.Interval) control.ImageWhere { return control.ImageWhere{Created: timesOf(i)} }
	case "updated":
		test = func(i qql.Interval) control.ImageWhere { return control.ImageWhere{Updated: timesOf(i)} }
	case "lastScanned", "lastVmScanDate":
		test = func(i qql.Interval) control.ImageWhere { return control.ImageWhere{Judged: timesOf(i)} }
	case "size":
		test = func(i qql.Interval) control.ImageWhere { return control.ImageWhere{Size: &[2]int64{i.From, i.To}} }
	case "vulnerabilities.severity":
		test = severitiesIn
	default: // imagesInUse
		test = func(qql.Interval) control.ImageWhere { return nothing }
	}
	if t.Null {
		every := test(qql.Interval{From: math.MinInt64, To: math.MaxInt64})
		return exactly(control.ImageWhere{Not: &every}), nil
	}
	intervals, err := f.Intervals(t, s.now())
	out := control.ImageWhere{Any: []control.ImageWhere{}}
	for _, i := range intervals {
		out.Any = append(out.Any, test(i))
	}
	return exactly(out), err
}

// lastTime bounds the milliseconds a time may have: the year 9999.
const lastTime = 253_402_300_800_000

func timesOf(i qql.Interval) *control.TimeRange {
	out := &control.TimeRange{}
	if i.From > 0 {
		out.From = time.UnixMilli(min(i.From, lastTime))
	}
	if i.To < lastTime {
		out.Before = time.UnixMilli(max(i.To, 0) + 1)
	}
	return out
}

func severitiesIn(i qql.Interval) control.ImageWhere {
	out := control.ImageWhere{Severities: []tidewaiter.Severity{}}
	for _, s := range []tidewaiter.Severity{tidewaiter.SeverityCritical, tidewaiter.SeverityHigh, tidewaiter.SeverityMedium,
		tidewaiter.SeverityLow, tidewaiter.SeverityNegligible, tidewaiter.SeverityUnknown} {
		if n := int64(severityOf(s)); i.From <= n && n <= i.To {
			out.Severities = append(out.Severities, s)
		}
	}
	return out
}

// narrowText is for one value of a text.
func (s *server) narrowText(ctx context.Context, token string, v qql.Value) (narrowing, error) {
	wild := v.Quote == qql.Bare && strings.Contains(v.Text, "*")
	switch token {
	case "sha", "imageId", "uuid", "source", "registryUuid":
		if v.Text == "*" && token != "registryUuid" {
			return exactly(everything), nil
		}
		if wild {
			return roughly(everything), nil
		}
		return narrowID(token, v), nil
	case "scanStatus":
		return narrowStatus(v, wild), nil
	case "architecture":
		if wild || v.Text == "" {
			return roughly(everything), nil
		}
		return narrowing{control.ImageWhere{Architecture: v.Text}, v.Quote != qql.Backtick}, nil
	case "operatingSystem":
		return narrowSystem(v, wild), nil
	case "registryUri":
		return s.narrowAddress(ctx, v, wild)
	}
	return narrowName(token, v, wild), nil
}

// narrowID is for what is compared as a whole. In backticks case counts, which ids have none of.
func narrowID(token string, v qql.Value) narrowing {
	id := withoutAlgorithm(v.Text)
	switch {
	case token == "registryUuid":
		return exactly(control.ImageWhere{Name: &control.NameWhere{RegistryIDs: []string{v.Text, strings.ToLower(v.Text)}}})
	case token == "source":
		if strings.EqualFold(v.Text, "REGISTRY") {
			return narrowing{everything, v.Quote != qql.Backtick}
		}
		return exactly(nothing)
	case token == "uuid":
		if prefix, ok := digestOfUUID(v.Text); ok {
			return roughly(control.ImageWhere{DigestPrefix: prefix})
		}
		return exactly(nothing)
	case validSHA.MatchString(id):
		return exactly(control.ImageWhere{Digests: []string{"sha256:" + id}})
	case token == "imageId" && validImageID.MatchString(id):
		return roughly(control.ImageWhere{DigestPrefix: "sha256:" + id})
	}
	return exactly(nothing)
}

func narrowStatus(v qql.Value, wild bool) narrowing {
	if wild {
		return roughly(everything)
	}
	for state, name := range scanStatus {
		if name != "" && strings.EqualFold(name, v.Text) {
			return narrowing{control.ImageWhere{States: []tidewaiter.ImageState{state}}, v.Quote != qql.Backtick}
		}
	}
	return exactly(nothing)
}

func narrowSystem(v qql.Value, wild bool) narrowing {
	if words := qql.Words(v.Text); !wild && len(words) > 0 {
		return roughly(control.ImageWhere{System: words[0]})
	}
	return roughly(everything)
}

// narrowAddress is for the URL or host of a registry.
func (s *server) narrowAddress(ctx context.Context, v qql.Value, wild bool) (narrowing, error) {
	text := trimSlash(v.Text)
	if wild || v.Quote == qql.Bare || text == "" {
		return roughly(everything), nil
	}
	f := control.RegistryFilter{Host: strings.ToLower(text), Page: control.Page{Limit: 5000}}
	if strings.Contains(text, "://") {
		url, err := tidewaiter.ParseRegistryURL(text)
		if err != nil {
			return exactly(nothing), nil //nolint:nilerr // no registry has such a URL
		}
		f.Host, f.URL = "", url
	}
	name := &control.NameWhere{}
	for {
		page, next, err := s.control.Registries(ctx, f)
		if err != nil {
			return narrowing{}, err
		}
		for _, r := range page {
			name.RegistryIDs = append(name.RegistryIDs, r.ID)
		}
		if f.After = next; next == "" {
			break
		}
	}
	if len(name.RegistryIDs) == 0 {
		return exactly(nothing), nil
	}
	return exactly(control.ImageWhere{Name: name}), nil
}

// narrowName is for a part of an image's name.
func narrowName(token string, v qql.Value, wild bool) narrowing {
	name := &control.NameWhere{}
	exact := false
	whole := !wild && v.Quote != qql.Bare && v.Text != ""
	switch {
	case token == "repo.registry" && whole:
		name.Hosts, exact = []string{tidewaiter.HostOf(v.Text)}, true
	case token == "repo.registry":
		name.HostPattern, exact = pattern(v, wild), wild
	case token == "repo.repository" && whole:
		lower := strings.ToLower(v.Text) // as the names of repositories are
		name.Repositories = []string{v.Text, lower}
		if exact = strings.Contains(lower, "/") && v.Text == lower; !strings.Contains(lower, "/") {
			name.Repositories = append(name.Repositories, "library/"+lower) // how Docker Hub's official ones are called in full
		}
	case token == "repo.repository":
		name.RepositoryPattern = pattern(v, wild)
		// What begins like the short name of one of Docker Hub's official ones does not begin like its full name.
		if exact = wild && (strings.HasPrefix(v.Text, "*") || strings.Contains(v.Text, "/")); wild && !exact {
			name.RepositoryPattern = "*" + name.RepositoryPattern
		}
	case token == "repo.tag" && whole && v.Quote == qql.Backtick:
		name.Tags, exact = []string{v.Text}, true
	case token == "repo.tag" && whole:
		name.TagPattern, exact = v.Text, !strings.Contains(v.Text, "*")
	case token == "repo.tag":
		name.TagPattern, exact = pattern(v, wild), wild
	}
	return narrowing{control.ImageWhere{Name: name}, exact}
}

// pattern returns a pattern that every text that fulfils a value matches: the value itself when it is one, or that its first word
// is somewhere.
func pattern(v qql.Value, wild bool) string {
	if wild {
		return v.Text
	}
	if words := qql.Words(v.Text); len(words) > 0 {
		return "*" + words[0] + "*"
	}
	return ""
}
