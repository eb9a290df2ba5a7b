package qualys

import (
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/tidewaiter/tidewaiter/internal/qualys/qql"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// imageVulnerabilities is Qualys' ImageVulnerability. Details and summary are left out when they were not asked for.
type imageVulnerabilities struct {
	Details *[]vulnerability      `json:"details,omitempty"`
	Data    *[]vulnerability      `json:"data,omitempty"` // ours: the same again, where one client looks for it
	Summary *vulnerabilitySummary `json:"vulnSummary,omitempty"`
}

// vulnerabilitySummary counts vulnerabilities by certainty, severity and whether there is a fix. Nothing here is only
// potential: what is installed is known.
type vulnerabilitySummary struct {
	Confirmed         countsBySeverity `json:"confirmed"`
	Potential         countsBySeverity `json:"potential"`
	PatchAvailability struct {
		Confirmed countsBySeverity `json:"confirmed"`
		Potential countsBySeverity `json:"potential"`
	} `json:"patchAvailability"`
}

// vulnerabilityTokens are the tokens of vulnerability filters.
var vulnerabilityTokens = slices.Concat(bothNames("qid", qql.Field[vulnerability]{Nums: func(v vulnerability) []int64 { return []int64{int64(v.QID)} }}),
	bothNames("severity", qql.Field[vulnerability]{Nums: func(v vulnerability) []int64 { return []int64{int64(v.Severity)} }}),
	bothNames("customerSeverity", qql.Field[vulnerability]{Nums: func(v vulnerability) []int64 { return []int64{int64(v.CustomerSeverity)} }}),
	bothNames("title", qql.Field[vulnerability]{Texts: func(v vulnerability) []string { return []string{v.Title} }}),
	bothNames("cveids", qql.Field[vulnerability]{ID: true, Texts: func(v vulnerability) []string { return v.CVEIDs }}),
	bothNames("typeDetected", qql.Field[vulnerability]{ID: true, Texts: func(v vulnerability) []string { return []string{v.TypeDetected} }}),
	bothNames("category", qql.Field[vulnerability]{Texts: func(v vulnerability) []string { return []string{v.Category} }}),
	bothNames("product", qql.Field[vulnerability]{Texts: func(v vulnerability) []string { return v.Product }}),
	bothNames("patchAvailable", qql.Field[vulnerability]{ID: true, Texts: func(v vulnerability) []string {
		if v.PatchAvailable {
			return []string{"true"}
		}
		return []string{"false"}
	}}),
	bothNames("firstFound", qql.Field[vulnerability]{Times: func(v vulnerability) time.Time { return v.FirstFound.Time }}),
	bothNames("lastFound", qql.Field[vulnerability]{Times: func(v vulnerability) time.Time { return v.LastFound.Time }}),
)

// bothNames gives a token its short name and the one it has in filters of images.
func bothNames(name string, f qql.Field[vulnerability]) []qql.Field[vulnerability] {
	long := f
	f.Name, long.Name = name, "vulnerabilities."+name
	return []qql.Field[vulnerability]{f, long}
}

// getVulnerabilities lists the vulnerabilities of an image. Qualys: type is ALL, SUMMARY or DETAILS, sort qid:asc by
// default; applyException, true by default, leaves out what an exception covers.
func (s *server) getVulnerabilities(w http.ResponseWriter, r *http.Request) error {
	kind := strings.ToUpper(strings.TrimSpace(r.URL.Query().Get("type")))
	if kind == "" {
		kind = "ALL"
	}
	if kind != "ALL" && kind != "SUMMARY" && kind != "DETAILS" {
		return tidewaiter.Invalid("type", "unknown type %q", cut(kind, 40)).WithFix("ALL, SUMMARY or DETAILS")
	}
	found, err := s.foundVulnerabilities(r)
	if err != nil {
		return err
	}
	var out imageVulnerabilities
	if kind != "SUMMARY" {
		out.Details, out.Data = &found, &found
	}
	if kind != "DETAILS" {
		out.Summary = summarize(found)
	}
	writeJSON(w, http.StatusOK, out)
	return nil
}

// foundVulnerabilities returns an image's vulnerabilities as the query wants them.
func (s *server) foundVulnerabilities(r *http.Request) ([]vulnerability, error) {
	q, err := queryOf(r)
	if err != nil {
		return nil, err
	}
	holds, err := qql.Compile(q.filter, vulnerabilityTokens, s.now())
	if err != nil {
		return nil, err
	}
	order := func(v vulnerability) int { return v.QID }
	switch strings.TrimPrefix(strings.ToLower(q.sort), "vulnerabilities.") {
	case "", "qid":
	case "severity", "customerseverity":
		order = func(v vulnerability) int { return v.Severity }
	default:
		return nil, unsortable(q.sort, "qid, severity")
	}
	_, result, err := s.resultOf(r)
	if err != nil {
		return nil, err
	}
	if text := r.URL.Query().Get("applyException"); !strings.EqualFold(text, "false") {
		if result, err = s.withoutExcepted(r.Context(), result); err != nil {
			return nil, err
		}
	}
	found := slices.DeleteFunc(vulnerabilitiesOf(result), func(v vulnerability) bool { return !holds(v) })
	slices.SortStableFunc(found, func(a, b vulnerability) int {
		if q.desc {
			a, b = b, a
		}
		return order(a) - order(b)
	})
	return found, nil
}

func summarize(found []vulnerability) *vulnerabilitySummary {
	var all, patched bySeverity
	for _, v := range found {
		all[v.Severity]++
		if v.PatchAvailable {
			patched[v.Severity]++
		}
	}
	out := &vulnerabilitySummary{Confirmed: countsOf(all)}
	out.PatchAvailability.Confirmed = countsOf(patched)
	return out
}

// getVulnerabilityCount counts the vulnerabilities of an image by severity.
func (s *server) getVulnerabilityCount(w http.ResponseWriter, r *http.Request) error {
	found, err := s.foundVulnerabilities(r)
	if err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, summarize(found).Confirmed)
	return nil
}
