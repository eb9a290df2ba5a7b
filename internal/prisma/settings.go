package prisma

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/tidewaiter/tidewaiter/internal/control"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// shownSpecification is a specification with what the server adds.
type shownSpecification struct {
	specification
	Credential                credential `json:"credential"` // without secrets
	ID                        string     `json:"id"`
	ScanStatus                string     `json:"scanStatus"`
	LastScanStatus            string     `json:"lastScanStatus"`
	ScanTime                  time.Time  `json:"scanTime"`
	LastScanTime              time.Time  `json:"lastScanTime"`
	ScanError                 string     `json:"scanError"`
	ScannedImagesSuccessTotal int        `json:"scannedImagesSuccessTotal"`
}

// registrySettings is Prisma's RegistrySettings.
type registrySettings struct {
	Specifications         []shownSpecification `json:"specifications"`
	WebhookURLSuffix       string               `json:"webhookUrlSuffix"`
	HarborScannerURLSuffix string               `json:"harborScannerUrlSuffix"`
}

// getRegistrySettings shows the registries declared through this API in the order they were received.
func (s *server) getRegistrySettings(w http.ResponseWriter, r *http.Request) error {
	ctx := r.Context()
	registries, err := s.registries(ctx)
	if err != nil {
		return err
	}
	ids := make([]string, len(registries))
	for i, reg := range registries {
		ids[i] = reg.ID
	}
	scans, err := s.control.LatestScans(ctx, ids)
	if err != nil {
		return err
	}
	credentials, err := s.credentialViews(ctx)
	if err != nil {
		return err
	}
	holds, err := s.control.RegistryHolds(ctx, registries)
	if err != nil {
		return err
	}
	out := registrySettings{Specifications: make([]shownSpecification, len(registries))}
	for i, reg := range registries {
		spec, err := specificationOf(reg)
		if err != nil {
			return err
		}
		out.Specifications[i] = shown(spec, reg, scans[reg.ID], credentials[reg.CredentialID])
		if hold, waits := holds[reg.ID]; waits && scans[reg.ID].Current != nil {
			out.Specifications[i].ScanError = hold.Text()
		}
	}
	if out.WebhookURLSuffix, err = s.control.Suffix(ctx, control.SettingWebhookSuffix); err != nil {
		return err
	}
	if out.HarborScannerURLSuffix, err = s.control.Suffix(ctx, control.SettingHarborSuffix); err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, out)
	return nil
}

// shown adds to a specification what the server knows of it.
func shown(spec specification, r *tidewaiter.Registry, scans control.LatestScan, c credential) shownSpecification {
	out := shownSpecification{specification: spec, Credential: c.withoutSecrets(), ID: r.ID}
	if last := scans.Finished; last != nil {
		out.LastScanStatus, out.LastScanTime = statusName(last.State), last.EndedAt.UTC()
		out.ScanStatus, out.ScanTime, out.ScanError = out.LastScanStatus, startOf(last), errorOf(last)
		out.ScannedImagesSuccessTotal = last.ImagesDone
	}
	if current := scans.Current; current != nil {
		out.ScanStatus, out.ScanTime, out.ScanError = statusName(current.State), startOf(current), errorOf(current)
	}
	return out
}

// statusName is what a scan's state is called here. Prisma publishes no list; ours: queued, scanning, completed, failed,
// stopped.
func statusName(state tidewaiter.ScanState) string {
	switch state {
	case tidewaiter.ScanListing, tidewaiter.ScanScanning:
		return "scanning"
	case tidewaiter.ScanCanceled:
		return "stopped"
	}
	return string(state)
}

func startOf(scan *tidewaiter.Scan) time.Time {
	if scan.StartedAt.IsZero() {
		return scan.CreatedAt.UTC()
	}
	return scan.StartedAt.UTC()
}

// errorOf returns why a scan failed, else the newest thing that went wrong in it.
func errorOf(scan *tidewaiter.Scan) string {
	if scan.Error != "" || len(scan.Errors) == 0 {
		return scan.Error
	}
	return slices.MaxFunc(scan.Errors, func(a, b tidewaiter.ScanError) int { return a.At.Compare(b.At) }).Text
}

// putRegistrySettings replaces all registries of this API in one shot; nothing at all, {} and [] remove them.
func (s *server) putRegistrySettings(w http.ResponseWriter, r *http.Request) error {
	ctx := r.Context()
	body, err := readBody(w, r, maxRegistryBody)
	if err != nil {
		return err
	}
	every, err := s.scanPeriod(ctx)
	if err != nil {
		return err
	}
	drafts, err := parseSettings(body, every)
	if err != nil {
		return err
	}
	if err := s.ensureBuiltIn(ctx); err != nil {
		return err
	}
	err = s.control.ReplaceRegistries(ctx, tidewaiter.OriginPrisma, drafts, !scanLater(r))
	return settingsError(err, drafts)
}

// scanLater reports whether the settings are to be saved without starting a scan.
func scanLater(r *http.Request) bool { return queryOf(r.URL).flag("scanLater") }

// parseSettings reads the body of a PUT.
func parseSettings(body []byte, every time.Duration) ([]*tidewaiter.Registry, error) {
	var list struct {
		Specifications []json.RawMessage `json:"specifications"`
	}
	if len(body) > 0 && string(body) != "[]" {
		if err := json.Unmarshal(body, &list); err != nil {
			return nil, unmarshalError(err)
		}
	}
	if n := len(list.Specifications); n > control.MaxRegistries {
		return nil, tidewaiter.Invalid("specifications", "%d registries are more than the maximum of %d", n, control.MaxRegistries)
	}
	drafts := make([]*tidewaiter.Registry, len(list.Specifications))
	for i, b := range list.Specifications {
		d, err := parseSpecification(b, every)
		if err != nil {
			return nil, within(fmt.Sprintf("specifications[%d]", i), err)
		}
		drafts[i] = d
	}
	return drafts, nil
}

// within puts the place of a part in front of what is wrong in it.
func within(place string, err error) error {
	e, ok := errors.AsType[*tidewaiter.Error](err)
	if !ok {
		return err
	}
	located := *e
	if located.Field == "" {
		located.Field = place
	} else {
		located.Field = place + "." + located.Field
	}
	return &located
}

// postRegistrySettings appends one registry. Prisma: the body is the specification itself.
func (s *server) postRegistrySettings(w http.ResponseWriter, r *http.Request) error {
	ctx := r.Context()
	body, err := readBody(w, r, maxBody)
	if err != nil {
		return err
	}
	every, err := s.scanPeriod(ctx)
	if err != nil {
		return err
	}
	d, err := parseSpecification(body, every)
	if err != nil {
		return err
	}
	if err := s.ensureBuiltIn(ctx); err != nil {
		return err
	}
	_, err = s.control.AddRegistry(ctx, d, !scanLater(r))
	return outOfList(settingsError(err, []*tidewaiter.Registry{d}))
}

// outOfList takes the place in a list off an error about something that was sent alone.
func outOfList(err error) error {
	e, ok := errors.AsType[*tidewaiter.Error](err)
	if !ok {
		return err
	}
	alone := *e
	alone.Field = strings.TrimPrefix(e.Field, "specifications[0].")
	return &alone
}

// settingsError words what control found wrong with drafts in the vendor's names. An unknown credential is answered with
// the very text of a real console, blank at its end included.
func settingsError(err error, drafts []*tidewaiter.Registry) error {
	e, ok := errors.AsType[*tidewaiter.Error](err)
	if !ok {
		return err
	}
	var i int
	if n, _ := fmt.Sscanf(e.Field, "registries[%d].credentialID", &i); n == 1 && e.Kind == tidewaiter.ErrNotFound && i < len(drafts) {
		return plain(tidewaiter.ErrInvalid, "credential <"+drafts[i].CredentialID+"> was not found ")
	}
	return renamed(e)
}

// registries returns all registries declared through this API, in their order.
func (s *server) registries(ctx context.Context) ([]*tidewaiter.Registry, error) {
	return all(func(p control.Page) ([]*tidewaiter.Registry, string, error) {
		return s.control.Registries(ctx, control.RegistryFilter{Origin: tidewaiter.OriginPrisma, Page: p})
	})
}

// all reads a list page by page to its end.
func all[T any](read func(control.Page) ([]T, string, error)) ([]T, error) {
	var out []T
	p := control.Page{Limit: readAtOnce}
	for {
		items, next, err := read(p)
		if err != nil {
			return nil, err
		}
		if out = append(out, items...); next == "" {
			return out, nil
		}
		p.After = next
	}
}

// readAtOnce is how many rows are read in one go where a whole list is needed.
const readAtOnce = 5000
