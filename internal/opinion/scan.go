package opinion

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/tidewaiter/tidewaiter/internal/oci"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

type scanRequest struct {
	Registry     requestRegistry     `json:"registry"`
	Artifact     requestArtifact     `json:"artifact"`
	Capabilities []requestCapability `json:"enabled_capabilities,omitempty"`
}

// requestRegistry holds a login as it goes over the wire: it is written and never kept.
type requestRegistry struct {
	URL           string `json:"url"`
	Authorization string `json:"authorization"`
	Insecure      bool   `json:"insecure"`
}

type requestArtifact struct {
	Repository string `json:"repository"`
	Tag        string `json:"tag,omitempty"`
	Digest     string `json:"digest"`
	MediaType  string `json:"mime_type"`
	Size       int64  `json:"size,omitempty"`
}

type requestCapability struct {
	Type     string   `json:"type"`
	Produces []string `json:"produces_mime_types"`
}

// subject is what a scanner is asked about.
type subject struct {
	loan      Loan
	tag       string
	digest    string
	mediaType string
	size      int64
}

// scan has a scanner look at an image and returns what it calls that.
func (c *client) scan(ctx context.Context, about tidewaiter.ScannerAbout, reportType string, of subject) (string, error) {
	request := scanRequest{
		Registry: requestRegistry{of.loan.URL, of.loan.Authorization.Reveal(), of.loan.Insecure},
		Artifact: requestArtifact{of.loan.Repository, of.tag, of.digest, of.mediaType, of.size},
	}
	if about.Typed {
		request.Capabilities = []requestCapability{{ofVulnerability, []string{reportType}}}
	}
	body, err := json.Marshal(request)
	if err != nil {
		return "", err
	}
	// What was lent must not come back in an error either, whole or in part.
	header := of.loan.Authorization.Reveal()
	_, lent, _ := strings.Cut(header, " ")
	asking := *c
	asking.secrets = append([]string{header, lent, string(body)}, c.secrets...)
	if _, password, ok := (&http.Request{Header: http.Header{"Authorization": {header}}}).BasicAuth(); ok {
		asking.secrets = append(asking.secrets, password)
	}
	var a *answer
	for _, version := range versions() {
		a, err = asking.do(ctx, http.MethodPost, "/api/v1/scan", http.Header{"Content-Type": {baseRequest + version},
			"Accept": {baseResponse + "; version=1.0"}}, body, maxAnswer, shortTime)
		if err != nil {
			return "", err
		}
		if a.status != http.StatusUnsupportedMediaType {
			break
		}
	}
	// The API says 202; some answer 200 or 201 all the same.
	if a.status != http.StatusAccepted && a.status != http.StatusOK && a.status != http.StatusCreated {
		return "", asking.refused("a request for a scan", a)
	}
	var out struct {
		ID string `json:"id"`
	}
	if json.Unmarshal(a.body, &out) != nil || !usableID(out.ID) {
		return "", tidewaiter.Errorf(tidewaiter.ErrMalformed, "the scanner at %s takes the request for a scan and gives it no usable id", c.base.Host)
	}
	return out.ID, nil
}

// usableID reports whether what a scanner calls a scan can become part of a path.
func usableID(id string) bool {
	return id != "" && id != "." && id != ".." && len(id) <= maxScanName && !strings.ContainsFunc(id, func(r rune) bool {
		return unicode.IsControl(r) || r == unicode.ReplacementChar
	})
}

// report asks for the report of a scan. It returns nil and a time to wait while there is none.
func (c *client) report(ctx context.Context, id, reportType string) (body []byte, wait time.Duration, err error) {
	a, err := c.do(ctx, http.MethodGet, "/api/v1/scan/"+url.PathEscape(id)+"/report", http.Header{"Accept": {reportType}}, nil, maxReport, reportTime)
	if err != nil {
		return nil, 0, err
	}
	switch {
	case a.status == http.StatusFound && c.stays(a.header):
		return nil, refreshAfter(a.header.Get("Refresh-After")), nil
	case a.status == http.StatusNotFound:
		return nil, 0, tidewaiter.Errorf(tidewaiter.ErrGone, "the scanner at %s no longer knows the scan", c.base.Host).
			WithFix("it may have been started anew; it is asked again")
	case a.status != http.StatusOK:
		return nil, 0, c.refused("a request for a report", a)
	}
	if t := a.header.Get("Content-Type"); !isType(t, baseOf(typeReport), baseOf(typeReport10)) {
		return nil, 0, tidewaiter.Errorf(tidewaiter.ErrMalformed, "the scanner at %s sends %q where a report was asked for", c.base.Host, oci.CleanText(t, maxQuote)).
			WithFix("see the scanner's log, and whether something is in between")
	}
	return a.body, 0, nil
}

// stays reports whether a 302 says that there is no report yet. The API has it name a time; a redirect that leads elsewhere, to a login
// page say, does not.
func (c *client) stays(h http.Header) bool {
	if h.Get("Refresh-After") != "" {
		return true
	}
	u, err := url.Parse(h.Get("Location"))
	return err == nil && (u.Host == "" || strings.EqualFold(u.Host, c.base.Host))
}

func refreshAfter(header string) time.Duration {
	seconds, err := strconv.ParseInt(strings.TrimSpace(header), 10, 32)
	if err != nil {
		return defaultRefresh
	}
	return min(max(time.Duration(seconds)*time.Second, minRefresh), maxRefresh)
}
