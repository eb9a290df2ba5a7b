package prisma

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"strings"

	"github.com/tidewaiter/tidewaiter/internal/control"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// scanRequest is Prisma's RegistryScanRequest. scanID and type are the vendor's own business and ignored.
type scanRequest struct {
	OnDemandScan bool                    `json:"onDemandScan"`
	Settings     verbatim[specification] `json:"settings"`
	Tag          imageTag                `json:"tag"`
}

// maxSelect is how many requests one call may bring.
const maxSelect = 1000

// postScan scans everything when the body is empty or {}, one image when it names a tag, and one registry when it brings a
// specification. Prisma refuses a regular scan while one runs; here the running one answers for both.
func (s *server) postScan(w http.ResponseWriter, r *http.Request) error {
	var req scanRequest
	body, err := readBody(w, r, maxBody)
	if err != nil {
		return err
	}
	if len(body) > 0 {
		if err := decode(body, &req); err != nil {
			return err
		}
	}
	if err := req.check(); err != nil {
		return err
	}
	return s.scan(r.Context(), &req)
}

// postScanSelect does the same for a list of requests. They are checked before the first is carried out.
func (s *server) postScanSelect(w http.ResponseWriter, r *http.Request) error {
	var list []scanRequest
	if err := decodeBody(w, r, &list); err != nil {
		return err
	}
	if len(list) == 0 || len(list) > maxSelect {
		return tidewaiter.Invalid("body", "%d requests cannot be selected", len(list)).WithFix("send 1 to %d", maxSelect)
	}
	for i := range list {
		err := list[i].check()
		if err == nil && list[i].all() {
			err = tidewaiter.Invalid("tag", "a request has to name an image or a registry")
		}
		if err != nil {
			return within(fmt.Sprintf("[%d]", i), err)
		}
	}
	for i := range list {
		if err := s.scan(r.Context(), &list[i]); err != nil {
			return within(fmt.Sprintf("[%d]", i), err)
		}
	}
	return nil
}

// all reports whether the request names nothing in particular.
func (q *scanRequest) all() bool { return q.Tag == imageTag{} && q.Settings.IsZero() }

var (
	repositoryName = regexp.MustCompile(`^[a-z0-9]+((\.|_|__|-+|/)[a-z0-9]+)*$`) // OCI distribution-spec
	tagName        = regexp.MustCompile(`^[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}$`)
	digestName     = regexp.MustCompile(`^sha256:[0-9a-f]{64}$`)
)

// check reports the first thing wrong with the request.
func (q *scanRequest) check() error {
	t := q.Tag
	switch {
	case t == imageTag{} && q.OnDemandScan:
		return tidewaiter.Invalid("tag", "an on-demand scan has to name an image").WithFix("send tag with repo and tag or digest")
	case t == imageTag{}:
		return nil
	case t.Repo == "":
		return tidewaiter.Invalid("tag.repo", "the repository is missing")
	case len(t.Repo) > 255 || !repositoryName.MatchString(t.Repo):
		return tidewaiter.Invalid("tag.repo", "%q is not the name of a repository", cut(t.Repo, 80))
	case t.Tag == "" && t.Digest == "":
		return tidewaiter.Invalid("tag.tag", "the tag is missing").WithFix("send tag or digest")
	case t.Tag != "" && !tagName.MatchString(t.Tag):
		return tidewaiter.Invalid("tag.tag", "%q is not a tag", cut(t.Tag, 80))
	case t.Digest != "" && !digestName.MatchString(t.Digest):
		return tidewaiter.Invalid("tag.digest", "%q is not a digest", cut(t.Digest, 80)).WithFix("write it as sha256: and 64 hexadecimal digits")
	}
	if _, err := tidewaiter.ParseRegistryURL(t.Registry); err != nil {
		return within("tag", renamed(err))
	}
	return nil
}

// scan carries out a checked request.
func (s *server) scan(ctx context.Context, q *scanRequest) error {
	switch {
	case q.Tag != imageTag{}:
		return s.scanImage(ctx, q)
	case !q.Settings.IsZero():
		return s.scanRegistry(ctx, &q.Settings.Value)
	}
	_, err := s.control.StartAll(ctx, tidewaiter.OriginPrisma, control.ScanRequest{Lane: tidewaiter.LaneFresh, OnDemand: true, Force: true})
	return err
}

// scanImage scans one image. Prisma: it has to lie in the scope of a registry that was declared.
func (s *server) scanImage(ctx context.Context, q *scanRequest) error {
	url, err := tidewaiter.ParseRegistryURL(q.Tag.Registry)
	if err != nil {
		return within("tag", renamed(err))
	}
	lane := tidewaiter.LaneFresh
	if q.OnDemandScan {
		lane = tidewaiter.LaneInteractive
	}
	target := tidewaiter.Target{Repository: q.Tag.Repo, Tag: q.Tag.Tag, Digest: q.Tag.Digest}
	_, err = s.control.StartTarget(ctx, url, target, control.ScanRequest{Lane: lane, OnDemand: q.OnDemandScan, Force: true})
	if e, ok := errors.AsType[*tidewaiter.Error](err); ok && e.Kind == tidewaiter.ErrNotFound {
		refused := *e
		refused.Kind = tidewaiter.ErrInvalid
		return &refused
	}
	return err
}

// scanRegistry scans the registry a specification declares.
func (s *server) scanRegistry(ctx context.Context, spec *specification) error {
	want, err := spec.registry()
	if err != nil {
		return within("settings", err)
	}
	registries, err := s.registries(ctx)
	if err != nil {
		return err
	}
	for _, r := range registries {
		have, err := specificationOf(r)
		if err != nil {
			return err
		}
		if r.URL == want.URL && have.Repository == spec.Repository && have.Tag == spec.Tag && have.Namespace == spec.Namespace {
			_, err := s.control.StartScan(ctx, r.ID, control.ScanRequest{Lane: tidewaiter.LaneFresh, OnDemand: true, Force: true})
			return err
		}
	}
	return tidewaiter.Invalid("settings", "no such registry is declared").WithFix("add it to the registry settings first")
}

// postStop stops the regular scans of this API's registries. Prisma: on-demand scans cannot be stopped; here one goes on
// unless a regular scan of the same registry is stopped.
func (s *server) postStop(_ http.ResponseWriter, r *http.Request) error {
	running, err := s.runningScans(r.Context())
	if err != nil {
		return err
	}
	var ids []string
	for _, scan := range running {
		ids = append(ids, scan.RegistryID)
	}
	if len(ids) == 0 {
		return nil // StopScans without ids would stop the scans of every surface
	}
	return s.control.StopScans(r.Context(), ids...)
}

// postStopOne stops the scan of one registry, or takes it off the queue.
func (s *server) postStopOne(_ http.ResponseWriter, r *http.Request) error {
	id := strings.TrimSpace(r.PathValue("id"))
	reg, err := s.control.Registry(r.Context(), id)
	if tidewaiter.KindOf(err) == tidewaiter.ErrNotFound || err == nil && reg.Origin != tidewaiter.OriginPrisma {
		return plain(tidewaiter.ErrNotFound, "registry specification id does not exist")
	}
	if err != nil {
		return err
	}
	return s.control.StopScans(r.Context(), id)
}
