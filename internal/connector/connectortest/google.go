package connectortest

import (
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
)

// packages answers Google's packages.list, which the emulator does not, for those who log in at the emulator. Google:
// "Method: projects.locations.repositories.packages.list".
func (s *Emulated) packages(next http.RoundTripper) http.RoundTripper {
	return roundTrip(func(r *http.Request) (*http.Response, error) {
		parent, ok := strings.CutSuffix(r.URL.Path, "/packages")
		if !ok {
			return next.RoundTrip(r)
		}
		probe := r.Clone(r.Context())
		probe.URL.Path, probe.URL.RawPath, probe.URL.RawQuery = parent+"/dockerImages", "", "pageSize=1"
		resp, err := next.RoundTrip(probe)
		if err != nil || resp.StatusCode != http.StatusOK || resp.Header.Get("Content-Type") == "" {
			return resp, err
		}
		if _, err := io.Copy(io.Discard, resp.Body); err != nil {
			return resp, nil //nolint:nilerr // cut: let it be read so
		}
		resp.Body.Close()
		parts := strings.Split(parent, "/")
		prefix, all := parts[3]+"/"+parts[7]+"/", []map[string]string{}
		for _, name := range s.Repositories {
			if short, ok := strings.CutPrefix(name, prefix); ok {
				all = append(all, map[string]string{"name": strings.TrimPrefix(parent, "/v1/") + "/packages/" + url.PathEscape(short)})
			}
		}
		offset, _ := strconv.Atoi(r.URL.Query().Get("pageToken"))
		end := min(offset+googlePage, len(all))
		doc := map[string]any{"packages": all[min(offset, end):end]}
		if end < len(all) {
			doc["nextPageToken"] = strconv.Itoa(end)
		}
		body, err := json.Marshal(doc)
		if err != nil {
			return nil, err
		}
		resp.Body, resp.ContentLength = io.NopCloser(strings.NewReader(string(body))), int64(len(body))
		resp.Header.Del("Content-Length")
		return resp, nil
	})
}

// googlePage is small, so that there is a second page.
const googlePage = 60
