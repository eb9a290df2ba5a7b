package control

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"regexp"
	"strings"
	"time"

	"github.com/tidewaiter/tidewaiter/internal/oci"
	"github.com/tidewaiter/tidewaiter/internal/secret"
	"github.com/tidewaiter/tidewaiter/internal/store"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// The jobs of scans that a Harbor asks for.
const (
	JobHarborScan  tidewaiter.JobKind = "harbor"       // Args: HarborScanArgs
	JobHarborSweep tidewaiter.JobKind = "harbor-sweep" // ends what took too long and removes what is old
)

// HarborScanArgs says which scan a job is for.
type HarborScanArgs struct {
	ScanID string `json:"scanID"`
}

// HarborScan is a scan that a Harbor asked for, and HarborState where it is on its way.
type (
	HarborScan  = store.HarborScan
	HarborState = store.HarborState
)

// The states of such a scan.
const (
	HarborWaiting = store.HarborWaiting
	HarborDone    = store.HarborDone
	HarborFailed  = store.HarborFailed
)

const (
	harborLife  = 30 * time.Minute    // of a scan. Harbor: the robot account made for a scan lives at least as long
	harborKept  = 30 * 24 * time.Hour // how long an ended scan is kept
	harborLimit = 10_000              // scans that may wait at once
)

var errHarborLate = tidewaiter.Errorf(tidewaiter.ErrTransient, "the scan took longer than %s", harborLife)

// HarborRequest is what Harbor says of an image it wants scanned.
type HarborRequest struct {
	RegistryURL   string
	Authorization secret.Value // as an Authorization header: "Basic …", "Bearer …", or nothing
	Insecure      bool
	Repository    string
	Tag           string // may be empty
	Digest        string
	MediaType     string
}

// StartHarborScan puts a scan of one image on the queue. The login is sealed, is used for this image alone, and is deleted
// when the scan ends, at the latest 30 minutes from now. Errors: ErrInvalid names the field in Harbor's words; ErrLimit
// when too many scans wait.
func (c *Control) StartHarborScan(ctx context.Context, req HarborRequest) (*HarborScan, error) {
	url, err := req.check()
	if err != nil {
		return nil, err
	}
	s := &store.HarborScan{
		ID: c.newID(), URL: url, Insecure: req.Insecure, Repository: req.Repository, Tag: req.Tag, Digest: req.Digest,
		MediaType: req.MediaType, CreatedAt: c.now(), ExpiresAt: c.now().Add(harborLife),
	}
	if s.Sealed, err = c.sealHarborLogin(s.ID, req.Authorization); err != nil {
		return nil, err
	}
	err = c.store.Update(ctx, func(tx *store.Tx) error {
		if err := tx.InsertHarborScan(ctx, s, harborLimit); err != nil {
			return err
		}
		return c.jobs.Enqueue(ctx, tx, tidewaiter.Job{Kind: JobHarborScan, Lane: tidewaiter.LaneEvent,
			Args: HarborScanArgs{ScanID: s.ID}, UniqueKey: s.ID, Timeout: 5 * time.Minute})
	})
	return s, err
}

// tagName is what a tag may be. OCI distribution-spec: "a tag MUST be at most 128 characters in length and MUST match".
var tagName = regexp.MustCompile(`^[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}$`)

// check returns the registry's address in its usual form.
func (r *HarborRequest) check() (string, error) {
	if r.RegistryURL == "" {
		return "", tidewaiter.Invalid("registry.url", "the registry's address is missing")
	}
	url, err := tidewaiter.ParseRegistryURL(r.RegistryURL)
	switch {
	case err != nil:
		return "", tidewaiter.Invalid("registry.url", "%s", err)
	case oci.CheckRepository(r.Repository) != nil:
		return "", tidewaiter.Invalid("artifact.repository", "not the name of a repository")
	case !oci.IsDigest(r.Digest):
		return "", tidewaiter.Invalid("artifact.digest", "not a digest")
	case r.Tag != "" && !tagName.MatchString(r.Tag):
		return "", tidewaiter.Invalid("artifact.tag", "not a tag")
	}
	return url, nil
}

// sealHarborLogin returns nil when there is no login.
func (c *Control) sealHarborLogin(id string, authorization secret.Value) ([]byte, error) {
	header := strings.TrimSpace(authorization.Reveal())
	if header == "" {
		return nil, nil
	}
	scheme, rest, _ := strings.Cut(header, " ")
	login := store.HarborLogin{Secret: strings.TrimSpace(rest)}
	switch {
	case strings.EqualFold(scheme, "basic"):
		plain, err := base64.StdEncoding.DecodeString(login.Secret)
		name, password, ok := strings.Cut(string(plain), ":")
		if err != nil || !ok || name == "" {
			return nil, tidewaiter.Invalid("registry.authorization", "not a user name and password in base64")
		}
		login = store.HarborLogin{Username: name, Secret: password}
	case !strings.EqualFold(scheme, "bearer") || login.Secret == "":
		return nil, tidewaiter.Invalid("registry.authorization", "neither Basic nor Bearer")
	}
	plain, err := json.Marshal(login) //nolint:gosec // sealed below
	if err != nil {
		return nil, err
	}
	return c.keyring.Seal(plain, id)
}

// HarborScan returns a scan that a Harbor asked for, or ErrNotFound. One whose image is judged by now has ended, and so has
// one that took too long.
func (c *Control) HarborScan(ctx context.Context, id string) (*HarborScan, error) {
	s, err := c.store.HarborScan(ctx, id)
	if err != nil || s.State != store.HarborWaiting {
		return s, err
	}
	state, failure, err := c.store.HarborOutcome(ctx, id)
	if err != nil {
		return nil, err
	}
	if state == store.HarborWaiting {
		if c.now().Before(s.ExpiresAt) {
			return s, nil
		}
		failure = errHarborLate
	}
	if err := c.store.Update(ctx, func(tx *store.Tx) error { return tx.EndHarborScan(ctx, id, failure, c.now()) }); err != nil {
		return nil, err
	}
	return c.store.HarborScan(ctx, id)
}

// WorkHarborSweep does the job JobHarborSweep.
func (c *Control) WorkHarborSweep(ctx context.Context, _ tidewaiter.JobRun) error {
	if err := c.store.Update(ctx, func(tx *store.Tx) error {
		_, err := tx.ExpireHarborScans(ctx, errHarborLate, c.now())
		return err
	}); err != nil {
		return err
	}
	for began := c.now(); c.now().Sub(began) < purgeTime; {
		removed := 0
		err := c.store.Update(ctx, func(tx *store.Tx) (err error) {
			removed, err = tx.PurgeHarborScans(ctx, c.now().Add(-harborKept), c.now(), purgeBatch)
			return err
		})
		if err != nil || removed < purgeBatch {
			return err
		}
	}
	return nil
}
