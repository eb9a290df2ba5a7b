package prisma

import (
	"context"
	"iter"
	"net/http"
	"slices"
	"strings"

	"github.com/tidewaiter/tidewaiter/internal/control"
	"github.com/tidewaiter/tidewaiter/internal/policy"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// getResults answers with the scan results a query asks for, one for each name of each image.
func (s *server) getResults(w http.ResponseWriter, r *http.Request) error {
	ctx, q := r.Context(), queryOf(r.URL)
	p, err := q.page()
	if err != nil {
		return err
	}
	v, err := s.viewer(ctx, q)
	if err != nil {
		return err
	}
	rows, err := s.page(ctx, w, v, q, p)
	if err != nil {
		return err
	}
	return writeList(w, ahead(ctx, rows, v.result))
}

// getResultNames answers with the names of what getResults answers with, each once.
func (s *server) getResultNames(w http.ResponseWriter, r *http.Request) error {
	ctx, q := r.Context(), queryOf(r.URL)
	p, err := q.page()
	if err != nil {
		return err
	}
	v, err := s.viewer(ctx, q)
	if err != nil {
		return err
	}
	rows, err := s.page(ctx, w, v, q, p)
	if err != nil {
		return err
	}
	names := make([]string, len(rows))
	for i := range rows {
		names[i] = imageName(&rows[i].Tag)
	}
	return writeList(w, each(slices.Compact(names)))
}

// viewer gathers what all results of a request need.
func (s *server) viewer(ctx context.Context, q query) (*viewer, error) {
	v := &viewer{
		control: s.control, version: s.version, now: s.now(), compact: q.flag("compact"), layers: q.flag("layers"),
		normalized: q.flag("normalizedSeverity"), withoutBase: q.flag("filterBaseImage"), issueType: q.text("issueType"), types: map[string]string{},
		policies: map[tidewaiter.PolicyKind]*tidewaiter.Policy{},
	}
	if !slices.Contains([]string{"", "vulnerabilities", "compliance"}, v.issueType) {
		return nil, tidewaiter.Invalid("issueType", "unknown issue type %q", cut(v.issueType, 40)).WithFix("one of vulnerabilities, compliance")
	}
	var err error
	if v.collections, err = s.collections(ctx); err != nil {
		return nil, err
	}
	if v.declared, err = s.control.Declared(ctx); err != nil {
		return nil, err
	}
	for _, kind := range []tidewaiter.PolicyKind{tidewaiter.PolicyVulnerability, tidewaiter.PolicyCompliance} {
		if v.policies[kind], err = s.policy(ctx, kind); err != nil {
			return nil, err
		}
	}
	return v, nil
}

// page reads the rows a query asks for and says how many there are in all.
func (s *server) page(ctx context.Context, w http.ResponseWriter, v *viewer, q query, p page) ([]control.Row, error) {
	f := filterOf(q)
	named := v.named(q.list("collections"))
	if named != nil {
		rows, total, err := s.matching(ctx, f, p, func(row *control.Row) bool { return covered(named, row) })
		if err == nil {
			totalCount(w, total)
			err = s.addTypes(ctx, v, rows)
		}
		return rows, err
	}
	total, err := s.control.CountResults(ctx, f)
	if err != nil {
		return nil, err
	}
	totalCount(w, total)
	if p.limit == 0 || p.offset >= total {
		return nil, nil
	}
	f.Page = control.Page{Limit: p.limit, Offset: p.offset}
	rows, _, err := s.control.Results(ctx, f)
	if err == nil {
		err = s.addTypes(ctx, v, rows)
	}
	return rows, err
}

// filterOf translates a query's filters. An empty registry is no filter.
func filterOf(q query) control.ResultFilter {
	f := control.ResultFilter{
		Repositories: q.list("repository"), Tags: q.list("tag"), Search: q.text("search"), Desc: q.flag("reverse"),
		Sort: sortKeys[q.text("sort")],
	}
	for _, registry := range q.list("registry") {
		f.Hosts = append(f.Hosts, hostOf(registry))
	}
	for _, name := range q.list("name") {
		f.References = append(f.References, reference(name))
	}
	for _, id := range q.list("imageID") {
		f.ImageIDs = append(f.ImageIDs, withAlgorithm(id))
	}
	for _, id := range q.list("id") {
		if strings.HasPrefix(id, "sha256:") {
			f.ImageIDs = append(f.ImageIDs, id)
		} else {
			f.References = append(f.References, reference(id))
		}
	}
	return f
}

// sortKeys are the sort parameter's values that are not the alphabetical order everything else means.
var sortKeys = map[string]control.ResultSort{
	"vulnerabilityRiskScore": control.SortVulnerabilityRisk, "vulnerabilitiesCount": control.SortVulnerabilityRisk,
	"complianceRiskScore": control.SortComplianceRisk, "complianceIssuesCount": control.SortComplianceRisk,
	"scanTime": control.SortScanTime, "creationTime": control.SortCreated, "image.created": control.SortCreated,
}

// hostOf returns a registry address as results know it.
func hostOf(registry string) string {
	if url, err := tidewaiter.ParseRegistryURL(registry); err == nil {
		return tidewaiter.HostOf(url)
	}
	return strings.ToLower(registry)
}

// reference returns a full image name with its host: Docker Hub's, where the name has none.
func reference(name string) string {
	host, rest, found := strings.Cut(name, "/")
	if !found || !strings.ContainsAny(host, ".:") && host != "localhost" {
		return "docker.io/" + name
	}
	return hostOf(host) + "/" + rest
}

func withAlgorithm(digest string) string {
	if strings.Contains(digest, ":") {
		return digest
	}
	return "sha256:" + digest
}

// named returns the collections a query restricts results to; nil when it does not: none is named, none of those named
// exists, or one covers everything. Clients name collections of other consoles and expect results all the same.
func (v *viewer) named(names []string) []tidewaiter.Collection {
	var out []tidewaiter.Collection
	for _, name := range names {
		c, ok := v.collections[name]
		if ok && slices.Contains(c.Images, "*") && (len(c.Labels) == 0 || slices.Contains(c.Labels, "*")) {
			return nil
		}
		if ok {
			out = append(out, c)
		}
	}
	return out
}

func covered(collections []tidewaiter.Collection, row *control.Row) bool {
	return slices.ContainsFunc(collections, func(c tidewaiter.Collection) bool {
		return policy.Covers(&c, []string{row.Tag.Reference()}, labelsOf(row.Image))
	})
}

func labelsOf(image *tidewaiter.Image) map[string]string {
	if image == nil {
		return nil
	}
	return image.Config.Labels
}

// collectionsOf names the collections an image belongs to under one of its names.
func (v *viewer) collectionsOf(t *tidewaiter.Tag, labels map[string]string) []string {
	out := []string{}
	for name, c := range v.collections {
		if policy.Covers(&c, []string{t.Reference()}, labels) {
			out = append(out, name)
		}
	}
	slices.Sort(out)
	return out
}

// matching goes through all rows of a filter and keeps the page of those that match, and their number. It is the way for
// what the inventory cannot filter by itself.
func (s *server) matching(ctx context.Context, f control.ResultFilter, p page, match func(*control.Row) bool) ([]control.Row, int, error) {
	var out []control.Row
	total := 0
	f.Full = true
	for row, err := range s.everyRow(ctx, f) {
		if err != nil {
			return nil, 0, err
		}
		if !match(&row) {
			continue
		}
		if total >= p.offset && len(out) < p.limit {
			out = append(out, row)
		}
		total++
	}
	return out, total, nil
}

// everyRow goes through all rows of a filter.
func (s *server) everyRow(ctx context.Context, f control.ResultFilter) iter.Seq2[control.Row, error] {
	return func(yield func(control.Row, error) bool) {
		f.Page = control.Page{Limit: rowsAtOnce}
		for {
			rows, next, err := s.control.Results(ctx, f)
			if err != nil {
				yield(control.Row{}, err)
				return
			}
			for _, row := range rows {
				if !yield(row, nil) {
					return
				}
			}
			if next == "" {
				return
			}
			f.After = next
		}
	}
}

// rowsAtOnce is how many rows are read in one go where all are needed.
const rowsAtOnce = 500

// addTypes finds out the registry types of the rows' hosts.
func (s *server) addTypes(ctx context.Context, v *viewer, rows []control.Row) error {
	for i := range rows {
		host := rows[i].Tag.Repository.Host
		if _, known := v.types[host]; known {
			continue
		}
		found, _, err := s.control.Registries(ctx, control.RegistryFilter{Host: host, Page: control.Page{Limit: 1}})
		if err != nil {
			return err
		}
		v.types[host] = ""
		if len(found) > 0 {
			v.types[host] = versionOf(found[0].Kind)
		}
	}
	return nil
}
