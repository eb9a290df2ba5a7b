package cli

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"path/filepath"
	"time"

	"github.com/tidewaiter/tidewaiter/internal/advisory"
	"github.com/tidewaiter/tidewaiter/internal/engine"
	"github.com/tidewaiter/tidewaiter/internal/oci"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// advisoryFlags say where advisories are kept and come from.
type advisoryFlags struct {
	Data       string   `help:"Folder the advisories are kept in." default:"./data" type:"path" placeholder:"DIR"`
	Advisories []string `help:"OCI references of the advisory database, tried in order." placeholder:"REF"`
	PlainHTTP  bool     `help:"Fetch the advisories without TLS." name:"advisories-plain-http"`
	Offline    bool     `help:"Use the advisories that are there; fetch nothing."`
}

// keeper opens the advisories on disk with a matcher of its own.
func (f advisoryFlags) keeper(client *oci.Client, matcher *engine.Matcher) (*advisory.Keeper, error) {
	k := advisory.New(advisory.Options{
		Dir: filepath.Join(f.Data, "advisories"), References: f.Advisories, Open: matcher.Open,
		Source: oci.NewArtifacts(client, oci.Anonymous, f.PlainHTTP),
	})
	return k, k.Restore()
}

// advisories returns a matcher with the newest advisories that can be had. Without any it says so and goes on: the report
// then says that nothing was matched.
func (f advisoryFlags) advisories(ctx context.Context, client *oci.Client, log *slog.Logger) (*engine.Matcher, error) {
	matcher := engine.NewMatcher()
	keeper, err := f.keeper(client, matcher)
	if err != nil {
		log.Warn("the advisories on disk cannot be used", "err", err)
	}
	if !f.Offline {
		if _, err := keeper.Update(ctx, false); err != nil {
			log.Warn("no newer advisories", "err", err)
		}
	}
	if _, ok := matcher.Advisories(); !ok {
		log.Warn("there are no advisories: packages are listed, vulnerabilities are not known")
	}
	return matcher, ctx.Err()
}

type advisoriesCommand struct {
	Status advisoriesStatus `cmd:"" help:"Show which advisories, EPSS scores and catalog of exploited vulnerabilities are there."`
	Update advisoriesUpdate `cmd:"" help:"Fetch the newest of each now."`
	Import advisoriesImport `cmd:"" help:"Take advisories, EPSS scores or the catalog from a file into use, for machines without a way out."`

	Rejudge advisoriesRejudge `cmd:"" help:"Have a server judge its images by the advisories it has, or by force match everything again."`
}

type advisoriesStatus struct {
	advisoryFlags
	feedFlags
	Output string `help:"${enum}." enum:"table,json" default:"table" short:"o"`
}

// Run shows the state.
func (c advisoriesStatus) Run(s streams) error {
	return c.with(c.feedFlags, func(k *advisory.Keeper, f *advisory.Feeds) error {
		return showAdvisories(s.out, c.Output, k.State(), f)
	})
}

type advisoriesUpdate struct {
	advisoryFlags
	feedFlags
	Output string `help:"${enum}." enum:"table,json" default:"table" short:"o"`
}

// Run fetches and shows the state. One that cannot be fetched keeps none of the others from being.
func (c advisoriesUpdate) Run(ctx context.Context, s streams) error {
	return c.with(c.feedFlags, func(k *advisory.Keeper, f *advisory.Feeds) error {
		_, failed := k.Update(ctx, true)
		for _, kind := range tidewaiter.FeedKinds() {
			_, err := f.Update(ctx, kind, true)
			failed = errors.Join(failed, err)
		}
		return errors.Join(failed, showAdvisories(s.out, c.Output, k.State(), f))
	})
}

type advisoriesImport struct {
	File string `arg:"" help:"A .tar.gz, .tar.zst or .tar with trivy.db and metadata.json, a folder with both, or a trivy.db beside its metadata.json; the EPSS scores FIRST publishes, or the catalog of exploited vulnerabilities CISA publishes in JSON, gzipped or not."`
	advisoryFlags
	Output string `help:"${enum}." enum:"table,json" default:"table" short:"o"`
}

// Run imports and shows the state.
func (c advisoriesImport) Run(ctx context.Context, s streams) error {
	return c.with(feedFlags{}, func(k *advisory.Keeper, f *advisory.Feeds) (err error) {
		if kind, ok := advisory.FeedIn(c.File); ok {
			_, err = f.Import(ctx, kind, c.File)
		} else {
			_, err = k.Import(ctx, c.File)
		}
		if err != nil {
			return err
		}
		return showAdvisories(s.out, c.Output, k.State(), f)
	})
}

// with opens what is on disk. A server that runs on the same folder takes feeds into use within a minute.
func (f advisoryFlags) with(from feedFlags, do func(*advisory.Keeper, *advisory.Feeds) error) error {
	client := oci.New(oci.Options{AllowLoopback: true, UserAgent: "tidewaiter/" + version})
	defer client.Close()
	matcher := engine.NewMatcher()
	defer matcher.Close()
	keeper, err := f.keeper(client, matcher)
	if err != nil {
		return err
	}
	return do(keeper, from.feeds(f, client))
}

func showAdvisories(w io.Writer, format string, state advisory.State, feeds *advisory.Feeds) error {
	if format == "json" {
		return json.NewEncoder(w).Encode(struct {
			Current *tidewaiter.Advisories `json:"current"`
			Since   time.Time              `json:"since,omitzero"`
			Feeds   []tidewaiter.Feed      `json:"feeds,omitempty"`
		}{state.Current, state.Since, feedsOf(feeds)})
	}
	if state.Current == nil {
		sayf(w, "There are no advisories yet. Run `tidewaiter advisories update`, or import a file.\n")
	} else {
		a := state.Current
		sayf(w, "version      %s\nfrom         %s\nbuilt        %s\nnext         %s\nin use since %s\n",
			a.Version, a.Reference, a.UpdatedAt.Format(time.RFC3339), a.NextUpdate.Format(time.RFC3339), state.Since.Format(time.RFC3339))
	}
	for _, f := range feedsOf(feeds) {
		sayf(w, "%-12s %d entries of %s, %s\nfrom         %s\n", f.Kind, f.Entries, f.Date.Format(time.DateOnly), f.Release, f.Source)
	}
	return nil
}
