package qualys

import (
	"cmp"
	"net/http"
	"slices"
	"strings"

	"github.com/tidewaiter/tidewaiter/internal/control"
	"github.com/tidewaiter/tidewaiter/internal/qualys/qql"
)

// listedRepository is Qualys' Repository.
type listedRepository struct {
	RepoName              string `json:"repoName"`
	TotalImages           int    `json:"totalImages"`
	TotalScannedImages    int    `json:"totalScannedImages"`
	TotalVulnerableImages int    `json:"totalVulnerableImages"`
}

// repositoryTokens are the tokens of repository filters.
var repositoryTokens = []qql.Field[listedRepository]{
	{Name: "repoName", Texts: func(l listedRepository) []string { return []string{l.RepoName} }},
	{Name: "repo.repository", Texts: func(l listedRepository) []string { return []string{l.RepoName} }},
	{Name: "totalImages", Nums: func(l listedRepository) []int64 { return []int64{int64(l.TotalImages)} }},
	{Name: "totalScannedImages", Nums: func(l listedRepository) []int64 { return []int64{int64(l.TotalScannedImages)} }},
	{Name: "totalVulnerableImages", Nums: func(l listedRepository) []int64 { return []int64{int64(l.TotalVulnerableImages)} }},
}

// maxRepositories bounds how many repositories of a registry are looked at for one list.
const maxRepositories = 100_000

// getRepositories lists the repositories of a registry that are in scope.
func (s *server) getRepositories(w http.ResponseWriter, r *http.Request) error {
	q, err := queryOf(r)
	if err != nil {
		return err
	}
	ctx := r.Context()
	reg, err := s.find(ctx, r.PathValue("registryId"))
	if err != nil {
		return err
	}
	holds, err := qql.Compile(q.filter, repositoryTokens, s.now())
	if err != nil {
		return err
	}
	included := true
	var found []listedRepository
	f := control.RepositoryFilter{Included: &included, Page: control.Page{Limit: 5000}}
	for seen := 0; seen < maxRepositories; {
		page, next, err := s.control.RegistryRepositories(ctx, reg.ID, f)
		if err != nil {
			return err
		}
		for _, p := range page {
			l := listedRepository{RepoName: p.Name, TotalImages: p.Images, TotalScannedImages: p.Scanned, TotalVulnerableImages: p.Vulnerable}
			if holds(l) {
				found = append(found, l)
			}
		}
		if seen += len(page); next == "" {
			break
		}
		f.After = next
	}
	if err := sortRepositories(found, q); err != nil {
		return err
	}
	writeList(w, q.filtered, pageOf(found, q), len(found))
	return nil
}

// sortRepositories puts repositories into the order asked for; by name when none is.
func sortRepositories(list []listedRepository, q query) error {
	number := func(listedRepository) int { return 0 }
	switch strings.ToLower(q.sort) {
	case "", "reponame", "repo.repository":
	case "totalimages":
		number = func(l listedRepository) int { return l.TotalImages }
	case "totalscannedimages":
		number = func(l listedRepository) int { return l.TotalScannedImages }
	case "totalvulnerableimages":
		number = func(l listedRepository) int { return l.TotalVulnerableImages }
	default:
		return unsortable(q.sort, "repoName, totalImages, totalScannedImages, totalVulnerableImages")
	}
	slices.SortStableFunc(list, func(a, b listedRepository) int {
		c := cmp.Or(cmp.Compare(number(a), number(b)), strings.Compare(a.RepoName, b.RepoName))
		if q.desc {
			return -c
		}
		return c
	})
	return nil
}
