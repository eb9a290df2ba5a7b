package advisory

import (
	"encoding/json"
	"io"
	"time"

	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

const maxKEVEntries = 200_000

// kevDate is a day as the catalog writes it.
type kevDate struct{ time.Time }

// UnmarshalJSON reads a day; an empty one is none.
func (d *kevDate) UnmarshalJSON(b []byte) error {
	var s string
	if err := json.Unmarshal(b, &s); err != nil || s == "" {
		return err
	}
	t, err := time.Parse(time.DateOnly, s)
	d.Time = t
	return err
}

// readKEV reads the catalog of known exploited vulnerabilities as CISA publishes it in JSON.
func readKEV(r io.Reader) (map[string]tidewaiter.KEV, tidewaiter.Feed, error) {
	feed := tidewaiter.Feed{Kind: tidewaiter.FeedKEV}
	var doc struct {
		CatalogVersion  string    `json:"catalogVersion"`
		DateReleased    time.Time `json:"dateReleased"`
		Count           *int      `json:"count"`
		Vulnerabilities []struct {
			CVEID      string  `json:"cveID"`
			DateAdded  kevDate `json:"dateAdded"`
			DueDate    kevDate `json:"dueDate"`
			Ransomware string  `json:"knownRansomwareCampaignUse"`
		} `json:"vulnerabilities"`
	}
	if err := json.NewDecoder(r).Decode(&doc); err != nil {
		return nil, feed, noCatalog("it cannot be read: %w", err)
	}
	switch n := len(doc.Vulnerabilities); {
	case n == 0:
		return nil, feed, noCatalog("it has no vulnerabilities")
	case doc.Count != nil && *doc.Count != n:
		return nil, feed, noCatalog("it says it has %d vulnerabilities and has %d", *doc.Count, n)
	case n > maxKEVEntries:
		return nil, feed, tidewaiter.Errorf(tidewaiter.ErrTooLarge, "the catalog has more than %d vulnerabilities", maxKEVEntries)
	}
	catalog := make(map[string]tidewaiter.KEV, len(doc.Vulnerabilities))
	for i, v := range doc.Vulnerabilities {
		if !cveName.MatchString(v.CVEID) {
			return nil, feed, noCatalog("vulnerabilities[%d].cveID is not a CVE number", i)
		}
		if v.DateAdded.IsZero() {
			return nil, feed, noCatalog("vulnerabilities[%d].dateAdded is missing", i)
		}
		catalog[v.CVEID] = tidewaiter.KEV{Added: v.DateAdded.Time, Due: v.DueDate.Time, Ransomware: v.Ransomware == "Known"}
		if v.DateAdded.After(feed.Date) {
			feed.Date = v.DateAdded.Time
		}
	}
	if !doc.DateReleased.IsZero() {
		feed.Date = doc.DateReleased.UTC()
	}
	feed.Release, feed.Entries = doc.CatalogVersion, len(catalog)
	return catalog, feed, nil
}

func noCatalog(format string, args ...any) error {
	return tidewaiter.Errorf(tidewaiter.ErrMalformed, "catalog of known exploited vulnerabilities: "+format, args...).
		WithFix("give the JSON file that CISA publishes, gzipped or not")
}
