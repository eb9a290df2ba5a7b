package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
)

// fetch asks for a page and reads all of it.
func (s *server) fetch(ctx context.Context, path string) error {
	_, err := s.page(ctx, path)
	return err
}

func (s *server) page(ctx context.Context, path string) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.url+path, nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Authorization", "Bearer "+s.token)
	if strings.HasPrefix(path, "/csapi/") {
		req.Header.Set("Authorization", "Bearer "+s.qualys)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	answer, err := io.ReadAll(res.Body)
	if err == nil && res.StatusCode != http.StatusOK && res.StatusCode != http.StatusNoContent {
		err = fmt.Errorf("GET %s: %s: %.300s", path, res.Status, answer)
	}
	return answer, err
}

// loginQualys gets a token of the other vendor's kind.
func (s *server) loginQualys(ctx context.Context) error {
	form := url.Values{"username": {"admin"}, "password": {adminPassword}, "token": {"true"}, "permissions": {"true"}}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, s.url+"/auth", strings.NewReader(form.Encode()))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	token, err := io.ReadAll(res.Body)
	if err == nil && res.StatusCode/100 != 2 {
		err = fmt.Errorf("log in: %s: %.300s", res.Status, token)
	}
	s.qualys = strings.TrimSpace(string(token))
	return err
}

// serveIn starts a server on a folder that is there.
func (l *lab) serveIn(ctx context.Context, data string, args ...string) (*server, error) {
	s, err := l.start(ctx, data, args...)
	if err != nil {
		return nil, err
	}
	var login struct{ Token string }
	err = s.call(ctx, http.MethodPost, "/api/v1/authenticate", map[string]string{"username": "admin", "password": adminPassword}, &login)
	if s.token = login.Token; err == nil {
		err = s.loginQualys(ctx)
	}
	if err != nil {
		_, _ = s.stop() // the first error says more
		return nil, err
	}
	return s, nil
}

func fixed(name, path string) list {
	return list{name, func(context.Context, *server, int) (string, error) { return path, nil }}
}

func varied(name string, path func(i int) string) list {
	return list{name, func(_ context.Context, _ *server, i int) (string, error) { return path(i), nil }}
}

// deep goes to the page after 90 of 100 cursors once, by pages of a thousand, and measures there.
func deep(name, path string, items int) list {
	var at string
	return list{name, func(ctx context.Context, s *server, i int) (string, error) {
		for skipped := 0; i == 0 && skipped < items*9/10; skipped += 1000 {
			answer, err := s.page(ctx, path+"&limit=1000"+at)
			if err != nil {
				return "", err
			}
			next := nextOf(answer)
			if next == "" {
				break
			}
			at = "&after=" + url.QueryEscape(next)
		}
		return path + at, nil
	}}
}

// nextOf finds the cursor in an answer without reading all of it as JSON.
func nextOf(answer []byte) string {
	_, rest, found := strings.Cut(string(answer), `"next":"`)
	if !found {
		return ""
	}
	next, _, _ := strings.Cut(rest, `"`)
	return next
}

// named asks about one vulnerability after the other: the commonest, or the rarest, that the fleet has.
func named(name, order string, path func(vulnerability string) string) list {
	var names []string
	return list{name, func(ctx context.Context, s *server, i int) (string, error) {
		if i == 0 {
			answer, err := s.page(ctx, "/tidewaiter/v1/vulnerabilities?sort=images&limit=100"+order)
			if err != nil {
				return "", err
			}
			var page struct{ Items []struct{ Name string } }
			if err := json.Unmarshal(answer, &page); err != nil || len(page.Items) == 0 {
				return "", fmt.Errorf("%d vulnerabilities are listed: %w", len(page.Items), err)
			}
			for _, v := range page.Items {
				names = append(names, v.Name)
			}
		}
		return path(names[i%min(len(names), 20)]), nil
	}}
}

const commonest, rarest = "", "&least=true"

func ourLists() []list {
	const images, vulnerabilities = "/tidewaiter/v1/images", "/tidewaiter/v1/vulnerabilities"
	out := []list{
		fixed("images, newest first", images+"?sort=created"),
		fixed("images, oldest first", images+"?sort=created&oldest=true"),
		fixed("images, changed last", images+"?sort=updated"),
		deep("images, deep page", images+"?sort=created", 10_000),
		varied("images of a repository", func(i int) string { return fmt.Sprintf("%s?repository=team-%03d/app-%05d", images, i%97, i) }),
		varied("images of a registry", func(i int) string { return images + "?registry=" + registryID(i%100) }),
		varied("images, part of the name", func(i int) string { return fmt.Sprintf("%s?search=app-%05d", images, 7*i%500) }),
		fixed("images, part of many names", images+"?search=team-0"),
		fixed("images, part of no name", images+"?search=nowhere"),
		fixed("images that wait", images+"?state=waiting"),
	}
	for _, sort := range []string{"severity", "epss", "score", "images", "published"} {
		out = append(out, fixed("vulnerabilities by "+sort, vulnerabilities+"?sort="+sort))
	}
	return append(out,
		deep("vulnerabilities by severity, deep page", vulnerabilities+"?sort=severity", 20_000),
		deep("vulnerabilities by EPSS, deep page", vulnerabilities+"?sort=epss", 20_000),
		fixed("vulnerabilities known to be exploited, by EPSS", vulnerabilities+"?kev=true&sort=epss"),
		fixed("vulnerabilities, part of the name, by EPSS", vulnerabilities+"?search=-1234&sort=epss"),
		fixed("vulnerabilities critical, likely and fixable", vulnerabilities+"?severity=critical&epss=0.5&fixable=true"),
		varied("vulnerabilities, part of the name", func(i int) string { return fmt.Sprintf("%s?search=-1%04d", vulnerabilities, i*37) }),
		named("images with one of the commonest", commonest, func(v string) string { return vulnerabilities + "/" + v }),
		named("images with one of the rarest", rarest, func(v string) string { return vulnerabilities + "/" + v }),
		deep("images with a common one, deep page", vulnerabilities+"/"+vulnerabilityName(0)+"?", 5000),
	)
}

func prismaLists() []list {
	const results, impacted = "/api/v1/registry?compact=true&limit=50", "/api/v1/stats/vulnerabilities/impacted-resources?limit=50&cve="
	var out []list
	for _, sort := range []string{"", "vulnerabilityRiskScore", "complianceRiskScore", "scanTime", "creationTime"} {
		out = append(out, fixed(strings.TrimSuffix("Prisma: results by "+sort, " by "), results+"&reverse=true&sort="+sort))
	}
	return append(out,
		fixed("Prisma: results, offset 9,000", results+"&offset=9000"),
		fixed("Prisma: results by risk, offset 9,000", results+"&sort=vulnerabilityRiskScore&reverse=true&offset=9000"),
		varied("Prisma: results, part of the name", func(i int) string { return fmt.Sprintf("%s&search=app-%05d", results, 7*i%500) }),
		varied("Prisma: results of a repository", func(i int) string { return fmt.Sprintf("%s&repository=team-%03d/app-%05d", results, i%97, i) }),
		fixed("Prisma: results with findings", "/api/v1/registry?limit=10"),
		fixed("Prisma: statistics", "/api/v1/stats/vulnerabilities?limit=50"),
		named("Prisma: what one of the commonest is in", commonest, func(v string) string { return impacted + v }),
		named("Prisma: what one of the rarest is in", rarest, func(v string) string { return impacted + v }),
	)
}

func qualysLists(inv inventory) []list {
	const base = "/csapi/v1.3"
	sha := strings.TrimPrefix(fmt.Sprintf("sha256:b000%060x", inv.images/2), "sha256:")
	middle := inv.registries / 2
	var out []list
	for _, r := range []struct{ name, path string }{
		{"registries", "/registry?pageSize=50"},
		{"registries, last page", fmt.Sprintf("/registry?pageSize=50&pageNumber=%d", inv.registries/50)},
		{"registries by name", fmt.Sprintf(`/registry?filter=registryName:"fleet-%05d"`, middle)},
		{"registries by URL", fmt.Sprintf(`/registry?filter=registryUri:"https://%s"`, registryHost(middle))},
		{"registries sorted", "/registry?sort=created:desc"},
		{"schedules", "/registry/" + registryID(middle) + "/schedule"},
		{"repositories", "/registry/" + registryID(middle) + "/repository"},
		{"images", "/images"},
		{"images, last page", fmt.Sprintf("/images?pageNumber=%d", inv.images/50)},
		{"images of a repository", fmt.Sprintf(`/images?filter=repo.repository:"team-%03d/app-%05d"`, middle%97, middle)},
		{"images, part of the repository", fmt.Sprintf("/images?filter=repo.repository:*app-%05d*", middle)},
		{"images by URL", fmt.Sprintf(`/images?filter=registryUri:"https://%s"`, registryHost(middle))},
		{"images by registry", "/images?filter=registryUuid:" + registryID(middle)},
		{"images by digest", "/images?filter=sha:" + sha},
		{"images by severity", "/images?filter=vulnerabilities.severity:5"},
		{"images by time", "/images?filter=not lastScanned is null AND updated>1571077800000"},
		{"images just scanned", "/images?filter=lastScanned:[now-1h ... now]"},
		{"images, pages of 250", "/images/list?limit=250"},
		{"images, pages of 250 since", "/images/list?limit=250&filter=updated:[1700000000 ..]"},
		{"one image", "/images/" + sha},
	} {
		path := strings.NewReplacer(" ", "%20", `"`, "%22", ">", "%3E").Replace(r.path)
		out = append(out, fixed("Qualys: "+r.name, base+path))
	}
	return out
}
