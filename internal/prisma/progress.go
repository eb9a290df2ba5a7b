package prisma

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/tidewaiter/tidewaiter/internal/control"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// scanProgress is Prisma's RegistryScanProgress.
type scanProgress struct {
	Discovery         progress  `json:"discovery"`
	ImageScan         progress  `json:"imageScan"`
	IsScanOngoing     bool      `json:"isScanOngoing"`
	SpecScanStartTime time.Time `json:"specScanStartTime"`
}

// progress is Prisma's Progress: how far one step of a scan is.
type progress struct {
	ID        string `json:"id"`
	Type      string `json:"type"`
	Discovery bool   `json:"discovery"`
	Total     int    `json:"total"`
	Scanned   int    `json:"scanned"`
	Title     string `json:"title"`
	Error     string `json:"error,omitempty"`
	OnDemand  bool   `json:"onDemand,omitempty"`
}

// getProgress shows how far the regular scans are, or, with onDemand, the scan of one image. When that has ended it is
// shown once more, and then no longer.
func (s *server) getProgress(w http.ResponseWriter, r *http.Request) error {
	q := queryOf(r.URL)
	target := imageTag{Registry: q.text("registry"), Repo: q.text("repo"), Tag: q.text("tag"), Digest: q.text("digest")}
	if q.flag("onDemand") {
		return s.onDemandProgress(w, r.Context(), target)
	}
	if (target != imageTag{}) {
		return tidewaiter.Invalid("onDemand", "registry, repo, tag and digest go with an on-demand scan").WithFix("set onDemand=true")
	}
	scans, err := s.runningScans(r.Context())
	if err != nil {
		return err
	}
	out := []scanProgress{}
	for _, scan := range scans {
		out = append(out, regularProgress(scan.Scan, scan.registry.Host()))
	}
	writeJSON(w, http.StatusOK, out)
	return nil
}

// regularProgress words the two steps of a scan. A console names its Defenders; the work here is done by the server's own
// workers, so the number is that of one scanner.
func regularProgress(scan *tidewaiter.Scan, host string) scanProgress {
	return scanProgress{
		Discovery: progress{
			ID: scan.RegistryID, Type: "registry", Discovery: true, Total: scan.Repositories, Scanned: scan.RepositoriesListed,
			Title: fmt.Sprintf("Step 1/2 discovering tags in registry %s: Discovered tags in %d/%d repositories with 1 Defender",
				host, scan.RepositoriesListed, scan.Repositories),
		},
		ImageScan: progress{
			ID: scan.RegistryID, Type: "registry", Total: scan.ImagesTotal, Scanned: scan.ImagesDone + scan.ImagesFailed,
			Title: fmt.Sprintf("Step 2/2 scanning images in registry %s: Scanned %d/%d images with 1 Defender",
				host, scan.ImagesDone+scan.ImagesFailed, scan.ImagesTotal),
			Error: errorOf(scan),
		},
		IsScanOngoing: !scan.State.Done(), SpecScanStartTime: scan.StartedAt.UTC(),
	}
}

func (s *server) onDemandProgress(w http.ResponseWriter, ctx context.Context, target imageTag) error {
	if target.Repo == "" {
		return tidewaiter.Invalid("repo", "the repository is missing")
	}
	if target.Tag == "" && target.Digest == "" {
		return tidewaiter.Invalid("tag", "the tag is missing").WithFix("send tag or digest")
	}
	scan, err := s.onDemandScan(ctx, target)
	if err != nil {
		return err
	}
	out := []scanProgress{}
	if scan != nil && (!scan.State.Done() || s.tell(scan.ID)) {
		out = append(out, targetProgress(scan))
	}
	writeJSON(w, http.StatusOK, out)
	return nil
}

func targetProgress(scan *tidewaiter.Scan) scanProgress {
	name := "repository: " + scan.Target.Repository
	if scan.Target.Tag != "" {
		name += ", tag: " + scan.Target.Tag
	}
	if scan.Target.Digest != "" {
		name += ", digest: " + scan.Target.Digest
	}
	total := max(scan.ImagesTotal, 1)
	scanned := min(scan.ImagesDone+scan.ImagesFailed, total)
	p := scanProgress{
		Discovery: progress{ID: scan.RegistryID, Type: "registry", Discovery: true, OnDemand: true, Total: 1,
			Title: "Step 1/2 discovering tags in " + name},
		ImageScan: progress{ID: scan.RegistryID, Type: "registry", OnDemand: true, Total: total, Scanned: scanned,
			Title: "Step 2/2 scanning images in " + name, Error: errorOf(scan)},
		IsScanOngoing: !scan.State.Done(), SpecScanStartTime: scan.StartedAt.UTC(),
	}
	if scan.State != tidewaiter.ScanQueued && scan.State != tidewaiter.ScanListing {
		p.Discovery.Scanned = 1
	}
	return p
}

// toldFor is how long the end of an on-demand scan is news.
const toldFor = time.Hour

// onDemandScan returns the newest on-demand scan of an image that is running or ended not long ago; nil when there is none.
func (s *server) onDemandScan(ctx context.Context, target imageTag) (*tidewaiter.Scan, error) {
	filter := control.RegistryFilter{Page: control.Page{Limit: readAtOnce}}
	if target.Registry != "" {
		filter.Host = hostOf(target.Registry)
	}
	registries, _, err := s.control.Registries(ctx, filter)
	if err != nil || len(registries) == 0 {
		return nil, err
	}
	ids := make([]string, len(registries))
	for i, r := range registries {
		ids[i] = r.ID
	}
	recent, _, err := s.control.Scans(ctx, control.ScanFilter{RegistryIDs: ids, Page: control.Page{Limit: readAtOnce}})
	if err != nil {
		return nil, err
	}
	for _, scan := range recent { // newest first
		t := scan.Target
		if t == nil || !scan.OnDemand || scan.State.Done() && s.now().Sub(scan.EndedAt) > toldFor {
			continue
		}
		if t.Repository == target.Repo && (target.Tag == "" || t.Tag == target.Tag) && (target.Digest == "" || t.Digest == target.Digest) {
			return scan, nil
		}
	}
	return nil, nil
}

// tell reports whether the end of a scan is still news, and remembers that it was told.
func (s *server) tell(scanID string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.now()
	for id, at := range s.told {
		if now.Sub(at) > toldFor {
			delete(s.told, id)
		}
	}
	if _, told := s.told[scanID]; told {
		return false
	}
	s.told[scanID] = now
	return true
}

// runningScan is a scan that is on its way and the registry it is of.
type runningScan struct {
	*tidewaiter.Scan
	registry *tidewaiter.Registry
}

// runningScans returns the regular scans of this API's registries that are on their way, oldest first.
func (s *server) runningScans(ctx context.Context) ([]runningScan, error) {
	scans, err := all(func(p control.Page) ([]*tidewaiter.Scan, string, error) {
		return s.control.Scans(ctx, control.ScanFilter{Unfinished: true, Page: p})
	})
	if err != nil {
		return nil, err
	}
	var ids []string
	for _, scan := range scans {
		ids = append(ids, scan.RegistryID)
	}
	registries := map[string]*tidewaiter.Registry{}
	for part := range slices.Chunk(ids, readAtOnce) {
		found, _, err := s.control.Registries(ctx, control.RegistryFilter{IDs: part, Origin: tidewaiter.OriginPrisma,
			Page: control.Page{Limit: readAtOnce}})
		if err != nil {
			return nil, err
		}
		for _, r := range found {
			registries[r.ID] = r
		}
	}
	var out []runningScan
	for _, scan := range scans {
		if r := registries[scan.RegistryID]; r != nil && (scan.Target == nil || !scan.OnDemand) {
			out = append(out, runningScan{scan, r})
		}
	}
	slices.SortFunc(out, func(a, b runningScan) int {
		return cmp.Or(a.CreatedAt.Compare(b.CreatedAt), cmp.Compare(a.registry.Position, b.registry.Position))
	})
	return out, nil
}

// scanStatus is Prisma's ScanStatus.
type scanStatus struct {
	ScanTime  time.Time `json:"scanTime"`
	Completed bool      `json:"completed"`
	Scanning  bool      `json:"scanning,omitempty"`
	Errors    []string  `json:"errors,omitempty"`
}

// maxStatusErrors is how many errors a status shows. Prisma: the 10 most recent.
const maxStatusErrors = 10

// getStatus says whether regular scans are running, when the last one ended and what went wrong. Clients wait here until
// completed is true, so it is only while nothing runs.
func (s *server) getStatus(w http.ResponseWriter, r *http.Request) error {
	ctx := r.Context()
	running, err := s.runningScans(ctx)
	if err != nil {
		return err
	}
	registries, err := s.registries(ctx)
	if err != nil {
		return err
	}
	ids := make([]string, len(registries))
	for i, reg := range registries {
		ids[i] = reg.ID
	}
	latest, err := s.control.LatestScans(ctx, ids)
	if err != nil {
		return err
	}
	out := scanStatus{Completed: len(running) == 0, Scanning: len(running) > 0}
	var errs []tidewaiter.ScanError
	for _, l := range latest {
		for _, scan := range []*tidewaiter.Scan{l.Finished, l.Current} {
			if scan == nil {
				continue
			}
			if errs = append(errs, scan.Errors...); scan.Error != "" {
				errs = append(errs, tidewaiter.ScanError{Text: scan.Error, At: cmp.Or(scan.EndedAt, scan.UpdatedAt)})
			}
			if scan.EndedAt.After(out.ScanTime) {
				out.ScanTime = scan.EndedAt.UTC()
			}
		}
	}
	slices.SortFunc(errs, func(a, b tidewaiter.ScanError) int {
		return cmp.Or(b.At.Compare(a.At), cmp.Compare(a.Text, b.Text))
	})
	for _, e := range errs {
		if len(out.Errors) < maxStatusErrors && !slices.Contains(out.Errors, e.Text) {
			out.Errors = append(out.Errors, e.Text)
		}
	}
	writeJSON(w, http.StatusOK, out)
	return nil
}

// intelligence is what clients test their connection with: whether there are advisories, and from when.
type intelligence struct {
	Connected bool      `json:"connected"`
	Err       string    `json:"err"`
	Modified  time.Time `json:"modified"`
}

func (s *server) getIntelligence(w http.ResponseWriter, _ *http.Request) error {
	state := s.control.Advisories()
	out := intelligence{Connected: state.Current != nil, Err: state.Error}
	if state.Current != nil {
		out.Modified = state.Current.UpdatedAt.UTC()
	}
	writeJSON(w, http.StatusOK, out)
	return nil
}
