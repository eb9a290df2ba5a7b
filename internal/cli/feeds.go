package cli

import (
	"path/filepath"

	"github.com/tidewaiter/tidewaiter/internal/advisory"
	"github.com/tidewaiter/tidewaiter/internal/oci"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// feedFlags say where what is attacked is known from. The zero value knows of no place.
type feedFlags struct {
	EPSS string `help:"Where EPSS scores come from: a URL, a file, or an OCI reference; none fetches none." default:"${epss_source}" placeholder:"SOURCE"`
	KEV  string `help:"Where CISA's catalog of exploited vulnerabilities comes from, likewise." default:"${kev_source}" placeholder:"SOURCE"`
}

// feeds opens the feeds that lie beside the advisories.
func (f feedFlags) feeds(beside advisoryFlags, client *oci.Client) *advisory.Feeds {
	return advisory.NewFeeds(advisory.FeedOptions{
		Dir: filepath.Join(beside.Data, "feeds"), UserAgent: "tidewaiter/" + version,
		Sources:   map[tidewaiter.FeedKind]string{tidewaiter.FeedEPSS: feedSource(f.EPSS), tidewaiter.FeedKEV: feedSource(f.KEV)},
		Artifacts: oci.NewArtifacts(client, oci.Anonymous, beside.PlainHTTP),
	})
}

// feedsOf lists the feeds there are.
func feedsOf(feeds *advisory.Feeds) []tidewaiter.Feed {
	out := []tidewaiter.Feed{}
	for _, kind := range tidewaiter.FeedKinds() {
		if s := feeds.State(kind); s.Current != nil {
			out = append(out, *s.Current)
		}
	}
	return out
}
